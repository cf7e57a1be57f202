//! Which cache records are the project's, as `clean --cache` would tell.

use std::collections::BTreeSet;

use crate::attribution::Verdict;
use crate::commands::clean::evidence::{self, Known};
use crate::engine::Snapshot;
use crate::engine::snapshot::ImageDetails;
use crate::prune;
use crate::stats::familiar;

use super::project::Measured;

/// Ids of the records that are the project's and nobody else's.
pub(super) fn own_records(
    measured: &Measured,
    snapshot: &Snapshot,
    details: &[ImageDetails],
    known: Known,
) -> BTreeSet<String> {
    let services = measured.services.iter();
    let references =
        services.flat_map(|service| std::iter::once(&service.reference).chain(&service.tags));
    let project = prune::Project {
        name: measured.name.clone(),
        built: references.map(|reference| familiar(reference)).collect(),
        ..prune::Project::default()
    };
    let verdicts = evidence::verdicts(snapshot, details, &project, known);
    verdicts
        .into_iter()
        .filter_map(|(id, verdict)| matches!(verdict, Verdict::Ours { .. }).then_some(id))
        .collect()
}
