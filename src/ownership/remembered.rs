//! Builds that the ledger remembers, as attribution takes them: all there is to know on engines
//! without a build history.

use jiff::Timestamp;

use super::history::mark_result;
use crate::history::{Entry, Outcome, StepEntry, StepResult, TargetEntry};
use crate::ownership::records::{Build, BuildStep, MountName, Owner, Product, StepEnd};

/// What tells that a build of the ledger and one of the engine's history are the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sign {
    /// What the engine calls it.
    Ref(String),
    /// A step and when it started. Builds that run at the same time share steps: it counts only where the ledger has
    /// no ref.
    Start(String, Timestamp),
}

/// The signs of a build of the ledger.
pub(super) fn signs(build: &Build) -> Vec<Sign> {
    match &build.build_ref {
        Some(build_ref) => vec![Sign::Ref(build_ref.clone())],
        None => starts(build).collect(),
    }
}

/// The signs of a build of the engine's history, by each of which the ledger may know it.
pub(super) fn signs_of_past(build: &Build) -> Vec<Sign> {
    build.build_ref.iter().cloned().map(Sign::Ref).chain(starts(build)).collect()
}

fn starts(build: &Build) -> impl Iterator<Item = Sign> {
    let started =
        |step: &BuildStep| Some(Sign::Start(step.digest.clone(), step.intervals.first()?.0));
    build.steps.iter().filter_map(started)
}

/// The builds of an entry, one for each target. Those of the project from another directory are another project's.
pub(super) fn builds(entry: Entry, project: &str, is_here: bool) -> impl Iterator<Item = Build> {
    let owner = match entry.project == project {
        true if is_here => Owner::Ours,
        true => Owner::Project(format!("{project} in {}", entry.project_directory)),
        false => Owner::Project(entry.project),
    };
    entry.targets.into_iter().map(move |target| of_target(target, owner.clone()))
}

fn of_target(target: TargetEntry, owner: Owner) -> Build {
    let mut steps: Vec<BuildStep> = target.steps.into_iter().map(step).collect();
    mark_result(&mut steps);
    let product = Product {
        service: target.service,
        stage: target.inputs.stage,
        images: target.image_id.into_iter().collect(),
        is_complete: target.outcome == Outcome::Succeeded,
    };
    Build { build_ref: target.build_ref, owner, product, is_current: false, steps: steps.into() }
}

pub(super) fn step(step: StepEntry) -> BuildStep {
    BuildStep {
        digest: step.digest,
        name: step.name,
        end: match step.result {
            StepResult::Cached => StepEnd::Cached,
            StepResult::Ran => StepEnd::Ran,
            StepResult::Failed | StepResult::Cancelled | StepResult::NotRun => StepEnd::Unfinished,
        },
        intervals: step.intervals.iter().map(|it| (it.started, it.completed)).collect(),
        inputs: step.inputs,
        mounts: step
            .cache_mounts
            .into_iter()
            .map(|mount| MountName { id: mount.engine_id, target: mount.target })
            .collect(),
        is_result: false,
    }
}
