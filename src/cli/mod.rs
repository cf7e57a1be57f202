//! Command line types. Nothing but clap.

pub mod bench;
pub mod build;
pub mod builders;
pub mod clean;
pub mod config;
pub mod dev;
pub mod history;
pub mod init;
pub mod lock;
pub mod project;
pub mod stats;
pub mod why;

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
    /// Show the builders that buildx knows: nodes, BuildKit's release, platforms, cache, and which one is chosen.
    Builders(builders::BuildersArgs),
    /// Build the images of the project.
    Build(Box<build::BuildArgs>),
    /// Remove what belongs to the project: containers, networks, images, volumes, build cache.
    Clean(clean::CleanArgs),
    /// Print the compose project with everything that it means, as `docker compose config` does.
    Config(config::ConfigArgs),
    /// Build the development images and have docker compose run them, beside production.
    Dev(dev::DevArgs),
    /// Show, compare and remove what earlier builds did.
    History(history::HistoryArgs),
    /// Write Dockerfiles, compose files and a CI workflow for a project.
    Init(init::InitArgs),
    /// Pin Python requirements, heavy ones apart, with uv in a build.
    Lock(lock::LockArgs),
    /// Show what images, containers, volumes and build cache take, and check budgets.
    Stats(stats::StatsArgs),
    /// Tell why the steps of a build ran: what changed since the builds before it.
    Why(why::WhyArgs),
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
    /// Builder that a build is to go to; of those that buildx has, only the engine's own takes builds yet
    /// [env: BUILDX_BUILDER].
    #[arg(long, global = true, value_name = "NAME")]
    pub builder: Option<String>,
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use clap::{CommandFactory as _, Parser as _};

    use super::*;

    #[test]
    fn requirement_files_of_lock_are_no_compose_files() {
        let cli =
            Cli::try_parse_from(["doc2md-docker", "lock", "-f", "c.yaml", "api/x.in"]).unwrap();
        let Command::Lock(lock) = cli.command else { panic!("{:?}", cli.command) };
        assert_eq!(lock.requirements, [Path::new("api/x.in")]);
        assert_eq!(cli.global.project.files, [Path::new("c.yaml")]);
    }

    /// clap takes two arguments of one id for the same.
    #[test]
    fn no_command_has_an_argument_that_is_called_as_a_global_one() {
        fn own(command: &clap::Command, globals: &[clap::Id], found: &mut Vec<String>) {
            for argument in command.get_arguments().filter(|it| globals.contains(it.get_id())) {
                found.push(format!("{} {}", command.get_name(), argument.get_id()));
            }
            command.get_subcommands().for_each(|command| own(command, globals, found));
        }
        let root = Cli::command();
        let globals: Vec<clap::Id> = root
            .get_arguments()
            .filter(|it| it.is_global_set())
            .map(|it| it.get_id().clone())
            .collect();
        assert!(globals.len() > 8, "{globals:?}");
        let mut found = Vec::new();
        root.get_subcommands().for_each(|command| own(command, &globals, &mut found));
        // On purpose: -f is --force there.
        assert_eq!(found, ["clean files"]);
    }
}
