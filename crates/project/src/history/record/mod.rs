//! From what a run left behind to the entry that is kept. Pure: everything is a parameter.

mod written;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::dockerfile::{self, Outline};
use crate::history::cleaned::Removals;
use crate::history::{
    BaseImage, BuildId, CacheMount, CollectionRule, CopiedFiles, EngineInfo, Entry, FingerprintKey,
    Inputs, Interval, LastOutput, Outcome, Resources, SCHEMA, StepEntry, StepResult, StopReason,
    TargetEntry,
};
use crate::progress::outcome::TargetOutcome;
use crate::progress::{CancelReason, RunSummary, RunTrace, Step, StepName, StepState, TargetTrace};
use crate::redact::Redactor;
use written::DockerfileRecord;

pub use written::options;

/// A run that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// Its id.
    pub id: &'a BuildId,
    /// Compose project name.
    pub project: &'a str,
    /// The project's directory.
    pub project_directory: &'a str,
    /// The engine.
    pub engine: &'a EngineInfo,
    /// When it started.
    pub started: Timestamp,
    /// What `clean` had removed of the engine before it.
    pub removals: &'a Removals,
    /// When anybody else had last pruned build cache of it.
    pub pruned: Option<Timestamp>,
    /// The rules of its garbage collection.
    pub collection: &'a [CollectionRule],
    /// What happened.
    pub trace: &'a RunTrace,
    /// How it ended.
    pub summary: &'a RunSummary,
    /// What is known of its targets besides, by target name.
    pub targets: &'a BTreeMap<String, TargetFacts>,
    /// What must not be kept of them; events have been through it already.
    pub redactor: &'a Redactor,
    /// What tells values apart that are not kept, if anything does.
    pub fingerprint_key: Option<&'a FingerprintKey>,
}

/// What is known of a target besides its progress.
#[derive(Debug, Clone, Default)]
pub struct TargetFacts {
    /// Compose service.
    pub service: String,
    /// What the engine's own history calls its build.
    pub build_ref: Option<String>,
    /// Ids of the sessions that serve it, by directory; of all that are not named under the empty name.
    pub sessions: BTreeMap<String, String>,
    /// The Dockerfile as far as it is known here: name to show and text.
    pub dockerfile: Option<(String, String)>,
    /// Build context.
    pub context: String,
    /// Stage to stop at.
    pub stage: Option<String>,
    /// Platforms asked for.
    pub platforms: Vec<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// The layer cache was not to be read.
    pub no_cache: bool,
    /// Ids that the engine's own images have of which it builds, by reference.
    pub images: BTreeMap<String, String>,
    /// Chains of the layers of base images, by the digest of their manifests, where the engine tells them.
    pub layers: BTreeMap<String, String>,
    /// Named contexts.
    pub contexts: BTreeMap<String, String>,
    /// Options that change what steps do ([`options`]).
    pub options: BTreeMap<String, String>,
    /// What its COPYs and ADDs covered, by id of the step.
    pub files: BTreeMap<String, CopiedFiles>,
    /// What its steps took of the machine, by id of the step.
    pub resources: BTreeMap<String, Resources>,
    /// The patterns of the ignore file of its build context, where that was sent.
    pub ignored: Option<Vec<String>>,
}

impl TargetFacts {
    /// Whether `redactor` leaves something out of its arguments, or of its Dockerfile.
    pub fn hides(&self, redactor: &Redactor) -> bool {
        let is_argument =
            |(name, value): (&String, &String)| redactor.argument(name, value) != *value;
        let text = self.dockerfile.as_ref().map(|(_, text)| text);
        self.args.iter().any(is_argument) || text.is_some_and(|text| redactor.text(text) != *text)
    }

    /// The named contexts that are results of other targets.
    pub fn linked(&self) -> Vec<&str> {
        let linked = self.contexts.iter().filter(|(_, place)| place.starts_with("target:"));
        linked.map(|(name, _)| name.as_str()).collect()
    }
}

