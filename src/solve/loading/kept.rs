//! Blobs that came from a builder, kept from build to build so that only what is new has to come again: a directory for
//! each builder, with the layout of an image.
//!
//! It is nobody's but this program's, and whatever is in it may be wrong: a blob counts for nothing before its digest was
//! computed anew ([`super::archive`]). Whoever uses the directory holds a lock on it; what has not been used for the longest
//! time goes when nobody else does.

use std::fs::{File, FileTimes, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use crate::buildkit::session::content::Digest;
use crate::files::partial;

/// How many bytes are kept of one builder.
const MOST_BYTES: u64 = 8 << 30;

/// The blobs of one builder. They are not removed by others while this exists.
#[derive(Debug)]
pub(in crate::solve) struct BlobLease {
    path: PathBuf,
    lock: File,
    most_bytes: u64,
}

impl BlobLease {
    /// The directory below `folder` for the builder whose worker is called `worker`. It is made where it is missing, and what
    /// is too much in it goes.
    ///
    /// # Errors
    /// It cannot be written to.
    pub(in crate::solve) fn open(folder: &Path, worker: &str) -> io::Result<Self> {
        let name = hex::encode(&Sha256::digest(worker)[..8]);
        Self::at(folder.join(name), MOST_BYTES)
    }

    fn at(path: PathBuf, most_bytes: u64) -> io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(path.join("lock"))?;
        let kept = Self { path, lock, most_bytes };
        kept.tidy();
        // File systems without locks are used without.
        let _ = kept.lock.lock_shared();
        partial::file(&kept.path, 0o600)?.close()?;
        Ok(kept)
    }

    /// Where it is.
    pub(in crate::solve) fn path(&self) -> &Path {
        &self.path
    }

    /// Says that `blobs` are used: others go before them.
    pub(super) fn note_use<'a>(&self, blobs: impl Iterator<Item = &'a Digest>) {
        let now = FileTimes::new().set_modified(SystemTime::now());
        for blob in blobs {
            // What is not there is missed by whoever reads it.
            if let Ok(file) = File::open(blob.path_in(&self.path)) {
                let _ = file.set_times(now);
            }
        }
    }

    /// Removes a blob that is not what its name says.
    pub(super) fn forget(&self, blob: &Digest) {
        remove(&blob.path_in(&self.path));
    }

    /// Removes what dead runs left and what is too much, unless somebody else uses the directory.
    fn tidy(&self) {
        if self.lock.try_lock().is_err() {
            return;
        }
        partial::sweep(&self.path);
        let mut blobs: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for folder in list(&self.path.join("blobs")) {
            for path in list(&folder) {
                let Ok(facts) = std::fs::symlink_metadata(&path) else { continue };
                // Nothing could take its place.
                if !facts.is_file() {
                    remove(&path);
                    continue;
                }
                let used = facts.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                blobs.push((used, facts.len(), path));
            }
        }
        blobs.sort();
        let mut bytes: u64 = blobs.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, size, path) in blobs {
            if bytes <= self.most_bytes {
                break;
            }
            if std::fs::remove_file(path).is_ok() {
                bytes -= size;
            }
        }
    }
}

impl Drop for BlobLease {
    fn drop(&mut self) {
        self.tidy();
    }
}

/// Removes a file, or whatever else stands in its place.
fn remove(path: &Path) {
    if std::fs::remove_file(path).is_err() {
        let _ = std::fs::remove_dir_all(path);
    }
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use super::*;

    fn blob(digit: char) -> Digest {
        Digest::parse(&format!("sha256:{}", String::from(digit).repeat(64))).unwrap()
    }

    fn put(kept: &BlobLease, digit: char, bytes: usize, age: u64) {
        let path = blob(digit).path_in(kept.path());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, vec![0; bytes]).unwrap();
        let used = SystemTime::now() - Duration::from_secs(age);
        File::open(path).unwrap().set_times(FileTimes::new().set_modified(used)).unwrap();
    }

    fn left(path: &Path) -> String {
        let all = ['a', 'b', 'c'].into_iter();
        all.filter(|digit| blob(*digit).path_in(path).exists()).collect()
    }

    #[test]
    fn what_was_not_used_for_the_longest_time_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let kept = BlobLease::at(path.clone(), 100).unwrap();
        put(&kept, 'a', 60, 30);
        put(&kept, 'b', 30, 20);
        put(&kept, 'c', 30, 10);
        kept.note_use([blob('a'), blob('0')].iter());
        std::fs::write(path.join(".doc2md-docker-dead01.partial"), "").unwrap();
        // Somebody else has it open.
        let other = BlobLease::at(path.clone(), 100).unwrap();
        drop(kept);
        assert_eq!(left(&path), "abc");
        drop(other);
        assert_eq!(left(&path), "ac");
        assert!(!path.join(".doc2md-docker-dead01.partial").exists());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let kept = BlobLease::at(path.clone(), 10).unwrap();
        assert_eq!(left(&path), "");
        kept.forget(&blob('a'));
        std::fs::create_dir_all(blob('b').path_in(&path).join("sub")).unwrap();
        drop(kept);
        assert!(!blob('b').path_in(&path).exists());
        let kept = BlobLease::at(path.clone(), 10).unwrap();
        std::fs::remove_dir_all(&path).unwrap();
        kept.note_use([blob('a')].iter());
    }

    #[test]
    fn each_builder_has_its_own_and_a_file_in_its_place_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let one = BlobLease::open(folder.path(), "one").unwrap();
        assert_ne!(one.path(), BlobLease::open(folder.path(), "two").unwrap().path());
        let taken = folder.path().join("file");
        std::fs::write(&taken, "").unwrap();
        assert!(BlobLease::open(&taken, "one").is_err());
    }
}
