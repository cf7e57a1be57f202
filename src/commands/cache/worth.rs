//! What builds of the project took with and without what cache mounts hold, from the history.

use std::collections::BTreeMap;

use super::mounts::Mounts;
use crate::app::App;
use crate::cache_mounts::manifest::Manifest;
use crate::cache_mounts::report::MountReport;
use crate::cache_mounts::value::{self, Costs, Decision, Worth};
use crate::cache_mounts::{CacheMount, Content, builds};
use crate::view::cache as view;

/// What the steps take that use the mounts, by the names of the mounts in a manifest.
pub(super) type Book = BTreeMap<String, Costs>;

/// What is known of the mounts of `mounts`, in history and in the manifest of an earlier save.
pub(super) fn book(app: &App, mounts: &Mounts, there: &[&CacheMount], known: &Manifest) -> Book {
    let ledger = app.environment.ledger_directory();
    let runs = builds::step_runs(ledger.as_deref(), &mounts.name, &mounts.engine.id);
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
