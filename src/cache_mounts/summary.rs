//! What tells whether a mount changed, without reading its files: names, kinds, owners, permissions, sizes, links, and
//! when files were changed. Not when folders were: a lock file that comes and goes changes nothing that is worth a copy.

use sha2::{Digest as _, Sha256};

use crate::sight::{Entry, EntryKind};

/// Counts and sums up entries.
#[derive(Default)]
pub struct Summary {
    hash: Sha256,
    counts: Counts,
    entries: u64,
}

/// What a mount holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files; one with several names counts once.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that all of it takes on the disk.
    pub disk_bytes: u64,
    /// When something in it was last read or changed, in seconds since 1970.
    pub last_used: Option<i64>,
    /// Devices, pipes and sockets, which are not kept.
    pub others: u64,
}

impl Summary {
    /// Adds an entry.
    pub fn add(&mut self, entry: &Entry) {
        let is_file = match (entry.kind, entry.target.is_empty()) {
            (EntryKind::Other, _) => {
                self.counts.others += 1;
                return;
            }
            (EntryKind::File | EntryKind::LeftOut, true) => true,
            _ => false,
        };
        if !entry.path.is_empty() {
            self.entries += 1;
        }
        describe(&mut self.hash, entry, is_file, entry.kind != EntryKind::Folder);
        if is_file || matches!(entry.kind, EntryKind::Folder | EntryKind::Link) {
            self.counts.disk_bytes += entry.disk_bytes;
        }
        if is_file {
            self.counts.files += 1;
            self.counts.bytes += entry.size;
            let used = entry.accessed.max(entry.modified.0);
            self.counts.last_used = self.counts.last_used.max(Some(used));
        }
    }

    /// Whether there is nothing but the mount itself.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// What was counted.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Equal for equal contents, as far as they are seen from outside.
    pub fn digest(&self) -> String {
        format!("sha256:{}", hex::encode(self.hash.clone().finalize()))
    }
}

/// What tells an entry from others, and a changed one from what it was; `None` where it is not kept. Of folders the time
/// counts here, but for the mount's own.
pub(super) fn fingerprint(entry: &Entry) -> Option<u64> {
    let is_file = match entry.kind {
        EntryKind::Other => return None,
        EntryKind::File | EntryKind::LeftOut => entry.target.is_empty(),
        _ => false,
    };
    let mut hash = Sha256::new();
    describe(&mut hash, entry, is_file, !entry.path.is_empty());
    hash.finalize().first_chunk().map(|first| u64::from_le_bytes(*first))
}

fn describe(hash: &mut Sha256, entry: &Entry, is_file: bool, is_timed: bool) {
    let kind = match entry.kind {
        EntryKind::Folder => b'd',
        EntryKind::Link => b'l',
        _ if is_file => b'f',
        _ => b'h',
    };
    hash.update([kind]);
    for number in [entry.mode, entry.uid, entry.gid] {
        hash.update(number.to_le_bytes());
    }
    if is_timed {
        hash.update(entry.modified.0.to_le_bytes());
        hash.update(entry.modified.1.to_le_bytes());
    }
    let size = if is_file { entry.size } else { 0 };
    hash.update(size.to_le_bytes());
    for text in [&entry.path, &entry.target] {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, size: u64, used: i64) -> Entry {
        Entry {
            kind: EntryKind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            modified: (used, 5),
            accessed: 0,
            size,
            disk_bytes: 4096,
            path: path.into(),
            target: Vec::new(),
        }
    }

    fn digest(entries: &[Entry]) -> String {
        let mut summary = Summary::default();
        entries.iter().for_each(|entry| summary.add(entry));
        summary.digest()
    }

    #[test]
    fn whatever_is_seen_from_outside_counts() {
        let one = file("a", 1, 7);
        let same = digest(std::slice::from_ref(&one));
        assert_eq!(digest(&[Entry { accessed: 99, disk_bytes: 1, ..one.clone() }]), same);
        for other in [
            Entry { size: 2, ..one.clone() },
            Entry { mode: 0o600, ..one.clone() },
            Entry { uid: 1, ..one.clone() },
            Entry { modified: (7, 6), ..one.clone() },
            Entry { path: "b".into(), ..one.clone() },
            Entry { kind: EntryKind::Link, target: "x".into(), ..one.clone() },
        ] {
            assert_ne!(digest(std::slice::from_ref(&other)), same, "{other:?}");
        }
        // What was left out is still what was there.
        assert_eq!(digest(&[Entry { kind: EntryKind::LeftOut, ..one.clone() }]), same);
        let folder =
            |seconds| Entry { kind: EntryKind::Folder, modified: (seconds, 0), ..file("d", 0, 0) };
        assert_eq!(digest(&[folder(1)]), digest(&[folder(2)]));
        assert_eq!(
            digest(&[one.clone(), Entry { kind: EntryKind::Other, ..file("p", 0, 1) }]),
            same
        );
    }

    #[test]
    fn files_are_counted() {
        let mut summary = Summary::default();
        for (path, size, used) in [("a", 10, 1), ("b", 20, 3), ("c", 5, 3), ("d", 7, 2)] {
            summary.add(&file(path, size, used));
        }
        assert_eq!(
            summary.counts(),
            Counts { files: 4, bytes: 42, disk_bytes: 4 * 4096, last_used: Some(3), others: 0 }
        );
    }
}
