//! What recorded builds took with cache mounts, from the history.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::value::StepRun;
use crate::history::{Entry, StepEntry, StepResult, Store, TargetEntry};

/// Builds that are read at most.
const BUILDS: usize = 100;

/// The steps with cache mounts that ran in the newest builds of a project, on the engine with the id `engine`; on any, where
/// that is empty. What cannot be read is as if it was not there: then what a mount is worth is not known.
pub fn step_runs(ledger: Option<&Path>, project: &str, engine: &str) -> Vec<StepRun> {
    let entries = ledger.and_then(|folder| Store::open(folder).newest(project, BUILDS).ok());
    let entries = entries.map(|(entries, _)| entries).unwrap_or_default();
    let here = |entry: &&Entry| engine.is_empty() || entry.engine.id == engine;
    entries.iter().filter(here).flat_map(runs_of).collect()
}

fn runs_of(entry: &Entry) -> impl Iterator<Item = StepRun> + '_ {
    let steps = entry.targets.iter().flat_map(|target| {
        target
            .steps
            .iter()
            .map(move |step| (target, step))
            .filter(|(_, step)| step.result == StepResult::Ran && !step.cache_mounts.is_empty())
    });
    steps.map(|(target, step)| StepRun {
        build: entry.id.to_string(),
        step: name(target, step),
        mounts: step.cache_mounts.iter().map(|mount| mount.engine_id.clone()).collect(),
        intervals: step.intervals.iter().map(|it| (it.started, it.completed)).collect(),
        seconds: step.seconds,
    })
}

/// What is the same for a step in every build, without its words: a manifest goes to places that history does not.
fn name(target: &TargetEntry, step: &StepEntry) -> String {
    let words = format!("{}\n{:?}\n{}", target.service, step.stage, step.instruction);
    hex::encode(&Sha256::digest(words)[..8])
}
