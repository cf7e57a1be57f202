//! Where archives and their manifest are kept: a folder, or a repository of a registry.

mod folder;
mod registry;

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use super::index::{self, Index};
use super::manifest::{IndexFile, Manifest, ManifestError, SavedMount, StoredFile};
use crate::files::partial::PartialFile;
use crate::registry::RegistryError;
use crate::registry::logins::CredentialStore;
use folder::Folder;
use registry::Remote;

/// What names a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder.
    Folder(PathBuf),
    /// A tag of a repository.
    Registry {
        /// The reference.
        reference: String,
        /// Whether its certificate may be anything, or missing.
        is_insecure: bool,
    },
}

/// Why a place cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// A file of it.
    #[error("failed to {what} {path}")]
    File {
        /// What was done to it.
        what: &'static str,
        /// Its path.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// What is said of the mounts.
    #[error("failed to read {at}")]
    Manifest {
        /// Where it is.
        at: String,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// The repository.
    #[error("failed to {what} {name}")]
    Registry {
        /// What was done to it.
        what: &'static str,
        /// The reference.
        name: String,
        /// What the registry said.
        source: RegistryError,
    },
    /// The run is over.
    #[error("interrupted")]
    Interrupted,
    /// The same, while it waited.
    #[error("interrupted: another run is saving to {0}")]
    Busy(String),
}

/// Why a file cannot be had.
pub(super) enum OpenError {
    File(io::Error),
    Digest,
}

/// A place that is in use.
pub enum Storage {
    /// A folder, which nobody else writes to meanwhile.
    Folder(Folder),
    /// A repository.
    Registry(Box<Remote>),
}

impl Storage {
    /// A place to restore from.
    ///
    /// # Errors
    /// The registry cannot be asked.
    pub async fn for_reading(
        place: &Place,
        logins: &CredentialStore,
        cancel: &CancellationToken,
    ) -> Result<Self, StorageError> {
        Ok(match place {
            Place::Folder(path) => Self::Folder(Folder::for_reading(path)),
            Place::Registry { reference, is_insecure } => Self::Registry(Box::new(
                Remote::open(reference, *is_insecure, logins, cancel, "read").await?,
            )),
        })
    }

    /// A place to save to. A folder is made where it is missing, and another run that writes to it is waited for.
    ///
    /// # Errors
    /// The folder or the registry cannot be used.
    pub async fn for_writing(
        place: &Place,
        logins: &CredentialStore,
        cancel: &CancellationToken,
    ) -> Result<Self, StorageError> {
        Ok(match place {
            Place::Folder(path) => Self::Folder(Folder::for_writing(path, cancel).await?),
            Place::Registry { reference, is_insecure } => {
                let remote =
                    Remote::open(reference, *is_insecure, logins, cancel, "write to").await?;
                Self::Registry(Box::new(remote.writable()?))
            }
        })
    }

    /// How it is called.
    pub fn name(&self) -> String {
        match self {
            Self::Folder(folder) => folder.path().display().to_string(),
            Self::Registry(remote) => remote.name(),
        }
    }

    /// What is said of the mounts there; `None` where nothing is.
    ///
    /// # Errors
    /// It cannot be read, or is not of this program.
    pub async fn manifest(&self) -> Result<Option<Manifest>, StorageError> {
        match self {
            Self::Folder(folder) => folder.manifest(),
            Self::Registry(remote) => remote.manifest().await,
        }
    }

    /// Replaces the manifest, as far as the mounts called `own` go: another run may have saved others meanwhile.
    ///
    /// # Errors
    /// It cannot be written.
    pub async fn keep(
        &self,
        manifest: &Manifest,
        own: &BTreeSet<String>,
    ) -> Result<(), StorageError> {
        match self {
            Self::Folder(folder) => folder.keep(manifest),
            Self::Registry(remote) => remote.keep(manifest, own).await,
        }
    }

    /// Where archives are written before they are complete.
    pub(super) fn folder(&self) -> &Path {
        match self {
            Self::Folder(folder) => folder.path(),
            Self::Registry(remote) => remote.folder(),
        }
    }

    /// Whether all that is kept of a mount is there.
    pub(super) fn has(&self, saved: &SavedMount) -> io::Result<bool> {
        for stored in saved.stored() {
            let is_there = match self {
                Self::Folder(folder) => folder.has(stored),
                Self::Registry(remote) => remote.has(stored)?,
            };
            if !is_there {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes a file that is complete.
    pub(super) fn put(&self, file: PartialFile, stored: StoredFile<'_>) -> io::Result<()> {
        match self {
            Self::Folder(folder) => folder.put(file, stored),
            Self::Registry(remote) => remote.put(file, stored),
        }
    }

    /// Reads a file. Where its digest is not known before, the end of what is read is an error unless it is right.
    pub(super) fn open(&self, stored: StoredFile<'_>) -> Result<Box<dyn Read + Send>, OpenError> {
        match self {
            Self::Folder(folder) => folder.open(stored),
            Self::Registry(remote) => remote.open_blob(stored).map_err(OpenError::File),
        }
    }

    /// The same, from a copy here where the file is elsewhere: what is read beside another one waits for it, which not every
    /// server allows.
    pub(super) fn open_copy(
        &self,
        stored: StoredFile<'_>,
    ) -> Result<Box<dyn Read + Send>, OpenError> {
        match self {
            Self::Folder(folder) => folder.open(stored),
            Self::Registry(remote) => remote.open_copy(stored).map_err(OpenError::File),
        }
    }

    /// What tells which entries a mount has; `None` where it is damaged or there is none.
    pub(super) fn index(&self, saved: &SavedMount) -> io::Result<Option<Index>> {
        let stored = saved.index.as_ref().map(IndexFile::stored);
        let Some(stored) = stored.filter(|it| it.bytes <= index::LIMIT) else { return Ok(None) };
        let from = match self.open(stored) {
            Ok(from) => from,
            Err(OpenError::Digest) => return Ok(None),
            Err(OpenError::File(error)) => return Err(error),
        };
        let mut bytes = Vec::new();
        from.take(stored.bytes + 1).read_to_end(&mut bytes)?;
        Ok(Index::read(&bytes))
    }
}
