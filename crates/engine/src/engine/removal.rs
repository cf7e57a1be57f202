//! Removing single things, each by its id, and records of the build cache by their ids.
//!
//! What is gone already counts as removed, what something uses is left and said to be in use. Nothing
//! here takes a filter that an engine may not know: `docs/design/clean.md` names those that wipe all.

use bollard::errors::Error as ApiError;
use bollard::query_parameters::{
    PruneBuildOptionsBuilder, RemoveImageOptionsBuilder, RemoveVolumeOptions,
};
use http::Method;

use super::error::failed;
use super::http::encoded;
use super::patience::{About, settled};
use super::{Engine, EngineError};
use crate::counted::counted;
use crate::inventory::{CacheRecord, Part, USES_OF_A_STEP};

/// Ids in one prune request: about 26 bytes each, far from the 1 MiB that Go's servers take as a head.
const IDS_PER_REQUEST: usize = 1_000;
/// A size no cache has.
const EVERYTHING: &str = "9000000000000000000";
/// Words that no record has.
const NOBODY: &str = "doc2md-docker-asks-whether-ids-count";

/// What became of a thing that was to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// It was removed.
    Removed,
    /// It was gone before.
    Gone,
    /// It stays, for this reason of the engine's.
    InUse(String),
}

impl Engine {
    /// Stops a container: SIGTERM, and after its grace period SIGKILL.
    ///
    /// # Errors
    /// The engine refused, or cannot be reached.
    pub async fn stop_container(&self, id: &str) -> Result<Removal, EngineError> {
        let name = encoded(id);
        let stop = || self.docker().stop_container(&name, None);
        removal(format!("stop container {id}"), stop).await
    }

    /// Removes a container that does not run, and none of its volumes.
    ///
    /// # Errors
    /// The engine refused, or cannot be reached.
    pub async fn remove_container(&self, id: &str) -> Result<Removal, EngineError> {
        let name = encoded(id);
        let remove = || self.docker().remove_container(&name, None);
        removal(format!("remove container {id}"), remove).await
    }

    /// Removes a network.
    ///
    /// # Errors
    /// The engine refused, or cannot be reached.
    pub async fn remove_network(&self, id: &str) -> Result<Removal, EngineError> {
        let name = encoded(id);
        let remove = || self.docker().remove_network(&name);
        removal(format!("remove network {id}"), remove).await
    }

    /// Removes a volume.
    ///
    /// # Errors
    /// The engine refused, or cannot be reached.
    pub async fn remove_volume(&self, name: &str) -> Result<Removal, EngineError> {
        let encoded = encoded(name);
        let remove = || self.docker().remove_volume(&encoded, None::<RemoveVolumeOptions>);
        removal(format!("remove volume {name}"), remove).await
    }

    /// Removes an image, or one reference of it while others remain. Its parents stay.
    ///
    /// # Errors
    /// The engine refused, or cannot be reached.
    pub async fn remove_image(&self, image: &str) -> Result<Removal, EngineError> {
        let name = encoded(image);
        let options = RemoveImageOptionsBuilder::default().noprune(true).build();
        let remove = || self.docker().remove_image(&name, Some(options.clone()), None);
        removal(format!("remove image {image}"), remove).await
    }

    /// Whether a prune by id removes only records with these ids. The question itself can remove
    /// nothing: it names two ids, which engines that look at ids refuse, and three conditions
    /// that no record meets.
    ///
    /// # Errors
    /// The engine cannot be reached.
    pub async fn prunes_by_id(&self) -> Result<bool, EngineError> {
        let filters = serde_json::json!({"id": [NOBODY, EVERYTHING], "type": [NOBODY], "description": [NOBODY]});
        let path = format!(
            "/build/prune?keep-storage={EVERYTHING}&reserved-space={EVERYTHING}\
             &max-used-space={EVERYTHING}&filters={}",
            encoded(&filters.to_string())
        );
        match self.http().send(Method::POST, "ask whether cache is removed by id", &path).await {
            Ok(_) => Ok(false),
            Err(error) => match error.refusal() {
                // moby `daemon/internal/builder-next/builder.go`, `errMultipleFilterValues`.
                Some((400, message)) => Ok(message.contains("only one value")),
                _ => Err(error),
            },
        }
    }

