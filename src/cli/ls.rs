//! `doc2md-docker ls`: the projects of the engine.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::build::duration;

/// Arguments of `ls`.
#[derive(Debug, Clone, Args)]
#[command(
    after_long_help = "A project is known by the labels that compose and this program put on what they make. RUNNING says how many of \
    its containers run. SIZE is that of its images, layers that they share counted once; the build cache belongs to no project alone \
    (`stats -v` tells which part of it a project uses). `clean -p NAME` cleans up after one, also where its files are gone."
)]
pub struct LsArgs {
    /// How to print it.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LsFormat::Table)]
    pub format: LsFormat,
    /// Wait this long for the engine to measure.
    ///
    /// What is late is left out.
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "20s")]
    pub timeout: Duration,
}

/// How projects are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LsFormat {
    /// A table for people.
    Table,
    /// One JSON document, doc2md-docker/ls/v1.
    Json,
}
