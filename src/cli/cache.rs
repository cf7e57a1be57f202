//! `doc2md-docker cache`: cache mounts, from engine to engine.

use std::path::PathBuf;

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
    /// Save cache mounts to a folder or a registry.
    ///
    /// Archives for each and a manifest. What did not change since it was saved or restored is not written again, and where little
    /// is new, only that is.
    Save(CacheSaveArgs),
    /// Restore cache mounts from a folder or a registry.
    ///
    /// Each is exchanged as a whole, once its archive has been checked. One that holds something is left alone.
    Restore(CacheRestoreArgs),
    /// Use cache mounts, so that the engine's garbage collection keeps them.
    ///
    /// It takes first what was not used for the longest time: run this from a timer.
    Keep(CacheKeepArgs),
    /// Remove cache mounts of the services from the engine.
    ///
    /// Shows a plan and asks. A mount that a build uses stays.
    Rm(CacheRmArgs),
    /// Write what a cache mount holds to a tar archive.
    Export(CacheExportArgs),
    /// Fill a cache mount from a tar archive.
    ///
    /// Exchanged as a whole, once all of the archive has come. A mount that holds something is left alone.
    Import(CacheImportArgs),
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
    /// Where to: DIR, or type=registry,ref=REF.
    ///
    /// type=local,dest=DIR is a folder, too. A tag of a registry gets a layer for each mount, with docker's login;
    /// registry.insecure=true takes any certificate, or none.
    #[arg(long, value_name = "DEST")]
    pub to: String,
    /// What files of a mount may have together, such as 2GB.
    ///
    /// Downloads of tools that are known, and what was used the longest ago, are left out; of anything else all or nothing.
    #[arg(long, value_name = "SIZE")]
    pub max_size: Option<String>,
    /// Save what is not worth it, too.
    ///
    /// Without it a mount is left where builds save less time by it than it takes to move it there and back. What is not known
    /// is saved.
    #[arg(long)]
    pub always: bool,
    /// Do not save these: an id, where `*` stands for anything; repeatable.
    #[arg(long, value_name = "ID")]
    pub never: Vec<String>,
    /// Bytes a second that the folder travels with, such as 30MB.
    ///
    /// Where something else moves it: a cache of CI, rsync. It counts in what a mount is worth.
    #[arg(long, value_name = "SIZE")]
    pub rate: Option<String>,
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
    /// Where from: DIR, or type=registry,ref=REF; repeatable.
    ///
    /// Each mount comes from the first one that has it: the branch's tag, then that of main.
    #[arg(long, value_name = "SRC", required = true)]
    pub from: Vec<String>,
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

/// Arguments of `cache keep`.
#[derive(Debug, Clone, Args)]
pub struct CacheKeepArgs {
    /// Services [default: all that are built].
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// How to print it.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = CacheFormat::Table)]
    pub format: CacheFormat,
}

/// Arguments of `cache rm`.
#[derive(Debug, Clone, Args)]
pub struct CacheRmArgs {
    /// Ids of cache mounts, as `cache ls` lists them.
    #[arg(value_name = "ID", required = true)]
    pub ids: Vec<String>,
    /// Do not ask.
    #[arg(long)]
    pub force: bool,
    /// Show what would be removed, and remove nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How to print the plan and the result.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = CacheFormat::Table)]
    pub format: CacheFormat,
}

/// Arguments of `cache export`.
#[derive(Debug, Clone, Args)]
pub struct CacheExportArgs {
    /// Id of a cache mount, as `cache ls` lists it.
    #[arg(value_name = "ID")]
    pub id: String,
    /// File to write; `-` is standard output.
    ///
    /// A tar archive, compressed with zstd unless the name ends in `.tar`.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
}

/// Arguments of `cache import`.
#[derive(Debug, Clone, Args)]
pub struct CacheImportArgs {
    /// Id of a cache mount, as `cache ls` lists it.
    #[arg(value_name = "ID")]
    pub id: String,
    /// File to read; `-` is standard input.
    ///
    /// A tar archive, compressed with zstd or not.
    #[arg(value_name = "FILE", default_value = "-")]
    pub file: PathBuf,
    /// Replace what the mount holds.
    #[arg(long, conflicts_with = "merge")]
    pub force: bool,
    /// Keep what the mount holds, and add what it does not have.
    #[arg(long)]
    pub merge: bool,
    /// How to print what became of it.
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
