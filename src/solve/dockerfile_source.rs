//! The Dockerfile of a target on this machine, found and read as BuildKit does.
//!
//! The engine gets the folder of the Dockerfile, and of it the file and the links it leads over (fsutil `FollowLinks`). So
//! a link is followed inside of that folder alone: an absolute one starts at the folder, and `..` stops there.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::build_context::follow_links::destination;
use crate::build_context::root::Root;
use crate::files::read;
use crate::targets::target::Target;

/// Opens the Dockerfile at `path`, whatever it is.
///
/// # Errors
/// It is not there, or cannot be opened.
pub fn open(path: &Path) -> io::Result<File> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let root = Root::open(folder.unwrap_or(Path::new(".")))?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let place = destination(&root, name.as_bytes())?;
    if place == b"." {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    root.open_file(&place)
}

/// The bytes of the Dockerfile at `path`.
///
/// # Errors
/// Those of [`open`] and of [`read::bytes`].
pub fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    read::content(open(path)?, path, read::TEXT)
}

/// Its text, without a byte order mark. BuildKit takes bytes that are not UTF-8, too: they count as one character each.
///
/// # Errors
/// Those of [`bytes`].
pub fn text(path: &Path) -> io::Result<String> {
    let bytes = bytes(path)?;
    Ok(read::without_mark(&String::from_utf8_lossy(&bytes)).to_owned())
}

/// The Dockerfile of `target` as far as this machine has it: the name it is shown by, and its text.
pub fn of_target(target: &Target) -> Option<(String, String)> {
    if let Some(text) = &target.dockerfile_inline {
        return Some(("dockerfile_inline".to_owned(), text.clone()));
    }
    let path =
        Path::new(&target.context).join(target.dockerfile.as_deref().unwrap_or("Dockerfile"));
    let text = text(&path).ok()?;
    Some((path.display().to_string(), text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_inside_of_the_folder_alone() {
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path().join("context");
        std::fs::create_dir_all(folder.join("sub")).unwrap();
        std::fs::write(folder.join("sub/real"), "\u{feff}FROM in\r\n").unwrap();
        std::fs::write(outside.path().join("real"), "FROM out\n").unwrap();
        let link = |name: &str, to: &str| symlink(to, folder.join(name)).unwrap();
        let absolute = outside.path().join("real");
        for (name, to) in [
            ("absolute", "/sub/real"),
            ("relative", "sub/real"),
            ("clamped", "../../sub/real"),
            ("chain", "absolute"),
            ("linked", "sub"),
            ("through", "linked/real"),
            ("out", "../real"),
            ("far", absolute.to_str().unwrap()),
            ("loop", "loop"),
            ("top", "/"),
        ] {
            link(name, to);
        }
        for name in ["absolute", "relative", "clamped", "chain", "through"] {
            assert_eq!(text(&folder.join(name)).unwrap(), "FROM in\r\n", "{name}");
        }
        for name in ["out", "far", "none"] {
            let error = text(&folder.join(name)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{name}: {error}");
        }
        let error = text(&folder.join("loop")).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::LOOP.raw_os_error()));
        for name in ["top", "linked", "sub"] {
            text(&folder.join(name)).unwrap_err();
        }
    }

    #[test]
    fn bytes_that_are_not_utf_8_leave_lines_where_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Dockerfile");
        std::fs::write(&path, b"# \xe4\nFROM x\n").unwrap();
        assert_eq!(text(&path).unwrap(), "# \u{fffd}\nFROM x\n");
    }
}
