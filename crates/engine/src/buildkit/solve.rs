//! What a solve asks for and how it fails, in BuildKit's own terms.

use std::collections::{BTreeMap, HashMap};

use bollard_buildkit_proto::moby::buildkit::v1 as pb;
use tonic::transport::Channel;

use super::definition::Definition;
use super::error_details::{self, SourceLocation};
use super::transport::{ANSWER_HEADER_LIMIT, MESSAGE_LIMIT};

/// What to solve.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SolveOptions {
    /// Id of this build, see [`super::new_ref`].
    pub build_ref: String,
    /// Id of the session that serves it.
    pub session: String,
    /// Frontend such as `dockerfile.v0`.
    pub frontend: String,
    /// Frontend attributes (`filename`, `build-arg:KEY`, ...).
    pub frontend_attrs: BTreeMap<String, String>,
    /// Build graphs that the attributes name, see [`SolveOptions::link`].
    pub inputs: BTreeMap<String, Definition>,
    /// Where the result goes.
    pub exporters: Vec<ExporterSpec>,
    /// Cache imports.
    pub cache_imports: Vec<CacheEntry>,
    /// Cache exports.
    pub cache_exports: Vec<CacheEntry>,
    /// Entitlements granted to the build.
    pub entitlements: Vec<String>,
}

/// One exporter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExporterSpec {
    /// Type such as `moby`, `image`, `tar`.
    pub kind: String,
    /// Attributes.
    pub attrs: BTreeMap<String, String>,
}

/// One cache import or export.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheEntry {
    /// Type such as `registry`, `inline`, `local`.
    pub kind: String,
    /// Attributes.
    pub attrs: BTreeMap<String, String>,
}

/// A solve that failed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct SolveError {
    /// gRPC code.
    pub code: tonic::Code,
    /// The engine's message.
    pub message: String,
    /// Digest of the failed vertex, where the engine tells it (not on 20.10).
    pub vertex: Option<String>,
    /// Place in the Dockerfile, where the engine tells it (not on 20.10).
    pub location: Option<SourceLocation>,
}

impl SolveError {
    /// Whether the connection broke instead of the build.
    pub fn engine_is_gone(&self) -> bool {
        self.code == tonic::Code::Unavailable
    }
}

impl From<tonic::Status> for SolveError {
    fn from(status: tonic::Status) -> Self {
        let details = error_details::parse(status.details());
        let message = if over_limit(&status) {
            let limit = ANSWER_HEADER_LIMIT >> 20;
            format!("{OVER_LIMIT} of {limit} MiB, which ended the connection")
        } else {
            status.message().to_owned()
        };
        Self { code: status.code(), message, vertex: details.vertex, location: details.source }
    }
}

/// How the message about an answer begins that is longer than any that is taken.
pub const OVER_LIMIT: &str = "the answer of the engine is longer than the limit";

/// Whether h2 ended the connection because of too many headers: tonic makes this code and text of it
/// (`ENHANCE_YOUR_CALM`). The engine's own messages of this code start otherwise.
fn over_limit(status: &tonic::Status) -> bool {
    status.code() == tonic::Code::ResourceExhausted
        && status.message().starts_with("h2 protocol error")
}

/// The message that asks for `options`.
pub(super) fn request(options: SolveOptions) -> pb::SolveRequest {
    let exporters: Vec<pb::Exporter> = options
        .exporters
        .into_iter()
        .map(|exporter| pb::Exporter { r#type: exporter.kind, attrs: map(exporter.attrs) })
        .collect();
    let first = exporters.first().cloned().unwrap_or_default();
    let entries = |entries: Vec<CacheEntry>| {
        entries
            .into_iter()
            .map(|entry| pb::CacheOptionsEntry { r#type: entry.kind, attrs: map(entry.attrs) })
            .collect()
    };
    pb::SolveRequest {
        r#ref: options.build_ref,
        session: options.session,
        frontend: options.frontend,
        frontend_attrs: map(options.frontend_attrs),
        frontend_inputs: inputs(options.inputs),
        // Engines before 25 know only the single exporter.
        exporter_deprecated: first.r#type,
        exporter_attrs_deprecated: first.attrs,
        exporters,
        cache: Some(pb::CacheOptions {
            imports: entries(options.cache_imports),
            exports: entries(options.cache_exports),
            ..Default::default()
        }),
        entitlements: options.entitlements,
        ..Default::default()
    }
}

/// A client of the Control API with BuildKit's own limits.
pub(super) fn client(channel: Channel) -> pb::control_client::ControlClient<Channel> {
    pb::control_client::ControlClient::new(channel)
        .max_decoding_message_size(MESSAGE_LIMIT)
        .max_encoding_message_size(MESSAGE_LIMIT)
}

/// The message's form of `inputs`.
pub(super) fn inputs(
    inputs: BTreeMap<String, Definition>,
) -> HashMap<String, bollard_buildkit_proto::pb::Definition> {
    inputs.into_iter().map(|(name, definition)| (name, definition.into_wire())).collect()
}

fn map(from: BTreeMap<String, String>) -> HashMap<String, String> {
    from.into_iter().collect()
}
