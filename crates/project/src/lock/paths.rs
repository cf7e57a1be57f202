//! Where locks lie, and paths as they are compared.

use std::path::{Component, Path, PathBuf};

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
    pub fn beside(source: &Path) -> Self {
        let stem = source.file_stem().unwrap_or_default().to_string_lossy();
        Self {
            light: source.with_file_name(format!("{stem}.lock")),
            heavy: source.with_file_name(format!("{stem}.heavy.lock")),
        }
    }
}

/// The path without `.` and `..`.
pub fn clean(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut clean, part| {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            part => clean.push(part),
        }
        clean
    })
}
