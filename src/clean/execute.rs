//! Carries a plan out, item by item in its order. It decides nothing: what is gone is done, what
//! the engine says is in use stays, and what remains is part of the outcome.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::model::{Action, Item, Kind, Plan};
use crate::buildkit::{Control, SolveError};
use crate::engine::removal::Removal;
use crate::engine::{Engine, EngineError};
use crate::inventory::{CacheKind, CacheRecord};

/// How long BuildKit may take to say what was removed until it, or somebody, stopped.
const STOPPED_PATIENCE: Duration = Duration::from_secs(3);

/// A thing that should have been removed and is still there.
#[derive(Debug, Clone)]
pub struct Remainder {
    /// The thing.
    pub item: Item,
    /// Why it stayed.
    pub why: String,
    /// Whether its turn came.
    pub was_reached: bool,
}

/// Why an execution ended before its end.
#[derive(Debug)]
pub enum Stop {
    /// Ctrl-C.
    Interrupted,
    /// The engine went.
    Engine(EngineError),
}

/// Who keeps the build cache that records go from.
trait Keeper {
    /// How it is called.
    const NAME: &str;
    /// Why it does not answer.
    type Error;
    /// Its records as they are now.
    async fn records(&self) -> Result<Vec<CacheRecord>, Self::Error>;
    /// Whether it removes by id alone.
    async fn goes_by_ids(&self) -> Result<bool, Self::Error>;
    /// Removes these; returns the ids of what it says it removed, where it says that.
    async fn remove(&self, ids: &[String]) -> Result<BTreeSet<String>, Self::Error>;
}

impl Keeper for Engine {
    const NAME: &str = "the engine";
    type Error = EngineError;

    async fn records(&self) -> Result<Vec<CacheRecord>, EngineError> {
        self.cache_records().await
    }

    async fn goes_by_ids(&self) -> Result<bool, EngineError> {
        self.prunes_by_id().await
    }

    async fn remove(&self, ids: &[String]) -> Result<BTreeSet<String>, EngineError> {
        self.prune_cache(ids).await.map(|()| BTreeSet::new())
    }
}

impl Keeper for Control {
    const NAME: &str = "BuildKit";
    type Error = SolveError;

    async fn records(&self) -> Result<Vec<CacheRecord>, SolveError> {
        self.cache_records().await
    }

    /// That is found out with every removal.
    async fn goes_by_ids(&self) -> Result<bool, SolveError> {
        Ok(true)
    }

    async fn remove(&self, ids: &[String]) -> Result<BTreeSet<String>, SolveError> {
        self.prune_records(ids).await
    }
}

/// What came of a plan.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many of its items are gone.
    pub removed: usize,
    /// What remains.
    pub remains: Vec<Remainder>,
    /// Cache records that went meanwhile although they are not in the plan: somebody else, or the
    /// engine's garbage collection, removed them.
    pub bystanders: usize,
    /// Bytes of the cache records that went, as they were listed right before.
    pub record_bytes: u64,
    /// Why it ended early.
    pub stopped: Option<Stop>,
}

/// Removes what `plan` says. `begins` hears of each item before it goes.
pub async fn execute(
    engine: &Engine,
    plan: &Plan,
    interrupt: &CancellationToken,
    mut begins: impl FnMut(&Item),
) -> Outcome {
    let mut outcome = Outcome::default();
    let (records, things): (Vec<&Item>, Vec<&Item>) =
        plan.remove.iter().partition(|item| item.kind == Kind::Cache);
    for (index, item) in things.iter().enumerate() {
        begins(item);
        let removal = tokio::select! {
            removal = remove(engine, item) => removal,
            () = interrupt.cancelled() => {
                return outcome.stop(Stop::Interrupted, things[index..].iter().chain(&records));
            }
        };
        match removal {
            Ok(Removal::Removed | Removal::Gone) => outcome.removed += 1,
            Ok(Removal::InUse(why)) => outcome.remain(item, why),
            Err(error) => match error.refusal().map(|(_, why)| why.to_owned()) {
                // The engine is there, and only this item cannot go.
                Some(why) => outcome.remain(item, why),
                None => {
                    return outcome
                        .stop(Stop::Engine(error), things[index..].iter().chain(&records));
                }
            },
        }
    }
    if let Some(first) = records.first() {
        begins(first);
        let pruned = tokio::select! {
            pruned = prune(engine, &records, &mut outcome) => pruned.map_err(Stop::Engine),
            () = interrupt.cancelled() => Err(Stop::Interrupted),
        };
        if let Err(stop) = pruned {
            return outcome.stop(stop, records.iter());
        }
    }
    outcome
}

/// Removes the cache records of BuildKit at a node that `plan` says, which has nothing else; and returns why BuildKit went, if it
/// did. `cache` is what the plan was made from.
pub async fn execute_at_node(
    control: &Control,
    plan: &Plan,
    cache: &[CacheRecord],
    interrupt: &CancellationToken,
) -> (Outcome, Option<SolveError>) {
    let mut outcome = Outcome::default();
    let records: Vec<&Item> = plan.removes(Kind::Cache).collect();
    if records.is_empty() {
        return (outcome, None);
    }
    let pruned = tokio::select! {
        pruned = prune(control, &records, &mut outcome) => Some(pruned),
        () = interrupt.cancelled() => None,
    };
    let error = match pruned {
        Some(Ok(())) => return (outcome, None),
        Some(Err(error)) => {
            outcome.leave(records.iter());
            Some(error)
        }
        None => {
            outcome = outcome.stop(Stop::Interrupted, records.iter());
            None
        }
    };
    // BuildKit has removed record by record until then, which it may still tell.
    if let Ok(Ok(after)) = timeout(STOPPED_PATIENCE, control.cache_records()).await {
        outcome.settle(cache, &after);
    }
    (outcome, error)
}

