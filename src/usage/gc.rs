//! What the engine's garbage collection has in mind: its rules, played through on the records.
//!
//! After BuildKit `cache/manager.go` (`prune`, `pruneOnce`, `calculateKeepBytes`). Collection runs after
//! builds; nothing here knows when the next one will be.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::buildkit::GcPolicy;
use crate::inventory::{CacheKind, CacheRecord};

/// A rule of the engine (BuildKit `PruneInfo`), in the order in which they apply.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Whether also records go that images hold, and internal ones.
    pub all: bool,
    /// Records used since then stay; zero: no age is asked for.
    pub keep_for: SignedDuration,
    /// Records that one of these describes may go; empty: any.
    pub filters: Vec<String>,
    /// Bytes of the cache that stay in any case.
    pub reserved_bytes: u64,
    /// Bytes the cache may take; 0: no limit.
    pub max_used_bytes: u64,
    /// Bytes of the disk that are to be free; 0: no limit.
    pub min_free_bytes: u64,
}

/// The rules, and what they depend on besides the records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// In the order in which they apply; none where garbage collection is off.
    pub policies: Vec<Policy>,
    /// Bytes free on the engine's disk; where that is not known it is taken to suffice.
    pub disk_free_bytes: Option<u64>,
}

impl Rules {
    /// The rules as the engine tells them.
    pub fn new(policies: Vec<GcPolicy>, disk_free_bytes: Option<u64>) -> Self {
        let policy = |policy: GcPolicy| Policy {
            all: policy.all,
            keep_for: SignedDuration::try_from(policy.keep_for).unwrap_or(SignedDuration::MAX),
            filters: policy.filters,
            reserved_bytes: policy.reserved_bytes,
            max_used_bytes: policy.max_used_bytes,
            min_free_bytes: policy.min_free_bytes,
        };
        Self { policies: policies.into_iter().map(policy).collect(), disk_free_bytes }
    }
}

/// What becomes of a cache mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Collection {
    /// Whether the next collection deletes it.
    pub due: bool,
    /// Otherwise: from when on one will, if nothing uses it until then and the cache stays as it is.
    pub due_from: Option<Timestamp>,
    /// The rule lets the cache grow to this before it deletes.
    pub threshold_bytes: Option<u64>,
    /// The rule spares what was used within this time.
    pub idle_seconds: Option<i64>,
}

/// For each cache mount, by record id, what the rules make of it.
pub(super) fn collections(
    rules: &Rules,
    records: &[CacheRecord],
    now: Timestamp,
) -> BTreeMap<String, Collection> {
    let total = unshared(records);
    let due = play(rules, records, now);
    let mounts = records.iter().filter(|record| record.kind == CacheKind::CacheMount);
    mounts
        .map(|record| {
            let (rule, due_from) = match due.get(record.id.as_str()) {
                Some(rule) => (Some(*rule), None),
                None => match next(rules, total, record, now) {
                    Some((rule, from)) => (Some(rule), Some(from)),
                    None => (None, None),
                },
            };
            let collection = Collection {
                due: rule.is_some() && due_from.is_none(),
                due_from,
                threshold_bytes: rule
                    .and_then(|rule| rule.keep_bytes(total, rules.disk_free_bytes)),
                idle_seconds: rule.map(|rule| rule.keep_for.as_secs()).filter(|time| *time > 0),
            };
            (record.id.clone(), collection)
        })
        .collect()
}

/// The rule that a record is next subject to, and from when on, if the cache stays as large as it is.
fn next<'a>(
    rules: &'a Rules,
    total: u64,
    record: &CacheRecord,
    now: Timestamp,
) -> Option<(&'a Policy, Timestamp)> {
    rules
        .policies
        .iter()
        .filter(|rule| {
            rule.takes(record) && is_exceeded(total, rule.keep_bytes(total, rules.disk_free_bytes))
        })
        .filter_map(|rule| {
            let from = record.last_used_at?.checked_add(rule.keep_for).ok()?;
            // Past that time and still not due: others go before it.
            (from > now).then_some((rule, from))
        })
        .min_by_key(|(_, from)| *from)
}

