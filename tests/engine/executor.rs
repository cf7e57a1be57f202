//! Runs of several targets: order, limit, failures, deadline, and what is written about them.

use std::process::Stdio;

use crate::support::{BUSYBOX, Engine, Project, eventually, on_every_engine};

/// A project of `services` (name and further lines of its build section), all of one Dockerfile.
fn project(engine: &Engine, dockerfile: &str, services: &[(&str, &str)]) -> Project {
    let project = Project::new(engine);
    let services: String = services
        .iter()
        .map(|(name, build)| format!("  {name}: {{build: {{context: ., {build}}}}}\n"))
        .collect();
    project.write("compose.yaml", format!("services:\n{services}")).write("Dockerfile", dockerfile);
    project
}

fn stderr(assert: &assert_cmd::assert::Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

/// Steps of three targets that meet in a cache mount: each notes how many were there with it.
#[test]
fn parallel_limits_how_many_run() {
    on_every_engine(|engine| {
        let name = Project::new(engine).name().to_owned();
        let dockerfile = format!(
            "FROM {BUSYBOX}\nARG WHO\n\
             RUN --mount=type=cache,id={name},target=/m mkdir /m/$WHO && ls /m | wc -l > /met && sleep 0.5 && \
             ls /m | wc -l >> /met && rmdir /m/$WHO\n"
        );
        let services = [("a", "args: {WHO: a}"), ("b", "args: {WHO: b}"), ("c", "args: {WHO: c}")];
        let project = project(engine, &dockerfile, &services);
        let most = |project: &Project| {
            let met = ["a", "b", "c"].map(|service| {
                let image = format!("{}-{service}", project.name());
                engine.file_of(&image, "/met")
            });
            met.iter()
                .flat_map(|met| met.lines())
                .map(|count| count.trim().parse::<u32>().unwrap())
                .max()
                .unwrap()
        };
        project.run(&["build", "--parallel", "1"]).success();
        assert_eq!(most(&project), 1, "{}", engine.name);
        let mut command = project.command(&["build", "--no-cache"]);
        command.env("COMPOSE_PARALLEL_LIMIT", "1");
        assert_cmd::Command::from_std(command).assert().success();
        assert_eq!(most(&project), 1, "{}", engine.name);
    });
}

/// Without a limit they run at once: each waits until it has seen the other.
#[test]
fn targets_run_at_once() {
    on_every_engine(|engine| {
        let name = Project::new(engine).name().to_owned();
        let dockerfile = format!(
            "FROM {BUSYBOX}\nARG WHO\nARG OTHER\n\
             RUN --mount=type=cache,id={name},target=/m touch /m/$WHO; \
             for i in $(seq 200); do [ -e /m/$OTHER ] && exit 0; sleep 0.1; done; exit 1\n"
        );
        let services = [("a", "args: {WHO: a, OTHER: b}"), ("b", "args: {WHO: b, OTHER: a}")];
        project(engine, &dockerfile, &services).run(&["build"]).success();
    });
}

#[test]
fn identical_builds_run_once() {
    on_every_engine(|engine| {
        // Each run of the step leaves other bytes.
        let project = Project::new(engine);
        let name = project.name();
        let dockerfile = format!("FROM {BUSYBOX}\nRUN head -c 9 /dev/urandom > /f # {name}\n");
        let same = "labels: {a: b}, tags: []";
        project.write("Dockerfile", dockerfile).write(
            "compose.yaml",
            format!(
                "services:\n  one: {{build: {{context: ., {same}}}}}\n  \
                 two: {{image: '{name}-other', build: {{context: ., {same}}}}}\n"
            ),
        );
        project
            .run(&["build", "--no-cache", "--set", "*.labels.com.docker.compose.service=x"])
            .success();
        let id = |image: &str| engine.image_id(&format!("{name}-{image}")).unwrap();
        assert_eq!(id("one"), id("other"), "{}", engine.name);
    });
}

#[test]
fn a_service_is_built_before_those_on_top_of_it() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        project
            .write(
                "compose.yaml",
                "services:\n  app: {build: {context: app, additional_contexts: {mid: 'service:mid'}}}\n  \
                 base: {build: base}\n  \
                 mid: {build: {context: mid, additional_contexts: {base: 'service:base'}}}\n",
            )
            .write("base/Dockerfile", format!("FROM {BUSYBOX}\nRUN echo {} > /f\n", project.name()))
            .write("mid/Dockerfile", "FROM base\nRUN cp /f /g\n")
            .write("app/Dockerfile", "FROM mid\nRUN cp /g /h\n");
        if engine.name == "20.10" {
            let said = stderr(&project.run(&["build"]).code(5));
            assert!(said.contains("additional_contexts") && said.contains("20.10"), "{said}");
            return;
        }
        project.run(&["build", "app"]).success();
        let image = format!("{}-app", project.name());
        assert_eq!(engine.file_of(&image, "/h"), project.name());
        // Nothing changed: the second run finds the first one's base image.
        let said = stderr(&project.run(&["--progress", "plain", "build"]).success());
        assert!(
            said.lines()
                .any(|line| line.starts_with("app ") && line.contains("built, 1 cached, 0 run")),
            "{said}"
        );
    });
}

