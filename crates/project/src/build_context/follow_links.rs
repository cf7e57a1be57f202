//! Symlinks among the wanted paths: a transfer of `a/b` needs the link `a` and what it leads to.
//!
//! The engine names the sources of COPY and ADD; where they lead over symlinks, the links and
//! their targets have to be part of the transfer. A target never leaves the context: as in the
//! engine, an absolute one starts at the context, and `..` stops there.

use std::collections::{BTreeSet, HashSet};
use std::io;

use rustix::fs::Dir;

use crate::build_context::glob;
use crate::build_context::root::{Root, is_missing, split_parent};

/// How many links one wanted path may lead over; the kernel's own limit.
const MAX_HOPS: usize = 40;

/// A directory that cannot be read while resolving.
#[derive(Debug, thiserror::Error)]
#[error("cannot resolve \"{path}\"")]
pub struct FollowError {
    path: String,
    source: io::Error,
}

/// The wanted paths and all they lead over, sorted, as include patterns; `None` when the root is
/// among them, which means everything.
pub(crate) fn resolve(
    root: &Root,
    wanted: &[Vec<u8>],
) -> Result<Option<Vec<Vec<u8>>>, FollowError> {
    let mut resolver = Resolver { root, found: BTreeSet::new(), seen: HashSet::new() };
    for path in wanted {
        resolver.follow(path, 0)?;
    }
    Ok(without_covered(resolver.found.into_iter().collect()))
}

/// Where `path` leads in the end, from the top of the context. It need not exist.
///
/// # Errors
/// A directory on the way cannot be read, or the links go round.
pub fn destination(root: &Root, path: &[u8]) -> io::Result<Vec<u8>> {
    let resolver = Resolver { root, found: BTreeSet::new(), seen: HashSet::new() };
    let mut path = glob::join(b".", path);
    'hops: for _ in 0..=MAX_HOPS {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        for end in ends.chain([path.len()]).collect::<Vec<_>>() {
            if let Some(target) = resolver.target(&path[..end]).map_err(|error| error.source)? {
                let rest = path.get(end + 1..).unwrap_or_default();
                path = glob::join(b".", &glob::join(&target, rest));
                continue 'hops;
            }
        }
        return Ok(path);
    }
    Err(rustix::io::Errno::LOOP.into())
}

/// Drops what lies below the entry kept before it; `None` when the root is listed.
pub(crate) fn without_covered(paths: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    let mut kept: Vec<Vec<u8>> = Vec::with_capacity(paths.len());
    for path in paths {
        if path == b"." {
            return None;
        }
        let last = kept.last().map_or(b"".as_slice(), Vec::as_slice);
        let covered = path.strip_prefix(last).is_some_and(|rest| rest.starts_with(b"/"));
        if !covered {
            kept.push(path);
        }
    }
    Some(kept)
}

struct Resolver<'a> {
    root: &'a Root,
    found: BTreeSet<Vec<u8>>,
    /// Links followed, each with what was still to come after it.
    seen: HashSet<(Vec<u8>, Vec<u8>)>,
}

