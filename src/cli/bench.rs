//! `doc2md-docker bench`: its flags.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::build::duration;

/// Arguments of `bench`.
#[derive(Debug, Clone, Args)]
#[command(
    after_long_help = "Builds copies of the build contexts under names of their own, with cache mounts of their own: the \
    project's files, images, caches and remembered builds stay as they are, and what the benchmark made is removed at \
    the end, also after Ctrl-C. Base images are used as the engine has them. `first` downloads everything; the other \
    cases need one build before, which is not measured unless it is `first`.\n\n\
    A changed file gets a line of comment at its end, or blank lines where its format has no comments. For a file of \
    requirements that runs the installation again, with what it has downloaded before; --add adds a real requirement.\n\n\
    `lock` adds the lines of --add to copies of the requirements*.in files, has them locked as `lock` would, and measures \
    the build after it. A project to compare with that has no such file gets the lines in its file of requirements."
)]
pub struct BenchArgs {
    /// Services to build [default: all that have a build section].
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// How often each case is measured.
    #[arg(long, value_name = "N", default_value = "3")]
    pub runs: NonZeroUsize,
    /// Measure only these [default: all but `warm` and `lock`].
    #[arg(long = "case", value_enum, value_name = "CASE", value_delimiter = ',')]
    pub cases: Vec<BenchCase>,
    /// Another project to compare with.
    ///
    /// Its directory or its compose file; the builds take turns.
    #[arg(long, value_name = "PATH")]
    pub against: Option<PathBuf>,
    /// File to change as code; repeatable.
    ///
    /// By default the newest one that is copied last.
    #[arg(long, value_name = "FILE")]
    pub code: Vec<PathBuf>,
    /// File to change as requirements; repeatable.
    ///
    /// By default the one that the Dockerfile names last.
    #[arg(long, value_name = "FILE")]
    pub requirement: Vec<PathBuf>,
    /// Line to add to the file of requirements.
    ///
    /// Such as humanize==4.12.3; repeatable.
    #[arg(long, value_name = "LINE")]
    pub add: Vec<String>,
    /// At most N at once [env: COMPOSE_PARALLEL_LIMIT].
    #[arg(long, value_name = "N")]
    pub parallel: Option<NonZeroUsize>,
    /// Give a build up after this long: 90s, 20m.
    ///
    /// An engine that does not answer gets no longer either.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// How to print the result.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = BenchFormat::Table)]
    pub format: BenchFormat,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum BenchCase {
    /// A build with nothing cached but the base images.
    First,
    /// A build without the layer cache, what was downloaded before kept.
    Warm,
    /// A build after one of the same.
    Unchanged,
    /// A build after a change of code.
    Code,
    /// A build after a change of requirements.
    Requirement,
    /// A build after `lock` with the requirements of --add.
    Lock,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchFormat {
    /// Tables for people.
    Table,
    /// Tables for pages.
    Markdown,
    /// One JSON document, doc2md-docker/bench/v1.
    Json,
}