/// `bad` fails once `slow` runs; `late` stands on `bad`.
fn failing(engine: &Engine) -> Project {
    let name = Project::new(engine).name().to_owned();
    let project = Project::new(engine);
    let met = format!("--mount=type=cache,id={name},target=/m");
    project
        .write("slow", format!("FROM {BUSYBOX}\nRUN {met} touch /m/here; for i in $(seq 30); do [ -e /m/over ] && exit 0; sleep 0.1; done\n"))
        .write("bad", format!("FROM {BUSYBOX}\nRUN {met} for i in $(seq 200); do [ -e /m/here ] && break; sleep 0.1; done; touch /m/over; exit 3\n"))
        .write(
            "compose.yaml",
            "services:\n  slow: {build: {context: ., dockerfile: slow}}\n  bad: {build: {context: ., dockerfile: bad}}\n",
        );
    project
}

#[test]
fn a_failure_cancels_the_others() {
    on_every_engine(|engine| {
        let project = failing(engine);
        // It must still run when the other one fails.
        project.write(
            "slow",
            std::fs::read_to_string(project.dir().join("slow"))
                .unwrap()
                .replace("[ -e /m/over ] && exit 0", "true")
                .replace("seq 30", "seq 600"),
        );
        let said = stderr(&project.run(&["--progress", "plain", "build"]).code(1));
        assert!(
            said.lines().any(|line| line.split_whitespace().take(2).eq(["slow", "cancelled"])),
            "{}: {said}",
            engine.name
        );
        assert!(
            said.lines().any(|line| line.split_whitespace().take(2).eq(["bad", "failed"])),
            "{}: {said}",
            engine.name
        );
        let failures = said.lines().filter(|line| line.starts_with("error: ")).count();
        assert!(failures == 1 && !said.contains("failed to build slow"), "{}: {said}", engine.name);
    });
}

#[test]
fn keep_going_builds_what_does_not_need_the_failed_one() {
    on_every_engine(|engine| {
        let project = failing(engine);
        let mut services = std::fs::read_to_string(project.dir().join("compose.yaml")).unwrap();
        let on_top = engine.name != "20.10";
        if on_top {
            services += "  late: {build: {context: ., dockerfile: slow, additional_contexts: {x: 'service:bad'}}}\n";
            project.write("compose.yaml", services);
        }
        let said = stderr(&project.run(&["--progress", "plain", "build", "--keep-going"]).code(1));
        let image = |service: &str| engine.image_id(&format!("{}-{service}", project.name()));
        assert!(image("slow").is_some(), "{}: {said}", engine.name);
        assert!(image("bad").is_none() && image("late").is_none(), "{}: {said}", engine.name);
        assert!(!said.contains("failed to build late"), "{}: {said}", engine.name);
    });
}

#[test]
fn a_deadline_ends_the_run() {
    on_every_engine(|engine| {
        let name = Project::new(engine).name().to_owned();
        let dockerfile = format!("FROM {BUSYBOX}\nRUN echo {name}; sleep 600\n");
        let project = project(engine, &dockerfile, &[("app", "")]);
        let said = stderr(&project.run(&["build", "--timeout", "2s"]).code(1));
        assert!(said.contains("ran out of time"), "{}: {said}", engine.name);
        assert_eq!(engine.image_id(&format!("{}-app", project.name())), None);
    });
}

