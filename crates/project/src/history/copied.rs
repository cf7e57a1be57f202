//! What a COPY covered, made small enough to be kept, and how two of them differ.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::history::record::digest_text;
use crate::history::{CopiedFile, CopiedFiles, Entry};

/// Files kept of one instruction, some 40 KiB at most; of more those that were written last.
const LISTED: usize = 256;
/// Go's `FileMode` bit of a directory.
const DIRECTORY: u32 = 1 << 31;

/// An entry that an instruction covers, as it was sent to the engine. The order is the one in which
/// entries are kept: by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CopyEntry {
    /// Modification time, nanoseconds since the epoch.
    pub mtime: i64,
    /// Path from the top of the directory.
    pub path: Vec<u8>,
    /// Go's `FileMode`.
    pub mode: u32,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of the content where it is known.
    pub digest: Option<[u8; 32]>,
}

/// Takes covered entries in the order in which they were sent.
#[derive(Debug, Default)]
pub struct Collector {
    hash: Sha256,
    folders: Sha256,
    message: Vec<u8>,
    count: u64,
    bytes: u64,
    /// The files written last, the oldest of them on top.
    newest: BinaryHeap<Reverse<CopyEntry>>,
}

impl Collector {
    /// One more.
    pub fn add(&mut self, entry: CopyEntry) {
        let directory = entry.mode & DIRECTORY != 0;
        // The time of a directory changes with files in it that are not covered.
        let mtime = if directory { 0 } else { entry.mtime };
        self.message.clear();
        self.message.extend_from_slice(&entry.path);
        self.message.push(0);
        self.message.extend_from_slice(&entry.mode.to_le_bytes());
        self.message.extend_from_slice(&entry.size.to_le_bytes());
        self.message.extend_from_slice(&mtime.to_le_bytes());
        self.hash.update(&self.message);
        if directory {
            // Engines take no notice of other permissions (fsutil's `DiskWriter`).
            self.folders.update(&entry.path);
            self.folders.update([0]);
            return;
        }
        self.count += 1;
        self.bytes += entry.size;
        if self.newest.len() < LISTED {
            self.newest.push(Reverse(entry));
        } else if let Some(mut oldest) = self.newest.peek_mut()
            && oldest.0 < entry
        {
            oldest.0 = entry;
        }
    }

    /// What is kept.
    pub fn finish(self) -> CopiedFiles {
        let mut entries: Vec<CopiedFile> = self
            .newest
            .into_iter()
            .map(|Reverse(entry)| CopiedFile {
                path: String::from_utf8_lossy(&entry.path).into_owned(),
                mode: entry.mode,
                size: entry.size,
                modified: Timestamp::from_nanosecond(entry.mtime.into()).unwrap_or_default(),
                digest: entry.digest.map(|digest| digest_text(&digest)),
            })
            .collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        let digest = digest_text(&self.hash.finalize());
        let folders = Some(digest_text(&self.folders.finalize()));
        CopiedFiles { count: self.count, bytes: self.bytes, digest, folders, entries }
    }
}

/// Files in which two coverages of one instruction differ, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Differences {
    /// In both, with another size, mode or content. Where a content is not known, another time
    /// counts: it may be the same file, touched.
    pub changed: Vec<String>,
    /// Only in the later one.
    pub new: Vec<String>,
    /// Only in the earlier one.
    pub removed: Vec<String>,
    /// Directories came or went: they are not listed.
    #[serde(skip)]
    pub folders: bool,
}

