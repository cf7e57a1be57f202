//! What builds of the project took with and without what cache mounts hold, from the history.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use super::mounts::Mounts;
use crate::app::App;
use crate::cache_mounts::manifest::Manifest;
use crate::cache_mounts::report::MountReport;
use crate::cache_mounts::value::{self, Costs, Decision, StepRun, Worth};
use crate::cache_mounts::{CacheMount, Content};
use crate::history::{Entry, StepEntry, StepResult, Store, TargetEntry};
use crate::view::cache as view;

/// Builds that are read at most.
const BUILDS: usize = 100;

/// What the steps take that use the mounts, by the names of the mounts in a manifest.
pub(super) type Book = BTreeMap<String, Costs>;

/// What is known of the mounts of `mounts`, in history and in the manifest of an earlier save.
pub(super) fn book(app: &App, mounts: &Mounts, there: &[&CacheMount], known: &Manifest) -> Book {
    let entries = match app.environment.ledger_directory() {
        Some(folder) => Store::open(folder).newest(&mounts.name, BUILDS),
        None => Ok(Default::default()),
    };
    // What cannot be read is as if it was not there: then what a mount is worth is not known.
    let entries = entries.map(|(entries, _)| entries).unwrap_or_default();
    let here = |entry: &&Entry| mounts.engine.id.is_empty() || entry.engine.id == mounts.engine.id;
    let runs: Vec<StepRun> = entries.iter().filter(here).flat_map(runs_of).collect();
    let mut book = Book::new();
    for mount in there {
        let slug = mount.slug();
        let made = mounts.records(mount).iter().filter_map(|record| record.created_at).min();
        let nothing = Costs::new();
        let known = known.costs.get(&slug).unwrap_or(&nothing);
        let costs = value::costs(&ids(mount), made, &runs, known);
        if !costs.is_empty() {
            book.insert(slug, costs);
        }
    }
    book
}

fn runs_of(entry: &Entry) -> impl Iterator<Item = StepRun> + '_ {
    let steps = entry.targets.iter().flat_map(|target| {
        target
            .steps
            .iter()
            .map(move |step| (target, step))
            .filter(|(_, step)| step.result == StepResult::Ran && !step.cache_mounts.is_empty())
    });
    steps.map(|(target, step)| StepRun {
        build: entry.id.to_string(),
        step: name(target, step),
        mounts: step.cache_mounts.iter().map(|mount| mount.engine_id.clone()).collect(),
        intervals: step.intervals.iter().map(|it| (it.started, it.completed)).collect(),
        seconds: step.seconds,
    })
}

/// What is the same for a step in every build, without its words: a manifest goes to places that history does not.
fn name(target: &TargetEntry, step: &StepEntry) -> String {
    let words = format!("{}\n{:?}\n{}", target.service, step.stage, step.instruction);
    hex::encode(&Sha256::digest(words)[..8])
}

fn ids(mount: &CacheMount) -> Vec<&str> {
    let written = mount.written.iter().map(String::as_str);
    std::iter::once(mount.mount.id.as_str()).chain(written).collect()
}

/// What each mount is worth, in the order of `there`, by what each holds.
pub(super) fn worths(
    book: &Book,
    there: &[&CacheMount],
    contents: &[Option<&Content>],
    rate: Option<f64>,
) -> Vec<Option<Worth>> {
    let mut bytes = BTreeMap::new();
    for (mount, content) in there.iter().zip(contents) {
        let size = content.map_or(0, |content| content.counts.bytes);
        bytes.extend(ids(mount).into_iter().map(|id| (id.to_owned(), size)));
    }
    let worth = |mount: &&CacheMount| {
        book.get(&mount.slug()).and_then(|costs| Worth::new(&ids(mount), costs, &bytes, rate))
    };
    there.iter().map(worth).collect()
}

/// Whether a mount stays where it is: what is not known is saved.
pub(super) fn is_left(worth: &Option<Worth>) -> bool {
    worth.as_ref().is_some_and(|worth| worth.decision() == Decision::Leave)
}

/// The same with what the mount is worth, in numbers and in words.
pub(super) fn valued(report: MountReport, worth: Option<Worth>) -> MountReport {
    let why = view::worth(worth.as_ref());
    let report = MountReport {
        saves_seconds: worth.map(|worth| worth.saves_seconds),
        moving_seconds: worth.and_then(|worth| worth.moving_seconds),
        ..report
    };
    report.also(&why)
}
