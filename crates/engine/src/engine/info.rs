//! What the engine tells about itself.

use jiff::Timestamp;
use serde::Deserialize;

use super::error::failed;
use super::http::{Http, Ping};
use super::{Engine, EngineError};
use crate::inventory::{ApiVersion, EngineFacts, Store};

/// What `/info` says, as far as it is read: of the rest, bollard's model refuses all for one word that came after it.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct InfoRow {
    #[serde(rename = "ID")]
    id: Option<String>,
    server_version: Option<String>,
    driver: Option<String>,
    driver_status: Option<Vec<Vec<String>>>,
    #[serde(rename = "OSType")]
    os_type: Option<String>,
    architecture: Option<String>,
    docker_root_dir: Option<String>,
    name: Option<String>,
    kernel_version: Option<String>,
    operating_system: Option<String>,
    #[serde(rename = "NCPU")]
    ncpu: Option<i64>,
    mem_total: Option<i64>,
    cgroup_version: Option<String>,
    security_options: Option<Vec<String>>,
    system_time: Option<String>,
    warnings: Option<Vec<String>>,
}

/// The machine an engine runs on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// CPUs; `None` where the engine does not tell.
    pub cpus: Option<u64>,
    /// Bytes of memory.
    pub memory_bytes: Option<u64>,
    /// Its distribution, such as `Debian GNU/Linux 12 (bookworm)`.
    pub operating_system: String,
    /// Linux release.
    pub kernel: String,
    /// Whether the engine runs without the rights of root.
    pub is_rootless: bool,
    /// The time by its clock.
    pub time: Option<Timestamp>,
    /// What the engine itself warns of.
    pub warnings: Vec<String>,
}

impl Engine {
    /// The machine it runs on.
    ///
    /// # Errors
    /// The engine cannot be asked.
    pub async fn machine(&self) -> Result<Machine, EngineError> {
        let info = fetch(self.http()).await?;
        let time = info.time();
        let positive = |number: i64| u64::try_from(number).ok().filter(|number| *number > 0);
        Ok(Machine {
            cpus: info.ncpu.and_then(positive),
            memory_bytes: info.mem_total.and_then(positive),
            operating_system: info.operating_system.unwrap_or_default(),
            kernel: info.kernel_version.unwrap_or_default(),
            is_rootless: info
                .security_options
                .unwrap_or_default()
                .iter()
                .any(|option| option.split(',').any(|part| part == "name=rootless")),
            time,
            warnings: info.warnings.unwrap_or_default(),
        })
    }

    /// Asks the engine whether the registry of an image answers it. Nobody logs in: that it refuses is an answer.
    ///
    /// # Errors
    /// The registry, or the engine, cannot be reached.
    pub async fn reaches_registry_of(&self, image: &str) -> Result<(), EngineError> {
        let path = format!("/distribution/{image}/json");
        let asked = self.http().get("ask a registry", &path).await;
        match asked.map(|_: serde::de::IgnoredAny| ()) {
            Err(error) => match error.refusal() {
                Some((401 | 403 | 404, _)) => Ok(()),
                _ => Err(error),
            },
            Ok(()) => Ok(()),
        }
    }

    /// Whether images live in the containerd store, which can hold several platforms, attestations, and push from
    /// BuildKit's exporter.
    ///
    /// # Errors
    /// The engine cannot be asked.
    pub async fn has_containerd_store(&self) -> Result<bool, EngineError> {
        Ok(self.facts().await?.store == Store::Containerd)
    }

    /// What the engine tells about itself.
    ///
    /// # Errors
    /// The engine cannot be reached or answers with an error.
    pub async fn facts(&self) -> Result<EngineFacts, EngineError> {
        Ok(self.facts_and_time().await?.0)
    }

