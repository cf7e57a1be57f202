//! Volumes, as the list and the disk usage answer show them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::http::{Http, encoded};
use super::values::{bytes, time};
use super::{Engine, EngineError};
use crate::inventory::Volume;

/// A volume, as far as it is read: of the rest, bollard's model refuses a whole list for one word that came after it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct VolumeRow {
    name: String,
    driver: Option<String>,
    created_at: Option<String>,
    usage_data: Option<UsageRow>,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UsageRow {
    size: i64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    volumes: Option<Vec<VolumeRow>>,
}

/// All volumes, without sizes.
pub(super) async fn list(http: &Http) -> Result<Vec<Volume>, EngineError> {
    let list: List = http.get("list volumes", "/volumes").await?;
    Ok(list.volumes.into_iter().flatten().map(Volume::from).collect())
}

impl Engine {
    /// The volume of this name; `None` when the engine has none.
    ///
    /// # Errors
    /// The request failed.
    pub async fn volume(&self, name: &str) -> Result<Option<Volume>, EngineError> {
        // Not inspected: a list is the same question for all.
        let filters = json!({"name": [name]}).to_string();
        let path = format!("/volumes?filters={}", encoded(&filters));
        let list: List = self.http().get(&format!("inspect volume {name}"), &path).await?;
        // The filter wants a part of the name.
        let row = list.volumes.into_iter().flatten().find(|volume| volume.name == name);
        Ok(row.map(Volume::from))
    }
}

impl From<VolumeRow> for Volume {
    fn from(row: VolumeRow) -> Self {
        Self {
            name: row.name,
            driver: row.driver.unwrap_or_default(),
            created: time(row.created_at),
            // Engines write -1 where the driver cannot tell.
            size_bytes: row.usage_data.and_then(|usage| bytes(usage.size)),
            labels: row.labels.unwrap_or_default(),
            containers: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{List, Volume};

    #[test]
    fn a_word_of_the_future_hides_no_volume() {
        let future = r#"{"Volumes":[{"Name":"v","Driver":"local","CreatedAt":"soon","Scope":"galaxy","Labels":{"a":"b"},
            "ClusterVolume":{"Spec":{"AccessMode":{"Scope":"nowhere"},"Availability":"perhaps"}},"Status":{"a":[1]}},
            {"Name":"w","Labels":null,"UsageData":{"Size":-1,"RefCount":"many"}}],"Warnings":null}"#;
        let list: List = serde_json::from_str(future).unwrap();
        let volumes: Vec<Volume> = list.volumes.unwrap().into_iter().map(Volume::from).collect();
        assert_eq!((volumes[0].name.as_str(), volumes[0].created), ("v", None));
        assert_eq!(volumes[0].labels["a"], "b");
        assert_eq!((volumes[1].name.as_str(), volumes[1].size_bytes), ("w", None));
    }
}
