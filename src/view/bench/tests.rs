//! The formats, on one report.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::bench::Case;
use crate::bench::model::{Change, EngineReport, Leftover, ProjectReport, Sample, TargetSample};
use crate::view::schema_check::faults;

fn result(project: &str, file: Option<&str>, seconds: [f64; 3]) -> ResultReport {
    let samples = seconds.map(|seconds| Sample {
        seconds,
        sent_bytes: 1200,
        mounts_grew_bytes: Some(5_000_000),
        targets: vec![TargetSample {
            name: "api".into(),
            seconds: seconds - 0.1,
            cached: 8,
            ran: 1,
            image: Some("sha256:ab".into()),
            image_bytes: Some(246_900_000),
            written_bytes: Some(42_960_000),
        }],
    });
    let change = |file: &str| Change {
        targets: vec!["api".into()],
        file: file.into(),
        what: "a comment line at its end".into(),
    };
    ResultReport::new(project, file.map(change).into_iter().collect(), &samples)
}

fn report(projects: &[&str]) -> BenchReport {
    let engine = EngineReport {
        version: "28.5.2".into(),
        api_version: "1.51".into(),
        store: "graphdriver".into(),
        driver: "overlay2".into(),
        architecture: "x86_64".into(),
        operating_system: "Debian GNU/Linux 12 (bookworm)".into(),
        kernel: "6.1.0".into(),
        cpus: Some(2),
        memory_bytes: Some(25_300_000_000),
    };
    let mut report = BenchReport::new("2026-11-25T04:40:00Z".parse().unwrap(), 3, engine);
    let project = |name: &&str| ProjectReport {
        name: (*name).into(),
        directory: "/srv/doc2md".into(),
        targets: vec!["api".into()],
    };
    report.projects = projects.iter().map(project).collect();
    let results = |file: Option<&str>, seconds: [f64; 3]| {
        let result = |(index, name): (usize, &&str)| {
            result(name, file, seconds.map(|seconds| seconds * [1.0, 20.0][index]))
        };
        projects.iter().enumerate().map(result).collect::<Vec<_>>()
    };
    let without =
        projects.iter().map(|name| ResultReport::not_measured(name, "no file was found".into()));
    report.cases = vec![
        CaseReport::new(Case::First, results(None, [74.0, 71.5, 80.0])),
        CaseReport::new(Case::Code, results(Some("api/main.py"), [0.35, 0.33, 0.41])),
        CaseReport::new(Case::Requirement, without.collect()),
    ];
    report.notes = vec!["code change, doc2md: no step ran".into()];
    let left = Leftover { kind: "cache".into(), count: 5, bytes: 11_800_000, why: "in use".into() };
    report.left = vec![left];
    report
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn a_project_by_itself() {
    insta::assert_snapshot!(plain(&table(&report(&["doc2md"]), 100)), @r"
    doc2md: medians of 3 runs
    Docker 28.5.2 (overlay2), x86_64, 2 CPUs, 25.3 GB memory, Debian GNU/Linux 12 (bookworm)

    CASE                        TIME  RANGE
    first build                1m14s  1m11s to 1m20s
    code change                0.35s  0.33s to 0.41s
    requirement change  not measured

    CASE         TARGET   TIME  RANGE           RAN  CACHED  WRITTEN     IMAGE
    first build  api     1m13s  1m11s to 1m19s    1       8  43.0 MB  246.9 MB
    code change  api     0.25s  0.23s to 0.31s    1       8  43.0 MB  246.9 MB

    code change: api/main.py (api): a comment line at its end
    requirement change: not measured: no file was found
    ");
}

#[test]
fn a_project_against_another() {
    insta::assert_snapshot!(plain(&table(&report(&["doc2md", "doc2md-pip"]), 100)), @r"
    doc2md against doc2md-pip: medians of 3 runs
    Docker 28.5.2 (overlay2), x86_64, 2 CPUs, 25.3 GB memory, Debian GNU/Linux 12 (bookworm)

    CASE                        THIS  RANGE                AGAINST  RANGE             RATIO
    first build                1m14s  1m11s to 1m20s        24m40s  23m50s to 26m40s   0.05
    code change                0.35s  0.33s to 0.41s         7.00s  6.60s to 8.20s     0.05
    requirement change  not measured                  not measured                        -

    CASE         PROJECT     TARGET    TIME  RANGE             RAN  CACHED  WRITTEN     IMAGE
    first build  doc2md      api      1m13s  1m11s to 1m19s      1       8  43.0 MB  246.9 MB
    first build  doc2md-pip  api     24m39s  23m49s to 26m39s    1       8  43.0 MB  246.9 MB
    code change  doc2md      api      0.25s  0.23s to 0.31s      1       8  43.0 MB  246.9 MB
    code change  doc2md-pip  api      6.90s  6.50s to 8.10s      1       8  43.0 MB  246.9 MB

    code change: api/main.py (api): a comment line at its end
    requirement change, doc2md: not measured: no file was found
    requirement change, doc2md-pip: not measured: no file was found
    ");
}

#[test]
fn pages() {
    insta::assert_snapshot!(markdown(&report(&["doc2md", "doc2md-pip"])), @r"
    ### doc2md against doc2md-pip: medians of 3 runs

    Docker 28.5.2 (overlay2), x86&#95;64, 2 CPUs, 25.3 GB memory, Debian GNU/Linux 12 (bookworm)

    | case | this | range | against | range | ratio |
    |---|--:|---|--:|---|--:|
    | first build | 1m14s | 1m11s to 1m20s | 24m40s | 23m50s to 26m40s | 0.05 |
    | code change | 0.35s | 0.33s to 0.41s | 7.00s | 6.60s to 8.20s | 0.05 |
    | requirement change | not measured |  | not measured |  | - |

    | case | project | target | time | range | ran | cached | written | image |
    |---|---|---|--:|---|--:|--:|--:|--:|
    | first build | doc2md | api | 1m13s | 1m11s to 1m19s | 1 | 8 | 43.0 MB | 246.9 MB |
    | first build | doc2md-pip | api | 24m39s | 23m49s to 26m39s | 1 | 8 | 43.0 MB | 246.9 MB |
    | code change | doc2md | api | 0.25s | 0.23s to 0.31s | 1 | 8 | 43.0 MB | 246.9 MB |
    | code change | doc2md-pip | api | 6.90s | 6.50s to 8.10s | 1 | 8 | 43.0 MB | 246.9 MB |

    - code change: api/main.py (api): a comment line at its end
    - requirement change, doc2md: not measured: no file was found
    - requirement change, doc2md-pip: not measured: no file was found
    - code change, doc2md: no step ran
    - the benchmark left 5 records of the build cache (11.8 MB): in use
    ");
}

#[test]
fn documents_are_what_their_schema_says() {
    let mut bare = report(&["p"]);
    (bare.engine.cpus, bare.engine.memory_bytes, bare.parallel) = (None, None, Some(1));
    for report in [report(&["doc2md"]), report(&["doc2md", "doc2md-pip"]), bare] {
        let faults = faults(include_str!("../../../docs/bench.schema.json"), &json(&report));
        assert_eq!(faults, None);
    }
}

#[test]
fn nothing_is_wider_than_the_terminal() {
    let mut report = report(&["a-project-with-a-long-name-0123456789", "another-one-0123456789"]);
    report.cases[1].results[0].targets[0].name = "a-target-with-a-long-name-0123456789".into();
    for width in [60, 80] {
        for line in plain(&table(&report, width)).lines() {
            assert!(crate::terminal::format::width(line) <= width, "{width}: {line}");
        }
    }
}

#[test]
fn what_comes_from_elsewhere_is_only_text() {
    let mut report = report(&["p\x1b[2J"]);
    report.cases[1].results[0].changes[0].file = "a|b\x1b[2J`x`".into();
    assert!(!table(&report, 80).contains("\x1b[2J"));
    assert!(markdown(&report).contains("a&#124;b&#96;x&#96;"), "{}", markdown(&report));
}
