//! The sizes as one page of HTML, as [`crate::view::page`] makes them all.
//!
//! Every figure is one of the report, of recorded builds, or of a plan of `clean`: nothing is counted here. Bars differ by
//! pattern and word before colour, and what is unknown is said in words.

mod bars;
mod growth;
mod parts;
mod tables;
#[cfg(test)]
mod tests;

use maud::{Markup, PreEscaped, html};

use crate::terminal::format;
use crate::usage::{RemedyStats, SizeHistory, StatsReport, Worths};
use crate::view::page::{document, text};

const STYLE: &str = include_str!("page.css");

/// Patterns that the page refers to.
const DEFINITIONS: &str = include_str!("page.svg");

/// What stands for a figure that nobody knows.
const UNKNOWN: &str = "not measured";

/// What the page shows besides the report.
#[derive(Debug, Clone, Copy)]
pub struct Extras<'a> {
    /// Sizes of images over the recorded builds.
    pub history: &'a SizeHistory,
    /// What cache mounts are worth.
    pub worths: &'a Worths,
    /// What `clean` would free; `None` where that is not known.
    pub choices: Option<&'a [RemedyStats]>,
}

/// Returns the page.
pub fn page(report: &StatsReport, extras: &Extras) -> String {
    let body = html! {
        (PreEscaped(DEFINITIONS))
        (parts::head(report))
        (parts::whole(report))
        (parts::disk(report))
        (bars::images(report))
        (growth::charts(extras.history))
        (bars::dangling(report))
        (bars::cache(report))
        (tables::mounts(report, extras.worths))
        (bars::choices(report, extras.choices))
        (tables::rest(report))
        (notes(report))
    };
    document(&format!("{} - sizes", report.project), STYLE, &body)
}

fn notes(report: &StatsReport) -> Markup {
    html! {
        @if !report.notes.is_empty() {
            h2 { "Notes" }
            ul.notes {
                @for note in &report.notes { li { (text(note)) } }
            }
        }
    }
}

/// A size, or the words for one that is unknown.
fn size(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| UNKNOWN.to_owned(), format::bytes)
}
