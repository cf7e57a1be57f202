//! `doc2md-docker cache`: services to their cache mounts, a step of the engine to a report.

mod mounts;
mod place;
mod remove;
mod save;
mod single;
mod worth;

use std::sync::Arc;

use jiff::Timestamp;

use crate::app::App;
use crate::cache_mounts::manifest::{Manifest, SavedMount};
use crate::cache_mounts::report::{MountReport, Status};
use crate::cache_mounts::storage::Storage;
use crate::cache_mounts::transfer::MountError;
use crate::cache_mounts::{CacheMount, Content, Existing};
use crate::cli::cache::{
    CacheArgs, CacheCommand, CacheFormat, CacheKeepArgs, CacheLsArgs, CacheRestoreArgs,
};
use crate::error::{CommandError, ExitKind};
use crate::signal::Cause;
use crate::view::cache as view;
use mounts::Mounts;

/// Runs the command.
///
/// # Errors
/// Options or files are invalid, the engine cannot be reached, or a mount could not be moved.
pub async fn run(app: &App, args: &CacheArgs) -> Result<(), CommandError> {
    // A mount is put back, and a folder left as it was, before the program ends.
    let _orderly = app.interrupt.orderly_part();
    match &args.command {
        CacheCommand::Ls(args) => list(app, args).await,
        CacheCommand::Save(args) => save::run(app, args).await,
        CacheCommand::Restore(args) => restore(app, args).await,
        CacheCommand::Keep(args) => keep(app, args).await,
        CacheCommand::Rm(args) => remove::run(app, args).await,
        CacheCommand::Export(args) => single::export(app, args).await,
        CacheCommand::Import(args) => single::import(app, args).await,
    }
}

async fn list(app: &App, args: &CacheLsArgs) -> Result<(), CommandError> {
    let mounts = Mounts::look(app, &args.services, true).await?;
    let (there, mut reports) = mounts.there();
    let listed =
        mounts.site(app)?.list(&there).await.map_err(|error| mounts.failure(app, error))?;
    let book = worth::book(app, &mounts, &there, &Manifest::default());
    let contents: Vec<Option<&Content>> = listed.iter().map(|it| it.as_ref().ok()).collect();
    let worths = worth::worths(&book, &there, &contents, None);
    for ((mount, worth), listed) in there.iter().zip(worths).zip(listed) {
        let saves_seconds = worth.map(|worth| worth.saves_seconds);
        let report = MountReport::of_list(mount, listed);
        reports.push(MountReport { saves_seconds, ..report });
    }
    finish(app, reports, args.format, "ls")
}

async fn keep(app: &App, args: &CacheKeepArgs) -> Result<(), CommandError> {
    let mounts = Mounts::look(app, &args.services, true).await?;
    let (there, mut reports) = mounts.there();
    let used = mounts.site(app)?.keep(&there).await.map_err(|error| mounts.failure(app, error))?;
    let report = |(mount, used): (&&CacheMount, Result<(), MountError>)| match used {
        Ok(()) => MountReport::new(mount, Status::Kept),
        Err(error) => MountReport::new(mount, Status::Failed).because(error.to_string()),
    };
    reports.extend(there.iter().zip(used).map(report));
    finish(app, reports, args.format, "keep")
}

async fn restore(app: &App, args: &CacheRestoreArgs) -> Result<(), CommandError> {
    let places = place::to_read(&args.from)?;
    let mut sources: Vec<(Arc<Storage>, Manifest)> = Vec::new();
    // A helper program may ask the user: once.
    let logins = app.logins();
    for place in &places {
        let storage = place::open(app, place, &logins).await?;
        match storage.manifest().await.map_err(|error| place::cannot(app, error))? {
            Some(manifest) => sources.push((storage, manifest)),
            None => app.ui.note(&format!("nothing is saved in {}", storage.name())),
        }
    }
    let mounts = Mounts::look(app, &args.services, false).await?;
    let (all, mut reports) = mounts.writable();
    let fits = |saved: &SavedMount| args.force || saved.architecture == mounts.engine.architecture;
    let mut wanted: Vec<(&CacheMount, &SavedMount, &Arc<Storage>)> = Vec::new();
    for mount in all {
        let slug = mount.slug();
        let mut saved = sources.iter().filter_map(|(at, it)| Some((it.mounts.get(&slug)?, at)));
        match saved.clone().find(|(saved, _)| fits(saved)).or_else(|| saved.next()) {
            None => reports.push(MountReport::new(mount, Status::Unsaved)),
            Some((saved, _)) if !fits(saved) => {
                let why = format!("it was saved on {}", saved.architecture);
                let report = MountReport::new(mount, Status::Skipped).because(why);
                reports.push(report.saved_as(saved));
            }
            Some((saved, at)) => wanted.push((mount, saved, at)),
        }
    }
    let existing = existing(args.force, args.merge);
    let restored = mounts.site(app)?.restore(&wanted, existing).await;
    let restored = restored.map_err(|error| mounts.failure(app, error))?;
    let restored = wanted.into_iter().zip(restored);
    reports.extend(restored.map(|((mount, saved, _), restored)| {
        MountReport::of_restore(mount, restored).saved_as(saved)
    }));
    finish(app, reports, args.format, "restore")
}

/// What happens to what mounts hold.
fn existing(force: bool, merge: bool) -> Existing {
    match (force, merge) {
        (true, _) => Existing::Replace,
        (_, true) => Existing::Merge,
        _ => Existing::Keep,
    }
}

/// Shows what became of the mounts.
fn finish(
    app: &App,
    mut reports: Vec<MountReport>,
    format: CacheFormat,
    command: &str,
) -> Result<(), CommandError> {
    reports.sort_by(|one, other| one.id.cmp(&other.id));
    if let Some(cause) = app.interrupt.cause() {
        let mut error = cause.error();
        if cause == Cause::Signal {
            error.message += ": what was not complete was put back";
        }
        return Err(error);
    }
    app.ui.data(&match format {
        CacheFormat::Json => view::document(command, &reports),
        CacheFormat::Table => view::table(&reports, app.ui.data_columns(), Timestamp::now()),
    });
    if reports.is_empty() && !app.is_quiet() {
        app.ui.remark("no instruction of these services has a cache mount");
    }
    let failed = reports.iter().filter(|report| report.status == Status::Failed).count();
    match failed {
        0 => Ok(()),
        _ => {
            let what = match command {
                "ls" => "looked into",
                "save" => "saved",
                "import" => "imported",
                "keep" => "kept",
                _ => "restored",
            };
            let message = format!("{} not {what}", view::mounts(failed));
            Err(CommandError::new(ExitKind::Failed, message))
        }
    }
}

fn usage(option: &str, given: &str, why: &str) -> CommandError {
    CommandError::new(ExitKind::Usage, format!("{option} is {given:?}, {why}"))
}
