//! `doc2md-docker clean`: removes what belongs to the project.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::build::duration;

/// Headings of its help.
const WHAT: &str = "What to remove";
const CACHE: &str = "Limits on build cache";

/// Arguments of `clean`.
#[derive(Debug, Clone, Args)]
#[command(
    after_long_help = "Removes stopped containers, networks, built and dangling images and volumes of the project, in \
    this order, and with --cache its build cache. What other projects use stays, and what is uncertain too: the plan \
    says why, and which --include takes it in. It asks before it removes anything; without a terminal it needs --force or \
    CI=true, and for volumes --force or --volumes.\n\n\
    --builder NAME is about the build cache of that builder, at all of its nodes, and removes nothing else: --cache, --only cache \
    and limits on its size or age work there. `--builder -` is the builder of BUILDKIT_HOST. Without the option it is the engine, \
    also where builds go elsewhere."
)]
pub struct CleanArgs {
    /// Compose file; repeatable [env: COMPOSE_FILE].
    ///
    /// Later ones override earlier ones; `-` reads standard input.
    // The same argument as the global one, without `-f`: that is `--force`, as in docker.
    #[arg(id = "files", long = "file", value_name = "FILE", help_heading = "Project options")]
    pub files: Vec<PathBuf>,
    /// Do not ask.
    #[arg(short, long)]
    pub force: bool,
    /// Show what would be removed, and remove nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Remove what earlier builds left, nothing else.
    ///
    /// Images without a name, and build cache that no current build needs.
    #[arg(long, help_heading = WHAT, conflicts_with_all = [
        "cache", "containers", "networks", "images", "volumes", "only", "all", "stop",
        "max_used_space", "min_free_space", "reserved_space",
    ])]
    pub old: bool,
    /// Remove the project's build cache, too.
    ///
    /// `all` removes that of everybody on the engine.
    #[arg(long, help_heading = WHAT, hide_possible_values = true, value_enum, value_name = "WHICH", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub cache: Option<CacheChoice>,
    /// `=false` keeps containers.
    #[arg(long, help_heading = WHAT, value_enum, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "bare", hide_possible_values = true)]
    pub containers: Option<Choice>,
    /// `=false` keeps networks.
    #[arg(long, help_heading = WHAT, value_enum, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "bare", hide_possible_values = true)]
    pub networks: Option<Choice>,
    /// `=false` keeps images.
    #[arg(long, help_heading = WHAT, value_enum, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "bare", hide_possible_values = true)]
    pub images: Option<Choice>,
    /// `=false` keeps volumes.
    ///
    /// Without a value it is the answer to the question about them.
    #[arg(long, help_heading = WHAT, value_enum, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "bare", hide_possible_values = true)]
    pub volumes: Option<Choice>,
    /// Remove things of this kind alone; repeatable.
    #[arg(long, help_heading = WHAT, value_enum, value_name = "KIND", conflicts_with_all = ["containers", "networks", "images", "volumes"])]
    pub only: Vec<OnlyKind>,
    /// Take in what is kept as uncertain; repeatable.
    ///
    /// What is not certain to be the project's stays without it. Several are separated by commas.
    #[arg(long, help_heading = WHAT, value_enum, value_name = "WHAT", value_delimiter = ',')]
    pub include: Vec<IncludeKind>,
    /// Remove images that are only pulled, too.
    #[arg(short, long, help_heading = WHAT)]
    pub all: bool,
    /// Stop running containers and remove them, too.
    #[arg(long, help_heading = WHAT)]
    pub stop: bool,
    /// Only what is older, such as until=48h.
    ///
    /// Or until=2026-11-01T00:00:00Z. Build cache: what has not been used for longer.
    #[arg(long, help_heading = WHAT, value_name = "FILTER")]
    pub filter: Vec<String>,
    /// Remove cache until it fits in this size.
    ///
    /// Build cache of the project, least recently used first; such as 5GB.
    #[arg(long, help_heading = CACHE, value_name = "BYTES", alias = "keep-storage")]
    pub max_used_space: Option<String>,
    /// Remove cache until this much disk is free.
    ///
    /// Build cache of the project; the engine's disk.
    #[arg(long, help_heading = CACHE, value_name = "BYTES")]
    pub min_free_space: Option<String>,
    /// Keep this much of it in any case.
    #[arg(long, help_heading = CACHE, value_name = "BYTES")]
    pub reserved_space: Option<String>,
    /// Give up after this long: 90s, 10m.
    ///
    /// What was removed by then is told.
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
pub enum IncludeKind {
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
