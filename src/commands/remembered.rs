//! The builds of one project that this program remembers, for the commands that work on them.

use crate::app::App;
use crate::compose;
use crate::error::{CommandError, ExitKind};
use crate::history::{BuildFile, Entry, Store, StoreError, select};
use crate::terminal::Ui;

/// The project's name: given, or that of the compose files.
fn project_name(app: &App) -> Result<String, CommandError> {
    let given = app.global.project.project_name.as_deref();
    match given.or_else(|| app.environment.get("COMPOSE_PROJECT_NAME")) {
        Some(name) => Ok(compose::normalise_name(name)),
        None => match app.project() {
            Ok(project) => Ok(project.name),
            Err(error) => Err(error.hint("-p NAME names a project whose files are gone")),
        },
    }
}

/// The history of one project.
pub(super) struct History<'a> {
    pub(super) store: Store,
    pub(super) project: String,
    pub(super) ui: &'a Ui,
}

impl<'a> History<'a> {
    pub(super) fn open(app: &'a App) -> Result<Self, CommandError> {
        let Some(directory) = app.environment.ledger_directory() else {
            return Err(CommandError::new(
                ExitKind::Usage,
                "there is no place for a history of builds",
            )
            .hint("set DOC2MD_DOCKER_STATE_DIR or HOME"));
        };
        let project = project_name(app)?;
        Ok(Self { store: Store::open(directory), project, ui: &app.ui })
    }

    /// The project's builds, the newest first.
    pub(super) fn builds(&self) -> Result<Vec<BuildFile>, CommandError> {
        self.store.entries(&self.project).map_err(|error| match error {
            StoreError::Project(_) => {
                CommandError::new(ExitKind::Usage, error.to_string()).keeping(error)
            }
            error => broken(error),
        })
    }

    pub(super) fn read(&self, builds: &[BuildFile], spec: &str) -> Result<Entry, CommandError> {
        find(builds, spec)?.read().map_err(|error| {
            CommandError::new(ExitKind::Failed, format!("cannot read build {spec}"))
                .caused_by(error)
        })
    }
}

pub(super) fn find<'a>(builds: &'a [BuildFile], spec: &str) -> Result<&'a BuildFile, CommandError> {
    if builds.is_empty() {
        return Err(CommandError::new(ExitKind::Usage, "no builds of this project are remembered")
            .hint("`doc2md-docker build` starts the history; -p NAME names another project"));
    }
    select(builds, spec).map_err(|error| {
        CommandError::new(ExitKind::Usage, error.to_string())
            .hint("`doc2md-docker history ls` lists them")
            .keeping(error)
    })
}

pub(super) fn broken(error: StoreError) -> CommandError {
    CommandError::new(ExitKind::Failed, "failed to use the history of builds").caused_by(error)
}
