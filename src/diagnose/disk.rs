//! A disk that is full, in the words of engines and of what runs in steps.

use super::{Diagnosis, outcome_of_command};
use crate::progress::FailureKind;

/// What systems say (`ENOSPC`, `EDQUOT`), in whatever case.
const SIGNS: [&str; 2] = ["no space left on device", "disk quota exceeded"];
/// Rust says the number of an error: such a text is of this side and its disk.
const OF_THIS_SIDE: &str = "(os error ";

/// What helps.
pub const FREE_SPACE: &str = "free space on the engine's disk: `doc2md-docker clean --old` removes what is left of earlier builds, \
     `doc2md-docker clean --only cache` the project's build cache, and `doc2md-docker stats` shows what takes it";

/// Whether somebody found a disk full.
pub fn says_full(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    SIGNS.iter().any(|sign| text.contains(sign))
}

/// The engine's own disk: it wrote for a build and could not.
pub(super) fn classify(text: &str) -> Option<Diagnosis> {
    // What a command says of itself is not the engine's word.
    let outcome = outcome_of_command(text);
    (says_full(outcome.as_deref().unwrap_or(text)) && !text.contains(OF_THIS_SIDE)).then(|| {
        Diagnosis::new(FailureKind::DiskFull, format!("the engine's disk is full: {text}"))
            .hint(FREE_SPACE)
    })
}
