//! Wire types to the plain progress model.

use bollard_buildkit_proto::google::protobuf::Timestamp as WireTime;
use bollard_buildkit_proto::moby::buildkit::v1 as pb;
use bollard_buildkit_proto::pb as ops;
use jiff::Timestamp;

use crate::progress::status::{
    ProgressGroup, SolveStatus, SourceInfo, SourcePosition, SourceRange, Vertex, VertexLog,
    VertexStatus, VertexWarning,
};

/// What a message of the Status stream says.
pub fn solve_status(message: pb::StatusResponse) -> SolveStatus {
    SolveStatus {
        vertexes: message.vertexes.into_iter().map(vertex).collect(),
        statuses: message.statuses.into_iter().map(vertex_status).collect(),
        logs: message.logs.into_iter().map(log).collect(),
        warnings: message.warnings.into_iter().map(warning).collect(),
    }
}

fn log(from: pb::VertexLog) -> VertexLog {
    VertexLog {
        vertex: from.vertex,
        stream: from.stream,
        data: from.msg,
        timestamp: time(from.timestamp),
    }
}

fn vertex(from: pb::Vertex) -> Vertex {
    Vertex {
        digest: from.digest,
        inputs: from.inputs,
        name: from.name,
        started: time(from.started),
        completed: time(from.completed),
        cached: from.cached,
        error: from.error,
        progress_group: from.progress_group.map(|group| ProgressGroup {
            id: group.id,
            name: group.name,
            weak: group.weak,
        }),
    }
}

fn vertex_status(from: pb::VertexStatus) -> VertexStatus {
    VertexStatus {
        id: from.id,
        vertex: from.vertex,
        name: from.name,
        total: from.total,
        current: from.current,
        timestamp: time(from.timestamp),
        started: time(from.started),
        completed: time(from.completed),
    }
}

fn warning(from: pb::VertexWarning) -> VertexWarning {
    VertexWarning {
        vertex: from.vertex,
        level: from.level,
        short: from.short,
        detail: from.detail,
        url: from.url,
        source_info: from.info.map(|info| SourceInfo {
            filename: info.filename,
            data: info.data,
            language: info.language,
        }),
        range: from.ranges.into_iter().map(range).collect(),
    }
}

pub(super) fn range(from: ops::Range) -> SourceRange {
    let position = |at: Option<ops::Position>| {
        at.map_or(SourcePosition::default(), |at| SourcePosition {
            line: at.line,
            character: at.character,
        })
    };
    SourceRange { start: position(from.start), end: position(from.end) }
}

pub(super) fn time(from: Option<WireTime>) -> Option<Timestamp> {
    from.and_then(|time| Timestamp::new(time.seconds, time.nanos).ok())
}
