//! `doc2md-docker cache`: cache mounts, from engine to engine.

use clap::{Args, Subcommand, ValueEnum};

/// Arguments of `cache`.
#[derive(Debug, Clone, Args)]
pub struct CacheArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: CacheCommand,
}

/// What to do with cache mounts.
#[derive(Debug, Clone, Subcommand)]
pub enum CacheCommand {
    /// List the cache mounts of the services.
    ///
    /// What each holds, when it was last used, and which instructions use it. Each is looked into, with a step of a build.
    Ls(CacheLsArgs),
    /// Save cache mounts to a folder.
    ///
    /// One archive for each and a manifest. What did not change since it was saved or restored is not written again.
    Save(CacheSaveArgs),
    /// Restore cache mounts from a folder.
    ///
    /// Each is exchanged as a whole, once its archive has been checked. One that holds something is left alone.
    Restore(CacheRestoreArgs),
}

/// Arguments of `cache ls`.
#[derive(Debug, Clone, Args)]
pub struct CacheLsArgs {
    /// Services [default: all that are built].
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// How to print it.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = CacheFormat::Table)]
    pub format: CacheFormat,
}

/// Arguments of `cache save`.
#[derive(Debug, Clone, Args)]
pub struct CacheSaveArgs {
    /// Services [default: all that are built].
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// Folder to save to: DIR, or type=local,dest=DIR.
    #[arg(long, value_name = "DEST")]
    pub to: String,
    /// What files of a mount may have together, such as 2GB.
    ///
    /// Those that were used the longest ago are left out.
    #[arg(long, value_name = "SIZE")]
    pub max_size: Option<String>,
    /// How to print it.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = CacheFormat::Table)]
    pub format: CacheFormat,
}

/// Arguments of `cache restore`.
#[derive(Debug, Clone, Args)]
pub struct CacheRestoreArgs {
    /// Services [default: all that are built].
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// Folder to restore from: DIR, or type=local,src=DIR.
    #[arg(long, value_name = "SRC")]
    pub from: String,
    /// Replace what mounts hold.
    #[arg(long, conflicts_with = "merge")]
    pub force: bool,
    /// Keep what mounts hold, and add what they do not have.
    #[arg(long)]
    pub merge: bool,
    /// How to print it.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = CacheFormat::Table)]
    pub format: CacheFormat,
}

/// How cache mounts are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CacheFormat {
    /// For people.
    Table,
    /// One JSON document.
    Json,
}
