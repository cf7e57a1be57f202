//! Content: blobs of directories on this machine, for caches of `type=local`, `oci-layout://` contexts
//! and image layouts that exporters write unpacked.
//!
//! The protocol is containerd's `containerd.services.content.v1`; a header says which of the session's
//! stores a call is for (BuildKit `session/content`). A store is a directory with the blobs of an OCI
//! image layout. Only declared directories are served, only blobs, under digests that are such, and
//! only those declared for it are written to. What the directory's index says is not known here.

mod digest;
pub(in crate::buildkit) mod messages;
mod reading;
mod service;
#[cfg(test)]
mod tests;
mod writing;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::progress::TransferProgress;

pub use self::digest::{Digest, Hasher};
pub use self::service::{ContentService, METHODS};
pub use self::writing::cannot_write;

/// A directory of blobs that a session serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// The directory; its blobs are in `blobs/` below it.
    pub path: PathBuf,
    /// What the engine may do with it.
    pub access: Access,
}

/// What the engine may do with a [`Directory`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Read blobs.
    Read,
    /// Read them, and add further ones.
    Write,
    /// The same for what is verified whenever it is used: nobody waits until the disk has it.
    Keep,
}

/// The stores of a session.
#[derive(Debug, Clone, Default)]
pub struct ContentStores {
    directories: BTreeMap<String, Directory>,
    received: Arc<TransferProgress>,
}

impl ContentStores {
    /// Serves `directory` as the store `id`. What was allowed under that id before stays allowed.
    pub fn insert(&mut self, id: &str, directory: Directory) {
        let access = self.directories.get(id).map_or(directory.access, |known| known.access);
        let access = access.max(directory.access);
        self.directories.insert(id.to_owned(), Directory { access, ..directory });
    }

    /// What the engine sends: blobs that are here do not count.
    pub fn received(&self) -> Arc<TransferProgress> {
        self.received.clone()
    }

    /// Whether there is nothing to serve.
    pub fn is_empty(&self) -> bool {
        self.directories.is_empty()
    }

    /// The service for a session.
    pub fn into_service(self) -> ContentService {
        ContentService::new(Arc::new(self.directories), self.received)
    }
}
