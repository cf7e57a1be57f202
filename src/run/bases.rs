//! Which images of the engine the stages of a run begin with. A build on a graph driver takes its own by name and does not
//! say which it was.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::memory::Answers;
use crate::engine::Engine;
use crate::history::record::TargetFacts;
use crate::inventory::Store;
use crate::progress::RunTrace;
use crate::up_to_date::unnamed_bases;

/// How long a build waits for that: a busy engine may need a second for what takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Ids of images by reference.
pub(super) type Ids = BTreeMap<String, String>;

/// Adds to `facts` which base images the steps of `run` named, and their layers. What does not answer in time stays
/// unknown. Returns the ids of those that the steps named without telling which they were.
pub(super) async fn add(
    run: &RunTrace,
    engine: Option<&Engine>,
    told: &Answers,
    facts: &mut BTreeMap<String, TargetFacts>,
) -> Ids {
    let (ids, layers) = tokio::join!(of_run(run, engine), layers(run, engine, told));
    for facts in facts.values_mut() {
        facts.images.clone_from(&ids);
        facts.layers.clone_from(&layers);
    }
    ids
}

async fn of_run(run: &RunTrace, engine: Option<&Engine>) -> Ids {
    let Some(engine) = engine else { return Ids::new() };
    let references = unnamed_bases(run);
    ids(references.iter().map(String::as_str), engine).await
}

/// The chains of layers of the images that the stages of `run` begin with, by the digest of their manifests: of those that
/// the containerd store of `engine` has. There each build of an image has a manifest of its own, with when it was built.
async fn layers(run: &RunTrace, engine: Option<&Engine>, told: &Answers) -> Ids {
    let Some(engine) = engine.filter(|_| told.engine.store == Store::Containerd.name("")) else {
        return Ids::new();
    };
    let steps = run.targets().flat_map(|target| target.trace.own_steps());
    let named: BTreeSet<(&str, &str)> = steps
        .filter_map(|step| step.label.fetched_image())
        .filter_map(|(reference, digest)| Some((reference, digest?)))
        .collect();
    let asked = named.into_iter().map(async |(reference, digest)| {
        let image = engine.image_layers(reference).await.ok()??;
        let chain = image.chains.last().filter(|_| image.facts.id == digest)?;
        Some((digest.to_owned(), chain.clone()))
    });
    let found = timeout(PATIENCE, join_all(asked)).await.unwrap_or_default();
    found.into_iter().flatten().collect()
}

/// Ids of the images that `engine` has of these names. None where it does not answer in time.
pub(super) async fn ids(references: impl Iterator<Item = &str>, engine: &Engine) -> Ids {
    let asked = references.map(async |reference| {
        let image = engine.image(reference).await.ok()??;
        Some((reference.to_owned(), image.id))
    });
    let found = timeout(PATIENCE, join_all(asked)).await.unwrap_or_default();
    found.into_iter().flatten().collect()
}
