//! One build that locks everything that was chosen: its context, its target, and what is written of its result.

use std::path::{Path, PathBuf};

use super::recipe::{self, Upgrade};
use super::{Lock, LockError, LockOptions, Written};
use crate::error::{CommandError, ExitKind};
use crate::targets::spec::Typed;
use crate::targets::target::Target;

/// Something to lock.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// As the user would name it.
    pub shown: String,
    /// Its locks.
    pub lock: Lock,
}

/// A build that locks.
pub struct Job<'a> {
    chosen: &'a [Chosen],
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
        chosen: &'a [Chosen],
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
    pub fn target(&self, base: Target) -> Result<Target, CommandError> {
        for (number, Chosen { shown, lock }) in self.chosen.iter().enumerate() {
            let Upgrade { all, packages } = self.upgrade;
            let is_fresh = *all || !packages.is_empty() || !lock.is_locked();
            let folder = self.context.join(number.to_string());
            let nonce = is_fresh.then_some(self.nonce.as_str());
            lock.write_context(self.options, &folder, nonce).map_err(|error| {
                let message = format!("failed to copy {shown} for the build");
                CommandError::new(ExitKind::Failed, message).caused_by(error)
            })?;
        }
        let input = |Chosen { shown, lock }: &Chosen| {
            let input = lock.input(self.options);
            input.map_err(|error| not_locked(shown, ExitKind::Usage, error))
        };
        let inputs = self.chosen.iter().map(input).collect::<Result<Vec<_>, _>>()?;
        Ok(Target {
            name: "lock".to_owned(),
            context: self.context.display().to_string(),
            dockerfile_inline: Some(recipe::dockerfile(&inputs, self.upgrade)),
            outputs: vec![Typed::plain("local").with("dest", &self.out.to_string_lossy())],
            ..base
        })
    }

    /// Writes the locks that the build made, in their order.
    pub fn write(&self) -> impl Iterator<Item = Result<(&str, Written), CommandError>> {
        self.chosen.iter().enumerate().map(|(number, Chosen { shown, lock })| {
            let written = lock.write(self.options, &self.out.join(number.to_string()));
            let written = written.map_err(|error| not_locked(shown, ExitKind::Failed, error))?;
            Ok((shown.as_str(), written))
        })
    }
}

pub(super) fn not_locked(shown: &str, kind: ExitKind, error: LockError) -> CommandError {
    CommandError::new(kind, format!("failed to lock {shown}")).caused_by(error)
}
