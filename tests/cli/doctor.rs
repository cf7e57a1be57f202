//! `doctor` on machines that lack something; engines are looked at in tests/engine/doctor.rs.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

fn run(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("doc2md-docker").unwrap();
    let socket = format!("unix://{}/none.sock", home.display());
    command.current_dir(home).env_clear().env("HOME", home).env("DOCKER_HOST", socket);
    command.arg("doctor").args(args);
    command
}

fn findings(home: &Path, path: &str) -> Vec<(String, String, String)> {
    let output = run(home, &["--format", "json"]).env("PATH", path).assert().code(3);
    let document: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(document["verdict"], "problem");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings = document["findings"].as_array().unwrap().iter();
    findings.map(|it| (text(&it["check"]), text(&it["verdict"]), text(&it["message"]))).collect()
}

#[test]
fn an_engine_that_is_not_there_hides_nothing_else() {
    let home = TempDir::with_prefix("d2m-doctor-").unwrap();
    fs::create_dir(home.path().join(".docker")).unwrap();
    let config = r#"{"credsStore": "none", "credHelpers": {"quay.io": "there"}, "auths": 5}"#;
    fs::write(home.path().join(".docker/config.json"), config).unwrap();
    let bin = home.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let helper = bin.join("docker-credential-there");
    fs::write(&helper, "").unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let found = findings(home.path(), bin.to_str().unwrap());
    let says = |check: &str, verdict: &str, text: &str| {
        let is_it = |it: &&(String, String, String)| {
            it.0 == check && it.1 == verdict && it.2.contains(text)
        };
        assert!(found.iter().any(|it| is_it(&it)), "{check} {verdict} {text}: {found:#?}");
    };
    says("engine", "problem", "none.sock");
    says("credentials", "warning", "`auths`");
    says("credentials", "problem", "docker-credential-none, which");
    says("credentials", "fine", "docker-credential-there is there");
    says("history", "fine", "doc2md-docker");
}

#[test]
fn a_bundle_is_the_document_without_secrets() {
    let home = TempDir::with_prefix("d2m-doctor-").unwrap();
    let secret = "eyJhbGciOi-secret";
    let output = run(home.path(), &["--bundle", "report.json"])
        .env("HTTPS_PROXY", format!("http://me:{secret}@proxy:3128"))
        .env(
            "DOCKER_AUTH_CONFIG",
            format!("{{\"auths\": {{\"quay.io\": {{\"auth\": \"{secret}\"}}}}}}"),
        )
        .assert()
        .code(3);
    let bundle = fs::read_to_string(home.path().join("report.json")).unwrap();
    let document: Value = serde_json::from_str(&bundle).unwrap();
    assert_eq!(document["schema"], "doc2md-docker/doctor/v1");
    assert!(!bundle.contains(secret), "{bundle}");
    let told = String::from_utf8_lossy(&output.get_output().stdout).into_owned();
    assert!(told.starts_with("problem  engine"), "{told}");
    let nowhere = run(home.path(), &["--bundle", "none/report.json"]).assert().code(1);
    let error = String::from_utf8_lossy(&nowhere.get_output().stderr).into_owned();
    assert!(error.contains("failed to write none/report.json"), "{error}");
}

#[test]
fn a_state_directory_that_cannot_be_written_is_named() {
    let home = TempDir::with_prefix("d2m-doctor-").unwrap();
    // Nobody may write below a file, root neither.
    let found =
        run(home.path(), &[]).env("DOC2MD_DOCKER_STATE_DIR", "/proc/state").assert().code(3);
    let told = String::from_utf8_lossy(&found.get_output().stdout).into_owned();
    assert!(told.contains("history") && told.contains("/proc"), "{told}");
}
