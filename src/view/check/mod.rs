//! `doc2md-docker check`: findings for people, for programs and for CI. Pure.

mod github;
mod sarif;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use serde::Serialize;

use crate::check::{Cost, Finding, Severity};
use crate::terminal::{format, wrap};
use crate::view::table::cell;

pub use github::annotations;
pub use sarif::sarif;

/// Schema of the document (docs/check.schema.json).
const SCHEMA: &str = "doc2md-docker/check/v1";

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    project: &'a str,
    /// Why BuildKit's own checks are not among them.
    buildkit_left_out: Option<&'a str>,
    findings: &'a [Finding],
}

/// The findings as a JSON document.
pub fn document(project: &str, findings: &[Finding], buildkit_left_out: Option<&str>) -> String {
    super::history::document(&Document { schema: SCHEMA, project, buildkit_left_out, findings })
}

/// A paragraph for each finding, and a line that counts them. The place stays in one piece: programs read it.
pub fn table(findings: &[Finding], columns: usize) -> String {
    let line = |text: &str| wrap::lines(&format!("  {text}"), columns) + "\n";
    let mut text = String::new();
    for finding in findings {
        let Finding { rule, severity, spot, services, message, change, .. } = finding;
        let (file, services) = (cell(&spot.file), cell(&services.join(", ")));
        let _ = writeln!(
            text,
            "{file}:{}:{}: {} {} [{services}]",
            spot.line,
            spot.column,
            severity.word(),
            cell(rule)
        );
        text += &line(&cell(message));
        if let Some(cost) = cost(&finding.cost) {
            text += &line(&format!("cost: {cost}"));
        }
        let safe = if finding.fix.is_some() { " (--fix does it)" } else { "" };
        text += &line(&format!("change: {}{safe}", cell(change)));
        text.push('\n');
    }
    text + &counted(findings) + "\n"
}

/// How many there are of each severity.
pub fn counted(findings: &[Finding]) -> String {
    let of = |severity: Severity, one: &str, more: &str| {
        let count = findings.iter().filter(|finding| finding.severity == severity).count();
        match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            count => Some(format!("{count} {more}")),
        }
    };
    let parts: Vec<String> = [
        of(Severity::Error, "error", "errors"),
        of(Severity::Warning, "warning", "warnings"),
        of(Severity::Advice, "piece of advice", "pieces of advice"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() { "nothing found".to_owned() } else { parts.join(", ") }
}

/// What a finding costs, in words; nothing where nothing is known.
fn cost(cost: &Cost) -> Option<String> {
    let mut parts = Vec::new();
    if let (Some(seconds), Some(builds), Some(all), Some(total)) =
        (cost.seconds, cost.builds, cost.recorded_builds, cost.total_seconds)
    {
        let together = if builds > 1 {
            format!(", {} together", format::seconds(total))
        } else {
            String::new()
        };
        parts.push(format!(
            "{} in {builds} of {all} recorded builds{together}",
            format::seconds(seconds)
        ));
    }
    parts.extend(cost.bytes.map(format::bytes));
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// A finding in one text, as other programs show it.
fn sentence(finding: &Finding) -> String {
    let cost = cost(&finding.cost).map(|cost| format!("\ncost: {cost}")).unwrap_or_default();
    format!("{}{cost}\nchange: {}", finding.message, finding.change)
}
