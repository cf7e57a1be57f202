//! What `--progress` and its variables accept; decided before any engine is asked.
#![allow(clippy::unwrap_used)]

use assert_cmd::Command;
use predicates::str::contains;
use tempfile::TempDir;

/// `build` of a small project whose engine does not exist.
fn build(args: &[&str], variables: &[(&str, &str)]) -> assert_cmd::assert::Assert {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("compose.yaml"), "services: {api: {build: .}}").unwrap();
    std::fs::write(folder.path().join("Dockerfile"), "FROM scratch\n").unwrap();
    let mut command = Command::cargo_bin("doc2md-docker").unwrap();
    command
        .env_clear()
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .envs(variables.iter().copied())
        .arg("build")
        .args(args);
    command.assert()
}

#[test]
fn a_live_view_wants_a_terminal() {
    build(&["--progress", "tty"], &[]).code(2).stderr(contains("not a terminal"));
    build(&[], &[("BUILDKIT_PROGRESS", "tty")]).code(2).stderr(contains("not a terminal"));
}

#[test]
fn a_mode_that_does_not_exist_is_named() {
    build(&[], &[("COMPOSE_PROGRESS", "fancy")]).code(2).stderr(contains("COMPOSE_PROGRESS"));
}

#[test]
fn the_option_beats_the_variables() {
    let assert = build(&["--progress", "plain"], &[("BUILDKIT_PROGRESS", "tty")]);
    assert.code(3).stderr(contains("/nowhere/docker.sock"));
}

#[test]
fn github_actions_reads_no_command_in_an_error() {
    let assert = build(&["-H", "unix:///##[add-mask]x"], &[("GITHUB_ACTIONS", "true")]);
    let stderr = String::from_utf8(assert.code(3).get_output().stderr.clone()).unwrap();
    let lines: Vec<&str> = stderr.lines().collect();
    let token = lines[0].strip_prefix("::stop-commands::").expect(&stderr);
    assert_eq!(*lines.last().unwrap(), format!("::{token}::"), "{stderr}");
}
