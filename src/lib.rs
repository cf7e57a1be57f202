//! Builds the images of a multi-image project with BuildKit through the Docker Engine API.
//!
//! A map of the rooms, from the command line inwards. Those that need no engine are in a package of their own, `crates/project`, and so
//! are those that talk to engines, builders and registries, `crates/engine`; paths are the same.
//!
//! - [`cli`]: clap types only; [`commands`]: one file per subcommand, arguments to report; [`app`]: what every command
//!   needs; [`environment`]: what the surroundings of the process tell.
//! - [`compose`]: compose files to a project; [`targets`]: a project and flags to the targets of a build.
//! - [`solve`]: targets to requests, sessions, a plan and its execution; [`mod@run`]: one run of a plan, shown and
//!   remembered; [`diagnose`]: what an engine's failure means.
//! - [`up_to_date`]: what proves that a build has nothing to do.
//! - [`builders`]: the builders that buildx knows, and its choice among them.
//! - [`buildkit`]: the session the engine calls back on, and the Control API.
//! - [`dockerfile`]: places and excerpts in Dockerfiles; [`build_context`]: `.dockerignore` patterns and the walk over a
//!   context; [`image_reference`]: names of images.
//! - [`engine`]: one [`engine::Connector`] for everything, the Engine API facade on bollard; [`unreachable`]: what it
//!   means that it fails; [`inventory`]: what an engine holds, as plain data; [`labels`]: labels that say whose
//!   something is.
//! - [`ownership`]: whose a container, image, volume, network or cache record is.
//! - [`clean`]: what of a project goes and what stays, and its removal.
//! - [`usage`]: what a project takes on disk, as plain data, and budgets on it; [`measure`]: which cache mounts are
//!   looked into for their true size, and what is remembered of it; [`sight`]: what a look sees; [`size`]: sizes as
//!   people write them.
//! - [`cache_mounts`]: cache mounts kept in a folder, from engine to engine.
//! - [`doctor`]: what is wrong with an engine and around it.
//! - [`transfer`]: what builds would send of their contexts, and why; [`check`]: what of Dockerfiles and contexts costs
//!   builds time or disk.
//! - [`scope`]: which project `clean` and `stats` mean; [`projects`]: those that an engine has something of.
//! - [`history`]: what each build used and did, remembered beside the engine; [`recorded`]: what the engine's own history has
//!   of builds of any client; [`explain`]: why their steps ran.
//! - [`progress`]: what happens, as plain data; [`view`]: how it is shown; [`terminal`]: the only place that prints.
//! - [`bench`]: what builds of a project cost, measured on copies; [`dev`]: development beside production.
//! - [`lock`]: requirement files to lock files in two parts; [`init`]: Docker files for a project that has none.
//! - [`completion`]: what could stand where somebody presses Tab; [`manual`]: man pages; [`docker_plugin`]: this program as
//!   `docker doc2md`.
//! - [`settings`]: defaults of options, from a project's file and variables.
//! - [`counted`]: numbers of things in words; [`nearest`]: what a misspelt name may have meant; [`remote`]: what is not a local path.
//! - [`files`]: how files of others are read, and how files for others are written.
//! - [`redact`]: what no output may hold; [`signal`]: what stops the program; [`error`]: what ends a command.

#[cfg(not(unix))]
compile_error!("doc2md-docker runs on Linux and macOS; on Windows, use it within WSL 2");

pub mod app;
pub mod bench;
pub mod cache_mounts;
pub mod clean;
pub mod cli;
pub mod commands;
pub mod completion;
pub mod dev;
pub mod diagnose;
pub mod docker_plugin;
pub mod doctor;
pub mod environment;
pub mod explain;
pub mod manual;
pub mod measure;
pub mod ownership;
pub mod projects;
pub mod recorded;
pub mod release;
pub mod run;
pub mod scope;
pub mod settings;
pub mod signal;
pub mod solve;
pub mod terminal;
pub mod unreachable;
pub mod up_to_date;
pub mod usage;
pub mod view;

pub use doc2md_docker_engine::{builders, buildkit, engine, inventory, registry, sight};
pub use doc2md_docker_project::{
    build_context, check, compose, counted, dockerfile, error, files, history, image_reference,
    init, labels, lock, nearest, package_name, progress, redact, remote, size, targets, transfer,
};

#[cfg(test)]
#[path = "../tests/support/engine_facts.rs"]
mod test_engine;
#[cfg(test)]
#[path = "../tests/support/history_entries.rs"]
mod test_history;
#[cfg(test)]
#[path = "../tests/support/program.rs"]
mod test_program;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use tokio::runtime::{self, Runtime};

