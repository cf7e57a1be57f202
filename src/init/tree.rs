//! What `init` knows of a folder: the paths in it and the text of the files that tell how the app is built.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

/// Folders that hold no code of the project.
const SKIPPED: &[&str] = &[
    "__pycache__",
    "build",
    "dist",
    "env",
    "node_modules",
    "site-packages",
    "target",
    "venv",
    "virtualenv",
];
/// How deep below the folder modules are looked for.
const DEPTH: usize = 6;
/// How many files are looked at before the search ends.
const FILES: usize = 20_000;
/// A text file above this size in bytes is data.
const TEXT: u64 = 1 << 20;

/// Paths are relative to the folder, with `/` between their parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// Every file that was seen.
    pub files: BTreeSet<String>,
    /// Text of Python sources and of files that name requirements.
    pub texts: BTreeMap<String, String>,
    /// The folder has more than was looked at.
    pub truncated: bool,
}

impl Tree {
    /// Reads `folder`; one that is not there is empty. Links are not followed.
    ///
    /// # Errors
    /// `folder` cannot be listed. Files below it that cannot be read count as not being there.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        match fs_err::read_dir(folder) {
            Ok(entries) => tree.add(entries, "", 0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(tree)
    }

    fn add(&mut self, entries: fs_err::ReadDir, prefix: &str, depth: usize) {
        let mut entries: Vec<_> = entries.flatten().collect();
        entries.sort_by_key(fs_err::DirEntry::file_name);
        for entry in entries {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let Ok(kind) = entry.file_type() else { continue };
            let path = format!("{prefix}{name}");
            if self.files.len() >= FILES {
                self.truncated = true;
                return;
            }
            if kind.is_dir() {
                if name.starts_with('.') || SKIPPED.contains(&name.as_str()) {
                    continue;
                }
                // A virtual environment under any name.
                if entry.path().join("pyvenv.cfg").exists() {
                    continue;
                }
                if depth == DEPTH {
                    self.truncated = true;
                } else if let Ok(below) = fs_err::read_dir(entry.path()) {
                    self.add(below, &format!("{path}/"), depth + 1);
                }
            } else if kind.is_file() {
                let is_small = entry.metadata().is_ok_and(|metadata| metadata.len() <= TEXT);
                if is_small
                    && tells(&path)
                    && let Ok(text) = fs_err::read_to_string(entry.path())
                {
                    self.texts.insert(path.clone(), text);
                }
                self.files.insert(path);
            }
        }
    }

    /// A tree of these files, for callers that have no folder.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.files.insert((*path).to_owned());
            if tells(path) {
                tree.texts.insert((*path).to_owned(), (*text).to_owned());
            }
        }
        tree
    }

    /// The text of a file, where it was read.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// Whether there is such a file.
    pub fn has(&self, path: &str) -> bool {
        self.files.contains(path)
    }

    /// Whether any file lies in the folder `path`.
    pub fn has_folder(&self, path: &str) -> bool {
        self.below(path).next().is_some()
    }

    /// Files in the folder `path` and below; all for the empty path.
    pub fn below<'a>(&'a self, path: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        self.files
            .range(prefix.clone()..)
            .map(String::as_str)
            .take_while(move |file| file.starts_with(&prefix))
    }

    /// Python sources with their text.
    pub fn python(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts
            .iter()
            .filter(|(path, _)| path.ends_with(".py"))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }
}

/// Whether the text of a file tells something about the app.
fn tells(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.ends_with(".py")
        || name == "pyproject.toml"
        || name.ends_with(".lock")
        || [".txt", ".in"].iter().any(|end| name.ends_with(end))
}

/// `parent/name`, where the parent may be the folder itself.
pub fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
}

/// The folder a path lies in; the empty path for the folder itself.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reading_leaves_out_environments_and_hidden_folders() {
        let folder = tempfile::tempdir().unwrap();
        for path in [
            "api/main.py",
            "requirements.txt",
            "logo.png",
            ".git/config.txt",
            "venv/lib/a.py",
            "own-name/lib/b.py",
            "own-name/pyvenv.cfg",
            "a/b/c/d/e/f/g/deep.py",
        ] {
            let path = folder.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "x").unwrap();
        }
        let tree = Tree::read(folder.path()).unwrap();
        assert_eq!(
            tree.files.iter().collect::<Vec<_>>(),
            ["api/main.py", "logo.png", "requirements.txt"]
        );
        assert_eq!(tree.texts.keys().collect::<Vec<_>>(), ["api/main.py", "requirements.txt"]);
        assert!(tree.truncated);
        assert_eq!(Tree::read(&folder.path().join("none")).unwrap(), Tree::default());
    }

    #[test]
    fn folders_are_prefixes_of_paths() {
        let tree = Tree::of(&[("api/a.py", ""), ("api2/b.py", ""), ("c.py", "")]);
        assert_eq!(tree.below("api").collect::<Vec<_>>(), ["api/a.py"]);
        assert_eq!(tree.below("").count(), 3);
        assert!(tree.has_folder("api2") && !tree.has_folder("ap"));
        assert_eq!((parent("a/b/c"), parent("c"), join("", "x").as_str()), ("a/b", "", "x"));
    }
}
