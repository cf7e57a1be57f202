//! Whose a container, an image, a volume, a network, a record of the build cache is: one answer for `clean`, `stats`
//! and `bench`.
//!
//! [`recall`] and [`gather`] collect the evidence, and with [`NodeCache`] are all of the room that asks anybody; [`judge`]
//! decides and is pure. What is not certain is not the project's, and the answer says why. `docs/design/ownership.md` has the
//! rules. Which step made a cache record is for [`crate::ownership::records`] to match.

mod cache;
mod gather;
mod history;
mod judge;
mod model;
mod node;
pub mod records;
mod remembered;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::history::StepEntry;
use crate::inventory::{CacheRecord, Inventory};
use crate::labels;

pub use gather::{Depth, Memory, Recall, gather};
pub use judge::judge;
pub use model::{
    Answer, Checkout, Evidence, Include, Names, Origin, Project, Question, Reason, Whose,
};
pub use node::{NodeCache, Side};

/// What an engine has in its build cache, to ask for what a remembered step made.
pub struct CacheContent(Vec<records::Record>);

impl CacheContent {
    /// What `cache` has.
    pub fn new(cache: &[CacheRecord]) -> Self {
        Self(cache.iter().map(cache::record).collect())
    }

    /// Whether the result of `run` is there, as far as that can be told.
    pub fn has(&self, run: &StepEntry) -> bool {
        records::have_result(&self.0, &remembered::step(run.clone()))
    }

    /// Whether a result of such a step is there that none of these `runs` made, as far as that can be told.
    pub fn has_of_another_run(&self, step: &StepEntry, runs: &[&StepEntry]) -> bool {
        let runs: Vec<_> = runs.iter().map(|run| remembered::step((*run).clone())).collect();
        records::have_result_of_another(&self.0, &remembered::step(step.clone()), &runs)
    }
}

/// Names of the projects whose labels the engine's things carry.
pub fn projects(inventory: &Inventory) -> BTreeSet<&str> {
    let labels = (inventory.containers.iter().map(|it| &it.labels))
        .chain(inventory.networks.iter().map(|it| &it.labels))
        .chain(inventory.images.iter().map(|it| &it.labels))
        .chain(inventory.volumes.iter().map(|it| &it.labels));
    labels.filter_map(|labels| labels.get(labels::PROJECT)).map(String::as_str).collect()
}
