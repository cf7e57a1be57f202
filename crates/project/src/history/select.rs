//! From what a user writes to the build that is meant: `latest`, `latest~2`, or the beginning of an id.

use crate::counted::counted;
use crate::history::BuildFile;

/// A build that is not clear.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// There is none.
    #[error("the ledger has no build {0:?}")]
    NotFound(String),
    /// `latest~N` goes back further than the ledger.
    #[error("{spec} goes back too far: the ledger has {}", counted(*have, "build"))]
    TooFarBack {
        /// What was written.
        spec: String,
        /// How many there are.
        have: usize,
    },
    /// Several begin so.
    #[error("several builds begin with {spec:?}: {}", candidates.join(", "))]
    Ambiguous {
        /// What was written.
        spec: String,
        /// Their ids, at most five.
        candidates: Vec<String>,
    },
}

/// The one of `builds` (newest first) that `spec` means.
///
/// # Errors
/// None or several are meant.
pub fn select<'a>(builds: &'a [BuildFile], spec: &str) -> Result<&'a BuildFile, SelectError> {
    let not_found = || SelectError::NotFound(spec.to_owned());
    if let Some(rest) = spec.strip_prefix("latest") {
        let back = match rest.strip_prefix('~') {
            None if rest.is_empty() => 0,
            Some("") => 1,
            Some(number) => number.parse::<usize>().map_err(|_| not_found())?,
            None => return Err(not_found()),
        };
        let too_far = || match builds.len() {
            0 => not_found(),
            have => SelectError::TooFarBack { spec: spec.to_owned(), have },
        };
        return builds.get(back).ok_or_else(too_far);
    }
    if spec.is_empty() {
        return Err(not_found());
    }
    let spec_id = spec.to_ascii_lowercase();
    let mut meant = builds.iter().filter(|build| build.id.as_str().starts_with(&spec_id));
    let first = meant.next().ok_or_else(not_found)?;
    let mut candidates: Vec<String> = meant.take(4).map(|build| build.id.to_string()).collect();
    if candidates.is_empty() {
        return Ok(first);
    }
    candidates.insert(0, first.id.to_string());
    Err(SelectError::Ambiguous { spec: spec.to_owned(), candidates })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::history::{Outcome, Store, testing::build};

    fn stored(ids: &[&str]) -> Vec<BuildFile> {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path());
        for id in ids {
            let id = crate::history::BuildId::parse(id).unwrap();
            store
                .append(&crate::history::Entry { id, ..build(1, Outcome::Succeeded, vec![]) })
                .unwrap();
        }
        store.entries("p").unwrap()
    }

    #[test]
    fn beginnings_and_places_are_understood() {
        let builds = stored(&["mhx100000000", "mhx2aaaaaaaa", "mhx2bbbbbbbb"]);
        let id = |spec: &str| select(&builds, spec).map(|build| build.id.to_string());
        assert_eq!(id("latest").unwrap(), "mhx2bbbbbbbb");
        assert_eq!(id("latest~").unwrap(), "mhx2aaaaaaaa");
        assert_eq!(id("latest~2").unwrap(), "mhx100000000");
        assert_eq!(id("mhx1").unwrap(), "mhx100000000");
        assert_eq!(id("MHX2A").unwrap(), "mhx2aaaaaaaa");
        assert_eq!(id("mhx2bbbbbbbb").unwrap(), "mhx2bbbbbbbb");
        let text = |spec: &str| id(spec).unwrap_err().to_string();
        assert_eq!(text("latest~3"), "latest~3 goes back too far: the ledger has 3 builds");
        assert_eq!(text("mhx2"), "several builds begin with \"mhx2\": mhx2bbbbbbbb, mhx2aaaaaaaa");
        for spec in ["", "zz", "latest~x", "latest2", "~1", "latest~99999999999999999999999"] {
            assert_eq!(id(spec), Err(SelectError::NotFound(spec.into())), "{spec}");
        }
        assert_eq!(select(&[], "latest"), Err(SelectError::NotFound("latest".into())));
    }
}
