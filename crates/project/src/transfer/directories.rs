//! The directories in which a change can be one of what builds send.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::look::{TransferError, sources};
use crate::targets::Target;

/// Directories with something in them that a build of `target` reads, or would if it were there.
///
/// # Errors
/// A context cannot be read, or a pattern is malformed.
pub fn directories(
    target: &Target,
    dockerfile: (&str, &str),
) -> Result<BTreeSet<PathBuf>, TransferError> {
    let mut found = BTreeSet::new();
    for source in sources(target, dockerfile)? {
        // Its ignore file stands there, and what a build lacks would.
        found.insert(source.directory.clone());
        for path in source.uses.iter().flat_map(|(reader, _)| &reader.paths) {
            let path = source.directory.join(path.trim_start_matches('/'));
            found.extend(path.parent().filter(|it| it.is_dir()).map(Path::to_owned));
        }
        source.see_wanted(|path, is_directory| {
            let path = source.directory.join(OsStr::from_bytes(path));
            match is_directory {
                true => _ = found.insert(path),
                false => found.extend(path.parent().map(Path::to_owned)),
            }
        })?;
    }
    Ok(found)
}
