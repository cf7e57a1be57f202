//! A requirement file and those it includes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::files::read;
use crate::lock::error::SourceError;
use crate::lock::indexes::IndexOptions;
use crate::lock::paths::clean;

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
    pub fn read(path: &Path) -> Result<Self, SourceError> {
        let path = clean(path);
        let mut files = BTreeMap::new();
        let mut waiting = vec![path.clone()];
        while let Some(next) = waiting.pop() {
            if files.contains_key(&next) {
                continue;
            }
            let text = read::text(&next, read::TEXT)
                .map_err(|source| SourceError::Read { path: next.clone(), source })?;
            let folder = next.parent().unwrap_or(Path::new("/"));
            waiting.extend(included(&text).map(|name| clean(&folder.join(name))));
            files.insert(next, text);
        }
        Ok(Self { path, files })
    }

    /// Lines that name package indexes.
    pub fn index_options(&self) -> IndexOptions {
        let mut options = IndexOptions::default();
        for line in self.files.values().flat_map(|text| text.lines()) {
            options.add(line.trim());
        }
        options
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::lock::source::Source;

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
        let requirements = Requirements::read(&source).unwrap();
        let read = Source::Requirements(requirements.clone());
        assert_eq!(requirements.files.len(), 3);
        assert_eq!(read.root(), folder.path());
        assert_eq!(read.index_options().text(), "--extra-index-url https://example.org/simple\n");
        assert!(read.index_options().without_additions().is_empty());
        let before = read.digest();
        write("workers/c.txt", "a<2\r\n");
        let digest = || Source::Requirements(Requirements::read(&source).unwrap()).digest();
        assert_eq!(digest(), before);
        write("base.in", "b<3\n");
        assert_ne!(digest(), before);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Requirements::read(Path::new("/nowhere/requirements.in")).unwrap_err();
        assert_eq!(error.to_string(), "failed to read /nowhere/requirements.in");
    }
}