    /// Removes records of the build cache and nothing else. `ids` must hold all that build on a
    /// record before that record: BuildKit silently keeps what something builds on.
    /// [`Engine::cache_records`] tells what went.
    ///
    /// # Errors
    /// An id is not one of BuildKit's, or the engine refused or cannot be reached.
    pub async fn prune_cache(&self, ids: &[String]) -> Result<(), EngineError> {
        let operation = format!("remove {} of the build cache", counted(ids.len(), "record"));
        if let Some(odd) = ids.iter().find(|id| !is_record_id(id)) {
            return Err(EngineError::Silent {
                operation,
                why: format!("{odd:?} is not a record id"),
            });
        }
        for ids in ids.chunks(IDS_PER_REQUEST) {
            // One value, a regular expression: more than one is refused.
            let filters = [("id", vec![format!("^({})$", ids.join("|"))])].into();
            let options = PruneBuildOptionsBuilder::default().all(true).filters(&filters).build();
            let pruned = self.docker().prune_build(Some(options)).await;
            pruned.map_err(failed(&operation))?;
        }
        Ok(())
    }

    /// Removes cache mounts that a step of ours made in the place of those that the engine held at that moment: builds
    /// would find them, empty, instead of what they have kept. Says whether they went. They stay where somebody uses one
    /// already, on engines that remove nothing by its id, and on the containerd store, where any prune can make BuildKit
    /// forget results of everybody.
    pub async fn take_back(&self, made: &[&CacheRecord]) -> bool {
        let is_untouched = |it: &&CacheRecord| !it.in_use && it.usage_count <= USES_OF_A_STEP;
        let ids: Vec<String> = made.iter().map(|it| it.id.clone()).collect();
        made.iter().all(is_untouched)
            && !self.has_containerd_store().await.unwrap_or(true)
            && self.prunes_by_id().await.unwrap_or(false)
            && self.prune_cache(&ids).await.is_ok()
    }

    /// Records of the build cache as they are now.
    ///
    /// # Errors
    /// The engine refused, or cannot be reached.
    pub async fn cache_records(&self) -> Result<Vec<CacheRecord>, EngineError> {
        let ping = self.http().ping().await.map_err(failed("list the build cache"))?;
        for (path, parts) in super::disk_usage::questions(ping.api_version) {
            if parts.contains(&Part::Cache) {
                return Ok(self.disk_usage(&path, &parts).await?.cache);
            }
        }
        Ok(Vec::new())
    }
}

/// Whether BuildKit may have made this id (`identity.NewID`): nothing in it means anything in a regular
/// expression.
pub fn is_record_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// Tells from the engine's answer to a removal what became of the thing.
async fn removal<T, F>(operation: String, remove: impl Fn() -> F) -> Result<Removal, EngineError>
where
    F: Future<Output = Result<T, ApiError>>,
{
    let ask = async || remove().await.map_err(failed(&operation));
    let Err(error) = settled(About::One, ask).await else {
        return Ok(Removal::Removed);
    };
    let kept = error.refusal().and_then(|(status, message)| refusal(status, message));
    kept.ok_or(error)
}

/// What a refusal means: 404 is gone, 409 in use. Networks in use answer 403.
fn refusal(status: u16, message: &str) -> Option<Removal> {
    let in_use = || Some(Removal::InUse(message.trim().to_owned()));
    match status {
        404 => Some(Removal::Gone),
        // A removal of the same container that has begun already.
        409 if message.contains("already in progress") => Some(Removal::Gone),
        409 => in_use(),
        403 if message.contains("active endpoints") => in_use(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn gone_is_no_failure_and_in_use_tells_why() {
        assert_eq!(refusal(404, "No such image: a"), Some(Removal::Gone));
        assert_eq!(
            refusal(409, "removal of container a is already in progress"),
            Some(Removal::Gone)
        );
        let used = "volume is in use - [a]";
        assert_eq!(refusal(409, used), Some(Removal::InUse(used.into())));
        let network = "error while removing network: network a has active endpoints";
        assert_eq!(refusal(403, network), Some(Removal::InUse(network.into())));
        assert_eq!(refusal(403, "forbidden by policy"), None);
        assert_eq!(refusal(500, "no"), None);
    }

    #[test]
    fn ids_cannot_smuggle_an_expression() {
        assert!(is_record_id("ztzmqo2zvsnqnml5jbx9p8lga"));
        for odd in ["", "a|b", ".*", "a b", "A"] {
            assert!(!is_record_id(odd), "{odd}");
        }
    }
}
