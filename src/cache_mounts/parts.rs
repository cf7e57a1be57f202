//! What `--max-size` leaves out of a mount: parts that are good for nothing without all of their files. Pure.
//!
//! An installer that finds an unpacked package takes what is there and does not look whether that is all. So nothing is left
//! of a part that goes, its folder neither: the tool that filled the mount gets it again. Where parts begin is known of some
//! tools' stores ([`super::stores`]). Everything else in a mount is one part: an installation, a tree of sources, a database.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::stores::{self, Place};
use crate::sight::{Entry, EntryKind};

/// The parts of a mount, by its list.
pub(super) struct Parts {
    /// Where steps see the mount: it may be a folder of a store.
    target: Vec<u8>,
    parts: Vec<Part>,
    places: BTreeMap<Vec<u8>, usize>,
    /// The part of each file, of those with several names once, in the order of the list.
    files: Vec<usize>,
}

struct Part {
    bytes: u64,
    /// When something of it was last read or changed.
    used: i64,
    is_download: bool,
    /// A part that it has a file in common with, or itself.
    with: usize,
}

/// What stays.
pub(super) struct Retention {
    parts: Parts,
    stays: Vec<bool>,
    /// A bit for each file of the list that stays.
    pub(super) files: Vec<u8>,
}

impl Retention {
    /// Whether an entry stays. Folders do where something in them does.
    pub(super) fn has(&self, entry: &Entry) -> bool {
        let place = self.parts.place(&entry.path);
        let stays = |at: &usize| self.stays[*at];
        if self.parts.places.get(place.path).is_some_and(stays) {
            return true;
        }
        let from = [&entry.path[..], b"/"].concat();
        entry.kind == EntryKind::Folder
            && (entry.path.is_empty() || {
                let after = self
                    .parts
                    .places
                    .range::<[u8], _>((Bound::Included(&from[..]), Bound::Unbounded));
                after.take_while(|(path, _)| path.starts_with(&from)).any(|(_, at)| stays(at))
            })
    }

    /// Whether no file does.
    pub(super) fn is_empty(&self) -> bool {
        self.files.iter().all(|bits| *bits == 0)
    }
}

impl Parts {
    /// Those of a mount that steps see at `target`.
    pub(super) fn new(target: &str) -> Self {
        let target = target.trim_matches('/').as_bytes().to_vec();
        Self { target, parts: Vec::new(), places: BTreeMap::new(), files: Vec::new() }
    }

    /// Takes note of an entry.
    pub(super) fn add(&mut self, entry: &Entry) {
        if entry.kind == EntryKind::Folder {
            return;
        }
        let at = self.part(&entry.path);
        match entry.kind {
            EntryKind::File => {
                let part = &mut self.parts[at];
                part.bytes += entry.size;
                part.used = part.used.max(entry.accessed.max(entry.modified.0));
                self.files.push(at);
            }
            EntryKind::HardLink => {
                let first = self.part(&entry.target);
                let (one, other) = (self.first(at), self.first(first));
                self.parts[one.max(other)].with = one.min(other);
            }
            _ => {}
        }
    }

    fn place<'a>(&self, path: &'a [u8]) -> Place<'a> {
        stores::place(&self.target, path)
    }

    fn part(&mut self, path: &[u8]) -> usize {
        let place = self.place(path);
        if let Some(at) = self.places.get(place.path) {
            return *at;
        }
        let at = self.parts.len();
        let is_download = place.is_download;
        self.places.insert(place.path.to_vec(), at);
        self.parts.push(Part { bytes: 0, used: i64::MIN, is_download, with: at });
        at
    }

    /// The first of the parts that one has files in common with.
    fn first(&self, at: usize) -> usize {
        let mut at = at;
        while self.parts[at].with != at {
            at = self.parts[at].with;
        }
        at
    }

    /// What stays so that its files have no more than `most` bytes; `None` where all of it does. Downloads go first, then what was
    /// used the longest ago.
    pub(super) fn within(self, most: u64) -> Option<Retention> {
        let all: u64 = self.parts.iter().map(|part| part.bytes).sum();
        if all <= most {
            return None;
        }
        let mut groups: BTreeMap<usize, Group> = BTreeMap::new();
        for (at, part) in self.parts.iter().enumerate() {
            let group = groups.entry(self.first(at)).or_default();
            group.bytes += part.bytes;
            group.used = group.used.max(Some(part.used));
            group.has_more |= !part.is_download;
        }
        let mut order: Vec<(&usize, &Group)> = groups.iter().collect();
        order.sort_by_key(|(at, group)| (!group.has_more, std::cmp::Reverse(group.used), **at));
        let mut sum = 0;
        let mut stays = vec![false; self.parts.len()];
        for (at, group) in order {
            if sum + group.bytes <= most {
                sum += group.bytes;
                stays[*at] = true;
            }
        }
        let stays: Vec<bool> = (0..stays.len()).map(|at| stays[self.first(at)]).collect();
        let mut files = vec![0; self.files.len().div_ceil(8)];
        for (at, _) in self.files.iter().enumerate().filter(|(_, part)| stays[**part]) {
            files[at / 8] |= 1 << (at % 8);
        }
        Some(Retention { parts: self, stays, files })
    }
}

/// Parts that go or stay together.
#[derive(Default)]
struct Group {
    bytes: u64,
    used: Option<i64>,
    /// There is something in it besides downloads.
    has_more: bool,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn entry(kind: EntryKind, path: &str, size: u64, used: i64, target: &str) -> Entry {
        Entry {
            kind,
            mode: 0o644,
            uid: 0,
            gid: 0,
            modified: (0, 5),
            accessed: used,
            size,
            disk_bytes: 4096,
            path: path.into(),
            target: target.into(),
        }
    }

