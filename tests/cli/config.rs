//! `config` prints what `docker compose config` prints, as a tree of values.
//!
//! Every folder of `tests/cli/config/` is a project like those of `tests/cli/compose/` (see `compose.rs`): `args` holds
//! options and, after a line `config`, services. `expected.yaml` is what compose 2.40.3 printed, with the project's folder
//! written as `$DIR`. Where compose is at hand, the projects of both folders are compared with what it prints now.
//!
//! Record with `DOC2MD_RECORD_COMPOSE=1 DOC2MD_TEST_COMPOSE=... cargo test --test cli config_prints_now`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_yaml::Value;

struct Case {
    name: String,
    directory: PathBuf,
    /// Options before the command, and services after it.
    args: Vec<String>,
    services: Vec<String>,
}

fn cases(folder: &str) -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli").join(folder);
    let mut cases: Vec<Case> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|directory| {
            let lines = lines(&directory.join("args"));
            let mut parts = lines.split(|line| line == "config" || line == "build");
            let args = parts.next().unwrap_or_default().to_vec();
            // Options of `build` are none of `config`.
            let services = parts.next().filter(|_| folder == "config").unwrap_or_default();
            Case {
                name: format!("{folder}/{}", directory.file_name().unwrap().to_string_lossy()),
                services: services.to_vec(),
                args,
                directory,
            }
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

fn lines(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// What a program prints, or its complaint.
fn printed(program: &Path, case: &Case, more: &[&str]) -> Result<String, String> {
    let inner = case.directory.join("cwd");
    let directory = if inner.is_dir() { &inner } else { &case.directory };
    let own = lines(&case.directory.join("env"));
    let stdin = std::fs::File::open(case.directory.join("stdin"));
    let output = Command::new(program)
        .args(&case.args)
        .arg("config")
        .args(more)
        .args(&case.services)
        .current_dir(directory)
        .env_clear()
        .envs([("HOME", "/nonexistent"), ("PATH", "/usr/bin:/bin")])
        .envs(own.iter().map(|line| line.split_once('=').unwrap()))
        .stdin(stdin.map_or_else(|_| Stdio::null(), Stdio::from))
        .output()
        .unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(said(&output.stdout)) } else { Err(said(&output.stderr)) }
}

fn ours(case: &Case, more: &[&str]) -> Result<String, String> {
    printed(Path::new(env!("CARGO_BIN_EXE_doc2md-docker")), case, more)
}

/// The tree, with `$DIR` for the project's folder, without what compose prints that cannot be read again.
fn tree(text: &str, case: &Case) -> Value {
    let text = text.replace(case.directory.to_str().unwrap(), "/dir");
    let text = text.replace(case.directory.parent().unwrap().to_str().unwrap(), "/parent");
    let mut tree: Value =
        serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    for (_, service) in tree["services"].as_mapping_mut().into_iter().flatten() {
        let ssh = service.get_mut("build").and_then(|build| build.get_mut("ssh"));
        if let Some(keys) = ssh.and_then(Value::as_sequence_mut) {
            for key in keys.iter_mut() {
                *key = key.as_str().unwrap().replace(": ", "=").into();
            }
            keys.sort_by_key(|key| key.as_str().unwrap().to_owned());
        }
    }
    tree
}

/// Every value with its path: the order of keys does not count.
fn flat(path: &str, value: &Value, lines: &mut BTreeSet<String>) {
    match value {
        Value::Mapping(map) if !map.is_empty() => {
            for (key, value) in map {
                flat(&format!("{path}.{}", key.as_str().unwrap()), value, lines);
            }
        }
        Value::Sequence(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                flat(&format!("{path}[{index}]"), item, lines);
            }
        }
        other => drop(lines.insert(format!("{path} = {other:?}"))),
    }
}

