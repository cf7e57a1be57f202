//! Replays of recorded builds (`tests/traces`, each named after its engine) through every reporter.
//! `docker buildx build --progress=rawjson` recorded those of one target that ran to their end, our
//! own rawjson (`scripts/record-traces`) those that were cancelled and those of twelve targets.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::dockerfile::Place;
use crate::progress::outcome::{BuildFailure, BuiltImage, DockerfilePlace};
use crate::progress::{CancelReason, FailureKind, SolveStatus, TargetInfo};
use crate::terminal::control::Colours;
use crate::terminal::testing::piped;

mod ci;
mod places;
mod plain;
mod rawjson;
mod recordings;
mod timeline;
mod tty;

const TRACES: &[&str] = &[
    "20.10-cached",
    "20.10-cancel",
    "20.10-failure",
    "20.10-success",
    "26.1-cached",
    "26.1-cancel",
    "26.1-failure",
    "26.1-success",
    "28.5-cached",
    "28.5-cancel",
    "28.5-containerd-warnings",
    "28.5-failure",
    "28.5-success",
];

const ENGINES: &[&str] = &["20.10", "26.1", "28.5"];

/// The Dockerfile of the `failure` traces.
const FAILING: &str = "FROM doc2md/base:busybox\nWORKDIR /app\nCOPY app.txt ./\nRUN for i in $(seq 1 40); do echo \"Collecting package-$i\"; done; echo \"ERROR: No matching distribution found for fastapii\" >&2; exit 3\nRUN echo never\n";

/// Events of a run, each at its time since the start.
type Events = Vec<(Event, Duration)>;

