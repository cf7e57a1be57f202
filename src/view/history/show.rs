//! `history show`: one build, its targets, their steps.

use jiff::Timestamp;

use super::{ago, cell, hits, or_dash, outcome, result};
use crate::counted::counted;
use crate::dockerfile::without_options;
use crate::history::{Entry, StepEntry, StepResult, TargetEntry};
use crate::terminal::control::{Colours, harmless};
use crate::terminal::{SHADES, Shades, format};
use crate::view::resources;
use crate::view::table::{self, Column, Shape};

const TARGETS: [Column; 6] = [
    Column::new("TARGET", Shape::CutEnd(8)),
    Column::new("OUTCOME", Shape::Left),
    Column::new("TIME", Shape::Right),
    Column::new("CACHED", Shape::Right).drop(2),
    Column::new("SIZE", Shape::Right).drop(1),
    Column::new("ID", Shape::Left).drop(3),
];

const STEPS: [Column; 5] = [
    Column::new("STEP", Shape::CutEnd(16)),
    Column::new("LINE", Shape::Right).drop(4),
    Column::new("RESULT", Shape::Left),
    Column::new("TIME", Shape::Right),
    Column::new("BYTES", Shape::Right).drop(3),
];

/// Where the engine took samples.
const RESOURCES: [Column; 4] = [
    Column::new("CPU", Shape::Right).drop(1),
    Column::new("MEMORY", Shape::Right).drop(2),
    Column::new("READ", Shape::Right).drop(6),
    Column::new("WRITTEN", Shape::Right).drop(5),
];

/// Tables no wider than `columns`.
pub fn show(entry: &Entry, now: Timestamp, columns: usize) -> String {
    let Shades { bold, faint, .. } = SHADES;
    let engine = match (entry.engine.version.as_str(), entry.engine.store.as_str()) {
        ("", _) => String::new(),
        (version, "") => format!(" on Docker {}", cell(version)),
        (version, store) => format!(" on Docker {} ({})", cell(version), cell(store)),
    };
    let mut text = format!(
        "{bold}{}{bold:#}\n",
        format::cut(&format!("build {} of {}", entry.id, cell(&entry.project)), columns)
    );
    let line = format!(
        "{} {}, {}{engine}",
        outcome(entry.outcome),
        ago(entry.started, now),
        format::seconds(entry.seconds)
    );
    text.push_str(&format!("{faint}{}{faint:#}\n\n", format::cut(&line, columns)));
    let rows: Vec<Vec<String>> = entry.targets.iter().map(target_row).collect();
    text.push_str(&table::render(&TARGETS, &rows, columns));
    for target in &entry.targets {
        text.push_str(&steps(target, columns));
    }
    text
}

fn target_row(target: &TargetEntry) -> Vec<String> {
    vec![
        cell(target.title()),
        match &target.same_as {
            Some(other) => format!("as {}", cell(other)),
            None => outcome(target.outcome).to_owned(),
        },
        or_dash(target.seconds.map(format::seconds)),
        hits(target.hits()),
        or_dash(target.size_bytes.map(format::bytes)),
        or_dash(target.image_id.as_deref().map(|id| format::short_id(id).to_owned())),
    ]
}

fn steps(target: &TargetEntry, columns: usize) -> String {
    let Shades { bold, faint, .. } = SHADES;
    // What took no time and is not an instruction only fills the page.
    let told = |step: &&StepEntry| {
        step.is_instruction() || step.seconds >= 0.05 || step.result == StepResult::Failed
    };
    let is_measured = target.steps.iter().any(|step| step.resources.is_some());
    let (mut columns_of_steps, mut rows) = (STEPS.to_vec(), Vec::new());
    if is_measured {
        columns_of_steps.extend(RESOURCES);
    }
    for step in target.steps.iter().filter(told) {
        let mut row = step_row(step);
        if is_measured {
            row.extend(resources::figures(step.resources.as_ref()).map(dash_for_none));
        }
        rows.push(row);
    }
    if rows.is_empty() {
        return String::new();
    }
    let file = target
        .dockerfile
        .as_deref()
        .map(|file| format!("  {faint}{}{faint:#}", format::cut(&cell(file), columns / 2)));
    let name = format::cut(&cell(target.title()), columns / 3);
    let mut text = format!("\n{bold}{name}{bold:#}{}\n", file.unwrap_or_default());
    text.push_str(&table::render(&columns_of_steps, &rows, columns));
    target.steps.iter().for_each(|step| text.push_str(&last_output(step, columns)));
    if let Some(error) = &target.error {
        text.push_str(&format!("{}\n", format::cut(&format!("error: {}", cell(error)), columns)));
    }
    text
}

/// What a step that failed wrote last. Lines are as long as they are.
fn last_output(step: &StepEntry, columns: usize) -> String {
    let Some(output) = &step.output else { return String::new() };
    let faint = SHADES.faint;
    let title =
        format!("last output of {}{}", place(step), cell(&without_options(&step.instruction)));
    let mut text = format!("{}:\n", format::cut(&title, columns.saturating_sub(1)));
    if output.left_out > 0 {
        let lines = counted(output.left_out, "line");
        text += &format!("{faint}  | ({lines} before){faint:#}\n");
    }
    for line in &output.lines {
        text += format!("  | {}", harmless(line, Colours::Drop)).trim_end();
        text.push('\n');
    }
    text
}

/// `[build 2/3] `.
fn place(step: &StepEntry) -> String {
    match (&step.stage, step.position) {
        (Some(stage), Some((number, of))) => format!("[{stage} {number}/{of}] "),
        (None, Some((number, of))) => format!("[{number}/{of}] "),
        _ => String::new(),
    }
}

fn dash_for_none(figure: String) -> String {
    or_dash(Some(figure).filter(|figure| !figure.is_empty()))
}

fn step_row(step: &StepEntry) -> Vec<String> {
    vec![
        format!("{}{}", place(step), cell(&without_options(&step.instruction))),
        or_dash(step.line.map(|line| line.to_string())),
        result(step.result).to_owned(),
        format::seconds(step.seconds),
        or_dash((step.bytes > 0).then(|| format::bytes(step.bytes))),
    ]
}
