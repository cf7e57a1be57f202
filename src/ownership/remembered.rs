//! Builds that the ledger remembers, as attribution takes them: all there is to know on engines
//! without a build history.

use jiff::Timestamp;

use super::history::mark_result;
use crate::history::{Entry, Outcome, StepEntry, StepResult, TargetEntry};
use crate::ownership::records::{Build, BuildStep, MountName, Owner, Product, StepEnd};

/// Identifies a step's run: the same in the ledger and in the engine's history.
pub(super) type Start = (String, Timestamp);

/// The runs of a build's steps.
pub(super) fn starts(build: &Build) -> impl Iterator<Item = Start> {
    let started = |step: &BuildStep| Some((step.digest.clone(), step.intervals.first()?.0));
    build.steps.iter().filter_map(started)
}

/// The builds of an entry, one for each target. Those of the project from another directory are another project's.
pub(super) fn builds(entry: &Entry, project: &str, is_here: bool) -> impl Iterator<Item = Build> {
    let owner = match entry.project == project {
        true if is_here => Owner::Ours,
        true => Owner::Project(format!("{project} in {}", entry.project_directory)),
        false => Owner::Project(entry.project.clone()),
    };
    entry.targets.iter().map(move |target| of_target(target, owner.clone()))
}

fn of_target(target: &TargetEntry, owner: Owner) -> Build {
    let mut steps: Vec<BuildStep> = target.steps.iter().map(of_step).collect();
    mark_result(&mut steps);
    let product = Product {
        service: target.service.clone(),
        stage: target.inputs.stage.clone(),
        images: target.image_id.iter().cloned().collect(),
        is_complete: target.outcome == Outcome::Succeeded,
    };
    Build { owner, product, is_current: false, steps }
}

fn of_step(step: &StepEntry) -> BuildStep {
    BuildStep {
        digest: step.digest.clone(),
        name: step.name.clone(),
        end: match step.result {
            StepResult::Cached => StepEnd::Cached,
            StepResult::Ran => StepEnd::Ran,
            StepResult::Failed | StepResult::Cancelled | StepResult::NotRun => StepEnd::Unfinished,
        },
        intervals: step.intervals.iter().map(|it| (it.started, it.completed)).collect(),
        inputs: step.inputs.clone(),
        mounts: step
            .cache_mounts
            .iter()
            .map(|mount| MountName { id: mount.engine_id.clone(), target: mount.target.clone() })
            .collect(),
        is_result: false,
    }
}
