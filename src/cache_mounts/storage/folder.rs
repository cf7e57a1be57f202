//! A folder of archives, and its lock.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use super::super::manifest::{self, Manifest, StoredFile};
use super::{OpenError, StorageError};
use crate::files::partial::{self, PartialFile};
use crate::files::{read, write};

/// How often a lock is tried that somebody else has.
const RETRY: Duration = Duration::from_millis(200);
/// Bytes that are read at a time.
const CHUNK: usize = 256 << 10;

/// The folder. The kernel takes the lock back when a run ends, however it ends.
pub struct Folder {
    path: PathBuf,
    _lock: Option<File>,
}

impl Folder {
    pub(super) fn for_reading(path: &Path) -> Self {
        Self { path: path.to_owned(), _lock: None }
    }

    pub(super) async fn for_writing(
        path: &Path,
        cancel: &CancellationToken,
    ) -> Result<Self, StorageError> {
        let failed = |error: io::Error| unwritable(path, error);
        fs_err::create_dir_all(path).map_err(failed)?;
        let lock = File::open(path).map_err(failed)?;
        // File systems without locks are used without.
        while matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                () = cancel.cancelled() => {
                    return Err(StorageError::Busy(path.display().to_string()));
                }
            }
        }
        // What dead runs left.
        partial::sweep(path);
        Ok(Self { path: path.to_owned(), _lock: Some(lock) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn manifest(&self) -> Result<Option<Manifest>, StorageError> {
        let path = self.path.join(manifest::FILE);
        let at = || path.display().to_string();
        match read::bytes(&path, manifest::LIMIT) {
            Ok(text) => Manifest::read(&text)
                .map(Some)
                .map_err(|source| StorageError::Manifest { at: at(), source }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StorageError::File { what: "read", path: at(), source }),
        }
    }

    /// Replaces the manifest, and removes archives that it does not name.
    pub(super) fn keep(&self, manifest: &Manifest) -> Result<(), StorageError> {
        let path = self.path.join(manifest::FILE);
        write::replace(&path, &manifest.text()).map_err(|error| unwritable(&self.path, error))?;
        for entry in self.path.read_dir().into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if manifest.is_leftover(&name) {
                // One that stays is removed by the next save.
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    pub(super) fn has(&self, stored: StoredFile<'_>) -> bool {
        let file = self.path.join(stored.name).symlink_metadata();
        file.is_ok_and(|file| file.is_file() && file.len() == stored.bytes)
    }

    pub(super) fn put(&self, file: PartialFile, stored: StoredFile<'_>) -> io::Result<()> {
        file.persist(&self.path.join(stored.name))
    }

    pub(super) fn open(&self, stored: StoredFile<'_>) -> Result<Box<dyn Read + Send>, OpenError> {
        let file = read::open(&self.path.join(stored.name)).map_err(OpenError::File)?;
        match digest(&file).map_err(OpenError::File)? == stored.digest {
            true => Ok(Box::new(file)),
            false => Err(OpenError::Digest),
        }
    }
}

fn unwritable(path: &Path, source: io::Error) -> StorageError {
    StorageError::File { what: "write to", path: path.display().to_string(), source }
}

/// The digest of a file, which is read from its beginning and then stands there again.
fn digest(mut file: &File) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hash.update(&buffer[..read]),
        }
    }
    file.rewind()?;
    Ok(format!("sha256:{}", hex::encode(hash.finalize())))
}