fn trace_text(name: &str) -> String {
    let path = format!("{}/tests/traces/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn trace(name: &str) -> Vec<SolveStatus> {
    trace_text(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The latest engine time a status mentions.
fn latest(status: &SolveStatus) -> Option<jiff::Timestamp> {
    let vertexes = status.vertexes.iter().flat_map(|vertex| [vertex.started, vertex.completed]);
    let statuses = status.statuses.iter().map(|progress| progress.timestamp);
    let logs = status.logs.iter().map(|log| log.timestamp);
    vertexes.chain(statuses).chain(logs).flatten().max()
}

fn info(name: &str) -> TargetInfo {
    TargetInfo { name: name.into(), image: format!("doc2md-{name}:latest"), same_as: None }
}

fn built(name: &str) -> TargetOutcome {
    TargetOutcome::Built(BuiltImage {
        id: format!("sha256:{}", "0123456789abcdef".repeat(4)),
        size_bytes: Some(255_300_000),
        references: vec![format!("doc2md-{name}:latest")],
        ..BuiltImage::default()
    })
}

/// What the build says of the `failure` traces.
fn failed() -> TargetOutcome {
    let place = Place { line_start: 4, line_end: 4, column: None };
    let file = "/ws/doc2md/Dockerfile.worker";
    let message =
        "`for i in $(seq 1 40); do echo \"Collecting package-$i\"; ...` ended with exit code 3";
    TargetOutcome::Failed(BuildFailure {
        excerpt: Some(crate::dockerfile::excerpt(FAILING, file, place)),
        place: Some(DockerfilePlace { file: file.into(), place }),
        ..BuildFailure::new(FailureKind::Step, message)
    })
}

fn outcome(trace: &str, name: &str) -> TargetOutcome {
    match trace.rsplit('-').next() {
        Some("failure") => failed(),
        Some("cancel") => TargetOutcome::Cancelled,
        _ => built(name),
    }
}

/// Events of a run of targets with the traces they take their statuses from, each at its engine's
/// time since the target's first status.
fn events(targets: &[(&str, &str)]) -> Events {
    let statuses = targets.iter().flat_map(|(name, trace_name)| {
        let statuses = trace(trace_name);
        let base = statuses.iter().find_map(latest).unwrap();
        statuses.into_iter().map(move |status| ((*name).to_owned(), status, base))
    });
    let outcomes = targets.iter().map(|(name, trace)| ((*name).to_owned(), outcome(trace, name)));
    run_of(statuses.collect(), outcomes.collect())
}

/// Events of the run of twelve targets that was recorded on `engine`.
fn twelve(engine: &str) -> Events {
    of_several(&format!("{engine}-twelve"), "mail")
}

/// Events of a recorded run of several targets, of which one `fails`.
fn of_several(name: &str, fails: &str) -> Events {
    #[derive(serde::Deserialize)]
    struct Line {
        target: String,
        status: SolveStatus,
    }
    let text = trace_text(name);
    let lines: Vec<Line> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let base = lines.iter().find_map(|line| latest(&line.status)).unwrap();
    let mut outcomes: Vec<(String, TargetOutcome)> = Vec::new();
    for line in &lines {
        if !outcomes.iter().any(|(name, _)| *name == line.target) {
            let outcome = if line.target == fails { failed() } else { built(&line.target) };
            outcomes.push((line.target.clone(), outcome));
        }
    }
    outcomes.sort_by(|one, other| one.0.cmp(&other.0));
    run_of(lines.into_iter().map(|line| (line.target, line.status, base)).collect(), outcomes)
}

fn run_of(
    statuses: Vec<(String, SolveStatus, jiff::Timestamp)>,
    outcomes: Vec<(String, TargetOutcome)>,
) -> Events {
    let infos = outcomes.iter().map(|(name, _)| info(name)).collect();
    let mut all = vec![(Event::Planned { targets: infos }, Duration::ZERO)];
    for (target, outcome) in outcomes {
        let mut at = Duration::from_millis(10);
        all.push((Event::TargetStarted { target: target.clone() }, at));
        for (_, status, base) in statuses.iter().filter(|(name, ..)| *name == target) {
            if let Some(time) = latest(status) {
                at = at.max(Duration::try_from(time.duration_since(*base)).unwrap_or(at));
            }
            all.push((Event::Status { target: target.clone(), status: status.clone() }, at));
        }
        all.push((Event::TargetFinished { target, outcome }, at));
    }
    all.sort_by_key(|(_, at)| *at);
    all
}

/// A run that is interrupted once everything before has happened, before its targets end.
fn interrupted(mut events: Events) -> Events {
    let last = events.last().unwrap().1;
    let end = events.iter().position(|(event, _)| matches!(event, Event::TargetFinished { .. }));
    let event = Event::Cancelling { reason: CancelReason::Interrupted };
    events.insert(end.unwrap(), (event, last));
    events
}

/// Plays `events` with a tick every 100 ms, as the command does, and looks after each.
fn play(reporter: &mut Reporter, events: &[(Event, Duration)], mut look: impl FnMut()) {
    let tick = Duration::from_millis(100);
    let mut next = tick;
    for (event, at) in events {
        while next < *at {
            reporter.tick(next);
            look();
            next += tick;
        }
        reporter.handle(event, *at);
        look();
    }
}

/// The whole run with its end. The clock of a run is not the engine's: only figures the engine gave
/// are kept.
fn replay(reporter: &mut Reporter, events: &[(Event, Duration)]) -> RunSummary {
    play(reporter, events, || ());
    let summary = reporter.summary(events.last().unwrap().1);
    reporter.finish(&summary);
    summary
}

/// What a run writes to stdout and stderr where neither is a terminal.
fn show(progress: Progress, ci: &Ci, events: &[(Event, Duration)]) -> (String, String) {
    let (ui, out, err) = piped(Colours::Drop);
    let mut reporter = Reporter::new(progress, ui.clone(), ci.clone()).unwrap();
    let summary = replay(&mut reporter, events);
    if let Some(error) = run_error(&summary) {
        ui.error(&error);
    }
    drop(reporter);
    (out.text(), err.text())
}

/// Runs to look at in every way there is to show them: of each engine success, failure, cancel and
/// twelve targets.
fn runs() -> Vec<(String, Events)> {
    let mut all = Vec::new();
    for engine in ENGINES {
        let name = |kind: &str| format!("{engine}-{kind}");
        all.push((name("success"), events(&[("api", &name("success"))])));
        let two = [("api", name("success")), ("worker", name("failure"))];
        all.push((name("failure"), events(&two.each_ref().map(|(a, b)| (*a, b.as_str())))));
        all.push((name("cancel"), interrupted(events(&[("api", &name("cancel"))]))));
        all.push((name("twelve"), twelve(engine)));
    }
    all
}

#[test]
fn quiet_prints_ids_and_the_failure_only() {
    let (out, err) = show(
        Progress::Quiet,
        &Ci::None,
        &events(&[("api", "28.5-success"), ("worker", "28.5-failure")]),
    );
    assert_eq!(out, format!("sha256:{}\n", "0123456789abcdef".repeat(4)));
    assert!(err.starts_with("\nworker [4/5] RUN for i in"), "{err}");
    assert!(err.ends_with("5 | RUN echo never\n"), "{err}");
    // Nothing was shown before: the whole output is.
    assert_eq!(err.matches("| Collecting package-").count(), 40);
}

#[test]
fn every_recorded_run_in_quiet() {
    for (name, events) in runs() {
        let (out, err) = show(Progress::Quiet, &Ci::None, &events);
        insta::assert_snapshot!(format!("quiet-{name}"), format!("{out}--- stderr\n{err}"));
    }
}

#[test]
fn no_line_ends_in_spaces_or_holds_control_characters() {
    for progress in [Progress::Plain, Progress::Quiet] {
        for name in TRACES {
            let (out, err) = show(progress, &Ci::None, &events(&[("api", name)]));
            for line in out.lines().chain(err.lines()) {
                assert_eq!(line, line.trim_end(), "{name}");
                assert!(!line.contains(|c: char| c.is_control()), "{name}: {line:?}");
            }
        }
    }
}
