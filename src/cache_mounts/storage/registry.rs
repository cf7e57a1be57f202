//! A tag of a repository: each archive is a layer, and what is said of them the configuration of the image that they are.
//!
//! Layers have their names of the folder as titles, so that tools for artifacts get the same folder from it. Mounts are
//! moved by threads that may wait; what they ask of the registry runs where everything else of this program does.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Seek as _, Write as _};
use std::path::Path;

use oci_client::manifest::{OCI_IMAGE_MEDIA_TYPE, OciDescriptor, OciImageManifest};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::runtime::Handle;
use tokio_util::io::SyncIoBridge;
use tokio_util::sync::CancellationToken;

use super::super::manifest::{self, Manifest, SavedMount, StoredFile};
use super::StorageError;
use crate::files::partial::PartialFile;
use crate::registry::logins::CredentialStore;
use crate::registry::{RegistryError, Repository};

/// What tells that this is one of ours.
const CONFIG: &str = "application/vnd.doc2md-docker.cache-mounts.v1+json";
const ARTIFACT: &str = "application/vnd.doc2md-docker.cache-mounts.v1";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
const INDEX: &str = "application/vnd.doc2md-docker.cache-mounts.index.v1";
/// What an image has as its layer that has none (image-spec, "Guidance for an Empty Descriptor").
const EMPTY: (&str, &[u8]) = ("application/vnd.oci.empty.v1+json", b"{}");
const TITLE: &str = "org.opencontainers.image.title";

/// The repository, and a folder for archives on their way.
pub struct Remote {
    repository: Repository,
    scratch: TempDir,
    runtime: Handle,
}

impl Remote {
    pub(super) async fn open(
        reference: &str,
        is_insecure: bool,
        logins: &CredentialStore,
        cancel: &CancellationToken,
        what: &'static str,
    ) -> Result<Self, StorageError> {
        let failed = |source| StorageError::Registry { what, name: reference.to_owned(), source };
        let repository = Repository::open(reference, is_insecure, logins, cancel).await;
        let repository = repository.map_err(failed)?;
        let scratch = TempDir::with_prefix("doc2md-docker-").map_err(|source| {
            let path = tempfile::env::temp_dir().display().to_string();
            StorageError::File { what: "write to", path, source }
        })?;
        Ok(Self { repository, scratch, runtime: Handle::current() })
    }

    pub(super) fn writable(self) -> Result<Self, StorageError> {
        self.repository.check_writable().map_err(|source| self.failed("write to", source))?;
        Ok(self)
    }

    pub(super) fn name(&self) -> String {
        self.repository.name()
    }

    pub(super) fn folder(&self) -> &Path {
        self.scratch.path()
    }

    pub(super) async fn manifest(&self) -> Result<Option<Manifest>, StorageError> {
        let image = self.repository.manifest().await.map_err(|error| self.failed("read", error))?;
        let Some(image) = image else { return Ok(None) };
        let config = &image.config;
        if config.media_type != CONFIG {
            let what = "it holds something else than saved cache mounts";
            return Err(self.failed("read", RegistryError::Kind(self.name(), what)));
        }
        let too_long = || RegistryError::Kind(self.name(), "its configuration is too long");
        if u64::try_from(config.size).map_or(true, |size| size > manifest::LIMIT) {
            return Err(self.failed("read", too_long()));
        }
        let read = async {
            let mut text = Vec::new();
            let blob = self.repository.blob(&config.digest).await?;
            let read = blob.take(manifest::LIMIT + 1).read_to_end(&mut text).await;
            read.map_err(|error| self.repository.failed_with(error.to_string()))?;
            Ok(text)
        };
        let text = read.await.map_err(|error| self.failed("read", error))?;
        let read = Manifest::read(&text);
        read.map(Some).map_err(|source| StorageError::Manifest { at: self.name(), source })
    }

    /// Pushes the manifest. Mounts that are not among `own` stay as another run may have saved them meanwhile.
    pub(super) async fn keep(
        &self,
        manifest: &Manifest,
        own: &BTreeSet<String>,
    ) -> Result<(), StorageError> {
        let now = self.manifest().await?.unwrap_or_default();
        let manifest = combined(manifest, now, own);
        let text = manifest.text();
        let push = async {
            self.push_text(&text).await?;
            if manifest.mounts.is_empty() {
                self.push_text(EMPTY.1).await?;
            }
            self.repository.push_manifest(image(&manifest, &text)).await
        };
        push.await.map_err(|error| self.failed("write to", error))
    }

