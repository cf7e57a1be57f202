//! Where requirement files are looked for when none is named.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::files::read;
use crate::lock::header::Header;
use crate::lock::project::{Selection, can_be_locked};

/// Something to lock.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// A requirement file or a pyproject.toml.
    pub path: PathBuf,
    /// What of a project is locked.
    pub selection: Selection,
}

/// Every requirements*.in in the folders `contexts` and in the folders right below them, and every pyproject.toml there
/// that was locked before; where there is none of them, every pyproject.toml that can be.
pub fn find<'a>(contexts: impl IntoIterator<Item = &'a Path>) -> Vec<Subject> {
    let mut files = BTreeSet::new();
    let mut projects = BTreeSet::new();
    for context in contexts {
        let below = entries(context)
            .into_iter()
            .filter(|path| path.is_dir() && !name(path).starts_with('.'));
        for folder in std::iter::once(context.to_owned()).chain(below) {
            let entries = entries(&folder);
            let is_source = |path: &&PathBuf| {
                let name = name(path);
                name.starts_with("requirements") && name.ends_with(".in") && path.is_file()
            };
            files.extend(entries.iter().filter(is_source).cloned().map(Subject::whole));
            let path = folder.join("pyproject.toml");
            files.extend(entries.iter().filter_map(|lock| {
                let selection = locked_selection(lock)?;
                Some(Subject { path: path.clone(), selection })
            }));
            if can_be_locked(&path) {
                projects.insert(Subject::whole(path));
            }
        }
    }
    if files.is_empty() { projects } else { files }.into_iter().collect()
}

impl Subject {
    fn whole(path: PathBuf) -> Self {
        Self { path, selection: Selection::default() }
    }
}

/// What of the project beside it a lock holds, `None` where it is not a project's.
fn locked_selection(lock: &Path) -> Option<Selection> {
    let name = name(lock);
    let stem = name.strip_suffix(".lock")?;
    let is_ours = stem.starts_with("requirements")
        && !stem.ends_with(".heavy")
        && lock.with_file_name("pyproject.toml").is_file()
        && !lock.with_file_name(format!("{stem}.in")).exists();
    let text = is_ours.then(|| read::text(lock, read::TEXT).ok())??;
    let selection = Header::find(&text)?.selection;
    (stem == format!("requirements{}", selection.suffix())).then_some(selection)
}

/// What lies in a folder; nothing in one that cannot be read, such as the address of a remote context.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let listed = std::fs::read_dir(folder).into_iter().flatten().flatten();
    listed.map(|entry| entry.path()).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn contexts_and_the_folders_in_them_are_searched_once() {
        let folder = tempfile::tempdir().unwrap();
        for path in [
            "requirements.in",
            "api/requirements-dev.in",
            "api/requirements.txt",
            ".hidden/requirements.in",
            "a/b/requirements.in",
            "requirements-folder.in/x",
        ] {
            let path = folder.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "").unwrap();
        }
        let remote = Path::new("https://example.org/repository.git");
        let found = find([folder.path(), folder.path(), remote]);
        let wanted = ["api/requirements-dev.in", "requirements.in"];
        let whole = |path: &str| Subject::whole(folder.path().join(path));
        assert_eq!(found, wanted.map(whole));

        // A project that nobody locked is not looked for where there are requirement files.
        let declared = "[project]\nname = 'x'\ndependencies = []\n";
        fs_err::write(folder.path().join("pyproject.toml"), declared).unwrap();
        assert_eq!(find([folder.path()]), wanted.map(whole));
        let lock = folder.path().join("requirements-web.lock");
        let mark = "# lock: python=3.11 threshold=1 inputs=a pins=b extras=web\n";
        fs_err::write(&lock, mark).unwrap();
        let selection = Selection::new(&["web".to_owned()], &[]);
        let project = Subject { path: folder.path().join("pyproject.toml"), selection };
        assert!(find([folder.path()]).contains(&project));
        fs_err::remove_file(lock).unwrap();
        for path in wanted {
            fs_err::remove_file(folder.path().join(path)).unwrap();
        }
        assert_eq!(find([folder.path()]), [whole("pyproject.toml")]);
    }
}