/// Bytes that the last output of all targets that failed may take.
const MOST_OUTPUT: usize = 24 << 10;

/// The entry of a run.
pub fn record(run: &Run<'_>) -> Entry {
    let mut targets: Vec<TargetEntry> = run
        .summary
        .targets
        .iter()
        .filter_map(|target| run.trace.target(&target.info.name))
        .map(|trace| target(run, trace))
        .collect();
    add_output(run, &mut targets);
    add_removals(run, &mut targets);
    let outcome = match run.summary.cancelled {
        Some(CancelReason::Interrupted) => Outcome::Cancelled,
        _ if targets.iter().all(|target| target.outcome == Outcome::Succeeded) => {
            Outcome::Succeeded
        }
        _ => Outcome::Failed,
    };
    Entry {
        schema: SCHEMA.to_owned(),
        id: run.id.clone(),
        project: run.project.to_owned(),
        project_directory: run.project_directory.to_owned(),
        engine: run.engine.clone(),
        started: run.started,
        seconds: run.summary.seconds,
        outcome,
        stopped: run.summary.cancelled.map(|reason| match reason {
            CancelReason::TargetFailed => StopReason::TargetFailed,
            CancelReason::Interrupted => StopReason::Interrupted,
            CancelReason::TimedOut => StopReason::TimedOut,
        }),
        cleaned: run.removals.results,
        pruned: run.pruned,
        collection: run.collection.to_vec(),
        targets,
    }
}

fn target(run: &Run<'_>, trace: &TargetTrace) -> TargetEntry {
    let none = TargetFacts::default();
    let facts = run.targets.get(&trace.info.name).unwrap_or(&none);
    let linked = facts.linked();
    let outline =
        facts.dockerfile.as_ref().map(|(_, text)| dockerfile::outline(text, &linked, &facts.args));
    let at = |at: Duration| run.started + at;
    let end = Duration::try_from_secs_f64(run.summary.seconds).unwrap_or_default();
    let finished = trace.started.map(|_| trace.finished.unwrap_or(end));
    let is_cached = match &trace.outcome {
        Some(TargetOutcome::Built(_)) => Step::counts_as_cached_in_success,
        _ => Step::counts_as_cached,
    };
    let mut entry = TargetEntry {
        service: if facts.service.is_empty() { &trace.info.name } else { &facts.service }.clone(),
        name: trace.info.name.clone(),
        image: trace.info.image.clone(),
        same_as: trace.info.same_as.clone(),
        image_id: None,
        size_bytes: None,
        outcome: Outcome::Cancelled,
        error: None,
        build_ref: facts.build_ref.clone().filter(|_| trace.started.is_some()),
        sessions: facts.sessions.clone(),
        started: trace.started.map(at),
        finished: finished.map(at),
        seconds: trace.started.map(|_| trace.elapsed(end).as_secs_f64()),
        dockerfile: facts.dockerfile.as_ref().map(|(name, _)| name.clone()),
        steps: in_order(
            trace
                .trace
                .own_steps()
                .map(|it| step(it, outline.as_ref(), facts, is_cached))
                .collect(),
        ),
        inputs: inputs(run, trace, facts),
    };
    if let Some(mut writing) = DockerfileRecord::new(facts, run) {
        entry.steps.iter_mut().for_each(|step| writing.add_to(step));
        entry.inputs.settings = writing.settings();
    }
    match &trace.outcome {
        Some(TargetOutcome::Built(image)) => {
            entry.outcome = Outcome::Succeeded;
            entry.image_id = Some(image.id.clone()).filter(|id| !id.is_empty());
            entry.size_bytes = image.size_bytes;
        }
        Some(TargetOutcome::Failed(failure)) => {
            entry.outcome = Outcome::Failed;
            entry.error = Some(failure.message.trim_end().to_owned());
        }
        Some(TargetOutcome::Cancelled) | None => {}
    }
    entry
}

