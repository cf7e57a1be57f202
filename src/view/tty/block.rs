//! The lines of one target, fitted to the width of the terminal.

use std::time::Duration;

use crate::progress::outcome::TargetOutcome;
use crate::progress::{Step, StepState, TargetTrace};
use crate::terminal::control::{Colours, harmless};
use crate::terminal::{SHADES, format};
use crate::view::line;

/// Marks in front of targets.
pub(super) struct Marks {
    spinner: &'static [&'static str],
    built: &'static str,
    failed: &'static str,
    cancelled: &'static str,
}

pub(super) const UNICODE: Marks = Marks {
    spinner: &["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"],
    built: "✔",
    failed: "✘",
    cancelled: "-",
};

pub(super) const ASCII: Marks =
    Marks { spinner: &["|", "/", "-", "\\"], built: "+", failed: "x", cancelled: "-" };

/// Columns before what a step says.
const INDENT: &str = "    ";

/// Where it gets narrower than this, what happens matters more than figures.
const NARROW: usize = 12;

/// What all lines of a frame have in common.
pub(super) struct Frame {
    pub(super) marks: Marks,
    pub(super) number: usize,
    pub(super) columns: usize,
    pub(super) name_width: usize,
    pub(super) at: Duration,
    /// Columns of time left; 0 where none is known.
    pub(super) left_width: usize,
}

/// `~12s left`, in whole seconds; `None` below one second.
pub(super) fn time_left(left: Duration) -> Option<String> {
    let seconds = left.as_secs_f64().round() as u64;
    match seconds {
        0 => None,
        1..60 => Some(format!("~{seconds}s left")),
        _ => Some(format!("~{} left", format::duration(Duration::from_secs(seconds)))),
    }
}

impl Frame {
    /// The line of a target; with `title` the step stands in it, otherwise how far it is.
    pub(super) fn target(
        &self,
        target: &TargetTrace,
        left: Option<Duration>,
        title: bool,
    ) -> String {
        let summary = target.summary(self.at);
        let mut right = target.started.map(|_| format::duration(target.elapsed(self.at)));
        let (mark, style, middle) = match &target.outcome {
            Some(TargetOutcome::Built(image)) => {
                right = join(image.size_bytes.map(format::bytes), right);
                (self.marks.built, SHADES.good, line::ending(&summary))
            }
            Some(TargetOutcome::Failed(_)) => {
                let step = target.trace.failed().map(line::title);
                let middle = step.map_or("failed".to_owned(), |step| format!("failed: {step}"));
                (self.marks.failed, SHADES.error, middle)
            }
            Some(TargetOutcome::Cancelled) => {
                (self.marks.cancelled, SHADES.faint, line::ending(&summary))
            }
            None if target.started.is_none() => {
                let other = target.info.same_as.as_deref();
                let middle = other.map_or("waiting".to_owned(), |other| format!("same as {other}"));
                (" ", SHADES.faint, middle)
            }
            None => {
                let spinner = self.marks.spinner[self.number % self.marks.spinner.len()];
                let middle = if title {
                    let step = current(target);
                    right = join(step.and_then(|step| line::transferred(step, true)), right);
                    step.map_or("starting".to_owned(), line::title)
                } else {
                    steps(target)
                };
                (spinner, SHADES.hint, middle)
            }
        };
        if self.left_width > 0 {
            let left = left.and_then(time_left).unwrap_or_default();
            let column = format!("{left:>0$}", self.left_width);
            right = Some(join(right, Some(column)).unwrap_or_default());
        }
        let name = line::name(&target.info.name, self.name_width);
        let lead = format!("{style}{mark}{style:#} {name}  ");
        self.line(&lead, format::width(&name) + 4, &middle, &right.unwrap_or_default(), false)
    }

    /// The step of a target that runs, and what it wrote last.
    pub(super) fn step(&self, target: &TargetTrace) -> [String; 2] {
        let Some(step) = current(target) else { return [String::new(), String::new()] };
        let mut title = line::title(step);
        let running = target.trace.steps().filter(|other| {
            other.state() == StepState::Running && other.is_visible() && other.id != step.id
        });
        let others = running.count();
        if others > 0 && step.state() == StepState::Running {
            title = format!("(+{others} more) {title}");
        }
        let mut right = line::transferred(step, true);
        let rate = step.rate(self.at).map(|rate| format!("{}/s", format::bytes(rate)));
        right = join(right, rate);
        if let (StepState::Running, Some(started)) = (step.state(), step.started_at) {
            let elapsed = self.at.saturating_sub(started);
            right = join(right, Some(format::duration(elapsed)));
        }
        if self.left_width > 0 {
            // Under the times of the target.
            right = right.map(|right| format!("{right}{:1$}", "", self.left_width + 2));
        }
        let first = self.line(INDENT, INDENT.len(), &title, &right.unwrap_or_default(), false);
        let said = last_words(step).map(|text| format!("| {text}")).unwrap_or_default();
        [first, self.line(INDENT, INDENT.len(), &said, "", true)]
    }

    /// Puts a line together: what leads, the middle cut to what is left of the width, the figures
    /// at the right edge.
    fn line(
        &self,
        lead: &str,
        lead_width: usize,
        middle: &str,
        right: &str,
        faint: bool,
    ) -> String {
        // Escape sequences and tabs would break the layout.
        let middle = harmless(middle, Colours::Drop).replace(['\n', '\t'], " ");
        let space = self.columns.saturating_sub(lead_width);
        let mut right_width = format::width(right) + 2;
        let mut right = right;
        if right.is_empty() || space < right_width + NARROW {
            (right, right_width) = ("", 0);
        }
        let middle_width = space - right_width;
        let middle = format::cut(&middle, middle_width);
        let style = if faint { SHADES.faint } else { anstyle::Style::new() };
        let text = if right.is_empty() {
            format!("{lead}{style}{middle}{style:#}")
        } else {
            format!("{lead}{style}{}{style:#}  {right}", format::pad(&middle, middle_width))
        };
        text.trim_end().to_owned()
    }
}

/// The step that runs, or the last one that did.
fn current(target: &TargetTrace) -> Option<&Step> {
    target.trace.current().or_else(|| {
        let ended = |state| !matches!(state, StepState::Waiting | StepState::Running);
        target.trace.steps().rfind(|step| step.is_visible() && ended(step.state()))
    })
}

/// `4 of 7 steps, 3 cached`.
fn steps(target: &TargetTrace) -> String {
    let steps = || target.trace.own_steps().filter(|step| step.label.is_instruction());
    let all = steps().count();
    if all == 0 {
        return "starting".to_owned();
    }
    let counts = target.trace.counts();
    let noun = if all == 1 { "step" } else { "steps" };
    let mut text = format!("{} of {all} {noun}", counts.cached + counts.run);
    if counts.cached > 0 {
        text.push_str(&format!(", {} cached", counts.cached));
    }
    text
}

/// The last line a step wrote that says something, or what it is at (`exporting layers`).
fn last_words(step: &Step) -> Option<String> {
    let said = step.tail.lines().rev().map(|line| line.text.trim());
    let doing = step.transfers().filter(|(id, transfer)| {
        !transfer.completed && !id.starts_with("sha256:") && !id.ends_with(':')
    });
    said.take(20)
        .find(|text| !text.is_empty())
        .map(str::to_owned)
        .or_else(|| doing.last().map(|(id, _)| id.to_owned()))
}

fn join(left: Option<String>, right: Option<String>) -> Option<String> {
    match (left, right) {
        (Some(left), Some(right)) => Some(format!("{left}  {right}")),
        (left, right) => left.or(right),
    }
}