/// Ids of the records that a collection would delete now, with the rule that does.
fn play<'a, 'r>(
    rules: &'a Rules,
    records: &'r [CacheRecord],
    now: Timestamp,
) -> BTreeMap<&'r str, &'a Policy> {
    let mut gone: BTreeMap<&str, &Policy> = BTreeMap::new();
    for rule in &rules.policies {
        let left: Vec<&CacheRecord> =
            records.iter().filter(|it| !gone.contains_key(it.id.as_str())).collect();
        let mut total: u64 = left.iter().filter(|it| !it.shared).map(|it| it.size_bytes).sum();
        // How much is to stay is settled before the first record goes.
        let keep = rule.keep_bytes(total, rules.disk_free_bytes);
        if !is_exceeded(total, keep) {
            continue;
        }
        let parents: BTreeSet<&str> =
            left.iter().flat_map(|it| &it.parents).map(String::as_str).collect();
        let mut candidates: Vec<&CacheRecord> = left
            .iter()
            .copied()
            .filter(|record| rule.takes(record) && rule.is_idle(record, now))
            .filter(|record| !parents.contains(record.id.as_str()))
            .collect();
        sort_as_deleted(&mut candidates);
        for record in candidates {
            if !is_exceeded(total, keep) {
                break;
            }
            gone.insert(&record.id, rule);
            total = total.saturating_sub(record.size_bytes);
        }
    }
    gone
}

fn unshared(records: &[CacheRecord]) -> u64 {
    records.iter().filter(|record| !record.shared).map(|record| record.size_bytes).sum()
}

/// The seldom and long ago used first: the ranks by last use and by count, added.
fn sort_as_deleted(records: &mut [&CacheRecord]) {
    fn ranks<K: Ord + Clone>(records: &[&CacheRecord], key: impl Fn(&CacheRecord) -> K) -> Vec<K> {
        let mut keys: Vec<K> = records.iter().map(|record| key(record)).collect();
        keys.sort();
        keys.dedup();
        keys
    }
    let times = ranks(records, |it| it.last_used_at);
    let counts = ranks(records, |it| it.usage_count);
    let rank = |record: &CacheRecord| {
        let time = times.partition_point(|it| *it < record.last_used_at) + 1;
        let count = counts.partition_point(|it| *it < record.usage_count) + 1;
        time as f64 / times.len() as f64 + count as f64 / counts.len() as f64
    };
    records.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
}

/// Whether a cache of `total` is to shrink.
fn is_exceeded(total: u64, keep: Option<u64>) -> bool {
    keep.is_none_or(|keep| total >= keep)
}

impl Policy {
    /// To how much of `total` the cache shrinks; `None`: everything the rule takes goes.
    fn keep_bytes(&self, total: u64, disk_free: Option<u64>) -> Option<u64> {
        if self.max_used_bytes == 0 && self.reserved_bytes == 0 && self.min_free_bytes == 0 {
            return None;
        }
        let missing = self.min_free_bytes.saturating_sub(disk_free.unwrap_or(u64::MAX));
        let keep = match (self.max_used_bytes, total.saturating_sub(missing)) {
            (0, _) if self.min_free_bytes == 0 => 0,
            (0, rest) => rest,
            (most, _) if missing == 0 => most,
            (most, rest) => most.min(rest),
        };
        Some(keep.max(self.reserved_bytes))
    }

    fn takes(&self, record: &CacheRecord) -> bool {
        let protected =
            record.shared || matches!(record.kind, CacheKind::Internal | CacheKind::Frontend);
        !record.in_use
            && (self.all || !protected)
            && (self.filters.is_empty() || self.filters.iter().any(|text| matches(text, record)))
    }

    fn is_idle(&self, record: &CacheRecord, now: Timestamp) -> bool {
        self.keep_for.is_zero()
            || record.last_used_at.is_none_or(|used| now.duration_since(used) >= self.keep_for)
    }
}

