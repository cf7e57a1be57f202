//! True sizes of cache mounts: a look into those that were used since the last one, and what is remembered.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{sleep, timeout};

use super::{Asked, Effort, Memory, Plan, SCHEMA, Sizes, has_settled, plan};
use crate::buildkit::{Control, measure as helper};
use crate::dockerfile::CacheMountSpec;
use crate::engine::{Connector, Engine};
use crate::files;
use crate::inventory::{CacheRecord, Inventory};
use crate::sight::{Content, Mount, Sight};

/// How long mounts are looked into where nobody asked for it.
const AT_LEISURE: Duration = Duration::from_secs(2);
/// How often, and how far apart, the engine is asked whether it has counted a look: 2 s and the questions.
const SETTLING: usize = 40;
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(50);
/// A record and the directory of its mount are made one after the other.
const TOGETHER: SignedDuration = SignedDuration::from_secs(2);
/// More than a memory can have: what is larger is none of ours.
const MEMORY_LIMIT: u64 = 4 << 20;

/// How services ask for a mount, each way with the id as the engine has it.
pub type Ways = Vec<(String, CacheMountSpec)>;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Wish {
    /// How much is done for it.
    pub effort: Effort,
    /// Whether the engine's disk is worth a look of its own.
    pub for_disk: bool,
    /// How long the engine gets.
    pub limit: Duration,
    /// Where looks are remembered, if anywhere.
    pub directory: Option<PathBuf>,
}

impl Wish {
    /// Only what is remembered. `ledger` is where builds are remembered; looks are beside it.
    pub fn remembered(ledger: Option<&Path>) -> Self {
        Self::new(Effort::None, Duration::ZERO, ledger)
    }

    /// A look with this effort, which may take `patience` where everything is looked into.
    pub fn new(effort: Effort, patience: Duration, ledger: Option<&Path>) -> Self {
        let limit = if effort == Effort::All { patience } else { patience.min(AT_LEISURE) };
        let directory = ledger.and_then(Path::parent).map(|state| state.join("measured"));
        Self { effort, for_disk: effort == Effort::All, limit, directory }
    }
}

/// Puts true sizes of the project's cache mounts into the inventory, as far as the wish goes and the engine lets
/// us. What cannot be measured keeps the engine's figure, with a reason. `ways` tells how the project's builds ask for
/// the mount that a record is.
pub async fn sizes(
    (connector, engine): (&Connector, &Engine),
    inventory: &mut Inventory,
    wish: &Wish,
    ways: impl Fn(&CacheRecord) -> Ways,
) -> Sizes {
    let file = file(wish, &inventory.engine.id);
    let known = file.as_deref().and_then(|file| files::memory::recall(file, SCHEMA, MEMORY_LIMIT));
    let mut memory: Memory = known.unwrap_or_default();
    let asked = |record| Asked { record, ways: ways(record) };
    let asked: Vec<Asked> = inventory.cache.iter().map(asked).collect();
    let mut plan = plan(&asked, &inventory.cache, &memory, wish.effort);
    let for_disk = wish.for_disk && wish.effort != Effort::None;
    if !for_disk && plan.looks.is_empty() {
        return Sizes::new(&mut inventory.cache, &memory, plan.why_not);
    }
    let sight = match look(connector, &inventory.engine.architecture, &plan, wish.limit).await {
        Ok(sight) => sight,
        Err(why) => {
            let records = plan.looks.iter().flat_map(|(_, records)| records);
            plan.why_not.extend(records.map(|record| (record.clone(), why.clone())));
            return Sizes::new(&mut inventory.cache, &memory, plan.why_not);
        }
    };
    let after = settled(engine, &plan, &inventory.cache).await;
    note(&mut plan, &sight, &inventory.cache, &after, &mut memory);
    if !after.is_empty() {
        memory.retain(&after);
        // What is remembered of the look counts from there, and its program is a record, too.
        inventory.cache = after;
    }
    if let Some(file) = &file {
        // Without a memory the next one looks again.
        let _ = files::memory::keep(file, SCHEMA, &memory);
    }
    let sizes = Sizes::new(&mut inventory.cache, &memory, plan.why_not);
    Sizes { disk: sight.disk, ..sizes }
}

