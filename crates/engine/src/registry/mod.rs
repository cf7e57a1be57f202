//! A repository of a container registry: manifests and blobs, read and written by this program itself and not by an
//! engine. `oci-client` speaks the protocol; logins are those of docker.

pub mod logins;

use std::fs::File;
use std::io;
use std::sync::Once;
use std::time::Duration;

use futures_util::{Stream, TryStreamExt as _};
use oci_client::client::{ClientConfig, ClientProtocol};
use oci_client::errors::{OciDistributionError, OciErrorCode};
use oci_client::manifest::{OciDescriptor, OciImageManifest, OciManifest};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use tokio::io::AsyncRead;
use tokio_rustls::rustls::crypto::ring;
use tokio_util::io::{ReaderStream, StreamReader};
use tokio_util::sync::CancellationToken;

use logins::{AuthError, CredentialStore};

/// How long a registry may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(15);
/// How long it may be silent.
const SILENCE: Duration = Duration::from_secs(60);
/// What it takes a second at least, in bytes: whatever is slower hangs.
const SLOWEST: u64 = 50_000;
/// Media types of what BuildKit pushes as an image.
const MANIFESTS: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];
const USER_AGENT: &str = concat!("doc2md-docker/", env!("CARGO_PKG_VERSION"));

/// Why a repository cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// What was given does not name one.
    #[error("{0:?} is not a reference of an image: {1}")]
    Reference(String, String),
    /// It is pinned, so nothing new can have this name.
    #[error("{0:?} has a digest: a tag is written")]
    Pinned(String),
    /// The login that docker has cannot be had.
    #[error(transparent)]
    Login(#[from] AuthError),
    /// It is one that is exchanged for others at the registry, which `oci-client` does not do.
    #[error("the login for {0} is an identity token, with which only engines log in")]
    IdentityToken(String),
    /// The registry wants a login, another one, or one with more rights.
    #[error("{registry} refuses access to {repository}")]
    Denied {
        /// Its host.
        registry: String,
        /// What is in it.
        repository: String,
    },
    /// It said something else, or nothing.
    #[error("{registry}: {said}")]
    Failed {
        /// Its host.
        registry: String,
        /// What it said, or the system about it.
        said: String,
    },
    /// The run is over.
    #[error("interrupted")]
    Interrupted,
    /// What is there is of another kind.
    #[error("{0} is not what was expected there: {1}")]
    Kind(String, &'static str),
}

impl RegistryError {
    /// What helps, where that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Denied { registry, .. } => {
                Some(format!("`docker login {}` stores a login", host_for_people(registry)))
            }
            Self::IdentityToken(registry) => Some(format!(
                "`docker login -u USER {registry}` with a password or an access token"
            )),
            _ => None,
        }
    }
}

fn host_for_people(registry: &str) -> &str {
    if registry == "index.docker.io" { "docker.io" } else { registry }
}

/// A name in a repository of a registry, and the way there.
#[derive(Clone)]
pub struct Repository {
    client: Client,
    reference: Reference,
    auth: RegistryAuth,
    cancel: CancellationToken,
}

impl Repository {
    /// Finds the way to `reference`. An `insecure` one is asked whatever its certificate says, or without TLS where it has none;
    /// so is one on this machine, as docker does. Nothing is waited for once `cancel` says so.
    ///
    /// # Errors
    /// The reference or the login for it cannot be used, or the registry does not answer.
    pub async fn open(
        reference: &str,
        is_insecure: bool,
        logins: &CredentialStore,
        cancel: &CancellationToken,
    ) -> Result<Self, RegistryError> {
        let parsed: Reference = reference.parse().map_err(|error: oci_client::ParseError| {
            RegistryError::Reference(reference.to_owned(), error.to_string())
        })?;
        let host = parsed.resolve_registry().to_owned();
        let login = logins.credentials(&host).await?;
        let auth = match (login.username.is_empty(), login.secret.is_empty()) {
            (true, true) => RegistryAuth::Anonymous,
            (true, false) => return Err(RegistryError::IdentityToken(host)),
            _ => RegistryAuth::Basic(login.username, login.secret),
        };
        let is_insecure = is_insecure || is_this_machine(&host);
        let client = client_with(ClientProtocol::Https, is_insecure)?;
        let found = Self { client, reference: parsed, auth, cancel: cancel.clone() };
        if is_insecure && !found.has_tls().await? {
            let client = client_with(ClientProtocol::Http, true)?;
            return Ok(Self { client, ..found });
        }
        Ok(found)
    }