/// Whether a filter of containerd's syntax describes the record: `FIELD==VALUE`, `!=`, joined by commas
/// that mean *and*. An empty one describes everything: a rule of daemon.json without a filter has it. One that is not
/// understood describes nothing.
fn matches(filter: &str, record: &CacheRecord) -> bool {
    let mut selectors = filter.split(',').filter(|selector| !selector.is_empty());
    selectors.all(|selector| {
        let (field, value, wanted) = match (selector.split_once("=="), selector.split_once("!=")) {
            (Some((field, value)), _) => (field, value, true),
            (None, Some((field, value))) => (field, value, false),
            (None, None) => (selector, "", true),
        };
        let value = value.trim_matches('"');
        let is = match field.trim() {
            "type" => record.kind.word() == value,
            "id" => record.id == value,
            "description" => record.description == value,
            "shared" => record.shared,
            "private" => !record.shared,
            "inuse" => record.in_use,
            _ => return false,
        };
        is == wanted
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const HOUR: i64 = 3600;

    fn at(hours_ago: i64) -> Timestamp {
        now().checked_sub(SignedDuration::from_secs(hours_ago * HOUR)).unwrap()
    }

    fn now() -> Timestamp {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    fn record(id: &str, kind: CacheKind, size_bytes: u64, used_hours_ago: i64) -> CacheRecord {
        CacheRecord {
            id: id.to_owned(),
            parents: Vec::new(),
            kind,
            description: String::new(),
            size_bytes,
            in_use: false,
            shared: false,
            created_at: None,
            last_used_at: Some(at(used_hours_ago)),
            usage_count: 1,
        }
    }

    fn rules(policies: &[Policy], disk_free_bytes: Option<u64>) -> Rules {
        Rules { policies: policies.to_vec(), disk_free_bytes }
    }

    /// BuildKit's own first rule.
    fn two_days() -> Policy {
        Policy {
            keep_for: SignedDuration::from_hours(48),
            filters: ["type==source.local", "type==exec.cachemount"].map(str::to_owned).to_vec(),
            max_used_bytes: 500,
            ..Policy::default()
        }
    }

    fn records() -> Vec<CacheRecord> {
        vec![
            record("old", CacheKind::CacheMount, 100, 50),
            record("new", CacheKind::CacheMount, 100, 40),
            record("layer", CacheKind::Regular, 400, 900),
        ]
    }

    fn told(rules: &Rules, records: &[CacheRecord]) -> Vec<String> {
        let all = collections(rules, records, now());
        all.iter()
            .map(|(id, it)| match (it.due, it.due_from) {
                (true, _) => format!("{id} due"),
                (false, Some(from)) => format!("{id} {from}"),
                (false, None) => format!("{id} stays"),
            })
            .collect()
    }

    #[test]
    fn idle_mounts_of_a_full_cache_are_due() {
        let told_of = |records: &[CacheRecord]| told(&rules(&[two_days()], None), records);
        assert_eq!(told_of(&records()), ["new 2026-11-24T20:00:00Z", "old due"]);
        assert_eq!(told_of(&records()[..2]), ["new stays", "old stays"]);
        let details = collections(&rules(&[two_days()], None), &records(), now());
        assert_eq!(details["old"].threshold_bytes, Some(500));
        assert_eq!(details["old"].idle_seconds, Some(48 * HOUR));
    }

    #[test]
    fn no_more_goes_than_has_to() {
        let mut records = records();
        records.push(record("older", CacheKind::CacheMount, 1, 60));
        records[0].usage_count = 9;
        let rule = Policy { max_used_bytes: 601, ..two_days() };
        // One byte is enough, and the seldom used one has it.
        assert_eq!(
            told(&rules(&[rule], None), &records),
            ["new 2026-11-24T20:00:00Z", "old stays", "older due"]
        );
    }

    /// The rules of Docker from 29.6 on for a disk of 250 GB (moby a60d7ee, `daemon/internal/builder-next/worker/gc.go`): a filter
    /// for each kind, where earlier ones have one filter with commas.
    #[test]
    fn docker_29_takes_idle_mounts_that_earlier_ones_leave() {
        const GB: u64 = 1_000_000_000;
        let limits = GcPolicy {
            reserved_bytes: 24 * GB,
            max_used_bytes: 187 * GB,
            min_free_bytes: 47 * GB,
            ..GcPolicy::default()
        };
        let days = |days: u64| std::time::Duration::from_secs(days * 24 * 3600);
        let of_docker = |filters: &[&str]| {
            let first = GcPolicy {
                filters: filters.iter().map(|it| (*it).to_owned()).collect(),
                keep_for: days(2),
                max_used_bytes: 3_310_000_000,
                ..GcPolicy::default()
            };
            let unused = GcPolicy { keep_for: days(60), ..limits.clone() };
            let all = GcPolicy { all: true, ..limits.clone() };
            Rules::new(vec![first, unused, limits.clone(), all], Some(100 * GB))
        };
        let apart = ["type==source.local", "type==exec.cachemount", "type==source.git.checkout"];
        let records = [
            record("idle", CacheKind::CacheMount, 2 * GB, 50),
            record("layer", CacheKind::Regular, 2 * GB, 900),
            record("used", CacheKind::CacheMount, 2 * GB, 40),
        ];
        let rules = of_docker(&apart);
        assert_eq!(told(&rules, &records), ["idle due", "used 2026-11-24T20:00:00Z"]);
        let details = collections(&rules, &records, now());
        assert_eq!(details["idle"].threshold_bytes, Some(3_310_000_000));
        let joined = told(&of_docker(&[&apart.join(",")]), &records);
        assert!(!joined.iter().any(|it| it.ends_with("due")), "{joined:?}");
        // The rule for what was not used for 60 days needs a cache of 187 GB.
        assert_eq!(joined, ["idle stays", "used stays"]);
        // A cache of less than the threshold keeps everything.
        assert_eq!(told(&rules, &records[..1]), ["idle stays"]);
    }

    #[test]
    fn filters_joined_by_a_comma_must_all_hold() {
        // Docker 28.5 writes its first rule so: it takes nothing.
        let docker = Policy {
            filters: vec!["type==source.local,type==exec.cachemount".to_owned()],
            ..two_days()
        };
        assert_eq!(told(&rules(&[docker], None), &records()), ["new stays", "old stays"]);
        let odd = Policy { filters: vec!["labels.x".to_owned()], ..two_days() };
        assert_eq!(told(&rules(&[odd], None), &records()), ["new stays", "old stays"]);
        let not = Policy { filters: vec!["type!=regular,inuse!=true".to_owned()], ..two_days() };
        assert_eq!(told(&rules(&[not], None), &records())[1], "old due");
    }

    #[test]
    fn a_rule_of_daemon_json_without_a_filter_takes_everything() {
        let written = Policy { filters: vec![String::new()], ..Policy::default() };
        assert_eq!(told(&rules(&[written], None), &records()), ["new due", "old due"]);
    }

    #[test]
    fn a_full_disk_counts_where_its_space_is_known() {
        let rule = Policy {
            max_used_bytes: 100_000,
            reserved_bytes: 550,
            min_free_bytes: 1_000,
            ..Policy::default()
        };
        assert_eq!(
            told(&rules(std::slice::from_ref(&rule), None), &records()),
            ["new stays", "old stays"]
        );
        // 50 bytes are missing: the largest rank goes first until 550 are left.
        assert_eq!(told(&rules(&[rule], Some(950)), &records())[0], "new stays");
        let only_free = Policy { min_free_bytes: 1_000, ..Policy::default() };
        assert!(told(&rules(&[only_free], Some(300)), &records()).contains(&"old due".to_owned()));
    }

    #[test]
    fn what_is_used_by_others_stays() {
        let mut records = records();
        records[0].in_use = true;
        records[1].shared = true;
        let all_go = Policy { all: true, ..Policy::default() };
        assert_eq!(told(&rules(&[Policy::default()], None), &records), ["new stays", "old stays"]);
        assert_eq!(told(&rules(&[all_go], None), &records), ["new due", "old stays"]);
        assert_eq!(told(&Rules::default(), &records), ["new stays", "old stays"]);
    }
}
