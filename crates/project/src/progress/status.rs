//! BuildKit's progress model: the JSON shape is `SolveStatus` of BuildKit's `client/graph.go`,
//! which is what `docker buildx build --progress=rawjson` prints.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One message of the Status stream: what changed since the last one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SolveStatus {
    /// Steps that appeared or changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vertexes: Vec<Vertex>,
    /// Progress within steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<VertexStatus>,
    /// Output of steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<VertexLog>,
    /// Warnings of the frontend.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<VertexWarning>,
}

impl SolveStatus {
    /// Leaves out everything on the vertexes with these digests.
    pub fn leave_out(&mut self, digests: &BTreeSet<String>) {
        if digests.is_empty() {
            return;
        }
        self.vertexes.retain(|vertex| !digests.contains(&vertex.digest));
        self.statuses.retain(|status| !digests.contains(&status.vertex));
        self.logs.retain(|log| !digests.contains(&log.vertex));
        self.warnings.retain(|warning| !digests.contains(&warning.vertex));
    }
}

/// A step of a build. The same digest may start and complete several times.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Vertex {
    /// Content digest; the key of the vertex.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// Digests of the vertexes it reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<String>,
    /// Name as the frontend made it, such as `[stage-0 2/5] RUN ...`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Start of the current interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// End of the current interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<Timestamp>,
    /// The result came from the cache.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cached: bool,
    /// Error text if the step failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// Group the step belongs to (cross-compiled or multi-op steps).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress_group: Option<ProgressGroup>,
}

/// Steps shown as one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProgressGroup {
    /// Id of the group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Name to show.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Whether the group is shown only when it does something.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub weak: bool,
}

/// Progress of something inside a step, such as one layer of a pull.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct VertexStatus {
    /// What progresses, such as `transferring context:`.
    pub id: String,
    /// Digest of the vertex.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vertex: String,
    /// Name to show when it differs from the id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Bytes expected; 0 when unknown.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub total: i64,
    /// Bytes done.
    pub current: i64,
    /// When this was measured.
    #[serde(default, serialize_with = "go_time")]
    pub timestamp: Option<Timestamp>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<Timestamp>,
}

/// A piece of a step's output; not necessarily whole lines.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct VertexLog {
    /// Digest of the vertex.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vertex: String,
    /// 1 is stdout, 2 is stderr.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stream: i64,
    /// The bytes.
    #[serde(with = "base64_bytes")]
    pub data: Vec<u8>,
    /// When it was written.
    #[serde(default, serialize_with = "go_time")]
    pub timestamp: Option<Timestamp>,
}

/// A warning of the frontend, such as a build check.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct VertexWarning {
    /// Digest of the vertex.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub vertex: String,
    /// Severity, 1 is the mildest.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub level: i64,
    /// The warning in a line.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "base64_bytes")]
    pub short: Vec<u8>,
    /// More lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "base64_list")]
    pub detail: Vec<Vec<u8>>,
    /// Where the rule is explained.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// The Dockerfile it speaks of.
    #[serde(default, rename = "sourceInfo", skip_serializing_if = "Option::is_none")]
    pub source_info: Option<SourceInfo>,
    /// Places in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub range: Vec<SourceRange>,
}

/// A source file that the frontend read. BuildKit sends the build graph that fetches the file
/// along; it is not kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceInfo {
    /// File name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub filename: String,
    /// Its text.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "base64_bytes")]
    pub data: Vec<u8>,
    /// Its language, such as `Dockerfile`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub language: String,
}

/// Lines and characters, both from BuildKit: lines count from 1, characters from 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRange {
    /// First character.
    pub start: SourcePosition,
    /// Past the last character.
    pub end: SourcePosition,
}

/// A place in a source file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePosition {
    /// Line, from 1.
    #[serde(default, skip_serializing_if = "is_zero_i32")]
    pub line: i32,
    /// Character, from 0.
    #[serde(default, skip_serializing_if = "is_zero_i32")]
    pub character: i32,
}

fn is_zero(n: &i64) -> bool {
    *n == 0
}

fn is_zero_i32(n: &i32) -> bool {
    *n == 0
}

/// A Go `time.Time` is never absent: the zero time stands for one that was not set.
fn go_time<S: serde::Serializer>(time: &Option<Timestamp>, to: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => time.serialize(to),
        None => to.serialize_str("0001-01-01T00:00:00Z"),
    }
}

/// Go's `[]byte` in JSON: standard base64.
mod base64_bytes {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = Option::<String>::deserialize(from)?.unwrap_or_default();
        STANDARD.decode(text).map_err(D::Error::custom)
    }
}

/// Go's `[][]byte` in JSON.
mod base64_list {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(list: &[Vec<u8>], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(list.iter().map(|bytes| STANDARD.encode(bytes)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Vec<u8>>, D::Error> {
        Vec::<String>::deserialize(from)?
            .into_iter()
            .map(|text| STANDARD.decode(text).map_err(D::Error::custom))
            .collect()
    }
}
