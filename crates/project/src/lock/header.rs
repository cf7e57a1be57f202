//! The first lines of a lock file.
//!
//! What the locks were made of stands in the light part alone: the heavy part is mounted by the step that installs torch,
//! which runs again when a byte of it changes. The light part holds a digest of both, so that a stale, edited or foreign
//! heavy part is known without a resolution, a network or an engine.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::lock::project::Selection;
use crate::lock::torch::Torch;

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
    /// What of a project it holds.
    pub selection: Selection,
    /// The build of PyTorch.
    pub torch: Option<Torch>,
    /// Digest of both parts below their headers.
    pub pins: String,
}

impl Header {
    /// The header in a light part, `None` where there is none that this program wrote.
    pub fn find(text: &str) -> Option<Self> {
        let line = text.lines().find_map(|line| line.strip_prefix(MARK))?;
        let value =
            |key: &str| line.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        let list = |key: &str| -> Vec<String> {
            value(key).into_iter().flat_map(|text| text.split(',')).map(str::to_owned).collect()
        };
        Some(Self {
            python: value("python")?.to_owned(),
            threshold: value("threshold")?.parse().ok()?,
            inputs: value("inputs")?.to_owned(),
            pins: value("pins")?.to_owned(),
            selection: Selection::new(&list("extras"), &list("groups")),
            torch: value("torch").and_then(Torch::parse),
        })
    }

    /// The first lines of the light part, whose other part is `heavy`.
    pub fn text(&self, source: &str, heavy: &str) -> String {
        let mut text = format!(
            "{}{MARK}python={} threshold={} inputs={} pins={}",
            introduction(source, heavy),
            self.python,
            self.threshold,
            self.inputs,
            self.pins
        );
        for (key, names) in [("extras", &self.selection.extras), ("groups", &self.selection.groups)]
        {
            if !names.is_empty() {
                let _ = write!(text, " {key}={}", names.join(","));
            }
        }
        if let Some(torch) = &self.torch {
            let _ = write!(text, " torch={}", torch.text());
        }
        text + "\n"
    }
}

/// What both parts begin with; all that the heavy part has above its packages.
pub fn introduction(source: &str, other: &str) -> String {
    format!(
        "# Pinned by `doc2md-docker lock` from {source}: edit that file, then run it again.\n\
         # Resolved together with {other}; install both, without dependencies.\n"
    )
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
    hex::encode(&hash.finalize()[..16])
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
            selection: Selection::default(),
            torch: None,
        };
        let text = header.text("requirements.in", "requirements.heavy.lock");
        assert_eq!(Header::find(&text).unwrap(), header);
        assert_eq!(
            body(&format!("{text}a==1 \\\n    --hash=x\n    # via b\n")),
            "a==1 \\\n    --hash=x\n    # via b\n"
        );
        assert_eq!(Header::find("a==1\n"), None);
        let names = |names: &[&str]| names.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
        let header = Header {
            selection: Selection::new(&names(&["web", "all"]), &names(&["ml"])),
            torch: Some(Torch::new("cpu", None)),
            ..header
        };
        let text = header.text("pyproject.toml", "requirements-all-web-ml.heavy.lock");
        assert_eq!(Header::find(&text).unwrap(), header);
    }

    #[test]
    fn text_that_moves_between_parts_counts() {
        assert_ne!(digest(["ab", "c"]), digest(["a", "bc"]));
    }
}
