//! Where requirement files are looked for when none is named.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Every requirements*.in in the folders `contexts` and in the folders right below them.
pub fn find<'a>(contexts: impl IntoIterator<Item = &'a Path>) -> Vec<PathBuf> {
    let mut found = BTreeSet::new();
    for context in contexts {
        let below = entries(context)
            .into_iter()
            .filter(|path| path.is_dir() && !name(path).starts_with('.'));
        for folder in std::iter::once(context.to_owned()).chain(below) {
            found.extend(entries(&folder).into_iter().filter(|path| {
                let name = name(path);
                name.starts_with("requirements") && name.ends_with(".in") && path.is_file()
            }));
        }
    }
    found.into_iter().collect()
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
        assert_eq!(found, wanted.map(|path| folder.path().join(path)));
    }
}
