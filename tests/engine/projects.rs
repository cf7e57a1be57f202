//! `ls`: the projects of an engine, among what is somebody else's.

use serde_json::Value;

use crate::support::{BUSYBOX, Project, on_every_engine, text};

/// What `ls` says of a project, if it names it.
fn listed(project: &Project, name: &str) -> Option<Value> {
    let output = project.command(&["ls", "--format", "json"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let projects = document["projects"].as_array().unwrap();
    projects.iter().find(|it| it["name"] == name).cloned()
}

#[test]
fn projects_are_told_apart() {
    on_every_engine(|engine| {
        let (shop, blog) = (Project::new(engine), Project::new(engine));
        let layer =
            format!("FROM {BUSYBOX}\nRUN dd if=/dev/urandom of=/{} bs=1M count=3\n", shop.name());
        shop.write("Dockerfile", &layer);
        shop.write("Dockerfile.two", format!("{layer}RUN echo two > /two\n"));
        shop.write(
            "compose.yaml",
            "services:\n  api:\n    build: .\n    command: sleep 600\n    volumes: ['data:/data']\n  \
             worker:\n    build: {context: ., dockerfile: Dockerfile.two}\n    command: 'true'\nvolumes: {data: }\n",
        );
        blog.write("Dockerfile", format!("FROM {BUSYBOX}\nRUN echo {} > /blog\n", blog.name()));
        blog.write("compose.yaml", "services: {web: {build: .}}\n");
        assert_eq!(listed(&shop, shop.name()), None);
        shop.run(&["build"]).success();
        blog.run(&["build"]).success();
        let up = shop.docker(&["compose", "up", "--detach", "--no-build"]).output().unwrap();
        assert!(up.status.success(), "{}", text(&up));
        // Of nobody.
        let foreign = format!("{}-foreign", shop.name());
        engine.docker_ok(&["run", "--detach", "--name", &foreign, BUSYBOX, "true"]);
        engine.docker_ok(&["wait", &format!("{}-worker-1", shop.name())]);

        let own = listed(&shop, shop.name()).unwrap();
        let directory = shop.dir().canonicalize().unwrap();
        assert_eq!(own["directory"], directory.to_str().unwrap(), "{own:#}");
        assert_eq!(
            (&own["images"], &own["containers"], &own["running"]),
            (&2.into(), &2.into(), &1.into()),
            "{own:#}"
        );
        assert_eq!(own["volumes"], 1, "{own:#}");
        assert_eq!(own["last_build"]["outcome"], "succeeded", "{own:#}");
        // What both images share counts once, as in `stats`.
        let stats = shop.command(&["stats", "--format", "json"]).output().unwrap();
        let stats: Value = serde_json::from_slice(&stats.stdout).unwrap();
        assert!(stats["total_bytes"].as_u64() > Some(3_000_000), "{stats:#}");
        // On the containerd store a shared layer's compressed part is an estimate, of whichever image comes first.
        let (ours, total) =
            (own["images_bytes"].as_u64().unwrap(), stats["total_bytes"].as_u64().unwrap());
        assert!(ours.abs_diff(total) * 100 <= total, "{ours} of {total}: {own:#}");

        // From here only the other project's own history is seen: the labels tell the rest.
        let other = listed(&shop, blog.name()).unwrap();
        assert_eq!((&other["images"], &other["containers"]), (&1.into(), &0.into()), "{other:#}");
        assert!(other["last_build"].is_null() && other["directory"].is_null(), "{other:#}");
        let other = listed(&blog, blog.name()).unwrap();
        assert_eq!(
            other["directory"],
            blog.dir().canonicalize().unwrap().to_str().unwrap(),
            "{other:#}"
        );
        assert_eq!(listed(&shop, &foreign), None);

        let table = shop.command(&["list"]).output().unwrap();
        let table = String::from_utf8(table.stdout).unwrap();
        let line = table.lines().find(|line| line.starts_with(shop.name())).unwrap();
        assert!(line.contains("1/2") && line.contains(directory.to_str().unwrap()), "{line}");

        engine.docker_ok(&["rm", "--force", &foreign]);
        let down =
            shop.docker(&["compose", "down", "--volumes", "--timeout", "0"]).output().unwrap();
        assert!(down.status.success(), "{}", text(&down));
    });
}
