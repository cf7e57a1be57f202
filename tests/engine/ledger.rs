//! What builds leave in the ledger, on every engine, and that nothing of it can stop a build.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{BUSYBOX, Engine, Project, eventually, on_every_engine, text};

/// Builds of the project, oldest first.
fn builds(project: &Project) -> Vec<Value> {
    let folder = project.home().join(".local/state/doc2md-docker/builds").join(project.name());
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: &PathBuf| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    files.iter().map(read).collect()
}

fn results<'a>(build: &'a Value, instruction: &str) -> Vec<&'a str> {
    let targets = build["targets"].as_array().unwrap().iter();
    let steps = targets.flat_map(|target| target["steps"].as_array().unwrap());
    steps
        .filter(|step| step["instruction"].as_str().unwrap().starts_with(instruction))
        .map(|step| step["result"].as_str().unwrap())
        .collect()
}

fn project(engine: &Engine) -> Project {
    let project = Project::new(engine);
    project
        .write("compose.yaml", "services: {app: {build: {context: ., args: {STEP: 'true'}, secrets: [key]}}}\nsecrets: {key: {environment: KEY}}\n")
        .write(
            "Dockerfile",
            format!(
                "FROM {BUSYBOX}\nARG STEP\nRUN --mount=type=cache,id={0},target=/cache echo {0} >/made\nRUN --mount=type=secret,id=key $STEP\n",
                project.name()
            ),
        );
    project
}

#[test]
fn every_end_of_a_build_is_remembered() {
    on_every_engine(|engine| {
        let project = project(engine);
        let build = |step: &str| {
            let mut command = project.command(&["build", "--build-arg", step]);
            command.env("KEY", "never-kept");
            command
        };
        assert!(build("STEP=true").output().unwrap().status.success());
        assert!(build("STEP=true").output().unwrap().status.success());
        assert_eq!(build("STEP=false never-kept").output().unwrap().status.code(), Some(1));
        let said = project.home().join("said");
        let mut interrupted = build("STEP=sleep 1000");
        interrupted.args(["--progress", "rawjson"]).stderr(std::fs::File::create(&said).unwrap());
        let mut interrupted = interrupted.spawn().unwrap();
        eventually("the solve has begun", || {
            std::fs::read_to_string(&said)
                .unwrap()
                .contains("RUN --mount=type=secret")
                .then_some(())
        });
        kill_process(Pid::from_child(&interrupted), Signal::INT).unwrap();
        assert_eq!(interrupted.wait().unwrap().code(), Some(130), "{}", engine.name);

        let builds = builds(&project);
        let outcomes: Vec<&str> =
            builds.iter().map(|build| build["outcome"].as_str().unwrap()).collect();
        let expected = ["succeeded", "succeeded", "failed", "cancelled"];
        assert_eq!(outcomes, expected, "{}", engine.name);
        assert_eq!(results(&builds[0], "RUN --mount=type=cache"), ["ran"], "{}", engine.name);
        assert_eq!(results(&builds[1], "RUN --mount=type=cache"), ["cached"], "{}", engine.name);
        assert_eq!(results(&builds[2], "RUN --mount=type=secret"), ["failed"], "{}", engine.name);

        let first = &builds[0];
        assert_eq!(first["schema"], "doc2md-docker/ledger/v1");
        let target = &first["targets"][0];
        let image = engine.image_id(target["image"].as_str().unwrap()).unwrap();
        assert_eq!(target["image_id"], image.as_str(), "{}", engine.name);
        let steps = target["steps"].as_array().unwrap();
        let mount = steps.iter().find_map(|step| step["cache_mounts"].get(0)).unwrap();
        assert_eq!(mount["id"], project.name());
        let info = engine.docker_ok(&["info", "--format", "{{.ID}}"]);
        assert_eq!(first["engine"]["id"], info.trim(), "{}", engine.name);
        for build in &builds {
            assert!(!build.to_string().contains("never-kept"), "{build}");
        }
    });
}

#[test]
fn secrets_are_not_remembered() {
    on_every_engine(|engine| {
        let project = project(engine);
        let mut command = project.command(&["build"]);
        // It fails with its name in the command, as a careless Dockerfile would.
        command.args(["--build-arg", "STEP=false s3cr3t-value"]).env("KEY", "s3cr3t-value");
        assert_eq!(command.output().unwrap().status.code(), Some(1));
        let builds = builds(&project);
        assert_eq!(builds.len(), 1);
        assert!(!builds[0].to_string().contains("s3cr3t-value"), "{}", builds[0]);
    });
}

#[test]
fn builds_at_the_same_time_are_both_remembered() {
    on_every_engine(|engine| {
        let project = project(engine);
        let build = || {
            let mut command = project.command(&["build", "--quiet"]);
            command.env("KEY", "x").stdout(Stdio::null()).stderr(Stdio::piped());
            command.spawn().unwrap()
        };
        // The image is there already: engines do not like to unpack one layer twice at a time.
        let first = build().wait_with_output().unwrap();
        assert!(first.status.success(), "{}", text(&first));
        for running in [build(), build(), build()] {
            let ended = running.wait_with_output().unwrap();
            assert!(ended.status.success(), "{}: {}", engine.name, text(&ended));
        }
        assert_eq!(builds(&project).len(), 4, "{}", engine.name);
    });
}

