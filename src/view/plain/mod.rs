//! `plain`: a line for each step that ended and each line it wrote, prefixed by the target; each
//! target's lines together as far as that keeps nobody waiting. In a CI that folds, one group per
//! target.
//!
//! Steps that are not an instruction of the Dockerfile (loading definitions, exporting) get a line
//! only when they took half a second or failed.

mod cached;
mod floor;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::time::Duration;

use crate::progress::outcome::TargetOutcome;
use crate::progress::{Change, Event, RunSummary, RunTrace, Step, StepState, TargetTrace};
use crate::terminal::{SHADES, Ui, format};
use crate::view::ci::{Ci, Groups};
use crate::view::{failure, line, summary};
use cached::CachedSteps;
use floor::{Chunk, Floor, Rules};

/// Below this, a step that is not an instruction is not worth a line.
const WORTH_TELLING: Duration = Duration::from_millis(500);

/// A step that runs this long without a word is announced, so that a reader knows what is slow.
const SILENCE: Duration = Duration::from_secs(5);

/// How often is told what still runs. CI systems take a log that is silent for longer for a job that hangs.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Columns of an instruction.
const INSTRUCTION: usize = 100;

/// Who reads lines as they come waits no longer than this for those of another target.
const LIVE: Rules = Rules { patience: Duration::from_secs(3), silence: Duration::from_secs(1) };

/// Where groups fold, a target in one piece is worth more than a look at all of them.
const FOLDED: Rules =
    Rules { patience: Duration::from_secs(600), silence: Duration::from_secs(20) };

/// Cached steps wait this long for more of them.
const GATHER: Duration = Duration::from_millis(500);

/// Writes lines.
pub struct Plain {
    ui: Ui,
    floor: Floor,
    groups: Groups,
    /// Cached steps that were not told yet, by target.
    cached: BTreeMap<String, CachedSteps>,
    run: RunTrace,
    name_width: usize,
    /// When something last happened.
    last: Duration,
    /// Steps announced while they run, by target and step.
    announced: HashSet<(String, String)>,
    /// When was last told what still runs.
    beat: Duration,
    /// Endings told: state and duration, by target and step.
    told: HashMap<(String, String), (StepState, Duration)>,
    /// Every step has a line of its own, also those of the engine.
    tells_all: bool,
    /// Which target's lines tell of a step that several targets share.
    owners: HashMap<String, String>,
}

impl Plain {
    pub(super) fn new(ui: Ui, ci: &Ci) -> Self {
        let groups = Groups::new(ui.clone(), ci.clone());
        Self {
            floor: Floor::new(if groups.folds() { FOLDED } else { LIVE }),
            groups,
            cached: BTreeMap::new(),
            ui,
            run: RunTrace::default(),
            name_width: 0,
            last: Duration::ZERO,
            announced: HashSet::new(),
            beat: Duration::ZERO,
            told: HashMap::new(),
            tells_all: false,
            owners: HashMap::new(),
        }
    }

    pub(super) fn tell_all(&mut self) {
        self.tells_all = true;
    }

    pub(super) fn run_mut(&mut self) -> &mut RunTrace {
        &mut self.run
    }

    pub(super) fn run(&self) -> &RunTrace {
        &self.run
    }

    pub(super) fn take_run(&mut self) -> RunTrace {
        std::mem::take(&mut self.run)
    }

    pub(super) fn handle(&mut self, event: &Event, at: Duration) {
        self.last = at;
        let changes = self.run.apply(event, at);
        match event {
            Event::Planned { .. } => {
                let names = self.run.targets().map(|target| target.info.name.as_str());
                self.name_width = line::name_width(names);
            }
            Event::Status { target, .. } => self.changes(target, &changes, at),
            Event::TargetFinished { target, .. } => {
                self.changes(target, &changes, at);
                self.finished(target, at);
            }
            Event::Cancelling { reason } => {
                self.hurry(at);
                self.ui.say(line::reason(*reason));
            }
            Event::Warning { message } => {
                self.groups.close(at.as_secs());
                self.ui.warn(message);
            }
            Event::TargetStarted { .. } => {}
        }
    }

    pub(super) fn tick(&mut self, at: Duration) {
        let mut told: Vec<(String, Vec<String>)> = Vec::new();
        for target in self.run.targets().filter(|target| target.finished.is_none()) {
            let mut lines = Vec::new();
            for step in target.trace.steps().filter(|step| step.state() == StepState::Running) {
                let silent = step.seen_at.is_some_and(|seen| seen + SILENCE <= at);
                let key = key(target, step);
                if silent && step.is_visible() && !self.announced.contains(&key) {
                    lines.push(self.announcement(target, step));
                    self.announced.insert(key);
                }
            }
            let cached = self.cached.get_mut(&target.info.name);
            if let Some(cached) = cached.filter(|c| !lines.is_empty() || c.since + GATHER <= at) {
                let cached = std::mem::take(cached);
                lines.splice(0..0, self.cached_line(target, &cached));
            }
            if !lines.is_empty() {
                told.push((target.info.name.clone(), lines));
            }
        }
        for (target, lines) in told {
            let chunks = self.floor.say(&target, lines, at);
            self.write(chunks, at);
        }
        let chunks = self.floor.tick(at);
        self.write(chunks, at);
        if at >= self.beat + HEARTBEAT {
            self.beat = at;
            self.still_running(at);
        }
    }

