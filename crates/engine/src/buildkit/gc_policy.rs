//! The rules of the engine's garbage collection, as its worker lists them.

use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1::types;

/// A rule (BuildKit `client.PruneInfo`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GcPolicy {
    /// Whether records that images hold are removed, too.
    pub all: bool,
    /// Records used since then stay.
    pub keep_for: Duration,
    /// What may go, in containerd's filter syntax; empty: anything.
    pub filters: Vec<String>,
    /// Bytes of the cache that stay in any case.
    pub reserved_bytes: u64,
    /// Bytes the cache may take; 0: no limit.
    pub max_used_bytes: u64,
    /// Bytes of the disk that are to be free; 0: no limit.
    pub min_free_bytes: u64,
}

impl GcPolicy {
    /// Whether it may take layers.
    pub fn takes_layers(&self) -> bool {
        let takes = |filter: &String| filter.is_empty() || filter == "type==regular";
        self.filters.is_empty() || self.filters.iter().any(takes)
    }

    /// What the cache may take before it deletes, where there is a limit.
    pub fn limit(&self) -> Option<u64> {
        let limits = [self.max_used_bytes, self.reserved_bytes];
        limits.into_iter().filter(|limit| *limit > 0).max()
    }
}

impl From<types::GcPolicy> for GcPolicy {
    fn from(policy: types::GcPolicy) -> Self {
        let positive = |number: i64| u64::try_from(number).unwrap_or(0);
        Self {
            all: policy.all,
            keep_for: Duration::from_nanos(positive(policy.keep_duration)),
            filters: policy.filters,
            reserved_bytes: positive(policy.reserved_space),
            max_used_bytes: positive(policy.max_used_space),
            min_free_bytes: positive(policy.min_free_space),
        }
    }
}
