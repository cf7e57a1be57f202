//! `doc2md-docker doctor`: what is wrong with the engine and around it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Arguments of `doctor`.
#[derive(Debug, Clone, Args)]
#[command(
    after_long_help = "Nothing of the project is built and nothing is changed. The registries that are asked for are those of the base images of \
    the project's last build, and it is the engine that asks them. Whether builds resolve names is found out by a step of its \
    own, which takes no image and of which the engine keeps no build."
)]
pub struct DoctorArgs {
    /// How to print it.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = DoctorFormat::Text)]
    pub format: DoctorFormat,
    /// Write the JSON document to a file, for a report: it holds no secrets.
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DoctorFormat {
    /// Lines for people.
    Text,
    /// One JSON document, doc2md-docker/doctor/v1.
    Json,
}
