//! Why the steps of a build ran: what differs from the builds before it that are remembered.
//!
//! One cause for the first step of each chain that ran; what stands on it followed. Pure: entries of the history in,
//! causes out. `docs/design/why.md` has the rules and their limits.

mod cause;
mod chain;
#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::history::{BuildId, Entry, StepResult, copied};
use chain::Chain;

pub use cause::{Cause, Change, PathChange, Reason};

/// Explains `build` by `others`, the newest first, and by what each of them knows of the others' files.
pub fn by_history(mut build: Entry, mut others: Vec<Entry>) -> Explanation {
    copied::recall(&mut build, &others);
    let files = others.clone();
    others.iter_mut().for_each(|other| copied::recall(other, &files));
    explain(&build, &others)
}

/// Why the steps of one build ran.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The build.
    pub build: BuildId,
    /// Its targets, without those that another one's build made, too.
    pub targets: Vec<Target>,
}

/// Why the steps of one target ran.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Target {
    /// Its name.
    pub target: String,
    /// Its compose service.
    pub service: String,
    /// Its steps in the order of the Dockerfile.
    pub steps: Vec<Step>,
}

/// An instruction that makes a layer or fetches an image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Place among the steps of the target, from 0.
    pub index: usize,
    /// Stage, where the Dockerfile has several.
    pub stage: Option<String>,
    /// What it says.
    pub instruction: String,
    /// The Dockerfile, as the user would name it.
    pub file: Option<String>,
    /// Its first line.
    pub line: Option<u32>,
    /// Whether it came from the cache; `None` where it neither did nor ran.
    pub cached: Option<bool>,
    /// How long it ran.
    pub duration_seconds: f64,
    /// Why it ran.
    pub cause: Option<Cause>,
}

impl Target {
    /// The step that made the one at `index` run, by whatever many steps in between: itself, where it is the first.
    pub fn root(&self, index: usize) -> usize {
        let mut at = index;
        // A cause stands before its effect, so this ends; a graph that says otherwise must not keep us.
        for _ in 0..self.steps.len() {
            let cause = self.steps.get(at).and_then(|step| step.cause.as_ref());
            match cause.and_then(|cause| cause.reason.because_of_step()) {
                Some(step) => at = step,
                None => break,
            }
        }
        at
    }
}

/// Explains `build` by the builds `earlier`, the newest first. Of these count the ones of the same directory on the same
/// engine.
pub fn explain(build: &Entry, earlier: &[Entry]) -> Explanation {
    let here = |it: &&Entry| {
        it.project_directory == build.project_directory
            && it.engine.id == build.engine.id
            && it.started < build.started
    };
    let here: Vec<&Entry> = earlier.iter().filter(here).collect();
    let targets = build.targets.iter().filter(|target| target.same_as.is_none()).map(|target| {
        let chain = Chain::new(target, &here);
        let steps = chain.steps.iter().enumerate().map(|(index, step)| Step {
            index,
            stage: step.stage.clone(),
            instruction: step.instruction.clone(),
            file: target.dockerfile.as_deref().map(|file| shown(file, build)),
            line: step.line,
            cached: match step.result {
                StepResult::Cached => Some(true),
                StepResult::Ran | StepResult::Failed => Some(false),
                StepResult::Cancelled | StepResult::NotRun => None,
            },
            duration_seconds: step.seconds,
            cause: chain.ran(index).then(|| chain.cause(index)),
        });
        Target {
            target: target.name.clone(),
            service: target.service.clone(),
            steps: steps.collect(),
        }
    });
    Explanation { build: build.id.clone(), targets: targets.collect() }
}

/// A Dockerfile below the project's directory by its path in there.
fn shown(file: &str, build: &Entry) -> String {
    let below = file.strip_prefix(&build.project_directory).and_then(|it| it.strip_prefix('/'));
    below.unwrap_or(file).to_owned()
}
