//! What `init` knows of a folder: the paths in it and the text of the files that say how the app is built.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use crate::init::source::{self, Imports, Statement};

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
const DEPTH: usize = 12;
/// How many files are looked at before the search ends.
const FILES: usize = 20_000;
/// A text file above this size in bytes is data; a lock may be larger.
const TEXT: u64 = 1 << 20;
const LOCK: u64 = 64 << 20;

/// Paths are relative to the folder, with `/` between their parts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tree {
    /// Every file that was seen.
    pub files: BTreeSet<String>,
    /// Text of files that name requirements or a Python.
    texts: BTreeMap<String, String>,
    /// Python sources.
    sources: BTreeMap<String, Source>,
    /// Tables of TOML files.
    tables: BTreeMap<String, toml::Table>,
    /// The folder holds more than the beginnings of a repository.
    pub has_content: bool,
    /// There are more files than were looked at.
    pub truncated: bool,
    /// A folder that is nested too deeply to be looked at.
    pub too_deep: Option<String>,
}

/// A Python source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// Its text.
    pub text: String,
    /// Its logical lines.
    pub statements: Vec<Statement>,
    /// What it imports.
    pub imports: Imports,
}

impl Tree {
    /// Reads `folder`; one that is not there is empty. Links are not followed.
    ///
    /// # Errors
    /// `folder` cannot be listed. Files below it that cannot be read count as not being there.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let mut tree = Self::default();
        match fs_err::read_dir(folder) {
            Ok(entries) => {
                tree.has_content = fs_err::read_dir(folder)?.flatten().any(|entry| {
                    let name = entry.file_name();
                    let name = name.to_string_lossy();
                    ![".git", "LICENSE", "README"].iter().any(|start| name.starts_with(start))
                });
                tree.add(entries, "", 0);
            }
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
                    self.too_deep.get_or_insert(path);
                } else if let Ok(below) = fs_err::read_dir(entry.path()) {
                    self.add(below, &format!("{path}/"), depth + 1);
                }
            } else if kind.is_file() {
                let limit = if name.ends_with(".lock") { LOCK } else { TEXT };
                let is_small = entry.metadata().is_ok_and(|metadata| metadata.len() <= limit);
                let text = (is_small && tells(&path)).then(|| fs_err::read(entry.path()).ok());
                self.insert(&path, text.flatten().as_deref());
            }
        }
    }

    fn insert(&mut self, path: &str, content: Option<&[u8]>) {
        self.files.insert(path.to_owned());
        let Some(text) = content.map(decoded) else { return };
        let name = path.rsplit('/').next().unwrap_or(path);
        // What uv.lock says of the project stands above its packages.
        let head = if name == "uv.lock" { text.split("[[package]]").next() } else { Some(&*text) };
        if ["Pipfile", "pyproject.toml", "uv.lock"].contains(&name)
            && let Some(Ok(table)) = head.map(toml::from_str)
        {
            self.tables.insert(path.to_owned(), table);
        }
        if name.ends_with(".py") {
            let statements = source::statements(&text);
            let imports = source::imports(&statements);
            self.sources.insert(path.to_owned(), Source { text, statements, imports });
        } else {
            self.texts.insert(path.to_owned(), text);
        }
    }

    /// A tree of these files, for callers that have no folder.
    pub fn from_files(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for (path, text) in files {
            tree.has_content = true;
            tree.insert(path, tells(path).then_some(text.as_bytes()));
        }
        tree
    }

    /// The text of a file, where it was read.
    pub fn text(&self, path: &str) -> Option<&str> {
        let source = || self.sources.get(path).map(|source| &source.text);
        self.texts.get(path).or_else(source).map(String::as_str)
    }

    /// A Python source.
    pub fn source(&self, path: &str) -> Option<&Source> {
        self.sources.get(path)
    }

    /// The table of a pyproject.toml, a Pipfile, or the head of a uv.lock, where it can be read.
    pub fn toml(&self, path: &str) -> Option<&toml::Table> {
        self.tables.get(path)
    }

    /// Whether there is such a file.
    pub fn has(&self, path: &str) -> bool {
        self.files.contains(path)
    }

    /// Whether the folder `path` has any file.
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

    /// Python sources.
    pub fn python(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.sources.iter().map(|(path, source)| (path.as_str(), source))
    }
}

/// Text in UTF-8 or, where a byte order mark says so, UTF-16.
fn decoded(bytes: &[u8]) -> String {
    let wide = |read: fn([u8; 2]) -> u16| {
        let units: Vec<u16> =
            bytes[2..].chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// Whether the text of a file says something about the app.
fn tells(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    const NAMES: [&str; 9] = [
        ".env",
        ".python-version",
        ".tool-versions",
        "Pipfile",
        "environment.yaml",
        "environment.yml",
        "pylock.toml",
        "pyproject.toml",
        "setup.cfg",
    ];
    name.ends_with(".py")
        || name == "Pipfile.lock"
        || NAMES.contains(&name)
        || name.ends_with(".lock")
        || [".txt", ".in"].iter().any(|end| name.ends_with(end))
}

/// `parent/name`, where the parent may be the folder itself.
pub fn join(parent: &str, name: &str) -> String {
    if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
}

/// The folder of a path; the empty path for the folder itself.
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
            "a/b/c/d/e/f/g/h/i/j/k/l/m/deep.py",
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
        assert!(tree.source("api/main.py").is_some() && tree.text("requirements.txt").is_some());
        assert_eq!(tree.text("logo.png"), None);
        assert_eq!(tree.too_deep.as_deref(), Some("a/b/c/d/e/f/g/h/i/j/k/l/m"));
        assert!(!tree.truncated);
        assert_eq!(Tree::read(&folder.path().join("none")).unwrap(), Tree::default());
    }

    #[test]
    fn files_are_text_by_their_byte_order_mark() {
        let folder = tempfile::tempdir().unwrap();
        let wide = |first: [u8; 2], write: fn(u16) -> [u8; 2]| -> Vec<u8> {
            first.into_iter().chain("fastapi\r\n".encode_utf16().flat_map(write)).collect()
        };
        for (name, content) in [
            ("a.txt", wide([0xff, 0xfe], u16::to_le_bytes)),
            ("b.txt", wide([0xfe, 0xff], u16::to_be_bytes)),
            ("c.txt", b"\xef\xbb\xbffastapi\r\n".to_vec()),
        ] {
            fs_err::write(folder.path().join(name), content).unwrap();
        }
        let tree = Tree::read(folder.path()).unwrap();
        for name in ["a.txt", "b.txt", "c.txt"] {
            assert_eq!(tree.text(name), Some("fastapi\r\n"), "{name}");
        }
    }

    #[test]
    fn folders_are_prefixes_of_paths() {
        let tree = Tree::from_files(&[("api/a.py", ""), ("api2/b.py", ""), ("c.py", "")]);
        assert_eq!(tree.below("api").collect::<Vec<_>>(), ["api/a.py"]);
        assert_eq!(tree.below("").count(), 3);
        assert!(tree.has_folder("api2") && !tree.has_folder("ap"));
        assert_eq!((parent("a/b/c"), parent("c"), join("", "x").as_str()), ("a/b", "", "x"));
    }
}