impl Resolver<'_> {
    fn follow(&mut self, path: &[u8], hops: usize) -> Result<(), FollowError> {
        let path = glob::join(b".", path);
        if path == b".." || path.starts_with(b"../") {
            // Nothing to look up outside; the name itself matches nothing.
            self.found.insert(path);
            return Ok(());
        }
        let mut end = 0;
        loop {
            end = path[end..].iter().position(|&b| b == b'/').map_or(path.len(), |at| end + at);
            let current = &path[..end];
            let rest = path.get(end + 1..).unwrap_or_default();
            let targets = self.targets(current)?;
            if !targets.is_empty() {
                self.found.insert(current.to_vec());
                if hops == MAX_HOPS || !self.seen.insert((current.to_vec(), rest.to_vec())) {
                    return Ok(());
                }
                for target in targets {
                    self.follow(&glob::join(&target, rest), hops + 1)?;
                }
                return Ok(());
            }
            if rest.is_empty() {
                self.found.insert(path);
                return Ok(());
            }
            end += 1;
        }
    }

    /// Where `path` leads, from the top of the context; empty for what is not a link. The last
    /// element may hold wildcards.
    fn targets(&self, path: &[u8]) -> Result<Vec<Vec<u8>>, FollowError> {
        let (parent, name) = split_parent(path);
        if !glob::has_wildcard(name) {
            return Ok(self.target(path)?.into_iter().collect());
        }
        let failed = |e: rustix::io::Errno| error(path, e);
        let dir = match self.root.open_dir(parent).and_then(Dir::new) {
            Ok(dir) => dir,
            Err(e) if is_missing(e) => return Ok(Vec::new()),
            Err(e) => return Err(failed(e)),
        };
        let mut names = Vec::new();
        for entry in dir {
            let entry = entry.map_err(failed)?;
            let entry = entry.file_name().to_bytes();
            if entry != b"." && entry != b".." && glob::match_name(name, entry) {
                names.push(glob::join(parent, entry));
            }
        }
        names.sort();
        let mut targets = Vec::new();
        for name in names {
            targets.extend(self.target(&name)?);
        }
        Ok(targets)
    }

    fn target(&self, path: &[u8]) -> Result<Option<Vec<u8>>, FollowError> {
        if path == b"." {
            return Ok(None);
        }
        let link = self.root.read_link(path).map_err(|e| error(path, e))?;
        Ok(link.map(|link| {
            if link.starts_with(b"/") {
                return glob::clean(&link);
            }
            let (parent, _) = split_parent(path);
            glob::clean(&[b"/", parent, b"/", link.as_slice()].concat())
        }))
    }
}

fn error(path: &[u8], e: rustix::io::Errno) -> FollowError {
    FollowError { path: String::from_utf8_lossy(path).into_owned(), source: e.into() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::symlink;

    fn resolved(root: &Root, wanted: &[&str]) -> Option<Vec<String>> {
        let wanted: Vec<_> = wanted.iter().map(|w| w.as_bytes().to_vec()).collect();
        let found = resolve(root, &wanted).unwrap()?;
        Some(found.into_iter().map(|p| String::from_utf8(p).unwrap()).collect())
    }

    #[test]
    fn links_and_their_targets_are_wanted() {
        let dir = tempfile::tempdir().unwrap();
        let at = |p: &str| dir.path().join(p);
        std::fs::create_dir_all(at("real/deep")).unwrap();
        std::fs::write(at("real/deep/f"), "").unwrap();
        std::fs::write(at("plain"), "").unwrap();
        symlink("real", at("link")).unwrap();
        symlink("/real/deep", at("abs")).unwrap();
        symlink("../../../../plain", at("real/up")).unwrap();
        symlink("loop2", at("loop1")).unwrap();
        symlink("loop1", at("loop2")).unwrap();
        symlink("self/x", at("self")).unwrap();
        symlink("/etc/passwd", at("out")).unwrap();
        let root = Root::open(dir.path()).unwrap();
        let check = |wanted: &[&str], want: &[&str]| {
            assert_eq!(resolved(&root, wanted).unwrap(), want, "{wanted:?}");
        };
        check(&["plain"], &["plain"]);
        check(&["missing/x"], &["missing/x"]);
        check(&["link/deep/f"], &["link", "real/deep/f"]);
        check(&["abs/f", "link"], &["abs", "link", "real"]);
        check(&["link/deep", "link/up"], &["link", "plain", "real/deep", "real/up"]);
        check(&["loop1"], &["loop1", "loop2"]);
        check(&["out"], &["etc/passwd", "out"]);
        check(&["/plain", "real/../plain"], &["plain"]);
        check(&["../plain"], &["../plain"]);
        check(&["l*/deep"], &["l*", "loop1", "loop2", "real/deep"]);
        check(&["real/*/f"], &["plain/f", "real/*"]);
        assert_eq!(resolved(&root, &["plain", "."]), None);
        assert_eq!(resolved(&root, &["/"]), None);
        assert!(resolved(&root, &["self"]).unwrap().contains(&"self".to_owned()));
    }
}
