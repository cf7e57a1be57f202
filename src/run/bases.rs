//! Which images of the engine the stages of a run began with. A build on a graph driver takes its own by name and does not
//! say which it was.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::engine::Engine;
use crate::history::record::{TargetFacts, base_of};
use crate::progress::RunTrace;

/// How long a build waits for that at its end.
const PATIENCE: Duration = Duration::from_millis(100);

/// Asks `engine` for the ids of base images that no step names. What does not answer in time stays unknown.
pub(super) async fn look_up(
    run: &RunTrace,
    engine: Option<&Engine>,
    targets: &mut BTreeMap<String, TargetFacts>,
) {
    let Some(engine) = engine else { return };
    let steps = run.targets().flat_map(|target| target.trace.steps());
    let unnamed = steps.filter_map(|step| match base_of(&step.name)? {
        (reference, None) => Some(reference),
        (_, Some(_)) => None,
    });
    let references: BTreeSet<String> = unnamed.collect();
    let asked = references.into_iter().map(async |reference| {
        let image = engine.image(&reference).await.ok()??;
        Some((reference, image.id))
    });
    let found = timeout(PATIENCE, join_all(asked)).await.unwrap_or_default();
    let images: BTreeMap<String, String> = found.into_iter().flatten().collect();
    targets.values_mut().for_each(|facts| facts.images.clone_from(&images));
}
