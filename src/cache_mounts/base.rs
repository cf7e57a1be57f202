//! What a save can add to: an earlier one of the mount, where little is new.
//!
//! An entry is new unless the earlier save has one of the same name, kind, owner, permissions, size and time of change: the
//! rule of rsync.

use std::io;

use super::index::Index;
use super::manifest::{Lower, SavedMount};
use super::storage::Storage;
use super::summary::fingerprint;
use crate::sight::{Entry, EntryKind};

/// Archives of a mount at most: a restore opens all of them.
const MOST_ARCHIVES: usize = 8;

/// What a list of a mount tells of its entries.
#[derive(Default)]
pub(super) struct Listing {
    /// Fingerprint and data of each file, of those with several names once, in the order of the list.
    files: Vec<(u64, u64)>,
}

impl Listing {
    pub(super) fn add(&mut self, entry: &Entry) {
        if entry.kind == EntryKind::File
            && let Some(fingerprint) = fingerprint(entry)
        {
            // Of a file with holes what it has on the disk is what would be sent; some file systems do not tell at once.
            let on_disk = Some(entry.disk_bytes).filter(|bytes| *bytes > 0);
            self.files.push((fingerprint, entry.size.min(on_disk.unwrap_or(u64::MAX))));
        }
    }

    fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, bytes)| bytes).sum()
    }

    /// A bit for each file that is not in `index`, and the bytes of these.
    fn new_files(&self, index: &Index) -> (Vec<u8>, u64) {
        let mut bits = vec![0; self.files.len().div_ceil(8)];
        let mut bytes = 0;
        for (at, (fingerprint, size)) in self.files.iter().enumerate() {
            if !index.has(*fingerprint) {
                bits[at / 8] |= 1 << (at % 8);
                bytes += size;
            }
        }
        (bits, bytes)
    }
}

/// Archives that a new one adds to.
pub(super) struct Base {
    /// What they have, as far as it is still there.
    pub(super) index: Index,
    /// A bit for each file of the list that they do not have.
    pub(super) new_files: Vec<u8>,
    /// The archives, the oldest first.
    pub(super) archives: Vec<Lower>,
}

impl Base {
    /// What can be added to in `storage`; `None` where all of the mount is better written again.
    pub(super) fn find(
        known: &SavedMount,
        storage: &Storage,
        listing: &Listing,
    ) -> io::Result<Option<Self>> {
        let bytes = listing.bytes();
        if known.index.is_none()
            || known.below.len() + 2 > MOST_ARCHIVES
            || known.archives_bytes() > bytes / 2 * 3
        {
            return Ok(None);
        }
        if !storage.has(known)? {
            return Ok(None);
        }
        let Some(index) = storage.index(known)? else { return Ok(None) };
        let (new_files, new_bytes) = listing.new_files(&index);
        if new_bytes > bytes / 2 || known.archives_bytes() + new_bytes > bytes / 2 * 3 {
            return Ok(None);
        }
        let newest = Lower {
            archive: known.archive.clone(),
            archive_digest: known.archive_digest.clone(),
            archive_bytes: known.archive_bytes,
            digest: known.digest.clone(),
        };
        let archives = known.below.iter().cloned().chain([newest]).collect();
        Ok(Some(Self { index, new_files, archives }))
    }
}
