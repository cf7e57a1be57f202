//! Containers, as the list and the disk usage answer show them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::http::Http;
use super::values::{bytes, seconds};
use super::{Engine, EngineError};
use crate::inventory::{Container, Labels, Mount};

/// One container of `GET /containers/json` or of the disk usage answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ContainerRow {
    id: String,
    #[serde(default)]
    names: Option<Vec<String>>,
    #[serde(default)]
    image: String,
    #[serde(default, rename = "ImageID")]
    image_id: String,
    #[serde(default)]
    created: i64,
    #[serde(default)]
    state: String,
    #[serde(default)]
    size_rw: Option<i64>,
    #[serde(default)]
    labels: Option<Labels>,
    #[serde(default)]
    mounts: Option<Vec<MountRow>>,
    #[serde(default)]
    network_settings: Option<NetworksRow>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MountRow {
    #[serde(default)]
    r#type: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    destination: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NetworksRow {
    #[serde(default)]
    networks: Option<BTreeMap<String, Option<NetworkRow>>>,
}

#[derive(Debug, Deserialize)]
struct NetworkRow {
    #[serde(default, rename = "NetworkID")]
    id: String,
}

/// All containers, without sizes: measuring those is what makes a disk usage answer slow.
pub(super) async fn list(http: &Http) -> Result<Vec<Container>, EngineError> {
    let rows: Option<Vec<ContainerRow>> =
        http.get("list containers", "/containers/json?all=1").await?;
    Ok(rows.into_iter().flatten().map(|row| row.into_container(false)).collect())
}

impl Engine {
    /// Containers in every state, without sizes.
    ///
    /// # Errors
    /// The request failed.
    pub async fn containers(&self) -> Result<Vec<Container>, EngineError> {
        list(self.http()).await
    }
}

impl ContainerRow {
    /// `measured`: whether the engine was asked for sizes. It leaves a size of 0 out, so only the
    /// question tells that from an unknown one.
    pub(super) fn into_container(self, measured: bool) -> Container {
        let size_rw = self.size_rw.map_or(measured.then_some(0), bytes);
        let mounts = self.mounts.into_iter().flatten();
        let networks = self.network_settings.and_then(|settings| settings.networks);
        // A container on links has several names; its own has one slash.
        let names = self.names.unwrap_or_default();
        let own = names.iter().find(|name| name.matches('/').count() == 1).or(names.first());
        let name = own.map(|name| name.trim_start_matches('/').to_owned()).unwrap_or_default();
        Container {
            id: self.id,
            name,
            image_id: self.image_id,
            image: self.image,
            state: self.state,
            created: seconds(self.created),
            size_rw_bytes: size_rw,
            labels: self.labels.unwrap_or_default(),
            mounts: mounts
                .map(|mount| Mount {
                    volume: mount.name.filter(|name| mount.r#type == "volume" && !name.is_empty()),
                    kind: mount.r#type,
                    destination: mount.destination,
                })
                .collect(),
            networks: networks
                .into_iter()
                .flatten()
                .map(|(name, network)| match network {
                    // A container that never ran has no id there.
                    Some(network) if !network.id.is_empty() => network.id,
                    _ => name,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::ContainerRow;

    const ROW: &str = r#"{"Id":"c1","Names":["/other/alias","/app"],"Image":"app","ImageID":"sha256:1","Created":1795477318,
        "Labels":{},"State":"exited","Mounts":[{"Type":"bind","Source":"/x","Destination":"/x"},
        {"Type":"volume","Name":"data","Source":"","Destination":"/data","Driver":"local"}],
        "NetworkSettings":{"Networks":{"app_default":{"NetworkID":"n1"},"late":{"NetworkID":""}}}}"#;

    #[test]
    fn only_the_question_tells_an_empty_container_from_an_unmeasured_one() {
        let row = || serde_json::from_str::<ContainerRow>(ROW).unwrap();
        assert_eq!(row().into_container(true).size_rw_bytes, Some(0));
        assert_eq!(row().into_container(false).size_rw_bytes, None);
    }

    #[test]
    fn what_it_uses_is_found() {
        let container = serde_json::from_str::<ContainerRow>(ROW).unwrap().into_container(true);
        assert_eq!(container.name, "app");
        assert_eq!(container.mounts[1].volume.as_deref(), Some("data"));
        assert_eq!(container.mounts[0].volume, None);
        assert_eq!(container.networks, ["n1", "late"]);
        assert!(!container.is_running());
    }
}
