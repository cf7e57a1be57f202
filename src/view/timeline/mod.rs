//! A build as a picture in time: what ran when, for which target, and what determined the end.
//!
//! [`Timeline`] is plain data that both a run that has just ended ([`from_run`]) and one that is
//! remembered can become. [`page`] and [`chrome`] write it down. Pure: neither the files nor
//! where they go are known here.

mod axis;
pub mod chrome;
mod critical_path;
mod from_entry;
mod from_run;
pub mod page;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::history::Resources;
use crate::progress::StepName;
use crate::view::line;

pub use critical_path::{Leg, critical_path};
pub use from_run::Source;

/// A build, ready to be drawn. All times are seconds since its start.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// Compose project name.
    pub project: String,
    /// When it started.
    pub started: Timestamp,
    /// Wall time.
    pub seconds: f64,
    /// The targets in the order of the plan.
    pub lanes: Vec<Lane>,
}

/// How a target ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetEnd {
    /// Its image was built.
    Built,
    /// It failed.
    Failed,
    /// It was stopped, or never started.
    Cancelled,
}

/// One target.
#[derive(Debug, Clone, PartialEq)]
pub struct Lane {
    /// Target name.
    pub name: String,
    /// Reference of its image.
    pub image: String,
    /// Target whose build also made this one's image; such a target has no steps of its own.
    pub same_as: Option<String>,
    /// How it ended.
    pub ending: TargetEnd,
    /// The error where it failed.
    pub error: Option<String>,
    /// From its solve to its end; `None` if it was never sent.
    pub span: Option<(f64, f64)>,
    /// The Dockerfile as the user would name it.
    pub dockerfile: Option<String>,
    /// Everything the engine reported of it.
    pub steps: Vec<Bar>,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It ran to its end.
    Ran,
    /// Its result came from the cache, or it is a base image that the engine already held.
    Cached,
    /// It failed.
    Failed,
    /// It was stopped before its end.
    Cancelled,
    /// It was announced and never started.
    NotRun,
}

impl Fate {
    /// All there are, in the order of a legend.
    pub const ALL: [Self; 5] =
        [Self::Ran, Self::Cached, Self::Failed, Self::Cancelled, Self::NotRun];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ran => "run",
            Self::Cached => "cached",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::NotRun => "not run",
        }
    }
}

/// One step of a target.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// Digest of the vertex, or id of its progress group.
    pub digest: String,
    /// What its name says.
    pub name: StepName,
    /// First line of the instruction in the Dockerfile, from 1.
    pub line: Option<u32>,
    /// How it ended.
    pub fate: Fate,
    /// The engine's message where it failed.
    pub error: Option<String>,
    /// Why it ran, in words, where that is known.
    pub cause: Option<String>,
    /// When it ran, in order, without overlaps.
    pub intervals: Vec<(f64, f64)>,
    /// Bytes transferred for it.
    pub bytes: u64,
    /// What it took of the machine, where that was sampled.
    pub resources: Option<Resources>,
    /// Places in [`Lane::steps`] of what it reads.
    pub inputs: Vec<usize>,
}

impl Bar {
    /// Tag and instruction in a line.
    pub fn title(&self) -> String {
        line::title_of(&self.name)
    }

    /// First start and last end; `None` if it never ran.
    pub fn span(&self) -> Option<(f64, f64)> {
        Some((self.intervals.first()?.0, self.intervals.last()?.1))
    }

    /// Time spent.
    pub fn seconds(&self) -> f64 {
        self.intervals.iter().map(|(start, end)| end - start).sum()
    }
}

/// A step by its target and its place there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepIndex {
    /// In [`Timeline::lanes`].
    pub lane: usize,
    /// In [`Lane::steps`].
    pub step: usize,
}

/// Steps and seconds of a build, those that targets share counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    /// Instructions that came from the cache.
    pub cached: usize,
    /// Instructions that ran, the failed ones included.
    pub run: usize,
    /// Seconds spent in steps, whatever ran at the same time.
    pub work: f64,
}

