//! Networks, as the list shows them.

use serde::Deserialize;

use super::EngineError;
use super::http::Http;
use super::values::time;
use crate::inventory::{Labels, Network};

/// One network of `GET /networks`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkRow {
    id: String,
    name: String,
    #[serde(default)]
    driver: String,
    #[serde(default)]
    created: Option<String>,
    #[serde(default)]
    labels: Option<Labels>,
}

/// All networks. The list names no containers: those name their networks.
pub(super) async fn list(http: &Http) -> Result<Vec<Network>, EngineError> {
    let rows: Option<Vec<NetworkRow>> = http.get("list networks", "/networks").await?;
    let network = |row: NetworkRow| Network {
        id: row.id,
        name: row.name,
        driver: row.driver,
        created: time(row.created),
        labels: row.labels.unwrap_or_default(),
        containers: Vec::new(),
    };
    Ok(rows.into_iter().flatten().map(network).collect())
}
