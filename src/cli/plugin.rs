//! `doc2md-docker plugin`: this program as `docker doc2md`.

use clap::{Args, Subcommand};

/// Arguments of `plugin`.
#[derive(Debug, Clone, Args)]
pub struct PluginArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: PluginAction,
}

/// What can be done.
#[derive(Debug, Clone, Subcommand)]
pub enum PluginAction {
    /// Link it into docker's folder of plugins.
    Install(InstallArgs),
    /// Remove that link.
    Remove,
}

/// Arguments of `plugin install`.
#[derive(Debug, Clone, Args)]
pub struct InstallArgs {
    /// Replace what has the name there.
    #[arg(long)]
    pub force: bool,
}
