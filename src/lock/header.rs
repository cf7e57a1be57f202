//! The first lines of a lock file: what it was made of, so that a stale one is known without a
//! resolution, a network or an engine.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

const MARK: &str = "# lock: ";

/// What a lock was made with and holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Oldest Python it works with.
    pub python: String,
    /// Bytes of a wheel from which a package is heavy.
    pub threshold: u64,
    /// Digest of the requirement files.
    pub inputs: String,
    /// Digest of both parts' packages.
    pub pins: String,
}

impl Header {
    /// The header in a lock file, `None` where there is none this program wrote.
    pub fn find(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|line| line.strip_prefix(MARK))?;
        let value =
            |key: &str| line.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        Some(Self {
            python: value("python")?.to_owned(),
            threshold: value("threshold")?.parse().ok()?,
            inputs: value("inputs")?.to_owned(),
            pins: value("pins")?.to_owned(),
        })
    }

    /// The header as text, for the lock of `source` whose other part is `other`.
    pub fn text(&self, source: &str, other: &str) -> String {
        let mut text = String::new();
        let _ = writeln!(
            text,
            "# Pinned by `doc2md-docker lock` from {source}: edit that file, then run it again.\n\
             # Resolved together with {other}; install both, without dependencies.\n\
             {MARK}python={} threshold={} inputs={} pins={}",
            self.python, self.threshold, self.inputs, self.pins
        );
        text
    }
}

/// The lines of a lock below its comments: packages and index options.
pub fn body(text: &str) -> String {
    text.lines().skip_while(|line| line.starts_with('#')).fold(String::new(), |mut body, line| {
        body.push_str(line);
        body.push('\n');
        body
    })
}

/// A digest of `parts`, each with its length, so that moving text between them changes it.
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(16).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_written_is_found_again() {
        let header = Header {
            python: "3.11".into(),
            threshold: 10_000_000,
            inputs: digest(["a"]),
            pins: digest(["b", "c"]),
        };
        let text = header.text("requirements.in", "requirements.heavy.lock");
        assert_eq!(Header::find(&text).unwrap(), header);
        assert_eq!(
            body(&format!("{text}a==1 \\\n    --hash=x\n    # via b\n")),
            "a==1 \\\n    --hash=x\n    # via b\n"
        );
        assert_eq!(Header::find("a==1\n"), None);
    }

    #[test]
    fn text_that_moves_between_parts_counts() {
        assert_ne!(digest(["ab", "c"]), digest(["a", "bc"]));
    }
}