/// Adds to cache mounts when `clean` had last removed them.
fn add_removals(run: &Run<'_>, targets: &mut [TargetEntry]) {
    let steps = targets.iter_mut().flat_map(|target| &mut target.steps);
    for mount in steps.flat_map(|step| &mut step.cache_mounts) {
        mount.removed = run.removals.of_mount(&mount.engine_id, &mount.target);
    }
}

/// Adds what the failed step of each target wrote last.
fn add_output(run: &Run<'_>, targets: &mut [TargetEntry]) {
    let mut room = MOST_OUTPUT;
    for target in targets {
        let failed = run.trace.target(&target.name).and_then(TargetTrace::failed_step);
        let Some((_, failed)) = failed else { continue };
        if let Some(step) = target.steps.iter_mut().find(|step| step.digest == failed.id) {
            step.output = LastOutput::read(&failed.tail, run.redactor, &mut room);
        }
    }
}

/// The instructions in the order of the Dockerfile, stage by stage; the engine tells them in any. What is no
/// instruction stays where it was.
fn in_order(mut steps: Vec<StepEntry>) -> Vec<StepEntry> {
    let mut first_lines: BTreeMap<Option<String>, u32> = BTreeMap::new();
    for step in steps.iter().filter(|step| step.position.is_some()) {
        let line = step.line.unwrap_or(u32::MAX);
        let first = first_lines.entry(step.stage.clone()).or_insert(line);
        *first = line.min(*first);
    }
    let places: Vec<usize> =
        (0..steps.len()).filter(|place| steps[*place].position.is_some()).collect();
    let mut sorted: Vec<StepEntry> = places.iter().map(|place| steps[*place].clone()).collect();
    sorted.sort_by_cached_key(|step| (first_lines[&step.stage], step.stage.clone(), step.position));
    for (place, step) in places.into_iter().zip(sorted) {
        steps[place] = step;
    }
    steps
}

fn step(
    step: &Step,
    outline: Option<&Outline>,
    facts: &TargetFacts,
    is_cached: fn(&Step) -> Option<bool>,
) -> StepEntry {
    let is_instruction = step.label.position.is_some();
    let line = outline.filter(|_| is_instruction).and_then(|outline| {
        let span = outline.locate(&step.name)?;
        u32::try_from(*span.start()).ok()
    });
    let namespace = facts.args.get("BUILDKIT_CACHE_MOUNT_NS").map_or("", String::as_str);
    let mounts = dockerfile::cache_mounts(&step.label.instruction);
    let result = result(is_cached(step), step.state());
    let has_run = matches!(result, StepResult::Ran | StepResult::Failed);
    StepEntry {
        digest: step.id.clone(),
        name: step.name.clone(),
        instruction: step.label.instruction.clone(),
        stage: step.label.stage.clone(),
        position: step.label.position,
        line,
        result,
        error: step.error().map(str::to_owned),
        intervals: step.intervals().into_iter().filter_map(interval).collect(),
        seconds: step.duration().as_secs_f64(),
        bytes: step.bytes().0,
        resources: facts.resources.get(&step.id).copied().filter(|_| has_run),
        inputs: step.inputs().map(str::to_owned).collect(),
        cache_mounts: mounts
            .into_iter()
            .map(|mount| CacheMount {
                engine_id: format!("{namespace}/{}", mount.id),
                id: mount.id,
                target: mount.target,
                sharing: mount.sharing,
                removed: None,
            })
            .collect(),
        files: facts.files.get(&step.id).cloned(),
        written: None,
        settings: Vec::new(),
        contexts: Vec::new(),
        output: None,
    }
}

