//! `doc2md-docker check`: what costs builds time or disk.

use clap::{Args, ValueEnum};

/// Arguments of `check`.
#[derive(Debug, Clone, Args)]
#[command(
    after_long_help = "Nothing is built, and no engine is needed; with one that has them, BuildKit's own checks are included.\n\n\
    A finding says what it cost in the builds that are remembered: in how many of them the steps that it concerns ran, and how \
    long they took. --fix makes the changes that change nothing but that, and shows them as a diff; without it nothing is \
    written."
)]
pub struct CheckArgs {
    /// Services [default: all that are built].
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// Exit with code 4 where there is a finding as bad as this or worse.
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t = CheckSeverity::Warning)]
    pub severity: CheckSeverity,
    /// Make the changes that are safe, and show them.
    #[arg(long)]
    pub fix: bool,
    /// With --fix: only show them.
    #[arg(long, requires = "fix")]
    pub dry_run: bool,
    /// How to print it.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = CheckFormat::Table)]
    pub format: CheckFormat,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckSeverity {
    /// It leaks something, or what is built does not work.
    Error,
    /// It costs time or disk.
    Warning,
    /// It may well be meant.
    Advice,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// For people.
    Table,
    /// One JSON document.
    Json,
    /// SARIF 2.1.0, which code scanning reads.
    Sarif,
    /// Annotations of GitHub Actions.
    Github,
}
