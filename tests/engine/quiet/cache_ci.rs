//! The action and the template for CI: their steps, run as they stand there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_yaml::Value;

use super::cache::project;
use crate::support::{Engine, Project, Registry, engine, text};

const ACTION: &str = "actions/cached-build/action.yml";
const TEMPLATE: &str = "templates/gitlab-cached-build.yml";

fn read(path: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// What an expression of the action stands for here.
fn value(expression: &str, inputs: &Value) -> String {
    let mut text = String::new();
    let mut rest = expression;
    while let Some((before, after)) = rest.split_once("${{ ") {
        let (name, after) = after.split_once(" }}").unwrap();
        text += before;
        text += &match name {
            "github.head_ref || github.ref_name" | "github.ref_name" => "fix/one".to_owned(),
            "github.event.repository.default_branch" => "main".to_owned(),
            "runner.os" => "Linux".to_owned(),
            "runner.arch" => "X64".to_owned(),
            "inputs.key" => "locks".to_owned(),
            "inputs.base" => "bases".to_owned(),
            name => {
                let name = name.strip_prefix("inputs.").unwrap_or_else(|| panic!("{name}"));
                inputs[name]["default"].as_str().unwrap_or_else(|| panic!("{name}")).to_owned()
            }
        };
        rest = after;
    }
    text + rest
}

/// Runs a script with bash, as GitHub does; returns what it says.
fn bash(project: &Project, host: &Engine, script: &str, env: &BTreeMap<String, String>) -> String {
    let program = project.command(&[]);
    let folder = Path::new(env!("CARGO_BIN_EXE_doc2md-docker")).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("bash");
    command.env_clear();
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]).envs(env);
    command.current_dir(project.dir()).env("PATH", path).env("DOCKER_HOST", &host.host);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{script}: {}", text(&output));
    text(&output)
}

/// The steps of the action that are scripts, on one engine.
fn act(project: &Project, host: &Engine, registry: &str) -> (String, BTreeMap<String, String>) {
    let mut action = read(ACTION);
    action["inputs"]["registry"]["default"] = registry.into();
    let (summary, outputs) = (project.dir().join("summary.md"), project.dir().join("outputs"));
    let mut said = String::new();
    for step in action["runs"]["steps"].as_sequence().unwrap() {
        let Some(script) = step["run"].as_str() else {
            let uses = step["uses"].as_str().unwrap();
            let commit = uses.split('@').nth(1).unwrap();
            assert!(commit.len() == 40, "{uses} is not pinned");
            continue;
        };
        assert!(!script.contains("${{"), "an input in a script is a hole: {script}");
        let mut env: BTreeMap<String, String> = step["env"]
            .as_mapping()
            .unwrap()
            .iter()
            .map(|(name, given)| {
                let given = value(given.as_str().unwrap(), &action["inputs"]);
                (name.as_str().unwrap().to_owned(), given)
            })
            .collect();
        env.insert("GITHUB_STEP_SUMMARY".into(), summary.display().to_string());
        env.insert("GITHUB_OUTPUT".into(), outputs.display().to_string());
        said += &bash(project, host, script, &env);
    }
    let outputs = fs::read_to_string(outputs).unwrap_or_default();
    let outputs = outputs.lines().filter_map(|line| line.split_once('='));
    let outputs = outputs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    (said, outputs)
}

#[test]
fn the_steps_of_the_action_restore_build_and_save() {
    let (one, other) = (engine("28.5"), engine("26.1"));
    let project = project(&one);
    project.write("run.sh", "echo kept >> /c/file; echo state $(cat /c/file)\n");
    let (said, outputs) = act(&project, &one, "");
    assert!(said.contains("nothing is saved") && !said.contains("::warning"), "{said}");
    let key = &outputs["key"];
    assert!(key.starts_with("mounts-Linux-X64-locks-bases-") && key.len() == 45, "{key}");
    let summary = fs::read_to_string(project.dir().join("summary.md")).unwrap();
    assert!(summary.contains("### Cache mounts") && summary.contains("saved"), "{summary}");
    // A new runner begins with what the first one had.
    let (said, _) = act(&project, &other, "");
    assert!(said.contains("state kept kept"), "{said}");
}

#[test]
fn the_action_uses_a_registry_where_one_is_named() {
    let (one, other) = (engine("28.5"), engine("26.1"));
    let registry = Registry::open();
    let place = format!("{}/mounts", registry.address());
    let project = project(&one);
    project.write("run.sh", "echo kept >> /c/file; echo state $(cat /c/file)\n");
    let (said, outputs) = act(&project, &one, &place);
    let absent = said.matches("nothing is saved in ").count();
    assert!(absent == 2 && !said.contains("::warning"), "{said}");
    assert_eq!(outputs.get("key"), None, "nothing for the cache of GitHub");
    assert!(!project.dir().join(".doc2md-docker-cache").exists());
    let (said, _) = act(&project, &other, &place);
    assert!(said.contains("state kept kept") && said.contains(":X64-main"), "{said}");
}

/// Runs the job of the template on two engines, for branches that are protected and others.
fn runs_of_the_template(registry: &str) -> (Project, String) {
    let (one, other) = (engine("28.5"), engine("26.1"));
    let project = project(&one);
    project.write("run.sh", "echo kept >> /c/file; echo state $(cat /c/file)\n");
    let template = read(TEMPLATE);
    let job = &template[".cached-build"];
    let run = |host: &Engine, is_protected: &str| {
        let mut env: BTreeMap<String, String> = job["variables"]
            .as_mapping()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str().unwrap().into(), value.as_str().unwrap().into()))
            .collect();
        env.insert("CI_COMMIT_REF_PROTECTED".into(), is_protected.into());
        env.insert("CACHE_REGISTRY".into(), registry.into());
        env.insert("CI_COMMIT_REF_NAME".into(), "fix/one".into());
        env.insert("CI_DEFAULT_BRANCH".into(), "main".into());
        // One script, as GitLab has it.
        let lines = job["script"].as_sequence().unwrap().iter();
        let script: Vec<&str> = lines.map(|line| line.as_str().unwrap()).collect();
        bash(&project, host, &script.join("\n"), &env)
    };
    let first = run(&one, "false");
    assert_eq!(first.contains("  saved "), registry.is_empty(), "{first}");
    run(&one, "true");
    let said = run(&other, "false");
    assert!(said.contains("state kept kept"), "{said}");
    (project, said)
}

#[test]
fn the_script_of_the_template_restores_builds_and_saves() {
    let (project, _) = runs_of_the_template("");
    assert!(project.dir().join(".doc2md-docker-cache/manifest.json").exists());
}

#[test]
fn the_template_uses_a_registry_where_one_is_named() {
    let registry = Registry::open();
    let (project, said) = runs_of_the_template(&format!("{}/mounts", registry.address()));
    assert!(said.contains("nothing is saved in") && said.contains("-main"), "{said}");
    assert!(!project.dir().join(".doc2md-docker-cache").exists());
}
