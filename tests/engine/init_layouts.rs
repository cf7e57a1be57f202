//! What `init` writes for the projects of tests/projects is built as it is, and starts.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::support::{
    PYTHON, Project, engine, eventually_or_why, newer_python, side_by_side, text,
};

/// Projects at a time: their builds wait for the network more than for the processor.
const AT_A_TIME: usize = 4;

/// A project that cannot be built here: its git repository is an example's.
const NOT_HERE: &str = "git-requirement";

/// Projects that need a Python newer than that of the other tests.
const NEWER: [&str; 3] = ["fastapi-src-package", "python-version-file", "uv-workspace"];

/// What a worker says when it has read its tasks, and looks for the broker that this test does not give it.
const WORKS: [&str; 4] =
    ["Cannot connect to", "connecting to ", "is ready for action", "Failed to connect"];

fn layouts() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/projects");
    let mut found: Vec<(String, String)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    found.sort();
    found
}

/// The services that the beginning of a project's text expects.
fn services(text: &str) -> Vec<&str> {
    let (expected, _) = text.split_once("=== ").unwrap();
    expected.lines().filter_map(|line| line.split_once(" CMD ").map(|(name, _)| name)).collect()
}

fn project(text: &str) -> Project {
    let project = Project::new(&engine("28.5"));
    for file in text.split("=== ").skip(1) {
        let (path, content) = file.split_once('\n').unwrap();
        project.write(path, content);
    }
    project
}

#[track_caller]
fn succeeds(mut command: Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

/// What the compose file that `init` wrote sets in the environment of a service.
fn environment(project: &Project, service: &str) -> Vec<String> {
    let told = project.command(&["config", "--format", "json"]).output().unwrap();
    let config: Value = serde_json::from_slice(&told.stdout).unwrap();
    let set = config["services"][service]["environment"].as_object().into_iter().flatten();
    set.map(|(name, value)| format!("--env={name}={}", value.as_str().unwrap_or_default()))
        .collect()
}

/// Starts an image as production would, but without network, and waits until it works.
fn starts(project: &Project, service: &str) {
    let image = format!("{}-{service}", project.name());
    let environment = environment(project, service);
    let mut run = vec!["run", "--detach", "--network=none", "--read-only", "--tmpfs=/tmp"];
    run.extend(environment.iter().map(String::as_str));
    run.extend(["--cap-drop=ALL", &image]);
    let engine = project.engine();
    let id = engine.docker_ok(&run).trim().to_owned();
    eventually_or_why(service, || {
        let format = "{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}}";
        let state = engine.docker_ok(&["inspect", "--format", format, &id]);
        // After the state: one that has ended has said everything.
        let logs = text(&engine.docker(&["logs", &id]).output().unwrap());
        let works = match service {
            "api" => state.trim() == "running healthy",
            _ => WORKS.iter().any(|sign| logs.contains(sign)),
        };
        // One that ended will not come back.
        assert!(works || state.starts_with("running"), "{service} is {state}: {logs}");
        if works { Ok(()) } else { Err(format!("{state}: {logs}")) }
    });
    engine.docker_ok(&["rm", "--force", &id]);
}

#[test]
fn every_layout_is_built_and_starts() {
    let all = layouts();
    let built: Vec<&(String, String)> =
        all.iter().filter(|(name, text)| !services(text).is_empty() && name != NOT_HERE).collect();
    assert!(built.len() >= 34, "{}", built.len());
    let newer = newer_python(&engine("28.5"));
    for some in built.chunks(AT_A_TIME) {
        let runs = some.iter().map(|(name, text)| {
            let run = move || {
                let project = project(text);
                succeeds(project.command(&["init"]));
                let python = if NEWER.contains(&name.as_str()) { newer } else { PYTHON };
                let base = format!("BASE_IMAGE={python}");
                succeeds(project.command(&["build", "--build-arg", &base]));
                services(text).iter().for_each(|service| starts(&project, service));
            };
            (name.clone(), run)
        });
        side_by_side(runs.collect());
    }
}
