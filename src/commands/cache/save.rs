//! `cache save`: mounts to archives, as far as they are worth it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::mounts::Mounts;
use super::{finish, place, usage, worth};
use crate::app::App;
use crate::cache_mounts::report::{MountReport, Status};
use crate::cache_mounts::storage::Storage;
use crate::cache_mounts::transfer::{MountError, Site};
use crate::cache_mounts::value::{self, Worth};
use crate::cache_mounts::{CacheMount, Content, Manifest, SaveResult};
use crate::cli::cache::CacheSaveArgs;
use crate::dockerfile;
use crate::error::CommandError;
use crate::size;
use crate::view::cache as view;

/// Bytes from which on the time that they took says something.
const MEASURABLE: u64 = 16 << 20;

/// A mount that is to be saved, and what it is worth, where that is known.
type Choice<'a> = (&'a CacheMount, Option<Worth>);

pub(super) async fn run(app: &App, args: &CacheSaveArgs) -> Result<(), CommandError> {
    let place = place::to_write(&args.to)?;
    let max_bytes = size_of(args.max_size.as_deref(), "--max-size")?;
    let moved = size_of(args.rate.as_deref(), "--rate")?.map(|rate| rate as f64);
    let mounts = Mounts::look(app, &args.services, true).await?;
    let storage = place::open_to_write(app, &place).await?;
    let before = storage.manifest().await.map_err(|error| place::cannot(app, error))?;
    let before = before.unwrap_or_default();
    let mut manifest = before.clone();
    let (there, mut reports) = mounts.there();
    let own: BTreeSet<String> = there.iter().map(|mount| mount.slug()).collect();
    let is_never = |mount: &&CacheMount| {
        let is_it = |pattern: &String| {
            let as_read = dockerfile::as_in_flag(pattern);
            value::matches(pattern, &mount.id) || value::matches(&as_read, &mount.id)
        };
        args.never.iter().any(is_it)
    };
    let (never, there): (Vec<&CacheMount>, Vec<&CacheMount>) =
        there.into_iter().partition(is_never);
    for mount in never {
        manifest.mounts.remove(&mount.slug());
        reports.push(MountReport::new(mount, Status::Skipped).because("--never"));
    }
    let book = worth::book(app, &mounts, &there, &before);
    manifest.costs.extend(book.clone());
    let site = mounts.site(app)?;
    let rate = value::rate(before.bytes_per_second, moved);
    let mut chosen: Vec<Choice> = there.iter().map(|mount| (*mount, None)).collect();
    if !args.always && !book.is_empty() {
        let listed = site.list(&there).await.map_err(|error| mounts.failure(app, error))?;
        let contents: Vec<Option<&Content>> = listed.iter().map(|it| it.as_ref().ok()).collect();
        let worths = worth::worths(&book, &there, &contents, rate);
        chosen = Vec::new();
        for ((mount, worth), content) in there.iter().zip(worths).zip(&contents) {
            match content {
                Some(content) if worth::is_left(&worth) && !content.is_empty => {
                    manifest.mounts.remove(&mount.slug());
                    let report = MountReport::new(mount, Status::NotWorth).holding(content);
                    reports.push(worth::valued(report, worth));
                }
                _ => chosen.push((mount, worth)),
            }
        }
    }
    let saved = save(&site, &chosen, &storage, &manifest, max_bytes).await;
    let saved = saved.map_err(|error| mounts.failure(app, error))?;
    manifest.bytes_per_second = measured(&saved).or(manifest.bytes_per_second);
    for ((mount, worth), saved) in chosen.into_iter().zip(saved) {
        let report = report(&mounts, mount, saved, max_bytes, &mut manifest);
        reports.push(match report.status {
            Status::Saved | Status::Unchanged if !args.always => worth::valued(report, worth),
            _ => report,
        });
    }
    if manifest != before {
        let kept = storage.keep(&manifest, &own).await;
        kept.map_err(|error| place::cannot(app, error))?;
    }
    finish(app, reports, args.format, "save")
}

async fn save(
    site: &Site<'_>,
    chosen: &[Choice<'_>],
    storage: &Arc<Storage>,
    manifest: &Manifest,
    max_bytes: Option<u64>,
) -> Result<Vec<Result<SaveResult, MountError>>, crate::cache_mounts::transfer::TransferError> {
    let mounts: Vec<&CacheMount> = chosen.iter().map(|(mount, _)| *mount).collect();
    site.save(&mounts, storage, manifest, max_bytes).await
}

fn size_of(given: Option<&str>, option: &str) -> Result<Option<u64>, CommandError> {
    let parsed = given.map(size::parse).transpose();
    parsed.map_err(|fault| usage(option, given.unwrap_or_default(), &format!("which {fault}")))
}

/// Bytes a second with which mounts were read and packed, each by itself.
fn measured(saved: &[Result<SaveResult, MountError>]) -> Option<f64> {
    let (mut bytes, mut seconds) = (0, 0.0);
    for archive in saved.iter().filter_map(|saved| match saved {
        // Of what was only added to, most was not read.
        Ok(SaveResult::Written(archive)) if archive.below.is_empty() => Some(archive),
        _ => None,
    }) {
        bytes += archive.content.counts.bytes;
        seconds += archive.took.as_secs_f64();
    }
    (bytes >= MEASURABLE && seconds > 0.0).then(|| (bytes as f64 / seconds).round())
}

/// What became of a mount, and its place in the manifest.
fn report(
    mounts: &Mounts,
    mount: &CacheMount,
    saved: Result<SaveResult, MountError>,
    max_bytes: Option<u64>,
    manifest: &mut Manifest,
) -> MountReport {
    match saved {
        Ok(SaveResult::Empty) => MountReport::new(mount, Status::Empty),
        Ok(SaveResult::Unchanged(content)) => {
            let report = MountReport::new(mount, Status::Unchanged).holding(&content);
            let known = manifest.mounts.get(&mount.slug());
            known.into_iter().fold(report, MountReport::saved_as)
        }
        Ok(SaveResult::TooLarge(content)) => {
            manifest.mounts.remove(&mount.slug());
            let report = MountReport::new(mount, Status::Skipped).holding(&content);
            report.because(view::too_large(max_bytes.unwrap_or_default()))
        }
        Ok(SaveResult::Written(archive)) => {
            let (files, bytes) = archive.left_out;
            let added = (!archive.below.is_empty()).then_some(archive.file_bytes);
            let content = archive.content.clone();
            let entry = mounts.entry(mount, *archive, max_bytes);
            let report = MountReport::new(mount, Status::Saved).saved_as(&entry);
            manifest.mounts.insert(mount.slug(), entry);
            let report = match files {
                0 => report,
                _ => report.because(view::left_out(files, bytes)),
            };
            let report = added.into_iter().fold(report, |it, bytes| it.because(view::added(bytes)));
            report.holding(&content)
        }
        Err(error) => MountReport::new(mount, Status::Failed).because(error.to_string()),
    }
}
