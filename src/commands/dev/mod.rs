//! `doc2md-docker dev`: builds the development images here, and has docker compose run them.

mod rebuild;

use std::ffi::OsString;

use rebuild::Rebuild;

use crate::app::App;
use crate::cli::dev::DevArgs;
use crate::commands::build;
use crate::compose::Project;
use crate::dev::words::{self, Request};
use crate::dev::{ComposeCli, Development};
use crate::error::CommandError;
use crate::run::{Memory, Place, Run};
use crate::solve;
use crate::solve::executor::RunSettings;
use crate::solve::plan::BuildPlan;
use crate::solve::site::Load;
use crate::targets::{TargetOptions, TargetSet};
use crate::view::{self, Progress};

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
    let command = || {
        let mut command = compose.command(host, context, &app.environment);
        command.args(development.compose_options());
        command
    };
    let words = match words::request(&args, |name| project.services.contains_key(name))? {
        Request::Compose(words) => words,
        Request::Up { services, options, rebuilds } => {
            if let Some(process) = app.environment.get(rebuild::BESIDE) {
                let rebuild = Rebuild { app, project, services: &services, compose: &command };
                return rebuild.run(process).await;
            }
            build(app, &services, project).await?;
            if rebuilds && let Err(error) = rebuild::start() {
                app.ui.warn(&format!("no image is built again while this runs: {error}"));
            }
            let up = ["up", "--no-build"].map(OsString::from).into_iter();
            up.chain(options).chain(services.into_iter().map(OsString::from)).collect()
        }
    };
    app.ui.finish()?;
    let mut command = command();
    command.args(words);
    Err(compose.replace_process(command))
}

/// Builds what the services need.
async fn build(app: &App, services: &[String], project: &Project) -> Result<(), CommandError> {
    let plan = plan(app, services, project)?;
    if plan.steps.is_empty() {
        return Ok(());
    }
    let finished = build_run(app, &plan, project, app.progress()?).carry_out().await?;
    view::run_error(&finished.summary).map_or(Ok(()), Err)
}

fn targets(app: &App, services: &[String], project: &Project) -> Result<TargetSet, CommandError> {
    let options = TargetOptions {
        services: services.to_vec(),
        // Compose starts them, too, and is told to build nothing.
        with_dependencies: true,
        compression: build::compression_setting(app)?,
        ..TargetOptions::default()
    };
    app.targets(project, options)
}

fn plan(app: &App, services: &[String], project: &Project) -> Result<BuildPlan, CommandError> {
    let epoch = app.environment.get("SOURCE_DATE_EPOCH");
    solve::checked_plan(&targets(app, services, project)?, epoch)
}

fn build_run<'a>(
    app: &'a App,
    plan: &'a BuildPlan,
    project: &'a Project,
    progress: Progress,
) -> Run<'a> {
    Run {
        app,
        plan: std::borrow::Cow::Borrowed(plan),
        project: &project.name,
        settings: RunSettings::default(),
        progress,
        memory: Memory::new(project, &app.environment),
        // Compose starts them there.
        place: Place::Builder(Load::Asked),
    }
}
