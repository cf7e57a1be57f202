//! Command line types. Nothing but clap.

pub mod bench;
pub mod build;
pub mod builders;
pub mod cache;
pub mod check;
pub mod clean;
pub mod completions;
pub mod config;
pub mod context;
pub mod dev;
pub mod doctor;
pub mod help;
pub mod history;
pub mod init;
pub mod lock;
pub mod ls;
pub mod man;
mod pages;
pub mod plugin;
pub mod project;
pub mod stats;
pub mod synonyms;
pub mod variables;
pub mod why;

use std::ffi::OsString;
use std::path::Path;

use clap::{
    Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum, error::Error,
};

/// The command line with its help.
pub fn command() -> clap::Command {
    help::with_pages(Cli::command())
}

/// Reads a command line, the program's name included.
///
/// # Errors
/// It is wrong, or asks for help or the version: clap's error says where that is to be printed.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, Error> {
    parse_with(command(), args)
}

/// The same with other defaults.
///
/// # Errors
/// Those of [`parse`].
pub fn parse_with(
    command: clap::Command,
    args: impl IntoIterator<Item = OsString>,
) -> Result<Cli, Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    let name = args.first().and_then(|name| Path::new(name).file_name()?.to_str());
    let mut command = help::in_groups(command, name.unwrap_or("doc2md-docker"));
    let matches = command.try_get_matches_from_mut(args).map_err(synonyms::explain)?;
    let parsed = |matches, command: &mut clap::Command| {
        Cli::from_arg_matches(&matches).map_err(|error| error.format(command))
    };
    let mut cli = parsed(matches, &mut command)?;
    if let Command::Why(why) = &cli.command
        && let Some(args) = why.as_dry_run()
    {
        // With the defaults that a build has.
        let matches = command.try_get_matches_from_mut(args)?;
        cli.command = parsed(matches, &mut command)?.command;
    }
    Ok(cli)
}

/// Builds, explains, measures and cleans the images of a compose project with BuildKit.
#[derive(Debug, Parser)]
#[command(name = "doc2md-docker", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands, in the order in which somebody comes to use them. `help` has the groups.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write Dockerfiles, compose files and a CI workflow.
    Init(init::InitArgs),
    /// Build the images of the project.
    Build(Box<build::BuildArgs>),
    /// Build for development and have docker compose run it.
    ///
    /// What is started stands beside production, as a project of its own.
    Dev(dev::DevArgs),
    /// Pin Python requirements, heavy ones apart.
    ///
    /// uv does it, in a build.
    Lock(lock::LockArgs),
    /// Print the compose project with everything it means.
    ///
    /// As `docker compose config` does.
    Config(config::ConfigArgs),
    /// Tell why the steps of a build ran.
    ///
    /// What changed since the builds before it.
    Why(why::WhyArgs),
    /// Show what builds send of their contexts, and why.
    ///
    /// Which files, by size, which pattern lets them through, which instruction reads them.
    Context(context::ContextArgs),
    /// Find what costs builds time or disk.
    ///
    /// In Dockerfiles and build contexts, each with its place, its cost and the change to make.
    Check(check::CheckArgs),
    /// Show, compare and remove what earlier builds did.
    History(history::HistoryArgs),
    /// Measure what builds of the project cost.
    ///
    /// The first one, and one after a change of code or of requirements.
    Bench(bench::BenchArgs),
    /// Show the builders that buildx knows.
    ///
    /// Nodes, BuildKit's release, platforms, cache, and which one is chosen.
    Builders(builders::BuildersArgs),
    /// Look at the engine and around it, and say what is wrong.
    ///
    /// Engine, BuildKit, disk, garbage collection, clock, names within builds, builder, logins, registries, history; each with
    /// one thing to do.
    Doctor(doctor::DoctorArgs),
    /// List the projects that the engine has something of.
    #[command(visible_alias = "list")]
    Ls(ls::LsArgs),
    /// Show what the project takes on disk, check budgets.
    ///
    /// Images, containers, volumes and build cache.
    #[command(visible_aliases = ["df", "du"])]
    Stats(stats::StatsArgs),
    /// Save cache mounts, and restore them on another engine.
    ///
    /// What `RUN --mount=type=cache` keeps, for runners that begin with nothing.
    Cache(cache::CacheArgs),
    /// Remove what belongs to the project.
    ///
    /// Containers, networks, images, volumes, build cache; nothing of anybody else.
    #[command(visible_alias = "prune")]
    Clean(clean::CleanArgs),
    /// Print a script for completion in your shell.
    Completions(completions::CompletionsArgs),
    /// Print manual pages.
    Man(man::ManArgs),
    /// Install this program as `docker doc2md`.
    Plugin(plugin::PluginArgs),
}

impl Command {
    /// Whether a project's file may have defaults for it.
    pub fn has_settings(&self) -> bool {
        !matches!(
            self,
            Self::Init(_)
                | Self::Completions(_)
                | Self::Man(_)
                | Self::Plugin(_)
                | Self::Dev(_)
                | Self::Doctor(_)
        )
    }
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Which project.
    #[command(flatten)]
    pub project: project::ProjectArgs,
    /// Engine to talk to [env: DOCKER_HOST].
    ///
    /// Such as unix:///var/run/docker.sock, tcp://HOST:2376 or ssh://HOST.
    #[arg(short = 'H', long, global = true, value_name = "URL")]
    pub host: Option<String>,
    /// Docker context that names it [env: DOCKER_CONTEXT].
    #[arg(long, global = true, value_name = "NAME", conflicts_with = "host")]
    pub context: Option<String>,
    /// Builder that builds go to [env: BUILDX_BUILDER].
    ///
    /// One of buildx's, with the driver docker, docker-container or remote, or the name of a docker context.
    #[arg(long, global = true, hide_short_help = true, value_name = "NAME")]
    pub builder: Option<String>,
    /// How progress is shown [env: BUILDKIT_PROGRESS].
    ///
    /// COMPOSE_PROGRESS counts where BUILDKIT_PROGRESS is not set.
    #[arg(long, global = true, value_enum, value_name = "MODE")]
    pub progress: Option<ProgressMode>,
    /// When to use colours [env: NO_COLOR, CLICOLOR_FORCE].
    #[arg(long, global = true, hide_short_help = true, value_enum, value_name = "WHEN", default_value_t = ColorMode::Auto)]
    pub color: ColorMode,
    /// Say more: every step, layer, record and thing.
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
