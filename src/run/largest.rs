//! What took most of what a run sent: a forgotten model or `.git` is a line in an ignore file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::buildkit::session::file_sync::SyncReport;
use crate::transfer::SentPath;

/// How many are named.
const NAMED: usize = 3;
/// A run that sends less does not name any.
const WORTH_NAMING: u64 = 100_000_000;

/// The largest of all that a run sent from directories of this machine, the largest first. Nothing where it sent little.
pub(super) fn of_run(sent_bytes: u64, reports: &[Arc<SyncReport>]) -> Vec<SentPath> {
    if sent_bytes < WORTH_NAMING {
        return Vec::new();
    }
    let mut reports: Vec<_> = reports.iter().collect();
    reports.sort_by_key(|report| Arc::as_ptr(report));
    reports.dedup_by_key(|report| Arc::as_ptr(report));
    let mut directories: BTreeMap<PathBuf, Tree> = BTreeMap::new();
    for report in reports {
        for list in report.lists() {
            let Some(directory) = report.directory(&list.dir_name) else { continue };
            let tree = directories.entry(directory.to_owned()).or_default();
            for entry in list.entries().filter(|entry| entry.is_content_sent) {
                tree.add(&String::from_utf8_lossy(&entry.path), entry.size);
            }
        }
    }
    let named = |(directory, tree): (&PathBuf, &Tree)| -> Vec<SentPath> {
        let paths = tree.children.iter().map(|(name, child)| child.telling(name));
        paths.map(|(path, bytes)| SentPath { path: directory.join(path), bytes }).collect()
    };
    let mut paths: Vec<SentPath> = directories.iter().flat_map(named).collect();
    paths.sort_by(|a, b| (b.bytes, &a.path).cmp(&(a.bytes, &b.path)));
    // Less than a hundredth is not what took the time.
    paths.retain(|path| path.bytes >= sent_bytes / 100);
    paths.truncate(NAMED);
    paths
}

/// Files and directories with the bytes in them.
#[derive(Default)]
struct Tree {
    bytes: u64,
    children: BTreeMap<String, Tree>,
}

impl Tree {
    fn add(&mut self, path: &str, bytes: u64) {
        self.bytes += bytes;
        if path.is_empty() {
            return;
        }
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        self.children.entry(first.to_owned()).or_default().add(rest, bytes);
    }

    /// The path that says most: down to where no single child has nearly all of the bytes.
    fn telling(&self, name: &str) -> (String, u64) {
        let nearly_all = self.children.iter().find(|(_, child)| child.bytes >= self.bytes / 10 * 9);
        match nearly_all {
            Some((child, tree)) => {
                let (path, bytes) = tree.telling(child);
                (format!("{name}/{path}"), bytes)
            }
            None if self.children.is_empty() => (name.to_owned(), self.bytes),
            None => (format!("{name}/"), self.bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn telling(files: &[(&str, u64)]) -> Vec<(String, u64)> {
        let mut tree = Tree::default();
        files.iter().for_each(|(path, bytes)| tree.add(path, *bytes));
        tree.children.iter().map(|(name, child)| child.telling(name)).collect()
    }

    fn named(path: &str, bytes: u64) -> (String, u64) {
        (path.to_owned(), bytes)
    }

    #[test]
    fn a_path_is_as_long_as_it_tells_something() {
        assert_eq!(telling(&[]), []);
        assert_eq!(telling(&[("a", 3)]), [named("a", 3)]);
        // One file has nearly all.
        let files = [("m/bert/weights.bin", 95), ("m/bert/config.json", 3), ("m/readme", 2)];
        assert_eq!(telling(&files), [named("m/bert/weights.bin", 95)]);
        // None has.
        let files = [(".git/objects/ab/1", 40), (".git/objects/cd/2", 40), (".git/HEAD", 1)];
        assert_eq!(telling(&files), [named(".git/objects/", 80)]);
        // Nothing in it: an empty file has no directory below it.
        assert_eq!(
            telling(&[("empty", 0), ("d/empty", 0)]),
            [named("d/empty", 0), named("empty", 0)]
        );
    }
}
