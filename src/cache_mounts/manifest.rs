//! What is said of saved mounts: `manifest.json` beside their archives.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::value::Costs;

/// Name and version of the document.
pub const SCHEMA: &str = "doc2md-docker/cache/v1";
/// What it is called.
pub const FILE: &str = "manifest.json";
/// Larger than any.
pub const LIMIT: u64 = 16 << 20;
/// How names of archives end.
const ENDING: &str = ".tar.zst";
/// How names of what tells entries end.
const INDEX_ENDING: &str = ".index";

/// Why a manifest is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is not one.
    #[error("not a manifest of saved cache mounts: {0}")]
    Format(#[from] serde_json::Error),
    /// It is that of another program, or of a later release.
    #[error("its schema is {0:?}, not {SCHEMA:?}")]
    Schema(String),
    /// It names what this program does not write.
    #[error("{0:?} is not the name of an archive")]
    Name(String),
    /// It names what is not there by something else than a digest.
    #[error("{0:?} is not a digest")]
    Digest(String),
}

/// The document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: String,
    /// The mounts, by what [`super::CacheMount::slug`] calls them.
    pub mounts: BTreeMap<String, SavedMount>,
    /// What steps take with and without what mounts hold, by the same names; of mounts that are not saved, too.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub costs: BTreeMap<String, Costs>,
    /// How fast mounts were read and packed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<f64>,
}

/// An archive of a mount that has several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lower {
    /// Its name.
    pub archive: String,
    /// The digest of the archive as it stands there.
    pub archive_digest: String,
    /// Bytes of it.
    pub archive_bytes: u64,
    /// The digest of the tar archive within.
    pub digest: String,
}

/// What tells which entries a mount has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexFile {
    /// Its name.
    pub file: String,
    /// The digest of the file.
    pub digest: String,
    /// Bytes of it.
    pub bytes: u64,
}

impl IndexFile {
    /// The file.
    pub fn stored(&self) -> StoredFile<'_> {
        StoredFile { name: &self.file, digest: &self.digest, bytes: self.bytes }
    }
}

/// A file that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredFile<'a> {
    /// Its name.
    pub name: &'a str,
    /// The digest of the file.
    pub digest: &'a str,
    /// Bytes of it.
    pub bytes: u64,
}

/// A saved mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedMount {
    /// As it stands in Dockerfiles, with a namespace before it where there is one.
    pub id: String,
    /// Where steps see it.
    pub target: String,
    /// The name of the archive.
    pub archive: String,
    /// The digest of the archive as it stands there.
    pub archive_digest: String,
    /// Bytes of it.
    pub archive_bytes: u64,
    /// The digest of the tar archive within: the same for the same contents.
    pub digest: String,
    /// Archives that this one adds to, the oldest first: it has what was new.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub below: Vec<Lower>,
    /// What tells which entries of all archives the mount has; small mounts have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexFile>,
    /// Bytes of its files.
    pub bytes: u64,
    /// How many.
    pub files: u64,
    /// What its contents look like from outside.
    pub summary: String,
    /// The same for what was in the mount, where files were left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untrimmed_summary: Option<String>,
    /// How many bytes were allowed, where files were left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// When it was saved.
    pub saved_at: Timestamp,
    /// The engine's release.
    pub engine: String,
    /// The kernel's name of its machine.
    pub architecture: String,
    /// Digests of lock files of the services that use it, by the paths in the project.
    pub locks: BTreeMap<String, String>,
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            mounts: BTreeMap::new(),
            costs: BTreeMap::new(),
            bytes_per_second: None,
        }
    }
}

impl Manifest {
    /// Reads one.
    ///
    /// # Errors
    /// It is none of this program, or names what lies elsewhere.
    pub fn read(text: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Head {
            schema: String,
        }
        let head: Head = serde_json::from_slice(text)?;
        if head.schema != SCHEMA {
            return Err(ManifestError::Schema(head.schema));
        }
        let manifest: Self = serde_json::from_slice(text)?;
        for mount in manifest.mounts.values() {
            for stored in mount.stored() {
                if !is_ours(stored.name) {
                    return Err(ManifestError::Name(stored.name.to_owned()));
                }
                if !is_digest(stored.digest) {
                    return Err(ManifestError::Digest(stored.digest.to_owned()));
                }
            }
        }
        Ok(manifest)
    }

    /// The document.
    pub fn text(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// Whether a file of this name is one of ours that nothing here names: what a dead run left.
    pub fn is_leftover(&self, name: &str) -> bool {
        let is_named = |mount: &SavedMount| mount.stored().any(|stored| stored.name == name);
        is_ours(name) && !self.mounts.values().any(is_named)
    }
}

impl SavedMount {
    /// Its archives, the oldest first.
    pub fn archives(&self) -> impl Iterator<Item = StoredFile<'_>> {
        let newest = StoredFile {
            name: &self.archive,
            digest: &self.archive_digest,
            bytes: self.archive_bytes,
        };
        let lower = self.below.iter().map(|it| StoredFile {
            name: &it.archive,
            digest: &it.archive_digest,
            bytes: it.archive_bytes,
        });
        lower.chain([newest])
    }

    /// Digests of the tar archives within, in the same order.
    pub fn digests(&self) -> impl Iterator<Item = &String> {
        self.below.iter().map(|it| &it.digest).chain([&self.digest])
    }

