//! How a run is shown: consumes events, writes through ui. Knows no engine and reads no clock:
//! `at` is always the time since the start of the run.

pub mod bench;
pub mod builders;
pub mod cache;
pub mod check;
pub mod ci;
pub mod clean;
pub mod context;
pub mod doctor;
pub mod failure;
pub mod github;
pub mod history;
pub mod json;
pub mod layer_cache;
pub mod line;
pub mod lock;
mod page;
pub mod plain;
pub mod projects;
mod resources;
pub mod settings;
pub mod stats;
pub mod summary;
mod table;
pub mod timeline;
pub mod tty;
pub mod why;

#[cfg(test)]
mod replay;
#[cfg(test)]
mod schema_check;

use std::collections::HashMap;
use std::time::Duration;

use crate::error::{CommandError, ExitKind};
use crate::progress::estimate::{Estimator, Past, Schedule};
use crate::progress::outcome::TargetOutcome;
use crate::progress::place::Places;
use crate::progress::{Event, RunSummary, RunTrace};
use crate::terminal::Ui;
use crate::view::ci::Ci;
use crate::view::json::RawJson;
use crate::view::plain::Plain;
use crate::view::tty::Tty;

pub use failure::run_error;

/// What `--progress` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Progress {
    /// `tty` where stderr is a terminal and no CI says otherwise, else `plain`.
    #[default]
    Auto,
    /// A block of lines that is redrawn.
    Tty,
    /// A line for each step that ended and each line it wrote.
    Plain,
    /// One SolveStatus in JSON per line, as `docker buildx build --progress=rawjson`.
    RawJson,
    /// Image ids on stdout and nothing else.
    Quiet,
    /// Nothing but the output of steps that fail: the caller tells the rest, to CI systems, too.
    Silent,
}

/// Shows a run while it lasts and when it is over.
pub struct Reporter {
    view: View,
    ui: Ui,
    ci: Ci,
    past: Past,
}

/// How it is shown. A closed enum on purpose: what is shown where is one decision.
enum View {
    /// A block per target, redrawn in place.
    Tty(Box<Tty>),
    /// Lines for logs and CI.
    Plain(Box<Plain>),
    /// JSON lines.
    RawJson(RawJson),
    /// Image ids at the end.
    Quiet(RunTrace),
    /// Failures at the end.
    Silent(RunTrace),
}

impl Reporter {
    /// A reporter. A CI's log is not a terminal to redraw, even where it looks like one.
    ///
    /// # Errors
    ///
    /// `tty` was asked for and stderr is not a terminal.
    pub fn new(progress: Progress, ui: Ui, ci: Ci) -> Result<Self, CommandError> {
        let ci = if progress == Progress::Silent { Ci::None } else { ci };
        if let Ci::GitHub { token, .. } = &ci {
            ui.guard_workflow(token);
        }
        let view = match progress {
            Progress::Tty if !ui.is_terminal() => {
                return Err(CommandError::new(
                    ExitKind::Usage,
                    "failed to show progress as tty: standard error is not a terminal",
                )
                .hint("use --progress plain, or leave it to auto"));
            }
            Progress::Auto if ui.is_terminal() && ci == Ci::None => {
                View::Tty(Box::new(Tty::new(ui.clone())))
            }
            Progress::Tty => View::Tty(Box::new(Tty::new(ui.clone()))),
            Progress::Auto | Progress::Plain => View::Plain(Box::new(Plain::new(ui.clone(), &ci))),
            Progress::RawJson => View::RawJson(RawJson::new(ui.clone())),
            Progress::Quiet => View::Quiet(RunTrace::default()),
            Progress::Silent => View::Silent(RunTrace::default()),
        };
        Ok(Self { view, ui, ci, past: Past::default() })
    }

    /// Whether earlier builds are of any use to it; reading them costs time.
    pub fn wants_past(&self) -> bool {
        matches!(self.view, View::Tty(_)) || matches!(self.ci, Ci::GitHub { .. })
    }

