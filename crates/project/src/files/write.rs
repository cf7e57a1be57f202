//! Writes a document for somebody else: a file appears whole or not at all, everything else is written through.
//!
//! The last parts of a path may be links: what they lead to is written, the links stay. A file is replaced by one that
//! was written beside it and keeps the mode and owner of the old one; a new file gets 0666 less the umask. Devices, FIFOs
//! and open files of this process (`/dev/stdout`, `/dev/fd/3`) are opened and written, never replaced. `-` is standard
//! output, which the caller hands in.

use std::fs::{Metadata, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{
    FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, OFlags};
use rustix::io::Errno;

use super::descriptor::{Target, follow};
use super::partial::{self, PartialFile};

/// Mode of a new file, less the umask.
pub const NEW_FILE: u32 = 0o666;

/// Where and how a document is written.
#[derive(Debug)]
pub enum Sink {
    /// Standard output.
    Stdout,
    /// A device, a FIFO or an open file, which takes bytes as they come.
    Stream(PathBuf),
    /// A file that cannot be replaced by another: its folder cannot be written, or the file is a mount.
    Fixed(PathBuf),
    /// A file, or nothing so far.
    File(PathBuf),
}

impl Sink {
    /// What is at `path`, once it is certain that it can be written.
    ///
    /// # Errors
    /// Its folder is missing or cannot be written to; it is a folder or a socket.
    pub fn find(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        let target = match follow(path)? {
            Target::Descriptor(1, _) => return Ok(Self::Stdout),
            Target::Descriptor(_, path) => return writable(&path).map(|()| Self::Stream(path)),
            Target::Path(target) => target,
        };
        if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return Err(refused(ErrorKind::IsADirectory, "it names a folder"));
        }
        let there = match std::fs::metadata(&target) {
            Ok(there) => Some(there.file_type()),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        match there {
            Some(kind) if kind.is_dir() => {
                return Err(refused(ErrorKind::IsADirectory, "it is a folder"));
            }
            Some(kind) if kind.is_socket() => {
                return Err(refused(ErrorKind::InvalidInput, "it is a socket"));
            }
            Some(kind) if !kind.is_file() => {
                return writable(&target).map(|()| Self::Stream(target));
            }
            _ => {}
        }
        let folder = folder_of(&target);
        match std::fs::metadata(folder) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => {
                let what = format!("{} is not a folder", folder.display());
                return Err(refused(ErrorKind::NotADirectory, what));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let what = format!("there is no folder {}", folder.display());
                return Err(refused(ErrorKind::NotFound, what));
            }
            Err(error) => return Err(error),
        }
        partial::sweep(folder);
        match partial::file(folder, NEW_FILE) {
            Ok(_) => Ok(Self::File(target)),
            Err(_) if there.is_some() && writable(&target).is_ok() => Ok(Self::Fixed(target)),
            // It names the file that could not be made.
            Err(error) => {
                let what = format!("files cannot be made in {}", folder.display());
                let why = error.raw_os_error().map_or(error, io::Error::from_raw_os_error);
                Err(io::Error::new(why.kind(), format!("{what}: {why}")))
            }
        }
    }
}

/// Writes `content` to `path`; `stdout` is where `-` leads. Nobody needs to read all of it: a closed pipe is not an error.
///
/// # Errors
/// Those of [`Sink::find`], and what the file system says. A file is as it was then.
pub fn document(path: &Path, content: &[u8], stdout: &mut dyn Write) -> io::Result<()> {
    let written = match Sink::find(path)? {
        Sink::Stdout => stdout.write_all(content).and_then(|()| stdout.flush()),
        Sink::Stream(path) => OpenOptions::new()
            .append(true)
            .open(path)
            .and_then(|mut stream| stream.write_all(content)),
        Sink::Fixed(path) => overwrite(&path, content),
        Sink::File(path) => replace(&path, content),
    };
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// A new file beside `path`, which [`name`] gives that name.
///
/// # Errors
/// The folder cannot be written to.
pub fn beside(path: &Path) -> io::Result<PartialFile> {
    partial::file(folder_of(path), NEW_FILE)
}

/// Writes `content` to the file `path`, which is not a link.
///
/// # Errors
/// What the file system says. The file is as it was then.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = beside(path)?;
    file.write_all(content)?;
    match name(file, path) {
        // A mount point cannot be replaced, such as a file that a container got from outside.
        Err(error) if error.raw_os_error() == Some(Errno::BUSY.raw_os_error()) => {
            overwrite(path, content)
        }
        named => named,
    }
}

/// Gives a file that was written beside `path` its name, and the mode and owner of what it replaces.
///
/// # Errors
/// What the file system says.
pub fn name(file: PartialFile, path: &Path) -> io::Result<()> {
    if let Ok(old) = std::fs::metadata(path)
        && old.is_file()
    {
        take_over(&file, &old)?;
    }
    file.persist(path)
}

fn take_over(file: &PartialFile, old: &Metadata) -> io::Result<()> {
    let new = file.as_file().metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        // Only root may give files away; the file is the writer's then.
        let _ = std::os::unix::fs::fchown(file.as_file(), Some(old.uid()), Some(old.gid()));
    }
    if new.mode() & 0o7777 != old.mode() & 0o7777 {
        file.as_file().set_permissions(Permissions::from_mode(old.mode() & 0o7777))?;
    }
    Ok(())
}