/// What is only in one of two outputs.
fn difference(case: &Case, more: &[&str], expected: Result<String, String>) -> Option<String> {
    let read = |text: String| {
        let mut lines = BTreeSet::new();
        flat("", &tree(&text, case), &mut lines);
        // compose leaves own keys of services out of JSON, and writes a command that is none.
        let in_json = !more.is_empty();
        lines.retain(|line| !in_json || !line.contains(".x-") && !line.contains(".exec.command"));
        lines
    };
    match (expected.map(read), ours(case, more).map(read)) {
        (Err(_), Err(_)) => None,
        (Ok(expected), Ok(ours)) if expected == ours => None,
        (Ok(expected), Ok(ours)) => {
            let only = |sign: char, one: &BTreeSet<String>, other: &BTreeSet<String>| -> String {
                one.difference(other).map(|line| format!("{sign} {line}\n")).collect()
            };
            let (theirs, ours) = (only('-', &expected, &ours), only('+', &ours, &expected));
            Some(format!("== {}\n{theirs}{ours}", case.name))
        }
        (Err(error), Ok(_)) => Some(format!("== {}: compose refuses: {error}", case.name)),
        (Ok(_), Err(error)) => Some(format!("== {}: refused here: {error}", case.name)),
    }
}

#[test]
fn a_project_is_printed_as_compose_recorded_it() {
    let faults: Vec<String> = cases("config")
        .iter()
        .filter_map(|case| {
            let text = std::fs::read_to_string(case.directory.join("expected.yaml")).unwrap();
            difference(case, &[], Ok(text.replace("$DIR", case.directory.to_str().unwrap())))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_project_is_printed_as_compose_config_prints_now() {
    let compose = crate::real_compose();
    if std::env::var_os("DOC2MD_RECORD_COMPOSE").is_some() {
        for case in cases("config") {
            let text = printed(&compose, &case, &[]).unwrap();
            let text = text.replace(case.directory.to_str().unwrap(), "$DIR");
            std::fs::write(case.directory.join("expected.yaml"), text).unwrap();
        }
    }
    let mut faults = Vec::new();
    for case in cases("config").iter().chain(&cases("compose")) {
        faults.extend(difference(case, &[], printed(&compose, case, &[])));
    }
    for case in &cases("config") {
        let json = ["--format", "json"];
        faults.extend(difference(case, &json, printed(&compose, case, &json)));
        // What is printed is a compose file that means the same, to compose and to this program.
        let text = ours(case, &[]).unwrap();
        let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
        std::fs::write(file.path(), &text).unwrap();
        let again = Case {
            name: format!("{} again", case.name),
            directory: case.directory.clone(),
            args: ["-f", file.path().to_str().unwrap(), "--profile", "*"].map(String::from).into(),
            services: case.services.clone(),
        };
        assert_eq!(ours(&again, &[]), Ok(text), "{}", case.name);
        faults.extend(difference(&again, &[], printed(&compose, &again, &[])));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn json_and_lists_say_the_same() {
    for case in cases("config") {
        let yaml = tree(&ours(&case, &[]).unwrap(), &case);
        let json: Value = tree(&ours(&case, &["--format", "json"]).unwrap(), &case);
        assert_eq!(yaml["volumes"], json["volumes"], "{}", case.name);
        let names = |key: &str| -> Vec<String> {
            let section = yaml[key].as_mapping().cloned().unwrap_or_default();
            let mut names: Vec<String> =
                section.into_iter().map(|(name, _)| name.as_str().unwrap().to_owned()).collect();
            names.sort();
            names
        };
        for key in ["services", "volumes", "networks"] {
            let listed = ours(&case, &[&format!("--{key}")]).unwrap();
            assert_eq!(listed.lines().collect::<Vec<_>>(), names(key), "{} {key}", case.name);
        }
        assert_eq!(ours(&case, &["--images"]).unwrap().lines().count(), names("services").len());
        assert_eq!(ours(&case, &["--quiet"]).unwrap(), "");
    }
    let everything = &cases("config")[1];
    assert_eq!(everything.name, "config/everything");
    assert_eq!(ours(everything, &["--profiles"]).unwrap(), "dbg\n");
    assert!(ours(everything, &["nosuch"]).unwrap_err().contains("no such service: nosuch"));
}
