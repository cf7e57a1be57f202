//! The builds that the engine itself remembers (BuildKit 0.12 and later), whoever started them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1 as pb;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use prost::Message as _;
use tokio::sync::mpsc;
use tonic::Code;

use super::Control;
use super::recorded::{self, ID_KEYS, NAMES_KEY};
use crate::buildkit::convert;
use crate::progress::{SolveStatus, StatusBounds, Trace};

/// Frontend attribute with the compose project of a build.
const PROJECT_ATTR: &str = "label:com.docker.compose.project";
/// Largest record that is taken.
const RECORD_LIMIT: usize = 64 << 20;
/// Bytes of all records together, without what is not used of them. An engine keeps 50 builds by default.
const MOST_BYTES: usize = 64 << 20;
/// How many builds are read at a time.
const AT_ONCE: usize = 8;

/// A build that ended.
#[derive(Debug)]
pub struct PastBuild {
    /// What its frontend was given: `label:KEY`, `build-arg:KEY`, ...
    pub frontend_attrs: BTreeMap<String, String>,
    /// Digests of the image that it made, one of which is the image's id.
    pub images: Vec<String>,
    /// Names that it gave the image.
    pub names: Vec<String>,
    /// Its steps, where they were asked for.
    pub trace: Trace,
    /// What the engine calls it.
    pub build_ref: String,
}

/// Builds that the engine has told of, without their steps.
#[derive(Debug)]
pub struct ListedBuilds(Vec<pb::BuildHistoryRecord>);

/// What the engine remembers.
#[derive(Debug)]
pub struct PastBuilds {
    /// The builds that can still be read.
    pub builds: Vec<PastBuild>,
    /// Those whose steps somebody else knows: they were not asked for.
    pub known: Vec<PastBuild>,
    /// Since when these are all: the oldest is forgotten first.
    pub complete_since: Option<Timestamp>,
}

impl ListedBuilds {
    /// The builds as they were listed.
    pub fn without_steps(self) -> PastBuilds {
        let builds = self.0.into_iter().map(|it| past(it, Trace::default())).collect();
        PastBuilds { builds, known: Vec::new(), complete_since: None }
    }
}

impl Control {
    /// The builds the engine remembers, those that run now left out. `None` where it remembers none:
    /// engines before Docker 24 have no such question.
    ///
    /// # Errors
    /// The connection was lost.
    pub async fn past_builds(&self) -> Result<Option<ListedBuilds>, tonic::Status> {
        let records = self.records("").await?;
        let ended = |record: &pb::BuildHistoryRecord| record.completed_at.is_some();
        Ok(records.map(|it| ListedBuilds(it.into_values().filter(ended).collect())))
    }

