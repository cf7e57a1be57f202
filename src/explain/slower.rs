//! Why a step took longer than before: its cache mount was removed, or is new on this engine.

use jiff::Timestamp;

use super::cause::{Cause, Loss, Reason};
use crate::history::{CacheMount, Entry, StepEntry, StepResult, TargetEntry};
use crate::progress::StepName;

/// A step is slower only if it took so many times as long, and so much longer.
const TIMES: f64 = 1.5;
const SECONDS: f64 = 0.5;

/// Why `step`, which ran in `build`, took longer than it did in the builds `earlier`, the newest first. A mount that was
/// removed is a reason until something has used it again.
pub(super) fn slower(
    step: &StepEntry,
    target: &TargetEntry,
    build: &Entry,
    earlier: &[Entry],
) -> Option<Cause> {
    if step.result != StepResult::Ran {
        return None;
    }
    step.cache_mounts.iter().find_map(|mount| {
        let uses = Uses::new(mount, build, earlier);
        let (lost, at) = uses.loss(mount, build)?;
        let before_seconds = match lost {
            Loss::NewEngine => usual(step, target, &uses.elsewhere),
            Loss::Cleaned | Loss::Pruned => usual(step, target, &uses.here),
        }?;
        let is_slower =
            step.seconds >= before_seconds * TIMES && step.seconds >= before_seconds + SECONDS;
        let (id, mount) = (mount.id.clone(), mount.target.clone());
        let reason = Reason::CacheMount { id, mount, before_seconds, lost, at };
        // A build of another project may have filled it again.
        is_slower.then(|| reason.likely())
    })
}

/// Builds before this one that used a mount, the newest first.
struct Uses<'a> {
    here: Vec<&'a Entry>,
    elsewhere: Vec<&'a Entry>,
}

impl<'a> Uses<'a> {
    fn new(mount: &CacheMount, build: &Entry, earlier: &'a [Entry]) -> Self {
        let has_it = |step: &StepEntry| {
            step.result == StepResult::Ran
                && step.cache_mounts.iter().any(|it| it.engine_id == mount.engine_id)
        };
        let uses = earlier.iter().filter(|entry| {
            entry.started < build.started
                && entry.targets.iter().flat_map(|target| &target.steps).any(has_it)
        });
        let (here, elsewhere) = uses.partition(|entry| entry.engine.id == build.engine.id);
        Self { here, elsewhere }
    }

    /// What became of the mount since its last use, and when.
    fn loss(&self, mount: &CacheMount, build: &Entry) -> Option<(Loss, Option<Timestamp>)> {
        let Some(last) = self.here.first() else {
            let is_known = !build.engine.id.is_empty() && !self.elsewhere.is_empty();
            return is_known.then_some((Loss::NewEngine, None));
        };
        let since = |at: &Timestamp| *at > last.started;
        if let Some(at) = mount.removed.filter(since) {
            return Some((Loss::Cleaned, Some(at)));
        }
        build.pruned.filter(since).map(|at| (Loss::Pruned, Some(at)))
    }
}

/// How long a step took when its mounts were full: the lower quartile of its runs in the builds that are given, since a
/// first run finds them empty, and so may others.
fn usual(step: &StepEntry, target: &TargetEntry, builds: &[&Entry]) -> Option<f64> {
    let key = StepName::parse(&step.name).key();
    let steps = builds.iter().flat_map(|build| &build.targets).filter(|it| it.name == target.name);
    let mut seconds: Vec<f64> = steps
        .flat_map(|target| &target.steps)
        .filter(|old| old.result == StepResult::Ran && StepName::parse(&old.name).key() == key)
        .map(|old| old.seconds)
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len().saturating_sub(1) / 4).copied()
}
