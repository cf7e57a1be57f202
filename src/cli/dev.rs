//! `doc2md-docker dev`: its flags.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Arguments of `dev`.
#[derive(Debug, Clone, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "The compose files are those of the project, and beside the first of them NAME.dev.yml or \
    NAME.dev.yaml, such as docker-compose.dev.yml. Files given by --file or COMPOSE_FILE are used as they are. \
    docker compose does the running; the exit code is its own."
)]
pub struct DevArgs {
    /// What to do; `up` by default.
    #[command(subcommand)]
    pub action: Option<DevAction>,
    /// Arguments of `up`.
    #[command(flatten)]
    pub up: UpArgs,
}

/// What `dev` does.
#[derive(Debug, Clone, Subcommand)]
pub enum DevAction {
    /// Build the development images and start the services.
    Up(UpArgs),
    /// Stop the services, and remove their containers and networks.
    Down(DownArgs),
    /// Show what the services print.
    Logs(LogsArgs),
}

/// Arguments of `dev up`.
#[derive(Debug, Clone, Default, Args)]
pub struct UpArgs {
    /// Services to build and start, with those they depend on; all when none is named.
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// Leave the services running in the background.
    #[arg(short, long)]
    pub detach: bool,
    /// Options handed on to `docker compose up`.
    #[arg(last = true, value_name = "OPTION")]
    pub compose: Vec<String>,
}

/// Arguments of `dev down`.
#[derive(Debug, Clone, Args)]
pub struct DownArgs {
    /// Remove the volumes, too.
    // Not `-v`'s usual meaning here, but what it is for `docker compose down`.
    #[arg(short = 'v', long)]
    pub volumes: bool,
    /// Say more; repeat for debugging.
    // The same argument as the global one, without `-v`.
    #[arg(long, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub verbose: u8,
    /// Options handed on to `docker compose down`.
    #[arg(last = true, value_name = "OPTION")]
    pub compose: Vec<String>,
}

/// Arguments of `dev logs`.
#[derive(Debug, Clone, Args)]
pub struct LogsArgs {
    /// Services whose output is shown; all when none is named.
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// Go on as more is printed.
    #[arg(short = 'f', long)]
    pub follow: bool,
    /// Compose file; repeat to add overrides [env: COMPOSE_FILE].
    // The same argument as the global one, without `-f`.
    #[arg(id = "files", long = "file", value_name = "FILE", help_heading = "Project options")]
    pub files: Vec<PathBuf>,
    /// Options handed on to `docker compose logs`.
    #[arg(last = true, value_name = "OPTION")]
    pub compose: Vec<String>,
}
