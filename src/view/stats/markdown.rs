//! Tables in Markdown, for pages of CI systems and merge requests.

use std::fmt::Write as _;

use super::table::{Shape, cell};
use super::{Extent, heading, sections, without_images};
use crate::usage::StatsReport;

/// The report as a page.
pub fn markdown(report: &StatsReport, extent: Extent) -> String {
    let mut text = format!("### {}\n", escaped(&heading(report)));
    if let Some(sentence) = without_images(report) {
        let _ = write!(text, "\n{sentence}\n");
    }
    for section in sections::sections(report, extent) {
        let _ = write!(text, "\n#### {}\n\n", section.title);
        let headers: Vec<String> =
            section.columns.iter().map(|column| column.header.to_lowercase()).collect();
        let _ = writeln!(text, "| {} |", headers.join(" | "));
        let rules = section.columns.iter().map(|column| match column.shape {
            Shape::Right => "--:",
            _ => "---",
        });
        let _ = writeln!(text, "|{}|", rules.collect::<Vec<_>>().join("|"));
        for row in &section.rows {
            let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
        if let Some(remark) = &section.remark {
            let _ = write!(text, "\n{}\n", escaped(remark));
        }
    }
    if !report.notes.is_empty() {
        text.push('\n');
    }
    for note in &report.notes {
        let _ = writeln!(text, "- {}", escaped(&cell(note)));
    }
    text
}

/// Text that Markdown and HTML take for nothing but text.
pub(in crate::view) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '~' | '$' | '@' | '#' => {
                let _ = write!(out, "&#{};", u32::from(char));
            }
            char => out.push(char),
        }
    }
    out
}