#[test]
fn steps_that_others_do_at_the_same_time_are_theirs() {
    let engine = crate::support::engine("28.5");
    let one = Project::new(&engine);
    let other = Project::new(&engine);
    // The same layers by another name: to the engine the first steps of both are one.
    let alias = format!("{}-alias", other.name());
    other.write("alias/Dockerfile", format!("FROM {BUSYBOX}\nLABEL a=b\n"));
    other.build_image(&alias, "alias");
    for (project, dockerfile) in [
        (&one, format!("FROM {BUSYBOX}\nCOPY f /\nRUN echo {}\n", one.name())),
        (
            &other,
            format!(
                "FROM {alias} AS base\nFROM base AS x\nCOPY f /\nRUN echo on\nRUN echo {}\n",
                other.name()
            ),
        ),
    ] {
        project.write("compose.yaml", "services:\n  api: {build: .}\n");
        project.write("Dockerfile", dockerfile);
    }
    for round in 0..6 {
        let building = [&one, &other].map(|project| {
            project.write("f", format!("{} {round}", one.name()));
            let mut command = project.command(&["build", "--quiet"]);
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        });
        for running in building {
            let ended = running.wait_with_output().unwrap();
            assert!(ended.status.success(), "{}", text(&ended));
        }
    }
    for (project, names) in [
        // Any test begins with this image: whoever is first at it gives the step its number.
        (&one, [format!("] FROM docker.io/{BUSYBOX}").as_str(), "[2/3]", "[3/3]"].as_slice()),
        (&other, ["[base 1/1]", "[x 1/3]", "[x 2/3]", "[x 3/3]"].as_slice()),
    ] {
        for build in builds(project) {
            let steps = build["targets"][0]["steps"].as_array().unwrap();
            let instructions = steps.iter().filter(|step| step["position"].is_array());
            let told: Vec<&str> = instructions.map(|step| step["name"].as_str().unwrap()).collect();
            let is_own = |(name, own): (&&str, &&str)| match own.starts_with("] ") {
                true => name.ends_with(own),
                false => name.starts_with(own),
            };
            let are_own = told.iter().zip(names).all(is_own);
            assert!(told.len() == names.len() && are_own, "{told:?}");
        }
    }
    engine.docker_ok(&["rmi", &alias]);
}

#[test]
fn a_target_below_that_another_build_made_and_holds_is_not_of_this_one() {
    on_every_engine(|engine| {
        // Docker 20.10 knows no named contexts.
        if engine.name == "20.10" {
            return;
        }
        let project = Project::new(engine);
        let on_app = |dockerfile: &str| {
            let build = "{context: ., additional_contexts: {base: 'service:app'}, dockerfile: ";
            format!("{build}{dockerfile}}}")
        };
        let compose = format!(
            "services:\n  app: {{build: .}}\n  web: {{build: {}}}\n  held: {{build: {}}}\n",
            on_app("web.Dockerfile"),
            on_app("held.Dockerfile"),
        );
        let name = project.name();
        project
            .write("compose.yaml", compose)
            .write("Dockerfile", format!("FROM {BUSYBOX}\nCOPY f /f\nRUN date >/made # {name}\n"))
            .write("web.Dockerfile", "FROM base\nCOPY f /again\nRUN cat /f /made >/web\n")
            .write("held.Dockerfile", "FROM base\nRUN sleep 1000\n")
            .write("f", name);
        let said = project.home().join("said");
        let mut first = project.command(&["build", "--progress", "plain"]);
        let mut first =
            first.stderr(std::fs::File::create(&said).unwrap()).spawn().expect("the program");
        eventually("the other two are built", || {
            let said = std::fs::read_to_string(&said).ok()?;
            let are_built = ["app ", "web "].iter().all(|name| {
                said.lines().any(|line| line.starts_with(name) && line.contains(" built, "))
            });
            are_built.then_some(())
        });
        let build = || {
            let output = project.command(&["build", "app", "web"]).output().unwrap();
            assert!(output.status.success(), "{}", text(&output));
            builds(&project).pop().unwrap()
        };
        let steps = |build: &Value, target: usize| -> Vec<String> {
            let steps = build["targets"][target]["steps"].as_array().unwrap().iter();
            let instructions = steps.filter(|step| step["position"].is_array());
            let told = |step: &Value, key: &str| step[key].as_str().unwrap().to_owned();
            instructions.map(|step| told(step, "name") + " " + &told(step, "result")).collect()
        };
        let beside = build();
        let app = steps(&beside, 0);
        assert_eq!(app.len(), 3, "{app:?}");
        // It was made before this build began.
        assert!(app.iter().all(|step| step.ends_with(" cached")), "{}: {app:?}", engine.name);
        let web = steps(&beside, 1);
        assert_eq!(web.len(), 2, "{}: {web:?}", engine.name);
        assert!(web[0].contains("COPY f /again") && web[1].contains("RUN cat"), "{web:?}");
        kill_process(Pid::from_child(&first), Signal::INT).unwrap();
        first.wait().unwrap();
        // One after the other find all of each other.
        project.write("f", format!("{name} again"));
        build();
        let again = build();
        for target in [0, 1] {
            let steps = steps(&again, target);
            assert!(steps.iter().all(|step| step.ends_with(" cached")), "{steps:?}");
        }
    });
}

#[test]
fn a_ledger_that_cannot_be_written_is_a_warning() {
    on_every_engine(|engine| {
        let project = project(engine);
        let file = project.dir().join("a file");
        std::fs::write(&file, "").unwrap();
        let unusable = |path: &Path| {
            let mut command = project.command(&["build"]);
            command.env("KEY", "x").env("DOC2MD_DOCKER_STATE_DIR", path).output().unwrap()
        };
        let output = unusable(&file);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert_eq!(said.matches("warning: ").count(), 1, "{said}");
        assert!(said.contains("this build is not remembered"), "{said}");
        // Damaged builds disturb nobody.
        let state = project.dir().join("state");
        let folder = state.join("builds").join(project.name());
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("mwu8defltapo.json"), "{").unwrap();
        let output = unusable(&state);
        assert!(
            output.status.success() && !String::from_utf8_lossy(&output.stderr).contains("warning")
        );
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 2);
    });
}
