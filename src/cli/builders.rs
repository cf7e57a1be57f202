//! `doc2md-docker builders`: the builders that buildx knows.

use clap::{Args, Subcommand, ValueEnum};

/// Arguments of `builders`.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BuildersArgs {
    /// What to show; all of them, by default.
    #[command(subcommand)]
    pub command: Option<BuildersCommand>,
    /// How to print them.
    #[command(flatten)]
    pub list: ListArgs,
}

/// What to show.
#[derive(Debug, Clone, Subcommand)]
pub enum BuildersCommand {
    /// All builders and their nodes, the chosen one marked with `*`.
    #[command(visible_alias = "list")]
    Ls(ListArgs),
    /// One builder: nodes, options, BuildKit's release, platforms, size of the cache.
    #[command(visible_alias = "show")]
    Inspect(InspectArgs),
}

/// Arguments of `builders ls`.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// How to print them.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = BuildersFormat::Table)]
    pub format: BuildersFormat,
}

/// Arguments of `builders inspect`.
#[derive(Debug, Clone, Args)]
pub struct InspectArgs {
    /// Which one [default: that which a build would go to].
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// How to print it.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = BuildersFormat::Table)]
    pub format: BuildersFormat,
}

/// How builders are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BuildersFormat {
    /// A table for people.
    Table,
    /// One JSON document.
    Json,
}
