//! Carries a plan out, item by item in its order. It decides nothing: what is gone is done, what
//! the engine says is in use stays, and what remains is part of the outcome.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;

use super::model::{Action, Item, Kind, Plan};
use crate::engine::removal::Removal;
use crate::engine::{Engine, EngineError};
use crate::inventory::{CacheKind, CacheRecord};

/// A thing that should have been removed and is still there.
#[derive(Debug, Clone)]
pub struct Remainder {
    /// The thing.
    pub item: Item,
    /// Why it stayed.
    pub why: String,
}

/// Why an execution ended before its end.
#[derive(Debug)]
pub enum Stop {
    /// Ctrl-C.
    Interrupted,
    /// The engine went.
    Engine(EngineError),
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
            pruned = prune(engine, &records, &mut outcome) => pruned,
            () = interrupt.cancelled() => Err(Stop::Interrupted),
        };
        if let Err(stop) = pruned {
            return outcome.stop(stop, records.iter());
        }
    }
    outcome
}

impl Outcome {
    fn remain(&mut self, item: &Item, why: String) {
        self.remains.push(Remainder { item: item.clone(), why });
    }

    fn stop<'a>(mut self, stop: Stop, rest: impl Iterator<Item = &'a &'a Item>) -> Self {
        for item in rest {
            self.remain(item, "not reached".to_owned());
        }
        self.stopped = Some(stop);
        self
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
async fn prune(engine: &Engine, records: &[&Item], outcome: &mut Outcome) -> Result<(), Stop> {
    let planned: BTreeSet<&str> = records.iter().map(|item| item.id.as_str()).collect();
    let before = engine.cache_records().await.map_err(Stop::Engine)?;
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
    if !there.is_empty() {
        if !engine.prunes_by_id().await.map_err(Stop::Engine)? {
            for item in records {
                let why = "this engine would not remove by id alone, but everything".to_owned();
                outcome.remain(item, why);
            }
            return Ok(());
        }
        engine.prune_cache(&there).await.map_err(Stop::Engine)?;
    }
    let after = engine.cache_records().await.map_err(Stop::Engine)?;
    let left: BTreeSet<&str> = after.iter().map(|record| record.id.as_str()).collect();
    for item in records {
        if used.contains(item.id.as_str()) {
            outcome.remain(item, "a build has used it since the plan was made".to_owned());
        } else if left.contains(item.id.as_str()) {
            outcome
                .remain(item, "the engine kept it: something uses it or builds on it".to_owned());
        } else {
            outcome.removed += 1;
        }
    }
    outcome.bystanders = before
        .iter()
        .filter(|record| {
            !planned.contains(record.id.as_str()) && !left.contains(record.id.as_str())
        })
        .count();
    Ok(())
}

/// Whether a build uses a record, or has since the plan was made: it may be anybody's.
fn is_used_since(record: &CacheRecord, item: &Item) -> bool {
    // Measuring a cache mount for the first time after a run counts as a use.
    let measured = u64::from(record.kind == CacheKind::CacheMount);
    let planned = matches!(item.action, Action::Cache { usage_count } if record.usage_count <= usage_count + measured);
    record.in_use || !planned
}