    async fn has_tls(&self) -> Result<bool, RegistryError> {
        let asked = self.client.fetch_manifest_digest(&self.reference, &self.auth);
        let asked = self.timed(SILENCE, asked).await?;
        let is_broken = |error: &OciDistributionError| matches!(error, OciDistributionError::RequestError(error) if error.is_connect());
        Ok(!asked.is_err_and(|error| is_broken(&error)))
    }

    /// Whether its name is a digest, which nothing new can get.
    ///
    /// # Errors
    /// It is one.
    pub fn check_writable(&self) -> Result<(), RegistryError> {
        match self.reference.digest() {
            Some(_) => Err(RegistryError::Pinned(self.reference.to_string())),
            None => Ok(()),
        }
    }

    /// How it is called, in full.
    pub fn name(&self) -> String {
        self.reference.to_string()
    }

    /// The manifest; `None` where there is none.
    ///
    /// # Errors
    /// The registry refuses, does not answer, or has something else there.
    pub async fn manifest(&self) -> Result<Option<OciImageManifest>, RegistryError> {
        let asked = self.client.pull_manifest(&self.reference, &self.auth);
        match self.timed(SILENCE, asked).await? {
            Ok((OciManifest::Image(manifest), _)) => Ok(Some(manifest)),
            Ok((OciManifest::ImageIndex(_), _)) => {
                Err(RegistryError::Kind(self.name(), "it is an index of images"))
            }
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Gives a manifest this name. Whatever it names is there.
    ///
    /// # Errors
    /// The registry refuses, or does not answer.
    pub async fn push_manifest(&self, manifest: OciImageManifest) -> Result<(), RegistryError> {
        let manifest = OciManifest::Image(manifest);
        let pushed = self.client.push_manifest(&self.reference, &manifest);
        self.timed(SILENCE, pushed).await?.map(drop).map_err(|error| self.failed(error))
    }

    /// The bytes of the manifest or index that has `digest` in this repository.
    ///
    /// # Errors
    /// The registry refuses, does not answer, or has it not.
    pub async fn raw_manifest(&self, digest: &str) -> Result<Vec<u8>, RegistryError> {
        let reference = self.reference.clone_with_digest(digest.to_owned());
        let asked = self.client.pull_manifest_raw(&reference, &self.auth, &MANIFESTS);
        let (bytes, _) = self.timed(SILENCE, asked).await?.map_err(|error| self.failed(error))?;
        Ok(bytes.to_vec())
    }

    /// Gives an index this name. Whatever it names is there.
    ///
    /// # Errors
    /// The registry refuses, or does not answer.
    pub async fn push_index(&self, index: Vec<u8>, media_type: &str) -> Result<(), RegistryError> {
        self.client.store_auth_if_needed(self.reference.resolve_registry(), &self.auth).await;
        let kind = media_type.parse().map_err(|_| {
            RegistryError::Kind(media_type.to_owned(), "a media type is an HTTP header")
        })?;
        let pushed = self.client.push_manifest_raw(&self.reference, index, kind);
        self.timed(SILENCE, pushed).await?.map(drop).map_err(|error| self.failed(error))
    }

    /// Whether a blob is there.
    ///
    /// # Errors
    /// The registry refuses, or does not answer.
    pub async fn has(&self, digest: &str) -> Result<bool, RegistryError> {
        self.client.store_auth_if_needed(self.reference.resolve_registry(), &self.auth).await;
        let asked = self.client.blob_exists(&self.reference, digest);
        self.timed(SILENCE, asked).await?.map_err(|error| self.failed(error))
    }

    /// Reads a blob. What comes is right where its end comes without an error.
    ///
    /// # Errors
    /// The registry refuses, or does not answer.
    pub async fn blob(
        &self,
        digest: &str,
    ) -> Result<impl AsyncRead + Send + Unpin + 'static, RegistryError> {
        self.client.store_auth_if_needed(self.reference.resolve_registry(), &self.auth).await;
        let blob = OciDescriptor { digest: digest.to_owned(), ..OciDescriptor::default() };
        let asked = self.client.pull_blob_stream(&self.reference, &blob);
        let stream = self.timed(SILENCE, asked).await?.map_err(|error| self.failed(error))?.stream;
        Ok(StreamReader::new(Box::pin(attentive(stream, self.cancel.clone()))))
    }

    /// Sends a blob, unless it is there.
    ///
    /// # Errors
    /// The registry refuses, or does not answer.
    pub async fn push(&self, digest: &str, bytes: u64, from: File) -> Result<(), RegistryError> {
        if self.has(digest).await? {
            return Ok(());
        }
        let stream = ReaderStream::with_capacity(tokio::fs::File::from_std(from), 256 << 10);
        let stream = stream.map_err(OciDistributionError::from);
        let sent = self.client.push_blob_stream(&self.reference, stream, digest, Some(bytes));
        let patience = SILENCE + Duration::from_secs(bytes / SLOWEST);
        self.timed(patience, sent).await?.map(drop).map_err(|error| self.failed(error))
    }

    async fn timed<T>(
        &self,
        patience: Duration,
        asked: impl Future<Output = Result<T, OciDistributionError>>,
    ) -> Result<Result<T, OciDistributionError>, RegistryError> {
        tokio::select! {
            asked = tokio::time::timeout(patience, asked) => asked.map_err(|_| {
                self.failed_with(format!("no answer within {} s", patience.as_secs()))
            }),
            () = self.cancel.cancelled() => Err(RegistryError::Interrupted),
        }
    }

    /// What went wrong with what came from there or goes there.
    pub fn failed_with(&self, said: String) -> RegistryError {
        RegistryError::Failed { registry: self.reference.resolve_registry().to_owned(), said }
    }

    fn failed(&self, error: OciDistributionError) -> RegistryError {
        let registry = self.reference.resolve_registry().to_owned();
        let repository = self.reference.repository().to_owned();
        match &error {
            OciDistributionError::UnauthorizedError { .. }
            | OciDistributionError::AuthenticationFailure(_) => {
                RegistryError::Denied { registry, repository }
            }
            OciDistributionError::ServerError { code: 401 | 403, .. } => {
                RegistryError::Denied { registry, repository }
            }
            OciDistributionError::RegistryError { envelope, .. } => {
                let is_denial = |code: &OciErrorCode| {
                    matches!(code, OciErrorCode::Denied | OciErrorCode::Unauthorized)
                };
                if envelope.errors.iter().any(|error| is_denial(&error.code)) {
                    return RegistryError::Denied { registry, repository };
                }
                let said = envelope.errors.iter().map(|error| error.message.as_str());
                self.failed_with(said.collect::<Vec<_>>().join("; "))
            }
            _ => self.failed_with(innermost(&error)),
        }
    }
}

/// What is at the root of an error: the outer ones say that a request failed, with an address that is known.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn is_absent(error: &OciDistributionError) -> bool {
    match error {
        OciDistributionError::ImageManifestNotFoundError(_)
        | OciDistributionError::ServerError { code: 404, .. } => true,
        OciDistributionError::RegistryError { envelope, .. } => envelope.errors.iter().any(|it| {
            use OciErrorCode::{ManifestUnknown, NameUnknown, NotFound};
            matches!(it.code, ManifestUnknown | NameUnknown | NotFound)
        }),
        _ => false,
    }
}

