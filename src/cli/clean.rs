//! `doc2md-docker clean`: removes what belongs to the project.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::build::duration;

/// Arguments of `clean`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Removes stopped containers, networks, built and dangling images and volumes of the project, in \
    this order, and with --cache its build cache. What other projects use stays, and what is uncertain too: the plan \
    says why, and which --include takes it in. It asks before it removes anything; without a terminal it needs --force or \
    CI=true, and for volumes --force or --volumes.\n\n\
    doc2md-docker clean --dry-run            show what would go, and what stays and why\n\
    doc2md-docker clean --old                what is left of earlier builds; what is current stays, and stays cached\n\
    doc2md-docker clean --volumes=false      everything but the volumes\n\
    doc2md-docker clean --only cache         the project's build cache alone\n\
    doc2md-docker clean --max-used-space 5GB the least recently used build cache of the project above 5 GB\n\
    doc2md-docker clean -p NAME              a project whose files are gone"
)]
pub struct CleanArgs {
    /// Compose file; repeat to add overrides, `-` reads standard input [env: COMPOSE_FILE].
    // The same argument as the global one, without `-f`: that is `--force`, as in docker.
    #[arg(id = "files", long = "file", value_name = "FILE", help_heading = "Project options")]
    pub files: Vec<PathBuf>,
    /// Do not ask.
    #[arg(short, long)]
    pub force: bool,
    /// Show what would be removed, and remove nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Remove what is left of earlier builds alone: images without a name, and build cache that no current build needs.
    #[arg(long, conflicts_with_all = [
        "cache", "containers", "networks", "images", "volumes", "only", "all", "stop",
        "max_used_space", "min_free_space", "reserved_space",
    ])]
    pub old: bool,
    /// Remove the project's build cache, too; `all` removes that of everybody on the engine.
    #[arg(long, value_enum, value_name = "WHICH", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub cache: Option<CacheChoice>,
    /// Whether to remove containers: `=false` keeps them.
    #[arg(long, value_enum, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "bare", hide_possible_values = true)]
    pub containers: Option<Choice>,
    /// Whether to remove networks: `=false` keeps them.
    #[arg(long, value_enum, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "bare", hide_possible_values = true)]
    pub networks: Option<Choice>,
    /// Whether to remove images: `=false` keeps them.
    #[arg(long, value_enum, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "bare", hide_possible_values = true)]
    pub images: Option<Choice>,
    /// Whether to remove volumes; given, it stands for the answer to the question about them.
    #[arg(long, value_enum, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "bare", hide_possible_values = true)]
    pub volumes: Option<Choice>,
    /// Remove things of this kind alone; repeatable.
    #[arg(long, value_enum, value_name = "KIND", conflicts_with_all = ["containers", "networks", "images", "volumes"])]
    pub only: Vec<OnlyKind>,
    /// Take in what is kept otherwise as not certain to be the project's; repeatable, or separated by commas.
    #[arg(long, value_enum, value_name = "WHAT", value_delimiter = ',')]
    pub include: Vec<Included>,
    /// Remove images that the project only pulls, too.
    #[arg(short, long)]
    pub all: bool,
    /// Stop running containers and remove them, too.
    #[arg(long)]
    pub stop: bool,
    /// `until=48h` or `until=2026-11-01T00:00:00Z`: only what is older (build cache: unused for longer).
    #[arg(long, value_name = "FILTER")]
    pub filter: Vec<String>,
    /// Remove build cache of the project, least recently used first, until it fits in this size, such as 5GB.
    #[arg(long, value_name = "BYTES", alias = "keep-storage")]
    pub max_used_space: Option<String>,
    /// Remove build cache of the project until the engine's disk has this much free.
    #[arg(long, value_name = "BYTES")]
    pub min_free_space: Option<String>,
    /// Keep this much build cache of the project in any case.
    #[arg(long, value_name = "BYTES")]
    pub reserved_space: Option<String>,
    /// Give up after this long, such as 90s or 10m; what was removed by then is told.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// How to print the plan and the result.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = CleanFormat::Table)]
    pub format: CleanFormat,
}

/// Whether things of a kind go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Choice {
    /// They do.
    True,
    /// They stay.
    False,
    /// The option stands alone.
    #[value(hide = true)]
    Bare,
}

/// What `--include` takes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Included {
    /// Containers and images that the project has from another directory.
    OtherDirectories,
    /// Volumes, networks and images of the project that its files do not name.
    Undeclared,
    /// Images that no recorded build of the project made.
    Unrecorded,
}

/// Whose build cache goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CacheChoice {
    /// The project's.
    True,
    /// Nobody's.
    False,
    /// Everybody's on the engine.
    All,
}

/// Kinds of things to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnlyKind {
    /// Containers.
    #[value(alias = "container")]
    Containers,
    /// Networks.
    #[value(alias = "network")]
    Networks,
    /// Images.
    #[value(alias = "image")]
    Images,
    /// Volumes.
    #[value(alias = "volume")]
    Volumes,
    /// Build cache.
    Cache,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CleanFormat {
    /// For people.
    Table,
    /// For programs, schema `doc2md-docker/clean/v1`.
    Json,
}
