//! Earlier builds in words and documents. Pure: entries of the ledger in, text out.

mod compare;
mod engine;
mod list;
mod show;
#[cfg(test)]
mod tests;

use jiff::Timestamp;

use crate::history::{Outcome, StepResult};
use crate::terminal::format;
use crate::view::table;

pub use compare::{Comparison, comparison};
pub use engine::{engine, engine_json};
pub use list::{list, list_json};
pub use show::show;

/// A value as a JSON document, one key per line.
pub fn document(value: &impl serde::Serialize) -> String {
    // Every field has a JSON form: nothing here can fail to serialise.
    serde_json::to_string_pretty(value).map(|text| text + "\n").unwrap_or_default()
}

pub(super) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Failed => "failed",
        Outcome::Cancelled => "cancelled",
    }
}

fn result(result: StepResult) -> &'static str {
    match result {
        StepResult::Cached => "CACHED",
        StepResult::Ran => "run",
        StepResult::Failed => "FAILED",
        StepResult::Cancelled => "cancelled",
        StepResult::NotRun => "not run",
    }
}

/// `5m ago`.
pub(super) fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    format!("{} ago", format::age(seconds.unsigned_abs()))
}

/// `12/14`, or `-` where nothing could have been cached.
fn hits((cached, all): (usize, usize)) -> String {
    if all == 0 { "-".to_owned() } else { format!("{cached}/{all}") }
}

fn or_dash(value: Option<String>) -> String {
    value.unwrap_or_else(|| "-".to_owned())
}

/// A size compared with an earlier one: `+1.2 MB`, `-3 B`; empty where they are equal.
fn difference(before: u64, now: u64) -> String {
    match now.cmp(&before) {
        std::cmp::Ordering::Less => format!("-{}", format::bytes(before - now)),
        std::cmp::Ordering::Equal => String::new(),
        std::cmp::Ordering::Greater => format!("+{}", format::bytes(now - before)),
    }
}

fn cell(text: &str) -> String {
    table::cell(text)
}