/// The same stream, which fails where nothing comes.
fn attentive<T>(
    stream: impl Stream<Item = io::Result<T>> + Send + Unpin,
    cancel: CancellationToken,
) -> impl Stream<Item = io::Result<T>> + Send {
    futures_util::stream::try_unfold((stream, cancel), |(mut stream, cancel)| async move {
        let next = tokio::select! {
            next = tokio::time::timeout(SILENCE, stream.try_next()) => next,
            () = cancel.cancelled() => return Err(io::Error::other("interrupted")),
        };
        let next = next.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        Ok(next.map(|data| (data, (stream, cancel))))
    })
}

fn client_with(protocol: ClientProtocol, is_insecure: bool) -> Result<Client, RegistryError> {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Whoever was first has chosen the same.
        let _ = ring::default_provider().install_default();
    });
    let config = ClientConfig {
        protocol,
        accept_invalid_certificates: is_insecure,
        use_monolithic_push: true,
        connect_timeout: Some(CONNECT),
        user_agent: USER_AGENT,
        ..ClientConfig::default()
    };
    Client::try_from(config).map_err(|error| RegistryError::Failed {
        registry: "the client of registries".to_owned(),
        said: innermost(&error),
    })
}

/// Whether a registry is on this machine: docker takes any certificate there, or none.
fn is_this_machine(registry: &str) -> bool {
    let host = match registry.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => registry.split(':').next().unwrap_or(registry),
    };
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_of_this_machine_may_have_no_tls() {
        for here in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.1.2.3", "[::1]:5000"] {
            assert!(is_this_machine(here), "{here}");
        }
        for there in ["localhost.example.com", "10.0.0.1:5000", "registry:5000", "127.example.com"]
        {
            assert!(!is_this_machine(there), "{there}");
        }
    }
}
