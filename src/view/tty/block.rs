//! The lines of one target, fitted to the width of the terminal.

use std::time::Duration;

use crate::counted::counted;
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

/// Where it gets narrower than this, what happens matters more than figures; a command more than words.
const NARROW: usize = 12;
const NARROW_STEP: usize = 28;

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
        let words = |text: String| Middle::Words(text, anstyle::Style::new());
        let (mark, style, middle) = match &target.outcome {
            Some(TargetOutcome::Built(image)) => {
                right = join(image.size_bytes.map(format::bytes), right);
                (self.marks.built, SHADES.good, words(line::ending(&summary)))
            }
            Some(TargetOutcome::Failed(_)) => {
                let step = target.trace.failed();
                let middle = step.map(|step| Middle::Step("failed: ".to_owned(), step));
                let middle = middle.unwrap_or_else(|| words("failed".to_owned()));
                (self.marks.failed, SHADES.error, middle)
            }
            Some(TargetOutcome::Cancelled) => {
                (self.marks.cancelled, SHADES.faint, words(line::ending(&summary)))
            }
            None if target.started.is_none() => {
                let other = target.info.same_as.as_deref();
                let middle = other.map_or("waiting".to_owned(), |other| format!("same as {other}"));
                (" ", SHADES.faint, words(middle))
            }
            None => {
                let spinner = self.marks.spinner[self.number % self.marks.spinner.len()];
                let middle = if title {
                    let step = current(target);
                    right = join(step.and_then(|step| line::transferred(step, true)), right);
                    let middle = step.map(|step| Middle::Step(String::new(), step));
                    middle.unwrap_or_else(|| words("starting".to_owned()))
                } else {
                    words(steps(target))
                };
                (spinner, SHADES.hint, middle)
            }
        };
        let mut figures = vec![right.clone().unwrap_or_default()];
        if self.left_width > 0 {
            let left = left.and_then(time_left).unwrap_or_default();
            let column = format!("{left:>0$}", self.left_width);
            figures.insert(0, join(right, Some(column)).unwrap_or_default());
        }
        let name = line::name(&target.info.name, self.name_width);
        let lead = format!("{style}{mark}{style:#} {name}  ");
        self.line((&lead, format::width(&name) + 4), &middle, &figures)
    }

    /// The step of a target that runs, and what it wrote last.
    pub(super) fn step(&self, target: &TargetTrace) -> [String; 2] {
        let Some(step) = current(target) else { return [String::new(), String::new()] };
        let running = target.trace.steps().filter(|other| {
            other.state() == StepState::Running && other.is_visible() && other.id != step.id
        });
        let others = running.count();
        let before = match (others, step.state()) {
            (1.., StepState::Running) => format!("(+{others} more) "),
            _ => String::new(),
        };
        let said = last_words(step).map(|text| format!("| {text}")).unwrap_or_default();
        [self.running_step(step, before), self.words_of_step(said, SHADES.faint)]
    }

    /// The line of a step that runs (or did last), behind some words.
    pub(super) fn running_step(&self, step: &Step, before: String) -> String {
        let rate = step.rate(self.at).map(|rate| format!("{}/s", format::bytes(rate)));
        let bytes = join(line::transferred(step, true), rate);
        let mut elapsed = None;
        if let (StepState::Running, Some(started)) = (step.state(), step.started_at) {
            elapsed = Some(format::duration(self.at.saturating_sub(started)));
        }
        self.step_line(step, before, bytes, elapsed)
    }

    /// A step with figures below those of its target: what it transferred, and what matters more.
    pub(super) fn step_line(
        &self,
        step: &Step,
        before: String,
        bytes: Option<String>,
        last: Option<String>,
    ) -> String {
        let mut figures = vec![join(bytes, last.clone()).unwrap_or_default()];
        if self.left_width > 0 && !figures[0].is_empty() {
            // Under the times of the target.
            figures.insert(0, format!("{}{:2$}", figures[0], "", self.left_width + 2));
        }
        figures.extend(last);
        self.line((INDENT, INDENT.len()), &Middle::Step(before, step), &figures)
    }

    /// What is said below a step.
    pub(super) fn words_of_step(&self, words: String, style: anstyle::Style) -> String {
        self.line((INDENT, INDENT.len()), &Middle::Words(words, style), &[])
    }

    /// Puts a line together: what leads and its columns, the middle cut to what is left of the width, the figures at the right
    /// edge: the first that leave the middle room, of those in the list.
    fn line(
        &self,
        (lead, lead_width): (&str, usize),
        middle: &Middle<'_>,
        figures: &[String],
    ) -> String {
        let space = self.columns.saturating_sub(lead_width);
        let least = middle.least();
        let right = figures.iter().find(|it| space >= format::width(it) + 2 + least);
        let right = right.map(|it| format!("  {it}")).filter(|it| !it.trim_end().is_empty());
        let right = right.unwrap_or_default();
        let room = space - format::width(&right);
        let (middle, style) = middle.fitted(room);
        let text = match right.is_empty() {
            true => format!("{lead}{style}{middle}{style:#}"),
            false => format!("{lead}{style}{}{style:#}{right}", format::pad(&middle, room)),
        };
        text.trim_end().to_owned()
    }
}

/// What stands in the middle of a line.
enum Middle<'a> {
    Words(String, anstyle::Style),
    /// A step, behind some words.
    Step(String, &'a Step),
}

impl Middle<'_> {
    /// Columns that matter more than figures.
    fn least(&self) -> usize {
        match self {
            Self::Words(text, _) => format::width(text).min(NARROW),
            Self::Step(before, step) => {
                (format::width(before) + format::width(&line::title(step))).min(NARROW_STEP)
            }
        }
    }

    /// The text in so many columns, and its style.
    fn fitted(&self, columns: usize) -> (String, anstyle::Style) {
        let (text, style) = match self {
            Self::Words(text, style) => (text.clone(), *style),
            Self::Step(before, step) => {
                (line::placed(before, step, columns), anstyle::Style::new())
            }
        };
        // Escape sequences and tabs would break the layout.
        let text = harmless(&text, Colours::Drop).replace(['\n', '\t'], " ");
        (format::cut(&text, columns), style)
    }
}

/// The step that runs, or the last one that did.
pub(super) fn current(target: &TargetTrace) -> Option<&Step> {
    target.trace.current().or_else(|| {
        let ended = |state| !matches!(state, StepState::Waiting | StepState::Running);
        target.trace.own_steps().rfind(|step| step.is_visible() && ended(step.state()))
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
    let mut text = format!("{} of {}", counts.cached + counts.run, counted(all, "step"));
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
