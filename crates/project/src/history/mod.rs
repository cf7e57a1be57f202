//! The memory of past builds: what each used, did and made, one file per build.
//!
//! [`entry`] is the data, [`store`] the files, [`record`] makes an entry of what a run left behind,
//! [`copied`] of the files a COPY covered, [`output`] of what a failed step wrote, [`select`] finds the build a user means, [`past`] turns
//! entries to what estimates need. Knows no engine, no clock, no environment,
//! and nothing of how anything is shown. The format is described in `docs/design/ledger.md`.

pub mod cleaned;
pub mod copied;
pub mod entry;
mod fingerprint;
pub mod id;
pub mod output;
pub mod past;
pub mod record;
pub mod resources;
pub mod select;
pub mod store;
#[cfg(test)]
#[path = "../../../../tests/support/history_entries.rs"]
pub(crate) mod testing;

pub use entry::{
    BaseImage, CacheMount, CollectionRule, CopiedFile, CopiedFiles, EngineInfo, Entry, Inputs,
    Interval, Outcome, SCHEMA, StepEntry, StepResult, StopReason, TargetEntry,
};
pub use fingerprint::FingerprintKey;
pub use id::BuildId;
pub use output::LastOutput;
pub use resources::Resources;
pub use select::{SelectError, select};
pub use store::{BuildFile, Limits, ReadError, Store, StoreError};
