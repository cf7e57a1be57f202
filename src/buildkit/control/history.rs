//! The builds that the engine itself remembers (BuildKit 0.12 and later), whoever started them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1 as pb;
use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use tonic::Code;

use super::Control;
use crate::buildkit::convert;
use crate::progress::Trace;

/// Frontend attribute with the compose project of a build.
const PROJECT_ATTR: &str = "label:com.docker.compose.project";
/// What an exporter says of the image that it made: the digests one of which is the image's id, by the image store.
const ID_KEYS: [&str; 2] = ["containerimage.config.digest", "containerimage.digest"];
/// The names that it gave it, separated by commas.
const NAMES_KEY: &str = "image.name";
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
}

/// How much is read of each build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// What the list says.
    Listed,
    /// Its steps, too: a question for each build.
    Steps,
}

/// What the engine remembers.
#[derive(Debug)]
pub struct PastBuilds {
    /// The builds that can still be read.
    pub builds: Vec<PastBuild>,
    /// Since when these are all: the oldest is forgotten first.
    pub complete_since: Option<Timestamp>,
}

impl Control {
    /// The builds the engine remembers, those that run now left out. `None` where it remembers none:
    /// engines before Docker 24 have no such question.
    ///
    /// # Errors
    /// The connection was lost.
    pub async fn past_builds(&self, read: Read) -> Result<Option<PastBuilds>, tonic::Status> {
        let request = pb::BuildHistoryRequest { early_exit: true, ..Default::default() };
        let mut events = match self.client.clone().listen_build_history(request).await {
            Ok(events) => events.into_inner(),
            Err(status) if status.code() == Code::Unimplemented => return Ok(None),
            Err(status) => return Err(status),
        };
        let mut records: BTreeMap<String, pb::BuildHistoryRecord> = BTreeMap::new();
        let mut deleted = BTreeSet::new();
        loop {
            match events.message().await {
                Ok(Some(event)) => {
                    let is_deletion = event.r#type == pb::BuildHistoryEventType::Deleted as i32;
                    if let Some(record) = event.record {
                        if is_deletion {
                            deleted.insert(record.r#ref.clone());
                        }
                        records.insert(record.r#ref.clone(), record);
                    }
                }
                Ok(None) => break,
                Err(status) if status.code() == Code::Unimplemented => return Ok(None),
                Err(status) => return Err(status),
            }
        }
        records.retain(|id, record| !deleted.contains(id) && record.completed_at.is_some());
        if read == Read::Listed {
            let builds = records.into_values().map(|it| past(it, Trace::default())).collect();
            return Ok(Some(PastBuilds { builds, complete_since: None }));
        }
        let reads = records.into_values().map(|record| self.read(record));
        let read: Vec<(Option<Timestamp>, Option<PastBuild>)> =
            stream::iter(reads).buffer_unordered(AT_ONCE).collect().await;
        // A build whose steps cannot be read any more says nothing on its time.
        let unread = read.iter().filter(|(_, build)| build.is_none()).map(|(at, _)| *at).max();
        let oldest = read.iter().filter_map(|(at, _)| *at).min();
        let complete_since = match unread {
            None => oldest,
            Some(unread) => {
                read.iter().filter_map(|(at, _)| *at).filter(|at| Some(*at) > unread).min()
            }
        };
        let builds = read.into_iter().filter_map(|(_, build)| build).collect();
        Ok(Some(PastBuilds { builds, complete_since }))
    }

    /// Removes the ended builds of a project from what the engine remembers, as `docker buildx history rm`
    /// does. What cannot be removed stays: it is only a memory.
    pub async fn forget_builds_of(&self, project: &str) {
        let request = pb::BuildHistoryRequest { early_exit: true, ..Default::default() };
        let Ok(events) = self.client.clone().listen_build_history(request).await else { return };
        let mut events = events.into_inner();
        let mut refs = Vec::new();
        while let Ok(Some(event)) = events.message().await {
            let own = event.record.filter(|record| {
                record.frontend_attrs.get(PROJECT_ATTR).is_some_and(|name| name == project)
            });
            refs.extend(own.map(|record| record.r#ref));
        }
        for r#ref in refs {
            let request =
                pb::UpdateBuildHistoryRequest { r#ref, delete: true, ..Default::default() };
            let _ = self.client.clone().update_build_history(request).await;
        }
    }

    async fn read(&self, record: pb::BuildHistoryRecord) -> (Option<Timestamp>, Option<PastBuild>) {
        let started = convert::time(record.created_at);
        let request = pb::StatusRequest { r#ref: record.r#ref.clone() };
        let Ok(stream) = self.client.clone().status(request).await else { return (started, None) };
        let mut stream = stream.into_inner();
        let mut trace = Trace::default();
        loop {
            match stream.message().await {
                Ok(Some(mut message)) => {
                    message.logs.clear();
                    trace.update(&message.into(), Duration::ZERO);
                }
                Ok(None) => break,
                Err(_) => return (started, None),
            }
        }
        trace.end();
        (started, Some(past(record, trace)))
    }
}

fn past(record: pb::BuildHistoryRecord, trace: Trace) -> PastBuild {
    let said = |key: &str| record.exporter_response.get(key).cloned();
    let names = said(NAMES_KEY).unwrap_or_default();
    PastBuild {
        images: ID_KEYS.into_iter().filter_map(said).collect(),
        names: names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        frontend_attrs: record.frontend_attrs.into_iter().collect(),
        trace,
    }
}
