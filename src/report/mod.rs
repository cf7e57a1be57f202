//! How a run is shown: consumes events, writes through ui. Knows no engine and reads no clock:
//! `at` is always the time since the start of the run.

pub mod failure;
pub mod json;
pub mod line;
pub mod plain;
pub mod table;
pub mod tty;

#[cfg(test)]
mod replay;

use std::time::Duration;

use crate::build::outcome::TargetOutcome;
use crate::error::{CommandError, ExitKind};
use crate::progress::{Event, RunSummary, RunTrace};
use crate::report::json::RawJson;
use crate::report::plain::Plain;
use crate::report::tty::Tty;
use crate::ui::Ui;

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
}

/// Shows a run while it lasts and when it is over. Closed: what is shown where is one decision.
pub enum Reporter {
    /// A line per target, redrawn in place.
    Tty(Box<Tty>),
    /// Lines for logs and CI.
    Plain(Plain),
    /// JSON lines.
    RawJson(RawJson),
    /// Image ids.
    Quiet(Quiet),
}

/// Shows nothing until the end.
pub struct Quiet {
    ui: Ui,
    run: RunTrace,
}

impl Reporter {
    /// A reporter. `is_ci` says whether `CI` is set: a CI's log is no terminal to redraw, even
    /// where it looks like one.
    ///
    /// # Errors
    ///
    /// `tty` was asked for and stderr is no terminal.
    pub fn new(progress: Progress, ui: Ui, is_ci: bool) -> Result<Self, CommandError> {
        Ok(match progress {
            Progress::Tty if !ui.is_terminal() => {
                return Err(CommandError::new(
                    ExitKind::Usage,
                    "failed to show progress as tty: standard error is not a terminal",
                )
                .hint("use --progress plain, or leave it to auto"));
            }
            Progress::Auto if ui.is_terminal() && !is_ci => Self::Tty(Box::new(Tty::new(ui))),
            Progress::Tty => Self::Tty(Box::new(Tty::new(ui))),
            Progress::Auto | Progress::Plain => Self::Plain(Plain::new(ui)),
            Progress::RawJson => Self::RawJson(RawJson::new(ui)),
            Progress::Quiet => Self::Quiet(Quiet { ui, run: RunTrace::default() }),
        })
    }

    /// Shows an event that happened `at`.
    pub fn handle(&mut self, event: &Event, at: Duration) {
        match self {
            Self::Tty(tty) => tty.handle(event, at),
            Self::Plain(plain) => plain.handle(event, at),
            Self::RawJson(json) => json.handle(event, at),
            Self::Quiet(quiet) => {
                quiet.run.apply(event, at);
            }
        }
    }

    /// Lets time pass: to be called about ten times a second.
    pub fn tick(&mut self, at: Duration) {
        match self {
            Self::Tty(tty) => tty.tick(at),
            Self::Plain(plain) => plain.tick(at),
            Self::RawJson(_) | Self::Quiet(_) => {}
        }
    }

    /// Everything that was shown, folded.
    pub fn run(&self) -> &RunTrace {
        match self {
            Self::Tty(tty) => tty.run(),
            Self::Plain(plain) => plain.run(),
            Self::RawJson(json) => json.run(),
            Self::Quiet(quiet) => &quiet.run,
        }
    }

    /// The summary of a run that ended `at`, for [`finish`](Self::finish).
    pub fn summary(&self, at: Duration) -> RunSummary {
        self.run().summary(at)
    }

    /// Shows the end: the table, then the last lines of the steps that failed. The error itself
    /// is for the caller to print after it (see [`run_error`]), so that it comes last.
    pub fn finish(&mut self, summary: &RunSummary) {
        match self {
            Self::Tty(tty) => tty.finish(summary),
            Self::Plain(plain) => plain.finish(summary),
            Self::RawJson(_) => {}
            Self::Quiet(quiet) => {
                for target in &summary.targets {
                    if let TargetOutcome::Built(image) = &target.outcome
                        && !image.id.is_empty()
                    {
                        quiet.ui.data(&format!("{}\n", image.id));
                    }
                }
                failure::show(&quiet.ui, &quiet.run);
            }
        }
    }
}
