//! `doc2md-docker build`: project to targets to images.

mod arguments;
pub(super) mod ci;
mod copied;
mod memory;
mod requests;
mod results;
mod run;
mod secrets;
mod settings;

use crate::app::{self, App};
use crate::cli::build::BuildArgs;
use crate::commands::{check, sources, why};
use crate::environment::Environment;
use crate::error::{CommandError, ExitKind};
use crate::history::{Entry, StepResult};
use crate::solve::plan::BuildPlan;
use crate::targets::as_buildx;
use crate::targets::{Target, TargetSet, print_json};
use crate::terminal::Ui;
use crate::view::{self, Progress};

pub use memory::Memory;
pub(super) use requests::dockerfile;
pub(crate) use results::{check_timeline, write_timeline};
pub use run::{Finished, Run};
pub(super) use settings::parallel;

/// Runs the command.
///
/// # Errors
/// Whatever stops it, with the exit code the README documents.
pub async fn run(app: &App, args: &BuildArgs) -> Result<(), CommandError> {
    let App { environment, interrupt, ui, .. } = app;
    settings::no_output(args)?;
    let project = app.project()?;
    let set = app.targets(&project, settings::target_options(args))?;
    if args.print {
        print(&set, ui);
        return Ok(());
    }
    let plan = plan(&set, environment)?;
    for warning in arguments::unread(args, &plan) {
        ui.warn(&warning);
    }
    let settings = settings::run_settings(args, &project, interrupt)?;
    settings::one_image_id(args, &plan)?;
    results::check(args)?;
    if plan.steps.is_empty() {
        ui.warn("no service with a build section is selected: nothing to build");
        return Ok(());
    }
    let progress = match app.progress()? {
        // Nothing is built: the findings are all there is to show.
        Progress::Auto if args.check => Progress::Quiet,
        progress => progress,
    };
    // A check builds nothing that could be told of later.
    let memory = if args.check { None } else { Memory::of(&project, environment) };
    let remembered = memory.clone();
    let run = Run { app, plan: &plan, settings, progress, memory };
    let finished = run.go().await?;
    let written = results::write(args, &project, &plan, &finished, ui);
    if let Some(error) = view::run_error(&finished.summary) {
        // What failed first is what the run ends with.
        if let Err(unwritten) = written {
            ui.warn(&format!("{unwritten}: {}", unwritten.causes.join(": ")));
        }
        return Err(error);
    }
    written?;
    if progress != Progress::RawJson {
        tell_why(remembered.as_ref(), finished.entry.clone(), ui);
    }
    if args.check { check::report(&finished.outcome.targets, ui) } else { Ok(()) }
}

/// Tells in a few lines why steps ran that an earlier build had done.
fn tell_why(memory: Option<&Memory>, entry: Option<Entry>, ui: &Ui) {
    let (Some(memory), Some(entry)) = (memory, entry) else { return };
    let steps = entry.targets.iter().flat_map(|target| &target.steps);
    if steps.filter(|step| step.is_instruction()).all(|step| step.result == StepResult::Cached) {
        return;
    }
    let (columns, _) = ui.size();
    for line in view::why::brief(&why::explained(entry, memory.newest()), columns) {
        ui.say(&line);
    }
}

/// What would be built, as `docker compose build --print` shows it.
fn print(set: &TargetSet, ui: &Ui) {
    for error in &set.unsupported {
        ui.warn(&format!("{error}: a build would stop here"));
    }
    // For bake, which needs it as it is: see docs/design/security.md.
    ui.data_as_it_is(&format!("{}\n", print_json(set)));
}

/// What `set` builds: its targets as `buildx bake` completes them.
pub fn targets(set: &TargetSet, environment: &Environment) -> Vec<Target> {
    let mut targets = set.to_build();
    as_buildx::complete(&mut targets, environment.get("SOURCE_DATE_EPOCH"));
    targets
}

/// The plan of what `set` builds, once everything it reads from this machine is known to be there.
///
/// # Errors
/// A key that cannot be honoured, targets that wait for each other, a missing context or Dockerfile.
pub fn plan(set: &TargetSet, environment: &Environment) -> Result<BuildPlan, CommandError> {
    if let Some(error) = set.unsupported.first() {
        return Err(app::invalid(error.clone()));
    }
    let plan = BuildPlan::new(targets(set, environment))
        .map_err(|error| CommandError::new(ExitKind::Invalid, error.to_string()))?;
    for step in &plan.steps {
        sources::check(&step.target)?;
    }
    Ok(plan)
}
