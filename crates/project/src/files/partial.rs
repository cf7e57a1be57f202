//! What is being written: `.doc2md-docker-RANDOM.partial`, beside the file that it becomes.
//!
//! Whoever writes one holds a lock on it (flock(2)), which the kernel takes back when the process ends, however it ends.
//! So a partial file that nobody has locked is the leftover of a dead run, in whatever container or on whatever machine
//! that ran, and [`sweep`] removes it.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::OFlags;
use tempfile::{Builder, NamedTempFile, TempDir};

const PREFIX: &str = ".doc2md-docker-";
const SUFFIX: &str = ".partial";

/// How many files and folders of this process are not complete.
static UNFINISHED: AtomicUsize = AtomicUsize::new(0);

/// Whether this process still has files or folders that are not complete. It should not end before they have gone.
pub fn are_unfinished() -> bool {
    UNFINISHED.load(Ordering::SeqCst) > 0
}

/// Counts one of them for as long as it exists.
#[derive(Debug)]
struct Counter;

impl Counter {
    fn new() -> Self {
        UNFINISHED.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        UNFINISHED.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A file that is not complete: removed when dropped, unless it gets a name.
#[derive(Debug)]
pub struct PartialFile {
    file: NamedTempFile,
    /// Dropped after it.
    _unfinished: Counter,
}

impl PartialFile {
    /// Gives it a name, whatever has it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn persist(self, path: &Path) -> io::Result<()> {
        self.file.persist(path).map(drop).map_err(|error| error.error)
    }

    /// Removes it.
    ///
    /// # Errors
    /// The file system refused.
    pub fn close(self) -> io::Result<()> {
        self.file.close()
    }

    /// Gives it a name that nothing has.
    ///
    /// # Errors
    /// Something has it, or what else the file system says.
    pub fn persist_noclobber(self, path: &Path) -> io::Result<()> {
        self.file.persist_noclobber(path).map(drop).map_err(|error| error.error)
    }
}

impl Deref for PartialFile {
    type Target = NamedTempFile;

    fn deref(&self) -> &NamedTempFile {
        &self.file
    }
}

impl DerefMut for PartialFile {
    fn deref_mut(&mut self) -> &mut NamedTempFile {
        &mut self.file
    }
}

/// A folder that is not complete: removed when dropped.
#[derive(Debug)]
pub struct PartialFolder {
    folder: TempDir,
    /// Held until the folder has gone.
    _lock: File,
    _unfinished: Counter,
}

impl PartialFolder {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Removes it.
    ///
    /// # Errors
    /// The file system refused.
    pub fn close(self) -> io::Result<()> {
        self.folder.close()
    }
}

/// A new file in `folder`, with this mode less the umask. Removed when dropped, unless it gets a name by `persist`.
///
/// # Errors
/// The folder cannot be written to.
pub fn file(folder: &Path, mode: u32) -> io::Result<PartialFile> {
    loop {
        let unfinished = Counter::new();
        let file = named().permissions(Permissions::from_mode(mode)).tempfile_in(folder)?;
        // Another run may have swept it before it was locked.
        if lock(file.as_file()) {
            return Ok(PartialFile { file, _unfinished: unfinished });
        }
    }
}

/// A new folder in `folder` that nobody else may enter.
///
/// # Errors
/// The folder cannot be written to.
pub fn folder_in(folder: &Path) -> io::Result<PartialFolder> {
    loop {
        let unfinished = Counter::new();
        let made = named().tempdir_in(folder)?;
        let Ok(lock_file) = File::open(made.path()) else { continue };
        if lock(&lock_file) {
            return Ok(PartialFolder { folder: made, _lock: lock_file, _unfinished: unfinished });
        }
    }
}

fn named<'a>() -> Builder<'a, 'static> {
    let mut builder = Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    builder
}

/// Locks a file that was just made; whether it is still there. File systems without locks are used without.
fn lock(file: &File) -> bool {
    let _ = file.lock();
    file.metadata().is_ok_and(|metadata| metadata.nlink() > 0)
}

/// Removes from `folder` what dead runs of this user left. What cannot be seen or removed stays.
pub fn sweep(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let user = rustix::process::geteuid().as_raw();
    // A folder's owner may put into it what he could not remove otherwise.
    let trusted = std::fs::metadata(folder).is_ok_and(|it| it.uid() == user || it.uid() == 0);
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
            remove_leftover(&entry.path(), user, trusted);
        }
    }
}

/// Removes `path` if it is a file, or a folder and `folders`, of `user` that no process writes.
fn remove_leftover(path: &Path, user: u32, folders: bool) {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = flags.bits().cast_signed();
    let Ok(file) = OpenOptions::new().read(true).custom_flags(flags).open(path) else { return };
    let Ok(opened) = file.metadata() else { return };
    let is_ours = opened.uid() == user && (opened.is_file() || (opened.is_dir() && folders));
    if !is_ours || file.try_lock().is_err() {
        return;
    }
    // Its owner may have named it since it was listed.
    let same = std::fs::symlink_metadata(path)
        .is_ok_and(|now| (now.dev(), now.ino()) == (opened.dev(), opened.ino()));
    if same && opened.is_dir() {
        let _ = std::fs::remove_dir_all(path);
    } else if same {
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::{chown, symlink};

    use super::*;

    #[test]
    fn what_dead_runs_left_goes_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let live = file(folder.path(), 0o666).unwrap();
        let live_folder = folder_in(folder.path()).unwrap();
        std::fs::write(at("kept"), "").unwrap();
        for name in [".doc2md-docker-dead01.partial", ".doc2md-docker-other", "x.partial"] {
            std::fs::write(at(name), "").unwrap();
        }
        std::fs::create_dir_all(at(".doc2md-docker-dead02.partial/sub")).unwrap();
        symlink("kept", at(".doc2md-docker-link01.partial")).unwrap();
        let fifo = at(".doc2md-docker-fifo01.partial");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        sweep(folder.path());
        for kept in ["kept", ".doc2md-docker-other", "x.partial", ".doc2md-docker-link01.partial"] {
            assert!(at(kept).symlink_metadata().is_ok(), "{kept}");
        }
        assert!(fifo.exists(), "a FIFO is never ours");
        assert!(live.path().exists() && live_folder.path().exists());
        assert!(!at(".doc2md-docker-dead01.partial").exists());
        assert!(!at(".doc2md-docker-dead02.partial").exists());

        // A named file is as any other.
        let path = live.path().to_owned();
        live.persist(&at("done")).unwrap();
        std::fs::write(&path, "of a dead run").unwrap();
        drop(live_folder);
        sweep(folder.path());
        assert!(at("done").exists() && !path.exists());
    }

    #[test]
    fn files_of_other_users_stay() {
        let folder = tempfile::tempdir().unwrap();
        let (file, sub) = (
            folder.path().join(".doc2md-docker-of0001.partial"),
            folder.path().join(".doc2md-docker-of0002.partial"),
        );
        std::fs::write(&file, "").unwrap();
        std::fs::create_dir(&sub).unwrap();
        // Only root can give files away; others have no way to make such a file here.
        if chown(&file, Some(12345), None).is_err() {
            return;
        }
        chown(folder.path(), Some(12345), None).unwrap();
        sweep(folder.path());
        assert!(file.exists() && sub.exists(), "in a folder of another user folders stay, too");
        chown(folder.path(), Some(0), None).unwrap();
        sweep(folder.path());
        assert!(file.exists() && !sub.exists());
    }
}