    /// The same builds with their steps: a question for each but those with a ref among `known`.
    pub async fn with_steps(&self, listed: ListedBuilds, known: &BTreeSet<String>) -> PastBuilds {
        let (known, unknown): (Vec<_>, Vec<_>) =
            listed.0.into_iter().partition(|record| known.contains(&record.r#ref));
        let reads = unknown.into_iter().map(|record| self.read(record));
        let read: Vec<(Option<Timestamp>, Option<PastBuild>)> =
            stream::iter(reads).buffer_unordered(AT_ONCE).collect().await;
        let starts = || {
            let of_known = known.iter().map(|record| convert::time(record.created_at));
            read.iter().map(|(at, _)| *at).chain(of_known).flatten()
        };
        // A build whose steps cannot be read any more says nothing on its time.
        let unread = read.iter().filter(|(_, build)| build.is_none()).map(|(at, _)| *at).max();
        let complete_since = match unread {
            None => starts().min(),
            Some(unread) => starts().filter(|at| Some(*at) > unread).min(),
        };
        PastBuilds {
            builds: read.into_iter().filter_map(|(_, build)| build).collect(),
            known: known.into_iter().map(|record| past(record, Trace::default())).collect(),
            complete_since,
        }
    }

    /// Sends what BuildKit keeps of an ended build, with all output of its steps, until that is told or the receiver goes.
    /// Returns whether it knows the build: it forgets old ones, and before 0.11 all.
    ///
    /// # Errors
    /// The connection was lost.
    pub async fn replay(
        &self,
        build_ref: &str,
        to: &mpsc::Sender<SolveStatus>,
    ) -> Result<bool, tonic::Status> {
        // It waits for one that it does not know.
        if self.records(build_ref).await?.is_none_or(|found| !found.contains_key(build_ref)) {
            return Ok(false);
        }
        self.statuses(build_ref, to).await?;
        Ok(true)
    }

    /// The same of a build that it knows to have ended.
    ///
    /// # Errors
    /// The connection was lost.
    pub async fn statuses(
        &self,
        build_ref: &str,
        to: &mpsc::Sender<SolveStatus>,
    ) -> Result<(), tonic::Status> {
        let request = pb::StatusRequest { r#ref: build_ref.to_owned() };
        let mut stream = self.client.clone().status(request).await?.into_inner();
        let mut bounds = StatusBounds::default();
        while let Some(message) = stream.message().await? {
            let mut status = convert::solve_status(message);
            bounds.apply(&mut status);
            if to.send(status).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Removes the ended builds of a project from what the engine remembers, as `docker buildx history rm`
    /// does. What cannot be removed stays: it is only a memory.
    pub async fn forget_builds_of(&self, project: &str) {
        let Ok(Some(records)) = self.records("").await else { return };
        let is_own = |record: &pb::BuildHistoryRecord| {
            record.frontend_attrs.get(PROJECT_ATTR).is_some_and(|name| name == project)
        };
        let own = records.into_iter().filter(|(_, record)| is_own(record));
        let refs: Vec<String> = own.map(|(id, _)| id).collect();
        for r#ref in refs {
            let request =
                pb::UpdateBuildHistoryRequest { r#ref, delete: true, ..Default::default() };
            let _ = self.client.clone().update_build_history(request).await;
        }
    }

    /// The builds by their refs, or the one of `build_ref` unless that is empty; `None` where the engine has no such
    /// question.
    pub(super) async fn records(
        &self,
        build_ref: &str,
    ) -> Result<Option<BTreeMap<String, pb::BuildHistoryRecord>>, tonic::Status> {
        // The record of a failure holds its Dockerfile, in base64: engines up to 26.1 send it however long it is.
        let mut client = self.client.clone().max_decoding_message_size(RECORD_LIMIT);
        let request = pb::BuildHistoryRequest {
            early_exit: true,
            r#ref: build_ref.to_owned(),
            ..Default::default()
        };
        let is_unknown = |status: &tonic::Status| status.code() == Code::Unimplemented;
        let mut events = match client.listen_build_history(request).await {
            Ok(events) => events.into_inner(),
            Err(status) if is_unknown(&status) => return Ok(None),
            Err(status) => return Err(status),
        };
        let mut records = Records::default();
        loop {
            match events.message().await {
                Ok(Some(event)) => records.add(event)?,
                Ok(None) => return Ok(Some(records.found)),
                Err(status) if is_unknown(&status) => return Ok(None),
                Err(status) => return Err(status),
            }
        }
    }

    async fn read(&self, record: pb::BuildHistoryRecord) -> (Option<Timestamp>, Option<PastBuild>) {
        let started = convert::time(record.created_at);
        let request = pb::StatusRequest { r#ref: record.r#ref.clone() };
        let Ok(stream) = self.client.clone().status(request).await else { return (started, None) };
        let mut stream = stream.into_inner();
        let (mut trace, mut bounds) = (Trace::default(), StatusBounds::default());
        loop {
            match stream.message().await {
                Ok(Some(mut message)) => {
                    message.logs.clear();
                    let mut status = convert::solve_status(message);
                    bounds.apply(&mut status);
                    trace.update(&status, Duration::ZERO);
                }
                Ok(None) => break,
                Err(_) => return (started, None),
            }
        }
        trace.end();
        (started, Some(past(record, trace)))
    }
}

/// Records as they come in.
#[derive(Default)]
struct Records {
    found: BTreeMap<String, pb::BuildHistoryRecord>,
    deleted: BTreeSet<String>,
    bytes: usize,
}

impl Records {
    /// Takes an event; a build may be told of several times.
    fn add(&mut self, event: pb::BuildHistoryEvent) -> Result<(), tonic::Status> {
        let Some(told) = event.record else { return Ok(()) };
        let record = pb::BuildHistoryRecord {
            r#ref: told.r#ref,
            frontend_attrs: told.frontend_attrs,
            exporter_response: told.exporter_response,
            exporters: told.exporters,
            created_at: told.created_at,
            completed_at: told.completed_at,
            num_cached_steps: told.num_cached_steps,
            num_total_steps: told.num_total_steps,
            error: told.error.map(recorded::without_details),
            result: told.result.map(recorded::without_results),
            results: told
                .results
                .into_iter()
                .map(|(platform, it)| (platform, recorded::without_results(it)))
                .collect(),
            ..pb::BuildHistoryRecord::default()
        };
        self.bytes += record.encoded_len() + record.r#ref.len();
        if self.bytes > MOST_BYTES {
            let limit = MOST_BYTES >> 20;
            return Err(tonic::Status::resource_exhausted(format!(
                "the engine tells of more builds than the {limit} MiB that are read"
            )));
        }
        if event.r#type == pb::BuildHistoryEventType::Deleted as i32 {
            self.found.remove(&record.r#ref);
            self.deleted.insert(record.r#ref);
        } else if !self.deleted.contains(&record.r#ref) {
            self.found.insert(record.r#ref.clone(), record);
        }
        Ok(())
    }
}

fn past(record: pb::BuildHistoryRecord, trace: Trace) -> PastBuild {
    let said = |key: &str| record.exporter_response.get(key).cloned();
    let names = said(NAMES_KEY).unwrap_or_default();
    PastBuild {
        images: ID_KEYS.into_iter().filter_map(said).collect(),
        names: names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        frontend_attrs: record.frontend_attrs.into_iter().collect(),
        build_ref: record.r#ref,
        trace,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn event(id: usize, kind: pb::BuildHistoryEventType, error: usize) -> pb::BuildHistoryEvent {
        let error = bollard_buildkit_proto::google::rpc::Status {
            message: "x".repeat(error),
            ..Default::default()
        };
        let record = pb::BuildHistoryRecord {
            r#ref: id.to_string(),
            frontend_attrs: [("label:a".to_owned(), "x".repeat(1000))].into(),
            error: Some(error),
            ..pb::BuildHistoryRecord::default()
        };
        pb::BuildHistoryEvent { r#type: kind as i32, record: Some(record) }
    }

    #[test]
    fn records_keep_what_is_used_of_them_up_to_a_bound() {
        use pb::BuildHistoryEventType::{Complete, Deleted, Started};
        let mut records = Records::default();
        for (id, kind) in
            [(1, Started), (1, Complete), (2, Deleted), (2, Complete), (3, Complete), (3, Deleted)]
        {
            records.add(event(id, kind, 10 << 20)).unwrap();
        }
        assert_eq!(records.found.keys().collect::<Vec<_>>(), ["1"]);
        assert!(records.bytes < 20_000, "{}", records.bytes);
        let all = (0..100_000).try_for_each(|_| records.add(event(1, Complete, 0)));
        let error = all.unwrap_err();
        assert_eq!(
            error.message(),
            "the engine tells of more builds than the 64 MiB that are read"
        );
    }
}
