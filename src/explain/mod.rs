//! Why the steps of a build ran: what differs from the builds before it that are remembered.
//!
//! One cause for the first step of each chain that ran; what stands on it followed. Pure: entries of the history in,
//! causes out. `docs/design/why.md` has the rules and their limits.

mod advice;
mod before;
mod cause;
mod causes;
mod chain;
mod earlier;
mod files;
mod forecast;
mod foundation;
mod given;
mod graph;
mod ignored;
mod images;
mod recorded;
mod same;
mod slower;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use serde::Serialize;

use crate::history::{BuildId, Entry, StepEntry, StepResult, TargetEntry, copied};
use chain::Chain;
use earlier::Earlier;

pub use advice::{Advice, Habit};
pub use before::Digests;
pub use cause::{Cause, Change, Elsewhere, Loss, PathChange, Reason, Since};
pub use forecast::{Premises, forecast};
pub use recorded::by_engine;

/// Explains `build` by `others`, the newest first, and by what each of them knows of the others' files.
pub fn by_history(mut build: Entry, mut others: Vec<Entry>) -> Explanation {
    recall(&mut build, &mut others);
    explain(&build, &others)
}

/// The same, with what the builds until this one prove to be worth a change.
pub fn with_advice(mut build: Entry, mut others: Vec<Entry>) -> Explanation {
    recall(&mut build, &mut others);
    let advice = advice::advice(&build, &others);
    Explanation { advice, ..explain(&build, &others) }
}

/// Lets each build know what the others know of its files.
fn recall(build: &mut Entry, others: &mut [Entry]) {
    let mut all: Vec<&mut Entry> = std::iter::once(build).chain(others).collect();
    copied::recall_all(&mut all);
}

/// Why the steps of one build ran.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The build; `None` of one that has not been made.
    pub build: Option<BuildId>,
    /// Its targets, without those that another one's build made, too.
    pub targets: Vec<Target>,
    /// What to change, by all builds that are remembered; empty where nobody asked for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub advice: Vec<Advice>,
}

impl Explanation {
    /// What it explains.
    pub fn name(&self) -> String {
        self.build.as_ref().map_or("the next build".to_owned(), |build| format!("build {build}"))
    }
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

impl Target {
    /// What people call it, as in [`crate::history::TargetEntry::title`].
    pub fn title(&self) -> &str {
        if self.target.contains('@') { &self.target } else { &self.service }
    }
}

/// An instruction that makes a layer or fetches an image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Place among the steps of the target, from 0.
    pub index: usize,
    /// Digest of its vertex.
    #[serde(skip)]
    pub digest: String,
    /// Stage, where the Dockerfile has several.
    pub stage: Option<String>,
    /// What it says.
    pub instruction: String,
    /// The Dockerfile, as the user would name it.
    pub file: Option<String>,
    /// Its first line.
    pub line: Option<u32>,
    /// The builder that it ran on, where that is not an engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub builder: Option<String>,
    /// Whether it came from the cache; `None` where it neither did nor ran.
    pub cached: Option<bool>,
    /// How long it ran.
    pub duration_seconds: f64,
    /// Why it ran.
    pub cause: Option<Cause>,
    /// Why that took longer than before, where there is a reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slower: Option<Cause>,
}

impl Target {
    /// The steps that ran, or would.
    pub fn runs(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.cached == Some(false))
    }

    /// The step that made the one at `index` run, by whatever many steps in between: itself, where it is the first that ran.
    pub fn root(&self, index: usize) -> usize {
        self.down_from(index).last().unwrap_or(index)
    }

    /// Whether the step at `index` would run only if what another stage makes differs from what it made before. Of a step
    /// that has run this is known.
    pub fn may_come_from_the_cache(&self, index: usize) -> bool {
        let copies = |step: usize| {
            let cause = self.steps.get(step).and_then(|step| step.cause.as_ref());
            cause.is_some_and(|it| matches!(it.reason, Reason::Stage { .. }) && !it.certain)
        };
        self.down_from(index).any(copies)
    }

    /// The step at `index`, the one that made it run, and so on.
    fn down_from(&self, index: usize) -> impl Iterator<Item = usize> {
        let below = |at: &usize| {
            let cause = self.steps.get(*at).and_then(|step| step.cause.as_ref());
            let below = cause.and_then(|cause| cause.reason.because_of_step());
            // One that came from the cache may be another one than before, too.
            let ran =
                |step: &usize| self.steps.get(*step).is_some_and(|it| it.cached == Some(false));
            below.filter(ran)
        };
        // A cause stands before its effect, so this ends; a graph that says otherwise must not keep us.
        std::iter::successors(Some(index), below).take(self.steps.len() + 1)
    }
}

/// Explains `build` by the builds `earlier`, the newest first. Of these count the ones of the same directory on the same
/// engine.
pub fn explain(build: &Entry, earlier: &[Entry]) -> Explanation {
    let known = Earlier::new(build, earlier);
    let targets = build.targets.iter().filter(|target| target.same_as.is_none()).map(|target| {
        let chain = Chain::new(target, build, known.clone(), &|_| HashMap::new());
        let steps = chain.steps.iter().enumerate().map(|(index, entry)| Step {
            cause: chain.ran(index).then(|| chain.cause(index)),
            slower: slower::slower(entry, target, build, earlier),
            ..explained(index, entry, target, build)
        });
        Target {
            target: target.name.clone(),
            service: target.service.clone(),
            steps: steps.collect(),
        }
    });
    Explanation { build: Some(build.id.clone()), targets: targets.collect(), advice: Vec::new() }
}

/// A step of which it is known how it ended, not why.
fn explained(index: usize, entry: &StepEntry, target: &TargetEntry, build: &Entry) -> Step {
    Step {
        cached: match entry.result {
            StepResult::Cached => Some(true),
            StepResult::Ran | StepResult::Failed => Some(false),
            StepResult::Cancelled | StepResult::NotRun => None,
        },
        duration_seconds: entry.seconds,
        ..step(index, entry, target, build)
    }
}

/// A step of which nothing is known but what it is.
fn step(index: usize, entry: &StepEntry, target: &TargetEntry, build: &Entry) -> Step {
    Step {
        index,
        digest: entry.digest.clone(),
        stage: entry.stage.clone(),
        instruction: entry.instruction.clone(),
        file: target.dockerfile.as_deref().map(|file| shown(file, build)),
        line: entry.line,
        builder: Some(build.engine.builder.clone()).filter(|name| !name.is_empty()),
        cached: None,
        duration_seconds: 0.0,
        cause: None,
        slower: None,
    }
}

/// A Dockerfile below the project's directory by its path in there.
fn shown(file: &str, build: &Entry) -> String {
    let below = file.strip_prefix(&build.project_directory).and_then(|it| it.strip_prefix('/'));
    below.unwrap_or(file).to_owned()
}
