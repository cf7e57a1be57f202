//! `tty`: a block per target, redrawn at most ten times a second.

mod all_steps;
mod block;
mod layout;

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::counted::counted;
use crate::progress::estimate::{Estimate, Estimator};
use crate::progress::outcome::TargetOutcome;
use crate::progress::{Change, Event, RunSummary, RunTrace, TargetTrace};
use crate::terminal::screen::Screen;
use crate::terminal::{SHADES, Ui, format};
use crate::view::{failure, line, summary};
use block::{ASCII, Frame, UNICODE};
use layout::{Activity, BLOCK, Share, share};

/// Time between two frames.
const FRAME: Duration = Duration::from_millis(100);

/// Time between two estimates; in between, the last one counts down.
const ESTIMATE: Duration = Duration::from_millis(500);

/// Columns the table takes at most; wider terminals only spread it.
const MAX_TABLE: usize = 120;

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
    /// Every step is shown of targets that run, as far as there is room.
    tells_all: bool,
    /// The last estimate, and when it was made.
    estimate: (Estimate, Option<Duration>),
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
            tells_all: false,
            estimate: (Estimate::default(), None),
        }
    }

    pub(super) fn expect(&mut self, estimator: Estimator) {
        self.estimator = Some(estimator);
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
        if let Some(estimator) = &self.estimator
            && self.estimate.1.is_none_or(|made| made + ESTIMATE <= at)
        {
            self.estimate = (estimator.estimate(&self.run, at), Some(at));
        }
        self.block.set_message(self.lines(at).join("\n"));
    }

    pub(super) fn finish(&mut self, summary: &RunSummary) {
        self.block.finish_and_clear();
        for warning in &self.warnings {
            self.ui.warn(warning);
        }
        self.ui.say(&summary::render(summary, self.ui.size().0.min(MAX_TABLE)));
        failure::show(&self.ui, &self.run, failure::Extent::Whole);
    }

    /// Time left by the last estimate.
    fn left(&self, estimate: Option<Duration>, at: Duration) -> Option<Duration> {
        let passed = at.saturating_sub(self.estimate.1?);
        estimate.map(|left| left.saturating_sub(passed))
    }

    /// All lines, none wider and not more than fit.
    fn lines(&self, at: Duration) -> Vec<String> {
        let (columns, rows) = self.ui.size();
        // The last column stays free (terminals differ in what they do after it), and so does
        // the row the cursor waits on.
        let columns = columns.saturating_sub(1).max(1);
        let room = rows.saturating_sub(2).max(1);
        let names = self.run.targets().map(|target| target.info.name.as_str());
        let doing: Vec<Activity> = self.run.targets().map(doing).collect();
        let left = |target: &TargetTrace| {
            self.left(self.estimate.0.targets.get(&target.info.name).copied().flatten(), at)
        };
        let widths =
            self.run.targets().filter_map(|target| left(target).and_then(block::time_left));
        let frame = Frame {
            marks: if self.ui.unicode() { UNICODE } else { ASCII },
            number: self.frame.0,
            columns,
            name_width: line::name_width(names).min(columns / 3),
            at,
            left_width: widths.map(|text| text.len()).max().unwrap_or(0),
        };
        let mut lines = Vec::new();
        let mut counted = Vec::new();
        let room = room.saturating_sub(1).max(1);
        let block = if self.tells_all { all_steps::block_rows(&doing, room) } else { BLOCK };
        for ((target, share), doing) in
            self.run.targets().zip(share(&doing, room, block)).zip(&doing)
        {
            match share {
                Share::Counted => counted.push(*doing),
                Share::Line => lines.push(frame.target(target, left(target), true)),
                Share::Block => {
                    lines.push(frame.target(target, left(target), false));
                    match self.tells_all {
                        true => lines.extend(frame.all_steps(target, block - 1)),
                        false => lines.extend(frame.step(target)),
                    }
                }
            }
        }
        if !counted.is_empty() {
            lines.push(format::cut(&count(&counted), columns));
        }
        lines.push(self.total_line(columns, at));
        lines
    }

    fn total_line(&self, columns: usize, at: Duration) -> String {
        let all = self.run.targets().len();
        let done = self.run.targets().filter(|target| target.outcome.is_some()).count();
        let mut text = format!("{done}/{}  {}", counted(all, "target"), format::duration(at));
        let left = self.left(self.estimate.0.run, at).filter(|_| self.run.cancelling().is_none());
        if let Some(left) = left.and_then(block::time_left) {
            text.push_str("  ");
            text.push_str(&left);
        }
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

fn doing(target: &TargetTrace) -> Activity {
    match &target.outcome {
        None if target.started.is_some() => Activity::Runs,
        Some(TargetOutcome::Failed(_)) => Activity::Failed,
        None => Activity::Waits,
        Some(_) => Activity::Over,
    }
}

/// `  ... 5 more: 2 running, 3 waiting`.
fn count(counted: &[Activity]) -> String {
    let kinds = [
        (Activity::Runs, "running"),
        (Activity::Failed, "failed"),
        (Activity::Waits, "waiting"),
        (Activity::Over, "over"),
    ];
    let parts = kinds.iter().filter_map(|(kind, word)| {
        let many = counted.iter().filter(|doing| *doing == kind).count();
        (many > 0).then(|| format!("{many} {word}"))
    });
    let parts: Vec<String> = parts.collect();
    format!("  ... {} more: {}", counted.len(), parts.join(", "))
}
