//! The Engine API as far as this tool needs it: bollard behind plain types.

use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};

use super::error::failed;
use super::http::Http;
use super::{Connector, EngineError};

/// bollard wants to know how long an engine may take to begin an answer. A removal or a stop takes as long as it takes;
/// whoever does not want to wait has a time box.
const TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Credentials for one registry.
#[derive(Clone, Default)]
pub struct RegistryCredentials {
    /// User name.
    pub username: String,
    /// Password or access token.
    pub password: String,
    /// Identity token instead of a password.
    pub identity_token: String,
}

/// Id and size of an image in the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFacts {
    /// Image id, `sha256:...`.
    pub id: String,
    /// Bytes on disk, as `docker image ls` and the disk usage answer give them. On the containerd store
    /// before API 1.48 the compressed content alone.
    pub size_bytes: Option<u64>,
}

/// An image in the engine with its layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageLayers {
    /// Id and size.
    pub facts: ImageFacts,
    /// Chain ids of its layers, the lowest first.
    pub chains: Vec<String>,
}

/// The Engine API. Cheap to clone; clones share connections. It connects and agrees on an API
/// version at the first request, so that a run does not wait for what it needs only at its end.
#[derive(Clone)]
pub struct Engine {
    docker: Docker,
    http: Http,
}

impl Engine {
    /// The engine behind `connector`.
    pub fn new(connector: &Connector) -> Self {
        let http = Http::new(connector);
        let of_bollard = http.clone();
        let send = move |request: BollardRequest| {
            let http = of_bollard.clone();
            async move { Ok(http.versioned(request).await?) }
        };
        // The version is what `Http` adds.
        let docker = Docker::connect_with_custom_transport(
            send,
            Some("http://docker"),
            TIMEOUT.as_secs(),
            API_DEFAULT_VERSION,
        );
        Self { docker: docker.expect("bollard only keeps what it was given"), http }
    }

    /// bollard's client, for every request that it does without loss.
    pub(super) fn docker(&self) -> &Docker {
        &self.docker
    }

    /// Plain requests, for the others.
    pub(super) fn http(&self) -> &Http {
        &self.http
    }

    /// The engine's release, such as `28.5.2`.
    ///
    /// # Errors
    /// The request failed.
    pub async fn version(&self) -> Result<String, EngineError> {
        let operation = "ask the engine's version";
        let ping = self.http.ping().await.map_err(failed(operation))?;
        if !ping.release.is_empty() {
            return Ok(ping.release.clone());
        }
        // A proxy has taken the header away. Engines start three programs to answer this.
        let version = self.docker.version().await.map_err(failed(operation))?;
        Ok(version.version.unwrap_or_default())
    }
}

/// The registry that `reference` names: its first part where that looks like a host, else Docker Hub
/// (distribution `reference/normalize.go`).
pub fn registry_of(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "docker.io",
    }
}

#[cfg(test)]
mod tests {
    use super::registry_of;

    #[test]
    fn registries() {
        assert_eq!(registry_of("127.0.0.1:5000/a/b:c"), "127.0.0.1:5000");
        assert_eq!(registry_of("localhost/a"), "localhost");
        assert_eq!(registry_of("user/app"), "docker.io");
        assert_eq!(registry_of("app:1"), "docker.io");
    }
}
