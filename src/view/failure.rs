//! What is said of failed targets at the end: the last lines of the step, then the error.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::counted::counted;
use crate::error::{CommandError, ExitKind};
use crate::progress::lines::{LogLine, LogTail, Stream};
use crate::progress::outcome::{BuildFailure, TargetOutcome};
use crate::progress::{
    CancelReason, FailureKind, RunSummary, RunTrace, Step, TargetSummary, TargetTrace,
    imported_cache,
};
use crate::terminal::{SHADES, Ui, format};
use crate::view::line;

/// Lines of a failed step's output that are repeated at the end: with the error after them they
/// fit the last 30 lines of a log.
const TAIL_LINES: usize = 16;

/// How many of them are for what it wrote to stderr before.
const STDERR_LINES: usize = 4;

/// Columns of the line that names the step where stderr is not a terminal.
const COLUMNS: usize = 120;

/// How much of a failed step's output is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All that is there: it was not shown before.
    Whole,
    /// The last lines: all of it stands further up.
    Last,
}

/// Writes the output of every step that failed.
pub(crate) fn show(ui: &Ui, run: &RunTrace, extent: Extent) {
    let mut shown: Vec<&str> = Vec::new();
    for target in run.targets() {
        let Some((failure, step)) = target.failed_step() else { continue };
        if step.tail.total() == 0 {
            continue;
        }
        // Targets that share a step fail together; its output is worth showing once.
        if !shown.contains(&step.id.as_str()) {
            shown.push(&step.id);
            ui.say(&block(ui, target, step, failure, extent));
        }
    }
}

/// Why caches were not imported: the build goes on without them, and its steps only say that they failed.
pub(crate) fn unused_caches(run: &RunTrace) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut places = BTreeSet::new();
    for target in run.targets() {
        for step in target.trace.steps() {
            let Some(cache) = imported_cache(&step.name) else {
                continue;
            };
            let Some(error) = step.error() else { continue };
            let policy = policy(target).filter(|place| cache.starts_with(&format!("{place}:")));
            // Those of a registry fail as one does.
            if policy.is_some_and(|place| !places.insert(place.to_owned())) {
                continue;
            }
            let cache = policy.unwrap_or(cache);
            let warning = format!("the cache {cache} is not used: {error}");
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }
    warnings
}

/// Where the layer cache is that `--caches` means.
fn policy(target: &TargetTrace) -> Option<&str> {
    match target.outcome.as_ref()? {
        TargetOutcome::Built(image) => Some(&image.cache.as_ref()?.place),
        _ => None,
    }
}

/// The last lines, with their numbers from 0. Where the step's last words on stderr come before
/// them (its outputs are separate pipes, so order is not certain), they take some of the room.
pub(crate) fn worth_repeating(tail: &LogTail) -> Vec<(u64, &LogLine)> {
    let numbered = numbered(tail);
    let split = numbered.len().saturating_sub(TAIL_LINES - STDERR_LINES);
    let (before, last) = numbered.split_at(split);
    let errors = before.iter().rev().filter(|(_, line)| line.stream == Stream::Stderr);
    let mut chosen: Vec<(u64, &LogLine)> = errors.take(STDERR_LINES).copied().collect();
    for line in before.iter().rev() {
        if chosen.len() < STDERR_LINES && !chosen.contains(line) {
            chosen.push(*line);
        }
    }
    chosen.extend(last);
    chosen.sort_unstable_by_key(|(number, _)| *number);
    chosen
}

/// The lines that were kept, with their numbers from 0.
fn numbered(tail: &LogTail) -> Vec<(u64, &LogLine)> {
    let first = tail.total() - tail.lines().len() as u64;
    (first..).zip(tail.lines()).collect()
}

