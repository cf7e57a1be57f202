//! A target in an earlier build, and what its steps were there.

use std::cell::OnceCell;
use std::collections::HashMap;

use super::graph::parents;
use super::same::StepContext;
use crate::history::record::fetched_image;
use crate::history::{Entry, Outcome, StepEntry, StepResult, TargetEntry};
use crate::progress::StepName;

/// By the digest of a step those that it had in the sessions of an earlier build, as far as that can be told.
pub type Digests = HashMap<String, Vec<String>>;

/// A target in an earlier build.
pub(super) struct Before<'a> {
    pub(super) entry: &'a Entry,
    pub(super) target: &'a TargetEntry,
    pub(super) steps: Vec<&'a StepEntry>,
    pub(super) parents: Vec<Vec<usize>>,
    keys: Vec<String>,
    digests: Digests,
    /// Which steps of the target were the same there, with all below them.
    pub(super) same: OnceCell<Vec<bool>>,
}

impl<'a> Before<'a> {
    /// What `entry` has of the target called `name`; `digests` are those that its steps had there.
    pub(super) fn new(
        entry: &'a Entry,
        name: &str,
        digests: &dyn Fn(&Entry) -> Digests,
    ) -> Option<Self> {
        let target = entry.targets.iter().find(|it| it.name == name)?;
        let steps = instructions(target);
        let is_known = !steps.is_empty();
        is_known.then(|| Self {
            entry,
            target,
            parents: parents(&steps),
            keys: steps.iter().map(|step| key(step)).collect(),
            steps,
            digests: digests(entry),
            same: OnceCell::new(),
        })
    }

    pub(super) fn given<'s>(&self, step: &'s StepEntry) -> StepContext<'s>
    where
        'a: 's,
    {
        StepContext { step, inputs: &self.target.inputs }
    }

    /// Whether `step` had the digest of `old` there.
    pub(super) fn is_digest(&self, old: &StepEntry, step: &StepEntry) -> bool {
        let known = self.digests.get(&step.digest);
        old.digest == step.digest || known.is_some_and(|digests| digests.contains(&old.digest))
    }

    /// What a step was: the same, else the same instruction, else what stood in its place. A step that fetches an image has
    /// the name of any of the stages that begin with it.
    pub(super) fn counterpart(&self, step: &StepEntry) -> Option<&'a StepEntry> {
        let find =
            |same: &dyn Fn(&StepEntry) -> bool| self.steps.iter().find(|it| same(it)).copied();
        let place =
            |step: &StepEntry| (step.stage.clone(), step.position.map(|(number, _)| number));
        let same_key = || {
            let wanted = key(step);
            Some(self.steps[self.keys.iter().position(|it| *it == wanted)?])
        };
        find(&|old| self.is_digest(old, step))
            .or_else(same_key)
            .or_else(|| {
                let (image, _) = fetched_image(&step.name)?;
                find(&|old| fetched_image(&old.name).is_some_and(|(old, _)| old == image))
            })
            .or_else(|| {
                find(&|old| old.position == step.position && old.instruction == step.instruction)
            })
            .or_else(|| find(&|old| place(old) == place(step)))
    }
}

/// Whether a step of `target` had its result there. Docker 20.10 does not always tell how one ended, but without its result
/// the target could not have succeeded.
pub(super) fn has_ended(step: &StepEntry, target: &TargetEntry) -> bool {
    match step.result {
        StepResult::Cached | StepResult::Ran => true,
        StepResult::Failed => false,
        StepResult::Cancelled | StepResult::NotRun => target.outcome == Outcome::Succeeded,
    }
}

/// The stage and the text of a step.
pub(super) fn key(step: &StepEntry) -> String {
    StepName::parse(&step.name).key()
}

pub(super) fn instructions(target: &TargetEntry) -> Vec<&StepEntry> {
    target.steps.iter().filter(|step| step.is_instruction()).collect()
}
