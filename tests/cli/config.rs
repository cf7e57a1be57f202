//! `config` prints what `docker compose config` prints, as a tree of values.
//!
//! Every folder of `tests/cli/config/` is a project of the corpus (`corpus.rs`) with `expected.yaml`, which compose 2.40.3
//! printed: the project's folder is written as `$DIR`. Where compose is at hand, the projects of both folders are compared with what it prints now.
//!
//! Record with `DOC2MD_RECORD_COMPOSE=1 DOC2MD_TEST_COMPOSE=... cargo test --test cli config_prints_now`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;

use serde_yaml::Value;

use crate::corpus::{Case, cases};

/// What a program's `config` prints, or its complaint.
fn printed(program: &Path, case: &Case, more: &[&str]) -> Result<String, String> {
    let command: Vec<String> = ["config"].iter().chain(more).map(|arg| (*arg).to_owned()).collect();
    case.printed(program, &[&case.options, &command, case.arguments_of("config")].concat())
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
            Some(format!("== {}\n{theirs}{ours}", case.directory.display()))
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
            std::fs::write(case.directory.join("expected.yaml"), case.portable(&text)).unwrap();
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
        let again = case.with_options(&["-f", file.path().to_str().unwrap(), "--profile", "*"]);
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
    assert_eq!(everything.name, "everything");
    assert_eq!(ours(everything, &["--profiles"]).unwrap(), "dbg\n");
    assert!(ours(everything, &["nosuch"]).unwrap_err().contains("no such service: nosuch"));
}
