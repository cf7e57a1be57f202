//! Entries for tests.
#![allow(clippy::unwrap_used)]

use jiff::{SignedDuration, Timestamp};

use crate::history::*;

/// When the first build of a test started.
pub(crate) fn epoch() -> Timestamp {
    "2026-11-24T10:00:00Z".parse().unwrap()
}

/// Build `number` of project `p`, which took as many seconds, of the one target `api`.
pub(crate) fn build(number: u32, outcome: Outcome, steps: Vec<StepEntry>) -> Entry {
    let seconds = f64::from(number);
    let started = epoch() + SignedDuration::from_hours(number.into());
    Entry {
        schema: SCHEMA.to_owned(),
        id: BuildId::new(started, "0000"),
        project: "p".to_owned(),
        project_directory: "/srv/p".to_owned(),
        engine: EngineInfo::default(),
        started,
        seconds,
        outcome,
        stopped: None,
        cleaned: None,
        pruned: None,
        collection: Vec::new(),
        targets: vec![TargetEntry {
            service: "api".to_owned(),
            name: "api".to_owned(),
            image: "p-api".to_owned(),
            same_as: None,
            image_id: (outcome == Outcome::Succeeded)
                .then(|| format!("sha256:{}", "0123456789abcdef".repeat(4))),
            size_bytes: (outcome == Outcome::Succeeded).then_some(255_300_000),
            outcome,
            error: (outcome == Outcome::Failed).then(|| "exit code: 1".to_owned()),
            build_ref: None,
            sessions: Default::default(),
            started: Some(started),
            finished: Some(started + SignedDuration::from_secs_f64(seconds)),
            seconds: Some(seconds),
            dockerfile: Some("Dockerfile".to_owned()),
            steps,
            inputs: Inputs::default(),
        }],
    }
}

/// A step that ran (or not) from the start of the first test build on.
pub(crate) fn step(name: &str, result: StepResult, seconds: f64) -> StepEntry {
    let label = crate::progress::StepName::parse(name);
    let completed = epoch() + SignedDuration::from_secs_f64(seconds);
    StepEntry {
        digest: record::sha256(name.as_bytes()),
        name: name.to_owned(),
        instruction: label.instruction,
        stage: label.stage,
        position: label.position,
        line: label.position.map(|(number, _)| number),
        result,
        error: (result == StepResult::Failed).then(|| "exit code: 1".to_owned()),
        intervals: vec![Interval { started: epoch(), completed }],
        seconds,
        bytes: 0,
        resources: None,
        inputs: Vec::new(),
        cache_mounts: Vec::new(),
        files: None,
        written: None,
        settings: Vec::new(),
        contexts: Vec::new(),
        output: None,
    }
}
