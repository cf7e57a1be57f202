//! `doc2md-docker dev`: builds the development images here, and has docker compose run them.
//!
//! Development has a compose project of its own, beside production's (`beside`). This is
//! the one command that starts another program for its work. Compose replaces this process, so the
//! terminal, every signal and the exit code are compose's.

mod beside;
mod compose_cli;
mod files;
mod words;

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use compose_cli::ComposeCli;
use words::Request;

use crate::cli::GlobalArgs;
use crate::cli::dev::DevArgs;
use crate::cli::project::ProjectArgs;
use crate::commands::build::{Memory, Run};
use crate::commands::environment::Environment;
use crate::commands::{build, connect, progress_mode, project};
use crate::compose::Project;
use crate::error::{CommandError, ExitKind};
use crate::signal::Interrupt;
use crate::solve::executor::RunSettings;
use crate::targets::from_compose::{TargetOptions, from_compose};
use crate::terminal::Ui;
use crate::view;

/// Runs the command. Where compose is started, this does not return.
///
/// # Errors
/// Whatever stops it before compose runs, with the exit code the README documents.
pub async fn run(
    global: &GlobalArgs,
    args: &DevArgs,
    environment: &Environment,
    interrupt: &Interrupt,
    ui: &Ui,
) -> Result<(), CommandError> {
    let (global, args) = &words::take_own(global, args)?;
    // Before a build that would be for nothing.
    let compose = ComposeCli::find(environment)?;
    let (chosen, production) = files::choose(&global.project, environment)?;
    if production.files.iter().any(|file| file == Path::new("-")) {
        let message = "dev cannot read a compose file from standard input";
        return Err(CommandError::new(ExitKind::Usage, message)
            .hint("docker compose reads it a second time: give the name of a file"));
    }
    let (chosen, project) = beside::choose(chosen, &production, environment)?;
    for warning in &project.warnings {
        ui.warn(warning);
    }
    let mut command = compose.command(global, environment);
    command.args(project_options(&chosen, &project));
    match words::request(args, |name| project.services.contains_key(name))? {
        Request::Up { services, options } => {
            build(global, &services, &project, environment, interrupt, ui).await?;
            command.args(["up", "--no-build"]).args(options).args(services);
        }
        Request::Compose(words) => {
            command.args(words);
        }
    }
    ui.finish()?;
    Err(replace(command, &compose))
}

/// Builds what the services need.
async fn build(
    global: &GlobalArgs,
    services: &[String],
    project: &Project,
    environment: &Environment,
    interrupt: &Interrupt,
    ui: &Ui,
) -> Result<(), CommandError> {
    let options = TargetOptions {
        services: services.to_vec(),
        // Compose starts them, too, and is told to build nothing.
        with_dependencies: true,
        proxy_args: connect::proxy_args(global, environment)?,
        ..TargetOptions::default()
    };
    let set = from_compose(project, &options).map_err(project::invalid)?;
    for warning in &set.warnings {
        ui.warn(warning);
    }
    let plan = build::plan(&set, environment)?;
    if plan.steps.is_empty() {
        return Ok(());
    }
    let run = Run {
        global,
        environment,
        interrupt,
        ui,
        plan: &plan,
        settings: RunSettings::default(),
        progress: progress_mode(global, environment)?,
        memory: Memory::of(project, environment),
    };
    let finished = run.go().await?;
    view::run_error(&finished.summary).map_or(Ok(()), Err)
}

/// The options by which compose finds the same project.
fn project_options(chosen: &ProjectArgs, project: &Project) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    for file in &project.files {
        words.extend(["--file".into(), file.into()]);
    }
    words.extend(["--project-name".into(), (&project.name).into()]);
    words.extend(["--project-directory".into(), (&project.working_dir).into()]);
    for profile in project.profiles.iter().filter(|name| !name.is_empty()) {
        words.extend(["--profile".into(), profile.into()]);
    }
    for file in &chosen.env_files {
        words.extend(["--env-file".into(), file.into()]);
    }
    words
}

/// Has `command` take the place of this process. Answers why it could not.
fn replace(mut command: Command, compose: &ComposeCli) -> CommandError {
    use std::os::unix::process::CommandExt as _;
    let message = format!("failed to run {}", compose.path().display());
    CommandError::new(ExitKind::Failed, message).caused_by(&command.exec())
}
