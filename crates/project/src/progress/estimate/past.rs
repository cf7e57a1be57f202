//! Earlier builds as an estimate needs them: plain data that the caller takes from wherever it
//! remembers builds, and what is worked out of them once.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::progress::outcome::TargetOutcome;
use crate::progress::{RunTrace, Step, StepName, StepState, TargetTrace};

/// Earlier builds of a project, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Past {
    /// Newest first.
    pub builds: Vec<PastBuild>,
}

/// One earlier build: its targets by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PastBuild {
    /// By target name; only those whose solve was sent.
    pub targets: BTreeMap<String, PastTarget>,
}

/// What an earlier build did for one target.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PastTarget {
    /// Whether its image was built.
    pub built: bool,
    /// Seconds from its solve to its end, by this machine's clock.
    pub seconds: f64,
    /// Size of its image in bytes.
    pub size_bytes: Option<u64>,
    /// Every step the engine reported, also those that are not instructions.
    pub steps: Vec<PastStep>,
}

/// One step of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PastStep {
    /// Name as BuildKit made it.
    pub name: String,
    /// `Some(true)` where its result came from the cache, `Some(false)` where it ran to its end.
    pub cached: Option<bool>,
    /// Start and end of each time it ran, in seconds of the engine's clock since any moment that
    /// is the same for the whole target; in order.
    pub intervals: Vec<(f64, f64)>,
    /// Places in [`PastTarget::steps`] of what it reads.
    pub inputs: Vec<usize>,
}

impl From<&RunTrace> for PastBuild {
    /// A run that is over, to be remembered.
    fn from(run: &RunTrace) -> Self {
        let sent = run.targets().filter(|target| target.started.is_some());
        let targets = sent.map(|target| (target.info.name.clone(), PastTarget::from(target)));
        Self { targets: targets.collect() }
    }
}

impl From<&TargetTrace> for PastTarget {
    fn from(target: &TargetTrace) -> Self {
        let steps: Vec<&Step> = target.trace.own_steps().collect();
        let place = |id: &str| steps.iter().position(|step| step.id == id);
        let cached = |step: &Step| match step.state() {
            StepState::Cached => Some(true),
            StepState::Done => step.counts_as_cached().or(Some(false)),
            _ => None,
        };
        let seconds = |nanos: i128| nanos as f64 / 1e9;
        let past = steps.iter().map(|step| PastStep {
            name: step.name.clone(),
            cached: cached(step),
            intervals: step
                .intervals()
                .into_iter()
                .map(|(start, end)| (seconds(start), seconds(end)))
                .collect(),
            inputs: step.inputs().filter_map(place).collect(),
        });
        let (built, size_bytes) = match &target.outcome {
            Some(TargetOutcome::Built(image)) => (true, image.size_bytes),
            _ => (false, None),
        };
        let seconds = target.elapsed(Duration::ZERO).as_secs_f64();
        Self { built, seconds, size_bytes, steps: past.collect() }
    }
}

/// A build of one target, worked out.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    pub(super) built: bool,
    pub(super) seconds: f64,
    /// Steps of the build graph by key.
    pub(super) steps: HashMap<String, Cost>,
    /// How many instructions ran.
    pub(super) ran: usize,
    /// Seconds from the end of the last step of the build graph to the end of the last vertex:
    /// the export.
    pub(super) export: f64,
    /// Seconds outside of every vertex: before the first and after the last.
    pub(super) outside: f64,
}

/// What a step cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cost {
    pub(super) cached: bool,
    /// Seconds from the moment its inputs were there to its end.
    pub(super) since_ready: f64,
    /// Seconds from its last start to its end.
    pub(super) since_start: f64,
}

/// Whether a vertex is part of what the Dockerfile describes, and not of the way there.
pub(super) fn is_graph(label: &StepName) -> bool {
    label.is_instruction()
        || label.tag.starts_with("context ")
        || (label.tag == "internal" && label.instruction.starts_with("load build context"))
}

