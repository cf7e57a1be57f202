//! What the user typed may hold a password: messages do not repeat it.
#![allow(clippy::unwrap_used)]

use assert_cmd::Command;
use tempfile::TempDir;

/// What the program prints, with a project whose one service is built as `build` says.
fn printed(build: &str, args: &[&str], variables: &[(&str, &str)]) -> (String, String) {
    let folder = TempDir::new().unwrap();
    let compose = format!("name: p\nservices: {{api: {{build: {build}}}}}\n");
    std::fs::write(folder.path().join("compose.yaml"), compose).unwrap();
    std::fs::write(folder.path().join("Dockerfile"), "FROM scratch\n").unwrap();
    std::fs::write(folder.path().join("config.json"), r#"{"auths": {"r": {"auth": hunter2}}}"#)
        .unwrap();
    let mut command = Command::cargo_bin("doc2md-docker").unwrap();
    command
        .env_clear()
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .envs(variables.iter().copied())
        .args(args);
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn addresses_of_engines_are_shown_without_their_password() {
    for address in [
        "tcp://me:hunter2@build:2375",
        "tcp://me:hunter2@build:port",
        "tcp://me:hunter2/x@build",
        "me:hunter2@build:2375",
        "https://me:hunter2@build/path",
        "ssh://me:hunter2@build",
        "ftp://me:hunter2@build",
    ] {
        for command in ["build", "stats", "clean"] {
            let by_option = printed(".", &["--host", address, command], &[]);
            let by_variable = printed(".", &[command], &[("DOCKER_HOST", address)]);
            for (out, said) in [by_option, by_variable] {
                assert!(
                    said.contains("engine address") && said.contains("***"),
                    "{address}: {said}"
                );
                assert!(!said.contains("hunter2") && !out.contains("hunter2"), "{address}: {said}");
            }
        }
    }
}

#[test]
fn errors_of_every_kind_are_shown_without_what_they_quote() {
    let url = "https://me:hunter2@host.example/x?token=hunter2";
    let with_config = [("DOCKER_CONFIG", ".")];
    for (build, args, variables) in [
        (".", vec!["build", "--nonsense", url], &[][..]),
        (".", vec!["build", "--parallel", url], &[]),
        (".", vec!["build", url], &[]),
        (".", vec!["build", "--progress", url], &[]),
        (".", vec!["build"], &with_config[..]),
        (".", vec!["build"], &[("COMPOSE_PROGRESS", url)]),
        ("{context: ., extra_hosts: ['a=https://me:hunter2@host']}", vec!["build"], &[]),
        ("{context: ., cache_to: ['type=local,x=https://me:hunter2@host']}", vec!["build"], &[]),
        ("{context: ., unknown: 'https://me:hunter2@host'}", vec!["build"], &[]),
        ("{context: ., network: 'https://me:hunter2@host'}", vec!["build"], &[]),
    ] {
        let (out, said) = printed(build, &args, variables);
        assert!(!said.is_empty(), "{args:?}");
        assert!(!said.contains("hunter2") && !out.contains("hunter2"), "{args:?}: {said}");
    }
}

/// Another program reads it, and what is secret in it is what it needs.
#[test]
fn what_is_printed_for_bake_is_as_it_is() {
    let build = "{context: ., args: {INDEX: 'https://me:hunter2@host/simple', TOKEN: hunter3}}";
    let (out, _) = printed(build, &["build", "--print"], &[]);
    assert!(out.contains("https://me:hunter2@host/simple") && out.contains("hunter3"), "{out}");
}
