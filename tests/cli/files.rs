//! Files that are not plain files, and places that cannot be written: told before an engine is asked.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use predicates::str::contains;
use tempfile::TempDir;

/// A project whose engine does not exist.
fn project() -> TempDir {
    let folder = TempDir::with_prefix("d2m-files-").unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("compose.yaml", "services: {api: {build: .}}\n");
    write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    folder
}

fn command(folder: &Path, args: &[&str]) -> assert_cmd::Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doc2md-docker"));
    command
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", folder)
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .args(args);
    assert_cmd::Command::from_std(command)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<_> = entries.map(|it| it.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_place_that_cannot_be_written_is_told_before_the_engine_is_asked() {
    let folder = project();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    symlink("round", folder.path().join("round")).unwrap();
    symlink("none/x", folder.path().join("dangling")).unwrap();
    let before = names(folder.path());
    let long = "x".repeat(300);
    for (option, what) in [
        ("--metadata-file", "the metadata"),
        ("--iidfile", "the image id"),
        ("--timeline", "the timeline"),
        ("--trace", "the trace"),
    ] {
        for (path, why) in [
            ("none/x", "there is no folder none"),
            ("sub", "it is a folder"),
            ("sub/", "it names a folder"),
            ("compose.yaml/x", "Not a directory"),
            ("round", "Too many levels of symbolic links"),
            ("dangling", "there is no folder none"),
            (&long, "File name too long"),
        ] {
            command(folder.path(), &["build", option, path])
                .assert()
                .code(2)
                .stderr(contains(format!("error: {what} cannot be written to {path}")))
                .stderr(contains(why));
        }
        // All is well with the place: the engine is what is missing.
        for path in ["new", "-", "/dev/stdout"] {
            command(folder.path(), &["build", option, path]).assert().code(3).stdout("");
        }
    }
    // Nothing was made, and nothing was left.
    let mut after = names(folder.path());
    after.retain(|name| !name.starts_with(".local"));
    assert_eq!(after, before);
}
