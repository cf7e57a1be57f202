//! `doc2md-docker history`: what earlier builds did.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Arguments of `history`.
#[derive(Debug, Clone, Args)]
#[command(
    after_long_help = "A build is named by its id, the beginning of it, `latest`, or `latest~N` for the Nth before that; \
    one of another client by what the engine calls it (`history ls --engine`). \
    Without compose files here, -p NAME names the project."
)]
pub struct HistoryArgs {
    /// What to do; `ls` by default.
    #[command(subcommand)]
    pub action: Option<HistoryAction>,
}

/// What can be done with earlier builds.
#[derive(Debug, Clone, Subcommand)]
pub enum HistoryAction {
    /// List builds, the newest first, and how long each target took.
    #[command(visible_alias = "list")]
    Ls(ListArgs),
    /// Show the steps of one build.
    #[command(visible_alias = "inspect")]
    Show(ShowArgs),
    /// Put the steps of two builds side by side, and what changed between them.
    #[command(visible_alias = "diff")]
    Compare(CompareArgs),
    /// Print the output of the steps of one build, as long as the engine keeps it; of a failed one at least the end.
    Logs(LogsArgs),
    /// Forget builds.
    #[command(visible_alias = "remove")]
    Rm(RemoveArgs),
}

/// Arguments of `history ls`.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// How many builds.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
    /// List what the engine remembers instead, whoever built it: docker build, compose, bake, CI.
    #[arg(long)]
    pub engine: bool,
    /// Of all projects.
    #[arg(short, long, requires = "engine")]
    pub all: bool,
    /// How to print it.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = HistoryFormat::Table)]
    pub format: HistoryFormat,
}

impl Default for ListArgs {
    fn default() -> Self {
        Self { limit: 20, engine: false, all: false, format: HistoryFormat::Table }
    }
}

/// Arguments of `history show`.
#[derive(Debug, Clone, Args)]
pub struct ShowArgs {
    /// Which build: id, latest, latest~N.
    #[arg(value_name = "BUILD", default_value = "latest")]
    pub build: String,
    /// How to print it.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = HistoryFormat::Table)]
    pub format: HistoryFormat,
    /// Write a page that shows when each step ran.
    #[arg(long, value_name = "FILE.html")]
    pub timeline: Option<PathBuf>,
    /// Write the same in Chrome's trace event format.
    #[arg(long, value_name = "FILE.json")]
    pub trace: Option<PathBuf>,
}

/// Arguments of `history logs`.
#[derive(Debug, Clone, Args)]
pub struct LogsArgs {
    /// Which build: id, latest, latest~N.
    #[arg(value_name = "BUILD", default_value = "latest")]
    pub build: String,
    /// Only these services.
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
}

/// Arguments of `history compare`.
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// The earlier build.
    #[arg(value_name = "A", default_value = "latest~1")]
    pub a: String,
    /// The later build.
    #[arg(value_name = "B", default_value = "latest")]
    pub b: String,
    /// How to print it.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = HistoryFormat::Table)]
    pub format: HistoryFormat,
}

/// Arguments of `history rm`.
#[derive(Debug, Clone, Args)]
pub struct RemoveArgs {
    /// Which builds.
    #[arg(value_name = "BUILD", required_unless_present = "all")]
    pub builds: Vec<String>,
    /// All of the project.
    #[arg(long, conflicts_with = "builds")]
    pub all: bool,
}

/// How history is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HistoryFormat {
    /// Tables for people.
    Table,
    /// One JSON document.
    Json,
}