fn result(is_cached: Option<bool>, state: StepState) -> StepResult {
    match (is_cached, state) {
        (Some(true), _) | (None, StepState::Cached) => StepResult::Cached,
        (_, StepState::Failed) => StepResult::Failed,
        (Some(false), _) | (None, StepState::Done) => StepResult::Ran,
        (None, StepState::Waiting) => StepResult::NotRun,
        (None, StepState::Running | StepState::Cancelled) => StepResult::Cancelled,
    }
}

fn interval((started, completed): (i128, i128)) -> Option<Interval> {
    let time = |nanoseconds| Timestamp::from_nanosecond(nanoseconds).ok();
    Some(Interval { started: time(started)?, completed: time(completed)? })
}

fn inputs(run: &Run<'_>, trace: &TargetTrace, facts: &TargetFacts) -> Inputs {
    let redactor = run.redactor;
    let shown =
        facts.args.iter().map(|(name, value)| (name.clone(), redactor.argument(name, value)));
    let args: BTreeMap<String, String> = shown.collect();
    let left_out = facts.args.iter().filter(|(name, value)| args[*name] != **value);
    let fingerprints = left_out
        .filter_map(|(name, value)| Some((name.clone(), run.fingerprint_key?.fingerprint(value))));
    let mut bases: Vec<BaseImage> = Vec::new();
    for step in trace.trace.own_steps() {
        let Some((reference, digest)) = fetched_image(&step.name) else { continue };
        if bases.iter().any(|base| base.reference == reference) {
            continue;
        }
        let digest = digest.or_else(|| facts.images.get(&reference).cloned());
        let layers = digest.as_ref().and_then(|digest| facts.layers.get(digest).cloned());
        bases.push(BaseImage { reference, digest, layers });
    }
    Inputs {
        context: redactor.text(&facts.context),
        stage: facts.stage.clone(),
        platforms: facts.platforms.clone(),
        fingerprints: fingerprints.collect(),
        args,
        settings: Vec::new(),
        contexts: hidden(&facts.contexts, redactor),
        options: hidden(&facts.options, redactor),
        ignored: facts.ignored.as_ref().and_then(|it| kept_patterns(it, redactor)),
        bases,
        dockerfile_digest: facts.dockerfile.as_ref().map(|(_, text)| sha256(text.as_bytes())),
        no_cache: facts.no_cache,
    }
}

/// Bytes that the patterns of an ignore file may take.
const MOST_PATTERNS: usize = 8 << 10;

/// The patterns of an ignore file; `None` where they are too many, or one holds a secret.
fn kept_patterns(patterns: &[String], redactor: &Redactor) -> Option<Vec<String>> {
    let bytes: usize = patterns.iter().map(|it| it.len() + 3).sum();
    let is_open = |pattern: &String| redactor.text(pattern) == *pattern;
    (bytes <= MOST_PATTERNS && patterns.iter().all(is_open)).then(|| patterns.to_vec())
}

fn hidden(values: &BTreeMap<String, String>, redactor: &Redactor) -> BTreeMap<String, String> {
    values.iter().map(|(name, value)| (name.clone(), redactor.text(value))).collect()
}

/// Reference and digest of the image that a step named `name` begins a stage with, if it does.
pub fn base_of(name: &str) -> Option<(String, Option<String>)> {
    fetched_image(name).filter(|_| StepName::parse(name).is_base())
}

/// The same of one that fetches an image, be it that files are copied from it.
pub fn fetched_image(name: &str) -> Option<(String, Option<String>)> {
    let label = StepName::parse(name);
    let (reference, digest) = label.fetched_image()?;
    Some((reference.to_owned(), digest.map(str::to_owned)))
}

/// `sha256:` and the hash of `bytes` in hex.
pub fn sha256(bytes: &[u8]) -> String {
    digest_text(&Sha256::digest(bytes))
}

/// `sha256:` and a hash in hex.
pub(super) fn digest_text(hash: &[u8]) -> String {
    format!("sha256:{}", hex::encode(hash))
}

#[cfg(test)]
mod tests;
