//! What is printed.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use serde_json::Value;

use super::*;
use crate::check::{Edit, Fix, Source, Spot};
use crate::view::schema_check::faults;

const SCHEMA_TEXT: &str = include_str!("../../../docs/check.schema.json");

fn findings() -> Vec<Finding> {
    let spot = |line| Spot { file: "api/Dockerfile".into(), line, column: 5, end_line: line + 1 };
    let own = Finding {
        rule: "no-cache-mount".into(),
        severity: Severity::Warning,
        source: Source::Own,
        spot: spot(3),
        services: vec!["api".into(), "worker".into()],
        message: "the step has\nno \u{1b}[31mcache mount".into(),
        change: "give it one".into(),
        cost: Cost {
            builds: Some(2),
            recorded_builds: Some(9),
            seconds: Some(41.24),
            total_seconds: Some(80.0),
            bytes: Some(3_000_000),
        },
        fix: Some(Fix { path: "/p/api/Dockerfile".into(), edits: vec![Edit::new(0..0, "x")] }),
        url: None,
    };
    let other = Finding {
        rule: "StageNameCasing".into(),
        severity: Severity::Advice,
        source: Source::BuildKit,
        cost: Cost::default(),
        fix: None,
        url: Some("https://docs.docker.com/go/x".into()),
        ..own.clone()
    };
    let error =
        Finding { rule: "secret-in-url".into(), severity: Severity::Error, ..other.clone() };
    vec![own, other, error]
}

#[test]
fn people_read_place_cost_and_change() {
    let all = findings();
    insta::assert_snapshot!(table(&all[..1], 200), @"
    api/Dockerfile:3:5: warning no-cache-mount [api, worker]
      the step has no cache mount
      cost: 41.2s in 2 of 9 recorded builds, 1m20s together; 3.0 MB
      change: give it one (--fix does it)

    1 warning
    ");
    assert_eq!(table(&[], 80), "nothing found\n");
    assert_eq!(counted(&[all.clone(), all].concat()), "2 errors, 2 warnings, 2 pieces of advice");
}

#[test]
fn the_document_is_what_its_schema_says() {
    assert_eq!(faults(SCHEMA_TEXT, &document("p", &findings(), None)), None);
    assert_eq!(faults(SCHEMA_TEXT, &document("p", &[], Some("no engine"))), None);
    let wrong = document("p", &findings(), None).replace("\"warning\"", "\"bad\"");
    assert!(faults(SCHEMA_TEXT, &wrong).is_some());
}

#[test]
fn a_runner_reads_one_command_a_line() {
    let text = annotations(&findings(), Path::new("/w/p"), Some("/w"));
    insta::assert_snapshot!(text, @"
    ::warning file=p/api/Dockerfile,line=3,endLine=4,col=5,title=no-cache-mount::the step has%0Ano cache mount%0Acost: 41.2s in 2 of 9 recorded builds, 1m20s together; 3.0 MB%0Achange: give it one
    ::notice file=p/api/Dockerfile,line=3,endLine=4,col=5,title=StageNameCasing::the step has%0Ano cache mount%0Achange: give it one
    ::error file=p/api/Dockerfile,line=3,endLine=4,col=5,title=secret-in-url::the step has%0Ano cache mount%0Achange: give it one
    ");
    let mut odd = findings();
    odd[0].spot.file = "../a,b:c%\n::x".into();
    let text = annotations(&odd[..1], Path::new("/w/p"), None);
    assert!(text.starts_with("::warning file=/w/a%2Cb%3Ac%25%0A%3A%3Ax,line=3"), "{text}");
}

#[test]
fn a_log_has_each_rule_once_and_addresses_that_can_be_read() {
    let mut all = findings();
    all.push(Finding {
        spot: Spot { file: "../ü/D".into(), ..all[0].spot.clone() },
        ..all[0].clone()
    });
    let log: Value = serde_json::from_str(&sarif(&all, Path::new("/w/p"))).unwrap();
    let run = &log["runs"][0];
    let rules: Vec<&str> = run["tool"]["driver"]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["id"].as_str().unwrap())
        .collect();
    assert_eq!(rules, ["no-cache-mount", "StageNameCasing", "secret-in-url"]);
    assert_eq!(run["tool"]["driver"]["rules"][1]["helpUri"], "https://docs.docker.com/go/x");
    let levels: Vec<&Value> =
        run["results"].as_array().unwrap().iter().map(|it| &it["level"]).collect();
    assert_eq!(levels, ["warning", "note", "error", "warning"]);
    let uri = |at: usize| {
        run["results"][at]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].clone()
    };
    assert_eq!((uri(0), uri(3)), ("api/Dockerfile".into(), "file:///w/%C3%BC/D".into()));
    assert_eq!(run["results"][3]["ruleIndex"], 0);
}
