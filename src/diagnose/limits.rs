//! Messages about limits of BuildKit and gRPC: they name numbers, and never the file at fault.

use super::{Diagnosis, Subject, between};
use crate::buildkit::OVER_LIMIT;
use crate::progress::FailureKind;

/// The longest line that BuildKit reads of a Dockerfile, in bytes (Go's `bufio.MaxScanTokenSize`,
/// BuildKit `frontend/dockerfile/parser`).
pub(super) const LONGEST_LINE: usize = 65_535;

/// The engine asks for files with the patterns of `.dockerignore` and the paths of COPY as headers.
const TOO_MANY_HEADERS: &str = "header list size to send violates the maximum size (";

pub(super) fn classify(text: &str) -> Option<Diagnosis> {
    long_line(text)
        .or_else(|| headers(text))
        .or_else(|| large_message(text))
        .or_else(|| long_answer(text))
        .or_else(|| many_names(text))
}

/// Whether the engine has more to ask for than fits into the headers of a call.
pub(crate) fn too_many_headers(message: &str) -> bool {
    message.contains(TOO_MANY_HEADERS)
}

fn long_line(text: &str) -> Option<Diagnosis> {
    text.contains("dockerfile line greater than max allowed size").then(|| {
        Diagnosis::new(
            FailureKind::Dockerfile,
            format!("the Dockerfile has a line of more than {LONGEST_LINE} bytes, which BuildKit does not read"),
        )
        .hint("break the line with a `\\` at the end of each part")
        .about(Subject::LongLine)
    })
}

fn headers(text: &str) -> Option<Diagnosis> {
    let limit = between(text, TOO_MANY_HEADERS, " bytes)")?;
    Some(
        Diagnosis::new(
            FailureKind::Context,
            format!(
                "the patterns of .dockerignore and the paths of COPY and ADD are more than the {limit} \
                 bytes with which the engine can ask for files"
            ),
        )
        .hint("name directories and wider patterns rather than single files"),
    )
}

/// grpc-go in the engine, `received message larger than max (5243256 vs. 4194304)`, and tonic here.
fn large_message(text: &str) -> Option<Diagnosis> {
    if let Some((size, limit)) = between(text, "received message larger than max (", ")")
        .and_then(|two| two.split_once(" vs. "))
    {
        return Some(
            Diagnosis::new(
                FailureKind::Engine,
                format!("the engine takes messages of {limit} bytes, and what this build sends has {size}"),
            )
            .hint("shorten what is long among build arguments and labels, or put it into a file of the context"),
        );
    }
    let limit = text.strip_prefix("Error, decoded message length too large: found ")?;
    let (size, limit) = limit.split_once(" bytes, the limit is: ")?;
    let limit = limit.split(' ').next().unwrap_or(limit);
    Some(Diagnosis::new(
        FailureKind::Engine,
        format!("the engine's answer has {size} bytes, and {limit} are taken"),
    ))
}

fn long_answer(text: &str) -> Option<Diagnosis> {
    text.starts_with(OVER_LIMIT).then(|| {
        Diagnosis::new(FailureKind::Engine, text).hint(
            "the engine sends the whole Dockerfile with a failure: make the Dockerfile smaller",
        )
    })
}

/// 20.10 looks at the files of one COPY all at once, and gives up where they are 2,000 (`docker build` fails the
/// same way).
fn many_names(text: &str) -> Option<Diagnosis> {
    text.contains("flightcontrol: exceeded retry timeout").then(|| {
        Diagnosis::new(
            FailureKind::Engine,
            "the engine gave up on the files of a step: it is overloaded, or they are too many for it",
        )
        .hint("build again, copy directories rather than single files, or use Docker 23 or newer")
    })
}
