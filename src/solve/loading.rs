//! Loads what a builder made into the user's engine, and makes sure that it is there: an engine says 200 before it has read
//! the archive, and what goes wrong afterwards is a line of its answer, or nothing at all.

use std::path::Path;

use crate::diagnose;
use crate::engine::{Engine, EngineError};
use crate::progress::FailureKind;
use crate::progress::outcome::BuildFailure;

/// Loads the image in `archive`, and removes that.
pub(super) async fn load(engine: &Engine, archive: &Path) -> Result<(), BuildFailure> {
    let loaded = engine.load_image(archive).await;
    // It goes with its directory at the latest; an image may have gigabytes.
    let _ = fs_err::remove_file(archive);
    loaded.map_err(|error| failed(&error))
}

/// Makes sure that the engine has what was loaded under all of its `references`. Another build may have taken one of them
/// for its own image since.
pub(super) async fn verify(engine: &Engine, references: &[String]) -> Result<(), BuildFailure> {
    for reference in references {
        if engine.image(reference).await.map_err(|error| failed(&error))?.is_none() {
            return Err(not_there(reference));
        }
    }
    Ok(())
}

/// The engine does not have `what`, which it has loaded.
pub(super) fn not_there(what: &str) -> BuildFailure {
    let message = format!("the engine said nothing of an error, but {what} is not in it");
    BuildFailure::new(FailureKind::Engine, message)
}

fn failed(error: &EngineError) -> BuildFailure {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    let message = format!("{error}{}", cause.unwrap_or_default());
    let diagnosis = diagnose::classify(&message);
    BuildFailure { hint: diagnosis.hint, ..BuildFailure::new(diagnosis.kind, message) }
}