/// Keys of steps in the order given; the second step of the same words gets a number.
pub(super) fn keys<'a>(labels: impl Iterator<Item = &'a StepName>) -> Vec<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    labels
        .map(|label| {
            let key = label.key();
            let times = seen.entry(key.clone()).or_default();
            *times += 1;
            if *times == 1 { key } else { format!("{key} #{times}") }
        })
        .collect()
}

impl Reference {
    pub(super) fn new(target: &PastTarget) -> Self {
        let labels: Vec<StepName> =
            target.steps.iter().map(|step| StepName::parse(&step.name)).collect();
        let end = |step: &PastStep| step.intervals.last().map(|(_, end)| *end);
        let graph = || target.steps.iter().zip(&labels).filter(|(_, label)| is_graph(label));
        let begin = graph()
            .filter_map(|(step, _)| step.intervals.first().map(|(start, _)| *start))
            .fold(f64::INFINITY, f64::min);
        let graph_end = graph().filter_map(|(step, _)| end(step)).fold(f64::NEG_INFINITY, f64::max);
        let first = target.steps.iter().filter_map(|step| step.intervals.first());
        let first = first.map(|(start, _)| *start).fold(f64::INFINITY, f64::min);
        let last = target.steps.iter().filter_map(end).fold(f64::NEG_INFINITY, f64::max);
        let mut steps = HashMap::new();
        let mut ran = 0;
        for ((step, label), key) in target.steps.iter().zip(&labels).zip(keys(labels.iter())) {
            let (Some(cached), Some((start, end))) = (step.cached, step.intervals.last()) else {
                continue;
            };
            if !is_graph(label) {
                continue;
            }
            let inputs = step.inputs.iter().filter_map(|&place| target.steps.get(place));
            let ready = inputs
                .filter_map(|input| input.intervals.last().map(|(_, end)| *end))
                .fold(begin, f64::max);
            let cost = Cost {
                cached,
                since_ready: (end - ready).max(0.0),
                since_start: (end - start).max(0.0),
            };
            ran += usize::from(!cached && label.is_instruction());
            steps.insert(key, cost);
        }
        let span = if last >= first { last - first } else { 0.0 };
        let export = if graph_end.is_finite() { (last - graph_end).max(0.0) } else { 0.0 };
        Self {
            built: target.built,
            seconds: target.seconds,
            steps,
            ran,
            export,
            outside: (target.seconds - span).max(0.0),
        }
    }
}

/// The middle value; `None` of none.
pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values[middle];
    Some(if values.len() % 2 == 1 { upper } else { (values[middle - 1] + upper) / 2.0 })
}

impl Past {
    /// Median seconds of the newest `count` builds of a target that succeeded.
    pub fn median_seconds(&self, target: &str, count: usize) -> Option<f64> {
        let built = self.builds.iter().filter_map(|build| build.targets.get(target));
        median(built.filter(|target| target.built).take(count).map(|past| past.seconds).collect())
    }

    /// Median seconds of the newest `count` times that a step ran to its end; `key` as
    /// [`StepName::key`] makes it.
    pub fn median_step(&self, target: &str, key: &str, count: usize) -> Option<f64> {
        let targets = self.builds.iter().filter_map(|build| build.targets.get(target));
        let ran = targets.filter_map(|target| {
            let same = |step: &&PastStep| {
                step.cached == Some(false) && StepName::parse(&step.name).key() == key
            };
            let step = target.steps.iter().find(same)?;
            Some(step.intervals.iter().map(|(start, end)| end - start).sum())
        });
        median(ran.take(count).collect())
    }

    /// Size of a target's image when it was last built.
    pub fn last_size(&self, target: &str) -> Option<u64> {
        let built = self.builds.iter().filter_map(|build| build.targets.get(target));
        built.filter(|target| target.built).find_map(|past| past.size_bytes)
    }
}
