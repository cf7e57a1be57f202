//! The engine that a benchmark runs on: what it is, and what it held before.

use std::collections::BTreeSet;
use std::time::Duration;

use super::model::EngineReport;
use crate::counted::{agreed, counted};
use crate::engine::{Engine, EngineError};

/// How long the engine may take to tell what it holds.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the engine and its machine are.
///
/// # Errors
/// The engine cannot be reached.
pub async fn report(engine: &Engine) -> Result<EngineReport, EngineError> {
    let facts = engine.facts().await?;
    let machine = engine.machine().await?;
    Ok(EngineReport {
        version: facts.version,
        api_version: facts.api_version.to_string(),
        store: facts.store.to_string(),
        driver: facts.driver,
        architecture: facts.architecture,
        operating_system: machine.operating_system,
        kernel: machine.kernel,
        cpus: machine.cpus,
        memory_bytes: machine.memory_bytes,
    })
}

/// What the engine held before the benchmark.
pub struct Before {
    /// Ids of the records of its build cache.
    records: Vec<String>,
    /// Identities of all images' layers.
    pub(super) layers: BTreeSet<String>,
}

impl Before {
    /// Asks the engine.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn look(engine: &Engine) -> Result<Self, EngineError> {
        let records = engine.cache_records().await?.into_iter().map(|record| record.id);
        let inventory = engine.inventory(PATIENCE).await?;
        let images = inventory.images.into_iter().map(|image| image.id);
        let chains = engine.image_chains(&images.collect::<Vec<_>>()).await?;
        let layers = chains.into_iter().flat_map(|(_, chains)| chains).collect();
        Ok(Self { records: records.collect(), layers })
    }

    /// What to say where records have gone that were there before.
    pub async fn gone(&self, engine: &Engine) -> Option<String> {
        let after = engine.cache_records().await.unwrap_or_default();
        let gone = self.records.iter().filter(|id| !after.iter().any(|record| record.id == **id));
        let gone = gone.count();
        (gone > 0).then(|| {
            format!(
                "{} that {} in the build cache before {} gone: the engine's own garbage collection makes \
                 room for new ones, or something else removed them",
                counted(gone, "record"),
                agreed(&gone, "was", "were"),
                agreed(&gone, "has", "have"),
            )
        })
    }
}
