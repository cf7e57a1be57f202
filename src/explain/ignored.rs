//! Files that come or go because of what an ignore file says, held apart from files that are new or gone.

use super::cause::{Cause, Change, PathChange, Reason};
use crate::build_context::patterns::PatternMatcher;
use crate::history::{Inputs, StepEntry};

/// The cause, where the ignore file alone explains every path: one that is new was left out before, one that is gone
/// is left out now.
pub(super) fn by_ignore_file(
    cause: &Cause,
    (old, was): (&StepEntry, &Inputs),
    (new, is): (&StepEntry, &Inputs),
) -> Option<Cause> {
    let Reason::Files { paths, .. } = &cause.reason else { return None };
    // Of a named context the ignore file is another one.
    if paths.is_empty() || !old.contexts.is_empty() || !new.contexts.is_empty() {
        return None;
    }
    let (was, is) = (was.ignored.as_ref()?, is.ignored.as_ref()?);
    if was == is {
        return None;
    }
    let (was, is) = (PatternMatcher::new(was).ok()?, PatternMatcher::new(is).ok()?);
    let explains = |path: &str, change: Change| {
        let path = path.as_bytes();
        match change {
            Change::Added => was.matches(path) && !is.matches(path),
            Change::Removed => is.matches(path) && !was.matches(path),
            Change::Changed | Change::Mode => false,
        }
    };
    // Where everything is copied the ignore file is, too.
    let others = paths.iter().filter(|it| !is_ignore_file(&it.path));
    let paths: Vec<PathChange> = others.cloned().collect();
    let explains_all = !paths.is_empty() && paths.iter().all(|it| explains(&it.path, it.change));
    let is_complete = |step: &StepEntry| {
        step.files.as_ref().is_some_and(|files| files.count == files.entries.len() as u64)
    };
    explains_all.then(|| Cause {
        reason: Reason::IgnoreFile { paths },
        certain: cause.certain && is_complete(old) && is_complete(new),
    })
}

/// `.dockerignore`, `Dockerfile.api.dockerignore`.
fn is_ignore_file(path: &str) -> bool {
    path.ends_with(".dockerignore")
}
