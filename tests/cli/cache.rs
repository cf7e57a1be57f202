//! `cache`: what it refuses before any engine is asked.
#![allow(clippy::unwrap_used)]

use assert_cmd::Command;
use tempfile::TempDir;

fn run(folder: &TempDir, args: &[&str]) -> (i32, String) {
    let mut command = Command::cargo_bin("doc2md-docker").unwrap();
    command.current_dir(folder.path()).env_clear().env("HOME", folder.path());
    command.env("DOCKER_HOST", "unix:///nowhere/docker.sock").arg("cache").args(args);
    let output = command.output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn wrong_places_and_sizes_are_refused() {
    let folder = TempDir::with_prefix("d2m-cache-").unwrap();
    std::fs::write(folder.path().join("compose.yaml"), "services: {api: {build: .}}\n").unwrap();
    std::fs::write(folder.path().join("Dockerfile"), "FROM x\n").unwrap();
    for (args, code, words) in [
        (&["save"][..], 2, "--to"),
        (&["save", "--to", ""], 2, "names no folder"),
        (&["save", "--to", "type=gha"], 2, "type=local,dest=DIR"),
        (&["save", "--to", "type=registry"], 2, "names no ref"),
        (&["restore", "--from", "type=registry,ref=r.example/x,mode=max"], 2, "mode"),
        (&["save", "--to", "type=local,src=x"], 2, "src"),
        (&["save", "--to", "c", "--max-size", "5"], 2, "has no unit"),
        (&["save", "--to", "c", "--rate", "fast"], 2, "--rate"),
        (&["save", "--to", "c", "--always", "--never", "x"], 3, "/nowhere/docker.sock"),
        (&["restore", "--from", "c", "--force", "--merge"], 2, "cannot be used with"),
        (&["restore", "--from", "type=local,src=c"], 3, "/nowhere/docker.sock"),
        (&["ls", "nothing"], 2, "nothing"),
        (&["ls"], 3, "/nowhere/docker.sock"),
        (&["keep"], 3, "/nowhere/docker.sock"),
        (&["rm"], 2, "<ID>..."),
        (&["rm", "/c"], 3, "/nowhere/docker.sock"),
        (&["export"], 2, "<ID>"),
        (&["export", "/c", "-o", "out.tar"], 3, "/nowhere/docker.sock"),
        (&["import", "/c", "missing.tar"], 1, "failed to read missing.tar"),
        (&["import", "/c", "--force", "--merge"], 2, "cannot be used with"),
    ] {
        let (actual, said) = run(&folder, args);
        assert!(actual == code && said.contains(words), "{args:?}: {actual} {said}");
    }
    assert!(!folder.path().join("c").exists(), "a folder was made for nothing");
}

#[test]
fn a_damaged_manifest_is_told() {
    let folder = TempDir::with_prefix("d2m-cache-").unwrap();
    std::fs::write(folder.path().join("compose.yaml"), "services: {api: {build: .}}\n").unwrap();
    std::fs::create_dir(folder.path().join("c")).unwrap();
    for text in ["", "{\"schema\":\"other/v1\"}", "\u{0}"] {
        std::fs::write(folder.path().join("c/manifest.json"), text).unwrap();
        let (code, said) = run(&folder, &["restore", "--from", "c"]);
        assert!(code == 1 && said.contains("failed to read c/manifest.json"), "{code} {said}");
    }
}
