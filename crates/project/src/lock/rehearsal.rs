//! A change of requirements tried out in a copy: which locks it would give, while the project's own stay.

use std::io;
use std::path::{Path, PathBuf};

use super::job::{Choice, JobError};
use super::locked::Lock;
use crate::files::read;

/// Copies of requirement files with further lines, and of their locks.
#[derive(Debug)]
pub struct Rehearsal {
    choices: Vec<Choice>,
    locks: Vec<LockCopy>,
}

/// A lock, and its copy that is made anew.
#[derive(Debug)]
struct LockCopy {
    original: PathBuf,
    copy: PathBuf,
}

/// A lock that the change makes another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLock {
    /// The project's own.
    pub path: PathBuf,
    /// What it would hold.
    pub text: String,
}

impl Rehearsal {
    /// Copies the requirement files among `chosen` to `folder`, with `lines` at the end of each; `None` where there are
    /// none. What is locked of a pyproject.toml is left out.
    ///
    /// # Errors
    /// Something cannot be read or written.
    pub fn new(
        chosen: &[Choice],
        lines: &[String],
        folder: &Path,
    ) -> Result<Option<Self>, JobError> {
        let (mut choices, mut locks) = (Vec::new(), Vec::new());
        for (number, Choice { shown, lock }) in chosen.iter().enumerate() {
            let folder = folder.join(number.to_string());
            let copied = lock.copy(lines, &folder);
            let copied =
                copied.map_err(|source| JobError::Copy { shown: shown.clone(), source })?;
            let Some((subject, paths)) = copied else { continue };
            locks.extend(paths.map(|(original, copy)| LockCopy { original, copy }));
            let lock = Lock::read(&subject)
                .map_err(|source| JobError::Source { shown: shown.clone(), source })?;
            choices.push(Choice { shown: shown.clone(), lock });
        }
        Ok((!choices.is_empty()).then_some(Self { choices, locks }))
    }

    /// What a [`super::Job`] locks.
    pub fn choices(&self) -> &[Choice] {
        &self.choices
    }

    /// The locks that are others, once the job has written its own.
    ///
    /// # Errors
    /// A lock cannot be read.
    pub fn new_locks(&self) -> io::Result<Vec<NewLock>> {
        let mut new = Vec::new();
        for LockCopy { original, copy } in &self.locks {
            let text = read::text(copy, read::TEXT)?;
            if read::text(original, read::TEXT).ok().as_ref() != Some(&text) {
                new.push(NewLock { path: original.clone(), text });
            }
        }
        Ok(new)
    }
}