impl Differences {
    /// Between `a` and the later `b`. Where not all files are listed, those that are tell what was
    /// written since; whether a file that is listed once was new or changed is then not known,
    /// and it counts as changed.
    pub fn between(a: &CopiedFiles, b: &CopiedFiles) -> Self {
        let mut found = Self::default();
        if a.digest == b.digest {
            return found;
        }
        let by_path = |files: &'_ CopiedFiles| -> BTreeMap<String, CopiedFile> {
            files.entries.iter().map(|file| (file.path.clone(), file.clone())).collect()
        };
        let (old, new) = (by_path(a), by_path(b));
        for (path, file) in &new {
            match old.get(path) {
                Some(before) if same(before, file) => {}
                Some(_) => found.changed.push(path.clone()),
                None if a.is_complete() => found.new.push(path.clone()),
                // Older than what is listed of the earlier build: it may have been there.
                None if a.reaches(file.modified) => found.changed.push(path.clone()),
                None => {}
            }
        }
        let gone = old.iter().filter(|(path, _)| !new.contains_key(*path));
        let gone = gone.filter(|(_, file)| b.is_complete() || b.reaches(file.modified));
        found.removed.extend(gone.map(|(path, _)| path.clone()));
        found.folders = a.folders.as_ref().zip(b.folders.as_ref()).is_some_and(|(a, b)| a != b);
        found
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        let has_files = [&self.changed, &self.new, &self.removed].iter().any(|it| !it.is_empty());
        !has_files && !self.folders
    }
}

fn same(a: &CopiedFile, b: &CopiedFile) -> bool {
    let content = match (&a.digest, &b.digest) {
        (Some(a), Some(b)) => a == b,
        _ => a.modified == b.modified,
    };
    content && a.size == b.size && a.mode == b.mode
}

impl CopiedFiles {
    /// Whether every file is listed.
    pub fn is_complete(&self) -> bool {
        self.entries.len() as u64 == self.count
    }

    /// Whether a file written at that time would be listed.
    fn reaches(&self, modified: Timestamp) -> bool {
        self.entries.iter().map(|file| file.modified).min().is_some_and(|oldest| oldest < modified)
    }
}

/// Path, size and time of a file: where they are the same, it is the same file.
type Mark = (String, u64, Timestamp);

/// Fills in digests of files that a build did not send from builds that did.
pub fn recall(entry: &mut Entry, others: &[Entry]) {
    fill(entry, &digests(others));
}

/// The same for each of several builds, from all of them.
pub fn recall_all(builds: &mut [&mut Entry]) {
    let known: HashMap<Mark, String> =
        builds.iter().flat_map(|build| digests(std::slice::from_ref(*build))).collect();
    builds.iter_mut().for_each(|build| fill(build, &known));
}

fn digests(builds: &[Entry]) -> HashMap<Mark, String> {
    let files = builds.iter().flat_map(files);
    let known = files.filter_map(|file| Some((mark(file), file.digest.clone()?)));
    known.collect()
}

fn mark(file: &CopiedFile) -> Mark {
    (file.path.clone(), file.size, file.modified)
}

fn fill(entry: &mut Entry, known: &HashMap<Mark, String>) {
    let steps = entry.targets.iter_mut().flat_map(|target| &mut target.steps);
    for file in steps.filter_map(|step| step.files.as_mut()).flat_map(|it| &mut it.entries) {
        if file.digest.is_none() {
            file.digest = known.get(&mark(file)).cloned();
        }
    }
}

