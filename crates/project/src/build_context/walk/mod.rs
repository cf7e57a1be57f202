//! The entries of a transfer in the order the engine expects: depth first, a directory before
//! what is in it, names of one directory sorted bytewise.
//!
//! Memory is bounded by the names of the directories on the way down. Directories are opened
//! without following links, so a directory that turns into a symlink meanwhile leads nowhere.

use std::collections::HashMap;
use std::io;
use std::os::unix::ffi::OsStrExt;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Dir, FileType, OFlags};
use rustix::io::Errno;

use crate::build_context::filter::{Decision, Filter, ParentMatch};
use crate::build_context::root::{Root, is_missing, open_child, stat_child};
use crate::build_context::stat::{Kind, Stat, Xattrs, xattrs_of_fd, xattrs_of_path};

/// How many directories are kept open on the way down; above that they are opened again.
const MAX_OPEN: usize = 128;

/// One entry of the transfer.
#[derive(Debug)]
pub struct Entry<'a> {
    /// From the root, without a leading slash.
    pub path: &'a [u8],
    /// Its metadata.
    pub stat: &'a Stat,
    /// The target of a symlink, or for a further hard link the path its file was first sent as;
    /// otherwise empty.
    pub link: &'a [u8],
}

/// Why a walk ended early.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// An entry cannot be read.
    #[error("cannot read \"{path}\": {source}")]
    Read {
        /// The entry, from the root.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The receiver of the entries wants no more.
    #[error("the walk was stopped")]
    Stopped,
}

/// The receiver of the entries has gone: the walk ends with [`WalkError::Stopped`].
#[derive(Debug)]
pub struct Stop;

/// Calls `sink` for every entry below `root` that passes `filter`, parents of a passing entry
/// included. An entry that vanishes before it was looked at is not part of the walk.
///
/// # Errors
/// The first entry that cannot be read, or the sink's wish to stop.
pub fn walk(
    root: &Root,
    filter: &Filter,
    sink: &mut dyn FnMut(&Entry<'_>) -> Result<(), Stop>,
) -> Result<(), WalkError> {
    walk_with(root, filter, true, sink)
}

/// The same without the extended attributes of files, for whom their times are enough: those are most of what is asked of the system.
///
/// # Errors
/// As [`walk`].
pub(super) fn walk_without_attributes(
    root: &Root,
    filter: &Filter,
    sink: &mut dyn FnMut(&Entry<'_>) -> Result<(), Stop>,
) -> Result<(), WalkError> {
    walk_with(root, filter, false, sink)
}

fn walk_with(
    root: &Root,
    filter: &Filter,
    reads_attributes: bool,
    sink: &mut dyn FnMut(&Entry<'_>) -> Result<(), Stop>,
) -> Result<(), WalkError> {
    let mut full_path = root.path().as_os_str().as_bytes().to_vec();
    full_path.push(b'/');
    let mut walk = Walk {
        root,
        sink,
        path: Vec::new(),
        root_len: full_path.len(),
        full_path,
        reads_attributes,
        links: HashMap::new(),
        levels: Vec::new(),
    };
    let top = root.open_dir(b"").map_err(|e| walk.failed(e))?;
    walk.descend(top, None, true)?;
    let mut inherited = ParentMatch::default();
    while let Some(level) = walk.levels.last_mut() {
        walk.path.truncate(level.prefix);
        let Some((name, listed)) = level.names.get(level.next) else {
            walk.levels.pop();
            continue;
        };
        level.next += 1;
        walk.path.extend_from_slice(name);
        let is_dir = match listed {
            FileType::Directory => true,
            // The file system does not say in the listing.
            FileType::Unknown => match walk.stat()? {
                Some(stat) => stat.kind == Kind::Dir,
                None => continue,
            },
            _ => false,
        };
        let parent = walk.levels.last().and_then(|level| level.inherited.as_ref());
        let verdict = filter.judge(&walk.path, is_dir, parent, &mut inherited);
        if verdict == Decision::Skip {
            continue;
        }
        let wanted = verdict == Decision::Send;
        if is_dir {
            walk.enter_dir(wanted, &mut inherited)?;
        } else if wanted {
            walk.send()?;
        }
    }
    Ok(())
}

struct Walk<'a> {
    root: &'a Root,
    sink: &'a mut dyn FnMut(&Entry<'_>) -> Result<(), Stop>,
    /// The entry at hand.
    path: Vec<u8>,
    /// A buffer for its whole path; the first `root_len` bytes are the root's.
    full_path: Vec<u8>,
    root_len: usize,
    /// Whether those of files are asked for.
    reads_attributes: bool,
    /// First path sent of every file with several links.
    links: HashMap<(u64, u64), Box<[u8]>>,
    levels: Vec<Level>,
}

/// A directory on the way down.
struct Level {
    /// `None` while too many are open.
    dir: Option<OwnedFd>,
    names: Names,
    next: usize,
    /// How much of the path belongs to the directory, its slash included.
    prefix: usize,
    /// `None` at the top.
    inherited: Option<ParentMatch>,
    /// Whether the directory itself was sent; if not, it is as soon as something below it is.
    sent: bool,
}

/// The open directory of `levels[depth]`; `path` is the entry at hand, somewhere below it.
fn level_dir<'l>(
    root: &Root,
    levels: &'l mut [Level],
    path: &[u8],
    depth: usize,
) -> rustix::io::Result<&'l OwnedFd> {
    let Level { dir, prefix, .. } = &mut levels[depth];
    match dir {
        Some(dir) => Ok(dir),
        None => Ok(dir.insert(root.open_dir(&path[..prefix.saturating_sub(1)])?)),
    }
}