fn block(
    ui: &Ui,
    target: &TargetTrace,
    step: &Step,
    failure: &BuildFailure,
    extent: Extent,
) -> String {
    let (bold, faint) = (SHADES.bold, SHADES.faint);
    let mut text = String::new();
    let name = &target.info.name;
    let columns = if ui.is_terminal() { ui.size().0 } else { COLUMNS };
    let room = columns.saturating_sub(format::width(name) + 1).max(20);
    let title = ui.foreign(&line::placed("", step, room));
    let _ = write!(text, "\n{bold}{name} {title}{bold:#}");
    let mut told = 0;
    let lines = match extent {
        Extent::Whole => numbered(&step.tail),
        Extent::Last => worth_repeating(&step.tail),
    };
    for (number, line) in lines {
        if number > told {
            let out = number - told;
            let lines = counted(out, "line");
            let _ = write!(text, "\n{faint}  | ({lines} left out){faint:#}");
        }
        let line = ui.foreign(&line.text);
        let _ = write!(text, "\n{}", format!("  | {line}").trim_end());
        told = number + 1;
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
                format!("the build {reason}: {unfinished} of {} not built", counted(all, "target")),
            )
        }
        [(target, failure)] => {
            let message = format!("failed to build {}: {}", target.info.name, cause_of(failure));
            let error = CommandError::new(exit_kind(failure.kind), message);
            failure.hint.iter().cloned().fold(error, CommandError::hint)
        }
        [(_, first), ..] => {
            let all = summary.targets.len();
            let message = format!("failed to build {} of {all} targets", failed.len());
            let mut error = CommandError::new(exit_kind(first.kind), message);
            // One hint for all stands at the end; else each below what it is about.
            let shared = failed.iter().all(|(_, failure)| failure.hint == first.hint);
            for (target, failure) in &failed {
                let mut cause = format!("{}: {}", target.info.name, cause_of(failure));
                if let Some(hint) = failure.hint.as_ref().filter(|_| !shared) {
                    let _ = write!(cause, "\nhint: {hint}");
                }
                error.causes.push(cause);
            }
            if shared {
                error.hints.extend(first.hint.clone());
            }
            error
        }
    };
    if interrupted {
        error.kind = ExitKind::Interrupted;
    }
    Some(error)
}

/// The message, and the place in the Dockerfile below it.
fn cause_of(failure: &BuildFailure) -> String {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::progress::TargetInfo;

    fn summary(outcomes: Vec<TargetOutcome>, cancelled: Option<CancelReason>) -> RunSummary {
        let target = |(n, outcome)| TargetSummary {
            info: TargetInfo { name: format!("t{n}"), image: String::new(), same_as: None },
            outcome,
            started: Some(0.0),
            finished: 1.0,
            cached: 0,
            run: 0,
        };
        let targets = outcomes.into_iter().enumerate().map(target).collect();
        RunSummary { targets, seconds: 1.0, cancelled }
    }

    fn failed(kind: FailureKind, message: &str) -> TargetOutcome {
        TargetOutcome::Failed(BuildFailure {
            hint: Some("check the network".into()),
            ..BuildFailure::new(kind, message)
        })
    }

    fn built() -> TargetOutcome {
        TargetOutcome::Built(Default::default())
    }

    #[test]
    fn cancelled_siblings_are_not_counted_as_failures() {
        let failure = failed(FailureKind::Registry, "no route to host");
        let reason = Some(CancelReason::TargetFailed);
        let run = summary(vec![TargetOutcome::Cancelled, failure], reason);
        let error = run_error(&run).unwrap();
        assert_eq!(error.message, "failed to build t1: no route to host");
        assert_eq!(error.kind, ExitKind::Failed);
    }

    #[test]
    fn several_failures_are_causes_and_say_a_hint_once() {
        let run = summary(
            vec![
                failed(FailureKind::Dockerfile, "unknown instruction"),
                built(),
                failed(FailureKind::Step, "exit code: 1"),
            ],
            None,
        );
        let error = run_error(&run).unwrap();
        assert_eq!(error.message, "failed to build 2 of 3 targets");
        assert_eq!(error.causes, ["t0: unknown instruction", "t2: exit code: 1"]);
        assert_eq!(error.hints, ["check the network"]);
        assert_eq!(error.kind, ExitKind::Invalid);
    }

    #[test]
    fn hints_of_several_failures_stand_below_what_they_are_about() {
        let mut other = failed(FailureKind::Step, "exit code: 1");
        if let TargetOutcome::Failed(failure) = &mut other {
            failure.excerpt = Some(" --> Dockerfile:2\n".into());
            failure.hint = None;
        }
        let run = summary(vec![failed(FailureKind::Registry, "no route"), other], None);
        let error = run_error(&run).unwrap();
        let below = "t0: no route\nhint: check the network";
        assert_eq!(error.causes, [below, "t1: exit code: 1\n --> Dockerfile:2"]);
        assert!(error.hints.is_empty());
    }

    #[test]
    fn what_stopped_a_run_decides_on_its_end() {
        assert!(run_error(&summary(vec![built()], None)).is_none());
        let all = || vec![built(), TargetOutcome::Cancelled];
        let interrupted = run_error(&summary(all(), Some(CancelReason::Interrupted))).unwrap();
        assert_eq!(interrupted.kind, ExitKind::Interrupted);
        let late = run_error(&summary(all(), Some(CancelReason::TimedOut))).unwrap();
        assert_eq!(late.message, "the build ran out of time: 1 of 2 targets not built");
        assert_eq!(late.kind, ExitKind::Failed);
    }
}
