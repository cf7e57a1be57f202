//! `doc2md-docker lock`: requirement files to lock files, with uv in a build.

mod choose;

use crate::app::App;
use crate::cli::lock::LockArgs;
use crate::error::{CommandError, ExitKind};
use crate::lock::recipe::{self, Upgrade};
use crate::lock::{Lock, LockError, LockOptions, Torch, TorchChoice};
use crate::run::Run;
use crate::solve::executor::RunSettings;
use crate::solve::plan::BuildPlan;
use crate::targets::spec::Typed;
use crate::targets::target::Target;
use crate::terminal::Ui;
use crate::view;

/// Runs the command.
///
/// # Errors
/// Whatever stops it, with the exit code the README documents.
pub async fn run(app: &App, args: &LockArgs) -> Result<(), CommandError> {
    let needs_project = args.requirements.is_empty() || (!args.check && args.base_image.is_none());
    let targets = if needs_project { choose::targets(app)? } else { Vec::new() };
    let locks = choose::locks(args, &targets, &app.environment)?;
    let options = options(args);
    if args.check {
        return check(&options, &locks, &app.ui);
    }
    let base = choose::base_target(args, &targets)?;
    let scratch = tempfile::Builder::new().prefix("doc2md-docker-").tempdir();
    let scratch = scratch.map_err(|error| {
        CommandError::new(ExitKind::Failed, "failed to make a temporary directory")
            .caused_by(&error)
    })?;
    app.interrupt.remove_at_exit(scratch.path());
    let (context, out) = (scratch.path().join("context"), scratch.path().join("out"));
    // A resolution without locked versions asks for the newest: an older answer does not count.
    let nonce = scratch.path().display().to_string();
    for (number, (shown, lock)) in locks.iter().enumerate() {
        let is_fresh = args.upgrade || !args.upgrade_packages.is_empty() || !lock.is_locked();
        let folder = context.join(number.to_string());
        lock.write_context(&options, &folder, is_fresh.then_some(nonce.as_str())).map_err(
            |error| {
                let message = format!("failed to copy {shown} for the build");
                CommandError::new(ExitKind::Failed, message).caused_by(&error)
            },
        )?;
    }
    let inputs: Result<Vec<_>, CommandError> = locks
        .iter()
        .map(|(shown, lock)| {
            lock.input(&options).map_err(|error| not_locked(shown, ExitKind::Usage, &error))
        })
        .collect();
    let inputs = inputs?;
    let upgrade = Upgrade { all: args.upgrade, packages: args.upgrade_packages.clone() };
    let target = Target {
        name: "lock".to_owned(),
        context: context.display().to_string(),
        dockerfile_inline: Some(recipe::dockerfile(&inputs, &upgrade)),
        outputs: vec![Typed::plain("local").with("dest", &out.to_string_lossy())],
        ..base
    };
    let plan = BuildPlan::new(vec![target])?;
    let progress = app.progress()?;
    let settings = RunSettings::default();
    let run = Run { app, plan: &plan, settings, progress, memory: None };
    let finished = run.carry_out().await?;
    if let Some(error) = view::run_error(&finished.summary) {
        return Err(error);
    }
    for (number, (shown, lock)) in locks.iter().enumerate() {
        let written = lock
            .write(&options, &out.join(number.to_string()))
            .map_err(|error| not_locked(shown, ExitKind::Failed, &error))?;
        if !written.split.unknown.is_empty() {
            app.ui.warn(&format!(
                "the package index tells no size of {}: taken as light",
                written.split.unknown.join(", ")
            ));
        }
        app.ui.say(&view::lock::summary(shown, &written));
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

fn not_locked(shown: &str, kind: ExitKind, error: &LockError) -> CommandError {
    CommandError::new(kind, format!("failed to lock {shown}")).caused_by(error)
}

fn check(options: &LockOptions, locks: &[(String, Lock)], ui: &Ui) -> Result<(), CommandError> {
    let mut stale = 0;
    for (shown, lock) in locks {
        let why = lock.stale(options);
        stale += usize::from(why.is_some());
        let why = why.map_or_else(|| "up to date".to_owned(), |why| why.to_string());
        ui.data(&format!("{shown}: {why}\n"));
    }
    if stale == 0 {
        return Ok(());
    }
    let message = format!("{stale} of {} requirement files must be locked again", locks.len());
    Err(CommandError::new(ExitKind::Policy, message).hint("run `doc2md-docker lock`"))
}
