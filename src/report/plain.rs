//! `plain`: a line for each step that ended and each line it wrote, prefixed by the target.
//!
//! Steps that are no instruction of the Dockerfile (loading definitions, exporting) get a line
//! only when they took half a second or failed.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::time::Duration;

use crate::build::outcome::TargetOutcome;
use crate::progress::{Change, Event, RunSummary, RunTrace, Step, StepState, TargetTrace};
use crate::report::{failure, line, table};
use crate::ui::{SHADES, Ui, format};

/// Below this, a step that is no instruction is not worth a line.
const WORTH_TELLING: Duration = Duration::from_millis(500);

/// A step that runs this long without a word is announced, so that a reader knows what is slow.
const SILENCE: Duration = Duration::from_secs(5);

/// Columns of an instruction.
const INSTRUCTION: usize = 100;

/// Columns of the table where stderr is no terminal.
const COLUMNS: usize = 80;

/// Writes lines as they come.
pub struct Plain {
    ui: Ui,
    run: RunTrace,
    name_width: usize,
    /// Steps announced while they run, by target and step.
    announced: HashSet<(String, String)>,
    /// Endings told: state and duration, by target and step.
    told: HashMap<(String, String), (StepState, Duration)>,
    /// Which target's lines tell of a step that several targets share.
    owners: HashMap<String, String>,
}

impl Plain {
    pub(super) fn new(ui: Ui) -> Self {
        Self {
            ui,
            run: RunTrace::default(),
            name_width: 0,
            announced: HashSet::new(),
            told: HashMap::new(),
            owners: HashMap::new(),
        }
    }

    pub(super) fn run(&self) -> &RunTrace {
        &self.run
    }

    pub(super) fn handle(&mut self, event: &Event, at: Duration) {
        let changes = self.run.apply(event, at);
        match event {
            Event::Planned { .. } => {
                let names = self.run.targets().map(|target| target.info.name.as_str());
                self.name_width = line::name_width(names);
            }
            Event::Status { target, .. } => self.changes(target, &changes),
            Event::TargetFinished { target, .. } => self.finished(target, at),
            Event::Cancelling { reason } => self.ui.say(line::reason(*reason)),
            Event::Warning { message } => self.ui.warn(message),
            Event::TargetStarted { .. } => {}
        }
    }

    pub(super) fn tick(&mut self, at: Duration) {
        let mut lines = Vec::new();
        for target in self.run.targets().filter(|target| target.finished.is_none()) {
            for step in target.trace.steps().filter(|step| step.state() == StepState::Running) {
                let silent = step.seen_at.is_some_and(|seen| seen + SILENCE <= at);
                let key = key(target, step);
                if silent && step.is_visible() && !self.announced.contains(&key) {
                    lines.push(self.announcement(target, step));
                    self.announced.insert(key);
                }
            }
        }
        if !lines.is_empty() {
            self.ui.say(&lines.join("\n"));
        }
    }

    pub(super) fn finish(&mut self, summary: &RunSummary) {
        let columns = if self.ui.is_terminal() { self.ui.size().0 } else { COLUMNS };
        self.ui.say(&format!("\n{}", table::render(summary, columns)));
        failure::show(&self.ui, &self.run);
    }

    fn changes(&mut self, name: &str, changes: &[Change]) {
        let Some(target) = self.run.target(name) else { return };
        let mut lines: Vec<String> = Vec::new();
        for change in changes {
            match change {
                Change::Started { .. } => {}
                Change::Ended { step } => {
                    let Some(step) = target.trace.step(*step) else { continue };
                    let told = self.told.get(&key(target, step));
                    if is_worth_telling(step) && told.is_none_or(|told| is_news(told, step)) {
                        lines.push(self.ending(target, step));
                        self.told.insert(key(target, step), (step.state(), step.duration()));
                    }
                }
                Change::Line { step, text } => {
                    let Some(step) = target.trace.step(*step) else { continue };
                    if !owns(&mut self.owners, &self.run, target, step) {
                        continue;
                    }
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
        if !lines.is_empty() {
            self.ui.say(&lines.join("\n"));
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
        format!("{}{}  {faint}running{faint:#}", self.prefix(target), self.title(step))
    }

    fn log_line(&self, target: &TargetTrace, step: &Step, text: &str) -> String {
        let faint = SHADES.faint;
        let text = self.ui.foreign(text);
        let line = format!("{}{faint}{} |{faint:#} {text}", self.prefix(target), line::tag(step));
        line.trim_end().to_owned()
    }

    fn ending(&self, target: &TargetTrace, step: &Step) -> String {
        let mut text = format!("{}{}", self.prefix(target), self.title(step));
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
        self.ui.foreign(&format::cut(&line::title(step), INSTRUCTION))
    }

    fn finished(&self, name: &str, at: Duration) {
        let Some(target) = self.run.target(name) else { return };
        let summary = target.summary(at);
        let style = match summary.outcome {
            TargetOutcome::Built(_) => SHADES.good,
            TargetOutcome::Failed(_) => SHADES.error,
            TargetOutcome::Cancelled => SHADES.faint,
        };
        let mut text = format!("{}{style}{}{style:#}", self.prefix(target), line::ending(&summary));
        if let Some(seconds) = summary.seconds() {
            let _ = write!(text, "  {}", format::seconds(seconds));
        }
        self.ui.say(&text);
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