    /// Says which steps have been running for long, whoever has the floor.
    fn still_running(&self, at: Duration) {
        let mut told = HashSet::new();
        let faint = SHADES.faint;
        for target in self.run.targets().filter(|target| target.finished.is_none()) {
            for step in target.trace.steps().filter(|step| step.state() == StepState::Running) {
                let since = step.seen_at.map(|seen| at.saturating_sub(seen));
                let Some(since) = since.filter(|since| *since >= SILENCE) else { continue };
                // A step that targets share runs once.
                if step.is_visible() && told.insert(&step.id) {
                    let time = format::duration(since);
                    let title = self.title(step);
                    let prefix = self.prefix(target);
                    self.ui.say(&format!("{prefix}{title}  {faint}running for {time}{faint:#}"));
                }
            }
        }
    }

    pub(super) fn finish(&mut self, summary: &RunSummary) {
        let at = Duration::try_from_secs_f64(summary.seconds).unwrap_or_default();
        self.hurry(at);
        self.groups.close(at.as_secs());
        self.ui.say(&format!("\n{}", summary::render(summary, self.ui.said_columns())));
        failure::show(&self.ui, &self.run, failure::Extent::Last);
    }

    /// Writes everything that waits, and from now on every line as it comes.
    fn hurry(&mut self, at: Duration) {
        for (name, cached) in std::mem::take(&mut self.cached) {
            let Some(target) = self.run.target(&name) else { continue };
            let lines = self.cached_line(target, &cached).into_iter().collect();
            let chunks = self.floor.say(&name, lines, at);
            self.write(chunks, at);
        }
        let chunks = self.floor.hurry();
        self.write(chunks, at);
    }

    fn write(&mut self, chunks: Vec<Chunk>, at: Duration) {
        for Chunk { target, mut lines, ending } in chunks {
            // An ending is read where groups are folded, too.
            let mut outside = None;
            if self.groups.folds() {
                outside = ending;
            } else {
                lines.extend(ending);
            }
            if !lines.is_empty() {
                let bold = SHADES.bold;
                let several = self.run.targets().len() > 1;
                let header =
                    several.then(|| format!("{bold}== {} =={bold:#}", self.ui.foreign(&target)));
                self.groups.open(&target, at.as_secs(), header);
                self.ui.say(&lines.join("\n"));
            }
            if let Some(ending) = outside {
                self.groups.close(at.as_secs());
                self.ui.say(&ending);
            }
        }
    }

    fn changes(&mut self, name: &str, changes: &[Change], at: Duration) {
        let Some(target) = self.run.target(name) else { return };
        let mut lines: Vec<String> = Vec::new();
        let mut cached = self.cached.remove(name).unwrap_or_default();
        for change in changes {
            match change {
                Change::Started { .. } => {}
                Change::Ended { step } => {
                    let Some(step) = target.trace.step(*step) else { continue };
                    let told = self.told.get(&key(target, step));
                    let is_told = self.tells_all && step.is_visible() || is_worth_telling(step);
                    if is_told && told.is_none_or(|told| is_news(told, step)) {
                        let gathers = !self.tells_all && told.is_none();
                        if gathers && step.counts_as_cached() == Some(true) {
                            cached.add(step, at);
                        } else {
                            lines.extend(self.cached_line(target, &cached));
                            cached = CachedSteps::default();
                            lines.push(self.ending(target, step, told.is_none()));
                        }
                        self.told.insert(key(target, step), (step.state(), step.duration()));
                    }
                }
                Change::Line { step, text } => {
                    let Some(step) = target.trace.step(*step) else { continue };
                    if !owns(&mut self.owners, &self.run, target, step) {
                        continue;
                    }
                    lines.extend(self.cached_line(target, &cached));
                    cached = CachedSteps::default();
                    if self.announced.insert(key(target, step)) {
                        lines.push(self.announcement(target, step));
                    }
                    lines.push(self.log_line(target, step, text));
                }
                Change::Warned { step, text } => {
                    let Some(step) = target.trace.step(*step) else { continue };
                    let warning = SHADES.warning;
                    let text = self.ui.foreign(text);
                    let prefix = self.prefix(target);
                    let tag = line::tag(step);
                    lines.push(format!("{prefix}{tag} {warning}warning:{warning:#} {text}"));
                }
            }
        }
        if !cached.steps.is_empty() {
            self.cached.insert(name.to_owned(), cached);
        }
        let chunks = self.floor.say(name, lines, at);
        self.write(chunks, at);
    }