    /// All files that are kept of it.
    pub fn stored(&self) -> impl Iterator<Item = StoredFile<'_>> {
        self.archives().chain(self.index.as_ref().map(IndexFile::stored))
    }

    /// Bytes of its archives.
    pub fn archives_bytes(&self) -> u64 {
        self.archives().map(|it| it.bytes).sum()
    }

    /// Whether a mount with this summary is what was saved, with files of up to `max_bytes`.
    pub fn is_of(&self, summary: &str, max_bytes: Option<u64>) -> bool {
        let is_small = max_bytes.is_none_or(|most| self.bytes <= most);
        let as_much =
            self.untrimmed_summary.as_deref() == Some(summary) && self.max_bytes == max_bytes;
        (self.summary == summary && is_small) || as_much
    }
}

/// The name of the archive of a mount with these contents.
pub fn archive_name(slug: &str, digest: &str) -> String {
    named(slug, digest, ENDING)
}

/// The name of what tells the entries of a mount, with this digest.
pub fn index_name(slug: &str, digest: &str) -> String {
    named(slug, digest, INDEX_ENDING)
}

fn named(slug: &str, digest: &str, ending: &str) -> String {
    let digest = digest.trim_start_matches("sha256:");
    format!("{slug}.{}{ending}", digest.get(..12).unwrap_or(digest))
}

/// Whether a file of this name is an archive, and not what tells its entries.
pub fn is_archive(name: &str) -> bool {
    name.ends_with(ENDING)
}

/// Whether this program may have given a file this name: a slug and digits of two digests, then an ending.
fn is_ours(name: &str) -> bool {
    let name = name.strip_suffix(ENDING).or_else(|| name.strip_suffix(INDEX_ENDING));
    let Some((slug, digest)) = name.and_then(|name| name.rsplit_once('.')) else {
        return false;
    };
    let is_plain = slug.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let key = slug.rsplit('-').next().unwrap_or_default();
    is_plain && key.len() == 8 && is_hex(key) && digest.len() == 12 && is_hex(digest)
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|digits| digits.len() == 64 && is_hex(digits))
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn saved(archive: &str) -> SavedMount {
        SavedMount {
            id: "/c".into(),
            target: "/c".into(),
            archive: archive.into(),
            archive_digest: DIGEST.into(),
            archive_bytes: 1,
            digest: "sha256:1".into(),
            below: Vec::new(),
            index: None,
            bytes: 10,
            files: 1,
            summary: "s".into(),
            untrimmed_summary: None,
            max_bytes: None,
            saved_at: Timestamp::UNIX_EPOCH,
            engine: "28.5.2".into(),
            architecture: "x86_64".into(),
            locks: [("uv.lock".to_owned(), "sha256:2".to_owned())].into(),
        }
    }

    const NAME: &str = "root-cache-pip-01234567.0123456789ab.tar.zst";

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn what_is_written_is_read() {
        let mut manifest = Manifest::default();
        manifest.mounts.insert("c".into(), saved(NAME));
        assert_eq!(Manifest::read(&manifest.text()).unwrap(), manifest);
        assert!(!manifest.is_leftover(NAME) && !manifest.is_leftover("manifest.json"));
        assert!(manifest.is_leftover("x-01234567.0123456789ab.tar.zst"));
        let name = archive_name("c-01234567", "sha256:0123456789abcdef");
        assert_eq!(name, "c-01234567.0123456789ab.tar.zst");
    }

    #[test]
    fn a_manifest_names_nothing_elsewhere() {
        for archive in [
            "../x",
            "/etc/passwd",
            "a/b-01234567.0123456789ab.tar.zst",
            "..tar.zst",
            "x.tar.zst",
            "x-0123456Z.0123456789ab.tar.zst",
        ] {
            let mut manifest = Manifest::default();
            manifest.mounts.insert("c".into(), saved(archive));
            let refused = Manifest::read(&manifest.text()).unwrap_err();
            assert!(matches!(refused, ManifestError::Name(_)), "{archive}: {refused}");
        }
        for name in ["../x.index", "x-01234567.0123456789ab.tar", ""] {
            let index = IndexFile { file: name.to_owned(), digest: DIGEST.to_owned(), bytes: 8 };
            let lower = Lower {
                archive: name.to_owned(),
                archive_digest: DIGEST.to_owned(),
                archive_bytes: 1,
                digest: String::new(),
            };
            for mount in [
                SavedMount { index: Some(index), ..saved(NAME) },
                SavedMount { below: vec![lower], ..saved(NAME) },
            ] {
                let mut manifest = Manifest::default();
                manifest.mounts.insert("c".into(), mount);
                let refused = Manifest::read(&manifest.text()).unwrap_err();
                assert!(matches!(refused, ManifestError::Name(_)), "{name}: {refused}");
            }
        }
        for digest in ["sha256:0", "../../x", "", &DIGEST.to_uppercase()] {
            let mut manifest = Manifest::default();
            let archive_digest = digest.to_owned();
            manifest.mounts.insert("c".into(), SavedMount { archive_digest, ..saved(NAME) });
            let refused = Manifest::read(&manifest.text()).unwrap_err();
            assert!(matches!(refused, ManifestError::Digest(_)), "{digest}: {refused}");
        }
        for text in
            ["", "{}", "[]", r#"{"schema":"other/v1"}"#, r#"{"schema":"doc2md-docker/cache/v1"}"#]
        {
            assert!(Manifest::read(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn unchanged_is_what_was_saved_or_what_it_was_saved_from() {
        let plain = saved(NAME);
        assert!(plain.is_of("s", None) && plain.is_of("s", Some(10)));
        assert!(!plain.is_of("t", None) && !plain.is_of("s", Some(9)));
        let trimmed =
            SavedMount { untrimmed_summary: Some("t".into()), max_bytes: Some(10), ..saved(NAME) };
        assert!(trimmed.is_of("s", Some(10)) && trimmed.is_of("t", Some(10)));
        assert!(!trimmed.is_of("t", Some(20)) && !trimmed.is_of("t", None));
    }
}
