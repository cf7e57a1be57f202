//! Habits of a Dockerfile that made steps run again and again, with what they cost, as far as the remembered builds prove it.
//!
//! A habit counts where it made steps run in at least [`OFTEN`] of the last [`BUILDS`] builds and cost at least [`WORTH`]
//! seconds, and where the Dockerfile of the build that is explained still has it. Pure.

mod habits;
mod past;
#[cfg(test)]
mod tests;

use serde::Serialize;

use super::earlier::Earlier;
use super::shown;
use crate::history::{Entry, StepEntry, TargetEntry};
use past::Past;

/// Builds that are looked at, the newest.
const BUILDS: usize = 40;
/// In how many of them a habit made steps run.
const OFTEN: usize = 2;
/// Seconds that these steps took together.
const WORTH: f64 = 1.0;

/// What to change of a Dockerfile or its context, and what it has cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Advice {
    /// Compose service.
    pub service: String,
    /// Stage of the instruction, where the Dockerfile has several.
    pub stage: Option<String>,
    /// The instruction that it is about.
    pub instruction: String,
    /// The Dockerfile, as the user would name it.
    pub file: Option<String>,
    /// First line of the instruction.
    pub line: Option<u32>,
    /// What is done.
    #[serde(flatten)]
    pub habit: Habit,
    /// In how many builds it made steps run that would have come from the cache.
    pub builds: usize,
    /// Of how many that are remembered.
    pub of_builds: usize,
    /// How long these steps ran, all together.
    pub seconds: f64,
}

/// A habit that costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Habit {
    /// Packages are installed above files that have nothing to do with them.
    CopyBeforeInstall {
        /// The instruction that installs.
        install: String,
        /// Files whose change made it run, the most frequent first.
        paths: Vec<String>,
    },
    /// A file that changes each time is copied with others.
    ChangingFile {
        /// Which one.
        path: String,
    },
    /// A build argument that changes is declared or used above what does not need it.
    EarlyArgument {
        /// Which one.
        argument: String,
        /// Whether the instruction has its value in its text.
        used: bool,
    },
    /// A tag that moves is what a stage begins with.
    FloatingBase {
        /// The image.
        reference: String,
    },
    /// Files of git are copied with others.
    GitInContext {
        /// Those that changed, the most frequent first.
        paths: Vec<String>,
    },
}

/// What `build` and the builds `others`, the newest first, prove. Each has to know what the others know of its files.
pub(super) fn advice(build: &Entry, others: &[Entry]) -> Vec<Advice> {
    let mut earlier = Earlier::new(build, others).here;
    earlier.truncate(BUILDS - 1);
    let targets = build.targets.iter().filter(|target| target.same_as.is_none());
    let mut found: Vec<Advice> =
        targets.flat_map(|target| of_target(build, target, &earlier)).collect();
    found.sort_by(|one, other| other.seconds.total_cmp(&one.seconds));
    found
}

fn of_target(build: &Entry, target: &TargetEntry, earlier: &[&Entry]) -> Vec<Advice> {
    let all: Vec<&Entry> = std::iter::once(build).chain(earlier.iter().copied()).collect();
    let pasts = (0..all.len()).filter_map(|at| Past::new(target, all[at], &all[at + 1..]));
    let pasts: Vec<Past<'_>> = pasts.collect();
    let Some(present) = pasts.first() else { return Vec::new() };
    let advice = |(index, habit, proof): (usize, Habit, Proof)| {
        let step: &StepEntry = present.chain.steps[index];
        Advice {
            service: target.service.clone(),
            stage: step.stage.clone(),
            instruction: step.instruction.clone(),
            file: target.dockerfile.as_deref().map(|file| shown(file, build)),
            line: step.line,
            habit,
            builds: proof.builds,
            of_builds: pasts.len(),
            seconds: proof.seconds,
        }
    };
    habits::all(present, &pasts).into_iter().filter(|it| it.2.is_enough()).map(advice).collect()
}

/// In how many builds something made steps run, and how long those ran.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Proof {
    builds: usize,
    seconds: f64,
}

impl Proof {
    fn add(&mut self, seconds: f64) {
        self.builds += 1;
        self.seconds += seconds;
    }

    fn is_enough(self) -> bool {
        self.builds >= OFTEN && self.seconds >= WORTH
    }
}
