//! Containers, as the list and the disk usage answer show them.

use std::collections::BTreeMap;

use bollard::Docker;
use bollard::models::ContainerSummary;
use bollard::query_parameters::ListContainersOptionsBuilder;

use super::error::failed;
use super::values::{bytes, seconds};
use super::{Engine, EngineError};
use crate::inventory::{Container, Mount};

/// All containers, without sizes: measuring those is what makes a disk usage answer slow.
pub(super) async fn list(docker: &Docker) -> Result<Vec<Container>, EngineError> {
    let options = ListContainersOptionsBuilder::default().all(true).build();
    let rows = docker.list_containers(Some(options)).await.map_err(failed("list containers"))?;
    Ok(rows.into_iter().map(|row| container(row, false)).collect())
}

impl Engine {
    /// Containers in every state, without sizes.
    ///
    /// # Errors
    /// The request failed.
    pub async fn containers(&self) -> Result<Vec<Container>, EngineError> {
        list(self.docker()).await
    }
}

/// Reads one container. `measured`: whether the engine was asked for sizes. It leaves a size of 0 out, so only the
/// question tells that from an unknown one.
pub(super) fn container(row: ContainerSummary, measured: bool) -> Container {
    let networks = row.network_settings.and_then(|settings| settings.networks);
    let networks: BTreeMap<_, _> = networks.into_iter().flatten().collect();
    // A container on links has several names; its own has one slash.
    let names = row.names.unwrap_or_default();
    let own = names.iter().find(|name| name.matches('/').count() == 1).or(names.first());
    let mount = |mount: bollard::models::MountPoint| {
        let kind = mount.typ.unwrap_or_default();
        Mount {
            volume: mount.name.filter(|name| kind == "volume" && !name.is_empty()),
            kind,
            destination: mount.destination.unwrap_or_default(),
        }
    };
    Container {
        id: row.id.unwrap_or_default(),
        name: own.map(|name| name.trim_start_matches('/').to_owned()).unwrap_or_default(),
        image_id: row.image_id.unwrap_or_default(),
        image: row.image.unwrap_or_default(),
        state: row.state.map(|state| state.to_string()).unwrap_or_default(),
        created: row.created.and_then(seconds),
        size_rw_bytes: row.size_rw.map_or(measured.then_some(0), bytes),
        labels: row.labels.into_iter().flatten().collect(),
        mounts: row.mounts.into_iter().flatten().map(mount).collect(),
        networks: networks
            .into_iter()
            // A container that never ran has no id there.
            .map(|(name, network)| network.network_id.filter(|id| !id.is_empty()).unwrap_or(name))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Container, container};

    const ROW: &str = r#"{"Id":"c1","Names":["/other/alias","/app"],"Image":"app","ImageID":"sha256:1","Created":1795477318,
        "Labels":{},"State":"exited","Mounts":[{"Type":"bind","Source":"/x","Destination":"/x"},
        {"Type":"volume","Name":"data","Source":"","Destination":"/data","Driver":"local"}],
        "NetworkSettings":{"Networks":{"app_default":{"NetworkID":"n1"},"late":{"NetworkID":""}}}}"#;

    fn read(measured: bool) -> Container {
        container(serde_json::from_str(ROW).unwrap(), measured)
    }

    #[test]
    fn only_the_question_tells_an_empty_container_from_an_unmeasured_one() {
        assert_eq!(read(true).size_rw_bytes, Some(0));
        assert_eq!(read(false).size_rw_bytes, None);
    }

    #[test]
    fn what_it_uses_is_found() {
        let container = read(true);
        assert_eq!(container.name, "app");
        assert_eq!(container.mounts[1].volume.as_deref(), Some("data"));
        assert_eq!(container.mounts[0].volume, None);
        assert_eq!(container.networks, ["n1", "late"]);
        assert!(!container.is_running());
    }
}
