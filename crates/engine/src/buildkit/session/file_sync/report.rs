//! What was sent, and why a transfer failed: counted while it happens, read by anyone.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::LocalDir;
use super::sent::SentList;
use crate::build_context::seal::SealedWalk;

/// All transfers of a session, or of several that serve one context.
#[derive(Debug, Default)]
pub struct SyncReport {
    directories: Vec<LocalDir>,
    transfers: Mutex<Vec<Arc<Counters>>>,
    failures: Mutex<Vec<SyncFailure>>,
    lists: Mutex<Vec<Arc<SentList>>>,
}

/// One transfer as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The name the engine asked for.
    pub dir_name: String,
    /// Entries listed, directories included.
    pub entries: u64,
    /// Files whose content was sent.
    pub files: u64,
    /// Bytes of file content sent.
    pub file_bytes: u64,
    /// Bytes of messages sent, content and framing included.
    pub wire_bytes: u64,
    /// Whether the engine said that it has all it wants.
    pub complete: bool,
}

/// Why a transfer failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncFailure {
    /// The name the engine asked for.
    pub dir_name: String,
    /// The entry, from the top of the directory.
    pub path: Option<String>,
    /// One lowercase sentence that names the entry.
    pub reason: String,
}

impl SyncReport {
    /// A report on transfers of these directories.
    pub fn new(directories: Vec<LocalDir>) -> Self {
        Self { directories, ..Self::default() }
    }

    /// Where the directory is that the engine calls `name`.
    pub fn directory(&self, name: &str) -> Option<&Path> {
        self.directories.iter().find(|dir| dir.name == name).map(|dir| dir.path.as_path())
    }

    /// Every transfer begun so far, in order.
    pub fn transfers(&self) -> Vec<Transfer> {
        let transfers = self.transfers.lock().unwrap_or_else(PoisonError::into_inner);
        transfers.iter().map(|counters| counters.read()).collect()
    }

    /// What was listed by transfers that are complete, in order.
    pub fn lists(&self) -> Vec<Arc<SentList>> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the engine was told of all directories but those in `scratch`, as it can be found to be the same later; `None`
    /// where that is not certain of one.
    pub fn sealed(&self, scratch: Option<&Path>) -> Option<Vec<SealedWalk>> {
        let lists = self.lists();
        if lists.len() != self.transfers().len() {
            return None;
        }
        let mut sealed = Vec::new();
        for list in lists {
            let directory = self.directory(&list.dir_name)?;
            if scratch.is_none_or(|scratch| !directory.starts_with(scratch)) {
                let seal = list.seal.clone()?;
                sealed.push(SealedWalk::new(directory.to_owned(), &list.request, seal)?);
            }
        }
        Some(sealed)
    }

    /// Why transfers failed, in order; empty if none did.
    pub fn failures(&self) -> Vec<SyncFailure> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A path in one of `dir_names` that is not UTF-8, if any was listed. Newer engines refuse
    /// such names (28.5 does, 26.1 does not) without saying which it was.
    pub fn not_utf8(&self, dir_names: &[String]) -> Option<String> {
        let transfers = self.transfers.lock().unwrap_or_else(PoisonError::into_inner);
        transfers
            .iter()
            .filter(|transfer| dir_names.contains(&transfer.dir_name))
            .find_map(|transfer| transfer.not_utf8.get().cloned())
    }

    /// Bytes of messages sent by all transfers together.
    pub fn wire_bytes(&self) -> u64 {
        self.transfers().iter().map(|transfer| transfer.wire_bytes).sum()
    }

    pub(super) fn begin(&self, dir_name: &str) -> Arc<Counters> {
        let counters = Arc::new(Counters { dir_name: dir_name.to_owned(), ..Default::default() });
        let mut transfers = self.transfers.lock().unwrap_or_else(PoisonError::into_inner);
        transfers.push(counters.clone());
        counters
    }

    pub(super) fn keep(&self, list: SentList) {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(list));
    }

    pub(super) fn fail(&self, failure: SyncFailure) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
    }
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    dir_name: String,
    pub(super) entries: AtomicU64,
    pub(super) files: AtomicU64,
    pub(super) file_bytes: AtomicU64,
    pub(super) wire_bytes: AtomicU64,
    pub(super) complete: AtomicBool,
    not_utf8: OnceLock<String>,
    pub(super) digested: AtomicU64,
}

impl Counters {
    pub(super) fn note_not_utf8(&self, path: &[u8]) {
        self.not_utf8.get_or_init(|| String::from_utf8_lossy(path).into_owned());
    }

    fn read(&self) -> Transfer {
        Transfer {
            dir_name: self.dir_name.clone(),
            entries: self.entries.load(Relaxed),
            files: self.files.load(Relaxed),
            file_bytes: self.file_bytes.load(Relaxed),
            wire_bytes: self.wire_bytes.load(Relaxed),
            complete: self.complete.load(Relaxed),
        }
    }
}
