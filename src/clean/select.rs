//! Which of the removable cache records go, where an age or a size limits that.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::inventory::CacheRecord;

/// How much of the project's build cache stays, in bytes; the names are those of `docker builder prune`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpaceGoal {
    /// No less than this stays.
    pub reserved: u64,
    /// No more than this stays.
    pub max_used: Option<u64>,
    /// Removes enough for the engine's disk to have this much free.
    pub min_free: Option<u64>,
    /// What that disk has free now.
    pub disk_free: u64,
}

impl SpaceGoal {
    /// How much of `total` may stay. BuildKit's `calculateKeepBytes`, but for a disk that has enough free: there
    /// BuildKit takes everything, where nothing else is asked for.
    pub fn keep_bytes(&self, total: u64) -> u64 {
        let unlimited = if self.min_free.is_some() { total } else { 0 };
        let missing = self.min_free.unwrap_or(0).saturating_sub(self.disk_free);
        self.max_used.unwrap_or(unlimited).min(total.saturating_sub(missing)).max(self.reserved)
    }
}

/// Records that `may_go` names and the limits let go, all that build on a record before it: what is
/// unused since `until` (with nothing newer built on it), and then no more than it takes to bring
/// the bytes of all that may go to the `goal`, the least recently used first.
pub(super) fn select<'a>(
    records: &'a [CacheRecord],
    may_go: &BTreeSet<&str>,
    until: Option<Timestamp>,
    goal: Option<SpaceGoal>,
) -> Vec<&'a CacheRecord> {
    // How many records build on each one; BuildKit deletes only those with none.
    let mut children: BTreeMap<&str, usize> = BTreeMap::new();
    let parents = records.iter().flat_map(|record| &record.parents);
    for parent in parents.filter(|parent| may_go.contains(parent.as_str())) {
        *children.entry(parent).or_default() += 1;
    }
    let mut left: Vec<&CacheRecord> =
        records.iter().filter(|record| may_go.contains(record.id.as_str())).collect();
    left.sort_by_key(|record| (last_use(record), record.id.as_str()));
    let mut bytes: u64 = left.iter().map(|record| record.size_bytes).sum();
    let most = goal.map(|goal| goal.keep_bytes(bytes));
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

#[cfg(test)]
mod tests {
    use super::SpaceGoal;

    #[test]
    fn goals_combine_as_in_buildkit() {
        let goal = SpaceGoal::default();
        let kept = |goal: SpaceGoal| goal.keep_bytes(100);
        assert_eq!(kept(SpaceGoal { max_used: Some(40), ..goal }), 40);
        assert_eq!(kept(SpaceGoal { reserved: 30, ..goal }), 30);
        assert_eq!(kept(SpaceGoal { reserved: 30, max_used: Some(10), ..goal }), 30);
        let short = SpaceGoal { min_free: Some(50), disk_free: 30, ..goal };
        assert_eq!(kept(short), 80);
        assert_eq!(kept(SpaceGoal { reserved: 90, ..short }), 90);
        assert_eq!(kept(SpaceGoal { max_used: Some(70), ..short }), 70);
        assert_eq!(kept(SpaceGoal { disk_free: 60, ..short }), 100, "there is enough");
    }
}
