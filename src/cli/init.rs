//! `doc2md-docker init`: Docker files for a project that has none.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `init`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Looks for a FastAPI app, a Celery app and the files that name their packages, and writes \
    Dockerfiles, compose files, .dockerignore and a CI workflow for them. A folder without Python code gets a small \
    Doc2MD to start from. `doc2md-docker build` works right after it."
)]
pub struct InitArgs {
    /// Folder of the project; made if it is not there.
    #[arg(value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,
    /// Show what would be written, and write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Overwrite files that are there.
    #[arg(long)]
    pub force: bool,
    /// The app that answers requests, where it is not found: app.main:app.
    #[arg(long, value_name = "MODULE:VARIABLE")]
    pub api: Option<String>,
    /// The Celery app, where it is not found: workers.tasks.
    #[arg(long, value_name = "MODULE")]
    pub worker: Option<String>,
}
