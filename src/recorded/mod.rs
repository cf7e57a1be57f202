//! Builds of any client as the engine's own history keeps them, in the form in which this program keeps its own: entries
//! whose steps have, besides, the operation that BuildKit ran.
//!
//! [`provenance`] and [`resources`] read what BuildKit writes of a build, [`identity`] says which builds are of one target, [`listed`] lists them, [`entry`] puts
//! the pieces together, and [`gather`] is the one part that asks an engine. `docs/design/why.md` says what is known of
//! such builds and what is not.

pub mod entry;
pub mod gather;
pub mod identity;
pub mod listed;
pub mod provenance;
pub mod resources;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::history::{Entry, StepEntry, TargetEntry};

pub use entry::{Record, entry};
pub use gather::History;
pub use identity::{BuildIdentity, Kinship};
pub use provenance::{Exec, Operation, Provenance};
pub use resources::resources;

/// A build of the engine's history, with everything that is known of it.
#[derive(Debug, Clone)]
pub struct BuildRecord {
    /// The build, of one target.
    pub entry: Entry,
    /// What its steps did, by digest; empty of a build that failed.
    pub operations: HashMap<String, Operation>,
}

impl BuildRecord {
    /// Its target.
    pub fn target(&self) -> Option<&TargetEntry> {
        self.entry.targets.first()
    }

    /// What a step did.
    pub fn operation(&self, step: &StepEntry) -> Option<&Operation> {
        self.operations.get(&step.digest)
    }
}
