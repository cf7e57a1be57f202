//! What `--max-size` leaves out of a mount: parts that are good for nothing without all of their files. Pure.
//!
//! An installer that finds an unpacked package takes what is there and does not look whether that is all. So nothing is left
//! of a part that goes, its folder neither: the tool that filled the mount gets it again.

use std::collections::{BTreeMap, BTreeSet};

use crate::sight::{Entry, EntryKind};

/// Names of a path that a part has in common: `archive-v0/ID` of uv, `github.com/NAME` of Go's modules, `0/a` of ccache.
const DEPTH: usize = 2;

/// The parts of a mount, by its list.
#[derive(Default)]
pub(super) struct Parts {
    parts: Vec<Part>,
    places: BTreeMap<Vec<u8>, usize>,
    /// The part of each file, of those with several names once, in the order of the list.
    files: Vec<usize>,
}

struct Part {
    path: Vec<u8>,
    bytes: u64,
    /// When something of it was last read or changed.
    used: i64,
    /// A part that it has a file in common with, or itself.
    with: usize,
}

/// What stays.
pub(super) struct Kept {
    gone: BTreeSet<Vec<u8>>,
    /// A bit for each file of the list that stays.
    pub(super) files: Vec<u8>,
}

impl Kept {
    /// Whether an entry stays.
    pub(super) fn has(&self, path: &[u8]) -> bool {
        !self.gone.contains(part_of(path))
    }
}

impl Parts {
    /// Takes note of an entry.
    pub(super) fn add(&mut self, entry: &Entry) {
        let is_within = entry.path.split(|byte| *byte == b'/').count() >= DEPTH;
        if entry.path.is_empty() || (entry.kind == EntryKind::Folder && !is_within) {
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

    fn part(&mut self, path: &[u8]) -> usize {
        let path = part_of(path);
        if let Some(at) = self.places.get(path) {
            return *at;
        }
        let at = self.parts.len();
        self.places.insert(path.to_vec(), at);
        self.parts.push(Part { path: path.to_vec(), bytes: 0, used: i64::MIN, with: at });
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
    pub(super) fn within(&self, most: u64) -> Option<Kept> {
        let all: u64 = self.parts.iter().map(|part| part.bytes).sum();
        if all <= most {
            return None;
        }
        let mut groups: BTreeMap<usize, Group> = BTreeMap::new();
        for (at, part) in self.parts.iter().enumerate() {
            let group = groups.entry(self.first(at)).or_default();
            group.bytes += part.bytes;
            group.used = group.used.max(Some(part.used));
            group.has_more |= !is_download(&part.path);
        }
        let mut order: Vec<(&usize, &Group)> = groups.iter().collect();
        order.sort_by_key(|(at, group)| (!group.has_more, std::cmp::Reverse(group.used), **at));
        let mut sum = 0;
        let mut stays = BTreeSet::new();
        for (at, group) in order {
            if sum + group.bytes <= most {
                sum += group.bytes;
                stays.insert(*at);
            }
        }
        let is_gone = |at: usize| !stays.contains(&self.first(at));
        let gone = (0..self.parts.len()).filter(|at| is_gone(*at));
        let gone = gone.map(|at| self.parts[at].path.clone()).collect();
        let mut files = vec![0; self.files.len().div_ceil(8)];
        for (at, _) in self.files.iter().enumerate().filter(|(_, part)| !is_gone(**part)) {
            files[at / 8] |= 1 << (at % 8);
        }
        Some(Kept { gone, files })
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

fn part_of(path: &[u8]) -> &[u8] {
    let mut slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    slashes.nth(DEPTH - 1).map_or(path, |(at, _)| &path[..at])
}

/// Whether a part is what tools download, and get again: pip's answers, uv's index and packages that were built elsewhere (what
/// `uv cache prune --ci` removes), apt's packages. What was built here is in other folders of theirs.
fn is_download(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(|name| {
        let of_uv = [&b"wheels-v"[..], b"archive-v", b"simple-v", b"flat-index-v"];
        matches!(name, b"http" | b"http-v2" | b"archives")
            || of_uv.iter().any(|bucket| name.starts_with(bucket))
            || name.ends_with(b".deb")
    })
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
        let mut parts = Parts::default();
        entries.iter().for_each(|entry| parts.add(entry));
        let kept = parts.within(most)?;
        let stays = entries.iter().filter(|entry| kept.has(&entry.path));
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
            folder("mod"),
            folder("mod/a"),
            file("mod/a/one", 10, 1),
            folder("mod/a/sub"),
            file("mod/a/sub/two", 10, 9),
            folder("mod/b"),
            file("mod/b/one", 10, 5),
            entry(EntryKind::Link, "mod/b/link", 0, 0, "../a/one"),
            file("top", 5, 2),
        ];
        assert_eq!(stays(&all, 35), None);
        let (names, bits) = stays(&all, 34).unwrap();
        assert_eq!(names.last().unwrap(), "mod/b/link");
        assert_eq!(bits, [0b0111]);
        // The newest file is in `a`: all of it stays, and of `b` nothing.
        let (names, bits) = stays(&all, 25).unwrap();
        let whole = ["mod", "mod/a", "mod/a/one", "mod/a/sub", "mod/a/sub/two", "top"];
        assert_eq!(
            (names.as_slice(), bits.as_slice()),
            (&whole.map(str::to_owned)[..], &[0b1011][..])
        );
        // What does not fit gives way to what does.
        assert_eq!(stays(&all, 15).unwrap().0, ["mod", "mod/b", "mod/b/one", "mod/b/link", "top"]);
        assert_eq!(stays(&all, 0).unwrap().0, ["mod"]);
    }

    #[test]
    fn names_of_one_file_go_together() {
        let all = [
            folder("a"),
            file("a/x/f", 10, 1),
            file("b/y/f", 10, 9),
            entry(EntryKind::HardLink, "c/z/g", 10, 1, "a/x/f"),
            file("c/z/h", 10, 10),
            entry(EntryKind::HardLink, "d/l", 10, 1, "c/z/h"),
        ];
        assert_eq!(stays(&all, 20).unwrap().0, ["a", "a/x/f", "c/z/g", "c/z/h", "d/l"]);
        assert_eq!(stays(&all, 19).unwrap().0, ["a", "b/y/f"]);
    }

    #[test]
    fn downloads_go_before_what_was_built() {
        for download in [
            "archive-v0/x/f",
            "uv/wheels-v5/pypi/f",
            "http-v2/a/f",
            "pip/http/f",
            "archives/a.deb",
            "a.deb",
        ] {
            let all = [file(download, 10, 99), file("sdists-v9/pypi/x/a.whl", 10, 1)];
            assert_eq!(stays(&all, 10).unwrap().0, ["sdists-v9/pypi/x/a.whl"], "{download}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_stays_fits_and_is_whole(
            files in proptest::collection::vec(("[ab]/[cd]/[ef]", 0..50_u64, 0..9_i64), 1..20),
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
                let of_part = |other: &&Entry| part_of(&other.path) == part_of(&entry.path);
                proptest::prop_assert_eq!(is_set(at), sent.iter().any(of_part));
            }
        }
    }
}
