//! Which of the removable cache records go, where an age or a size limits that.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::engine::snapshot::CacheRecord;

/// Records that `may_go` names and the limits let go, all that build on a record before it: what is
/// unused since `until` (with nothing newer built on it), and then no more than it takes to bring
/// the bytes of all that may go to `most`, the least recently used first.
pub(super) fn select<'a>(
    records: &'a [CacheRecord],
    may_go: &BTreeSet<&str>,
    until: Option<Timestamp>,
    most: Option<u64>,
) -> Vec<&'a CacheRecord> {
    // How many records build on each one; BuildKit deletes only those with none.
    let mut children: BTreeMap<&str, usize> = BTreeMap::new();
    for parent in records.iter().flat_map(|record| &record.parents) {
        *children.entry(parent).or_default() += 1;
    }
    let mut left: Vec<&CacheRecord> =
        records.iter().filter(|record| may_go.contains(record.id.as_str())).collect();
    left.sort_by_key(|record| (last_use(record), record.id.as_str()));
    let mut bytes: u64 = left.iter().map(|record| record.size_bytes).sum();
    let mut gone = Vec::new();
    while most.is_none_or(|most| bytes > most) {
        let next = left.iter().position(|record| {
            children.get(record.id.as_str()).copied().unwrap_or(0) == 0
                && until.is_none_or(|until| last_use(record).is_some_and(|used| used < until))
        });
        let Some(next) = next else { break };
        let record = left.remove(next);
        bytes -= record.size_bytes;
        for parent in &record.parents {
            if let Some(count) = children.get_mut(parent.as_str()) {
                *count -= 1;
            }
        }
        gone.push(record);
    }
    gone
}

/// When it was last of use; a record that never was counts from its creation.
pub(super) fn last_use(record: &CacheRecord) -> Option<Timestamp> {
    record.last_used_at.max(record.created_at)
}
