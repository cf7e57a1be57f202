//! `doctor` on real engines.

use serde_json::Value;

use crate::support::{BUSYBOX, Project, eventually, on_every_engine};

fn findings(project: &Project, code: i32) -> Vec<(String, String, String)> {
    let run = project.run(&["doctor", "--format", "json"]).code(code);
    let document: Value = serde_json::from_slice(&run.get_output().stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings = document["findings"].as_array().unwrap().iter();
    findings.map(|it| (text(&it["check"]), text(&it["verdict"]), text(&it["message"]))).collect()
}

fn found<'a>(
    findings: &'a [(String, String, String)],
    check: &str,
) -> Vec<&'a (String, String, String)> {
    findings.iter().filter(|it| it.0 == check).collect()
}

#[test]
fn each_engine_is_told_as_it_is() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let all = findings(&project, 0);
        let engine_told = found(&all, "engine")[0];
        let release = engine.name.trim_end_matches("-containerd");
        assert!(engine_told.2.contains(&format!("Docker {release}")), "{engine_told:?}");
        let is_old = engine.name == "20.10";
        assert_eq!(engine_told.1, if is_old { "warning" } else { "fine" }, "{engine_told:?}");
        let store = found(&all, "store")[0];
        let has_containerd = engine.name == "28.5-containerd";
        assert_eq!(store.2.contains("containerd store"), has_containerd, "{store:?}");
        assert_eq!(found(&all, "buildkit")[0].1, "fine");
        assert_eq!(found(&all, "clock")[0].1, "fine", "{all:#?}");
        assert_eq!(found(&all, "disk").len(), 1, "{all:#?}");
        // Other tests fill the disk and the cache: what is said of them differs.
        assert!(!found(&all, "garbage-collection").is_empty() || is_old, "{all:#?}");
        assert!(found(&all, "registry").is_empty(), "nothing was built");
    });
}

#[test]
fn a_registry_that_is_not_there_is_named() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let image = format!("127.0.0.1:1/{}", project.name());
        engine.docker_ok(&["tag", BUSYBOX, &image]);
        project
            .write("compose.yaml", "services:\n  api: {build: .}\n")
            .write("Dockerfile", format!("FROM {image}\nRUN echo {}\n", project.name()));
        // The containerd store asks the registry of every base.
        if engine.name != "28.5-containerd" {
            project.run(&["build"]).success();
            let all = findings(&project, 0);
            let registry = found(&all, "registry");
            let [(_, verdict, message)] = registry.as_slice() else { panic!("{all:#?}") };
            assert_eq!(verdict, "warning");
            assert!(message.contains("127.0.0.1:1") && message.contains("refused"), "{message}");
        }
        engine.docker_ok(&["rmi", &image]);
    });
}

#[test]
fn without_the_right_to_ask_the_engine_that_is_said() {
    let engine = crate::support::engine("28.5");
    let project = Project::new(&engine);
    let socket = engine.host.strip_prefix("unix://").unwrap();
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.arg(env!("CARGO_BIN_EXE_doc2md-docker")).args(["doctor", "-H", &engine.host]);
    command.current_dir("/").env_clear().env("HOME", "/nonexistent").env("PATH", "/usr/bin:/bin");
    let output = eventually("it runs", || command.output().ok());
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(told.contains("problem  engine") && told.contains(socket), "{told}");
    assert!(told.to_lowercase().contains("permission"), "{told}");
    drop(project);
}
