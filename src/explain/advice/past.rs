//! A target in one build that is remembered, with the cause of each step that ran.

use std::collections::HashMap;

use crate::explain::cause::{Cause, Reason};
use crate::explain::chain::Chain;
use crate::explain::earlier::Earlier;
use crate::history::{Entry, StepEntry, TargetEntry};
use crate::progress::StepName;

pub(super) struct Past<'a> {
    pub(super) chain: Chain<'a>,
    causes: Vec<Option<Cause>>,
    /// Whether its Dockerfile was that of the build that is explained.
    pub(super) is_present_file: bool,
    /// Whether its Dockerfile was that of the build before it.
    pub(super) is_same_file: bool,
}

impl<'a> Past<'a> {
    /// `target` of the build that is explained, as it was in `build`. `None` where it had no steps.
    pub(super) fn new(
        target: &TargetEntry,
        build: &'a Entry,
        earlier: &[&'a Entry],
    ) -> Option<Self> {
        let find = |entry: &'a Entry| {
            let mut targets = entry.targets.iter();
            targets.find(|it| it.name == target.name && !it.steps.is_empty())
        };
        let own = find(build)?;
        let file = |it: &TargetEntry| it.inputs.dockerfile_digest.clone();
        let before = earlier.iter().find_map(|entry| find(entry));
        let chain = Chain::new(own, build, Earlier::here(earlier), &|_| HashMap::new());
        let cause = |index: usize| chain.ran(index).then(|| chain.cause(index));
        let causes = (0..chain.steps.len()).map(cause).collect();
        let is_same = |other: &TargetEntry| file(other).is_some() && file(other) == file(own);
        Some(Self {
            chain,
            causes,
            is_present_file: is_same(target),
            is_same_file: before.is_some_and(is_same),
        })
    }

    /// A step as it was there.
    pub(super) fn find(&self, step: &StepEntry) -> Option<usize> {
        let key = |step: &StepEntry| StepName::parse(&step.name).key();
        self.chain.steps.iter().position(|it| key(it) == key(step))
    }

    /// Why a step ran by itself, where that is certain.
    pub(super) fn certain(&self, index: usize) -> Option<&Reason> {
        self.causes[index].as_ref().filter(|cause| cause.certain).map(|cause| &cause.reason)
    }

    /// Why it ran by itself, if it did.
    pub(super) fn reason(&self, index: usize) -> Option<&Reason> {
        self.causes[index].as_ref().map(|cause| &cause.reason)
    }

    /// The files by which a step ran by itself, where it is certain that it was by these.
    pub(super) fn files(&self, index: usize) -> Option<Vec<&str>> {
        match self.certain(index) {
            Some(Reason::Files { paths, .. }) if !paths.is_empty() => {
                Some(paths.iter().map(|it| it.path.as_str()).collect())
            }
            _ => None,
        }
    }

    /// The step that made the one at `index` run.
    pub(super) fn root(&self, index: usize) -> usize {
        let mut at = index;
        for _ in 0..self.causes.len() {
            match self.reason(at).and_then(Reason::because_of_step) {
                Some(step) => at = step,
                None => break,
            }
        }
        at
    }

    /// Those that ran because the one at `index` did.
    pub(super) fn followers(&self, index: usize) -> impl Iterator<Item = &StepEntry> {
        let is_it =
            move |at: &usize| *at != index && self.causes[*at].is_some() && self.root(*at) == index;
        (0..self.causes.len()).filter(is_it).map(|at| self.chain.steps[at])
    }

    pub(super) fn seconds(&self, index: usize) -> f64 {
        self.chain.steps[index].seconds
    }
}
