//! `tty`: a line per target, redrawn at most ten times a second.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::build::outcome::TargetOutcome;
use crate::progress::estimate::Estimator;
use crate::progress::{Change, Event, RunSummary, RunTrace, StepState, TargetTrace};
use crate::report::{failure, line, table};
use crate::ui::control::{Colours, harmless};
use crate::ui::screen::Screen;
use crate::ui::{SHADES, Ui, format};

/// Time between two frames.
const FRAME: Duration = Duration::from_millis(100);

/// Columns the table takes at most; wider terminals only spread it.
const MAX_TABLE: usize = 120;

/// Marks in front of targets.
struct Marks {
    spinner: &'static [&'static str],
    built: &'static str,
    failed: &'static str,
    cancelled: &'static str,
}

const UNICODE: Marks = Marks {
    spinner: &["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"],
    built: "✔",
    failed: "✘",
    cancelled: "-",
};

const ASCII: Marks =
    Marks { spinner: &["|", "/", "-", "\\"], built: "+", failed: "x", cancelled: "-" };

/// Draws the block.
pub struct Tty {
    ui: Ui,
    run: RunTrace,
    /// One bar whose message is the whole block: one draw per frame.
    block: ProgressBar,
    /// Number of the frame and when it was drawn.
    frame: (usize, Option<Duration>),
    /// Warnings of frontends, told at the end.
    warnings: Vec<String>,
    /// Knows earlier builds, once they are read.
    estimator: Option<Estimator>,
}

