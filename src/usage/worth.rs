//! What builds save by cache mounts, from recorded builds, and what they lose when garbage collection takes some.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;

use super::ServiceFacts;
use super::gc::{self, Rules};
use super::model::{MountWorth, Worths};
use super::mounts::{self, DeclaredMounts};
use crate::cache_mounts::builds;
use crate::cache_mounts::value::{self, Costs, StepRun, Worth};
use crate::inventory::CacheRecord;

/// A cache mount that garbage collection takes, now or later, and what builds of the project then lose.
#[derive(Debug, Clone, PartialEq)]
pub struct Loss {
    /// How the mount is called.
    pub name: String,
    /// From when on a collection takes it; `None`: the next one does.
    pub from: Option<Timestamp>,
    /// What it is worth.
    pub worth: MountWorth,
}

/// The cache mounts of a project, and where its builds are recorded.
#[derive(Clone, Copy)]
pub struct OwnMounts<'a> {
    /// The engine's records.
    pub records: &'a [CacheRecord],
    /// The project's services.
    pub services: &'a [ServiceFacts],
    /// Its name.
    pub project: &'a str,
    /// Id of the engine.
    pub engine: &'a str,
    /// Where builds are remembered, if anywhere.
    pub ledger: Option<&'a PathBuf>,
}

impl OwnMounts<'_> {
    /// What garbage collection takes of them that is worth something, with the records as it sees them.
    pub async fn losses(&self, rules: &Rules, seen: &[CacheRecord], now: Timestamp) -> Vec<Loss> {
        let taken = self.taken(rules, seen, now);
        let worths = self.worths(&taken.keys().cloned().collect()).await;
        let declared = DeclaredMounts::new(self.services);
        let losses = self.records.iter().filter_map(|record| {
            let (from, worth) = (*taken.get(&record.id)?, *worths.get(&record.id)?);
            Some(Loss { name: mounts::name(&declared, record), from, worth })
        });
        losses.collect()
    }

    /// Records that a collection takes, and from when on, where not the next one does.
    pub(super) fn taken(
        &self,
        rules: &Rules,
        seen: &[CacheRecord],
        now: Timestamp,
    ) -> BTreeMap<String, Option<Timestamp>> {
        let own = self.own();
        let collections = gc::collections(rules, seen, now).into_iter();
        let taken = collections
            .filter(|(id, gc)| (gc.due || gc.due_from.is_some()) && own.contains_key(id.as_str()));
        taken.map(|(id, gc)| (id, gc.due_from)).collect()
    }

    /// What those of `wanted` are worth. Recorded builds are read only where there is one of the project's.
    pub(super) async fn worths(&self, wanted: &BTreeSet<String>) -> Worths {
        let own = self.own();
        if !wanted.iter().any(|id| own.contains_key(id.as_str())) {
            return Worths::new();
        }
        let (ledger, project) = (self.ledger.cloned(), self.project.to_owned());
        let engine = self.engine.to_owned();
        let read = move || builds::step_runs(ledger.as_deref(), &project, &engine);
        let runs = tokio::task::spawn_blocking(read).await.unwrap_or_default();
        self.valued(wanted, &runs)
    }

    /// Ids of mounts, as engines have them, by ids of records.
    fn own(&self) -> BTreeMap<&str, Vec<String>> {
        let declared = DeclaredMounts::new(self.services);
        let ids = self.records.iter().map(|record| {
            let ways = declared.asked_for(record).into_iter();
            (record.id.as_str(), ways.map(|(id, _)| id).collect::<Vec<_>>())
        });
        ids.filter(|(_, ids)| !ids.is_empty()).collect()
    }

    fn valued(&self, wanted: &BTreeSet<String>, runs: &[StepRun]) -> Worths {
        let own = self.own();
        let ids = |record: &CacheRecord| own.get(record.id.as_str()).cloned().unwrap_or_default();
        let all = self.records.iter();
        let sizes = all.flat_map(|it| ids(it).into_iter().map(|id| (id, it.size_bytes)));
        let sizes: BTreeMap<String, u64> = sizes.collect();
        let wanted = self.records.iter().filter(|record| wanted.contains(&record.id));
        let worths = wanted.filter_map(|record| {
            let own = ids(record);
            let own: Vec<&str> = own.iter().map(String::as_str).collect();
            let costs = value::costs(&own, record.created_at, runs, &Costs::new());
            let Worth { saves_seconds, is_bound, .. } = Worth::new(&own, &costs, &sizes, None)?;
            Some((record.id.clone(), MountWorth { saves_seconds, is_bound }))
        });
        worths.collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::inventory::CacheKind;
    use crate::usage::DockerfileFacts;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn mount(id: &str, size_bytes: u64, used: i64) -> CacheRecord {
        CacheRecord {
            id: format!("record-{id}"),
            kind: CacheKind::CacheMount,
            description: format!("cached mount /{id} from exec make with id \"/{id}\""),
            size_bytes,
            created_at: Some(at(100)),
            last_used_at: Some(at(used)),
            parents: Vec::new(),
            in_use: false,
            shared: false,
            usage_count: 1,
        }
    }

    fn run(build: &str, from: i64, seconds: i64) -> StepRun {
        StepRun {
            build: build.into(),
            names: vec!["s".into()],
            mounts: vec!["/a".into(), "/b".into()],
            intervals: vec![(at(from), at(from + seconds))],
            seconds: seconds as f64,
        }
    }

    #[test]
    fn mounts_are_worth_what_builds_took_longer_without() {
        let text = "FROM x\nRUN --mount=type=cache,id=a,target=/a --mount=type=cache,id=b,target=/b make\n";
        let dockerfile =
            DockerfileFacts { path: "Dockerfile".into(), text: text.into(), stage: None };
        let service = ServiceFacts {
            name: "api".into(),
            dockerfile: Some(dockerfile),
            ..ServiceFacts::default()
        };
        // Of somebody else, used last, and ours.
        let records = [mount("other", 10, 150), mount("a", 300, 200), mount("b", 100, 900)];
        let hour = jiff::SignedDuration::from_hours(1);
        let rule =
            gc::Policy { keep_for: hour, max_used_bytes: 1, all: true, ..Default::default() };
        let rules = Rules { policies: vec![rule], disk_free_bytes: None };
        let services = [service];
        let own = |services| OwnMounts {
            records: &records,
            services,
            project: "p",
            engine: "",
            ledger: None,
        };
        let taken = own(&services).taken(&rules, &records, at(4000));
        let expected = [("record-a".to_owned(), None), ("record-b".to_owned(), Some(at(4500)))];
        assert_eq!(taken, expected.into());
        assert!(own(&[]).taken(&rules, &records, at(4000)).is_empty());
        let all: BTreeSet<String> = records.iter().map(|record| record.id.clone()).collect();
        let worths = |runs: &[StepRun]| -> Vec<(String, f64, bool)> {
            let worths = own(&services).valued(&all, runs).into_iter();
            worths.map(|(id, worth)| (id, worth.saves_seconds, worth.is_bound)).collect()
        };
        let (first, later) = (run("1", 90, 60), run("2", 300, 20));
        let expected = [("record-a".into(), 45.0, true), ("record-b".into(), 15.0, true)];
        assert_eq!(worths(std::slice::from_ref(&first)), expected);
        let expected = [("record-a".into(), 30.0, false), ("record-b".into(), 10.0, false)];
        assert_eq!(worths(&[first, later]), expected);
        assert_eq!(worths(&[]), []);
    }
}
