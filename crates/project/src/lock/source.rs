//! What is locked: a requirement file or a pyproject.toml.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::lock::error::SourceError;
use crate::lock::header::digest;
use crate::lock::indexes::IndexOptions;
use crate::lock::paths::{LockPaths, clean};
use crate::lock::project::{Project, Selection};
use crate::lock::requirements::Requirements;

/// A requirement file or a project, with everything that its resolution needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A requirement file.
    Requirements(Requirements),
    /// A pyproject.toml.
    Project(Project),
}

impl Source {
    /// Reads `path` (absolute).
    ///
    /// # Errors
    /// It cannot be locked.
    pub fn read(path: &Path, selection: &Selection) -> Result<Self, SourceError> {
        let path = clean(path);
        if path.extension().is_some_and(|extension| extension == "lock") {
            return Err(SourceError::IsLock);
        }
        if path.file_name().is_some_and(|name| name == "pyproject.toml") {
            let is_taken = selection.is_empty() && path.with_file_name("requirements.in").exists();
            if is_taken {
                return Err(SourceError::Taken);
            }
            return Ok(Self::Project(Project::read(&path, selection.clone())?));
        }
        if selection.is_empty() {
            Ok(Self::Requirements(Requirements::read(&path)?))
        } else {
            Err(SourceError::NoSelection)
        }
    }

    /// The file itself, absolute.
    pub fn path(&self) -> &Path {
        match self {
            Self::Requirements(it) => &it.path,
            Self::Project(it) => &it.path,
        }
    }

    /// All files with their text, by absolute path.
    pub fn files(&self) -> &BTreeMap<PathBuf, String> {
        match self {
            Self::Requirements(it) => &it.files,
            Self::Project(it) => &it.files,
        }
    }

    /// The nearest folder that holds all files.
    pub fn root(&self) -> PathBuf {
        let mut root = self.path().parent().unwrap_or(Path::new("/")).to_owned();
        while !self.files().keys().all(|file| file.starts_with(&root)) && root.pop() {}
        root
    }

    /// A file of it relative to the root.
    pub fn below_root(&self, path: &Path) -> String {
        path.strip_prefix(self.root()).unwrap_or(path).display().to_string()
    }

    /// Its locks.
    pub fn locks(&self) -> LockPaths {
        match self {
            Self::Requirements(it) => LockPaths::beside(&it.path),
            Self::Project(it) => LockPaths::beside(
                &it.path.with_file_name(format!("requirements{}.in", it.selection.suffix())),
            ),
        }
    }

    /// Digest of what the resolution depends on, and of where it lies towards each other. The ends of lines do not
    /// count: git may have changed them.
    pub fn digest(&self) -> String {
        let parts: Vec<String> = match self {
            Self::Requirements(it) => {
                let text = |(path, text): (&PathBuf, &String)| {
                    [self.below_root(path), text.replace("\r\n", "\n")]
                };
                it.files.iter().flat_map(text).collect()
            }
            Self::Project(it) => it.parts(&self.root()),
        };
        digest(parts.iter().map(String::as_str))
    }

    /// Lines that name package indexes: whoever installs the lock needs them too. They are the user's own; an index
    /// configured elsewhere never gets into a lock.
    pub fn index_options(&self) -> IndexOptions {
        match self {
            Self::Requirements(it) => it.index_options(),
            Self::Project(it) => it.index_options(),
        }
    }
}
