//! Replays of recorded builds (`tests/traces`, made by `docker buildx build --progress=rawjson`
//! on the engine each file is named after) through every reporter.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::build::outcome::{BuildFailure, BuiltImage};
use crate::progress::{CancelReason, FailureKind, SolveStatus, TargetInfo};
use crate::ui::control::Colours;
use crate::ui::testing::piped;

mod tty;

const TRACES: &[&str] = &[
    "20.10-cached",
    "20.10-failure",
    "20.10-success",
    "26.1-cached",
    "26.1-failure",
    "26.1-success",
    "28.5-cached",
    "28.5-containerd-warnings",
    "28.5-failure",
    "28.5-success",
];

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

fn failed() -> TargetOutcome {
    TargetOutcome::Failed(BuildFailure {
        kind: FailureKind::Step,
        message: "process \"/bin/sh -c ...\" did not complete successfully: exit code: 3".into(),
        vertex: None,
        excerpt: Some("Dockerfile.fail:4\n   3 | COPY app.txt ./\n   4 | RUN for i in ...".into()),
        place: None,
        hint: Some("the step's own output says more".into()),
    })
}

/// Events of a run whose targets take their statuses from traces, in turns, each at its
/// engine's time since the target's first status.
fn events(targets: &[(&str, &str, TargetOutcome)]) -> Vec<(Event, Duration)> {
    let infos = targets.iter().map(|(name, ..)| info(name)).collect();
    let mut all = vec![(Event::Planned { targets: infos }, Duration::ZERO)];
    for (name, trace_name, outcome) in targets {
        let target = (*name).to_owned();
        let mut at = Duration::from_millis(10);
        all.push((Event::TargetStarted { target: target.clone() }, at));
        let statuses = trace(trace_name);
        let base = statuses.iter().find_map(latest).unwrap();
        for status in statuses {
            if let Some(time) = latest(&status) {
                at = at.max(Duration::try_from(time.duration_since(base)).unwrap_or(at));
            }
            all.push((Event::Status { target: target.clone(), status }, at));
        }
        all.push((Event::TargetFinished { target, outcome: outcome.clone() }, at));
    }
    all.sort_by_key(|(_, at)| *at);
    all
}

/// The clock of a run is not the engine's: only figures the engine gave are kept.
fn replay(reporter: &mut Reporter, events: &[(Event, Duration)]) -> RunSummary {
    for (event, at) in events {
        reporter.handle(event, *at);
    }
    let summary = reporter.summary(events.last().unwrap().1);
    reporter.finish(&summary);
    summary
}

fn show(progress: Progress, targets: &[(&str, &str, TargetOutcome)]) -> (String, String) {
    let (ui, out, err) = piped(Colours::Drop);
    let mut reporter = Reporter::new(progress, ui.clone(), false).unwrap();
    let summary = replay(&mut reporter, &events(targets));
    if let Some(error) = run_error(&summary) {
        ui.error(&error);
    }
    (out.text(), err.text())
}

#[test]
fn rawjson_is_what_buildx_printed_byte_for_byte() {
    for name in TRACES {
        let (out, err) = show(Progress::RawJson, &[("api", name, built("api"))]);
        assert_eq!(out, "", "{name}");
        for (ours, theirs) in err.lines().zip(trace_text(name).lines()) {
            assert_eq!(ours, without_definition(theirs), "{name}");
        }
        assert_eq!(err.lines().count(), trace_text(name).lines().count());
    }
}

/// A recorded line without the build graph in the source of a warning, which is not kept.
fn without_definition(line: &str) -> String {
    if !line.contains("\"definition\"") {
        return line.to_owned();
    }
    let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
    for warning in value["warnings"].as_array_mut().unwrap() {
        warning["sourceInfo"].as_object_mut().unwrap().shift_remove("definition");
    }
    value.to_string()
}