impl Outcome {
    /// Takes what is no longer there for removed.
    fn settle(&mut self, before: &[CacheRecord], after: &[CacheRecord]) {
        let left: BTreeSet<&str> = after.iter().map(|record| record.id.as_str()).collect();
        let (stays, gone): (Vec<Remainder>, Vec<Remainder>) =
            self.remains.drain(..).partition(|it| left.contains(it.item.id.as_str()));
        self.removed += gone.len();
        let is_gone = |record: &&CacheRecord| gone.iter().any(|it| it.item.id == record.id);
        self.record_bytes += before.iter().filter(is_gone).map(|it| it.size_bytes).sum::<u64>();
        self.remains = stays;
    }

    fn remain(&mut self, item: &Item, why: String) {
        self.remains.push(Remainder { item: item.clone(), why, was_reached: true });
    }

    fn stop<'a>(mut self, stop: Stop, rest: impl Iterator<Item = &'a &'a Item>) -> Self {
        self.leave(rest);
        self.stopped = Some(stop);
        self
    }

    /// Takes what came of another plan, too.
    pub fn add(&mut self, other: Self) {
        self.removed += other.removed;
        self.remains.extend(other.remains);
        self.bystanders += other.bystanders;
        self.record_bytes += other.record_bytes;
        self.stopped = self.stopped.take().or(other.stopped);
    }

    /// Notes what was not reached.
    pub fn leave<'a>(&mut self, rest: impl Iterator<Item = &'a &'a Item>) {
        let left = rest.map(|item| Remainder {
            item: (*item).clone(),
            why: "not reached".to_owned(),
            was_reached: false,
        });
        self.remains.extend(left);
    }
}

/// Removes one thing. Whether it is still what the plan meant, and still free, is asked for right before that, where the
/// engine would not refuse by itself: it does refuse containers that run, volumes and images that a container has.
async fn remove(engine: &Engine, item: &Item) -> Result<Removal, EngineError> {
    match &item.action {
        Action::Container { stop } => {
            if *stop {
                engine.stop_container(&item.id).await?;
            }
            engine.remove_container(&item.id).await
        }
        Action::Network => {
            // The engine lets a network go that a stopped container needs to start again.
            let user = engine.containers().await?.into_iter().find(|container| {
                container.networks.iter().any(|used| *used == item.id || *used == item.name)
            });
            match user {
                Some(user) => Ok(Removal::InUse(format!("container {} uses it by now", user.name))),
                None => engine.remove_network(&item.id).await,
            }
        }
        Action::Image { reference: Some(reference) } => match engine.image(reference).await? {
            None => Ok(Removal::Gone),
            Some(now) if now.id != item.id => {
                Ok(Removal::InUse(format!("{reference} names another image by now")))
            }
            Some(_) => engine.remove_image(reference).await,
        },
        Action::Image { reference: None } => engine.remove_image(&item.id).await,
        Action::Volume { created } => match engine.volume(&item.id).await? {
            None => Ok(Removal::Gone),
            Some(now) if now.created != *created => {
                Ok(Removal::InUse("another volume has this name by now".to_owned()))
            }
            Some(_) => engine.remove_volume(&item.id).await,
        },
        // All at once, in `prune`.
        Action::Cache { .. } => Ok(Removal::Gone),
    }
}

/// Removes the records, and looks what went.
async fn prune<K: Keeper>(
    keeper: &K,
    records: &[&Item],
    outcome: &mut Outcome,
) -> Result<(), K::Error> {
    let before = keeper.records().await?;
    let (mut there, mut used) = (Vec::new(), BTreeSet::new());
    for item in records {
        match before.iter().find(|record| record.id == item.id) {
            Some(record) if is_used_since(record, item) => {
                used.insert(item.id.as_str());
            }
            Some(_) => there.push(item.id.clone()),
            None => {}
        }
    }
    let mut told = BTreeSet::new();
    if !there.is_empty() {
        if !keeper.goes_by_ids().await? {
            for item in records {
                let why = "this engine would not remove by id alone, but everything".to_owned();
                outcome.remain(item, why);
            }
            return Ok(());
        }
        told = keeper.remove(&there).await?;
    }
    let after = keeper.records().await?;
    let left: BTreeSet<&str> = after.iter().map(|record| record.id.as_str()).collect();
    for item in records {
        if used.contains(item.id.as_str()) {
            outcome.remain(item, "a build has used it since the plan was made".to_owned());
        } else if left.contains(item.id.as_str()) && told.contains(&item.id) {
            outcome.remain(item, format!("{} removed it, and still lists it", K::NAME));
        } else if left.contains(item.id.as_str()) {
            let why = format!("{} kept it: something uses it or builds on it", K::NAME);
            outcome.remain(item, why);
        } else {
            outcome.removed += 1;
        }
    }
    let planned: BTreeSet<&str> = records.iter().map(|item| item.id.as_str()).collect();
    for record in before.iter().filter(|record| !left.contains(record.id.as_str())) {
        match planned.contains(record.id.as_str()) {
            true => outcome.record_bytes += record.size_bytes,
            false => outcome.bystanders += 1,
        }
    }
    Ok(())
}

/// Whether a build uses a record, or has since the plan was made: it may be anybody's.
fn is_used_since(record: &CacheRecord, item: &Item) -> bool {
    // Measuring a cache mount for the first time after a run counts as a use.
    let measured = u64::from(record.kind == CacheKind::CacheMount);
    let planned = matches!(item.action, Action::Cache { usage_count } if record.usage_count <= usage_count + measured);
    record.in_use || !planned
}
