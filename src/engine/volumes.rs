//! Volumes, as the list and the disk usage answer show them.

use serde::Deserialize;

use super::http::{Http, encoded};
use super::values::{bytes, time};
use super::{Engine, EngineError, HttpError};
use crate::inventory::{Labels, Volume};

/// One volume of `GET /volumes` or of the disk usage answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct VolumeRow {
    name: String,
    #[serde(default)]
    driver: String,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    labels: Option<Labels>,
    #[serde(default)]
    usage_data: Option<UsageRow>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UsageRow {
    /// -1 where the driver cannot tell.
    #[serde(default)]
    size: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListRow {
    #[serde(default)]
    volumes: Option<Vec<VolumeRow>>,
}

/// All volumes, without sizes.
pub(super) async fn list(http: &Http) -> Result<Vec<Volume>, EngineError> {
    let list: ListRow = http.get("list volumes", "/volumes").await?;
    Ok(list.volumes.into_iter().flatten().map(Volume::from).collect())
}

impl Engine {
    /// The volume of this name; `None` when the engine has none.
    ///
    /// # Errors
    /// The request failed.
    pub async fn volume(&self, name: &str) -> Result<Option<Volume>, EngineError> {
        let path = format!("/volumes/{}", encoded(name));
        match self.http().get::<VolumeRow>(&format!("inspect volume {name}"), &path).await {
            Ok(row) => Ok(Some(row.into())),
            Err(EngineError::Http { source: HttpError::Refused { status: 404, .. }, .. }) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl From<VolumeRow> for Volume {
    fn from(row: VolumeRow) -> Self {
        Self {
            name: row.name,
            driver: row.driver,
            created: time(row.created_at),
            size_bytes: row.usage_data.and_then(|usage| bytes(usage.size)),
            labels: row.labels.unwrap_or_default(),
            containers: Vec::new(),
        }
    }
}
