//! The words of a step and of a target, shared by every way to show them.

use std::time::Duration;

use crate::dockerfile::{without_options, without_preparation};
use crate::progress::outcome::TargetOutcome;
use crate::progress::{CancelReason, Step, StepName, TargetSummary};
use crate::terminal::format;
use crate::view::table;

/// Target names longer than this are cut where lines are aligned.
const MAX_NAME: usize = 20;

/// Columns for target names: the longest one, at most twenty.
pub(crate) fn name_width<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.map(format::width).max().unwrap_or(0).min(MAX_NAME)
}

/// A target name in its column.
pub(crate) fn name(name: &str, width: usize) -> String {
    format::pad(&format::cut(name, width), width)
}

/// That there is nothing to do for `targets`, which were solved so long ago.
pub(crate) fn up_to_date(targets: &[&str], ago: Duration, columns: usize) -> String {
    let names = targets.iter().map(|name| table::cell(name)).collect::<Vec<_>>().join(", ");
    let line = |what: &str| {
        let age = format::age(ago.as_secs());
        format!("{what}: up to date, nothing has changed since the build {age} ago")
    };
    let line_of_names = line(&names);
    match targets {
        [_, _, ..] if format::width(&line_of_names) > columns => {
            line(&format!("{} targets", targets.len()))
        }
        _ => line_of_names,
    }
}

/// `[build 3/7]` for a step of the Dockerfile, `[internal]` and the like for others; steps
/// without brackets are named by their first words.
pub(crate) fn tag(step: &Step) -> String {
    tag_of(&step.label)
}

fn tag_of(label: &StepName) -> String {
    match (&label.stage, label.position) {
        // Single stages are called so by BuildKit; the word says nothing.
        (Some(stage), Some((n, of))) if stage != "stage-0" => format!("[{stage} {n}/{of}]"),
        (_, Some((n, of))) => format!("[{n}/{of}]"),
        _ if label.tag.is_empty() => format!("[{}]", format::cut(&label.instruction, 24)),
        _ => format!("[{}]", label.tag),
    }
}

/// Tag and what runs.
pub(crate) fn title(step: &Step) -> String {
    tagged(&step.label, &without_options(&step.label.instruction))
}

fn tagged(label: &StepName, instruction: &str) -> String {
    match label.tag.is_empty() {
        true => instruction.to_owned(),
        false => format!("{} {instruction}", tag_of(label)),
    }
}

/// Columns that a title has at least where its place stands behind it.
const LEAST_TITLE: usize = 32;

/// Where the step stands: `Dockerfile.worker:38`.
pub(crate) fn place(step: &Step) -> Option<String> {
    step.place.as_ref().map(|place| table::cell(&place.to_string()))
}

/// A step in so many columns: `before`, its title, and behind it its place. What runs matters more than where it stands:
/// where there is no room for both, the place goes.
pub(crate) fn placed(before: &str, step: &Step, columns: usize) -> String {
    let columns = columns.saturating_sub(format::width(before));
    let behind = place(step).map(|place| format!(" ({place})")).unwrap_or_default();
    let room = columns.saturating_sub(format::width(&behind));
    let is_placed = format::width(&title(step)) <= room || room >= LEAST_TITLE;
    let (room, behind) = if is_placed { (room, behind) } else { (columns, String::new()) };
    format!("{before}{}{behind}", cut_title(step, room))
}

/// The title in so many columns: where it has to be cut, without what only prepares the command.
pub(crate) fn cut_title(step: &Step, columns: usize) -> String {
    let title = title(step);
    if format::width(&title) <= columns {
        return title;
    }
    let instruction = without_options(&step.label.instruction);
    format::cut(&tagged(&step.label, &without_preparation(&instruction)), columns)
}

/// Tag and instruction of what a name says, options of the instruction included.
pub(crate) fn title_of(label: &StepName) -> String {
    tagged(label, &label.instruction)
}

/// What a step has transferred: `12.3 MB`, or `12.3 MB / 45.6 MB` while the end is known.
pub(crate) fn transferred(step: &Step, running: bool) -> Option<String> {
    match step.bytes() {
        (0, _) => None,
        (current, total) if running && total > current => {
            Some(format!("{} / {}", format::bytes(current), format::bytes(total)))
        }
        (current, _) => Some(format::bytes(current)),
    }
}

/// `built, 5 cached, 2 run`, `failed`, `cancelled`, `same as api`.
pub(crate) fn ending(summary: &TargetSummary) -> String {
    match (&summary.outcome, &summary.info.same_as) {
        (TargetOutcome::Built(_), Some(other)) => format!("built as {other}"),
        (TargetOutcome::Built(_), None) => {
            format!("built, {} cached, {} run", summary.cached, summary.run)
        }
        (TargetOutcome::Failed(_), _) => "failed".to_owned(),
        (TargetOutcome::Cancelled, _) => "cancelled".to_owned(),
    }
}

/// Why a run is being stopped.
pub(crate) fn reason(reason: CancelReason) -> &'static str {
    match reason {
        CancelReason::TargetFailed => "stopping the other targets: one failed",
        CancelReason::Interrupted => "stopping: interrupted",
        CancelReason::TimedOut => "stopping: out of time",
    }
}
