//! `doc2md-docker lock`: requirement files to lock files, with uv in a build.

use crate::app::App;
use crate::cli::lock::LockArgs;
use crate::error::{CommandError, ExitKind};
use crate::lock::recipe::Upgrade;
use crate::lock::{self, Choice, Job, LockOptions, Selection, Torch, TorchChoice};
use crate::run::{Place, Run};
use crate::solve::executor::RunSettings;
use crate::solve::plan::BuildPlan;
use crate::solve::site::Load;
use crate::targets::TargetOptions;
use crate::terminal::Ui;
use crate::view;
use std::borrow::Cow;

/// Runs the command.
///
/// # Errors
/// Whatever stops it, with the exit code the README documents.
pub async fn run(app: &App, args: &LockArgs) -> Result<(), CommandError> {
    let needs_project = args.requirements.is_empty() || (!args.check && args.base_image.is_none());
    let project = needs_project.then(|| app.project()).transpose()?;
    let targets = match &project {
        Some(project) => app.targets(project, TargetOptions::default())?.targets,
        None => Vec::new(),
    };
    let selection = Selection::new(&args.extras, &args.groups);
    let working_dir = &app.environment.working_dir;
    let chosen = lock::choose(&args.requirements, &selection, &targets, working_dir)?;
    let options = options(args);
    if args.check {
        return check(&options, &chosen, &app.ui);
    }
    let base = lock::base_target(args.base_image.as_deref(), &targets)?;
    let scratch = tempfile::Builder::new().prefix("doc2md-docker-").tempdir();
    let scratch = scratch.map_err(|error| {
        CommandError::new(ExitKind::Failed, "failed to make a temporary directory").caused_by(error)
    })?;
    app.interrupt.remove_at_exit(scratch.path());
    let upgrade = Upgrade { all: args.upgrade, packages: args.upgrade_packages.clone() };
    let job = Job::new(&chosen, &options, &upgrade, scratch.path());
    let plan = BuildPlan::new(vec![job.target(base)?])?;
    let (settings, progress) = (RunSettings::default(), app.progress()?);
    let place = Place::Builder(Load::IfThere);
    let name = project.as_ref().map_or("", |project| &project.name);
    let run = Run {
        app,
        plan: Cow::Borrowed(&plan),
        project: name,
        settings,
        progress,
        memory: None,
        place,
    };
    let finished = run.carry_out().await?;
    if let Some(error) = view::run_error(&finished.summary) {
        return Err(error);
    }
    for written in job.write() {
        let (shown, written) = written?;
        if !written.split.unknown.is_empty() {
            app.ui.warn(&format!(
                "the package index tells no size of {}: taken as light",
                written.split.unknown.join(", ")
            ));
        }
        app.ui.remark(&view::lock::summary(shown, &written));
    }
    Ok(())
}

fn options(args: &LockArgs) -> LockOptions {
    let torch = args.torch.as_deref().map(|variant| match variant {
        "pypi" => TorchChoice::Unspecified,
        build => TorchChoice::Build(Torch::new(build, args.torch_index.as_deref())),
    });
    LockOptions {
        python: args.python_version.clone(),
        threshold: args.threshold.map(|size| size.as_u64()),
        torch,
    }
}

fn check(options: &LockOptions, chosen: &[Choice], ui: &Ui) -> Result<(), CommandError> {
    let mut stale = 0;
    for Choice { shown, lock } in chosen {
        let why = lock.stale(options);
        stale += usize::from(why.is_some());
        let why = why.map_or_else(|| "up to date".to_owned(), |why| why.to_string());
        ui.data(&format!("{shown}: {why}\n"));
    }
    if stale == 0 {
        return Ok(());
    }
    let message = format!("{stale} of {} requirement files must be locked again", chosen.len());
    Err(CommandError::new(ExitKind::Policy, message).hint("run `doc2md-docker lock`"))
}