    /// The same, and the time by its clock.
    ///
    /// # Errors
    /// Those of [`Self::facts`].
    pub async fn facts_and_time(&self) -> Result<(EngineFacts, Option<Timestamp>), EngineError> {
        let info = fetch(self.http()).await?;
        let ping = self.http().ping().await.map_err(failed("ask the engine's version"))?;
        let time = info.time();
        Ok((EngineFacts::from_ping(ping).with_info(info), time))
    }
}

impl InfoRow {
    /// The time by the engine's clock.
    fn time(&self) -> Option<Timestamp> {
        self.system_time.as_ref()?.parse().ok()
    }
}

pub(super) async fn fetch(http: &Http) -> Result<InfoRow, EngineError> {
    http.get("ask the engine's settings", "/info").await
}

impl EngineFacts {
    /// What the first answer of an engine tells.
    pub(super) fn from_ping(ping: &Ping) -> Self {
        Self {
            id: String::new(),
            version: ping.release.clone(),
            api_version: ping.api_version,
            // There was no other one before (containerd's came with 24, API 1.43, as an experiment).
            store: if ping.api_version < ApiVersion::v1(42) {
                Store::GraphDriver
            } else {
                Store::Unknown
            },
            driver: String::new(),
            os: ping.os.clone(),
            architecture: String::new(),
            data_root: String::new(),
            host: String::new(),
            kernel: String::new(),
            cgroup_version: String::new(),
        }
    }

    /// The same with what `/info` adds.
    pub(super) fn with_info(self, info: InfoRow) -> Self {
        // `[["driver-type", "io.containerd.snapshotter.v1"]]` is how the CLI tells them apart too.
        let containerd = info
            .driver_status
            .iter()
            .flatten()
            .flatten()
            .any(|text| text.starts_with("io.containerd.snapshotter"));
        Self {
            id: info.id.unwrap_or_default(),
            version: info.server_version.filter(|text| !text.is_empty()).unwrap_or(self.version),
            api_version: self.api_version,
            store: if containerd { Store::Containerd } else { Store::GraphDriver },
            driver: info.driver.unwrap_or_default(),
            os: info.os_type.filter(|text| !text.is_empty()).unwrap_or(self.os),
            architecture: info.architecture.unwrap_or_default(),
            data_root: info.docker_root_dir.unwrap_or_default(),
            host: info.name.unwrap_or_default(),
            kernel: info.kernel_version.unwrap_or_default(),
            cgroup_version: info.cgroup_version.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{EngineFacts, Ping};
    use crate::inventory::{ApiVersion, Store};

    fn facts(info: &str) -> EngineFacts {
        let ping = Ping {
            api_version: ApiVersion::v1(51),
            release: "28.5.2".to_owned(),
            os: "linux".to_owned(),
        };
        EngineFacts::from_ping(&ping).with_info(serde_json::from_str(info).unwrap())
    }

    #[test]
    fn the_driver_status_tells_the_stores_apart() {
        let containerd = facts(
            r#"{"ID":"d24a","Driver":"overlayfs","DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]],"ServerVersion":"28.5.2+dfsg4"}"#,
        );
        assert_eq!(containerd.store, Store::Containerd);
        assert_eq!(containerd.version, "28.5.2+dfsg4");
        let graph = facts(
            r#"{"Driver":"overlay2","DriverStatus":[["Backing Filesystem","extfs"]],"OSType":""}"#,
        );
        assert_eq!((graph.store, graph.os.as_str()), (Store::GraphDriver, "linux"));
        assert_eq!(graph.version, "28.5.2");
    }

    #[test]
    fn a_word_of_the_future_hides_no_engine() {
        let info = r#"{"ID":"d24a","Name":"h","CgroupDriver":"none-of-these","CgroupVersion":"3","Isolation":"air","NCPU":2,
            "Swarm":{"LocalNodeState":"dreaming"},"DriverStatus":null,"Plugins":{"Volume":"all"}}"#;
        let facts = facts(info);
        assert_eq!((facts.id.as_str(), facts.host.as_str()), ("d24a", "h"));
    }
}
