//! What `-v` shows of a target that runs: its steps that are over, all of those that run, and what the current one wrote last.

use super::block::{Frame, current};
use super::layout::{Activity, BLOCK};
use crate::progress::{Step, StepState, TargetTrace};
use crate::terminal::{SHADES, format};

/// Rows that one target takes at most.
const MOST_ROWS: usize = 10;

/// Lines of output below the steps.
const OUTPUT: usize = 3;

/// Rows for each target that runs, when all of them share what the lines of the others leave.
pub(super) fn block_rows(targets: &[Activity], rows: usize) -> usize {
    let running = targets.iter().filter(|doing| **doing == Activity::Runs).count();
    let spare = rows.saturating_sub(targets.len()).checked_div(running).unwrap_or(0);
    (spare + 1).clamp(BLOCK, MOST_ROWS)
}

impl Frame {
    /// So many lines, blank ones last: the newest of the steps that are over, those that run, output.
    pub(super) fn all_steps(&self, target: &TargetTrace, rows: usize) -> Vec<String> {
        let all = target.trace.steps().filter(|step| step.is_visible());
        let running: Vec<_> = all.filter(|step| step.state() == StepState::Running).collect();
        let ended = |step: &&Step| !matches!(step.state(), StepState::Waiting | StepState::Running);
        let own = target.trace.own_steps().filter(|step| step.is_visible());
        let mut over: Vec<_> = own.filter(ended).collect();
        over.sort_by_key(|step| step.ended_at);
        let running = &running[..running.len().min(rows)];
        let room = rows - running.len();
        let output = current(target).filter(|_| !running.is_empty());
        let output = output.map(|step| last_lines(step, room.min(OUTPUT))).unwrap_or_default();
        let over = &over[over.len().saturating_sub(room - output.len())..];
        let mut lines: Vec<String> = over.iter().map(|step| self.ended_step(step)).collect();
        lines.extend(running.iter().map(|step| self.running_step(step, String::new())));
        lines.extend(output.iter().map(|text| self.output(text)));
        lines.resize(rows, String::new());
        lines
    }

    fn ended_step(&self, step: &Step) -> String {
        let became = match step.state() {
            _ if step.counts_as_cached() == Some(true) => "CACHED".to_owned(),
            StepState::Cached => "CACHED".to_owned(),
            StepState::Failed => "FAILED".to_owned(),
            StepState::Cancelled => "cancelled".to_owned(),
            _ => format::duration(step.duration()),
        };
        self.step_line(step, String::new(), None, Some(became))
    }

    /// A line that a step wrote.
    fn output(&self, text: &str) -> String {
        self.words_of_step(format!("| {text}"), SHADES.faint)
    }
}

/// The last lines of output that say something, oldest first.
fn last_lines(step: &Step, count: usize) -> Vec<String> {
    let said = step.tail.lines().rev().map(|line| line.text.trim()).filter(|text| !text.is_empty());
    let mut lines: Vec<String> = said.take(count).map(str::to_owned).collect();
    lines.reverse();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use Activity::{Over, Runs, Waits};

    #[test]
    fn targets_that_run_share_what_the_others_leave() {
        assert_eq!(block_rows(&[Runs, Over, Waits], 21), MOST_ROWS);
        assert_eq!(block_rows(&[Runs, Runs, Waits], 13), 6);
        assert_eq!(block_rows(&[Runs, Runs, Waits], 4), BLOCK);
        assert_eq!(block_rows(&[Over], 21), BLOCK);
    }
}
