//! The files of a build context that a step reads, held against those that it read before.

use crate::explain::cause::{self, Cause, Reason};
use crate::history::copied::Differences;
use crate::history::{CopiedFiles, StepEntry};

/// Whether it is known which files of a context a step reads.
pub(super) fn files_are_known(step: &StepEntry) -> bool {
    let text = &step.instruction;
    let copies = ["COPY ", "ADD "].iter().any(|word| text.starts_with(word));
    let mounts = text.contains("type=bind");
    match step.files {
        Some(_) => !(mounts && text.contains(",from=")),
        None => !mounts && (!copies || text.contains("--from=")),
    }
}

/// Whether two coverages have the same files, as far as that is known.
pub(super) fn same_files(old: &StepEntry, new: &StepEntry) -> bool {
    match (&old.files, &new.files) {
        (Some(old), Some(new)) => {
            (old.count, old.bytes) == (new.count, new.bytes)
                && Differences::between(old, new).is_empty()
        }
        (None, None) => true,
        _ => false,
    }
}

/// The files in which a step differs from what it was; `None` where that is not known.
pub(super) fn changed_paths(old: &StepEntry, new: &StepEntry) -> Option<Vec<String>> {
    match (&old.files, &new.files) {
        (Some(old), Some(new)) => {
            let Differences { changed, new, removed, .. } = Differences::between(old, new);
            Some([changed, new, removed].concat())
        }
        (None, None) => files_are_known(new).then(Vec::new),
        _ => None,
    }
}

/// The files in which a step differs from what it was, as a cause; certain where no time alone says so.
pub(super) fn changed_files(old: &StepEntry, new: &StepEntry) -> Option<Cause> {
    let (old, new) = (old.files.as_ref()?, new.files.as_ref()?);
    let differences = Differences::between(old, new);
    if differences.is_empty() && (old.count, old.bytes) == (new.count, new.bytes) {
        return None;
    }
    let file = |files: &CopiedFiles, path: &str| {
        files.entries.iter().find(|file| file.path == path).cloned()
    };
    let is_sure = |path: &String| match (file(old, path), file(new, path)) {
        (Some(old), Some(new)) => {
            let has_contents = old.digest.is_some() && new.digest.is_some();
            has_contents || old.size != new.size || old.mode != new.mode
        }
        _ => false,
    };
    let certain = (old.count, old.bytes) != (new.count, new.bytes)
        || !differences.new.is_empty()
        || !differences.removed.is_empty()
        || differences.changed.iter().any(is_sure);
    let is_mode = |path: &String| {
        let both = file(old, path).zip(file(new, path));
        both.is_some_and(|(old, new)| {
            old.size == new.size
                && old.mode != new.mode
                && (old.digest.is_some() && old.digest == new.digest
                    || old.modified == new.modified)
        })
    };
    let reason = Reason::Files { paths: cause::paths(differences, is_mode), among: Vec::new() };
    Some(Cause { reason, certain })
}
