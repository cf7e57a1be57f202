//! The Engine API as far as this tool needs it: bollard behind plain types.

use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error as ApiError;
use tokio::sync::OnceCell;

use super::http::Http;
use super::{Connector, EngineError};

/// How long the engine may take to answer a request.
const TIMEOUT: Duration = Duration::from_secs(120);

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

/// The Engine API. Cheap to clone; clones share one client. It connects and agrees on an API
/// version at the first request, so that a run does not wait for what it needs only at its end.
#[derive(Clone)]
pub struct Engine {
    connector: Connector,
    client: Arc<OnceCell<Docker>>,
    http: Http,
}

impl Engine {
    /// The engine behind `connector`.
    pub fn new(connector: &Connector) -> Self {
        let http = Http::new(connector);
        Self { connector: connector.clone(), client: Arc::default(), http }
    }

    /// Plain requests, for what bollard has no model for.
    pub(super) fn http(&self) -> &Http {
        &self.http
    }

    async fn docker(&self) -> Result<&Docker, EngineError> {
        let connect = || async { self.connector.bollard(TIMEOUT)?.negotiate_version().await };
        self.client.get_or_try_init(connect).await.map_err(request("ask the engine's version"))
    }

    /// The engine's release, such as `28.5.2`.
    ///
    /// # Errors
    /// The request failed.
    pub async fn version(&self) -> Result<String, EngineError> {
        let docker = self.docker().await?;
        let version = docker.version().await.map_err(request("ask the engine's version"))?;
        Ok(version.version.unwrap_or_default())
    }

    /// Whether images live in the containerd store, which can hold several platforms,
    /// attestations, and push from BuildKit's exporter. From the storage driver that `docker info`
    /// shows as `io.containerd.snapshotter.v1`.
    ///
    /// # Errors
    /// The request failed.
    pub async fn has_containerd_store(&self) -> Result<bool, EngineError> {
        let info =
            self.docker().await?.info().await.map_err(request("ask the engine's settings"))?;
        Ok(info
            .driver_status
            .into_iter()
            .flatten()
            .any(|pair| pair.iter().any(|text| text.starts_with("io.containerd.snapshotter"))))
    }
}

fn request(operation: impl Into<String>) -> impl FnOnce(ApiError) -> EngineError {
    let operation = operation.into();
    move |source| EngineError::Request { operation, source }
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
