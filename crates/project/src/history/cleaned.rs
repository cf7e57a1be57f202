//! When `clean` last removed build cache of an engine: a step that runs again after that, or takes longer, has a reason.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::files::memory;

const SCHEMA: &str = "doc2md-docker/cleaned/v1";
const LIMIT: u64 = 256 << 10;
/// Engines that are remembered; of more those that were cleaned last.
const ENGINES: usize = 100;
/// Cache mounts that are remembered of an engine; of more those that were removed last.
const MOUNTS: usize = 100;

#[derive(Debug, Default, Serialize, Deserialize)]
struct RemovalMemory {
    /// When results of steps went, by id of the engine.
    engines: BTreeMap<String, Timestamp>,
    /// Which cache mounts went, by id of the engine.
    #[serde(default)]
    mounts: BTreeMap<String, Vec<RemovedMount>>,
}

/// A cache mount that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedMount {
    /// Its id with the namespace before it; `None` where the engine does not tell ids.
    pub id: Option<String>,
    /// Where it was mounted.
    pub target: String,
    /// When it was removed.
    pub at: Timestamp,
}

/// What `clean` removed of one engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removals {
    /// When results of steps went.
    pub results: Option<Timestamp>,
    /// Cache mounts that went.
    pub mounts: Vec<RemovedMount>,
}

impl Removals {
    /// When anything went.
    pub fn last(&self) -> Option<Timestamp> {
        self.mounts.iter().map(|mount| mount.at).max().max(self.results)
    }

    /// Those before a build that started `then`.
    pub fn before(mut self, then: Timestamp) -> Self {
        self.results = self.results.filter(|at| *at < then);
        self.mounts.retain(|mount| mount.at < then);
        self
    }

    /// When the mount with this id and target went.
    pub fn of_mount(&self, id: &str, target: &str) -> Option<Timestamp> {
        let is_it = |mount: &&RemovedMount| match &mount.id {
            Some(own) => own == id,
            None => mount.target == target,
        };
        self.mounts.iter().filter(is_it).map(|mount| mount.at).max()
    }
}

/// Remembers in the file at `path` what was removed of the engine with this id.
///
/// # Errors
/// What the file system says.
pub fn mark(path: &Path, engine: &str, removed: Removals) -> io::Result<()> {
    if engine.is_empty() || removed.last().is_none() {
        return Ok(());
    }
    let mut cleaned: RemovalMemory = memory::recall(path, SCHEMA, LIMIT).unwrap_or_default();
    if let Some(at) = removed.results {
        cleaned.engines.insert(engine.to_owned(), at);
    }
    if !removed.mounts.is_empty() {
        let mounts = cleaned.mounts.entry(engine.to_owned()).or_default();
        let is_again = |old: &RemovedMount| {
            removed.mounts.iter().any(|new| (&new.id, &new.target) == (&old.id, &old.target))
        };
        mounts.retain(|old| !is_again(old));
        mounts.extend(removed.mounts);
        mounts.sort_by_key(|mount| std::cmp::Reverse(mount.at));
        mounts.truncate(MOUNTS);
    }
    cleaned.forget_oldest();
    memory::keep(path, SCHEMA, &cleaned)
}

/// What was removed of it, as the file at `path` says.
pub fn of_engine(path: &Path, engine: &str) -> Removals {
    let cleaned: RemovalMemory = memory::recall(path, SCHEMA, LIMIT).unwrap_or_default();
    let RemovalMemory { engines, mut mounts } = cleaned;
    Removals {
        results: engines.get(engine).copied(),
        mounts: mounts.remove(engine).unwrap_or_default(),
    }
}

impl RemovalMemory {
    fn forget_oldest(&mut self) {
        while self.engines.len() > ENGINES {
            let oldest = self.engines.iter().min_by_key(|(_, at)| **at);
            let Some(oldest) = oldest.map(|(engine, _)| engine.clone()) else { break };
            self.engines.remove(&oldest);
        }
        while self.mounts.values().map(Vec::len).sum::<usize>() > ENGINES * 4 {
            let newest = |mounts: &Vec<RemovedMount>| mounts.iter().map(|mount| mount.at).max();
            let oldest = self.mounts.iter().min_by_key(|(_, mounts)| newest(mounts));
            let Some(oldest) = oldest.map(|(engine, _)| engine.clone()) else { break };
            self.mounts.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn results(second: i64) -> Removals {
        Removals { results: Some(at(second)), mounts: Vec::new() }
    }

    fn last(path: &Path, engine: &str) -> Option<Timestamp> {
        of_engine(path, engine).results
    }

    #[test]
    fn each_engine_has_its_time_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/cleaned.json");
        assert_eq!(last(&path, "a"), None);
        mark(&path, "", results(1)).unwrap();
        mark(&path, "a", Removals::default()).unwrap();
        assert!(!path.exists(), "without an id, or with nothing removed, nothing is kept");
        mark(&path, "a", results(1)).unwrap();
        mark(&path, "b", results(2)).unwrap();
        mark(&path, "a", results(3)).unwrap();
        assert_eq!((last(&path, "a"), last(&path, "b")), (Some(at(3)), Some(at(2))));
        for number in 0..99 {
            mark(&path, &format!("n{number}"), results(10)).unwrap();
        }
        assert_eq!((last(&path, "a"), last(&path, "b")), (Some(at(3)), None));
        std::fs::write(&path, r#"{"schema":"doc2md-docker/cleaned/v1","engines":{}}"#).unwrap();
        assert_eq!(of_engine(&path, "a"), Removals::default(), "as older programs wrote it");
        std::fs::write(&path, "{").unwrap();
        assert_eq!(last(&path, "a"), None);
    }

    #[test]
    fn mounts_are_known_by_id_or_where_there_is_none_by_target() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cleaned.json");
        let mount = |id: Option<&str>, target: &str, second| RemovedMount {
            id: id.map(str::to_owned),
            target: target.to_owned(),
            at: at(second),
        };
        let gone = |mounts: Vec<RemovedMount>| {
            mark(&path, "a", Removals { results: None, mounts }).unwrap();
        };
        gone(vec![mount(Some("/pip"), "/c", 1), mount(None, "/old", 2)]);
        gone(vec![mount(Some("/pip"), "/c", 3)]);
        let removals = of_engine(&path, "a");
        assert_eq!((removals.results, removals.last()), (None, Some(at(3))));
        assert_eq!(removals.of_mount("/pip", "/elsewhere"), Some(at(3)));
        assert_eq!(removals.of_mount("/npm", "/c"), None);
        assert_eq!(removals.of_mount("/any", "/old"), Some(at(2)));
        let many = (0..1000).map(|number| mount(Some(&format!("/{number}")), "/t", number));
        gone(many.collect());
        let removals = of_engine(&path, "a");
        assert_eq!(removals.mounts.len(), MOUNTS);
        assert_eq!(
            (removals.of_mount("/999", ""), removals.of_mount("/0", "")),
            (Some(at(999)), None)
        );
    }
}
