//! Paths that name an open file of this process, such as `/dev/stdout` and `/dev/fd/63`.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// How many links are followed: as many as Linux does (path_resolution(7)).
const LINKS: u32 = 40;

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A place in the file system, which need not exist. Its last part is not a link.
    Path(PathBuf),
    /// An open file of this process, by its number. The path opens it again.
    Descriptor(u32, PathBuf),
}

/// Follows the links that `path` ends in, also where they lead to nothing.
///
/// # Errors
/// A folder on the way is missing, or the links form a circle.
pub(super) fn follow(path: &Path) -> io::Result<Target> {
    let mut path = path.to_owned();
    for _ in 0..=LINKS {
        // `x/..` and `/` end in no name: they are folders.
        let Some(name) = path.file_name() else { return Ok(Target::Path(path)) };
        let parent = path.parent().unwrap_or(Path::new(""));
        if let Some(number) = name.to_str().and_then(|name| name.parse().ok())
            && is_list_of_descriptors(parent)
        {
            return Ok(Target::Descriptor(number, path));
        }
        match fs_err::read_link(&path) {
            Ok(link) => path = parent.join(link),
            // Not a link, or nothing at all.
            Err(_) => return Ok(Target::Path(path)),
        }
    }
    Err(Errno::LOOP.into())
}

/// Linux: `/dev/fd` leads to `/proc/self/fd`, and that to the number of the process. macOS has `/dev/fd` itself.
fn is_list_of_descriptors(folder: &Path) -> bool {
    let Ok(folder) = fs_err::canonicalize(folder) else { return false };
    folder == Path::new("/dev/fd") || (folder.starts_with("/proc") && folder.ends_with("fd"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_to_their_end_also_where_nothing_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs_err::create_dir(at("sub")).unwrap();
        symlink("sub/b", at("a")).unwrap();
        symlink("../c", at("sub/b")).unwrap();
        assert_eq!(follow(&at("a")).unwrap(), Target::Path(at("sub/../c")));
        symlink(at("loop"), at("loop")).unwrap();
        let error = follow(&at("loop")).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::LOOP.raw_os_error()));
        symlink("/dev/fd/7", at("seven")).unwrap();
        assert!(matches!(follow(&at("seven")).unwrap(), Target::Descriptor(7, _)));
        assert!(matches!(follow(Path::new("/dev/stdout")).unwrap(), Target::Descriptor(1, _)));
        assert_eq!(follow(Path::new("/dev/null")).unwrap(), Target::Path("/dev/null".into()));
    }
}