    /// Tells it of earlier builds and of what may run at the same time. May come at any time.
    pub fn expect(&mut self, past: Past, schedule: Schedule) {
        if let View::Tty(tty) = &mut self.view {
            tty.expect(Estimator::new(&past, schedule));
        }
        self.past = past;
    }

    /// Tells of every step, those of the engine and those from the cache as well (`--verbose`): lines of each, the live view of as
    /// many as fit.
    pub fn tell_all(&mut self) {
        match &mut self.view {
            View::Plain(plain) => plain.tell_all(),
            View::Tty(tty) => tty.tell_all(),
            View::RawJson(_) | View::Quiet(_) | View::Silent(_) => {}
        }
    }

    /// Tells it where the steps of targets stand, by the targets' names. May come at any time.
    pub fn locate(&mut self, places: HashMap<String, Places>) {
        match &mut self.view {
            View::Tty(tty) => tty.run_mut().locate(places),
            View::Plain(plain) => plain.run_mut().locate(places),
            View::Quiet(run) | View::Silent(run) => run.locate(places),
            View::RawJson(_) => {}
        }
    }

    /// Shows an event that happened `at`.
    pub fn handle(&mut self, event: &Event, at: Duration) {
        match &mut self.view {
            View::Tty(tty) => tty.handle(event, at),
            View::Plain(plain) => plain.handle(event, at),
            View::RawJson(json) => json.handle(event, at),
            View::Quiet(run) | View::Silent(run) => {
                run.apply(event, at);
            }
        }
    }

    /// Lets time pass: to be called about ten times a second.
    pub fn tick(&mut self, at: Duration) {
        match &mut self.view {
            View::Tty(tty) => tty.tick(at),
            View::Plain(plain) => plain.tick(at),
            View::RawJson(_) | View::Quiet(_) | View::Silent(_) => {}
        }
    }

    /// Everything that was shown, folded.
    pub fn run(&self) -> &RunTrace {
        match &self.view {
            View::Tty(tty) => tty.run(),
            View::Plain(plain) => plain.run(),
            View::RawJson(json) => json.run(),
            View::Quiet(run) | View::Silent(run) => run,
        }
    }

    /// The same for those who keep it: to be called once nothing more is to be shown.
    pub fn into_run(mut self) -> RunTrace {
        match &mut self.view {
            View::Tty(tty) => tty.take_run(),
            View::Plain(plain) => plain.take_run(),
            View::RawJson(json) => json.take_run(),
            View::Quiet(run) | View::Silent(run) => std::mem::take(run),
        }
    }

    /// The summary of a run that ended `at`, for [`finish`](Self::finish).
    pub fn summary(&self, at: Duration) -> RunSummary {
        self.run().summary(at)
    }

    /// Shows the end: the table, then the output of the steps that failed. The error itself is for
    /// the caller to print after it (see [`run_error`]), so that it comes last.
    pub fn finish(&mut self, summary: &RunSummary) {
        match &mut self.view {
            View::Tty(tty) => tty.finish(summary),
            View::Plain(plain) => plain.finish(summary),
            // Every line is a status: nothing else may come between.
            View::RawJson(_) => return,
            View::Quiet(run) => {
                for target in &summary.targets {
                    if let TargetOutcome::Built(image) = &target.outcome
                        && !image.id.is_empty()
                    {
                        self.ui.data(&format!("{}\n", image.id));
                    }
                }
                failure::show(&self.ui, run, failure::Extent::Whole);
            }
            View::Silent(run) => failure::show(&self.ui, run, failure::Extent::Whole),
        }
        for warning in failure::unused_caches(self.run()) {
            self.ui.warn(&warning);
        }
        if let Ci::GitHub { workspace, .. } = &self.ci {
            for command in github::annotations(self.run(), summary, workspace.as_deref()) {
                self.ui.workflow_command(&command);
            }
        }
    }

    /// What GitHub Actions is told in files: the summary and the outputs of the step. `None`
    /// elsewhere.
    pub fn github_files(&self, summary: &RunSummary) -> Option<(String, String)> {
        let Ci::GitHub { token, .. } = &self.ci else { return None };
        let page = github::summary(self.run(), summary, &self.past);
        Some((page, github::outputs(summary, token)))
    }
}
