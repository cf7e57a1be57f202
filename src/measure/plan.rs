//! Which mounts are looked into.
//!
//! A look must not make a mount: it asks for one only in the way in which all services ask that name it. It must not
//! keep a build waiting, or make one start a mount of its own: it stays away where a build is at work.

use std::collections::BTreeMap;

use super::Memory;
use crate::dockerfile::{Beginning, CacheMountSpec};
use crate::inventory::{CacheKind, CacheRecord};
use crate::sight::{Mount, Sharing};

/// How much is done for true sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Nothing: the engine's figures and what is remembered.
    None,
    /// What has been used since it was measured.
    Changed,
    /// Everything that can be.
    All,
}

/// A mount of the project.
#[derive(Debug, Clone)]
pub struct MountRequest<'a> {
    /// The engine's record of it.
    pub record: &'a CacheRecord,
    /// How its services ask for it, each with `NAMESPACE/ID`.
    pub ways: Vec<(String, CacheMountSpec)>,
}

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The mounts, each with the records that may be it.
    pub looks: Vec<(Mount, Vec<String>)>,
    /// By record, why it is not looked into.
    pub why_not: BTreeMap<String, String>,
}

/// Decides for each mount of the project.
pub fn plan(
    asked: &[MountRequest],
    records: &[CacheRecord],
    memory: &Memory,
    effort: Effort,
) -> Plan {
    let mut plan = Plan::default();
    let mut looks: BTreeMap<Mount, Vec<String>> = BTreeMap::new();
    let busy = records.iter().any(|record| record.in_use);
    for MountRequest { record, ways } in asked {
        if record.kind != CacheKind::CacheMount || ways.is_empty() {
            continue;
        }
        let known = memory.mounts.get(&record.id);
        if effort != Effort::All && known.is_some_and(|known| known.is_current(record)) {
            continue;
        }
        match mount(record, ways, busy, effort) {
            Ok(mount) => looks.entry(mount).or_default().push(record.id.clone()),
            Err(why) => {
                plan.why_not.insert(record.id.clone(), why.to_owned());
            }
        }
    }
    plan.looks = looks.into_iter().collect();
    plan
}

/// How to ask for the mount that a record is.
fn mount(
    record: &CacheRecord,
    ways: &[(String, CacheMountSpec)],
    busy: bool,
    effort: Effort,
) -> Result<Mount, &'static str> {
    if effort == Effort::None {
        return Err("not asked for");
    }
    let mut found = Vec::new();
    for (id, spec) in ways {
        let sharing = match spec.sharing.as_str() {
            "shared" => Sharing::Shared,
            "private" => Sharing::Private,
            "locked" => Sharing::Locked,
            _ => return Err("a variable says how it is shared"),
        };
        // A record without a parent begins with nothing, one with a parent with a directory.
        let fits = match spec.beginning {
            Beginning::Other => {
                return Err("it begins with files of a stage, or a variable says with what");
            }
            Beginning::Empty => record.parents.is_empty(),
            Beginning::Directory { .. } => !record.parents.is_empty(),
        };
        if fits {
            found.push(Mount { id: id.clone(), sharing, beginning: spec.beginning });
        }
    }
    found.sort();
    found.dedup();
    let mount = match found.as_slice() {
        [] => return Err("the Dockerfiles ask for it in another way by now"),
        [mount] => mount.clone(),
        _ => return Err("its services ask for it in different ways"),
    };
    if mount.id.contains('$') {
        return Err("a variable is in its id");
    }
    match mount.sharing {
        Sharing::Shared => Ok(mount),
        Sharing::Locked if record.in_use => Err("a build is using it"),
        Sharing::Private if busy => Err("a build is at work, and it is not shared"),
        Sharing::Locked | Sharing::Private => Ok(mount),
    }
}
