//! Images that a target copies files of, or mounts, and that no stage of it begins with. An operation may name one without
//! saying which it was.

use std::collections::HashMap;

use super::cause::Reason;
use super::given::moved_base;
use crate::history::record::fetched_image;
use crate::history::{Inputs, StepEntry, TargetEntry};

/// Their references, by the digest of the step that fetches each.
pub(super) struct Images<'a>(HashMap<&'a str, String>);

impl<'a> Images<'a> {
    pub(super) fn new(target: &'a TargetEntry) -> Self {
        let fetches = target.steps.iter().filter(|step| !step.is_instruction());
        let image = |step: &'a StepEntry| Some((&*step.digest, fetched_image(&step.name)?.0));
        Self(fetches.filter_map(image).collect())
    }

    pub(super) fn has(&self, reference: &str) -> bool {
        self.0.values().any(|it| it == reference)
    }

    /// One that a step reads and that is another one than before.
    pub(super) fn moved(&self, step: &StepEntry, was: &Inputs, is: &Inputs) -> Option<Reason> {
        if self.0.is_empty() {
            return None;
        }
        let mut images = step.inputs.iter().filter_map(|digest| self.0.get(digest.as_str()));
        images.find_map(|it| moved_base(was, is, it))
    }
}
