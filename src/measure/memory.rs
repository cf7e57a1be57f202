//! What is remembered of looks into cache mounts, per engine.
//!
//! A run counts one use of a mount, a look one, and the first disk usage query after either another one, which the
//! query itself does not show yet (measured on 20.10, 26.1, 28.5 with both stores). The engine counts when it lets go,
//! which is a little after the answer: so what a look cost is known once the count [has settled](has_settled).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::inventory::{CacheRecord, USES_OF_A_STEP};

/// Name and version of the document.
pub const SCHEMA: &str = "doc2md-docker/measured/v1";

/// The document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// By the id of the record.
    pub mounts: BTreeMap<String, MemoryEntry>,
}

/// A mount that was looked into.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryEntry {
    /// What it took.
    pub bytes: u64,
    /// When it was measured.
    pub measured: Option<Timestamp>,
    /// How many of the engine's uses are looks of ours.
    pub own_uses: u64,
    /// The engine's count as long as nothing uses the mount; 0 where it was used while we looked.
    pub settled_uses: u64,
    /// When a build last used it before that.
    pub last_used: Option<Timestamp>,
}

impl MemoryEntry {
    /// Whether nothing has used the mount since: what was measured is what is there.
    pub fn is_current(&self, engine: &CacheRecord) -> bool {
        self.measured.is_some() && engine.usage_count == self.settled_uses
    }

    /// The record as builds left it, with the size that was measured.
    pub(super) fn correct(&self, record: &mut CacheRecord) {
        if self.is_current(record) {
            record.last_used_at = self.last_used;
        }
        // Mounts grow as a rule: an earlier measurement is closer than the engine's first.
        if self.is_current(record) || self.bytes > record.size_bytes {
            record.size_bytes = self.bytes;
        }
        record.usage_count = record.usage_count.saturating_sub(self.own_uses);
    }
}

/// Whether the engine knows the size of the record with this id, and so does not hold it to find that out, by two answers in
/// a row: of what it is counting it says 0, as of what is empty. One answer is not enough: others may have asked before us,
/// and not have come to this record yet.
pub fn is_counted(id: &str, earlier: Option<&[CacheRecord]>, now: &[CacheRecord]) -> bool {
    let of = |records: &[CacheRecord]| {
        records.iter().find(|it| it.id == id).map(|it| (it.size_bytes, it.in_use))
    };
    match (earlier.map(of), of(now)) {
        (_, None) => true,
        (Some(Some((0, false))), Some((0, false))) => true,
        (Some(Some((earlier, _))), Some((now, _))) => earlier > 0 && now > 0,
        _ => false,
    }
}

/// Whether the engine tells that there is nothing in the mount with these records. It says so, too, while it counts what
/// is there for somebody else, and then not even that anybody holds it.
pub fn is_told_empty<'a>(mut records: impl Iterator<Item = &'a CacheRecord>) -> bool {
    records.next().is_some_and(|it| it.size_bytes == 0) && records.all(|it| it.size_bytes == 0)
}

/// Whether the engine has counted a look: it was into one of the records with the ids `looked`, of which the engine told
/// before the look and twice in a row after it.
pub fn has_settled(
    looked: &[String],
    before: &[CacheRecord],
    earlier: &[CacheRecord],
    now: &[CacheRecord],
) -> bool {
    let of = |records: &[CacheRecord], id: &str| {
        records.iter().find(|it| it.id == id).map(|it| (it.usage_count, it.in_use))
    };
    let is_quiet = |id: &String| {
        of(now, id).is_none_or(|(_, in_use)| !in_use) && of(earlier, id) == of(now, id)
    };
    // What is gone counts nothing more.
    let has_counted = |id: &String| match (of(before, id), of(now, id)) {
        (Some((before, _)), Some((now, _))) => now > before,
        _ => true,
    };
    looked.iter().all(is_quiet) && looked.iter().any(has_counted)
}

impl Memory {
    /// Adds a look into `before`, of which `after` is what the engine says now that the count has settled. `bytes` is
    /// what it held, where that was seen.
    pub fn add(
        &mut self,
        before: &CacheRecord,
        after: &CacheRecord,
        bytes: Option<u64>,
        now: Timestamp,
    ) {
        let known = self.mounts.entry(before.id.clone()).or_default();
        let last_used =
            if known.is_current(before) { known.last_used } else { before.last_used_at };
        let uses = after.usage_count.saturating_sub(before.usage_count);
        let undisturbed = uses <= USES_OF_A_STEP && !after.in_use;
        *known = MemoryEntry {
            bytes: bytes.unwrap_or(known.bytes),
            measured: bytes.map_or(known.measured, |_| Some(now)),
            own_uses: known.own_uses + uses.min(USES_OF_A_STEP),
            settled_uses: if undisturbed && bytes.is_some() { after.usage_count } else { 0 },
            last_used,
        };
    }

    /// Forgets what the engine no longer has.
    pub fn retain(&mut self, records: &[CacheRecord]) {
        self.mounts.retain(|id, _| records.iter().any(|record| record.id == *id));
    }
}
