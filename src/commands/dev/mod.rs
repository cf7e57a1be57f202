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

use crate::app::App;
use crate::cli::dev::DevArgs;
use crate::cli::project::ProjectArgs;
use crate::compose::Project;
use crate::error::{CommandError, ExitKind};
use crate::run::{Memory, Run};
use crate::solve;
use crate::solve::executor::RunSettings;
use crate::targets::TargetOptions;
use crate::view;

/// Runs the command. Where compose is started, this does not return.
///
/// # Errors
/// Whatever stops it before compose runs, with the exit code the README documents.
pub async fn run(app: &App, args: &DevArgs) -> Result<(), CommandError> {
    let (global, args) = words::take_own(&app.global, args)?;
    let app = &app.with_options(global);
    // Before a build that would be for nothing.
    let compose = ComposeCli::find(&app.environment)?;
    let (chosen, production) = files::choose(&app.global.project, &app.environment)?;
    if production.files.iter().any(|file| file == Path::new("-")) {
        let message = "dev cannot read a compose file from standard input";
        return Err(CommandError::new(ExitKind::Usage, message)
            .hint("docker compose reads it a second time: give the name of a file"));
    }
    let (chosen, project) = beside::choose(chosen, &production, &app.environment)?;
    for warning in &project.warnings {
        app.ui.warn(warning);
    }
    let mut command = compose.command(&app.global, &app.environment);
    command.args(project_options(&chosen, &project));
    match words::request(&args, |name| project.services.contains_key(name))? {
        Request::Up { services, options } => {
            build(app, &services, &project).await?;
            command.args(["up", "--no-build"]).args(options).args(services);
        }
        Request::Compose(words) => {
            command.args(words);
        }
    }
    app.ui.finish()?;
    Err(replace(command, &compose))
}

/// Builds what the services need.
async fn build(app: &App, services: &[String], project: &Project) -> Result<(), CommandError> {
    let options = TargetOptions {
        services: services.to_vec(),
        // Compose starts them, too, and is told to build nothing.
        with_dependencies: true,
        ..TargetOptions::default()
    };
    let epoch = app.environment.get("SOURCE_DATE_EPOCH");
    let plan = solve::checked_plan(&app.targets(project, options)?, epoch)?;
    if plan.steps.is_empty() {
        return Ok(());
    }
    let run = Run {
        app,
        plan: &plan,
        settings: RunSettings::default(),
        progress: app.progress()?,
        memory: Memory::new(project, &app.environment),
    };
    let finished = run.carry_out().await?;
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
