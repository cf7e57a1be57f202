//! What becomes of a target that several nodes built: each has pushed its part by its digest, and one index of the parts gets all
//! names of the image. Until then no name has moved.

mod combine;

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use crate::progress::outcome::{BuildFailure, BuiltImage, TargetOutcome};
use crate::progress::{FailureKind, TransferProgress};
use crate::registry::{RegistryError, Repository};
use crate::solve::job::Job;
use crate::solve::request::IndexNames;
use crate::solve::telling::Listeners;

/// What the push of an index is called among the steps.
const PUSHING: &str = "pushing the index of all platforms";
/// What an exporter answers with the digest of what it pushed.
const DIGEST: &str = "containerimage.digest";

/// Pushes the index of `parts`, which are what the exporters of each answered. Where nothing is pushed there is no index.
pub(super) async fn push(
    job: &Job,
    names: &IndexNames,
    parts: &[BTreeMap<String, String>],
    listeners: Listeners,
    cancel: &CancellationToken,
) -> TargetOutcome {
    let references = job.references.clone();
    if names.names.is_empty() {
        return TargetOutcome::Built(BuiltImage { references, ..BuiltImage::default() });
    }
    let bytes = TransferProgress::default();
    let failed = |pushed: &Result<String, BuildFailure>| {
        pushed.as_ref().err().map(|failure| failure.message.clone())
    };
    let work = combined(job, names, parts, &bytes, cancel);
    let digest = match listeners.during(PUSHING, &bytes, work, failed).await {
        Ok(digest) => digest,
        Err(_) if cancel.is_cancelled() => return TargetOutcome::Cancelled,
        Err(failure) => return TargetOutcome::Failed(failure),
    };
    let exporter_response = BTreeMap::from([(DIGEST.to_owned(), digest.clone())]);
    TargetOutcome::Built(BuiltImage {
        references,
        id: digest,
        exporter_response,
        ..BuiltImage::default()
    })
}

async fn combined(
    job: &Job,
    names: &IndexNames,
    parts: &[BTreeMap<String, String>],
    bytes: &TransferProgress,
    cancel: &CancellationToken,
) -> Result<String, BuildFailure> {
    let open =
        async |name: &String| Repository::open(name, names.is_insecure, &job.logins, cancel).await;
    let mut repositories = Vec::new();
    for name in &names.names {
        repositories.push(open(name).await.map_err(|error| failure(&error))?);
    }
    let mut indexes = Vec::new();
    for part in parts {
        let digest = part.get(DIGEST).ok_or_else(|| {
            BuildFailure::new(FailureKind::Engine, "a node does not tell what it pushed")
        })?;
        let index = repositories[0].raw_manifest(digest).await;
        indexes.push(index.map_err(|error| failure(&error))?);
    }
    let index = combine::combine(&indexes, &names.annotations)
        .map_err(|why| BuildFailure::new(FailureKind::Registry, why))?;
    bytes.expect((index.bytes.len() * repositories.len()) as u64);
    for repository in &repositories {
        let pushed = repository.push_index(index.bytes.clone(), index.media_type).await;
        pushed.map_err(|error| failure(&error))?;
        bytes.add(index.bytes.len() as u64);
    }
    Ok(index.digest)
}

fn failure(error: &RegistryError) -> BuildFailure {
    let message = format!("failed to push the index of the platforms: {error}");
    BuildFailure { hint: error.hint(), ..BuildFailure::new(FailureKind::Registry, message) }
}
