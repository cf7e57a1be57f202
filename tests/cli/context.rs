//! `context`: what builds send, of real trees.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

fn project() -> TempDir {
    let folder = TempDir::with_prefix("d2m-context-").unwrap();
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        "compose.yaml",
        "services:\n  api: {build: .}\n  docs: {build: {context: ., dockerfile_inline: \"FROM x\\nCOPY docs /d\\n\"}}\n  \
         far: {build: https://example.com/x.git}\n  redis: {image: redis}\n",
    );
    write("Dockerfile", "FROM x\nCOPY api /app\n");
    write(".dockerignore", "**/*.bin\n");
    write("api/main.py", "12345");
    write("api/model.bin", "1234567890");
    write("docs/a.md", "123");
    folder
}

fn run(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("doc2md-docker").unwrap();
    command.current_dir(folder).env_clear().env("HOME", folder).arg("context").args(args);
    command
}

fn document(folder: &Path, args: &[&str]) -> Value {
    let output = run(folder, args).assert().success().get_output().stdout.clone();
    serde_json::from_slice(&output).unwrap()
}

#[test]
fn each_service_sends_what_its_dockerfile_reads() {
    let folder = project();
    let listed = document(folder.path(), &["ls", "--format", "json", "api", "docs"]);
    let sent: Vec<_> = listed["contexts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["service"].as_str().unwrap(), it["sent"]["bytes"].as_u64().unwrap()))
        .collect();
    assert_eq!(sent, [("api", 5), ("docs", 3)]);
    assert_eq!(listed["contexts"][1]["parts"][0]["readers"][0]["file"], "dockerfile_inline");
    let table = run(folder.path(), &["ls", "api"]).assert().success().get_output().stdout.clone();
    let table = String::from_utf8(table).unwrap();
    assert!(table.contains("api: sends 5 B in 1 file from .; .dockerignore lets"), "{table}");
    assert!(table.contains("api/  Dockerfile:2"), "{table}");
}

#[test]
fn a_path_is_explained_wherever_it_is_named_from() {
    let folder = project();
    let api = folder.path().join("api");
    let shown = run(&api, &["explain", "model.bin", "api"]).assert().success();
    let shown = String::from_utf8(shown.get_output().stdout.clone()).unwrap();
    assert!(shown.contains("api: api/model.bin is not sent\n"), "{shown}");
    assert!(shown.contains(".dockerignore:1 `**/*.bin` leaves it out"), "{shown}");
    let told = document(folder.path(), &["explain", "--format", "json", "./docs/../api/main.py"]);
    let sent: Vec<_> = told["answers"].as_array().unwrap().iter().map(|it| &it["sent"]).collect();
    assert_eq!(sent, [&Value::from(true), &Value::from(false)]);
}

#[test]
fn what_cannot_be_told_is_an_error() {
    let folder = project();
    let fails = |args: &[&str], code: i32, words: &str| {
        let output = run(folder.path(), args).assert().code(code).get_output().stderr.clone();
        let text = String::from_utf8(output).unwrap();
        assert!(text.contains(words), "{text}");
    };
    fails(&["explain", "/etc/passwd", "api"], 2, "lies in no context");
    fails(&["ls", "nobody"], 2, "nobody");
    fails(&["ls", "-d", "0"], 2, "at least 1");
    fs::write(folder.path().join(".dockerignore"), "[a\n").unwrap();
    fails(&["ls", "api"], 5, ".dockerignore:1");
    fs::remove_file(folder.path().join("Dockerfile")).unwrap();
    fails(&["ls", "api"], 5, "Dockerfile");
}
