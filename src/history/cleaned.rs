//! When `clean` last removed build cache of an engine: a step that runs again after that has a reason.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use jiff::Timestamp;

use crate::files::memory;

const SCHEMA: &str = "doc2md-docker/cleaned/v1";
const LIMIT: u64 = 64 << 10;
/// Engines that are remembered; of more those that were cleaned last.
const ENGINES: usize = 100;

#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct Cleaned {
    engines: BTreeMap<String, Timestamp>,
}

/// Remembers in the file at `path` that build cache of the engine with this id was removed.
///
/// # Errors
/// What the file system says.
pub fn mark(path: &Path, engine: &str, now: Timestamp) -> io::Result<()> {
    if engine.is_empty() {
        return Ok(());
    }
    let mut cleaned: Cleaned = memory::recall(path, SCHEMA, LIMIT).unwrap_or_default();
    cleaned.engines.insert(engine.to_owned(), now);
    while cleaned.engines.len() > ENGINES {
        let oldest = cleaned.engines.iter().min_by_key(|(_, at)| **at);
        let Some(oldest) = oldest.map(|(engine, _)| engine.clone()) else { break };
        cleaned.engines.remove(&oldest);
    }
    memory::keep(path, SCHEMA, &cleaned)
}

/// When that was last, as the file at `path` says.
pub fn last(path: &Path, engine: &str) -> Option<Timestamp> {
    let cleaned: Cleaned = memory::recall(path, SCHEMA, LIMIT)?;
    cleaned.engines.get(engine).copied()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_engine_has_its_time_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/cleaned.json");
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(last(&path, "a"), None);
        mark(&path, "", at(1)).unwrap();
        assert!(!path.exists(), "an engine without an id is none");
        mark(&path, "a", at(1)).unwrap();
        mark(&path, "b", at(2)).unwrap();
        mark(&path, "a", at(3)).unwrap();
        assert_eq!((last(&path, "a"), last(&path, "b")), (Some(at(3)), Some(at(2))));
        for number in 0..99 {
            mark(&path, &format!("n{number}"), at(10)).unwrap();
        }
        assert_eq!((last(&path, "a"), last(&path, "b")), (Some(at(3)), None));
        std::fs::write(&path, "{").unwrap();
        assert_eq!(last(&path, "a"), None);
    }
}