impl Walk<'_> {
    fn failed(&self, e: Errno) -> WalkError {
        read_error(&self.path, e)
    }

    /// Runs `look` on the directory and name of the entry at hand; `None` if it has vanished.
    fn at_entry<T>(
        &mut self,
        look: impl FnOnce(&OwnedFd, &[u8]) -> rustix::io::Result<T>,
    ) -> rustix::io::Result<Option<T>> {
        let depth = self.levels.len() - 1;
        let name_at = self.levels[depth].prefix;
        let answer = level_dir(self.root, &mut self.levels, &self.path, depth)
            .and_then(|dir| look(dir, &self.path[name_at..]));
        match answer {
            Ok(found) => Ok(Some(found)),
            Err(e) if is_missing(e) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Goes down into the directory at hand, and sends it if `wanted`.
    fn enter_dir(&mut self, wanted: bool, inherited: &mut ParentMatch) -> Result<(), WalkError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let dir = match self.at_entry(|dir, name| open_child(dir, name, flags)) {
            Ok(Some(dir)) => dir,
            Ok(None) => return Ok(()),
            Err(Errno::ACCESS) if !wanted => return Ok(()),
            Err(e) => return Err(self.failed(e)),
        };
        if wanted {
            self.send_parents()?;
            let stat = dir_stat(&dir).map_err(|e| self.failed(e))?;
            self.emit(self.path.len(), &stat, b"")?;
        }
        self.descend(dir, Some(std::mem::take(inherited)), wanted)
    }

    /// Reads the names of the directory at `self.path` and makes it the current one.
    fn descend(
        &mut self,
        dir: OwnedFd,
        inherited: Option<ParentMatch>,
        sent: bool,
    ) -> Result<(), WalkError> {
        let names = Names::read(&dir).map_err(|e| self.failed(e))?;
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        if let Some(far) = self.levels.len().checked_sub(MAX_OPEN) {
            self.levels[far].dir = None;
        }
        let prefix = self.path.len();
        self.levels.push(Level { dir: Some(dir), names, next: 0, prefix, inherited, sent });
        Ok(())
    }

    /// The metadata of the entry at hand; `None` if it has vanished.
    fn stat(&mut self) -> Result<Option<Stat>, WalkError> {
        let mut full_path = std::mem::take(&mut self.full_path);
        full_path.truncate(self.root_len);
        full_path.extend_from_slice(&self.path);
        let reads_attributes = self.reads_attributes;
        let stat = self.at_entry(|dir, name| {
            let mut stat = Stat::new(&stat_child(dir, name)?);
            if reads_attributes && !has_no_xattrs(&full_path) {
                stat.xattrs = child_xattrs(dir, name)?;
            }
            Ok(stat)
        });
        self.full_path = full_path;
        stat.map_err(|e| self.failed(e))
    }

    /// Sends the entry at hand, which is not a directory.
    fn send(&mut self) -> Result<(), WalkError> {
        let Some(stat) = self.stat()? else { return Ok(()) };
        let mut link = Vec::new();
        match stat.kind {
            Kind::Dir => {
                // It was listed as something else a moment ago; the engine must not take it for
                // an empty directory.
                let source = io::Error::other("it changed while the directory was read");
                let path = String::from_utf8_lossy(&self.path).into_owned();
                return Err(WalkError::Read { path, source });
            }
            Kind::Symlink => {
                let target =
                    self.at_entry(|dir, name| rustix::fs::readlinkat(dir, name, Vec::new()));
                match target.map_err(|e| self.failed(e))? {
                    Some(target) => link = target.into_bytes(),
                    None => return Ok(()),
                }
            }
            _ if stat.has_links => match self.links.get(&stat.id) {
                Some(first) => link = first.to_vec(),
                None => {
                    self.links.insert(stat.id, self.path.as_slice().into());
                }
            },
            _ => {}
        }
        self.send_parents()?;
        self.emit(self.path.len(), &stat, &link)
    }

    /// Sends the directories above that were passed over so far.
    fn send_parents(&mut self) -> Result<(), WalkError> {
        for depth in 1..self.levels.len() {
            if self.levels[depth].sent {
                continue;
            }
            self.levels[depth].sent = true;
            let end = self.levels[depth].prefix - 1;
            let stat = level_dir(self.root, &mut self.levels, &self.path, depth)
                .and_then(dir_stat)
                .map_err(|e| read_error(&self.path[..end], e))?;
            self.emit(end, &stat, b"")?;
        }
        Ok(())
    }

    fn emit(&mut self, end: usize, stat: &Stat, link: &[u8]) -> Result<(), WalkError> {
        let entry = Entry { path: &self.path[..end], stat, link };
        (self.sink)(&entry).map_err(|Stop| WalkError::Stopped)
    }
}

