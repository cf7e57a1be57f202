//! One file per subcommand: arguments to settings to service to report.

pub mod bench;
pub mod build;
pub mod check;
pub mod clean;
pub mod connect;
pub mod dev;
pub mod environment;
pub mod history;
pub mod init;
pub mod lock;
mod measure;
pub mod project;
mod scope;
mod services;
pub mod sources;
pub mod stats;
pub mod why;

use crate::cli::{Cli, Command, GlobalArgs, ProgressMode};
use crate::commands::environment::Environment;
use crate::error::{CommandError, ExitKind};
use crate::signal::Interrupt;
use crate::terminal::Ui;
use crate::view::Progress;

/// Runs the command of `cli`, until it ends or is stopped from outside. A command that has to clean up is in an orderly
/// part then, and ends by itself.
///
/// # Errors
/// Whatever stops it.
pub async fn run(
    cli: &Cli,
    environment: &Environment,
    interrupt: &Interrupt,
    ui: &Ui,
) -> Result<(), CommandError> {
    environment.check()?;
    let limit = match &cli.command {
        Command::Build(args) => args.timeout,
        Command::Clean(args) => args.timeout,
        // That of `stats` is what the engine gets, and that of `bench` what each build gets.
        _ => None,
    };
    if let Some(limit) = limit {
        interrupt.limit(limit);
    }
    tokio::select! {
        // A command that stops by itself has more to tell.
        biased;
        ended = run_command(cli, environment, interrupt, ui) => ended,
        cause = interrupt.stopped() => Err(cause.error()),
    }
}

async fn run_command(
    cli: &Cli,
    environment: &Environment,
    interrupt: &Interrupt,
    ui: &Ui,
) -> Result<(), CommandError> {
    match &cli.command {
        Command::Bench(args) => bench::run(&cli.global, args, environment, interrupt, ui).await,
        Command::Build(args) => build::run(&cli.global, args, environment, interrupt, ui).await,
        Command::Dev(args) => dev::run(&cli.global, args, environment, interrupt, ui).await,
        Command::Lock(args) => lock::run(&cli.global, args, environment, interrupt, ui).await,
        Command::Clean(args) => clean::run(&cli.global, args, environment, interrupt, ui).await,
        Command::Stats(args) => stats::run(&cli.global, args, environment, ui).await,
        Command::History(args) => history::run(&cli.global, args, environment, ui),
        Command::Init(args) => init::run(&cli.global, args, environment, ui),
        Command::Why(args) => why::run(&cli.global, args, environment, ui),
    }
}

/// How progress is shown: `--quiet`, `--progress`, BUILDKIT_PROGRESS, COMPOSE_PROGRESS.
///
/// # Errors
/// A variable names a mode that does not exist.
pub fn progress_mode(
    global: &GlobalArgs,
    environment: &Environment,
) -> Result<Progress, CommandError> {
    if global.quiet {
        return Ok(Progress::Quiet);
    }
    if let Some(mode) = global.progress {
        return Ok(match mode {
            ProgressMode::Auto => Progress::Auto,
            ProgressMode::Tty => Progress::Tty,
            ProgressMode::Plain => Progress::Plain,
            ProgressMode::Rawjson => Progress::RawJson,
            ProgressMode::Quiet => Progress::Quiet,
        });
    }
    for name in ["BUILDKIT_PROGRESS", "COMPOSE_PROGRESS"] {
        let mode = match environment.get(name) {
            None => continue,
            Some("auto") => Progress::Auto,
            Some("tty") => Progress::Tty,
            Some("plain") => Progress::Plain,
            Some("rawjson" | "json") => Progress::RawJson,
            Some("quiet" | "none") => Progress::Quiet,
            Some(other) => {
                let message = format!("{name} is {other:?}, which is no way to show progress");
                return Err(CommandError::new(ExitKind::Usage, message)
                    .hint("use auto, tty, plain, rawjson or quiet"));
            }
        };
        return Ok(mode);
    }
    Ok(Progress::Auto)
}
