//! Which project is measured: from its files, or from its name alone.

use std::path::Path;

use crate::app::App;
use crate::commands::scope::{self, Scope};
use crate::commands::services;
use crate::error::CommandError;
use crate::usage::ServiceFacts;

/// The project, as far as it is known.
pub(super) struct Measured {
    pub(super) scope: Scope,
    pub(super) services: Vec<ServiceFacts>,
}

impl Measured {
    pub(super) fn name(&self) -> &str {
        &self.scope.project.name
    }

    /// Its directory; `None` where it is known by its name alone.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.scope.files.as_ref().map(|files| files.working_dir.as_path())
    }
}

/// Loads it.
///
/// # Errors
/// Its files are invalid, or there are none and no name is given.
pub(super) fn measured(app: &App) -> Result<Measured, CommandError> {
    let scope = scope::scope(app)?;
    let services = services::services(&scope, &app.environment)?;
    Ok(Measured { scope, services })
}