async fn look(
    connector: &Connector,
    architecture: &str,
    plan: &Plan,
    limit: Duration,
) -> Result<Sight, String> {
    if !helper::can_measure(architecture) {
        return Err(format!("there is no measuring program for {architecture:?}"));
    }
    let mounts: Vec<Mount> = plan.looks.iter().map(|(mount, _)| mount.clone()).collect();
    let control = match timeout(limit, Control::connect(connector)).await {
        Ok(Ok(control)) => control,
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err("the engine was too slow".to_owned()),
    };
    control.look(architecture, &mounts, limit).await.map_err(|error| error.to_string())
}

/// The engine's records when it has counted our look, or after a while: a build may be using a mount.
async fn settled(engine: &Engine, plan: &Plan, before: &[CacheRecord]) -> Vec<CacheRecord> {
    let mut earlier = engine.cache_records().await.unwrap_or_default();
    for _ in 0..SETTLING {
        sleep(BETWEEN_QUESTIONS).await;
        let now = engine.cache_records().await.unwrap_or_default();
        if plan.looks.iter().all(|(_, looked)| has_settled(looked, before, &earlier, &now)) {
            return now;
        }
        earlier = now;
    }
    earlier
}

/// Remembers what was seen, record by record.
fn note(
    plan: &mut Plan,
    sight: &Sight,
    before: &[CacheRecord],
    after: &[CacheRecord],
    memory: &mut Memory,
) {
    let now = Timestamp::now();
    for (index, (mount, ids)) in plan.looks.iter().enumerate() {
        let records = before.iter().filter(|record| ids.contains(&record.id)).collect::<Vec<_>>();
        let place = format!("cached mount {} from exec {}", helper::place(index), helper::PROGRAM);
        let is_new = |it: &CacheRecord| before.iter().all(|other| other.id != it.id);
        let made = after.iter().any(|it| it.description.starts_with(&place) && is_new(it));
        let content = sight.mounts.get(index).copied().flatten().filter(|_| !made);
        let found = content.and_then(|content| Some((content, which(&records, &content)?)));
        let mut why = match content {
            Some(_) => format!("several mounts have the id {}", mount.id),
            None if made => "the engine has no such mount".to_owned(),
            None => "it took too long, or it cannot be read".to_owned(),
        };
        // Of a look that saw nothing, too, the engine counts a use.
        let only = if let [record] = &records[..] { Some(*record) } else { None };
        if let Some(record) = found.map(|(_, record)| record).or(only) {
            match after.iter().find(|it| it.id == record.id) {
                Some(after) => memory.add(record, after, found.map(|(seen, _)| seen.bytes), now),
                None => why = "it went meanwhile".to_owned(),
            }
        }
        for record in records {
            let is_seen = found.is_some_and(|(_, it)| it.id == record.id);
            if !is_seen || memory.mounts.get(&record.id).is_none_or(|it| it.measured != Some(now)) {
                plan.why_not.insert(record.id.clone(), why.clone());
            }
        }
    }
}

/// The record whose mount was seen: the only one, or the one that was made when the directory was.
fn which<'a>(records: &[&'a CacheRecord], content: &Content) -> Option<&'a CacheRecord> {
    if let [record] = records {
        return Some(record);
    }
    let born = content.born?;
    let mut fitting = records.iter().filter(|record| {
        record.created_at.is_some_and(|made| made.duration_since(born).abs() <= TOGETHER)
    });
    let found = fitting.next()?;
    fitting.next().is_none().then_some(*found)
}

/// Where looks into this engine's mounts are remembered.
fn file(wish: &Wish, engine: &str) -> Option<PathBuf> {
    let name: String = engine.chars().filter(char::is_ascii_alphanumeric).collect();
    let directory = wish.directory.as_ref().filter(|_| !name.is_empty())?;
    Some(directory.join(format!("{name}.json")))
}
