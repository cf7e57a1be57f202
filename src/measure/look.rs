//! True sizes of cache mounts: a look into those that were used since the last one, and what is remembered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};

use super::{
    Effort, Memory, MountRequest, Plan, SCHEMA, Sizes, has_settled, is_counted, is_told_empty, plan,
};
use crate::buildkit::{Control, measure as helper, new_ref};
use crate::dockerfile::CacheMountSpec;
use crate::engine::{Connector, Engine, in_time};
use crate::files;
use crate::inventory::{CacheRecord, Inventory};
use crate::sight::{Content, Mount, Sight};

/// How long mounts are looked into where nobody asked for it.
const AT_LEISURE: Duration = Duration::from_secs(2);
/// How often, and how far apart, the engine is asked whether it has counted a look: 2 s and the questions.
const SETTLING: usize = 40;
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(50);
/// How long an engine is waited for that has not counted yet what is in a mount: where nobody asked for a look, and where
/// somebody did.
const COUNTING: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
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
    let asked = |record| MountRequest { record, ways: ways(record) };
    let asked: Vec<MountRequest> = inventory.cache.iter().map(asked).collect();
    let mut plan = plan(&asked, &inventory.cache, &memory, wish.effort);
    let for_disk = wish.for_disk && wish.effort != Effort::None;
    if !for_disk && plan.looks.is_empty() {
        return Sizes::new(&mut inventory.cache, &memory, plan.why_not);
    }
    at_rest(engine, (&inventory.cache, &memory), &mut plan, wish).await;
    if !for_disk && plan.looks.is_empty() {
        return Sizes::new(&mut inventory.cache, &memory, plan.why_not);
    }
    let name = &new_ref();
    let at = (connector, inventory.engine.architecture.as_str());
    let sight = match look(at, name, &plan, wish.limit).await {
        Ok(sight) => sight,
        Err(why) => {
            let records = plan.looks.iter().flat_map(|(_, records)| records);
            plan.why_not.extend(records.map(|record| (record.clone(), why.clone())));
            return Sizes::new(&mut inventory.cache, &memory, plan.why_not);
        }
    };
    let mut after = settled(engine, &plan, &inventory.cache).await;
    let made = made(&plan, name, &after);
    note(&mut plan, (&sight, &made), &inventory.cache, &after, &mut memory);
    take_back(engine, made.into_values().collect(), &mut after).await;
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

/// Waits a moment until the engine has counted what is in each mount of the plan, and leaves out where it has not. While
/// it counts, for whoever asked, it holds the mount, and whoever asks for the mount meanwhile, a look as well as a build,
/// gets a new one (BuildKit `cache/manager.go`, `DiskUsage` and `GetMutable`). It counts again after each use.
async fn at_rest(
    engine: &Engine,
    (first, memory): (&[CacheRecord], &Memory),
    plan: &mut Plan,
    wish: &Wish,
) {
    let (at_leisure, asked_for) = COUNTING;
    let patience = if wish.effort == Effort::All { asked_for } else { at_leisure };
    let end = Instant::now() + patience.min(wish.limit);
    let waits = |ids: &[String], earlier: Option<&[CacheRecord]>, now: &[CacheRecord]| {
        let is_known = |id: &String| memory.mounts.contains_key(id);
        ids.iter().any(|id| !is_known(id) && !is_counted(id, earlier, now))
    };
    // What was told first stays what the look is compared with: the engine's counting is a use, which it tells of later.
    let (mut earlier, mut now) = (None, first.to_vec());
    while plan.looks.iter().any(|(_, ids)| waits(ids, earlier.as_deref(), &now))
        && Instant::now() < end
    {
        sleep(BETWEEN_QUESTIONS).await;
        let Ok(next) = engine.cache_records().await else { break };
        earlier = Some(std::mem::replace(&mut now, next));
    }
    let why = "a build or the engine itself is at work on it";
    for (_, ids) in plan.looks.extract_if(.., |(_, ids)| waits(ids, earlier.as_deref(), &now)) {
        plan.why_not.extend(ids.into_iter().map(|id| (id, why.to_owned())));
    }
    for (mount, ids) in &mut plan.looks {
        if is_told_empty(now.iter().filter(|record| ids.contains(&record.id))) {
            mount.wait_for_it();
        }
    }
}

async fn look(
    (connector, architecture): (&Connector, &str),
    name: &str,
    plan: &Plan,
    limit: Duration,
) -> Result<Sight, String> {
    if !helper::can_measure(architecture) {
        return Err(format!("there is no measuring program for {architecture:?}"));
    }
    let mounts: Vec<Mount> = plan.looks.iter().map(|(mount, _)| mount.clone()).collect();
    let control = in_time(Some(Instant::now() + limit), Control::connect(connector)).await?;
    control.look(architecture, name, &mounts, limit).await.map_err(|error| error.to_string())
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

/// The mounts that the look called `name` made, by the place of the one that it asked for in the plan: the engine had
/// that one no longer, or held it.
fn made(plan: &Plan, name: &str, after: &[CacheRecord]) -> BTreeMap<usize, String> {
    let of = |index| after.iter().find(|it| helper::is_made_by(&it.description, name, index));
    (0..plan.looks.len()).filter_map(|index| Some((index, of(index)?.id.clone()))).collect()
}

/// Removes what a look made.
async fn take_back(engine: &Engine, made: Vec<String>, records: &mut Vec<CacheRecord>) {
    for id in made {
        let record = records.iter().find(|it| it.id == id);
        if engine.take_back(&Vec::from_iter(record)).await {
            records.retain(|record| record.id != id);
        }
    }
}

/// Remembers what was seen, record by record.
fn note(
    plan: &mut Plan,
    (sight, made): (&Sight, &BTreeMap<usize, String>),
    before: &[CacheRecord],
    after: &[CacheRecord],
    memory: &mut Memory,
) {
    let now = Timestamp::now();
    for (index, (mount, ids)) in plan.looks.iter().enumerate() {
        let records = before.iter().filter(|record| ids.contains(&record.id)).collect::<Vec<_>>();
        let made = made.contains_key(&index);
        let content = sight.mounts.get(index).copied().flatten().filter(|_| !made);
        let found = content.and_then(|content| Some((content, which(&records, &content)?)));
        let mut why = match content {
            Some(_) => format!("several mounts have the id {}", mount.id),
            None if made => "the engine has no such mount, or was at work on it".to_owned(),
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
