//! `clean` on every engine: what goes, and that nothing of anybody else does.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{BUSYBOX, Project, on_every_engine};

/// A project with an image on a layer that all of these share, one of its own, a cache mount, a
/// volume and a network; `mark` makes its own steps its own.
fn project(engine: &crate::support::Engine, shared: &str) -> Project {
    let project = Project::new(engine);
    let name = project.name().to_owned();
    project
        .write(
            "Dockerfile",
            format!(
                "FROM {BUSYBOX} AS base\n\
                 RUN head -c 300000 /dev/urandom > /shared && echo {shared}\n\
                 FROM base AS made\n\
                 RUN --mount=type=cache,id={name},target=/c echo {name} > /c/kept && cp /c/kept /made\n\
                 FROM base\n\
                 COPY file /file\n\
                 RUN head -c 500000 /dev/urandom > /own && echo {name}\n\
                 COPY --from=made /made /made\n"
            ),
        )
        .write("file", &name)
        .write(
            "compose.yaml",
            "services:\n  app:\n    build: .\n    command: [sh, -c, 'echo kept > /data/file; sleep 600']\n    \
             volumes: [data:/data, /anonymous]\nvolumes:\n  data: {}\n",
        );
    project
}

/// Containers, networks and volumes, not started.
fn create(project: &Project) {
    let created = project.docker(&["compose", "create", "--no-build"]).output().unwrap();
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
}

/// What the engine has of a project by its label and its names: one line each.
fn things(project: &Project) -> BTreeSet<String> {
    let label = format!("label=com.docker.compose.project={}", project.name());
    let list = |kind: &str, format: &str, options: &[&str]| {
        let mut args = vec![kind, "ls", "--filter", &label, "--format", format];
        args.extend(options);
        let listed = project.engine().docker_ok(&args);
        listed.lines().map(|line| format!("{kind} {line}")).collect::<Vec<_>>()
    };
    let mut all = BTreeSet::new();
    all.extend(list("container", "{{.Names}} {{.State}}", &["--all"]));
    all.extend(list("network", "{{.Name}}", &[]));
    all.extend(list("volume", "{{.Name}}", &[]));
    all.extend(list("image", "{{.Repository}}:{{.Tag}} {{.ID}}", &[]));
    all
}

fn json(assert: assert_cmd::assert::Assert) -> Value {
    serde_json::from_slice(&assert.get_output().stdout).unwrap()
}

#[test]
fn one_project_goes_and_the_other_stays() {
    on_every_engine(|engine| {
        let shared = format!("{}-{}", engine.name, std::process::id());
        let (ours, theirs) = (project(engine, &shared), project(engine, &shared));
        for project in [&ours, &theirs] {
            project.run(&["build"]).success();
            create(project);
        }
        let (before, others) = (things(&ours), things(&theirs));
        assert_eq!(before.len(), 4, "{before:?}");

        let shown = ours.run(&["clean", "--dry-run"]).success();
        let text = String::from_utf8_lossy(&shown.get_output().stdout).into_owned();
        for kind in ["container", "network", "image", "volume"] {
            assert!(text.contains(kind), "{}: {text}", engine.name);
        }
        assert!(!text.contains(theirs.name()), "{}: {text}", engine.name);
        let refused = ours.run(&["clean"]).code(2);
        let said = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
        assert!(said.contains("hint: --force removes without asking"), "{said}");
        assert_eq!(things(&ours), before, "{}: nobody agreed", engine.name);

        let done = json(ours.run(&["clean", "--force", "--format", "json"]).success());
        assert_eq!(done["schema"], "doc2md-docker/clean/v1");
        // Container, network, image, a named volume and one that nobody named.
        assert_eq!(done["remove"].as_array().unwrap().len(), 5, "{}: {done:#}", engine.name);
        assert_eq!(things(&ours), BTreeSet::new(), "{}", engine.name);
        assert_eq!(things(&theirs), others, "{}", engine.name);
        ours.run(&["clean", "--force"]).success();

        theirs.run(&["clean", "--volumes=false", "--images=false", "-f"]).success();
        let left: Vec<String> = things(&theirs).into_iter().collect();
        assert_eq!(left.len(), 2, "{}: {left:?}", engine.name);
        theirs.run(&["clean", "--force", "--quiet"]).success().stdout("").stderr("");
        assert_eq!(things(&theirs), BTreeSet::new(), "{}", engine.name);
    });
}

#[test]
fn what_runs_stays_unless_it_may_be_stopped() {
    on_every_engine(|engine| {
        let project = project(engine, "runs");
        project.run(&["build"]).success();
        create(&project);
        let started = project.docker(&["compose", "start"]).output().unwrap();
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        let before = things(&project);
        let kept = json(project.run(&["clean", "--force", "--format", "json"]).success());
        assert_eq!(kept["remove"].as_array().unwrap().len(), 0, "{}: {kept:#}", engine.name);
        assert_eq!(kept["keep"].as_array().unwrap().len(), 5, "{}: {kept:#}", engine.name);
        assert_eq!(things(&project), before, "{}", engine.name);
        // Its files are gone: the labels say what is its.
        std::fs::remove_file(project.dir().join("compose.yaml")).unwrap();
        let gone = project.run(&["clean", "--stop", "--force", "-p", project.name()]).success();
        let said = String::from_utf8_lossy(&gone.get_output().stderr).into_owned();
        assert!(said.contains("no compose file here"), "{said}");
        assert_eq!(things(&project), BTreeSet::new(), "{}", engine.name);
    });
}
