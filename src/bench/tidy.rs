//! Removes what a benchmark made: its images, its cache records and its builds in the engine's history.
//!
//! `clean`'s own rules decide: the benchmark is a project of its own name, and its builds are remembered in a
//! ledger of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::model::Leftover;
use crate::buildkit::Control;
use crate::clean::execute::{self, Stop};
use crate::clean::reason::words;
use crate::clean::survey::{self, Observation};
use crate::clean::{self, Kind, Plan, Remainder, Request};
use crate::engine::{Connector, Engine};
use crate::error::CommandError;
use crate::history::Store;
use crate::inventory::{CacheKind, CacheRecord, MountDescription};
use crate::ownership::records::{Reason, Verdict};
use crate::ownership::{self, Answer, Depth, Project, Question, Recall};
use crate::unreachable::unreachable;

/// How often, and how far apart, an engine is looked at that still uses what a cancelled build left.
const ATTEMPTS: usize = 20;
const PAUSE: Duration = Duration::from_millis(250);

/// What a benchmark made, and how it is known.
pub(super) struct Products<'a> {
    /// Name of its project.
    pub(super) project: &'a str,
    /// References of its images.
    pub(super) references: Vec<String>,
    /// What stands before the ids of its cache mounts.
    pub(super) namespaces: Vec<String>,
    /// Its builds.
    pub(super) ledger: &'a Store,
    /// When it began.
    pub(super) since: Timestamp,
}

/// Removes it. Returns what stays.
///
/// # Errors
/// The engine cannot be reached.
pub(super) async fn tidy(
    connector: &Connector,
    engine: &Engine,
    made: &Products<'_>,
) -> Result<Vec<Leftover>, CommandError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        let (left, in_use) = once(connector, engine, made).await?;
        if !in_use || attempt == ATTEMPTS {
            // From here on nobody needs to know whose the records were.
            if let Ok(control) = Control::connect(connector).await {
                control.forget_builds_of(made.project).await;
            }
            return Ok(left);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Returns what stays, and whether the engine still uses something.
async fn once(
    connector: &Connector,
    engine: &Engine,
    made: &Products<'_>,
) -> Result<(Vec<Leftover>, bool), CommandError> {
    let observed = survey::observe(connector, engine).await?;
    let answer = whose(connector, engine, made, &observed).await?;
    let (space, inventory) = (observed.space(), observed.inventory);
    let request = Request { kinds: [Kind::Image, Kind::Cache].into(), ..Request::default() };
    let plan = clean::plan(&inventory, &space, &answer, &request);
    let outcome = execute::execute(engine, &plan, &CancellationToken::new(), |_| {}).await;
    if let Some(Stop::Engine(error)) = outcome.stopped {
        return Err(unreachable(connector, error));
    }
    let new = inventory.cache.iter().filter(|it| it.created_at >= Some(made.since));
    Ok(left(&plan, &outcome.remains, new, &answer))
}

/// Whose everything is, as `clean` would judge it; the benchmark's cache mounts are known by their namespace.
async fn whose(
    connector: &Connector,
    engine: &Engine,
    made: &Products<'_>,
    Observation { inventory, details, stacks }: &Observation,
) -> Result<Answer, CommandError> {
    let mut project = Project { name: made.project.to_owned(), ..Project::default() };
    project.built.extend(made.references.iter().cloned());
    let ledger = Some(made.ledger.directory().to_owned());
    let recall = Recall { ledger, project: made.project, depth: Depth::Cache, end: None };
    let memory = recall.ask(connector, &mut Vec::new()).await;
    let mut evidence = ownership::gather(engine, inventory, &project, memory)
        .await
        .map_err(|error| unreachable(connector, error))?;
    evidence.own_keys = true;
    let mut answer = ownership::judge(&Question {
        project: &project,
        inventory,
        stacks,
        histories: details,
        evidence: &evidence,
        include: &BTreeSet::new(),
    });
    for record in &inventory.cache {
        if is_own_mount(record, &made.namespaces) && !record.in_use {
            let step = record.description.clone();
            answer.records.insert(
                record.id.clone(),
                Verdict::Ours { step, services: BTreeSet::new(), is_current: false },
            );
        }
    }
    Ok(answer)
}

/// What of the plan remains, and what of the `new` records stays, with the reasons; and whether something is in use.
fn left<'a>(
    plan: &Plan,
    remains: &[Remainder],
    new: impl Iterator<Item = &'a CacheRecord>,
    answer: &Answer,
) -> (Vec<Leftover>, bool) {
    let mut left: BTreeMap<(Kind, String), (usize, u64)> = BTreeMap::new();
    let mut note = |kind: Kind, why: &str, bytes: Option<u64>| {
        let sum = left.entry((kind, why.to_owned())).or_default();
        *sum = (sum.0 + 1, sum.1 + bytes.unwrap_or(0));
    };
    for remaining in remains {
        note(remaining.item.kind, &remaining.why, remaining.item.bytes);
    }
    let mut in_use = false;
    for record in new {
        let why = match answer.records.get(&record.id) {
            Some(Verdict::Ours { .. }) => {
                let kept = plan.keep.iter().find(|item| item.id == record.id);
                kept.map(|item| item.reason.clone())
            }
            // Not of any build that is known: of somebody else's, then.
            Some(Verdict::Kept(Reason::NotRecorded | Reason::Base)) | None => None,
            Some(Verdict::Kept(reason)) => {
                in_use |= *reason == Reason::InUse;
                Some(words(reason))
            }
        };
        if let Some(why) = why {
            note(Kind::Cache, &why, Some(record.size_bytes));
        }
    }
    let left = left.into_iter().map(|((kind, why), (count, bytes))| Leftover {
        kind: kind.to_string(),
        count,
        bytes,
        why,
    });
    (left.collect(), in_use)
}

/// Whether a record is a cache mount of one of these namespaces. Engines before 23.0 do not tell the ids of
/// cache mounts.
pub(super) fn is_own_mount(record: &CacheRecord, namespaces: &[String]) -> bool {
    record.kind == CacheKind::CacheMount
        && MountDescription::parse(&record.description).and_then(|it| it.id).is_some_and(|id| {
            namespaces.iter().any(|namespace| {
                id.strip_prefix(namespace.as_str()).is_some_and(|it| it.starts_with('/'))
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_of_the_namespace_are_its_own() {
        let record = |kind, description: &str| CacheRecord {
            id: "a".into(),
            parents: Vec::new(),
            kind,
            description: description.to_owned(),
            size_bytes: 1,
            in_use: false,
            shared: false,
            created_at: None,
            last_used_at: None,
            usage_count: 0,
        };
        let namespaces = ["bench-x1-a".to_owned()];
        let own = |kind, id: &str| {
            let text = format!("cached mount /c from exec /bin/sh -c true with id \"{id}\"");
            is_own_mount(&record(kind, &text), &namespaces)
        };
        assert!(own(CacheKind::CacheMount, "bench-x1-a/pip"));
        assert!(!own(CacheKind::CacheMount, "/pip"));
        assert!(!own(CacheKind::CacheMount, "bench-x1-ab/pip"));
        assert!(!own(CacheKind::Regular, "bench-x1-a/pip"));
    }
}
