//! Networks, as the list shows them.

use bollard::Docker;

use super::EngineError;
use super::error::failed;
use super::values::time;
use crate::inventory::Network;

/// All networks. The list names no containers: those name their networks.
pub(super) async fn list(docker: &Docker) -> Result<Vec<Network>, EngineError> {
    let rows = docker.list_networks(None).await.map_err(failed("list networks"))?;
    let network = |row: bollard::models::Network| Network {
        id: row.id.unwrap_or_default(),
        name: row.name.unwrap_or_default(),
        driver: row.driver.unwrap_or_default(),
        created: time(row.created),
        labels: row.labels.into_iter().flatten().collect(),
        containers: Vec::new(),
    };
    Ok(rows.into_iter().map(network).collect())
}