/// Appends to a file that somebody else reads, which is made if it is missing. Never waits for who reads a FIFO.
///
/// # Errors
/// What the file system says.
pub fn append(path: &Path, content: &[u8]) -> io::Result<()> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let mut file = OpenOptions::new().create(true).append(true).custom_flags(flags).open(path)?;
    // It is to be written whole, however slowly it is read.
    rustix::fs::fcntl_setfl(&file, OFlags::APPEND)?;
    file.write_all(content)
}

fn overwrite(path: &Path, content: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).truncate(true).open(path)?.write_all(content)
}

fn writable(path: &Path) -> io::Result<()> {
    rustix::fs::access(path, Access::WRITE_OK).map_err(io::Error::from)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn refused(kind: ErrorKind, why: impl Into<String>) -> io::Error {
    io::Error::new(kind, why.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    fn write(path: &Path, content: &str) -> io::Result<String> {
        let mut stdout = Vec::new();
        document(path, content.as_bytes(), &mut stdout)?;
        Ok(String::from_utf8(stdout).unwrap())
    }

    fn mode(path: &Path) -> u32 {
        std::fs::symlink_metadata(path).unwrap().mode()
    }

    fn only(folder: &Path, names: &[&str]) {
        let entries = std::fs::read_dir(folder).unwrap().flatten();
        let mut found: Vec<_> =
            entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        found.sort();
        assert_eq!(found, names);
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_keeps_its_mode_and_its_links() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        write(&at("new"), "1").unwrap();
        std::fs::write(at("reference"), "").unwrap();
        assert_eq!(mode(&at("new")), mode(&at("reference")), "0666 less the umask");

        std::fs::set_permissions(at("new"), Permissions::from_mode(0o640)).unwrap();
        let before = std::fs::metadata(at("new")).unwrap().ino();
        symlink("new", at("link")).unwrap();
        symlink(at("link"), at("chain")).unwrap();
        write(&at("chain"), "2").unwrap();
        assert_eq!(std::fs::read_to_string(at("new")).unwrap(), "2");
        assert_eq!(mode(&at("new")) & 0o7777, 0o640);
        assert_ne!(std::fs::metadata(at("new")).unwrap().ino(), before, "replaced");
        symlink("later", at("dangling")).unwrap();
        write(&at("dangling"), "3").unwrap();
        assert_eq!(std::fs::read_to_string(at("later")).unwrap(), "3");
        only(folder.path(), &["chain", "dangling", "later", "link", "new", "reference"]);
    }

    #[test]
    fn what_takes_bytes_as_they_come_is_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let reader = {
            let fifo = fifo.clone();
            std::thread::spawn(move || std::fs::read_to_string(fifo).unwrap())
        };
        symlink("fifo", folder.path().join("link")).unwrap();
        write(&folder.path().join("link"), "through").unwrap();
        assert_eq!(reader.join().unwrap(), "through");
        assert!(std::fs::symlink_metadata(&fifo).unwrap().file_type().is_fifo());

        // Nobody needs to read it.
        let reader = {
            let fifo = fifo.clone();
            std::thread::spawn(move || drop(std::fs::File::open(fifo).unwrap()))
        };
        write(&fifo, &"x".repeat(1 << 20)).unwrap();
        reader.join().unwrap();
        only(folder.path(), &["fifo", "link"]);
        // Anybody may open it; it is only written.
        write(Path::new("/dev/null"), "nothing").unwrap();
        for stdout in ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
            assert_eq!(write(Path::new(stdout), "data").unwrap(), "data");
        }
        let file = std::fs::File::create(folder.path().join("open")).unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&file);
        for _ in 0..2 {
            write(&PathBuf::from(format!("/dev/fd/{number}")), "x").unwrap();
        }
        assert_eq!(std::fs::read_to_string(folder.path().join("open")).unwrap(), "xx");
    }

    #[test]
    fn what_cannot_be_written_is_known_before() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "").unwrap();
        std::fs::create_dir(at("sub")).unwrap();
        symlink("loop", at("loop")).unwrap();
        symlink("none/file", at("dangling")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        let long = "x".repeat(300);
        for (path, why) in [
            ("none/file", "there is no folder"),
            ("dangling", "there is no folder"),
            ("file/below", "Not a directory"),
            ("sub", "it is a folder"),
            ("sub/", "it names a folder"),
            ("new/", "it names a folder"),
            ("sub/..", "it is a folder"),
            ("loop", "Too many levels of symbolic links"),
            ("socket", "it is a socket"),
            (&long, "File name too long"),
        ] {
            let error = Sink::find(&at(path)).unwrap_err().to_string();
            assert!(error.contains(why), "{path}: {error}");
        }
        only(folder.path(), &["dangling", "file", "loop", "socket", "sub"]);
    }

    #[test]
    fn appending_waits_for_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        append(&file, b"a").unwrap();
        append(&file, b"b").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "ab");
        let fifo = folder.path().join("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        append(&fifo, b"x").unwrap_err();
    }
}