impl Timeline {
    /// Puts the engine's clock on this machine's, so that no step lies outside of the build. The
    /// intervals of `lanes` are the engine's times since `started`, everything else is as it
    /// was measured here.
    pub fn new(project: String, started: Timestamp, seconds: f64, mut lanes: Vec<Lane>) -> Self {
        let seconds = if seconds.is_finite() { seconds.max(0.0) } else { 0.0 };
        let sent = lanes.iter().filter_map(|lane| lane.span).map(|(start, _)| start);
        let window = (sent.fold(f64::INFINITY, f64::min).clamp(0.0, seconds), seconds);
        let intervals = lanes.iter().flat_map(|lane| &lane.steps).flat_map(|step| &step.intervals);
        let extent = intervals.fold((f64::INFINITY, f64::NEG_INFINITY), |(first, last), (a, b)| {
            (first.min(*a), last.max(*b))
        });
        let shift = shift(extent, window);
        for interval in
            lanes.iter_mut().flat_map(|lane| &mut lane.steps).flat_map(|step| &mut step.intervals)
        {
            let start = (interval.0 + shift).clamp(0.0, seconds);
            *interval = (start, (interval.1 + shift).clamp(start, seconds));
        }
        for span in lanes.iter_mut().filter_map(|lane| lane.span.as_mut()) {
            let start = span.0.clamp(0.0, seconds);
            *span = (start, span.1.clamp(start, seconds));
        }
        Self { project, started, seconds, lanes }
    }

    /// Has steps know why they ran: `causes` are words by target and digest.
    pub fn explained(mut self, causes: &BTreeMap<(String, String), String>) -> Self {
        for lane in &mut self.lanes {
            for step in &mut lane.steps {
                step.cause = causes.get(&(lane.name.clone(), step.digest.clone())).cloned();
            }
        }
        self
    }

    /// The step at a place.
    pub fn step(&self, place: StepIndex) -> &Bar {
        &self.lanes[place.lane].steps[place.step]
    }

    /// Every place there is.
    pub fn places(&self) -> impl Iterator<Item = StepIndex> {
        let lanes = self.lanes.iter().enumerate();
        lanes.flat_map(|(lane, content)| {
            (0..content.steps.len()).map(move |step| StepIndex { lane, step })
        })
    }

    /// The same step in the first target that has it. The engine does once what several targets
    /// ask for: then it tells each of them of the same start. (The digest would not do: all exports
    /// have the same one, and what each target sends the context for has several.)
    pub fn first_of(&self, place: StepIndex) -> StepIndex {
        let step = self.step(place);
        let same = |other: &Bar| {
            other.name.instruction == step.name.instruction
                && other
                    .intervals
                    .iter()
                    .any(|(start, _)| step.intervals.iter().any(|(s, _)| s == start))
        };
        let before = self.lanes.iter().enumerate().take(place.lane);
        let mut found = before.filter_map(|(lane, content)| {
            content.steps.iter().position(same).map(|step| StepIndex { lane, step })
        });
        found.next().unwrap_or(place)
    }

    /// What was done, once.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for place in self.places().filter(|place| self.first_of(*place) == *place) {
            let step = self.step(place);
            totals.work += step.seconds();
            match step.fate {
                _ if !step.name.is_instruction() => {}
                Fate::Cached => totals.cached += 1,
                Fate::Ran | Fate::Failed => totals.run += 1,
                Fate::Cancelled | Fate::NotRun => {}
            }
        }
        totals
    }
}

/// What to add to times between `first` and `last` so that they lie between `from` and `to`:
/// nothing where they do, else as little as possible. Where there is no room for both, `from` gives way: it
/// is told late on a busy machine, and a step that was cut would seem faster than it was. Where even the whole build
/// is too short, the ends count: the engine shares a step with builds of others that began before this one.
fn shift((first, last): (f64, f64), (from, to): (f64, f64)) -> f64 {
    if first > last {
        return 0.0;
    }
    let from = from.min(to - (last - first)).max(0.0);
    let (earliest, latest) = (from - first, to - last);
    0.0_f64.max(earliest).min(latest)
}

/// Every step of the path, in each target that has it.
fn on_path(timeline: &Timeline, path: &[Leg]) -> Vec<StepIndex> {
    let firsts: Vec<StepIndex> = path.iter().map(|leg| timeline.first_of(leg.place)).collect();
    timeline.places().filter(|place| firsts.contains(&timeline.first_of(*place))).collect()
}
