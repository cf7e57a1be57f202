//! On which base images each step stands, as far as it is known.

use std::collections::{BTreeSet, HashMap};

use super::graph::in_order;
use crate::history::record::fetched_image;
use crate::history::{BaseImage, StepEntry, TargetEntry};

/// What is below a step.
#[derive(Debug, Clone, Default)]
pub(super) struct Foundation {
    /// References of images.
    images: BTreeSet<String>,
    /// Whether something is below of which nobody knows what it is.
    pub(super) is_unknown: bool,
}

impl Foundation {
    /// Whether `base`, one of `bases`, may be below: it is, be it by another name, or it is not known what all is.
    pub(super) fn may_have(&self, base: &BaseImage, bases: &[BaseImage]) -> bool {
        let is_it = |reference: &String| {
            let named = bases.iter().find(|it| it.reference == *reference);
            let is_same = |it: &BaseImage| it.digest.is_none() || it.digest == base.digest;
            *reference == base.reference || named.is_none_or(is_same)
        };
        self.is_unknown || self.images.iter().any(is_it)
    }
}

/// What is below each of the `steps` of a target, by the places of those that each reads.
pub(super) fn foundations(
    target: &TargetEntry,
    steps: &[&StepEntry],
    parents: &[Vec<usize>],
) -> Vec<Foundation> {
    let others = target.steps.iter().filter(|step| !step.is_instruction());
    let others: HashMap<&str, &str> = others.map(|step| (&*step.digest, &*step.name)).collect();
    let unknown = Foundation { is_unknown: true, ..Foundation::default() };
    let mut all = vec![unknown; steps.len()];
    for index in in_order(parents) {
        all[index] = match fetched_image(&steps[index].name) {
            Some((image, _)) => Foundation { images: [image].into(), is_unknown: false },
            None => {
                let read = parents[index].iter().map(|at| (steps[*at], &all[*at]));
                below(steps[index], &read.collect::<Vec<_>>(), &others)
            }
        };
    }
    all
}

/// What is below a step that fetches no image, by what is below the steps that it reads.
fn below(
    step: &StepEntry,
    read: &[(&StepEntry, &Foundation)],
    others: &HashMap<&str, &str>,
) -> Foundation {
    let mut found = Foundation { is_unknown: step.inputs.is_empty(), ..Foundation::default() };
    for (_, foundation) in read {
        found.images.extend(foundation.images.iter().cloned());
        found.is_unknown |= foundation.is_unknown;
    }
    let is_read = |digest: &&String| read.iter().any(|(step, _)| step.digest == **digest);
    for digest in step.inputs.iter().filter(|it| !is_read(it)) {
        let other = others.get(digest.as_str()).copied();
        let image = other.and_then(fetched_image);
        found.is_unknown |= image.is_none() && !other.is_some_and(reads_files);
        found.images.extend(image.map(|(reference, _)| reference));
    }
    found
}

/// Whether a step reads a build context of this machine.
fn reads_files(name: &str) -> bool {
    name == "[internal] load build context" || name.ends_with("] load from client")
}