impl Tty {
    pub(super) fn new(ui: Ui) -> Self {
        let screen = Screen::new(ui.clone());
        let target = ProgressDrawTarget::term_like(Box::new(screen));
        let block = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            block.set_style(style);
        }
        Self {
            ui,
            run: RunTrace::default(),
            block,
            frame: (0, None),
            warnings: Vec::new(),
            estimator: None,
        }
    }

    pub(super) fn expect(&mut self, estimator: Estimator) {
        self.estimator = Some(estimator);
    }

    pub(super) fn run(&self) -> &RunTrace {
        &self.run
    }

    pub(super) fn handle(&mut self, event: &Event, at: Duration) {
        for change in self.run.apply(event, at) {
            if let Change::Warned { text, .. } = change
                && !self.warnings.contains(&text)
            {
                self.warnings.push(text);
            }
        }
        if let Event::Warning { message } = event {
            self.block.suspend(|| self.ui.warn(message));
        }
        self.tick(at);
    }

    pub(super) fn tick(&mut self, at: Duration) {
        let (frame, drawn) = self.frame;
        if drawn.is_some_and(|drawn| at < drawn + FRAME) || self.run.targets().len() == 0 {
            return;
        }
        self.frame = (frame + 1, Some(at));
        self.block.set_message(self.lines(at).join("\n"));
    }

    pub(super) fn finish(&mut self, summary: &RunSummary) {
        self.block.finish_and_clear();
        for warning in &self.warnings {
            self.ui.warn(warning);
        }
        self.ui.say(&table::render(summary, self.ui.size().0.min(MAX_TABLE)));
        failure::show(&self.ui, &self.run, failure::Extent::Whole);
    }

    /// The block: a line per target and one for the run, none wider or more than fit.
    fn lines(&self, at: Duration) -> Vec<String> {
        let (columns, rows) = self.ui.size();
        // The last column stays free (terminals differ in what they do after it), and so does
        // the row the cursor waits on.
        let columns = columns.saturating_sub(1).max(1);
        let room = rows.saturating_sub(2).max(1);
        let names = self.run.targets().map(|target| target.info.name.as_str());
        let name_width = line::name_width(names).min(columns / 3);
        let mut targets: Vec<&TargetTrace> = self.run.targets().collect();
        let mut hidden = 0;
        if targets.len() > room {
            // Those that run matter most, then those that failed, then those that wait.
            let mut order: Vec<usize> = (0..targets.len()).collect();
            order.sort_by_key(|&place| rank(targets[place]));
            order.truncate(room - 1);
            hidden = targets.len() - order.len();
            order.sort_unstable();
            targets = order.into_iter().map(|place| targets[place]).collect();
        }
        let mut lines: Vec<String> = targets
            .iter()
            .map(|target| self.target_line(target, name_width, columns, at))
            .collect();
        if hidden > 0 {
            lines.push(format::cut(&format!("  ... {hidden} more targets"), columns));
        }
        lines.push(self.total_line(columns, at));
        lines
    }

    fn target_line(
        &self,
        target: &TargetTrace,
        name_width: usize,
        columns: usize,
        at: Duration,
    ) -> String {
        let marks = if self.ui.unicode() { UNICODE } else { ASCII };
        let spinner = marks.spinner[self.frame.0 % marks.spinner.len()];
        let summary = target.summary(at);
        let mut right = target.started.map(|_| format::duration(target.elapsed(at)));
        let (mark, style, middle) = match &target.outcome {
            Some(TargetOutcome::Built(image)) => {
                right = join(image.size_bytes.map(format::bytes), right);
                (marks.built, SHADES.good, line::ending(&summary))
            }
            Some(TargetOutcome::Failed(_)) => {
                let step = target.trace.failed().map(line::title);
                let middle = step.map_or("failed".to_owned(), |step| format!("failed: {step}"));
                (marks.failed, SHADES.error, middle)
            }
            Some(TargetOutcome::Cancelled) => {
                (marks.cancelled, SHADES.faint, line::ending(&summary))
            }
            None if target.started.is_none() => {
                let other = target.info.same_as.as_deref();
                let middle = other.map_or("waiting".to_owned(), |other| format!("same as {other}"));
                (" ", SHADES.faint, middle)
            }
            None => {
                let step = target.trace.current().or_else(|| {
                    let ended = |state| !matches!(state, StepState::Waiting | StepState::Running);
                    target.trace.steps().rfind(|step| step.is_visible() && ended(step.state()))
                });
                right = join(step.and_then(|step| line::transferred(step, true)), right);
                (spinner, SHADES.hint, step.map_or("starting".to_owned(), line::title))
            }
        };
        let name = line::name(&target.info.name, name_width);
        // Escape sequences and tabs in a name would break the layout.
        let middle = harmless(&middle, Colours::Drop).replace(['\n', '\t'], " ");
        let left = format::width(&name) + 4;
        let right = right.unwrap_or_default();
        let space = columns.saturating_sub(left);
        // Where it gets narrow the step matters more than figures.
        let right_width = format::width(&right) + 2;
        let (middle_width, right) =
            if space < right_width + 12 { (space, "") } else { (space - right_width, &*right) };
        let middle = format::cut(&middle, middle_width);
        let text = if right.is_empty() {
            format!("{style}{mark}{style:#} {name}  {middle}")
        } else {
            let middle = format::pad(&middle, middle_width);
            format!("{style}{mark}{style:#} {name}  {middle}  {right}")
        };
        text.trim_end().to_owned()
    }

    fn total_line(&self, columns: usize, at: Duration) -> String {
        let all = self.run.targets().len();
        let done = self.run.targets().filter(|target| target.outcome.is_some()).count();
        let noun = if all == 1 { "target" } else { "targets" };
        let mut text = format!("{done}/{all} {noun}  {}", format::duration(at));
        if let Some(reason) = self.run.cancelling() {
            text.push_str("  ");
            text.push_str(line::reason(reason));
        }
        let faint = SHADES.faint;
        format!("{faint}{}{faint:#}", format::cut(&text, columns))
    }
}

impl Drop for Tty {
    /// A run that ends without its summary leaves no lines behind.
    fn drop(&mut self) {
        if !self.block.is_finished() {
            self.block.finish_and_clear();
        }
    }
}

fn rank(target: &TargetTrace) -> u8 {
    match &target.outcome {
        None if target.started.is_some() => 0,
        Some(TargetOutcome::Failed(_)) => 1,
        None => 2,
        Some(_) => 3,
    }
}

fn join(left: Option<String>, right: Option<String>) -> Option<String> {
    match (left, right) {
        (Some(left), Some(right)) => Some(format!("{left}  {right}")),
        (left, right) => left.or(right),
    }
}
