//! What `bench` refuses before it asks an engine, and that it leaves no copies.
#![allow(clippy::unwrap_used)]

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use predicates::str::contains;
use tempfile::TempDir;

/// `bench` of a project whose engine does not exist.
fn bench(compose: &str, args: &[&str]) -> Assert {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("compose.yaml"), compose).unwrap();
    std::fs::write(folder.path().join("Dockerfile"), "FROM scratch\n").unwrap();
    let temporary = folder.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let mut command = Command::cargo_bin("doc2md-docker").unwrap();
    command
        .env_clear()
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .env("TMPDIR", &temporary)
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .arg("bench")
        .args(args);
    let assert = command.assert();
    assert_eq!(std::fs::read_dir(temporary).unwrap().count(), 0);
    assert
}

const PROJECT: &str = "services: {api: {build: .}}";

#[test]
fn options_that_make_no_sense_are_refused() {
    bench(PROJECT, &["--runs", "0"]).code(2).stderr(contains("--runs"));
    bench(PROJECT, &["--case", "third"]).code(2).stderr(contains("unchanged"));
    bench(PROJECT, &["--against", "nowhere"])
        .code(2)
        .stderr(contains("nowhere: there is no such file or directory"));
}

#[test]
fn there_must_be_something_to_build() {
    bench("services: {redis: {image: redis}}", &[])
        .code(2)
        .stderr(contains("nothing to measure: no service of "));
    bench("services: {api: {build: missing}}", &[])
        .code(5)
        .stderr(contains("missing is not there"));
}

#[test]
fn an_engine_is_needed() {
    bench(PROJECT, &[]).code(3).stderr(contains("/nowhere/docker.sock")).stdout("");
}
