//! `doc2md-docker lock`: requirement files to lock files, with uv in a build.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;

use crate::cli::GlobalArgs;
use crate::cli::lock::LockArgs;
use crate::commands::build::Run;
use crate::commands::environment::Environment;
use crate::commands::{connect, progress_mode, project};
use crate::error::{CommandError, ExitKind};
use crate::lock::recipe::{self, Upgrade};
use crate::lock::{self, Lock, LockError, LockOptions, Written};
use crate::signal::Interrupt;
use crate::solve::executor::RunSettings;
use crate::solve::plan::BuildPlan;
use crate::targets::from_compose::{TargetOptions, from_compose};
use crate::targets::spec::Typed;
use crate::targets::target::Target;
use crate::terminal::Ui;
use crate::view;

/// How many changed packages are named per file.
const SHOWN_CHANGES: usize = 8;

/// Runs the command.
///
/// # Errors
/// Whatever stops it, with the exit code the README documents.
pub async fn run(
    global: &GlobalArgs,
    args: &LockArgs,
    environment: &Environment,
    interrupt: &Interrupt,
    ui: &Ui,
) -> Result<(), CommandError> {
    let needs_project = args.requirements.is_empty() || (!args.check && args.base_image.is_none());
    let targets = if needs_project { targets(global, environment, ui)? } else { Vec::new() };
    let locks = locks(args, &targets, environment)?;
    let options = LockOptions {
        python: args.python_version.clone(),
        threshold: args.threshold.map(|size| size.as_u64()),
    };
    if args.check {
        return check(&options, &locks, ui);
    }
    let base = base_target(args, &targets)?;
    let scratch = tempfile::Builder::new().prefix("doc2md-docker-").tempdir();
    let scratch = scratch.map_err(|error| {
        CommandError::new(ExitKind::Failed, "failed to make a temporary directory")
            .caused_by(&error)
    })?;
    interrupt.remove_at_exit(scratch.path());
    let (context, out) = (scratch.path().join("context"), scratch.path().join("out"));
    // A resolution without locked versions asks for the newest: an older answer does not count.
    let nonce = scratch.path().display().to_string();
    for (number, (shown, lock)) in locks.iter().enumerate() {
        let is_fresh = args.upgrade || !args.upgrade_packages.is_empty() || !lock.is_locked();
        lock.write_context(&context.join(number.to_string()), is_fresh.then_some(nonce.as_str()))
            .map_err(|error| {
            let message = format!("failed to copy {shown} for the build");
            CommandError::new(ExitKind::Failed, message).caused_by(&error)
        })?;
    }
    let inputs: Vec<_> = locks.iter().map(|(_, lock)| lock.input(&options)).collect();
    let upgrade = Upgrade { all: args.upgrade, packages: args.upgrade_packages.clone() };
    let target = Target {
        name: "lock".to_owned(),
        context: context.display().to_string(),
        dockerfile_inline: Some(recipe::dockerfile(&inputs, &upgrade)),
        outputs: vec![Typed::plain("local").with("dest", &out.to_string_lossy())],
        ..base
    };
    let plan = BuildPlan::new(vec![target])
        .map_err(|error| CommandError::new(ExitKind::Invalid, error.to_string()))?;
    let progress = progress_mode(global, environment)?;
    let settings = RunSettings::default();
    let run =
        Run { global, environment, interrupt, ui, plan: &plan, settings, progress, memory: None };
    let finished = run.go().await?;
    if let Some(error) = view::run_error(&finished.summary) {
        return Err(error);
    }
    for (number, (shown, lock)) in locks.iter().enumerate() {
        let written = lock
            .write(&options, &out.join(number.to_string()))
            .map_err(|error| not_locked(shown, ExitKind::Failed, &error))?;
        if !written.split.unknown.is_empty() {
            ui.warn(&format!(
                "the package index tells no size of {}: taken as light",
                written.split.unknown.join(", ")
            ));
        }
        ui.say(&summary(shown, &written));
    }
    Ok(())
}

fn not_locked(shown: &str, kind: ExitKind, error: &LockError) -> CommandError {
    CommandError::new(kind, format!("failed to lock {shown}")).caused_by(error)
}

fn summary(shown: &str, written: &Written) -> String {
    let what = match written.changes.as_deref() {
        None => "new".to_owned(),
        Some([]) => "no version changed".to_owned(),
        Some(all) => {
            let (shown, rest) = all.split_at(all.len().min(SHOWN_CHANGES));
            let more =
                if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            format!("{}{more}", shown.join(", "))
        }
    };
    let parts = &written.split;
    format!(
        "{shown}: {} light and {} heavy packages ({} of wheels): {what}",
        parts.light_count,
        parts.heavy_count,
        ByteSize(parts.heavy_bytes).display().si()
    )
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

fn targets(
    global: &GlobalArgs,
    environment: &Environment,
    ui: &Ui,
) -> Result<Vec<Target>, CommandError> {
    let project = project::load(&global.project, environment, ui)?;
    let options = TargetOptions {
        proxy_args: connect::proxy_args(global, environment)?,
        ..TargetOptions::default()
    };
    Ok(from_compose(&project, &options).map_err(project::invalid)?.targets)
}

/// The requirement files as the user would name them, with their locks.
fn locks(
    args: &LockArgs,
    targets: &[Target],
    environment: &Environment,
) -> Result<Vec<(String, Lock)>, CommandError> {
    let files: Vec<PathBuf> = if args.requirements.is_empty() {
        lock::find(targets.iter().map(|target| Path::new(&target.context)))
    } else {
        args.requirements.clone()
    };
    if files.is_empty() {
        let message = "there is no requirements*.in in the project's build contexts";
        return Err(CommandError::new(ExitKind::Usage, message)
            .hint("name the file, as in `doc2md-docker lock api/requirements.txt`"));
    }
    let read = |file: &PathBuf| {
        let path = environment.working_dir.join(file);
        let shown = path.strip_prefix(&environment.working_dir).unwrap_or(&path);
        let shown = shown.display().to_string();
        let lock =
            Lock::read(&path).map_err(|error| not_locked(&shown, ExitKind::Usage, &error))?;
        Ok((shown, lock))
    };
    files.iter().map(read).collect()
}

/// A target with the project's base image and how its builds reach the network.
fn base_target(args: &LockArgs, targets: &[Target]) -> Result<Target, CommandError> {
    let images: BTreeSet<&String> =
        targets.iter().filter_map(|target| target.args.get("BASE_IMAGE")).collect();
    let like = targets.iter().find(|target| target.args.contains_key("BASE_IMAGE"));
    let like = like.or(targets.first()).cloned().unwrap_or_default();
    let usage = |message: String| {
        CommandError::new(ExitKind::Usage, message)
            .hint("name an image with Python and pip: --base-image python:3.12-slim")
    };
    let image = match (&args.base_image, images.len()) {
        (Some(image), _) => image.clone(),
        (None, 1) => images.into_iter().next().cloned().unwrap_or_default(),
        (None, 0) => {
            return Err(usage("no service has the build argument BASE_IMAGE".to_owned()));
        }
        (None, count) => {
            return Err(usage(format!("the services have {count} different BASE_IMAGEs")));
        }
    };
    let mut build_args = like.args;
    build_args.insert("BASE_IMAGE".to_owned(), image);
    Ok(Target {
        args: build_args,
        network: like.network,
        extra_hosts: like.extra_hosts,
        ..Target::default()
    })
}