#[test]
fn rawjson_tells_several_targets_by_the_names_of_their_steps() {
    let (_, err) = show(
        Progress::RawJson,
        &[("api", "28.5-cached", built("api")), ("worker", "28.5-cached", built("worker"))],
    );
    for name in [
        "\"name\":\"[api internal] load .dockerignore\"",
        "\"name\":\"[worker build 2/4] WORKDIR /src\"",
        "\"name\":\"[worker] exporting to image\"",
    ] {
        assert!(err.contains(name), "{name}");
    }
    assert!(err.lines().all(|line| serde_json::from_str::<SolveStatus>(line).is_ok()));
}

#[test]
fn quiet_prints_ids_and_the_failure_only() {
    let (out, err) = show(
        Progress::Quiet,
        &[("api", "28.5-success", built("api")), ("worker", "28.5-failure", failed())],
    );
    assert_eq!(out, format!("sha256:{}\n", "0123456789abcdef".repeat(4)));
    assert!(err.starts_with("\nworker [4/5] RUN for i in"), "{err}");
    assert!(err.ends_with("hint: the step's own output says more\n"), "{err}");
}

#[test]
fn plain_success() {
    let (out, err) = show(Progress::Plain, &[("api", "28.5-success", built("api"))]);
    assert_eq!(out, "");
    insta::assert_snapshot!(err, @r#"
    api  [build 1/4] FROM docker.io/doc2md/base:busybox  CACHED
    api  [stage-1 2/4] WORKDIR /app  0.0s
    api  [build 2/4] WORKDIR /src  0.0s
    api  [build 3/4] COPY app.txt ./  0.0s
    api  [build 4/4] RUN echo compiling && sleep 1 && printf '10%%\r50%%\r100%%\n' && cat app.txt > out.tx...  running
    api  [build 4/4] | compiling
    api  [build 4/4] | 100%
    api  [build 4/4] | done
    api  [build 4/4] RUN echo compiling && sleep 1 && printf '10%%\r50%%\r100%%\n' && cat app.txt > out.tx...  1.2s
    api  [stage-1 3/4] COPY --from=build /src/out.txt ./  0.0s
    api  [stage-1 4/4] RUN echo installing; for i in 1 2 3; do echo "line $i"; done; echo warn >&2  running
    api  [stage-1 4/4] | installing
    api  [stage-1 4/4] | line 1
    api  [stage-1 4/4] | warn
    api  [stage-1 4/4] | line 2
    api  [stage-1 4/4] | line 3
    api  [stage-1 4/4] RUN echo installing; for i in 1 2 3; do echo "line $i"; done; echo warn >&2  0.2s
    api  built, 1 cached, 6 run  1.5s

    IMAGE              CACHED  RUN  TIME      SIZE  ID
    doc2md-api:latest       1    6  1.5s  255.3 MB  0123456789ab
    "#);
}

#[test]
fn plain_fully_cached() {
    for name in ["20.10-cached", "26.1-cached", "28.5-cached"] {
        let (_, err) = show(Progress::Plain, &[("api", name, built("api"))]);
        assert!(err.contains("\napi  built, 7 cached, 0 run  0.0s\n"), "{name}: {err}");
        assert_eq!(err.matches("  CACHED\n").count(), 7, "{name}: {err}");
    }
}

#[test]
fn plain_two_targets_one_fails() {
    let (_, err) = show(
        Progress::Plain,
        &[("api", "28.5-cached", built("api")), ("worker", "28.5-failure", failed())],
    );
    insta::assert_snapshot!(err, @r#"
    worker  [1/5] FROM docker.io/doc2md/base:busybox  CACHED
    worker  [2/5] WORKDIR /app  CACHED
    api     [build 1/4] FROM docker.io/doc2md/base:busybox  CACHED
    worker  [3/5] COPY app.txt ./  0.0s
    api     [stage-1 2/4] WORKDIR /app  CACHED
    api     [build 2/4] WORKDIR /src  CACHED
    api     [build 3/4] COPY app.txt ./  CACHED
    api     [build 4/4] RUN echo compiling && sleep 1 && printf '10%%\r50%%\r100%%\n' && cat app.txt > out.tx...  CACHED
    api     [stage-1 3/4] COPY --from=build /src/out.txt ./  CACHED
    api     [stage-1 4/4] RUN echo installing; for i in 1 2 3; do echo "line $i"; done; echo warn >&2  CACHED
    api     built, 7 cached, 0 run  0.0s
    worker  [4/5] RUN for i in $(seq 1 40); do echo "Collecting package-$i"; done; echo "ERROR: No matching d...  running
    worker  [4/5] | Collecting package-1
    worker  [4/5] | Collecting package-2
    worker  [4/5] | Collecting package-3
    worker  [4/5] | Collecting package-4
    worker  [4/5] | Collecting package-5
    worker  [4/5] | Collecting package-6
    worker  [4/5] | Collecting package-7
    worker  [4/5] | Collecting package-8
    worker  [4/5] | Collecting package-9
    worker  [4/5] | Collecting package-10
    worker  [4/5] | Collecting package-11
    worker  [4/5] | Collecting package-12
    worker  [4/5] | Collecting package-13
    worker  [4/5] | Collecting package-14
    worker  [4/5] | Collecting package-15
    worker  [4/5] | Collecting package-16
    worker  [4/5] | Collecting package-17
    worker  [4/5] | Collecting package-18
    worker  [4/5] | Collecting package-19
    worker  [4/5] | Collecting package-20
    worker  [4/5] | Collecting package-21
    worker  [4/5] | Collecting package-22
    worker  [4/5] | ERROR: No matching distribution found for fastapii
    worker  [4/5] | Collecting package-23
    worker  [4/5] | Collecting package-24
    worker  [4/5] | Collecting package-25
    worker  [4/5] | Collecting package-26
    worker  [4/5] | Collecting package-27
    worker  [4/5] | Collecting package-28
    worker  [4/5] | Collecting package-29
    worker  [4/5] | Collecting package-30
    worker  [4/5] | Collecting package-31
    worker  [4/5] | Collecting package-32
    worker  [4/5] | Collecting package-33
    worker  [4/5] | Collecting package-34
    worker  [4/5] | Collecting package-35
    worker  [4/5] | Collecting package-36
    worker  [4/5] | Collecting package-37
    worker  [4/5] | Collecting package-38
    worker  [4/5] | Collecting package-39
    worker  [4/5] | Collecting package-40
    worker  [4/5] RUN for i in $(seq 1 40); do echo "Collecting package-$i"; done; echo "ERROR: No matching d...  FAILED 0.2s
    worker  failed  0.2s

    IMAGE                 CACHED  RUN  TIME      SIZE  ID
    doc2md-api:latest          7    0  0.0s  255.3 MB  0123456789ab
    doc2md-worker:latest       2    2  0.2s         -  failed

    worker [4/5] RUN for i in $(seq 1 40); do echo "Collecting package-$i"; done; echo "ERROR: No matching distribution f...
      | (22 lines left out)
      | ERROR: No matching distribution found for fastapii
      | (3 lines left out)
      | Collecting package-26
      | Collecting package-27
      | Collecting package-28
      | Collecting package-29
      | Collecting package-30
      | Collecting package-31
      | Collecting package-32
      | Collecting package-33
      | Collecting package-34
      | Collecting package-35
      | Collecting package-36
      | Collecting package-37
      | Collecting package-38
      | Collecting package-39
      | Collecting package-40
    error: failed to build worker: process "/bin/sh -c ..." did not complete successfully: exit code: 3
    Dockerfile.fail:4
       3 | COPY app.txt ./
       4 | RUN for i in ...
    hint: the step's own output says more
    "#);
}

#[test]
fn plain_keeps_control_characters_and_raw_bytes_out() {
    let (_, err) = show(Progress::Plain, &[("api", "28.5-containerd-warnings", built("api"))]);
    insta::assert_snapshot!(err, @r#"
    api  [internal] warning: FromAsCasing: 'as' and 'FROM' keywords' casing do not match (line 1)
    api  [1/4] FROM docker.io/doc2md/base:busybox@sha256:77e16632844bcf0968283d216960d52199b3fac29e19f83be...  CACHED
    api  [2/4] WORKDIR /app  0.0s
    api  [3/4] COPY --link app.txt /data/  0.0s
    api  [4/4] RUN echo "日本語のログ <&>" && printf '\033[31mred\033[0m\033[2J\n' && printf 'caf\303\251...  running
    api  [4/4] | 日本語のログ <&>
    api  [4/4] | red
    api  [4/4] | café �
    api  [4/4] RUN echo "日本語のログ <&>" && printf '\033[31mred\033[0m\033[2J\n' && printf 'caf\303\251...  0.2s
    api  built, 1 cached, 3 run  0.4s

    IMAGE              CACHED  RUN  TIME      SIZE  ID
    doc2md-api:latest       1    3  0.4s  255.3 MB  0123456789ab
    "#);
}

#[test]
fn no_line_ends_in_spaces_or_holds_control_characters() {
    for progress in [Progress::Plain, Progress::Quiet] {
        for name in TRACES {
            let outcome = if name.ends_with("failure") { failed() } else { built("api") };
            let (out, err) = show(progress, &[("api", name, outcome)]);
            for line in out.lines().chain(err.lines()) {
                assert_eq!(line, line.trim_end(), "{name}");
                assert!(!line.contains(|c: char| c.is_control()), "{name}: {line:?}");
            }
        }
    }
}

#[test]
fn interrupted_targets_are_cancelled_not_failed() {
    let (ui, out, err) = piped(Colours::Drop);
    let mut reporter = Reporter::new(Progress::Plain, ui.clone(), false).unwrap();
    let events = events(&[
        ("api", "28.5-success", TargetOutcome::Cancelled),
        ("worker", "28.5-cached", TargetOutcome::Cancelled),
    ]);
    for (event, at) in events.iter().take(20) {
        reporter.handle(event, *at);
    }
    let at = Duration::from_secs(1);
    reporter.handle(&Event::Cancelling { reason: CancelReason::Interrupted }, at);
    for target in ["api", "worker"] {
        let outcome = TargetOutcome::Cancelled;
        reporter.handle(&Event::TargetFinished { target: target.into(), outcome }, at);
    }
    let summary = reporter.summary(at);
    reporter.finish(&summary);
    let error = run_error(&summary).unwrap();
    ui.error(&error);
    assert_eq!(error.kind, ExitKind::Interrupted);
    assert_eq!(out.text(), "");
    insta::assert_snapshot!(err.text(), @r"
    stopping: interrupted
    api     cancelled  1.0s
    worker  cancelled  1.0s

    IMAGE                 CACHED  RUN  TIME  SIZE  ID
    doc2md-api:latest          0    0  1.0s     -  cancelled
    doc2md-worker:latest       0    0  1.0s     -  cancelled
    error: interrupted
    ");
}

#[test]
fn a_silent_step_is_announced_once() {
    let (ui, _, err) = piped(Colours::Drop);
    let mut reporter = Reporter::new(Progress::Plain, ui, false).unwrap();
    let name = "[2/2] RUN sleep 60";
    let json = format!(
        r#"{{"vertexes":[{{"digest":"sha256:a","name":"{name}","started":"2026-11-23T10:00:00Z"}}]}}"#
    );
    let status = serde_json::from_str(&json).unwrap();
    reporter.handle(&Event::Planned { targets: vec![info("api")] }, Duration::ZERO);
    reporter.handle(&Event::Status { target: "api".into(), status }, Duration::from_secs(1));
    for second in 1..20 {
        reporter.tick(Duration::from_secs(second));
    }
    assert_eq!(err.text(), "api  [2/2] RUN sleep 60  running\n");
}
