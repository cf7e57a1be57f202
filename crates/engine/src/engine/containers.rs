//! Containers, as the list and the disk usage answer show them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::http::Http;
use super::values::{bytes, seconds};
use super::{Engine, EngineError};
use crate::inventory::{Container, Mount};

/// A container, as far as it is read. What is not read cannot be misread, and words stay words: bollard's model refuses a
/// whole list for a state, or the type of a port, that came after it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct ContainerRow {
    id: Option<String>,
    names: Option<Vec<String>>,
    image: Option<String>,
    #[serde(rename = "ImageID")]
    image_id: Option<String>,
    state: Option<String>,
    created: Option<i64>,
    size_rw: Option<i64>,
    labels: Option<BTreeMap<String, String>>,
    mounts: Option<Vec<MountRow>>,
    network_settings: Option<NetworksRow>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct MountRow {
    r#type: Option<String>,
    name: Option<String>,
    destination: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct NetworksRow {
    networks: Option<BTreeMap<String, Option<EndpointRow>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct EndpointRow {
    #[serde(rename = "NetworkID")]
    network_id: Option<String>,
}

/// All containers, without sizes: measuring those is what makes a disk usage answer slow.
pub(super) async fn list(http: &Http) -> Result<Vec<Container>, EngineError> {
    let rows: Vec<ContainerRow> = http.get("list containers", "/containers/json?all=true").await?;
    Ok(rows.into_iter().map(|row| container(row, false)).collect())
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

/// Reads one container. `measured`: whether the engine was asked for sizes. It leaves a size of 0 out, so only the
/// question tells that from an unknown one.
pub(super) fn container(row: ContainerRow, measured: bool) -> Container {
    // A container on links has several names; its own has one slash.
    let names = row.names.unwrap_or_default();
    let own = names.iter().find(|name| name.matches('/').count() == 1).or(names.first());
    let mount = |mount: MountRow| {
        let kind = mount.r#type.unwrap_or_default();
        Mount {
            volume: mount.name.filter(|name| kind == "volume" && !name.is_empty()),
            kind,
            destination: mount.destination.unwrap_or_default(),
        }
    };
    let networks = row.network_settings.and_then(|settings| settings.networks);
    // A container that never ran has no id there.
    let network = |(name, endpoint): (String, Option<EndpointRow>)| {
        endpoint.and_then(|it| it.network_id).filter(|id| !id.is_empty()).unwrap_or(name)
    };
    Container {
        id: row.id.unwrap_or_default(),
        name: own.map(|name| name.trim_start_matches('/').to_owned()).unwrap_or_default(),
        image_id: row.image_id.unwrap_or_default(),
        image: row.image.unwrap_or_default(),
        state: row.state.unwrap_or_default(),
        created: row.created.and_then(seconds),
        size_rw_bytes: row.size_rw.map_or(measured.then_some(0), bytes),
        labels: row.labels.unwrap_or_default(),
        mounts: row.mounts.into_iter().flatten().map(mount).collect(),
        networks: networks.into_iter().flatten().map(network).collect(),
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

    /// A list with words of an engine to come, and nothing at all of what may be missing.
    #[test]
    fn a_word_of_the_future_hides_no_container() {
        let future = r#"[{"Id":"c2","Names":["/app"],"ImageID":"sha256:1","State":"hibernating","Health":{"Status":"dreaming"},
            "HostConfig":{"NetworkMode":7},"Ports":[{"PrivatePort":443,"Type":"quic"},{"PrivatePort":"all","Type":null}],
            "Mounts":[{"Type":"wormhole","Name":"data","Propagation":9,"Destination":"/data"}],
            "NetworkSettings":{"Networks":{"n":null}}},
            {"Id":"c3","Names":null,"Labels":null,"Mounts":null,"NetworkSettings":null},{}]"#;
        let rows: Vec<super::ContainerRow> = serde_json::from_str(future).unwrap();
        let containers: Vec<Container> = rows.into_iter().map(|row| container(row, true)).collect();
        let [odd, bare, nothing] = &containers[..] else { panic!("{containers:?}") };
        assert_eq!((odd.name.as_str(), odd.state.as_str()), ("app", "hibernating"));
        assert_eq!((odd.mounts[0].kind.as_str(), &odd.mounts[0].volume), ("wormhole", &None));
        assert_eq!(odd.networks, ["n"]);
        // Who knows what it holds: it must not be taken for one that has ended.
        assert!(odd.is_running());
        assert_eq!((bare.id.as_str(), nothing.id.as_str()), ("c3", ""));
    }
}
