//! What recorded builds took with cache mounts, from the history.

use std::collections::BTreeMap;
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

fn runs_of(entry: &Entry) -> Vec<StepRun> {
    let mut runs: BTreeMap<&str, StepRun> = BTreeMap::new();
    for target in &entry.targets {
        let ran =
            |step: &&StepEntry| step.result == StepResult::Ran && !step.cache_mounts.is_empty();
        for step in target.steps.iter().filter(ran) {
            // Targets that have a step in common have one run of it.
            let run = runs.entry(&step.digest).or_insert_with(|| run(entry, step));
            run.names.push(name(target, step));
        }
    }
    let mut runs: Vec<StepRun> = runs.into_values().collect();
    runs.iter_mut().for_each(|run| run.names.sort());
    runs
}

fn run(entry: &Entry, step: &StepEntry) -> StepRun {
    StepRun {
        build: entry.id.to_string(),
        names: Vec::new(),
        mounts: step.cache_mounts.iter().map(|mount| mount.engine_id.clone()).collect(),
        intervals: step.intervals.iter().map(|it| (it.started, it.completed)).collect(),
        seconds: step.seconds,
    }
}

/// What is the same for a step in every build, without its words: a manifest goes to places that history does not.
fn name(target: &TargetEntry, step: &StepEntry) -> String {
    let words = format!("{}\n{:?}\n{}", target.service, step.stage, step.instruction);
    hex::encode(&Sha256::digest(words)[..8])
}
