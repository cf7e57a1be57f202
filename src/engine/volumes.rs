//! Volumes, as the list and the disk usage answer show them.

use bollard::Docker;
use bollard::models;
use bollard::query_parameters::ListVolumesOptionsBuilder;

use super::error::failed;
use super::values::{bytes, time};
use super::{Engine, EngineError};
use crate::inventory::Volume;

/// All volumes, without sizes.
pub(super) async fn list(docker: &Docker) -> Result<Vec<Volume>, EngineError> {
    named(docker, "list volumes", None).await
}

/// Volumes, or those whose names contain `name`.
async fn named(
    docker: &Docker,
    operation: &str,
    name: Option<&str>,
) -> Result<Vec<Volume>, EngineError> {
    let filters = name.map(|name| [("name", vec![name.to_owned()])].into());
    let options = filters.map(|it| ListVolumesOptionsBuilder::default().filters(&it).build());
    let list = docker.list_volumes(options).await.map_err(failed(operation))?;
    Ok(list.volumes.into_iter().flatten().map(Volume::from).collect())
}

impl Engine {
    /// The volume of this name; `None` when the engine has none.
    ///
    /// # Errors
    /// The request failed.
    pub async fn volume(&self, name: &str) -> Result<Option<Volume>, EngineError> {
        // Not inspected: the `Status` that some drivers add there is not what bollard's model says.
        let found = named(self.docker(), &format!("inspect volume {name}"), Some(name)).await?;
        Ok(found.into_iter().find(|volume| volume.name == name))
    }
}

impl From<models::Volume> for Volume {
    fn from(row: models::Volume) -> Self {
        Self {
            name: row.name,
            driver: row.driver,
            created: time(row.created_at),
            // Engines write -1 where the driver cannot tell.
            size_bytes: row.usage_data.and_then(|usage| bytes(usage.size)),
            labels: row.labels.into_iter().collect(),
            containers: Vec::new(),
        }
    }
}