    /// `CACHED 5 steps: [build 2-4/4] [stage-1 2/4]`; one step alone is told by its instruction.
    fn cached_line(&self, target: &TargetTrace, cached: &CachedSteps) -> Option<String> {
        let faint = SHADES.faint;
        let prefix = self.prefix(target);
        match cached.steps.as_slice() {
            [] => None,
            [step] => {
                let step = target.trace.step_of(&step.id)?;
                Some(format!("{prefix}{}  {faint}CACHED{faint:#}", self.placed_title(step)))
            }
            steps => {
                let text = cached.text();
                let text = self.ui.foreign(&text);
                Some(format!("{prefix}{faint}CACHED{faint:#} {} steps: {text}", steps.len()))
            }
        }
    }

    fn prefix(&self, target: &TargetTrace) -> String {
        let bold = SHADES.bold;
        // Events of targets that were not planned may have longer names.
        let name = line::name(&target.info.name, self.name_width.max(1));
        format!("{bold}{name}{bold:#}  ")
    }

    fn announcement(&self, target: &TargetTrace, step: &Step) -> String {
        let faint = SHADES.faint;
        format!("{}{}  {faint}running{faint:#}", self.prefix(target), self.placed_title(step))
    }

    fn log_line(&self, target: &TargetTrace, step: &Step, text: &str) -> String {
        let faint = SHADES.faint;
        let text = self.ui.foreign(text);
        let line = format!("{}{faint}{} |{faint:#} {text}", self.prefix(target), line::tag(step));
        line.trim_end().to_owned()
    }

    /// What became of a step; the `first` line that tells of it says where it stands.
    fn ending(&self, target: &TargetTrace, step: &Step, first: bool) -> String {
        let is_placed = first && !self.announced.contains(&key(target, step));
        let title = if is_placed { self.placed_title(step) } else { self.title(step) };
        let mut text = format!("{}{title}", self.prefix(target));
        if let Some(bytes) = line::transferred(step, false) {
            let _ = write!(text, "  {bytes}");
        }
        let time = format::duration(step.duration());
        let (red, faint) = (SHADES.error, SHADES.faint);
        let _ = match step.state() {
            _ if step.counts_as_cached() == Some(true) => write!(text, "  {faint}CACHED{faint:#}"),
            StepState::Cached => write!(text, "  {faint}CACHED{faint:#}"),
            StepState::Failed => write!(text, "  {red}FAILED{red:#} {time}"),
            StepState::Cancelled => write!(text, "  {faint}cancelled{faint:#} {time}"),
            _ => write!(text, "  {time}"),
        };
        text
    }

    fn title(&self, step: &Step) -> String {
        self.ui.foreign(&line::cut_title(step, INSTRUCTION))
    }

    fn placed_title(&self, step: &Step) -> String {
        let faint = SHADES.faint;
        let place = line::place(step).map(|place| self.ui.foreign(&place));
        let place = place.map(|place| format!(" {faint}({place}){faint:#}")).unwrap_or_default();
        self.title(step) + &place
    }

    fn finished(&mut self, name: &str, at: Duration) {
        let Some(target) = self.run.target(name) else { return };
        let summary = target.summary(at);
        let style = match summary.outcome {
            TargetOutcome::Built(_) => SHADES.good,
            TargetOutcome::Failed(_) => SHADES.error,
            TargetOutcome::Cancelled => SHADES.faint,
        };
        let failed = matches!(summary.outcome, TargetOutcome::Failed(_));
        let mut text = format!("{}{style}{}{style:#}", self.prefix(target), line::ending(&summary));
        if let Some(seconds) = summary.seconds() {
            let _ = write!(text, "  {}", format::seconds(seconds));
        }
        let cached = self.cached.remove(name).unwrap_or_default();
        let lines = self.cached_line(target, &cached).into_iter().collect();
        let mut chunks = self.floor.say(name, lines, at);
        chunks.extend(self.floor.over(name, text, failed, at));
        self.write(chunks, at);
    }
}

impl Drop for Plain {
    /// A run that ends without its summary loses no line either.
    fn drop(&mut self) {
        self.hurry(self.last);
        self.groups.close(self.last.as_secs());
    }
}

fn key(target: &TargetTrace, step: &Step) -> (String, String) {
    (target.info.name.clone(), step.id.clone())
}

fn is_worth_telling(step: &Step) -> bool {
    step.is_visible()
        && (step.label.is_instruction()
            || step.duration() >= WORTH_TELLING
            || step.state() == StepState::Failed)
}

/// Some steps end several times (a base is resolved, then found in the cache). They are told again
/// when they took noticeably longer than told, or failed.
fn is_news(told: &(StepState, Duration), step: &Step) -> bool {
    let failed = step.state() == StepState::Failed && told.0 != StepState::Failed;
    failed || step.duration() >= told.1 + WORTH_TELLING
}

/// The engine runs a step that targets share once and reports it to each. Its output is told by
/// the first of them that is not over.
fn owns(
    owners: &mut HashMap<String, String>,
    run: &RunTrace,
    target: &TargetTrace,
    step: &Step,
) -> bool {
    let name = &target.info.name;
    let owner = owners.entry(step.id.clone()).or_insert_with(|| name.clone());
    if owner != name && run.target(owner).is_none_or(|other| other.finished.is_some()) {
        owner.clone_from(name);
    }
    owner == name
}
