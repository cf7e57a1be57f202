//! The locks of the case `lock`: made once, in a copy of the requirement files, by the build that `lock` runs.

use std::path::Path;

use super::variant::{Start, Variant};
use crate::error::{CommandError, ExitKind};
use crate::lock::recipe::Upgrade;
use crate::lock::{self, Job, JobError, LockOptions, Rehearsal, Selection};
use crate::targets::target::Target;

/// Locks that wait for their build.
pub(super) struct Relock {
    rehearsal: Rehearsal,
    base: Target,
}

impl Relock {
    /// Copies the requirement files that the targets of `variant` have to `folder`, with `lines` added; `None` where
    /// there are none.
    ///
    /// # Errors
    /// Something cannot be locked, or nothing says in which image.
    pub(super) fn new(
        variant: &Variant,
        lines: &[String],
        folder: &Path,
    ) -> Result<Option<Self>, JobError> {
        let targets = variant.targets();
        let chosen = match lock::choose(&[], &Selection::default(), targets, variant.directory()) {
            Err(JobError::Nothing) => return Ok(None),
            chosen => chosen?,
        };
        let Some(rehearsal) = Rehearsal::new(&chosen, lines, folder)? else { return Ok(None) };
        Ok(Some(Self { rehearsal, base: lock::base_target(None, targets)? }))
    }

    /// The build that locks, with its files below `scratch`.
    pub(super) fn job<'a>(
        &'a self,
        (options, upgrade): (&'a LockOptions, &'a Upgrade),
        scratch: &Path,
    ) -> Result<(Job<'a>, Target), JobError> {
        let job = Job::new(self.rehearsal.choices(), options, upgrade, scratch);
        let target = job.target(self.base.clone())?;
        Ok((job, target))
    }

    /// What `job` locked, as files to begin with. `what` says what was done.
    ///
    /// # Errors
    /// The result is not what it should be.
    pub(super) fn starts(&self, job: &Job<'_>, what: &str) -> Result<Vec<Start>, CommandError> {
        for written in job.write() {
            written?;
        }
        let locks = self.rehearsal.new_locks().map_err(|error| {
            CommandError::new(ExitKind::Failed, "failed to read a lock").caused_by(error)
        })?;
        let start = |lock: lock::NewLock| Start {
            path: lock.path,
            content: lock.text.into_bytes(),
            what: what.to_owned(),
        };
        Ok(locks.into_iter().map(start).collect())
    }
}