    /// What stays of files with their sizes and the time of their last use, and the bits for it.
    fn stays(entries: &[Entry], most: u64) -> Option<(Vec<String>, Vec<u8>)> {
        let mut parts = Parts::new("/c");
        entries.iter().for_each(|entry| parts.add(entry));
        let kept = parts.within(most)?;
        let stays = entries.iter().filter(|entry| kept.has(entry));
        let names = stays.map(|entry| String::from_utf8(entry.path.clone()).unwrap());
        Some((names.collect(), kept.files))
    }

    fn file(path: &str, size: u64, used: i64) -> Entry {
        entry(EntryKind::File, path, size, used, "")
    }

    fn folder(path: &str) -> Entry {
        entry(EntryKind::Folder, path, 0, 0, "")
    }

    #[test]
    fn nothing_is_left_of_what_goes() {
        let all = [
            folder(""),
            folder("archive-v0"),
            folder("archive-v0/a"),
            file("archive-v0/a/one", 10, 1),
            folder("archive-v0/a/sub"),
            file("archive-v0/a/sub/two", 10, 9),
            folder("archive-v0/b"),
            file("archive-v0/b/one", 10, 5),
            entry(EntryKind::Link, "archive-v0/b/link", 0, 0, "../a/one"),
            folder("archive-v0/empty"),
            file("top", 5, 2),
        ];
        assert_eq!(stays(&all, 35), None);
        // The newest file is in `a`: all of it stays, and of `b` nothing.
        let (names, bits) = stays(&all, 34).unwrap();
        let a = ["archive-v0/a", "archive-v0/a/one", "archive-v0/a/sub", "archive-v0/a/sub/two"];
        assert_eq!(names, [&["", "archive-v0"][..], &a, &["top"]].concat());
        assert_eq!(bits, [0b1011]);
        // What does not fit gives way to what does.
        let b = ["", "archive-v0", "archive-v0/b", "archive-v0/b/one", "archive-v0/b/link", "top"];
        assert_eq!(stays(&all, 15).unwrap().0, b);
        assert_eq!(stays(&all, 5).unwrap().0, ["", "archive-v0", "top"]);
        assert_eq!(stays(&all, 0).unwrap().0, [""]);
    }

    #[test]
    fn an_installation_stays_whole_or_not_at_all() {
        let all = [
            folder("node_modules"),
            file("node_modules/a/index.js", 10, 9),
            file("node_modules/b/index.js", 10, 1),
            file("archive-v0/x/f", 10, 1),
        ];
        assert_eq!(
            stays(&all, 29).unwrap().0,
            ["node_modules", "node_modules/a/index.js", "node_modules/b/index.js"]
        );
        assert_eq!(stays(&all, 19).unwrap().0, ["archive-v0/x/f"]);
        let mut parts = Parts::new("/app/node_modules");
        parts.add(&file("a/index.js", 10, 9));
        parts.add(&file("b/index.js", 10, 9));
        assert!(parts.within(19).unwrap().is_empty());
    }

    #[test]
    fn names_of_one_file_go_together() {
        let all = [
            file("archive-v0/a/f", 10, 1),
            file("archive-v0/b/f", 10, 9),
            entry(EntryKind::HardLink, "archive-v0/c/g", 10, 1, "archive-v0/a/f"),
            file("archive-v0/c/h", 10, 10),
            entry(EntryKind::HardLink, "archive-v0/d", 10, 1, "archive-v0/c/h"),
        ];
        let names = ["archive-v0/a/f", "archive-v0/c/g", "archive-v0/c/h", "archive-v0/d"];
        assert_eq!(stays(&all, 20).unwrap().0, names);
        assert_eq!(stays(&all, 19).unwrap().0, ["archive-v0/b/f"]);
    }

    #[test]
    fn downloads_go_before_what_was_built() {
        for download in ["archive-v0/x/f", "uv/wheels-v5/pypi/f", "archives/a.deb"] {
            let all = [file(download, 10, 99), file("sdists-v9/pypi/x/a.whl", 10, 1)];
            assert_eq!(stays(&all, 10).unwrap().0, ["sdists-v9/pypi/x/a.whl"], "{download}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_stays_fits_and_is_whole(
            files in proptest::collection::vec(("(archive-v0|wheels-v5|x)/[cd]/[ef]", 0..50_u64, 0..9_i64), 1..20),
            most in 0..400_u64,
        ) {
            let all: Vec<Entry> = files.iter().map(|(path, size, used)| file(path, *size, *used)).collect();
            let total: u64 = all.iter().map(|entry| entry.size).sum();
            let Some((names, bits)) = stays(&all, most) else {
                proptest::prop_assert!(total <= most);
                return Ok(());
            };
            let is_set = |at: usize| bits[at / 8] & (1 << (at % 8)) != 0;
            let sent = all.iter().enumerate().filter(|(at, _)| is_set(*at)).map(|(_, entry)| entry);
            let sent: Vec<&Entry> = sent.collect();
            proptest::prop_assert_eq!(sent.len(), names.len());
            proptest::prop_assert!(sent.iter().map(|entry| entry.size).sum::<u64>() <= most);
            for (at, entry) in all.iter().enumerate() {
                let part = |entry: &Entry| stores::place(b"c", &entry.path).path.to_vec();
                let of_part = |other: &&Entry| part(other) == part(entry);
                proptest::prop_assert_eq!(is_set(at), sent.iter().any(of_part));
            }
        }
    }
}
