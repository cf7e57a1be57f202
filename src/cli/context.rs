//! `doc2md-docker context`: what builds send.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Arguments of `context`.
#[derive(Debug, Clone, Args)]
pub struct ContextArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ContextCommand,
}

/// What to do with contexts.
#[derive(Debug, Clone, Subcommand)]
pub enum ContextCommand {
    /// List what builds send of their contexts, the largest first.
    ///
    /// That is what the ignore file lets through and an instruction of the Dockerfile reads.
    Ls(ListArgs),
    /// Tell why a path is sent or not.
    ///
    /// Which pattern decides, and which instructions read it. The path need not exist.
    Explain(ExplainArgs),
}

/// Arguments of `context ls`.
#[derive(Debug, Clone, Args)]
pub struct ListArgs {
    /// Services [default: all that are built].
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// How many elements of paths to tell apart, as in `du -d`.
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = depth)]
    pub depth: usize,
    /// How to print it.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = ContextFormat::Table)]
    pub format: ContextFormat,
}

/// Arguments of `context explain`.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// The file or directory.
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Services [default: all that are built].
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// How to print it.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = ContextFormat::Table)]
    pub format: ContextFormat,
}

/// How contexts are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ContextFormat {
    /// For people.
    Table,
    /// One JSON document.
    Json,
}

/// Reads a number of path elements, at least one.
fn depth(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1".to_owned()),
        Ok(depth) => Ok(depth),
        Err(error) => Err(format!("{error}")),
    }
}
