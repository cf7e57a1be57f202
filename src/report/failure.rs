//! What is said of failed targets at the end: the last lines of the step, then the error.

use std::fmt::Write as _;

use crate::build::outcome::{BuildFailure, TargetOutcome};
use crate::error::{CommandError, ExitKind};
use crate::progress::{
    CancelReason, FailureKind, RunSummary, RunTrace, Step, TargetSummary, TargetTrace,
};
use crate::report::line;
use crate::ui::{SHADES, Ui, format};

/// Lines of a failed step's output that are repeated at the end: with the error after them they
/// fit the last 30 lines of a log.
const TAIL_LINES: usize = 16;

/// Columns of the line that names the step where stderr is no terminal.
const COLUMNS: usize = 120;

/// Writes the last output of every step that failed.
pub(crate) fn show(ui: &Ui, run: &RunTrace) {
    let mut shown: Vec<&str> = Vec::new();
    for target in run.targets() {
        let Some((failure, step)) = failed_step(target) else { continue };
        // Targets that share a step fail together; its output is worth showing once.
        if !shown.contains(&step.id.as_str()) {
            shown.push(&step.id);
            ui.say(&block(ui, target, step, failure));
        }
    }
}

fn failed_step(target: &TargetTrace) -> Option<(&BuildFailure, &Step)> {
    let Some(TargetOutcome::Failed(failure)) = &target.outcome else { return None };
    let named = failure.vertex.as_deref().and_then(|digest| target.trace.step_of(digest));
    let step = named.or_else(|| target.trace.failed())?;
    (step.tail.total() > 0).then_some((failure, step))
}

fn block(ui: &Ui, target: &TargetTrace, step: &Step, failure: &BuildFailure) -> String {
    let (bold, faint) = (SHADES.bold, SHADES.faint);
    let lines = step.tail.lines();
    let skipped = step.tail.total().saturating_sub(TAIL_LINES as u64);
    let mut text = String::new();
    let name = &target.info.name;
    let columns = if ui.is_terminal() { ui.size().0 } else { COLUMNS };
    let room = columns.saturating_sub(format::width(name) + 1).max(20);
    let title = ui.foreign(&format::cut(&line::title(step), room));
    let _ = write!(text, "\n{bold}{name} {title}{bold:#}");
    if skipped > 0 {
        let _ = write!(text, "\n{faint}  | ({skipped} lines before){faint:#}");
    }
    let first = lines.len().saturating_sub(TAIL_LINES);
    for line in lines.skip(first) {
        let line = ui.foreign(line);
        let _ = write!(text, "\n{}", format!("  | {line}").trim_end());
    }
    if failure.kind == FailureKind::TimedOut {
        let _ = write!(text, "\n  | (stopped here)");
    }
    text
}

/// The error of a run that did not build everything; `None` if it did.
pub fn run_error(summary: &RunSummary) -> Option<CommandError> {
    let failed: Vec<(&TargetSummary, &BuildFailure)> = summary
        .targets
        .iter()
        .filter_map(|target| match &target.outcome {
            TargetOutcome::Failed(failure) => Some((target, failure)),
            _ => None,
        })
        .collect();
    let interrupted = summary.cancelled == Some(CancelReason::Interrupted);
    let mut error = match failed.as_slice() {
        [] if interrupted => CommandError::new(ExitKind::Interrupted, "interrupted"),
        [] => {
            let unfinished = summary
                .targets
                .iter()
                .filter(|target| target.outcome == TargetOutcome::Cancelled)
                .count();
            if unfinished == 0 {
                return None;
            }
            let all = summary.targets.len();
            let reason = match summary.cancelled {
                Some(CancelReason::TimedOut) => "ran out of time",
                _ => "was cancelled",
            };
            CommandError::new(
                ExitKind::Failed,
                format!("the build {reason}: {unfinished} of {all} targets not built"),
            )
        }
        [(target, failure)] => {
            let message = format!("failed to build {}: {}", target.info.name, told(failure));
            CommandError::new(exit_kind(failure.kind), message)
        }
        [(_, first), ..] => {
            let all = summary.targets.len();
            let message = format!("failed to build {} of {all} targets", failed.len());
            let mut error = CommandError::new(exit_kind(first.kind), message);
            for (target, failure) in &failed {
                error.causes.push(format!("{}: {}", target.info.name, told(failure)));
            }
            error
        }
    };
    if interrupted {
        error.kind = ExitKind::Interrupted;
    }
    for (_, failure) in &failed {
        if let Some(hint) = &failure.hint
            && !error.hints.contains(hint)
        {
            error.hints.push(hint.clone());
        }
    }
    Some(error)
}

/// The message, and the place in the Dockerfile below it.
fn told(failure: &BuildFailure) -> String {
    let mut text = failure.message.trim_end().to_owned();
    if let Some(excerpt) = &failure.excerpt {
        text.push('\n');
        text.push_str(excerpt.trim_end());
    }
    text
}

fn exit_kind(kind: FailureKind) -> ExitKind {
    match kind {
        FailureKind::Dockerfile => ExitKind::Invalid,
        FailureKind::EngineLost => ExitKind::EngineUnreachable,
        FailureKind::Step
        | FailureKind::Context
        | FailureKind::Registry
        | FailureKind::DiskFull
        | FailureKind::TimedOut
        | FailureKind::Engine => ExitKind::Failed,
    }
}
