//! How large cache mounts really are: which of them to look into, and what is remembered of it.
//!
//! An engine takes the size of a mount when it is first asked and keeps that, so a mount that grows stays as small
//! as it was ([`crate::buildkit`] looks into it with a step of its own). Looking counts as a use, and so does the
//! question after it: [`Memory`] knows how many uses of a record are ours, and whether anything used it since it was
//! measured. Pure, but for [`sizes`], which asks the engine, and [`disk`], which asks this machine.
//! `docs/design/stats.md` has the rules.

mod disk;
mod look;
mod memory;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;

pub use disk::{disk, is_near};
pub use look::{Ways, Wish, sizes};
pub use memory::{Memory, MemoryEntry, SCHEMA, has_settled, is_counted, is_told_empty};
pub use plan::{Effort, MountRequest, Plan, plan};

use crate::inventory::CacheRecord;
use crate::sight::Disk;

/// What is known of the sizes of an engine's cache mounts, by record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Mounts that the engine and we see differently, or that could not be looked into.
    pub mounts: BTreeMap<String, MountSize>,
    /// The engine's disk, where a look saw it.
    pub disk: Option<Disk>,
}

/// A mount as the engine has it, and as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountSize {
    /// What the engine says.
    pub engine: CacheRecord,
    /// When it was last measured.
    pub measured: Option<Timestamp>,
    /// Why that was not now: the figure may be too small.
    pub why_not: Option<String>,
}

impl Sizes {
    /// Puts what is known into the records: measured sizes, and uses without our own.
    pub fn new(
        records: &mut [CacheRecord],
        memory: &Memory,
        mut why_not: BTreeMap<String, String>,
    ) -> Self {
        let mut mounts = BTreeMap::new();
        for record in records {
            let known = memory.mounts.get(&record.id);
            let why_not = why_not.remove(&record.id);
            if known.is_none() && why_not.is_none() {
                continue;
            }
            let engine = record.clone();
            if let Some(known) = known {
                known.correct(record);
            }
            let measured = known.and_then(|known| known.measured);
            mounts.insert(record.id.clone(), MountSize { engine, measured, why_not });
        }
        Self { mounts, disk: None }
    }

    /// The records as the engine sees them: what its garbage collection goes by.
    pub fn as_engine_sees(&self, records: &[CacheRecord]) -> Vec<CacheRecord> {
        let engine = |record: &CacheRecord| self.mounts.get(&record.id).map(|it| it.engine.clone());
        records.iter().map(|record| engine(record).unwrap_or_else(|| record.clone())).collect()
    }
}
