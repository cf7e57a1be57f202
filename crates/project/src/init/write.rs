//! Looks at what a plan would replace, and writes one: every file appears whole or not at all.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::files::partial::{self, PartialFile};
use crate::files::write;
use crate::init::plan::{File, Occupant, Plan};

/// What is already at `path` below `folder`.
///
/// # Errors
/// A file is there that cannot be read.
pub fn look(folder: &Path, path: &str) -> io::Result<Occupant> {
    let mut place = folder.to_owned();
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        place.push(part);
        let is_last = parts.peek().is_none();
        let found = match fs_err::symlink_metadata(&place) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Occupant::Absent),
            Err(error) => return Err(error),
        };
        let shown = place.strip_prefix(folder).unwrap_or(&place).display();
        let obstacle = |what: String| Ok(Occupant::Obstacle(what));
        match (is_last, found.file_type()) {
            (true, kind) if kind.is_file() => return fs_err::read(&place).map(Occupant::File),
            (true, kind) if kind.is_dir() => return obstacle("is a folder".to_owned()),
            // Replacing a link would not change the file behind it, writing through it would.
            (true, kind) if kind.is_symlink() => return obstacle("is a symbolic link".to_owned()),
            (true, _) => return obstacle("is not a plain file".to_owned()),
            (false, kind) if kind.is_symlink() && leads_out(folder, &place) => {
                return obstacle(format!("{shown} leads out of the folder"));
            }
            (false, kind) if kind.is_dir() || place.is_dir() => {}
            (false, _) => return obstacle(format!("{shown} is not a folder")),
        }
    }
    Ok(Occupant::Absent)
}

/// Whether a link to a folder ends somewhere else than below `folder`.
fn leads_out(folder: &Path, place: &Path) -> bool {
    let ends = |path: &Path| fs_err::canonicalize(path).ok();
    ends(place).zip(ends(folder)).is_some_and(|(end, folder)| !end.starts_with(folder))
}

/// Writes what `plan` says below `folder`, which is made if need be. All new content is on the disk
/// before the first file appears, so a full disk or a read-only folder leaves everything as it was.
///
/// # Errors
/// A file or folder cannot be made; folders that were made for it are removed again.
pub fn write(folder: &Path, plan: &Plan) -> io::Result<()> {
    let mut made = Vec::new();
    let written = stage(folder, plan, &mut made).and_then(|staged| {
        for (file, path) in staged {
            write::name(file, &path)?;
        }
        Ok(())
    });
    if written.is_err() {
        // Innermost first; one that meanwhile holds something stays.
        for folder in made.iter().rev() {
            let _ = fs_err::remove_dir(folder);
        }
    }
    written
}

fn stage(
    folder: &Path,
    plan: &Plan,
    made: &mut Vec<PathBuf>,
) -> io::Result<Vec<(PartialFile, PathBuf)>> {
    plan.to_write()
        .map(|File { path, text, .. }| {
            let path = folder.join(path);
            let parent = path.parent().unwrap_or(folder);
            make_folder(parent, made)?;
            partial::sweep(parent);
            let mut file = write::beside(&path)?;
            file.write_all(text.as_bytes())?;
            Ok((file, path))
        })
        .collect()
}

fn make_folder(folder: &Path, made: &mut Vec<PathBuf>) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folder(parent, made)?;
    }
    fs_err::create_dir(folder)?;
    made.push(folder.to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_stands_in_the_way_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| look(folder.path(), path).unwrap();
        fs_err::write(folder.path().join("file"), "x").unwrap();
        fs_err::create_dir(folder.path().join("folder")).unwrap();
        assert_eq!(at("new/file"), Occupant::Absent);
        assert_eq!(at("file"), Occupant::File(b"x".to_vec()));
        assert_eq!(at("folder"), Occupant::Obstacle("is a folder".to_owned()));
        assert_eq!(at("file/below"), Occupant::Obstacle("file is not a folder".to_owned()));
        std::os::unix::fs::symlink("nowhere", folder.path().join("link")).unwrap();
        assert_eq!(at("link"), Occupant::Obstacle("is a symbolic link".to_owned()));
        assert_eq!(at("link/below"), Occupant::Obstacle("link is not a folder".to_owned()));
        std::os::unix::fs::symlink("folder", folder.path().join("inside")).unwrap();
        assert_eq!(at("inside/new"), Occupant::Absent);
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("out")).unwrap();
        assert_eq!(at("out/new"), Occupant::Obstacle("out leads out of the folder".to_owned()));
    }

    #[test]
    fn a_failure_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("file"), "x").unwrap();
        let files =
            ["a/b/new", "file/below"].map(|path| (File::new(path, "text"), Occupant::Absent));
        let plan = Plan::new(files.to_vec(), false);
        write(folder.path(), &plan).unwrap_err();
        let left: Vec<_> = fs_err::read_dir(folder.path()).unwrap().flatten().collect();
        assert_eq!(left.len(), 1, "{left:?}");

        let plan = Plan::new(vec![(File::new("a/b/new", "text"), Occupant::Absent)], false);
        write(&folder.path().join("below"), &plan).unwrap();
        assert_eq!(fs_err::read_to_string(folder.path().join("below/a/b/new")).unwrap(), "text");
    }
}
