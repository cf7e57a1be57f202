//! One file per subcommand: arguments to settings to service to report.

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
pub mod history;
pub mod init;
pub mod lock;
pub mod ls;
pub mod man;
mod nodes;
pub mod plugin;
mod recorded;
mod remembered;
mod results;
pub mod stats;
pub mod why;

use crate::app::App;
use crate::cli::Command;
use crate::error::CommandError;

/// Runs `command`, until it ends or is stopped from outside. A command that has to clean up is in an orderly
/// part then, and ends by itself.
///
/// # Errors
/// Whatever stops it.
pub async fn run(app: &App, command: &Command) -> Result<(), CommandError> {
    app.environment.check()?;
    let limit = match command {
        Command::Build(args) => args.timeout,
        Command::Clean(args) => args.timeout,
        // That of `stats` is what the engine gets, and that of `bench` what each build gets.
        _ => None,
    };
    if let Some(limit) = limit {
        app.interrupt.limit(limit);
    }
    match command {
        // These know themselves what to do on a builder.
        Command::Builders(_) | Command::Clean(_) | Command::Doctor(_) | Command::Stats(_) => {}
        // Where it cannot go, nothing else is looked at.
        Command::Build(_) | Command::Check(_) | Command::Dev(_) | Command::Lock(_) => {
            if app.global.builder.is_some() {
                app.destination(&[])?;
            }
        }
        _ => app.only_the_engine()?,
    }
    tokio::select! {
        // A command that stops by itself has more to tell.
        biased;
        ended = run_command(app, command) => ended,
        cause = app.interrupt.stopped() => Err(cause.error()),
    }
}

async fn run_command(app: &App, command: &Command) -> Result<(), CommandError> {
    match command {
        Command::Bench(args) => bench::run(app, args).await,
        Command::Build(args) => build::run(app, args).await,
        Command::Builders(args) => builders::run(app, args).await,
        Command::Cache(args) => cache::run(app, args).await,
        Command::Check(args) => check::run(app, args).await,
        Command::Clean(args) => clean::run(app, args).await,
        Command::Completions(args) => completions::run(app, args),
        Command::Config(args) => config::run(app, args),
        Command::Context(args) => context::run(app, args),
        Command::Dev(args) => dev::run(app, args).await,
        Command::History(args) => history::run(app, args).await,
        Command::Init(args) => init::run(app, args),
        Command::Lock(args) => lock::run(app, args).await,
        Command::Doctor(args) => doctor::run(app, args).await,
        Command::Ls(args) => ls::run(app, args).await,
        Command::Man(args) => man::run(app, args),
        Command::Plugin(args) => plugin::run(app, args),
        Command::Stats(args) => stats::run(app, args).await,
        Command::Why(args) => why::run(app, args).await,
    }
}