use crate::app::App;
use crate::cli::ColorMode;
use crate::docker_plugin::Call;
use crate::environment::Environment;
use crate::error::{CommandError, ExitKind};
use crate::files::partial;
use crate::signal::Interrupt;
use crate::terminal::{ColorChoice, Ui};

/// How long threads may take to end that were told to.
const CLEAN_UP: Duration = Duration::from_millis(400);
/// How long they may take to remove files that are not complete, on a machine that does much else.
const REMOVAL: Duration = Duration::from_secs(10);

/// Parses `args`, runs the command and returns the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let early = Ui::from_env(ColorChoice::Never);
    let mut environment = Environment::of_process();
    if let Ok(known) = &environment
        && let Some(shell) = known.get(completion::VARIABLE)
    {
        early.data(&completion::for_shell(shell, &args, known).unwrap_or_default());
        return ExitCode::SUCCESS;
    }
    let args = match docker_plugin::read(args) {
        Ok(Call::Own(args)) => args,
        Ok(Call::Run { args, variables }) => {
            if let Ok(known) = &mut environment {
                known.variables.extend(variables);
            }
            args
        }
        Ok(Call::Metadata) => {
            early.data(&docker_plugin::metadata());
            return ExitCode::SUCCESS;
        }
        Ok(Call::Completion(words)) => {
            let answer = environment.map(|known| completion::for_docker(words, &known));
            early.data(&answer.unwrap_or_default());
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            early.error(&CommandError::new(ExitKind::Usage, message));
            return ExitCode::from(ExitKind::Usage as u8);
        }
    };
    let cli = match cli::parse(args.clone()) {
        Ok(cli) => cli,
        // clap knows where help and errors go and which code they end with; what it quotes may hold a password.
        Err(error) => {
            if error.use_stderr() {
                let ui = Ui::from_env(ColorChoice::Auto);
                let text = error.render().ansi().to_string();
                ui.say(&terminal::wrap::lines(text.trim_end(), ui.said_columns()));
            } else {
                let _ = error.print();
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let ui = Ui::from_env(match cli.global.color {
        ColorMode::Auto => ColorChoice::Auto,
        ColorMode::Always => ColorChoice::Always,
        ColorMode::Never => ColorChoice::Never,
    });
    match run_command(cli, args, environment, &ui).and_then(|()| ui.finish()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            ui.error(&error);
            ExitCode::from(error.kind as u8)
        }
    }
}

/// The command line again, where the project's file or a variable has other defaults for it.
fn with_settings(
    cli: cli::Cli,
    args: Vec<OsString>,
    environment: &Environment,
) -> Result<cli::Cli, CommandError> {
    if !cli.command.has_settings() {
        return Ok(cli);
    }
    let (settings, _) = app::settings(&cli.global.project, environment)?;
    if settings.is_empty() {
        return Ok(cli);
    }
    let command = settings.apply(cli::command(), |name| environment.get(name).is_some());
    cli::parse_with(command, args).map_err(|error| {
        let message = "the settings, which `config --settings` shows, do not go with the options";
        CommandError::new(ExitKind::Usage, message).caused_by(error)
    })
}

fn failed(what: &str, error: io::Error) -> CommandError {
    CommandError::new(ExitKind::Failed, format!("failed to {what}")).caused_by(error)
}

fn run_command(
    cli: cli::Cli,
    args: Vec<OsString>,
    environment: io::Result<Environment>,
    ui: &Ui,
) -> Result<(), CommandError> {
    let environment = environment.map_err(|error| failed("read the working directory", error))?;
    let cli = with_settings(cli, args, &environment)?;
    let said = ui.clone();
    let interrupt = Interrupt::listen(move |cause| {
        let error = cause.error();
        said.error(&error);
        error.kind as u8
    })
    .map_err(|error| failed("listen for signals", error))?;
    // One thread: everything here waits for the engine; walking a context goes to a blocking one.
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed("start the runtime", error))?;
    let app = App::new(cli.global, environment, interrupt, ui.clone());
    let result = runtime.block_on(commands::run(&app, &cli.command));
    app.interrupt.is_over();
    end(runtime);
    result
}

/// Ends what still runs. Threads that write files are told by the end of their channels, and remove what is not
/// complete; a file that hangs must not hold the program back.
fn end(runtime: Runtime) {
    let (ending, ended) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        // `Runtime::shutdown_timeout` would wait for the threads before it ends the tasks they listen to.
        drop(runtime);
        drop(ending);
    });
    let start = Instant::now();
    while ended.recv_timeout(CLEAN_UP) == Err(RecvTimeoutError::Timeout)
        && partial::are_unfinished()
        && start.elapsed() < REMOVAL
    {}
}
