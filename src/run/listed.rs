//! What a build would send of its directories: the same walk with the same filter, and the contents that the history can be
//! held against.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::copied::{Listing, Origin};
use crate::build_context::filter::Filter;
use crate::build_context::root::Root;
use crate::build_context::stat::go_mode;
use crate::build_context::walk::walk;
use crate::buildkit::LocalSource;
use crate::history::copied::{self, CopyEntry};
use crate::history::{CopiedFile, Entry};

/// Larger files are not read: nor does a build keep their digests.
const LARGEST: u64 = 1 << 20;
/// Bytes that are read of all files together.
const MOST: u64 = 64 << 20;

/// The entries of a directory that a build would read.
pub(super) struct DirectoryEntries {
    directory: String,
    wanted: Vec<Vec<u8>>,
    ignored: Vec<Vec<u8>>,
    entries: Vec<CopyEntry>,
}

impl Listing for DirectoryEntries {
    fn directory(&self) -> &str {
        &self.directory
    }

    fn wanted(&self) -> &[Vec<u8>] {
        &self.wanted
    }

    fn ignored(&self) -> &[Vec<u8>] {
        &self.ignored
    }

    fn entries(&self) -> Box<dyn Iterator<Item = CopyEntry> + '_> {
        Box::new(self.entries.iter().cloned())
    }
}

/// The directories of each target, each read once. What cannot be read is left out: a build would say why.
pub(super) fn all(
    origins: &BTreeMap<String, Origin>,
    sources: &BTreeMap<String, Vec<LocalSource>>,
) -> BTreeMap<String, Vec<Arc<DirectoryEntries>>> {
    let mut known: Vec<(PathBuf, &LocalSource, Arc<DirectoryEntries>)> = Vec::new();
    let mut all = BTreeMap::new();
    for (target, sources) in sources {
        let Some(origin) = origins.get(target) else { continue };
        let mut listings = Vec::new();
        for source in sources {
            let Some(path) = origin.directory(&source.name) else { continue };
            let same = known.iter().find(|(directory, other, _)| {
                directory == path
                    && (&other.name, &other.request) == (&source.name, &source.request)
            });
            let walked = match same {
                Some((_, _, walked)) => walked.clone(),
                None => {
                    let Some(walked) = walked(path, source) else { continue };
                    let walked = Arc::new(walked);
                    known.push((path.to_owned(), source, walked.clone()));
                    walked
                }
            };
            listings.push(walked);
        }
        all.insert(target.clone(), listings);
    }
    all
}

fn walked(path: &Path, source: &LocalSource) -> Option<DirectoryEntries> {
    let root = Root::open(path).ok()?;
    let filter = Filter::new(&root, &source.request).ok()?;
    let mut entries = Vec::new();
    walk(&root, &filter, &mut |entry| {
        entries.push(CopyEntry {
            mtime: entry.stat.mtime,
            path: entry.path.to_vec(),
            mode: entry.stat.mode,
            size: entry.stat.size,
            digest: None,
        });
        Ok(())
    })
    .ok()?;
    let wanted = source.request.wanted().to_vec();
    let ignored = source.request.exclude.clone();
    Some(DirectoryEntries { directory: source.name.clone(), wanted, ignored, entries })
}

/// Reads those files whose content neither a remembered build knows nor their time tells.
pub(super) fn read_contents(
    entry: &mut Entry,
    others: &[Entry],
    origins: &BTreeMap<String, Origin>,
) {
    copied::recall(entry, others);
    let mut left = MOST;
    for target in &mut entry.targets {
        let Some(origin) = origins.get(&target.name) else { continue };
        let steps = target.steps.iter_mut().filter_map(|step| step.files.as_mut());
        for file in steps.flat_map(|files| &mut files.entries) {
            let is_small = file.size <= LARGEST.min(left) && file.mode & go_mode::TYPE == 0;
            if file.digest.is_none() && is_small {
                left -= file.size;
                let mut digests = origin.roots().filter_map(|root| digest(&root, file));
                // Of two directories that have it nobody knows which one is meant.
                file.digest = digests.next().filter(|_| digests.next().is_none());
            }
        }
    }
}

/// The digest of `file` below `root`, where it is that one.
fn digest(root: &Root, file: &CopiedFile) -> Option<String> {
    let mut content = Vec::new();
    let opened = root.open_file(file.path.as_bytes()).ok()?;
    opened.take(LARGEST + 1).read_to_end(&mut content).ok()?;
    (content.len() as u64 == file.size)
        .then(|| format!("sha256:{}", hex::encode(Sha256::digest(&content))))
}