    async fn push_text(&self, text: &[u8]) -> Result<(), RegistryError> {
        let write = || {
            let mut file = tempfile::tempfile_in(self.scratch.path())?;
            file.write_all(text)?;
            file.rewind()?;
            Ok(file)
        };
        let file =
            write().map_err(|error: io::Error| self.repository.failed_with(error.to_string()))?;
        self.repository.push(&digest(text), text.len() as u64, file).await
    }

    pub(super) fn has(&self, stored: StoredFile<'_>) -> io::Result<bool> {
        self.wait(self.repository.has(stored.digest))
    }

    pub(super) fn put(&self, file: PartialFile, stored: StoredFile<'_>) -> io::Result<()> {
        let from = file.reopen()?;
        self.wait(self.repository.push(stored.digest, stored.bytes, from))
    }

    pub(super) fn open_blob(&self, stored: StoredFile<'_>) -> io::Result<Box<dyn Read + Send>> {
        let blob = self.wait(self.repository.blob(stored.digest))?;
        Ok(Box::new(SyncIoBridge::new_with_handle(blob, self.runtime.clone())))
    }

    pub(super) fn open_copy(&self, stored: StoredFile<'_>) -> io::Result<Box<dyn Read + Send>> {
        let mut file = tempfile::tempfile_in(self.scratch.path())?;
        io::copy(&mut self.open_blob(stored)?, &mut file)?;
        file.rewind()?;
        Ok(Box::new(file))
    }

    /// Waits, on a thread that may.
    fn wait<T>(&self, asked: impl Future<Output = Result<T, RegistryError>>) -> io::Result<T> {
        self.runtime.block_on(asked).map_err(io::Error::other)
    }

    fn failed(&self, what: &'static str, source: RegistryError) -> StorageError {
        match source {
            RegistryError::Interrupted => StorageError::Interrupted,
            source => StorageError::Registry { what, name: self.name(), source },
        }
    }
}

/// `manifest` for the mounts called `own`, `now` for the others.
fn combined(manifest: &Manifest, now: Manifest, own: &BTreeSet<String>) -> Manifest {
    let mut all = manifest.clone();
    let Manifest { mounts, costs, .. } = now;
    all.mounts.retain(|name, _| own.contains(name));
    all.mounts.extend(mounts.into_iter().filter(|(name, _)| !own.contains(name)));
    all.costs.retain(|name, _| own.contains(name));
    all.costs.extend(costs.into_iter().filter(|(name, _)| !own.contains(name)));
    all
}

/// The image with this configuration, whose text is `text`.
fn image(manifest: &Manifest, text: &[u8]) -> OciImageManifest {
    let layer = |stored: StoredFile<'_>| OciDescriptor {
        media_type: if manifest::is_archive(stored.name) { LAYER } else { INDEX }.to_owned(),
        digest: stored.digest.to_owned(),
        size: stored.bytes.try_into().unwrap_or(i64::MAX),
        annotations: Some(BTreeMap::from([(TITLE.to_owned(), stored.name.to_owned())])),
        ..OciDescriptor::default()
    };
    let described = |media_type: &str, text: &[u8]| OciDescriptor {
        media_type: media_type.to_owned(),
        digest: digest(text),
        size: text.len().try_into().unwrap_or(i64::MAX),
        ..OciDescriptor::default()
    };
    let mut layers: Vec<OciDescriptor> =
        manifest.mounts.values().flat_map(SavedMount::stored).map(layer).collect();
    if layers.is_empty() {
        layers.push(described(EMPTY.0, EMPTY.1));
    }
    OciImageManifest {
        media_type: Some(OCI_IMAGE_MEDIA_TYPE.to_owned()),
        artifact_type: Some(ARTIFACT.to_owned()),
        config: described(CONFIG, text),
        layers,
        ..OciImageManifest::default()
    }
}

fn digest(text: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(text)))
}
