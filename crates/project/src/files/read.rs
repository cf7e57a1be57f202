//! Reads what somebody else wrote: a plain file, up to a bound.
//!
//! A FIFO, a socket or a device has no end that anybody promised, and opening one may wait for ever. It is refused with
//! its kind, before it is read. Two exceptions are what people mean as files: the null device, which is an empty file, and
//! what this process was given open (`/dev/stdin`, `/dev/fd/63` of a shell's `<( )`), which is read to its end.

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

use super::descriptor::{Target, follow};

/// Bound of a text that people write: a Dockerfile, a compose file, requirements.
pub const TEXT: u64 = 16 << 20;
/// Bound of a document that programs write for each other: a build of the history, an index.
pub const DOCUMENT: u64 = 64 << 20;

/// The content of a file of at most `limit` bytes. Waits for what a pipe brings: not for a thread that others wait for.
///
/// # Errors
/// It cannot be opened, is not a file, or is larger. The error names the path.
pub fn bytes(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    content(open(path)?, path, limit)
}

/// The content of a file that is open, as [`bytes`] reads it. `path` is for messages.
///
/// # Errors
/// Those of [`bytes`].
pub fn content(file: File, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = plain(file, path)?;
    let mut content = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        let most = bytesize::ByteSize(limit).display().iec();
        let what = format!("{} is too large: at most {most} are read", path.display());
        return Err(io::Error::new(ErrorKind::FileTooLarge, what));
    }
    Ok(content)
}

/// The text of a file of at most `limit` bytes, without a byte order mark.
///
/// # Errors
/// Those of [`bytes`], and text that is not UTF-8.
pub fn text(path: &Path, limit: u64) -> io::Result<String> {
    let content = bytes(path, limit)?;
    let wrong = |what: &str| {
        io::Error::new(ErrorKind::InvalidData, format!("{} is {what}", path.display()))
    };
    if content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff") {
        return Err(wrong("UTF-16: save it as UTF-8"));
    }
    let text = String::from_utf8(content).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        wrong(&format!("not UTF-8, in line {line}"))
    })?;
    Ok(without_mark(&text).to_owned())
}

/// `text` without the byte order mark that editors of Windows put before it.
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Opens a file that [`bytes`] would read.
///
/// # Errors
/// It cannot be opened or is not a file. The error names the path.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags.bits().cast_signed());
    let file = match options.open(path) {
        Ok(file) => file,
        // Sockets and devices without a driver say that when they are opened.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => {
            return Err(refused(path, "a socket or a device"));
        }
        Err(error) => {
            let what = format!("failed to open file `{}`: {error}", path.display());
            return Err(io::Error::new(error.kind(), what));
        }
    };
    plain(file, path)
}

/// The file, if it is one that is read.
fn plain(file: File, path: &Path) -> io::Result<File> {
    let metadata = file.metadata()?;
    let kind = metadata.file_type();
    if kind.is_dir() {
        return Err(refused(path, "a folder"));
    }
    let is_given = || matches!(follow(path), Ok(Target::Descriptor(..)));
    if kind.is_file() || (kind.is_char_device() && is_null(metadata.rdev())) {
        return Ok(file);
    }
    if !is_given() {
        return Err(refused(path, name(kind)));
    }
    // From here on reading waits, as for any pipe.
    rustix::fs::fcntl_setfl(&file, OFlags::empty())?;
    Ok(file)
}

fn is_null(device: u64) -> bool {
    std::fs::metadata("/dev/null").is_ok_and(|null| null.rdev() == device)
}

fn name(kind: FileType) -> &'static str {
    if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

fn refused(path: &Path, what: &str) -> io::Error {
    let kind = if what == "a folder" { ErrorKind::IsADirectory } else { ErrorKind::InvalidInput };
    io::Error::new(kind, format!("{} is {what}, not a file", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;

    #[test]
    fn only_files_are_read_and_nothing_waits() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
        std::os::unix::fs::symlink("fifo", at("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
        for (path, why) in [
            (at("fifo"), "fifo is a FIFO, not a file"),
            (at("link"), "link is a FIFO, not a file"),
            (at("socket"), "socket is a socket or a device, not a file"),
            (PathBuf::from("/dev/zero"), "/dev/zero is a device, not a file"),
            (folder.path().to_owned(), " is a folder, not a file"),
            (at("none"), "No such file"),
        ] {
            let error = bytes(&path, TEXT).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        assert_eq!(bytes(Path::new("/dev/null"), 0).unwrap(), b"");
    }

    #[test]
    fn what_this_process_was_given_open_is_read_to_its_end() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let path = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
        let reading = std::thread::spawn(move || text(&path, 5));
        writer.write_all(b"hel").unwrap();
        writer.write_all(b"lo").unwrap();
        drop(writer);
        assert_eq!(reading.join().unwrap().unwrap(), "hello");
        drop(reader);

        // One that never ends does, too.
        let (reader, mut writer) = std::io::pipe().unwrap();
        let path = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
        writer.write_all(b"hello!").unwrap();
        let error = bytes(&path, 5).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_text_has_a_bound_no_mark_and_one_encoding() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let read = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            text(&path, 12).map_err(|error| {
                error.to_string().replace(&folder.path().display().to_string(), "")
            })
        };
        assert_eq!(read(b"\xef\xbb\xbfFROM a\r\n").unwrap(), "FROM a\r\n");
        assert_eq!(read(b"").unwrap(), "");
        assert_eq!(read(b"123456789012").unwrap(), "123456789012");
        assert_eq!(read(b"1234567890123").unwrap_err(), "/f is too large: at most 12 B are read");
        assert_eq!(read(b"\xff\xfea\0").unwrap_err(), "/f is UTF-16: save it as UTF-8");
        assert_eq!(read(b"a\nb\xe4\n").unwrap_err(), "/f is not UTF-8, in line 2");
    }
}
