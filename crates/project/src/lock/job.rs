//! One build that locks everything that was chosen: its context, its target, and what is written of its result.

use std::io;
use std::path::{Path, PathBuf};

use super::recipe::{self, Upgrade};
use super::{Lock, LockError, LockOptions, LockResult};
use crate::error::{CommandError, ExitKind};
use crate::targets::spec::Spec;
use crate::targets::target::Target;

/// Something to lock.
#[derive(Debug, Clone)]
pub struct Choice {
    /// As the user would name it.
    pub shown: String,
    /// Its locks.
    pub lock: Lock,
}

/// A build that locks.
pub struct Job<'a> {
    chosen: &'a [Choice],
    options: &'a LockOptions,
    upgrade: &'a Upgrade,
    /// The build context, with a folder for each.
    context: PathBuf,
    /// Where the result is exported to, with a folder for each.
    out: PathBuf,
    /// A resolution without locked versions asks for the newest: an older answer does not count.
    nonce: String,
}

impl<'a> Job<'a> {
    /// A build whose files stand below `scratch`.
    pub fn new(
        chosen: &'a [Choice],
        options: &'a LockOptions,
        upgrade: &'a Upgrade,
        scratch: &Path,
    ) -> Self {
        let (context, out) = (scratch.join("context"), scratch.join("out"));
        Self { chosen, options, upgrade, context, out, nonce: scratch.display().to_string() }
    }

    /// Writes the build context. Returns what is built: `base` with everything that is to be locked.
    ///
    /// # Errors
    /// Something cannot be locked, or the context cannot be written.
    pub fn target(&self, base: Target) -> Result<Target, JobError> {
        for (number, Choice { shown, lock }) in self.chosen.iter().enumerate() {
            let Upgrade { all, packages } = self.upgrade;
            let is_fresh = *all || !packages.is_empty() || !lock.is_locked();
            let folder = self.context.join(number.to_string());
            let nonce = is_fresh.then_some(self.nonce.as_str());
            lock.write_context(self.options, &folder, nonce)
                .map_err(|source| JobError::Copy { shown: shown.clone(), source })?;
        }
        let input = |Choice { shown, lock }: &Choice| {
            let input = lock.input(self.options);
            input.map_err(|source| JobError::Source { shown: shown.clone(), source })
        };
        let inputs = self.chosen.iter().map(input).collect::<Result<Vec<_>, _>>()?;
        Ok(Target {
            name: "lock".to_owned(),
            context: self.context.display().to_string(),
            dockerfile_inline: Some(recipe::dockerfile(&inputs, self.upgrade)),
            outputs: vec![Spec::plain("local").with("dest", &self.out.to_string_lossy())],
            ..base
        })
    }

    /// Writes the locks that the build made, in their order.
    pub fn write(&self) -> impl Iterator<Item = Result<(&str, LockResult), JobError>> {
        self.chosen.iter().enumerate().map(|(number, Choice { shown, lock })| {
            let written = lock.write(self.options, &self.out.join(number.to_string()));
            match written {
                Ok(written) => Ok((shown.as_str(), written)),
                Err(source) => Err(JobError::Result { shown: shown.clone(), source }),
            }
        })
    }
}

/// Why nothing is locked.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The build contexts have no file that could be locked.
    #[error(
        "there is no requirements*.in and no pyproject.toml with dependencies in the project's build contexts"
    )]
    Nothing,
    /// No base image is named, and no service has one.
    #[error("no service has the build argument BASE_IMAGE")]
    NoBase,
    /// No base image is named, and the services have this many.
    #[error("the services have {0} different BASE_IMAGEs")]
    SeveralBases(usize),
    /// A file that was chosen cannot be locked.
    #[error("failed to lock {shown}")]
    Source {
        /// The file, as the user would name it.
        shown: String,
        /// Why.
        source: LockError,
    },
    /// A file cannot be copied into the build context.
    #[error("failed to copy {shown} for the build")]
    Copy {
        /// The file, as the user would name it.
        shown: String,
        /// Why.
        source: io::Error,
    },
    /// The lock that a build made cannot be read or written.
    #[error("failed to lock {shown}")]
    Result {
        /// The file, as the user would name it.
        shown: String,
        /// Why.
        source: LockError,
    },
}

impl From<JobError> for CommandError {
    fn from(error: JobError) -> Self {
        let message = error.to_string();
        match error {
            JobError::Nothing => Self::new(ExitKind::Usage, message)
                .hint("name the file, as in `doc2md-docker lock api/requirements.txt`")
                .keeping(error),
            JobError::NoBase | JobError::SeveralBases(_) => Self::new(ExitKind::Usage, message)
                .hint("name an image with Python and pip: --base-image python:3.12-slim")
                .keeping(error),
            JobError::Source { source, .. } => {
                Self::new(ExitKind::Usage, message).caused_by(source)
            }
            JobError::Copy { source, .. } => Self::new(ExitKind::Failed, message).caused_by(source),
            JobError::Result { source, .. } => {
                Self::new(ExitKind::Failed, message).caused_by(source)
            }
        }
    }
}