#[test]
fn compose_starts_what_was_built() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        project.write("Dockerfile", format!("FROM {BUSYBOX}\nRUN echo {}\n", project.name())).write(
            "compose.yaml",
            "services:\n  app: {build: ., command: sleep 300, network_mode: none, stop_grace_period: 0s}\n",
        );
        project.run(&["build"]).success();
        let image = format!("{}-app", project.name());
        let label = |name: &str| {
            let format = format!("{{{{index .Config.Labels \"com.docker.compose.{name}\"}}}}");
            engine.docker_ok(&["image", "inspect", "--format", &format, &image])
        };
        assert_eq!((label("project").as_str(), label("service").as_str()), (project.name(), "app"));
        assert!(!label("version").is_empty());
        let id = engine.image_id(&image).unwrap();
        let up = |args: &[&str]| {
            let output = project.docker(args).stdin(Stdio::null()).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{}: {said}", engine.name);
            said
        };
        up(&["compose", "up", "--detach", "--no-build"]);
        let used = eventually("the container runs", || {
            let filter = format!("label=com.docker.compose.project={}", project.name());
            let listed = engine.docker_ok(&["ps", "--quiet", "--filter", &filter]);
            let container = listed.lines().next()?.to_owned();
            Some(engine.docker_ok(&["inspect", "--format", "{{.Image}}", &container]))
        });
        // Compose itself would not build again either.
        let said = up(&["compose", "up", "--detach"]);
        up(&["compose", "down", "--timeout", "0"]);
        assert_eq!(used, id, "{}", engine.name);
        assert!(
            !said.contains("Building") && !said.contains("Recreate"),
            "{}: {said}",
            engine.name
        );
    });
}

#[test]
fn metadata_is_what_bake_writes() {
    on_every_engine(|engine| {
        let name = Project::new(engine).name().to_owned();
        let dockerfile = format!("FROM {BUSYBOX}\nRUN echo {name}\n");
        let project = project(engine, &dockerfile, &[("app", "")]);
        // bake leaves compression to BuildKit.
        let files = ["--metadata-file", "ours.json", "--iidfile", "id"];
        project.run(&[&["build", "--compression", "gzip"][..], &files].concat()).success();
        let read = |name: &str| {
            let text = std::fs::read_to_string(project.dir().join(name)).unwrap();
            serde_json::from_str::<serde_json::Value>(&text).unwrap()["app"].clone()
        };
        let ours = read("ours.json");
        // The same targets, outputs and tags: what `--print` prints. No default provenance, as compose.
        let printed = project.run(&["build", "--print"]).success().get_output().stdout.clone();
        project.write("bake.json", printed);
        let mut bake = project.docker(&[
            "buildx",
            "bake",
            "--file",
            "bake.json",
            "--metadata-file",
            "theirs.json",
        ]);
        let bake = bake
            .env("BUILDX_NO_DEFAULT_ATTESTATIONS", "1")
            .env("BUILDX_METADATA_PROVENANCE", "disabled")
            .output()
            .unwrap();
        assert!(bake.status.success(), "{}", String::from_utf8_lossy(&bake.stderr));
        let theirs = read("theirs.json");
        let without_ref = |value: &serde_json::Value| {
            let mut map = value.as_object().unwrap().clone();
            let build = map.remove("buildx.build.ref").unwrap();
            assert!(build.as_str().unwrap().starts_with("default/default/"), "{build}");
            map
        };
        assert_eq!(without_ref(&ours), without_ref(&theirs), "{}", engine.name);
        let id = std::fs::read_to_string(project.dir().join("id")).unwrap();
        assert_eq!(Some(id), engine.image_id(&format!("{}-app", project.name())));
        let mut left: Vec<_> = std::fs::read_dir(project.dir())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let expected =
            ["Dockerfile", "bake.json", "compose.yaml", "id", "ours.json", "theirs.json"];
        assert_eq!(left, expected);
    });
}