fn read_error(path: &[u8], e: Errno) -> WalkError {
    let path = if path.is_empty() { b"." } else { path };
    WalkError::Read { path: String::from_utf8_lossy(path).into_owned(), source: e.into() }
}

fn dir_stat(dir: &OwnedFd) -> rustix::io::Result<Stat> {
    let mut stat = Stat::new(&rustix::fs::fstat(dir)?);
    stat.xattrs = xattrs_of_fd(dir.as_fd())?;
    Ok(stat)
}

/// Whether the entry has no extended attributes, as almost all. Asking by path costs a fifth of
/// asking by [`child_xattrs`]; what it may find is not used, since a directory on the way may have
/// become a symlink.
fn has_no_xattrs(full_path: &[u8]) -> bool {
    match rustix::fs::llistxattr(full_path, &mut [0_u8; 256]) {
        Ok(len) => len == 0,
        Err(e) => e == Errno::NOTSUP,
    }
}

/// There is no `listxattrat` before Linux 6.13: the descriptor's entry in /proc names the open
/// directory whatever has become of its path.
fn child_xattrs(dir: &OwnedFd, name: &[u8]) -> rustix::io::Result<Xattrs> {
    use rustix::fd::AsRawFd;
    use std::io::Write;
    let mut path = Vec::with_capacity(24 + name.len());
    let prefix = if cfg!(target_os = "linux") { "/proc/self/fd" } else { "/dev/fd" };
    // Writing to a Vec cannot fail.
    let _ = write!(path, "{prefix}/{}/", dir.as_raw_fd());
    path.extend_from_slice(name);
    match xattrs_of_path(&path) {
        // Without /proc, or between the two calls: no attributes rather than no build; that the
        // entry itself vanished shows when it is opened.
        Err(e) if is_missing(e) => Ok(Vec::new()),
        answer => answer,
    }
}

/// The names of one directory in one buffer, sorted.
#[derive(Default)]
struct Names {
    bytes: Vec<u8>,
    entries: Vec<(u32, u16, FileType)>,
}

impl Names {
    fn read(dir: &OwnedFd) -> rustix::io::Result<Self> {
        let mut names = Self::default();
        for entry in Dir::read_from(dir)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let start = u32::try_from(names.bytes.len()).map_err(|_| Errno::OVERFLOW)?;
            let len = u16::try_from(name.len()).map_err(|_| Errno::NAMETOOLONG)?;
            names.bytes.extend_from_slice(name);
            names.entries.push((start, len, entry.file_type()));
        }
        let Self { bytes, entries } = &mut names;
        entries.sort_unstable_by(|a, b| slice(bytes, *a).cmp(slice(bytes, *b)));
        Ok(names)
    }

    fn get(&self, i: usize) -> Option<(&[u8], FileType)> {
        let entry = *self.entries.get(i)?;
        Some((slice(&self.bytes, entry), entry.2))
    }
}

fn slice(bytes: &[u8], (start, len, _): (u32, u16, FileType)) -> &[u8] {
    let start = start as usize;
    &bytes[start..start + usize::from(len)]
}

#[cfg(test)]
mod tests;
