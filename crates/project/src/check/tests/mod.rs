//! Changes as they are applied and shown. Rules are tested on whole projects: tests/cli/check.rs, tests/checks.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use super::edit::{Edit, apply, by_file, difference};
use super::subject::{Project, Service};
use super::*;

#[test]
fn edits_keep_line_ends_and_show_what_they_change() {
    let text = "a\r\nb\r\nc\r\nd\r\ne\r\nf\r\ng";
    let edits = [
        Edit::new(3..4, "B"),
        Edit::new(6..6, "new\n"),
        Edit::new(text.len()..text.len(), "\nh\n"),
    ];
    assert_eq!(apply(text, &edits), "a\r\nB\r\nnew\r\nc\r\nd\r\ne\r\nf\r\ng\r\nh\r\n");
    let lines = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n";
    let edits = [Edit::new(0..1, "one"), Edit::new(lines.len()..lines.len(), "11\n")];
    insta::assert_snapshot!(difference("f", lines, &edits), @"
    --- a/f
    +++ b/f
    @@ -1,3 +1,3 @@
    -1
    +one
     2
     3
    @@ -9,2 +9,3 @@
     9
     10
    +11
    ");
    insta::assert_snapshot!(difference("f", "", &[Edit::new(0..0, "**/.git\n")]), @"
    --- /dev/null
    +++ b/f
    @@ -0,0 +1,1 @@
    +**/.git
    ");
    insta::assert_snapshot!(difference("f", "a", &[Edit::new(1..1, "\nb\n")]), @r"
    --- a/f
    +++ b/f
    @@ -1,1 +1,2 @@
    -a
    \ No newline at end of file
    +a
    +b
    ");
}

fn service(text: &str) -> Service {
    let path = Some("/p/Dockerfile".into());
    Service {
        name: "app".into(),
        file: "Dockerfile".into(),
        path,
        text: text.into(),
        ..Service::default()
    }
}

fn checked(text: &str) -> Vec<Finding> {
    let services = vec![service(text)];
    findings(&Project { services, ..Project::default() })
}

#[test]
fn of_two_changes_at_one_place_the_first_is_made() {
    let mut all = checked("FROM python:3.12\nRUN pip install --no-cache-dir a==1\n");
    all.extend(all.clone());
    let files = by_file(&all);
    assert_eq!(files.values().map(Vec::len).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_cost_is_the_median_of_the_builds_in_which_a_step_ran() {
    let text = "FROM python:3.12-slim\nCOPY . .\nRUN  pip install \\\n  -r r.txt\n";
    let build = |line, seconds, export_seconds| subject::RecordedBuild {
        steps: vec![subject::RecordedStep {
            line,
            instruction: "RUN pip install   -r r.txt".into(),
            seconds,
        }],
        export_seconds,
    };
    let recorded = vec![
        build(Some(3), 10.0, 1.0),
        build(None, 30.0, 1.0),
        build(Some(9), 500.0, 0.0),
        build(Some(3), 20.0, 2.0),
    ];
    let services = vec![Service { recorded, ..service(text) }];
    let all = findings(&Project { services, ..Project::default() });
    let cost = &all.iter().find(|it| it.rule == "code-before-requirements").unwrap().cost;
    // A step is known by its line while the file is as it was, and by its words afterwards.
    assert_eq!((cost.builds, cost.recorded_builds), (Some(3), Some(4)));
    assert_eq!((cost.seconds, cost.total_seconds), (Some(22.0), Some(64.0)));
    // Of an even number the middle of the two in the middle; without the export for what writes nothing more.
    let recorded = vec![build(Some(3), 10.0, 1.0), build(Some(3), 30.0, 1.0)];
    let services = vec![Service { recorded, ..service(text) }];
    let all = findings(&Project { services, ..Project::default() });
    let cost = &all.iter().find(|it| it.rule == "no-cache-mount").unwrap().cost;
    assert_eq!((cost.seconds, cost.total_seconds), (Some(20.0), Some(40.0)));
    assert_eq!(checked(text)[0].cost, Cost::default());
}

#[test]
fn findings_of_services_with_one_dockerfile_are_told_once() {
    let text = "FROM python:3.12-slim\nARG API_TOKEN\n";
    let other = Service { name: "worker".into(), ..service(text) };
    let project = Project { services: vec![service(text), other], ..Project::default() };
    let all = findings(&project);
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].services, ["app", "worker"]);
}

#[test]
fn answers_of_the_frontend_become_findings() {
    let json = r#"{"warnings": [{"ruleName": "StageNameCasing", "description": "Stage names should be lowercase",
        "url": "https://docs.docker.com/go/dockerfile/rule/stage-name-casing/", "detail": "Stage name 'A' should be lowercase",
        "location": {"ranges": [{"start": {"line": 2}, "end": {"line": 3}}]}}],
        "buildError": {"message": "no such stage", "location": {"ranges": null}}}"#;
    let all = of_lint(json, "api", "D").unwrap();
    let places: Vec<_> =
        all.iter().map(|it| (it.rule.as_str(), it.spot.line, it.spot.end_line)).collect();
    assert_eq!(places, [("StageNameCasing", 2, 3), ("cannot-be-built", 1, 1)]);
    assert_eq!(all[0].message, "Stage name 'A' should be lowercase");
    assert_eq!(of_lint("{\"warnings\": null}", "api", "D"), Some(vec![]));
    assert_eq!(of_lint("no", "api", "D"), None);
}

proptest::proptest! {
    /// Whatever a file holds: findings within it and changes that can be made, never a panic.
    #[test]
    fn any_text_is_looked_at(parts in proptest::collection::vec(0_usize..30, 0..20)) {
        const PARTS: [&str; 30] = [
            "\u{feff}", "\n", "\r\n", "\\\n", "# c\n", "FROM é AS b\n", "FROM python:3.12\n", "COPY . .\n", "COPY --from=b x /y\n",
            "RUN <<EOF\n", "EOF\n", "RUN [\"pip\", \"install\", \"a\"]\n", "RUN ", "pip install --no-cache-dir ", "-r r.txt ", "&& ",
            "rm -rf /var/lib/apt/lists/* ", "apt-get install x ", "--mount=type=cache,target=/var/lib/apt ", "ENV A_TOKEN=\"x\n",
            "ARG é\n", "'", "\"", "$(", ")", "https://a:b@c ", "uv pip install \\", "ONBUILD ", "# escape=`\n", "`\n",
        ];
        let text: String = parts.iter().map(|part| PARTS[*part]).collect();
        let text = text.trim_start_matches('\u{feff}');
        let all = checked(text);
        let lines = text.lines().count().max(1);
        for finding in &all {
            proptest::prop_assert!(finding.spot.line <= lines, "{finding:?}");
        }
        for edits in by_file(&all).values() {
            let _ = (apply(text, edits), difference("D", text, edits));
        }
        let _ = crate::dockerfile::syntax::Syntax::new(text, &BTreeMap::new());
    }
}
