//! What `--fix` would write: the files as they are, with the changes of findings.

use std::io;
use std::path::{Path, PathBuf};

use super::edit;
use super::model::Finding;
use crate::files::read;

/// A file and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// The file; it need not exist.
    pub path: PathBuf,
    /// What changes, as `diff -u` shows it.
    pub difference: String,
    /// What is to be written, with a byte order mark where there was one.
    pub text: String,
}

/// A file that cannot be read, or is not text.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", path.display())]
pub struct RepairError {
    path: PathBuf,
    source: io::Error,
}

/// The changes that `findings` have. `here` is the working directory, from which files are named.
///
/// # Errors
/// A file cannot be read.
pub fn repairs(findings: &[Finding], here: &Path) -> Result<Vec<Repair>, RepairError> {
    let one = |(path, edits): (PathBuf, Vec<edit::Edit>)| {
        let whole = match read::bytes(&path, read::TEXT) {
            Ok(bytes) => String::from_utf8(bytes).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(error),
        };
        let whole = match whole {
            Ok(text) => text,
            Err(source) => return Err(RepairError { path, source }),
        };
        let text = read::without_mark(&whole);
        let mark = &whole[..whole.len() - text.len()];
        let name = path.strip_prefix(here).unwrap_or(&path).display().to_string();
        let difference = edit::difference(&name, text, &edits);
        let text = format!("{mark}{}", edit::apply(text, &edits));
        Ok(Repair { path, difference, text })
    };
    edit::by_file(findings).into_iter().map(one).collect()
}
