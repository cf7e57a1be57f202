//! What the engine's history holds of one build besides its steps: when and of what it was made, how it ended, and the
//! provenance that BuildKit writes of each build that succeeded, whoever asked for it.

use std::collections::BTreeMap;

use bollard_buildkit_proto::google::rpc;
use bollard_buildkit_proto::moby::buildkit::v1 as pb;
use http::uri::PathAndQuery;
use jiff::Timestamp;
use tonic::client::Grpc;
use tonic_prost::ProstCodec;

use super::Control;
use crate::buildkit::convert;
use crate::buildkit::session::content::Digest;
use crate::buildkit::session::content::messages::{ReadContentRequest, ReadContentResponse};

/// What an exporter says of the image that it made: the digests one of which is the image's id, by the image store.
pub(super) const ID_KEYS: [&str; 2] = ["containerimage.config.digest", "containerimage.digest"];
/// The names that it gave it, separated by commas.
pub(super) const NAMES_KEY: &str = "image.name";
/// Reads a blob.
const READ: &str = "/containerd.services.content.v1.Content/Read";
/// The annotation of an attestation that says what it states.
const PREDICATE: &str = "in-toto.io/predicate-type";
/// How its value begins for provenance: v0.2 before BuildKit 0.28, v1 since.
const PROVENANCE: &str = "https://slsa.dev/provenance/";
/// The attribute of an exporter with the names that an image is to have.
const NAME_ATTR: &str = "name";
/// Bytes of one provenance that are read: a build of ten operations has 25 KB.
const MOST_PROVENANCE: usize = 16 << 20;
/// Characters of an error that are kept of a record.
const LONGEST_ERROR: usize = 1024;
/// Attestations of one build, one for each platform.
const MOST_PLATFORMS: usize = 16;

/// A build as the engine's history lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordedBuild {
    /// What the engine calls it.
    pub build_ref: String,
    /// What its frontend was given: `label:KEY`, `build-arg:KEY`, ...
    pub frontend_attrs: BTreeMap<String, String>,
    /// Digests of the image that it made, one of which is the image's id.
    pub images: Vec<String>,
    /// Names that it gave the image.
    pub names: Vec<String>,
    /// When it was asked for, by the engine's clock.
    pub started: Option<Timestamp>,
    /// When it ended; `None` of one that runs, or that the engine lost sight of.
    pub completed: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<String>,
    /// Steps that came from the cache, those among them that are no instruction.
    pub cached_steps: u32,
    /// All of them; 0 where the engine does not count.
    pub total_steps: u32,
    /// Digests of its provenances, one for each platform; a build that failed has none.
    pub provenances: Vec<String>,
}

impl Control {
    /// The builds of the engine's history, the newest first; of `build_ref` alone unless that is empty. `None` where it
    /// keeps none: engines before Docker 24.
    ///
    /// # Errors
    /// The connection was lost.
    pub async fn recorded_builds(
        &self,
        build_ref: &str,
    ) -> Result<Option<Vec<RecordedBuild>>, tonic::Status> {
        let Some(records) = self.records(build_ref).await? else { return Ok(None) };
        let mut builds: Vec<RecordedBuild> =
            records.into_values().map(RecordedBuild::from).collect();
        builds.sort_by(|one, other| {
            (other.started, &other.build_ref).cmp(&(one.started, &one.build_ref))
        });
        Ok(Some(builds))
    }

    /// The provenances of a build as JSON. One that is too large, or gone, is left out.
    pub async fn provenances(&self, build: &RecordedBuild) -> Vec<Vec<u8>> {
        let mut read = Vec::new();
        for digest in build.provenances.iter().take(MOST_PLATFORMS) {
            read.extend(self.blob(digest, MOST_PROVENANCE).await.ok().flatten());
        }
        read
    }

    /// A blob of at most `most` bytes; `None` where it is larger.
    async fn blob(&self, digest: &str, most: usize) -> Result<Option<Vec<u8>>, tonic::Status> {
        let Some(wanted) = Digest::parse(digest) else { return Ok(None) };
        let mut grpc = Grpc::new(self.channel());
        let closed = |error: tonic::transport::Error| tonic::Status::unavailable(error.to_string());
        grpc.ready().await.map_err(closed)?;
        let request = ReadContentRequest { digest: wanted.to_string(), offset: 0, size: 0 };
        let codec = ProstCodec::<ReadContentRequest, ReadContentResponse>::default();
        let path = PathAndQuery::from_static(READ);
        let request = tonic::Request::new(request);
        let mut parts = grpc.server_streaming(request, path, codec).await?.into_inner();
        let mut blob = Vec::new();
        while let Some(part) = parts.message().await? {
            if blob.len() + part.data.len() > most {
                return Ok(None);
            }
            blob.extend_from_slice(&part.data);
        }
        Ok(Some(blob))
    }
}

impl From<pb::BuildHistoryRecord> for RecordedBuild {
    fn from(record: pb::BuildHistoryRecord) -> Self {
        let said = |key: &str| record.exporter_response.get(key).cloned();
        // The exporter of an engine with a graph driver tells no names.
        let asked = record.exporters.iter().filter_map(|it| it.attrs.get(NAME_ATTR)).next();
        let names = said(NAMES_KEY).or_else(|| asked.cloned()).unwrap_or_default();
        let count = |steps: i32| u32::try_from(steps).unwrap_or_default();
        let results: BTreeMap<&String, &pb::BuildResultInfo> = record.results.iter().collect();
        let results = record.result.iter().chain(results.into_values());
        let mut provenances: Vec<String> = Vec::new();
        for attestation in results.flat_map(|result| &result.attestations) {
            let states = attestation.annotations.get(PREDICATE);
            let is_one = states.is_some_and(|states| states.starts_with(PROVENANCE));
            if is_one && !provenances.contains(&attestation.digest) {
                provenances.push(attestation.digest.clone());
            }
        }
        Self {
            images: ID_KEYS.into_iter().filter_map(said).collect(),
            names: names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
            frontend_attrs: record.frontend_attrs.into_iter().collect(),
            started: convert::time(record.created_at),
            completed: convert::time(record.completed_at),
            error: record.error.map(|error| error.message).filter(|message| !message.is_empty()),
            cached_steps: count(record.num_cached_steps),
            total_steps: count(record.num_total_steps),
            build_ref: record.r#ref,
            provenances,
        }
    }
}

/// The beginning of an error's message: its details hold whole Dockerfiles.
pub(super) fn without_details(error: rpc::Status) -> rpc::Status {
    let message = error.message.chars().take(LONGEST_ERROR).collect();
    rpc::Status { code: error.code, message, details: Vec::new() }
}

/// Nothing but the attestations.
pub(super) fn without_results(result: pb::BuildResultInfo) -> pb::BuildResultInfo {
    pb::BuildResultInfo { attestations: result.attestations, ..pb::BuildResultInfo::default() }
}
