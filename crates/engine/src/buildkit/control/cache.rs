//! The build cache of BuildKit as its Control API tells of it: records, and their removal by ids.
//!
//! `DiskUsage` and `Prune` read filters in the same way (BuildKit `cache/manager.go`): any of them has to match, and none at
//! all matches everything. So a prune never goes without, and before it the same filters are asked what they mean.

use std::collections::BTreeSet;
use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1 as pb;

use super::Control;
use crate::buildkit::convert;
use crate::buildkit::solve::SolveError;
use crate::engine::removal::is_record_id;
use crate::inventory::{CacheKind, CacheRecord};

/// Ids in one request.
const IDS_PER_REQUEST: usize = 1_000;
/// How often BuildKit is asked that misses what it was about to measure, and after which time: a build or another prune has
/// just removed that.
const QUESTIONS: u32 = 10;
const REST: Duration = Duration::from_millis(200);

impl Control {
    /// Records of the build cache as they are now.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn cache_records(&self) -> Result<Vec<CacheRecord>, SolveError> {
        self.records_of(Vec::new()).await
    }

    async fn records_of(&self, filter: Vec<String>) -> Result<Vec<CacheRecord>, SolveError> {
        let request = pb::DiskUsageRequest { filter, ..pb::DiskUsageRequest::default() };
        let mut questions = 0;
        let usage = loop {
            questions += 1;
            match self.client.clone().disk_usage(request.clone()).await {
                Ok(usage) => break usage.into_inner(),
                Err(status) if misses_something(&status) && questions < QUESTIONS => {
                    tokio::time::sleep(REST).await;
                }
                Err(status) => return Err(status.into()),
            }
        };
        Ok(usage.record.into_iter().map(CacheRecord::from).collect())
    }

    /// Removes records with these ids and nothing else; returns the ids of those that BuildKit says it removed. It keeps in
    /// silence what a build uses or something builds on: whatever builds on a record has to come before it.
    ///
    /// # Errors
    /// An id is not one of BuildKit's, or its filters mean other records than these: then no more is removed. Or it does not
    /// answer.
    pub async fn prune_records(&self, ids: &[String]) -> Result<BTreeSet<String>, SolveError> {
        if let Some(odd) = ids.iter().find(|id| !is_record_id(id)) {
            let why = format!("{odd:?} is not a record id");
            return Err(tonic::Status::invalid_argument(why).into());
        }
        let mut removed = BTreeSet::new();
        for ids in ids.chunks(IDS_PER_REQUEST) {
            let filter: Vec<String> = ids.iter().map(|id| format!("id=={id}")).collect();
            for record in self.records_of(filter.clone()).await? {
                if !ids.contains(&record.id) {
                    let why = format!(
                        "its filters by id also mean the record {}: no more is removed",
                        record.id
                    );
                    return Err(tonic::Status::failed_precondition(why).into());
                }
            }
            // `all` takes layers of images, too, which are in the plan as any other record.
            let request = pb::PruneRequest { filter, all: true, ..pb::PruneRequest::default() };
            let mut stream = self.client.clone().prune(request).await?.into_inner();
            while let Some(record) = stream.message().await? {
                removed.insert(record.id);
            }
        }
        Ok(removed)
    }
}

/// Whether what is missing was there a moment ago.
fn misses_something(status: &tonic::Status) -> bool {
    status.code() == tonic::Code::NotFound || status.message().contains("does not exist")
}

impl From<pb::UsageRecord> for CacheRecord {
    #[allow(deprecated)]
    fn from(record: pb::UsageRecord) -> Self {
        let mut parents = record.parents;
        // BuildKit before 0.10 has one at most.
        if parents.is_empty() && !record.parent.is_empty() {
            parents.push(record.parent);
        }
        let kind = match record.record_type.as_str() {
            "" => CacheKind::Regular,
            word => CacheKind::from_word(word),
        };
        Self {
            id: record.id,
            parents,
            kind,
            description: record.description,
            size_bytes: u64::try_from(record.size).unwrap_or_default(),
            in_use: record.in_use,
            shared: record.shared,
            created_at: convert::time(record.created_at),
            last_used_at: convert::time(record.last_used_at),
            usage_count: u64::try_from(record.usage_count).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(deprecated)]
    use super::*;

    #[test]
    fn a_record_is_read_in_the_words_of_every_release() {
        let old = pb::UsageRecord {
            id: "a".into(),
            parent: "p".into(),
            size: -1,
            ..pb::UsageRecord::default()
        };
        let record = CacheRecord::from(old);
        assert_eq!((record.parents, record.size_bytes), (vec!["p".to_owned()], 0));
        assert_eq!((record.kind, record.last_used_at), (CacheKind::Regular, None));
        let new = pb::UsageRecord {
            id: "b".into(),
            parents: vec!["p".into(), "q".into()],
            parent: "p".into(),
            record_type: "exec.cachemount".into(),
            size: 7,
            usage_count: 3,
            shared: true,
            ..pb::UsageRecord::default()
        };
        let record = CacheRecord::from(new);
        assert_eq!((record.parents.len(), record.size_bytes, record.usage_count), (2, 7, 3));
        assert!(record.shared && !record.in_use && record.kind == CacheKind::CacheMount);
    }
}
