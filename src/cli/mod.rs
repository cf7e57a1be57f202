//! Command line types. Nothing but clap.

pub mod bench;
pub mod build;
pub mod clean;
pub mod dev;
pub mod history;
pub mod init;
pub mod lock;
pub mod project;
pub mod stats;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Builds, explains, measures and cleans the images of a compose project with BuildKit.
#[derive(Debug, Parser)]
#[command(name = "doc2md-docker", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 ok, 1 build failed, 2 usage, 3 engine unreachable, \
    4 a budget or policy is violated, 5 compose file or Dockerfile invalid, 130 interrupted.")]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measure what builds of the project cost: the first, and after a change of code or requirements.
    Bench(bench::BenchArgs),
    /// Build the images of the project.
    Build(Box<build::BuildArgs>),
    /// Remove what belongs to the project: containers, networks, images, volumes, build cache.
    Clean(clean::CleanArgs),
    /// Build the development images and have docker compose run them: up, down, logs.
    Dev(dev::DevArgs),
    /// Show, compare and remove what earlier builds did.
    History(history::HistoryArgs),
    /// Write Dockerfiles, compose files and a CI workflow for a project.
    Init(init::InitArgs),
    /// Pin Python requirements, heavy ones apart, with uv in a build.
    Lock(lock::LockArgs),
    /// Show what images, containers, volumes and build cache take, and check budgets.
    Stats(stats::StatsArgs),
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Which project.
    #[command(flatten)]
    pub project: project::ProjectArgs,
    /// Engine to talk to, such as unix:///var/run/docker.sock, tcp://HOST:2376 or ssh://HOST.
    #[arg(short = 'H', long, global = true, value_name = "URL")]
    pub host: Option<String>,
    /// Docker context that names the engine.
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "host")]
    pub context: Option<String>,
    /// How progress is shown [env: BUILDKIT_PROGRESS, COMPOSE_PROGRESS].
    #[arg(long, global = true, value_enum, value_name = "MODE")]
    pub progress: Option<ProgressMode>,
    /// When to use colours.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = ColorMode::Auto)]
    pub color: ColorMode,
    /// Say more; repeat for debugging.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Print nothing but results.
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressMode {
    /// A live view on a terminal, lines elsewhere.
    Auto,
    /// A live view.
    Tty,
    /// One line per step.
    Plain,
    /// BuildKit's statuses as JSON lines.
    Rawjson,
    /// Image ids only.
    Quiet,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorMode {
    /// On terminals, honouring NO_COLOR and CLICOLOR_FORCE.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
