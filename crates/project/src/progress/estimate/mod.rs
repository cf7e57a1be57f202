//! When a run will be over: from what the same steps took in earlier builds, knowing what of this
//! run was cached, is running, and waits.
//!
//! Pure: earlier builds and this run's trace in, seconds out. `docs/design/output.md` tells the
//! method and how good it is (`scripts/eta` measures it).

mod past;
mod target;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

pub use past::{Past, PastBuild, PastStep, PastTarget};

use crate::progress::RunTrace;
use past::Reference;

/// What is expected of a run.
#[derive(Debug, Clone)]
pub struct Estimator {
    /// Earlier builds by target, newest first.
    references: BTreeMap<String, Vec<Reference>>,
    schedule: Schedule,
}

/// What the run may do at the same time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule {
    /// How many targets build at once; all where `None`.
    pub parallel: Option<usize>,
    /// Targets that a target waits for, by name.
    pub after: BTreeMap<String, Vec<String>>,
}

/// Time left. `None` where it cannot be told: nothing like it was ever built.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Estimate {
    /// Of the whole run.
    pub run: Option<Duration>,
    /// Of each target that is not over, by name.
    pub targets: BTreeMap<String, Option<Duration>>,
}

impl Estimator {
    /// An estimator from earlier builds.
    pub fn new(past: &Past, schedule: Schedule) -> Self {
        let mut references: BTreeMap<String, Vec<Reference>> = BTreeMap::new();
        for build in &past.builds {
            for (name, target) in &build.targets {
                references.entry(name.clone()).or_default().push(Reference::new(target));
            }
        }
        Self { references, schedule }
    }

    /// Time left at `at`, the time since the start of the run.
    pub fn estimate(&self, run: &RunTrace, at: Duration) -> Estimate {
        let now = at.as_secs_f64();
        let mut estimate = Estimate::default();
        // When each target will be over, in seconds since the start of the run.
        let mut ends: BTreeMap<&str, Option<f64>> = BTreeMap::new();
        let mut running = Vec::new();
        for target in run.targets() {
            let name = target.info.name.as_str();
            if let Some(finished) = target.finished {
                ends.insert(name, Some(finished.as_secs_f64()));
            } else if target.started.is_some() {
                let references = self.references.get(name).map_or(&[][..], Vec::as_slice);
                let left = target::left(target, references, at);
                let end = left.map(|left| now + left);
                ends.insert(name, end);
                running.push(end);
            }
        }
        self.plan_waiting(run, now, &mut ends, running);
        let mut last = Some(now);
        for target in run.targets().filter(|target| target.finished.is_none()) {
            let name = target.info.name.as_str();
            // A target that another one's build serves ends with it.
            let by = target.info.same_as.as_deref().unwrap_or(name);
            let end = ends.get(by).copied().flatten();
            last = last.zip(end).map(|(last, end)| last.max(end));
            let left = end.map(|end| Duration::try_from_secs_f64(end - now).unwrap_or_default());
            estimate.targets.insert(name.to_owned(), left);
        }
        estimate.run = last.map(|last| Duration::try_from_secs_f64(last - now).unwrap_or_default());
        estimate
    }

    /// Gives targets that wait a place in the schedule, in the order of the plan, as the executor
    /// will.
    fn plan_waiting<'a>(
        &self,
        run: &'a RunTrace,
        now: f64,
        ends: &mut BTreeMap<&'a str, Option<f64>>,
        mut slots: Vec<Option<f64>>,
    ) {
        let limit = self.schedule.parallel.unwrap_or(usize::MAX).max(1);
        for target in run.targets() {
            let name = target.info.name.as_str();
            if target.started.is_some()
                || target.finished.is_some()
                || target.info.same_as.is_some()
            {
                continue;
            }
            let references = self.references.get(name).map_or(&[][..], Vec::as_slice);
            let seconds = target::whole(references);
            let needed = self.schedule.after.get(name).into_iter().flatten();
            let mut needed = needed.map(|other| ends.get(other.as_str()).copied().flatten());
            let ready = needed.try_fold(now, |ready, end| Some(ready.max(end?)));
            // The slot that is free first.
            let free = if slots.len() < limit {
                Some(now)
            } else {
                let place = (0..slots.len()).min_by(|&a, &b| {
                    let end = |place: usize| slots[place].unwrap_or(f64::INFINITY);
                    end(a).total_cmp(&end(b))
                });
                place.and_then(|place| slots.swap_remove(place))
            };
            let end = (|| Some(ready?.max(free?) + seconds?))();
            ends.insert(name, end);
            slots.push(end);
        }
    }
}
