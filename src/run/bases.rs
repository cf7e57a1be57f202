//! Which images of the engine the stages of a run begin with. A build on a graph driver takes its own by name and does not
//! say which it was.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::engine::Engine;
use crate::progress::RunTrace;
use crate::up_to_date::unnamed_bases;

/// How long a build waits for that: a busy engine may need a second for what takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Ids of images by reference.
pub(super) type Ids = BTreeMap<String, String>;

/// Ids of the base images that the steps of `run` name. What does not answer in time stays unknown.
pub(super) async fn of_run(run: &RunTrace, engine: Option<&Engine>) -> Ids {
    let Some(engine) = engine else { return Ids::new() };
    let references = unnamed_bases(run);
    ids(references.iter().map(String::as_str), engine).await
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
