//! Which compose project a command works on: the flags of `docker compose`.

use std::path::PathBuf;

use clap::Args;

/// The heading of these options. `next_help_heading` would stay for whatever follows them.
const PROJECT: &str = "Project options";

/// Options that choose a project.
#[derive(Debug, Clone, Default, Args)]
pub struct ProjectArgs {
    /// Compose file; repeatable [env: COMPOSE_FILE].
    ///
    /// Later ones override earlier ones; `-` reads standard input.
    #[arg(short, long = "file", global = true, help_heading = PROJECT, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Project name [env: COMPOSE_PROJECT_NAME].
    #[arg(short, long, global = true, help_heading = PROJECT, value_name = "NAME")]
    pub project_name: Option<String>,
    /// Project directory [default: that of the first compose file].
    #[arg(long, hide_short_help = true, global = true, help_heading = PROJECT, value_name = "DIR")]
    pub project_directory: Option<PathBuf>,
    /// Enable a profile; repeatable, `*` enables all [env: COMPOSE_PROFILES].
    #[arg(long = "profile", hide_short_help = true, global = true, help_heading = PROJECT, value_name = "NAME")]
    pub profiles: Vec<String>,
    /// File of variables instead of .env; repeatable [env: COMPOSE_ENV_FILES].
    #[arg(long = "env-file", hide_short_help = true, global = true, help_heading = PROJECT, value_name = "FILE")]
    pub env_files: Vec<PathBuf>,
}
