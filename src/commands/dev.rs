//! `doc2md-docker dev`: builds the development images here, and has docker compose run them.

use crate::app::App;
use crate::cli::dev::DevArgs;
use crate::compose::Project;
use crate::dev::words::{self, Request};
use crate::dev::{ComposeCli, Development};
use crate::error::CommandError;
use crate::run::{Memory, Place, Run};
use crate::solve;
use crate::solve::executor::RunSettings;
use crate::solve::site::Load;
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
    let development = Development::choose(&app.global.project, &app.environment)?;
    let project = &development.project;
    for warning in &project.warnings {
        app.ui.warn(warning);
    }
    let (host, context) = (app.global.host.as_deref(), app.global.context.as_deref());
    let mut command = compose.command(host, context, &app.environment);
    command.args(development.compose_options());
    match words::request(&args, |name| project.services.contains_key(name))? {
        Request::Up { services, options } => {
            build(app, &services, project).await?;
            command.args(["up", "--no-build"]).args(options).args(services);
        }
        Request::Compose(words) => {
            command.args(words);
        }
    }
    app.ui.finish()?;
    Err(compose.replace_process(command))
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
        project: &project.name,
        settings: RunSettings::default(),
        progress: app.progress()?,
        memory: Memory::new(project, &app.environment),
        // Compose starts them there.
        place: Place::Builder(Load::Asked),
    };
    let finished = run.carry_out().await?;
    view::run_error(&finished.summary).map_or(Ok(()), Err)
}
