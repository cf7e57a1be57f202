//! What this program remembers from one run to the next: one JSON document a file, each with the name of its schema.

use std::fs::DirBuilder;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{partial, read, write};

#[derive(Serialize, Deserialize)]
struct Document<T> {
    schema: String,
    #[serde(flatten)]
    content: T,
}

/// Returns what is remembered; nothing where the file is missing, damaged, longer than `limit` bytes or of another schema.
pub fn recall<T: DeserializeOwned>(path: &Path, schema: &str, limit: u64) -> Option<T> {
    let text = read::bytes(path, limit).ok()?;
    let document: Document<T> = serde_json::from_slice(&text).ok()?;
    (document.schema == schema).then_some(document.content)
}

/// Remembers it, whole or not at all, where nobody else can read it. The folder is made where it is missing.
///
/// # Errors
/// What the file system says.
pub fn keep<T: Serialize>(path: &Path, schema: &str, content: &T) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut file = partial::file(folder, 0o600)?;
    let document = Document { schema: schema.to_owned(), content };
    file.write_all(&serde_json::to_vec(&document)?)?;
    write::name(file, path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sizes {
        sizes: BTreeMap<String, u64>,
    }

    #[test]
    fn what_is_kept_is_recalled_and_what_is_damaged_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub").join("a.json");
        let sizes = Sizes { sizes: [("a".to_owned(), 1)].into() };
        keep(&path, "sizes/v1", &sizes).unwrap();
        assert_eq!(recall(&path, "sizes/v1", 100), Some(sizes));
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(recall::<Sizes>(&path, "sizes/v2", 100), None);
        assert_eq!(recall::<Sizes>(&path, "sizes/v1", 10), None);
        for text in ["", "{", r#"{"schema":"sizes/v1"}"#, "\u{fffd}", "[]"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(recall::<Sizes>(&path, "sizes/v1", 100), None, "{text}");
        }
        assert_eq!(recall::<Sizes>(Path::new("/nowhere"), "sizes/v1", 100), None);
    }
}
