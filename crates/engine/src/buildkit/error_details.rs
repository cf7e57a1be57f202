//! What BuildKit attaches to a failed solve: which vertex, which lines of which Dockerfile.
//!
//! The details are `google.protobuf.Any` values whose payload is JSON (type URLs end in `+json`;
//! BuildKit `solver/errdefs`). 20.10 attaches none.

use bollard_buildkit_proto::google::rpc;
use prost::Message as _;
use serde::Deserialize;

use crate::progress::status::{SourcePosition, SourceRange};

/// A place in a Dockerfile, with the text the engine read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceLocation {
    /// File name as the frontend knows it.
    pub filename: String,
    /// The text of the file.
    pub text: String,
    /// Places in it; lines count from 1.
    pub ranges: Vec<SourceRange>,
}

/// The details of a failed solve.
#[derive(Debug, Default)]
pub(super) struct Details {
    pub(super) vertex: Option<String>,
    pub(super) source: Option<SourceLocation>,
}

/// Reads the `grpc-status-details-bin` of a failed call. Unknown details are left out.
pub(super) fn parse(details: &[u8]) -> Details {
    let mut found = Details::default();
    let Ok(status) = rpc::Status::decode(details) else { return found };
    for detail in status.details {
        let kind = detail.type_url.rsplit('/').next().unwrap_or_default();
        match kind {
            "errdefs.Vertex+json" => {
                if let Ok(vertex) = serde_json::from_slice::<VertexDetail>(&detail.value) {
                    found.vertex = vertex.digest;
                }
            }
            "errdefs.Source+json" => {
                // Several may be attached; the first is the innermost.
                if let Ok(source) = serde_json::from_slice::<SourceDetail>(&detail.value)
                    && found.source.is_none()
                {
                    found.source = source.into_location();
                }
            }
            _ => {}
        }
    }
    found
}

#[derive(Deserialize)]
struct VertexDetail {
    digest: Option<String>,
}

#[derive(Deserialize)]
struct SourceDetail {
    info: Option<InfoDetail>,
    #[serde(default)]
    ranges: Vec<RangeDetail>,
}

#[derive(Deserialize)]
struct InfoDetail {
    #[serde(default)]
    filename: String,
    #[serde(default)]
    data: String,
}

#[derive(Deserialize)]
struct RangeDetail {
    #[serde(default)]
    start: PositionDetail,
    #[serde(default)]
    end: PositionDetail,
}

#[derive(Deserialize, Default, Clone, Copy)]
struct PositionDetail {
    #[serde(default)]
    line: i32,
    #[serde(default)]
    character: i32,
}

impl SourceDetail {
    fn into_location(self) -> Option<SourceLocation> {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let info = self.info?;
        let text = STANDARD.decode(info.data).ok()?;
        let position =
            |at: PositionDetail| SourcePosition { line: at.line, character: at.character };
        Some(SourceLocation {
            filename: info.filename,
            text: String::from_utf8_lossy(&text).into_owned(),
            ranges: self
                .ranges
                .into_iter()
                .map(|range| SourceRange { start: position(range.start), end: position(range.end) })
                .collect(),
        })
    }
}
