//! `doc2md-docker stats`: what the project takes on disk.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::build::duration;

/// Arguments of `stats`.
#[derive(Debug, Clone, Args)]
#[command(
    after_long_help = "Sizes are those of the engine, in bytes where a script reads them. With -v every layer and every \
    cache record is listed, and which part of the build cache is this project's (as in json, markdown and \
    prometheus): that asks the engine for its past builds and takes longer. Without compose files here, -p NAME goes by labels.\n\n\
    Budgets: NAME is a service, `total` (the project's images, shared layers counted once), `cache` (the engine's \
    build cache) or `project-cache`. They can stand in doc2md-docker.toml beside the compose file:\n\n    \
    [budgets]\n    api = \"300MB\"\n    total = \"7GB\"\n    max-growth = \"10%\"\n\n\
    A broken budget ends the command with exit code 4, one that cannot be measured with 1.\n\n\
    --builder NAME shows what BuildKit at the nodes of that builder keeps instead, and whose it is: its build cache alone, as a \
    table or in json (doc2md-docker/builder-stats/v1). `--builder -` is the builder of BUILDKIT_HOST. Without the option it is \
    the engine, also where builds go elsewhere."
)]
pub struct StatsArgs {
    /// How to print it.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = StatsFormat::Table)]
    pub format: StatsFormat,
    /// Write a page that shows the sizes, and how they grew.
    ///
    /// Self-contained, without scripts: what takes the disk, image sizes over the recorded builds, cache mounts with what they save, and what `clean` would free. FILE may be `-`, which leaves the table out.
    #[arg(long, value_name = "FILE.html")]
    pub html: Option<PathBuf>,
    /// Limit on a size, such as api=300MB; repeatable.
    ///
    /// Or total=7GB, or cache=5GB.
    #[arg(long, value_name = "NAME=SIZE")]
    pub budget: Vec<String>,
    /// By how much an image may grow, such as 10%.
    ///
    /// Compared with the last build's.
    #[arg(long, value_name = "PERCENT")]
    pub max_growth: Option<String>,
    /// Look into cache mounts for their true size.
    ///
    /// By default into those used since the last look, unless that takes long; `always` looks into all of them, as long as --timeout lets it, `never` takes the engine's figures.
    #[arg(
        long, value_enum, value_name = "WHEN", default_value_t = Measure::Auto,
        num_args = 0..=1, require_equals = true, default_missing_value = "always"
    )]
    pub measure: Measure,
    /// Wait this long for the engine to measure.
    ///
    /// What is late is left out.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "20s")]
    pub timeout: Duration,
}

/// When cache mounts are looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Measure {
    /// Where that is quick.
    Auto,
    /// All of them.
    Always,
    /// Never.
    Never,
}

/// How statistics are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatsFormat {
    /// Tables for people.
    Table,
    /// One JSON document, doc2md-docker/stats/v1.
    Json,
    /// Tables for pages.
    Markdown,
    /// Metrics in Prometheus' text format.
    Prometheus,
}
