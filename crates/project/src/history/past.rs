//! Earlier builds as estimates and summaries want them.

use crate::history::{Entry, Outcome, StepResult, TargetEntry};
use crate::progress::estimate::{Past, PastBuild, PastStep, PastTarget};

/// `entries`, newest first, as an estimate needs them.
pub fn past(entries: &[Entry]) -> Past {
    let build = |entry: &Entry| {
        let sent = entry.targets.iter().filter(|target| target.started.is_some());
        PastBuild { targets: sent.map(|t| (t.name.clone(), past_target(t))).collect() }
    };
    Past { builds: entries.iter().map(build).collect() }
}

fn past_target(target: &TargetEntry) -> PastTarget {
    let first = target.steps.iter().flat_map(|step| &step.intervals).map(|it| it.started).min();
    let since =
        |at: jiff::Timestamp| first.map_or(0.0, |first| at.duration_since(first).as_secs_f64());
    let place = |digest: &String| target.steps.iter().position(|step| step.digest == *digest);
    let steps = target.steps.iter().map(|step| PastStep {
        name: step.name.clone(),
        cached: match step.result {
            StepResult::Cached => Some(true),
            StepResult::Ran => Some(false),
            _ => None,
        },
        intervals: step
            .intervals
            .iter()
            .map(|it| (since(it.started), since(it.completed)))
            .collect(),
        inputs: step.inputs.iter().filter_map(place).collect(),
    });
    PastTarget {
        built: target.outcome == Outcome::Succeeded,
        seconds: target.seconds.unwrap_or_default(),
        size_bytes: target.size_bytes,
        steps: steps.collect(),
    }
}
