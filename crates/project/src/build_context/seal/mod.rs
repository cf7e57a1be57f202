//! All entries of a walk in one digest. A later walk with the same one proves that no file of it has changed since.
//!
//! The proof is the inode's own time (`ctime`), which no program can set: whatever writes to a file, renames another one to its
//! name or changes its mode moves it. Files that changed in the instant of the walk could change again within the same
//! tick of the clock, so a walk that met one proves nothing (git calls such entries racily clean). Nor does one of a file
//! system whose clock or inodes are not this machine's.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::filter::{Filter, FilterRequest};
use super::root::Root;
use super::stat::{Kind, Stat};
use super::walk::{Entry, Stop, walk_without_attributes};

/// A kernel's clock for files moves every 10 ms at the slowest (CONFIG_HZ=100).
const FINE: i64 = 25_000_000;
/// Times without fractions of a millisecond may be those of a file system that knows whole seconds, or every other one.
const COARSE: i64 = 2_100_000_000;
/// Entries between two marks.
const MARKED: usize = 1024;

/// What a walk met, see the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Digest of all entries.
    digest: String,
    /// What the digest began with at every so manieth entry, so that one which differs is known early.
    marks: Vec<String>,
}

/// Makes a [`Seal`] of the entries of a walk.
#[derive(Debug)]
pub struct Sealer {
    hash: Sha256,
    root: PathBuf,
    /// When the walk began, nanoseconds since the epoch.
    began: i64,
    /// Devices that were met.
    devices: Vec<u64>,
    is_settled: bool,
    entries: usize,
    marks: Vec<String>,
}

impl Sealer {
    /// Of a walk of `root` that begins `now`.
    pub fn new(root: &Root, now: SystemTime) -> Self {
        let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            hash: Sha256::new(),
            root: root.path().to_owned(),
            began: i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX),
            devices: Vec::new(),
            is_settled: true,
            entries: 0,
            marks: Vec::new(),
        }
    }

    /// The next entry.
    pub fn add(&mut self, entry: &Entry<'_>) {
        let Entry { path, stat, link } = entry;
        for text in [path, link] {
            self.hash.update((text.len() as u64).to_le_bytes());
            self.hash.update(text);
        }
        self.hash.update(stat.mode.to_le_bytes());
        if stat.kind == Kind::Dir {
            // What is in a directory is told by its entries: its times move with files that nobody reads.
            for (name, value) in &stat.xattrs {
                self.hash.update((name.len() as u64).to_le_bytes());
                self.hash.update(name);
                self.hash.update((value.len() as u64).to_le_bytes());
                self.hash.update(value);
            }
            self.hash.update([0xff]);
        } else {
            self.file(stat);
        }
        self.know(stat.id.0, path);
        self.entries += 1;
        if self.entries.is_multiple_of(MARKED) {
            self.marks.push(hex::encode(&self.hash.clone().finalize()[..6]));
        }
    }

    fn file(&mut self, stat: &Stat) {
        let numbers = [stat.mtime, stat.ctime, stat.devmajor, stat.devminor];
        numbers.iter().for_each(|number| self.hash.update(number.to_le_bytes()));
        for number in [stat.size, stat.id.0, stat.id.1] {
            self.hash.update(number.to_le_bytes());
        }
        let margin = if stat.ctime % 1_000_000 == 0 { COARSE } else { FINE };
        self.is_settled &= stat.ctime.saturating_add(margin) < self.began;
    }

    /// Looks at the file system of `device`, once.
    fn know(&mut self, device: u64, path: &[u8]) {
        if !self.devices.contains(&device) {
            self.devices.push(device);
            let path = self.root.join(std::ffi::OsStr::from_bytes(path));
            self.is_settled &= has_times_of_its_own(&path);
        }
    }

    /// The seal; `None` where the same one could be met although a file had changed.
    pub fn seal(&self) -> Option<Seal> {
        let digest = hex::encode(self.hash.clone().finalize());
        self.is_settled.then(|| Seal { digest, marks: self.marks.clone() })
    }
}

/// Whether times and inodes of the file system at `path` are those of this machine's kernel: those of others may be of
/// another clock, or be made up.
#[cfg(target_os = "linux")]
fn has_times_of_its_own(path: &Path) -> bool {
    // ext2 to ext4, XFS, Btrfs, tmpfs, ramfs, overlayfs, F2FS, ZFS, bcachefs (linux/magic.h).
    const KNOWN: [u64; 9] = [
        0xef53,
        0x5846_5342,
        0x9123_683e,
        0x0102_1994,
        0x8584_58f6,
        0x794c_7630,
        0xf2f5_2010,
        0x2fc1_2fc1,
        0xca45_1a4e,
    ];
    // The type of the field differs between systems.
    #[allow(clippy::unnecessary_cast)]
    rustix::fs::statfs(path).is_ok_and(|found| KNOWN.contains(&(found.f_type as u64 & 0xffff_ffff)))
}

#[cfg(not(target_os = "linux"))]
fn has_times_of_its_own(_: &Path) -> bool {
    false
}

/// A directory, what was asked for of it, and its seal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedWalk {
    directory: PathBuf,
    include: Vec<String>,
    exclude: Vec<String>,
    follow: Vec<String>,
    seal: Seal,
}

impl SealedWalk {
    /// A walk of `directory` with `request`; `None` where its patterns cannot be written down.
    pub fn new(directory: PathBuf, request: &FilterRequest, seal: Seal) -> Option<Self> {
        let texts = |texts: &[Vec<u8>]| -> Option<Vec<String>> {
            texts.iter().map(|text| String::from_utf8(text.clone()).ok()).collect()
        };
        directory.to_str()?;
        Some(Self {
            include: texts(&request.include)?,
            exclude: texts(&request.exclude)?,
            follow: texts(&request.follow)?,
            directory,
            seal,
        })
    }

    /// Whether the same walk, which begins `now`, meets the same entries. Reads the directory until one differs, or
    /// until `is_over`.
    pub fn holds(&self, now: SystemTime, is_over: &dyn Fn() -> bool) -> bool {
        let bytes = |texts: &[String]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
        let request = FilterRequest {
            include: bytes(&self.include),
            exclude: bytes(&self.exclude),
            follow: bytes(&self.follow),
        };
        let Ok(root) = Root::open(&self.directory) else { return false };
        let Ok(filter) = Filter::new(&root, &request) else { return false };
        let mut sealer = Sealer::new(&root, now);
        let walked = walk_without_attributes(&root, &filter, &mut |entry| {
            sealer.add(entry);
            // Those before it have been compared.
            let marked = sealer.marks.len().checked_sub(1);
            let is_same = marked.is_none_or(|at| self.seal.marks.get(at) == sealer.marks.last());
            if is_same && !is_over() { Ok(()) } else { Err(Stop) }
        });
        walked.is_ok() && sealer.seal().is_some_and(|seal| seal == self.seal)
    }
}

#[cfg(test)]
mod tests;
