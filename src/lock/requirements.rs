//! A requirement file and those it includes.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::files::read;
use crate::lock::header::digest;

/// A requirement file that cannot be locked.
#[derive(Debug, thiserror::Error)]
pub enum RequirementsError {
    /// It, or a file it includes, cannot be read.
    #[error("failed to read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// A requirement file with everything it includes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirements {
    /// The file itself, absolute.
    pub path: PathBuf,
    /// All files by absolute path, with their text.
    pub files: BTreeMap<PathBuf, String>,
}

impl Requirements {
    /// Reads `path` (absolute) and what its `-r` and `-c` lines name.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn read(path: &Path) -> Result<Self, RequirementsError> {
        let path = clean(path);
        let mut files = BTreeMap::new();
        let mut waiting = vec![path.clone()];
        while let Some(next) = waiting.pop() {
            if files.contains_key(&next) {
                continue;
            }
            let text = read::text(&next, read::TEXT)
                .map_err(|source| RequirementsError::Read { path: next.clone(), source })?;
            let folder = next.parent().unwrap_or(Path::new("/"));
            waiting.extend(included(&text).map(|name| clean(&folder.join(name))));
            files.insert(next, text);
        }
        Ok(Self { path, files })
    }

    /// The nearest folder that holds all files.
    pub fn root(&self) -> PathBuf {
        let mut root = self.path.parent().unwrap_or(Path::new("/")).to_owned();
        while !self.files.keys().all(|file| file.starts_with(&root)) && root.pop() {}
        root
    }

    /// The file itself, relative to the root.
    pub fn name(&self) -> String {
        self.path.strip_prefix(self.root()).unwrap_or(&self.path).display().to_string()
    }

    /// Digest of all texts and of where they lie towards each other. The ends of lines do not count: git may have
    /// changed them.
    pub fn digest(&self) -> String {
        let root = self.root();
        let parts: Vec<String> = self
            .files
            .iter()
            .flat_map(|(path, text)| {
                let path = path.strip_prefix(&root).unwrap_or(path);
                [path.display().to_string(), text.replace("\r\n", "\n")]
            })
            .collect();
        digest(parts.iter().map(String::as_str))
    }

    /// Lines that name package indexes: whoever installs the lock needs them too. They are the
    /// user's own; an index configured outside the file never gets into a lock.
    pub fn index_options(&self) -> IndexOptions {
        let mut options = IndexOptions::default();
        for line in self.files.values().flat_map(|text| text.lines()) {
            options.add(line.trim());
        }
        options
    }
}

/// Options of requirement files that say where packages are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexOptions {
    lines: Vec<String>,
}

impl IndexOptions {
    /// The options among the lines of a lock.
    pub fn find(text: &str) -> Self {
        let mut options = Self::default();
        text.lines().for_each(|line| options.add(line));
        options
    }

    fn add(&mut self, line: &str) {
        const OPTIONS: [&str; 5] =
            ["-i ", "--index-url", "--extra-index-url", "--find-links", "-f "];
        if OPTIONS.iter().any(|option| line.starts_with(option))
            && !self.lines.iter().any(|known| known == line)
        {
            self.lines.push(line.to_owned());
        }
    }

    /// Those that stand for the index of all packages; the rest add places.
    #[must_use]
    pub fn without_additions(&self) -> Self {
        let is_base = |line: &&String| line.starts_with("-i ") || line.starts_with("--index-url");
        Self { lines: self.lines.iter().filter(is_base).cloned().collect() }
    }

    /// Whether every option here is one of `other`.
    pub fn are_within(&self, other: &Self) -> bool {
        self.lines.iter().all(|line| other.lines.contains(line))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// As lines.
    pub fn text(&self) -> String {
        self.lines.iter().fold(String::new(), |text, line| text + line + "\n")
    }
}

fn included(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.split(" #").next().unwrap_or_default().trim();
        let rest = ["--requirement", "--constraint", "-r", "-c"]
            .iter()
            .find_map(|option| line.strip_prefix(option))?;
        let name = rest.trim_start_matches(['=', ' ', '\t']).trim();
        // uv fetches addresses itself.
        (!name.is_empty() && !name.contains("://")).then_some(name)
    })
}

/// The path without `.` and `..`.
fn clean(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut clean, part| {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            part => clean.push(part),
        }
        clean
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn included_files_belong_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        };
        write("workers/requirements.in", "-r ../base.in\n--constraint=c.txt # why\na\n");
        write("workers/c.txt", "a<2\n");
        write(
            "base.in",
            "--extra-index-url https://example.org/simple\n-r https://example.org/r.txt\nb\n",
        );
        let source = folder.path().join("workers/./requirements.in");
        let read = Requirements::read(&source).unwrap();
        assert_eq!(read.files.len(), 3);
        assert_eq!(read.root(), folder.path());
        assert_eq!(read.index_options().text(), "--extra-index-url https://example.org/simple\n");
        assert!(read.index_options().without_additions().is_empty());
        let before = read.digest();
        write("workers/c.txt", "a<2\r\n");
        assert_eq!(Requirements::read(&source).unwrap().digest(), before);
        write("base.in", "b<3\n");
        assert_ne!(Requirements::read(&source).unwrap().digest(), before);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Requirements::read(Path::new("/nowhere/requirements.in")).unwrap_err();
        assert_eq!(error.to_string(), "failed to read /nowhere/requirements.in");
    }
}
