//! A directory of which nothing outside can be reached: no symlink is ever followed below it.
//!
//! The context is somebody's working tree: between the walk and the moment a file is opened, a
//! directory on the way may have become a symlink. Every lookup starts at the open root and goes
//! down without following links, in one system call where the kernel offers it (`openat2`,
//! Linux 5.6), otherwise element by element.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode, OFlags};

/// An open directory, see the module.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    path: PathBuf,
}

impl Root {
    /// Opens the directory at `path`; `path` itself may be a symlink.
    ///
    /// # Errors
    /// What the system says: missing, no directory, no permission.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// The path it was opened by, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the directory `relative`; empty or `.` is the root itself.
    pub fn open_dir(&self, relative: &[u8]) -> rustix::io::Result<OwnedFd> {
        let relative = if relative.is_empty() { b".".as_slice() } else { relative };
        open_beneath(&self.fd, relative, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// Opens the file `relative` for reading. A FIFO put in its place does not block; the caller
    /// checks what it got.
    ///
    /// # Errors
    /// What the system says; a symlink anywhere on the way is `ELOOP` or `ENOTDIR`.
    pub fn open_file(&self, relative: &[u8]) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        Ok(File::from(open_beneath(&self.fd, relative, flags)?))
    }

    /// The target of the symlink `relative`; `None` for anything else, also if missing.
    pub(crate) fn read_link(&self, relative: &[u8]) -> rustix::io::Result<Option<Vec<u8>>> {
        let (parent, name) = split_parent(relative);
        let target =
            self.open_dir(parent).and_then(|dir| rustix::fs::readlinkat(&dir, name, Vec::new()));
        match target {
            Ok(target) => Ok(Some(target.into_bytes())),
            // EINVAL: there, and not a symlink.
            Err(rustix::io::Errno::INVAL) => Ok(None),
            Err(e) if is_missing(e) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// The directory part (empty at the top) and the last element.
pub fn split_parent(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&b| b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// Not there, or no longer of the expected kind.
pub(crate) fn is_missing(e: rustix::io::Errno) -> bool {
    use rustix::io::Errno;
    matches!(e, Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
}

/// Opens one name in `dir` without following it.
pub fn open_child(dir: &OwnedFd, name: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

fn open_beneath(root: &OwnedFd, relative: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::ResolveFlags;
        use rustix::io::Errno;
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match rustix::fs::openat2(root, relative, flags, Mode::empty(), resolve) {
            // An old kernel, or a sandbox that does not know the call.
            Err(Errno::NOSYS | Errno::PERM) => {}
            answer => return answer,
        }
    }
    open_by_elements(root, relative, flags)
}

/// The slow way down; refuses `..`.
fn open_by_elements(root: &OwnedFd, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let mut elements = path.split(|&b| b == b'/').filter(|e| !e.is_empty()).peekable();
    let mut dir: Option<OwnedFd> = None;
    while let Some(element) = elements.next() {
        if element == b".." {
            return Err(rustix::io::Errno::XDEV);
        }
        let at = dir.as_ref().unwrap_or(root);
        if elements.peek().is_none() {
            return open_child(at, element, flags);
        }
        dir = Some(open_child(at, element, OFlags::RDONLY | OFlags::DIRECTORY)?);
    }
    Err(rustix::io::Errno::NOENT)
}

/// `lstat` of one name in `dir`.
pub fn stat_child(dir: &OwnedFd, name: &[u8]) -> rustix::io::Result<rustix::fs::Stat> {
    rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn no_symlink_leads_out() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("secret"), "x").unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        std::fs::write(dir.path().join("sub/f"), "in").unwrap();
        symlink(outside.path(), dir.path().join("out")).unwrap();
        symlink(outside.path().join("secret"), dir.path().join("leak")).unwrap();
        symlink("sub", dir.path().join("inner")).unwrap();
        let root = Root::open(dir.path()).unwrap();
        assert!(root.open_file(b"sub/f").is_ok());
        let slow = |path: &[u8]| open_by_elements(&root.fd, path, OFlags::RDONLY);
        assert!(slow(b"sub/f").is_ok());
        for bad in
            [&b"out/secret"[..], b"leak", b"../x", b"inner/f", b"sub/../../x", b"/etc/passwd"]
        {
            assert!(root.open_file(bad).is_err(), "{}", String::from_utf8_lossy(bad));
            let slow = slow(bad);
            assert!(slow.is_err(), "{}", String::from_utf8_lossy(bad));
        }
        assert_eq!(root.read_link(b"inner").unwrap().unwrap(), b"sub");
        assert_eq!(root.read_link(b"sub/f").unwrap(), None);
        assert_eq!(root.read_link(b"out/secret").unwrap(), None);
    }
}
