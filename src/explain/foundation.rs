//! On which base images each step stands, as far as it is known.

use std::collections::{BTreeSet, HashMap};

use super::chain::Chain;
use super::given::moved;
use super::graph::in_order;
use crate::history::record::fetched_image;
use crate::history::{BaseImage, Inputs, StepEntry};

/// What is below a step.
#[derive(Debug, Clone, Default)]
pub(super) struct Foundation {
    /// References of images.
    images: BTreeSet<String>,
    /// Whether something is below of which nobody knows what it is.
    pub(super) is_unknown: bool,
}

impl Chain<'_> {
    pub(super) fn foundation(&self, index: usize) -> &Foundation {
        &self.foundations.get_or_init(|| self.foundations())[index]
    }

    /// Whether the step at `index` may stand on a base image: it does, or it is not known on what all it stands.
    pub(super) fn may_stand_on(&self, index: usize, base: &BaseImage) -> bool {
        let foundation = self.foundation(index);
        foundation.is_unknown || foundation.images.iter().any(|it| self.is_image(it, base))
    }

    /// Whether one that it may stand on is another one than before.
    pub(super) fn stands_on_moved_base(&self, index: usize, was: &Inputs) -> bool {
        let mut bases = self.target.inputs.bases.iter();
        bases.any(|base| moved(base, was).is_some() && self.may_stand_on(index, base))
    }

    fn foundations(&self) -> Vec<Foundation> {
        let others = self.target.steps.iter().filter(|step| !step.is_instruction());
        let others = others.map(|step| (step.digest.as_str(), step)).collect();
        let unknown = Foundation { is_unknown: true, ..Foundation::default() };
        let mut all = vec![unknown; self.steps.len()];
        for index in in_order(self.all_parents()) {
            all[index] = match fetched_image(&self.steps[index].name) {
                Some((image, _)) => Foundation { images: [image].into(), is_unknown: false },
                None => self.below(index, &all, &others),
            };
        }
        all
    }

    /// What is below a step that fetches no image, by what is below of all that it reads.
    fn below(
        &self,
        index: usize,
        all: &[Foundation],
        others: &HashMap<&str, &StepEntry>,
    ) -> Foundation {
        let (step, parents) = (self.steps[index], self.parents(index));
        let mut found = Foundation { is_unknown: step.inputs.is_empty(), ..Foundation::default() };
        for parent in parents {
            found.images.extend(all[*parent].images.iter().cloned());
            found.is_unknown |= all[*parent].is_unknown;
        }
        let is_parent =
            |digest: &&String| parents.iter().any(|at| self.steps[*at].digest == **digest);
        for digest in step.inputs.iter().filter(|it| !is_parent(it)) {
            let other = others.get(digest.as_str()).map(|it| it.name.as_str());
            let image = other.and_then(fetched_image);
            found.is_unknown |= image.is_none() && !other.is_some_and(reads_files);
            found.images.extend(image.map(|(reference, _)| reference));
        }
        found
    }

    /// Whether an image is this one, be it by another name.
    fn is_image(&self, reference: &str, base: &BaseImage) -> bool {
        let named = self.target.inputs.bases.iter().find(|it| it.reference == reference);
        let is_same = |it: &BaseImage| it.digest.is_none() || it.digest == base.digest;
        reference == base.reference || named.is_none_or(is_same)
    }
}

/// Whether a step reads a build context of this machine.
fn reads_files(name: &str) -> bool {
    name == "[internal] load build context" || name.ends_with("] load from client")
}
