//! Time left for one target that builds.
//!
//! The longest way through the build graph the engine announced, where a step that is over costs
//! nothing, one that runs what is usually left of it after so long, and one that waits what it
//! cost in earlier builds from the moment its inputs were there; then the export.

use std::collections::HashMap;
use std::time::Duration;

use super::past::{Cost, Reference, is_graph, keys, median};
use crate::progress::{Step, StepState, TargetTrace};

/// Earlier builds that are like this one: so many of the newest are asked.
const ASKED: usize = 5;

/// Seconds of work as expected that this run's own pace is weighed against: one short step that
/// was slow says nothing on the machine.
const STEADY: f64 = 4.0;

/// A step that makes a layer of a few files or none, where nothing is known of it: seconds.
const SMALL_STEP: f64 = 0.1;

/// Usual seconds of a whole target, for one that has not started.
pub(super) fn whole(references: &[Reference]) -> Option<f64> {
    let built = references.iter().filter(|reference| reference.built).take(ASKED);
    median(built.map(|reference| reference.seconds).collect())
}

/// Seconds left; `None` where too little is known.
pub(super) fn left(target: &TargetTrace, references: &[Reference], at: Duration) -> Option<f64> {
    let started = target.started?;
    let steps: Vec<&Step> = target.trace.own_steps().collect();
    let keys = keys(steps.iter().map(|step| &step.label));
    let alike = Alike::new(&steps, &keys, references);
    let elapsed = at.saturating_sub(started).as_secs_f64();
    if !steps.iter().any(|step| step.label.is_instruction()) {
        // The Dockerfile is being read: the graph is not known yet.
        return Some((alike.whole(|reference| reference.seconds)? - elapsed).max(0.0));
    }
    let begin = steps.iter().filter(|step| is_graph(&step.label)).filter_map(|s| s.seen_at).min();
    let mut graph = Graph {
        places: steps.iter().enumerate().map(|(place, step)| (step.id.as_str(), place)).collect(),
        pace: pace(&steps, &keys, &alike),
        steps: &steps,
        keys: &keys,
        alike: &alike,
        now: at.as_secs_f64(),
        begin: begin.map_or(at, |begin| begin.min(at)).as_secs_f64(),
        known: vec![None; steps.len()],
    };
    let mut end = 0.0_f64;
    for (place, step) in steps.iter().enumerate() {
        if is_graph(&step.label) {
            end = end.max(graph.finish(place, 0)?.end);
        }
    }
    let ran = graph.runs() as f64;
    // Layers that were not made anew are not exported anew.
    let export = alike.whole(|reference| {
        let then = reference.ran as f64;
        if then > ran { reference.export * ran / then } else { reference.export }
    })?;
    let outside = alike.whole(|reference| reference.outside)?;
    // What lies before the first vertex is over.
    let first = steps.iter().filter_map(|step| step.seen_at).min().unwrap_or(started);
    let after = (outside - first.saturating_sub(started).as_secs_f64()).max(0.0);
    // Where all steps are over, the export has been going on since the last of them ended.
    Some((end + export * graph.pace + after - at.as_secs_f64()).max(0.0))
}

/// What became of a step in this run; `None` while it is not certain.
fn cached(step: &Step) -> Option<bool> {
    match step.state() {
        StepState::Cached => Some(true),
        // A base is resolved for a moment before it turns out to be there.
        StepState::Running if step.label.is_base() => None,
        StepState::Running => Some(false),
        StepState::Done => step.counts_as_cached().or(Some(false)),
        StepState::Waiting | StepState::Failed | StepState::Cancelled => None,
    }
}

/// Earlier builds by how like this one they are.
struct Alike<'a> {
    /// Those in which the fewest steps differ from what is known of this one, newest first.
    closest: Vec<&'a Reference>,
    /// The others, the more alike first.
    others: Vec<&'a Reference>,
}

impl<'a> Alike<'a> {
    fn new(steps: &[&Step], keys: &[String], references: &'a [Reference]) -> Self {
        let differences = |reference: &Reference| {
            let differs = |(step, key): (&&Step, &String)| {
                let (Some(now), true) = (cached(step), step.label.is_instruction()) else {
                    return false;
                };
                reference.steps.get(key).is_none_or(|then| then.cached != now)
            };
            steps.iter().zip(keys).filter(|pair| differs(*pair)).count()
        };
        let mut ordered: Vec<(usize, &Reference)> =
            references.iter().map(|reference| (differences(reference), reference)).collect();
        ordered.sort_by_key(|(differences, _)| *differences);
        let least = ordered.first().map(|(differences, _)| *differences);
        let (closest, others): (Vec<_>, Vec<_>) =
            ordered.into_iter().partition(|(differences, _)| Some(*differences) == least);
        let references = |list: Vec<(usize, &'a Reference)>| {
            list.into_iter().map(|(_, reference)| reference).collect()
        };
        Self { closest: references(closest), others: references(others) }
    }

    /// Median of a figure of a step: of the closest builds that have it, else of the others.
    fn median(
        &self,
        key: &str,
        wanted: impl Fn(&Cost) -> bool,
        figure: impl Fn(&Cost) -> f64,
    ) -> Option<f64> {
        median(self.samples(key, wanted, figure))
    }

    fn samples(
        &self,
        key: &str,
        wanted: impl Fn(&Cost) -> bool,
        figure: impl Fn(&Cost) -> f64,
    ) -> Vec<f64> {
        let of = |references: &[&Reference]| -> Vec<f64> {
            let costs = references.iter().filter_map(|reference| reference.steps.get(key));
            costs.filter(|cost| wanted(cost)).take(ASKED).map(&figure).collect()
        };
        let closest = of(&self.closest);
        if closest.is_empty() { of(&self.others) } else { closest }
    }

