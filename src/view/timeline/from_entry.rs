//! From a remembered build to its timeline.

use super::{Bar, Fate, Lane, TargetEnd, Timeline};
use crate::history::{Entry, Outcome, StepEntry, StepResult, TargetEntry};
use crate::progress::StepName;

impl Timeline {
    /// The timeline of a build of the ledger.
    pub fn of_entry(entry: &Entry) -> Self {
        let lanes = entry.targets.iter().map(|target| lane(entry, target));
        Self::new(entry.project.clone(), entry.started, entry.seconds, lanes.collect())
    }

    /// Has steps know what they took of the machine: `entry` remembers the same build.
    pub fn measured(mut self, entry: &Entry) -> Self {
        for lane in &mut self.lanes {
            let Some(target) = entry.targets.iter().find(|target| target.name == lane.name) else {
                continue;
            };
            for bar in &mut lane.steps {
                let step = target.steps.iter().find(|step| step.digest == bar.digest);
                bar.resources = step.and_then(|step| step.resources);
            }
        }
        self
    }
}

fn lane(entry: &Entry, target: &TargetEntry) -> Lane {
    let since = |at: jiff::Timestamp| at.duration_since(entry.started).as_secs_f64();
    let span = target.started.zip(target.finished).filter(|_| target.same_as.is_none());
    let shown: Vec<&StepEntry> = target.steps.iter().filter(|step| is_shown(step)).collect();
    let place = |digest: &String| shown.iter().position(|step| step.digest == *digest);
    let steps = shown.iter().map(|step| Bar {
        digest: step.digest.clone(),
        name: StepName::parse(&step.name),
        line: step.line,
        fate: match step.result {
            StepResult::Ran => Fate::Ran,
            StepResult::Cached => Fate::Cached,
            StepResult::Failed => Fate::Failed,
            StepResult::Cancelled => Fate::Cancelled,
            StepResult::NotRun => Fate::NotRun,
        },
        error: step.error.clone(),
        cause: None,
        intervals: step
            .intervals
            .iter()
            .map(|it| (since(it.started), since(it.completed)))
            .collect(),
        bytes: step.bytes,
        resources: step.resources,
        inputs: step.inputs.iter().filter_map(place).collect(),
    });
    Lane {
        name: target.name.clone(),
        image: target.image.clone(),
        same_as: target.same_as.clone(),
        ending: match target.outcome {
            Outcome::Succeeded => TargetEnd::Built,
            Outcome::Failed => TargetEnd::Failed,
            Outcome::Cancelled => TargetEnd::Cancelled,
        },
        error: target.error.clone(),
        span: span.map(|(start, end)| (since(start), since(end))),
        dockerfile: target.dockerfile.clone(),
        steps: steps.collect(),
    }
}

/// What never started is worth a place if it is an instruction.
fn is_shown(step: &StepEntry) -> bool {
    step.result != StepResult::NotRun || step.is_instruction()
}