fn files(entry: &Entry) -> impl Iterator<Item = &CopiedFile> {
    let steps = entry.targets.iter().flat_map(|target| &target.steps);
    steps.filter_map(|step| step.files.as_ref()).flat_map(|files| &files.entries)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::history::testing::{build, step};
    use crate::history::{Outcome, StepResult};

    fn file(path: &str, mtime: i64, size: u64, content: Option<u8>) -> CopyEntry {
        let digest = content.map(|byte| [byte; 32]);
        CopyEntry { mtime, path: path.into(), mode: 0o644, size, digest }
    }

    fn collect(files: impl IntoIterator<Item = CopyEntry>) -> CopiedFiles {
        let mut collector = Collector::default();
        for file in files {
            collector.add(file);
        }
        collector.finish()
    }

    fn differences(a: &CopiedFiles, b: &CopiedFiles) -> [Vec<String>; 3] {
        let it = Differences::between(a, b);
        [it.changed, it.new, it.removed]
    }

    #[test]
    fn files_are_counted_and_listed_by_path() {
        let dir = CopyEntry { mode: DIRECTORY | 0o755, ..file("api", 7, 0, None) };
        let all = [dir.clone(), file("api/b", 2, 10, None), file("api/a", 1, 5, Some(1))];
        let files = collect(all.clone());
        assert_eq!((files.count, files.bytes, files.is_complete()), (2, 15, true));
        let paths: Vec<&str> = files.entries.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["api/a", "api/b"]);
        assert_eq!(files.entries[0].digest.as_deref().map(str::len), Some("sha256:".len() + 64));
        // The time of a directory does not count, its mode does.
        let [_, b, a] = all;
        let touched = CopyEntry { mtime: 9, ..dir.clone() };
        assert_eq!(collect([touched, b.clone(), a.clone()]).digest, files.digest);
        let closed = CopyEntry { mode: DIRECTORY | 0o700, ..dir.clone() };
        let closed = collect([closed, b.clone(), a.clone()]);
        assert_ne!(closed.digest, files.digest);
        assert!(Differences::between(&closed, &files).is_empty());
        let more = CopyEntry { path: "api/more".into(), ..dir.clone() };
        let folders = Differences { folders: true, ..Differences::default() };
        assert_eq!(Differences::between(&collect([dir, more, b, a]), &files), folders);
    }

    #[test]
    fn differences_are_told_by_content_where_it_is_known() {
        let a = collect([
            file("gone", 1, 1, None),
            file("grown", 1, 1, None),
            file("kept", 1, 1, None),
            file("rewritten", 1, 1, Some(1)),
            file("touched", 1, 1, Some(1)),
            file("touched-or-not", 1, 1, None),
        ]);
        let b = collect([
            file("grown", 1, 2, None),
            file("kept", 1, 1, None),
            file("new", 2, 1, None),
            file("rewritten", 2, 1, Some(2)),
            file("touched", 2, 1, Some(1)),
            file("touched-or-not", 2, 1, Some(1)),
        ]);
        let expected = [vec!["grown", "rewritten", "touched-or-not"], vec!["new"], vec!["gone"]];
        assert_eq!(differences(&a, &b), expected);
        assert!(Differences::between(&b, &b).is_empty());
    }

    #[test]
    fn of_many_files_those_written_last_are_listed() {
        let many = |edited: Option<usize>| {
            collect((0..1000).map(|number| {
                let time = if edited == Some(number) { 5000 } else { 1000 + number as i64 };
                file(&format!("f{number:04}"), time, 1, None)
            }))
        };
        let before = many(None);
        assert_eq!(
            (before.count, before.entries.len(), before.is_complete()),
            (1000, LISTED, false)
        );
        assert_eq!(before.entries[0].path, format!("f{:04}", 1000 - LISTED));
        // One that was listed, one that was not.
        for number in [999, 3] {
            let path = format!("f{number:04}");
            assert_eq!(differences(&before, &many(Some(number))), [vec![path], vec![], vec![]]);
        }
        assert!(Differences::between(&before, &many(None)).is_empty());
    }

    #[test]
    fn what_another_build_sent_tells_the_content() {
        let with = |files: CopiedFiles| {
            let mut copy = step("[2/2] COPY a b", StepResult::Cached, 0.0);
            copy.files = Some(files);
            build(1, Outcome::Succeeded, vec![copy])
        };
        let sent = with(collect([file("a", 1, 1, Some(7)), file("b", 1, 1, Some(8))]));
        let mut cached = with(collect([file("a", 1, 1, None), file("b", 2, 1, None)]));
        recall(&mut cached, std::slice::from_ref(&sent));
        let digests: Vec<_> = files(&cached).map(|file| file.digest.clone()).collect();
        assert_eq!(digests, [files(&sent).next().unwrap().digest.clone(), None]);
    }

    proptest::proptest! {
        #[test]
        fn nothing_differs_from_itself_and_all_lists_are_bounded(times in proptest::collection::vec(0_i64..50, 0..600)) {
            let files = collect(times.iter().enumerate().map(|(n, time)| file(&format!("{n}"), *time, 1, None)));
            proptest::prop_assert!(files.entries.len() <= LISTED);
            proptest::prop_assert_eq!(files.count, times.len() as u64);
            proptest::prop_assert!(Differences::between(&files, &files).is_empty());
        }
    }
}