    /// Median of a figure of whole builds that succeeded.
    fn whole(&self, figure: impl Fn(&Reference) -> f64) -> Option<f64> {
        let of = |references: &[&Reference]| {
            let built = references.iter().filter(|reference| reference.built).take(ASKED);
            median(built.map(|reference| figure(reference)).collect())
        };
        of(&self.closest).or_else(|| of(&self.others))
    }
}

/// How slow this run is compared with earlier ones: 1 is as usual.
fn pace(steps: &[&Step], keys: &[String], alike: &Alike<'_>) -> f64 {
    let (mut took, mut usual) = (STEADY, STEADY);
    for (step, key) in steps.iter().zip(keys) {
        if step.state() != StepState::Done || !step.label.is_instruction() {
            continue;
        }
        if let Some(seconds) = alike.median(key, |cost| !cost.cached, |cost| cost.since_start) {
            took += step.duration().as_secs_f64();
            usual += seconds;
        }
    }
    (took / usual).clamp(0.5, 2.0)
}

/// When a step will be over.
#[derive(Debug, Clone, Copy)]
struct Finish {
    /// Seconds since the start of the run.
    end: f64,
    /// Whether it ran, runs or will run.
    runs: bool,
}

struct Graph<'a> {
    places: HashMap<&'a str, usize>,
    pace: f64,
    steps: &'a [&'a Step],
    keys: &'a [String],
    alike: &'a Alike<'a>,
    now: f64,
    /// When the first step of the graph started.
    begin: f64,
    known: Vec<Option<Finish>>,
}

impl Graph<'_> {
    /// How many instructions run, ran or will run, of those that are known by now.
    fn runs(&self) -> usize {
        let known = self.steps.iter().zip(&self.known);
        known
            .filter(|(step, finish)| {
                step.label.is_instruction() && finish.is_some_and(|finish| finish.runs)
            })
            .count()
    }

    /// When the step at `place` will be over; `None` where it cannot be told.
    fn finish(&mut self, place: usize, depth: usize) -> Option<Finish> {
        if let Some(known) = self.known[place] {
            return Some(known);
        }
        // A graph has no circles; what an engine sends might.
        if depth > self.steps.len() {
            return None;
        }
        let step = self.steps[place];
        let ended = step.ended_at.map_or(self.now, |at| at.as_secs_f64());
        let finish = match step.state() {
            StepState::Cached => Finish { end: ended, runs: false },
            StepState::Done => Finish { end: ended, runs: cached(step) == Some(false) },
            StepState::Failed | StepState::Cancelled => Finish { end: ended, runs: true },
            StepState::Running => self.running(place),
            StepState::Waiting => self.waiting(place, depth)?,
        };
        self.known[place] = Some(finish);
        Some(finish)
    }

    fn running(&self, place: usize) -> Finish {
        let step = self.steps[place];
        let since = step.started_at.map_or(0.0, |at| (self.now - at.as_secs_f64()).max(0.0));
        let ran = |cost: &Cost| !cost.cached || step.label.is_base();
        let all = self.alike.samples(&self.keys[place], ran, |cost| cost.since_start * self.pace);
        let longer: Vec<f64> = all.iter().copied().filter(|seconds| *seconds > since).collect();
        let left = match (median(all.clone()), median(longer)) {
            (Some(usual), _) if usual > since => usual - since,
            // Longer than usual: only builds that took longer still can tell.
            (_, Some(longer)) => longer - since,
            // Longer than ever: the longer, the less certain.
            (Some(_), None) => since * 0.1,
            // Never seen to run. What it transfers may tell, otherwise it counts as just done.
            (None, _) => by_bytes(step, since).unwrap_or(0.0),
        };
        Finish { end: self.now + left, runs: cached(step) == Some(false) }
    }

    fn waiting(&mut self, place: usize, depth: usize) -> Option<Finish> {
        let step = self.steps[place];
        let (mut ready, mut input_runs) = (self.begin, false);
        for input in step.inputs() {
            let Some(&input) = self.places.get(input) else { continue };
            let finish = self.finish(input, depth + 1)?;
            ready = ready.max(finish.end);
            input_runs |= finish.runs && self.steps[input].label.is_instruction();
        }
        let runs = self.will_run(&self.keys[place], input_runs);
        let wanted = |cost: &Cost| cost.cached != runs;
        let usual = self.alike.median(&self.keys[place], wanted, |cost| cost.since_ready);
        let seconds = match usual {
            Some(seconds) => seconds * self.pace,
            None if !runs => 0.0,
            None if step.label.instruction.starts_with("RUN ") => return None,
            None => SMALL_STEP,
        };
        // A step may wait for others to want it; what it waited so far is part of what it costs.
        Some(Finish { end: (ready + seconds).max(self.now), runs })
    }

    /// Whether a step that waits will run. What it reads is new if an input ran; otherwise it does
    /// what it did in the builds that are most alike so far.
    fn will_run(&self, key: &str, input_runs: bool) -> bool {
        if input_runs {
            return true;
        }
        let then = self.alike.samples(key, |_| true, |cost| f64::from(u8::from(!cost.cached)));
        then.is_empty() || then.iter().sum::<f64>() * 2.0 > then.len() as f64
    }
}

/// Seconds left by how fast a step transfers and how much it expects to.
fn by_bytes(step: &Step, since: f64) -> Option<f64> {
    let (current, total) = step.bytes();
    (current > 0 && total > current && since > 0.5)
        .then(|| since * (total - current) as f64 / current as f64)
}
