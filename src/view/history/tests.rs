//! What is remembered, as it is shown.
#![allow(clippy::unwrap_used)]

use jiff::SignedDuration;

use super::*;
use crate::explain::explain;
use crate::history::copied::{Collector, CopyEntry};
use crate::history::{
    BaseImage, BuildId, CopiedFiles, Entry, Inputs, LastOutput, Resources, StopReason,
};
use crate::terminal::control::{Colours, harmless};
use crate::test_history::{build, epoch, step};
use crate::view::schema_check::faults;
use crate::view::timeline::Timeline;

fn plain(text: &str) -> String {
    text.lines().map(|line| harmless(line, Colours::Drop) + "\n").collect()
}

/// Four builds: cold, cached, failed, and one with another argument; the newest first.
fn entries() -> Vec<Entry> {
    let base = "[1/3] FROM docker.io/library/python:3.12";
    let pip = "[2/3] RUN pip install --requirement requirements.txt --no-cache-dir --quiet";
    let copy = "[3/3] COPY api /app/api";
    let steps = |results: [(StepResult, f64); 3]| {
        let steps = [base, pip, copy].into_iter().zip(results);
        steps.map(|(name, (result, seconds))| step(name, result, seconds)).collect()
    };
    let cold = steps([(StepResult::Ran, 3.0), (StepResult::Ran, 61.5), (StepResult::Ran, 0.1)]);
    let cached =
        steps([(StepResult::Cached, 0.0), (StepResult::Cached, 0.0), (StepResult::Cached, 0.0)]);
    let failed =
        steps([(StepResult::Cached, 0.0), (StepResult::Failed, 9.0), (StepResult::NotRun, 0.0)]);
    let again =
        steps([(StepResult::Cached, 0.0), (StepResult::Ran, 12.25), (StepResult::Ran, 0.2)]);
    let mut last = build(20, Outcome::Succeeded, again);
    last.engine.version = "28.5.2".to_owned();
    last.targets[0].size_bytes = Some(256_500_000);
    last.targets[0].inputs = Inputs {
        args: [("V".to_owned(), "2".to_owned())].into(),
        bases: vec![BaseImage {
            reference: "python:3.12".into(),
            digest: Some("sha256:1".into()),
            layers: None,
        }],
        ..Inputs::default()
    };
    let mut entries = vec![
        last,
        build(9, Outcome::Failed, failed),
        build(2, Outcome::Succeeded, cached),
        build(70, Outcome::Succeeded, cold),
    ];
    for (entry, hours) in entries.iter_mut().zip([70, 69, 20, 1]) {
        entry.started = epoch() + SignedDuration::from_hours(hours);
        entry.targets[0].started = Some(entry.started);
        entry.targets[0].finished =
            Some(entry.started + SignedDuration::from_secs_f64(entry.seconds));
        entry.id = BuildId::new(entry.started, "0000");
    }
    entries
}

#[test]
fn builds_are_listed_with_what_each_target_took() {
    let entries = entries();
    let now = epoch() + SignedDuration::from_hours(71);
    let text = plain(&list(&entries, now, 80, true));
    insta::assert_snapshot!(text);
    let ascii = list(&entries, now, 80, false);
    assert!(ascii.is_ascii());
    for columns in [40, 60, 80, 200] {
        let text = plain(&list(&entries, now, columns, true));
        assert!(text.lines().all(|line| format::width(line) <= columns), "{columns}:\n{text}");
    }
    let document: serde_json::Value = serde_json::from_str(&list_json("p", &entries)).unwrap();
    assert_eq!(document["schema"], "doc2md-docker/history/v1");
    assert_eq!(document["builds"][0]["targets"][0]["steps"], 3);
    assert_eq!(document["builds"][0]["cached"], 1);
    assert_eq!(document["builds"][1]["outcome"], "failed");
}

