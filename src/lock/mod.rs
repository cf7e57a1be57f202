//! Requirement files to lock files: what is stale, what uv is asked inside a build, and how its answer is split
//! into a heavy and a light part. Reads and writes files; knows no engine and no terminal.
//!
//! Heavy and light packages are resolved together and installed in two layers, the heavy one
//! below: a new light requirement then neither installs nor exports torch again. So the heavy part
//! holds its own pins and nothing else, and a run that pins them as before does not touch it.

mod find;
pub mod header;
mod locked;
pub mod recipe;
pub mod requirements;
pub mod split;

pub use find::find;
pub use locked::{Lock, LockError, LockOptions, Stale, Written};

use std::path::{Path, PathBuf};

/// Wheels of at least this many bytes make a package heavy. Measured on Docling with torch: from
/// 10 MB on, 23 of 142 packages hold 98 % of the bytes.
pub const DEFAULT_THRESHOLD: u64 = 10_000_000;

/// The lock files of a requirement file: `requirements.in` gives `requirements.lock` (light) and
/// `requirements.heavy.lock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockPaths {
    /// Light packages.
    pub light: PathBuf,
    /// Heavy packages; written even when there are none, so a Dockerfile can rely on it.
    pub heavy: PathBuf,
}

impl LockPaths {
    /// Names the locks of `source` beside it.
    pub fn of(source: &Path) -> Self {
        let stem = source.file_stem().unwrap_or_default().to_string_lossy();
        Self {
            light: source.with_file_name(format!("{stem}.lock")),
            heavy: source.with_file_name(format!("{stem}.heavy.lock")),
        }
    }
}
