//! Requirement files and pyproject.toml to lock files: what is stale, what uv is asked inside a build, and how its answer is split
//! into a heavy and a light part. Reads and writes files; knows no engine and no terminal.
//!
//! Heavy and light packages are resolved together and installed in two layers, the heavy one
//! below: a new light requirement then neither installs nor exports torch again. So the heavy part
//! holds its own pins and nothing else, and a run that pins them as before does not touch it.

mod choose;
mod error;
mod find;
pub mod header;
pub mod indexes;
mod job;
mod locked;
pub mod paths;
pub mod project;
pub mod recipe;
mod rehearsal;
pub mod requirements;
pub mod source;
pub mod split;
pub mod torch;

pub use choose::{base_target, choose};
pub use error::SourceError;
pub use find::{Subject, find};
pub use job::{Choice, Job, JobError};
pub use locked::{Lock, LockError, LockOptions, LockResult, Stale};
pub use paths::LockPaths;
pub use project::Selection;
pub use rehearsal::{NewLock, Rehearsal};
pub use torch::{Torch, TorchChoice};

/// Wheels of at least this many bytes make a package heavy. Measured on Docling with torch: from
/// 10 MB on, 23 of 142 packages hold 98 % of the bytes.
pub const DEFAULT_THRESHOLD: u64 = 10_000_000;
