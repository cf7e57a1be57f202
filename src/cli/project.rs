//! Which compose project a command works on: the flags of `docker compose`.

use std::path::PathBuf;

use clap::Args;

/// Options that choose a project.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Project options")]
pub struct ProjectArgs {
    /// Compose file; repeat to add overrides, `-` reads standard input [env: COMPOSE_FILE].
    #[arg(short, long = "file", global = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Project name [env: COMPOSE_PROJECT_NAME].
    #[arg(short, long, global = true, value_name = "NAME")]
    pub project_name: Option<String>,
    /// Project directory; by default that of the first compose file.
    #[arg(long, global = true, value_name = "DIR")]
    pub project_directory: Option<PathBuf>,
    /// Enable a profile; repeatable, `*` enables all [env: COMPOSE_PROFILES].
    #[arg(long = "profile", global = true, value_name = "NAME")]
    pub profiles: Vec<String>,
    /// File of variables instead of .env; repeatable [env: COMPOSE_ENV_FILES].
    #[arg(long = "env-file", global = true, value_name = "FILE")]
    pub env_files: Vec<PathBuf>,
}
