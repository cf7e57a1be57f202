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
pub mod sources;
pub mod stats;

use crate::cli::{Cli, Command, GlobalArgs, ProgressMode};
use crate::commands::environment::Environment;
use crate::error::{CommandError, ExitKind};
use crate::report::Progress;
use crate::ui::Ui;

/// Runs the command of `cli`.
///
/// # Errors
/// Whatever stops it.
pub async fn run(cli: &Cli, environment: &Environment, ui: &Ui) -> Result<(), CommandError> {
    environment.check()?;
    match &cli.command {
        Command::Bench(args) => bench::run(&cli.global, args, environment, ui).await,
        Command::Build(args) => build::run(&cli.global, args, environment, ui).await,
        Command::Dev(args) => dev::run(&cli.global, args, environment, ui).await,
        Command::Lock(args) => lock::run(&cli.global, args, environment, ui).await,
        Command::Clean(args) => clean::run(&cli.global, args, environment, ui).await,
        Command::Stats(args) => stats::run(&cli.global, args, environment, ui).await,
        Command::History(args) => history::run(&cli.global, args, environment, ui),
        Command::Init(args) => init::run(&cli.global, args, environment, ui),
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