#[test]
fn a_build_is_shown_with_its_steps() {
    let entries = entries();
    let now = epoch() + SignedDuration::from_hours(71);
    insta::assert_snapshot!("show", plain(&show(&entries[0], now, 80)));
    insta::assert_snapshot!("show_failed", plain(&show(&entries[1], now, 80)));
    let mut failed = entries[1].clone();
    let lines = ["Collecting \u{1b}[1mtorch\u{1b}[0m\u{1b}[2J", "", "ERROR: no such version"];
    let lines = lines.map(str::to_owned).into();
    failed.targets[0].steps[1].output = Some(LastOutput { lines, left_out: 1204 });
    let text = plain(&show(&failed, now, 80));
    insta::assert_snapshot!(text.split_once("last ").unwrap().1, @r"
    output of [2/3] RUN pip install --requirement requirements.txt --no-cac...:
      | (1204 lines before)
      | Collecting torch
      |
      | ERROR: no such version
    error: exit code: 1
    ");
    let mut sampled = entries[0].clone();
    sampled.targets[0].steps[1].resources = Some(Resources {
        cpu_seconds: 9.31,
        peak_memory_bytes: Some(412_000_000),
        read_bytes: None,
        written_bytes: Some(96_000_000),
    });
    let steps = |text: String| text.split_once("Dockerfile\n").unwrap().1.to_owned();
    insta::assert_snapshot!(steps(plain(&show(&sampled, now, 100))), @r"
    STEP                                       LINE  RESULT   TIME  BYTES   CPU    MEMORY  READ  WRITTEN
    [1/3] FROM docker.io/library/python:3.12      1  CACHED   0.0s      -     -         -     -        -
    [2/3] RUN pip install --requirement re...     2  run     12.3s      -  9.3s  412.0 MB     -  96.0 MB
    [3/3] COPY api /app/api                       3  run      0.2s      -     -         -     -        -
    ");
    for columns in [40, 50, 80] {
        let text = plain(&show(&sampled, now, columns));
        assert!(text.lines().all(|line| format::width(line) <= columns), "{columns}:\n{text}");
        // Processor time stays the longest.
        assert!(text.contains(" 9.3s"), "{columns}:\n{text}");
    }
    for columns in [40, 60, 200] {
        let text = plain(&show(&entries[1], now, columns));
        assert!(text.lines().all(|line| format::width(line) <= columns), "{columns}:\n{text}");
    }
}

#[test]
fn two_builds_stand_side_by_side() {
    let entries = entries();
    let both = Comparison::between(&entries[3], &entries[0]);
    insta::assert_snapshot!(plain(&comparison(&both, 80)));
    for columns in [40, 60, 200] {
        let text = plain(&comparison(&both, columns));
        assert!(text.lines().all(|line| format::width(line) <= columns), "{columns}:\n{text}");
    }
    let document: serde_json::Value = serde_json::from_str(&document(&both)).unwrap();
    assert_eq!(document["targets"][0]["steps"][1]["a"]["result"], "ran");
    assert_eq!(document["targets"][0]["steps"][1]["b"]["seconds"], 12.25);
    // Why steps ran in the later one, each by its place among those that are compared.
    let explained = Comparison::between(&entries[3], &entries[0])
        .explained(explain(&entries[0], &[entries[1].clone(), entries[3].clone()]));
    let text = plain(&comparison(&explained, 220));
    let why = text.lines().last().unwrap();
    let because = " (Dockerfile:2) ran, 12.3s, because the engine no longer has its result";
    assert!(why.contains(because) && why.ends_with("; 1 step followed, 0.2s"), "{why}");
    let explained: serde_json::Value = serde_json::from_str(&super::document(&explained)).unwrap();
    let steps = &explained["targets"][0]["steps"];
    assert!(steps[0]["cause"].is_null(), "{steps:#}");
    assert_eq!(steps[1]["cause"]["kind"], "record-gone", "{steps:#}");
    assert_eq!(
        steps[2]["cause"],
        serde_json::json!(
            {"kind": "earlier-step", "certain": true, "because_of_step": 1}
        )
    );
    // A target that only one of them has.
    let mut other = entries[0].clone();
    other.targets[0].service = "worker".to_owned();
    let both = Comparison::between(&entries[3], &other);
    let text = plain(&comparison(&both, 80));
    assert!(text.contains("\nworker  ") && text.contains("\napi  "), "{text}");
}

#[test]
fn documents_are_what_their_schemas_say() {
    let listed = list_json("p", &entries());
    assert_eq!(faults(include_str!("../../../docs/history.schema.json"), &listed), None);
    let mut all = entries();
    all[0].targets[0].steps[2].files = copied([("api/main.py".to_owned(), 3)]);
    all[0].targets[0].inputs.no_cache = true;
    all[1].stopped = Some(StopReason::TargetFailed);
    all[1].targets[0].steps[1].output =
        Some(LastOutput { lines: vec!["a".to_owned()], left_out: 3 });
    all[2].targets[0].same_as = Some("worker".to_owned());
    let schema = include_str!("../../../docs/ledger.schema.json");
    for entry in &all {
        assert_eq!(faults(schema, &document(entry)), None);
    }
    all[3].targets[0].steps[2].files = copied([("api/old.py".to_owned(), 3)]);
    let mut other = all[0].clone();
    other.targets[0].service = "worker".to_owned();
    let schema = include_str!("../../../docs/history-compare.schema.json");
    for later in [&all[0], &other] {
        let both = Comparison::between(&all[3], later);
        assert_eq!(faults(schema, &document(&both)), None);
        let explained = both.explained(explain(later, &all[1..]));
        assert_eq!(faults(schema, &document(&explained)), None);
    }
}

/// Files of a COPY by name and size.
fn copied(files: impl IntoIterator<Item = (String, u64)>) -> Option<CopiedFiles> {
    let mut collector = Collector::default();
    for (path, size) in files {
        let covered = CopyEntry { mtime: 1, path: path.into(), mode: 0o644, size, digest: None };
        collector.add(covered);
    }
    Some(collector.finish())
}

#[test]
fn files_of_a_copy_that_differ_are_named() {
    let entries = entries();
    let (mut a, mut b) = (entries[3].clone(), entries[0].clone());
    let of =
        |files: &[(&str, u64)]| copied(files.iter().map(|(path, size)| ((*path).into(), *size)));
    a.targets[0].steps[2].files = of(&[("api/main.py", 10), ("api/old.py", 3), ("api/same.py", 1)]);
    b.targets[0].steps[2].files =
        of(&[("api/main.py", 12), ("api/n\u{1b}[2Jew.py", 3), ("api/same.py", 1)]);
    let both = Comparison::between(&a, &b);
    let text = plain(&comparison(&both, 80));
    for line in ["changed: api/main.py\n", "new: api/new.py\n", "removed: api/old.py\n"] {
        assert!(text.contains(line), "{text}");
    }
    assert!(!text.contains("same.py"), "{text}");
    let document: serde_json::Value = serde_json::from_str(&document(&both)).unwrap();
    let files = &document["targets"][0]["steps"][2]["files"];
    assert_eq!(files["changed"], serde_json::json!(["api/main.py"]));
    assert_eq!((&files["a_bytes"], &files["b_bytes"]), (&14.into(), &16.into()));
    assert!(document["targets"][0]["steps"][1]["files"].is_null());
    // Many are counted; what is not listed is told by its sum.
    b.targets[0].steps[2].files = copied((0..30).map(|n| (format!("api/{n:02}.py"), 1)));
    let text = plain(&comparison(&Comparison::between(&a, &b), 80));
    assert!(text.contains("new: api/07.py\nand 25 more\n"), "{text}");
    let many =
        |size: u64| copied((0..900).map(|n| (format!("{n:04}.py"), if n == 0 { size } else { 1 })));
    (a.targets[0].steps[2].files, b.targets[0].steps[2].files) = (many(1), many(2));
    let text = plain(&comparison(&Comparison::between(&a, &b), 80));
    assert!(text.contains("changed: 900 files of 900 B to 900 files of 901 B (COPY"), "{text}");
}

#[test]
fn what_drives_a_terminal_does_nothing() {
    let mut entry = entries().remove(0);
    entry.targets[0].steps[1].instruction = "RUN \u{1b}[2J\u{1b}]0;x\u{7}\r\nmake".to_owned();
    entry.targets[0].service = "a\u{1b}[31mpi".to_owned();
    let now = epoch();
    let texts = [
        list(&[entry.clone()], now, 80, true),
        show(&entry, now, 80),
        comparison(&Comparison::between(&entry, &entry), 80),
    ];
    for text in texts {
        for hostile in ["\u{1b}[2J", "\u{1b}]0", "\u{1b}[31m", "\r"] {
            assert!(!text.contains(hostile), "{text:?}");
        }
    }
}

#[test]
fn a_remembered_build_becomes_a_timeline() {
    let entry = entries().remove(0);
    let timeline = Timeline::of_entry(&entry);
    assert_eq!((timeline.lanes.len(), timeline.lanes[0].steps.len()), (1, 3));
    assert_eq!(timeline.lanes[0].span, Some((0.0, 20.0)));
    assert!(crate::view::timeline::page::page(&timeline).contains("COPY api"));
}
