//! From the engine's error to what the user is told: kind, place in the Dockerfile, hint.

use crate::build::executor::Job;
use crate::build::outcome::BuildFailure;
use crate::buildkit::SolveError;
use crate::progress::FailureKind;

/// Explains why `job` failed. `failed` is digest and name of the first vertex that failed, if one did.
pub(super) fn explain(
    job: &Job,
    error: &SolveError,
    failed: Option<(String, String)>,
) -> BuildFailure {
    // A file that could not be sent is the cause of whatever the engine says afterwards.
    let vertex = error.vertex.clone().or_else(|| failed.map(|(digest, _)| digest));
    let unsent =
        job.sync.failures().into_iter().find(|failure| job.directories.contains(&failure.dir_name));
    if let Some(unsent) = unsent {
        return BuildFailure {
            kind: FailureKind::Context,
            message: unsent.reason,
            vertex,
            excerpt: None,
            hint: None,
        };
    }
    BuildFailure {
        kind: FailureKind::Engine,
        message: error.message.clone(),
        vertex,
        excerpt: None,
        hint: None,
    }
}
