//! Statistics of a project in words and in documents. Pure: a report in, text out.

mod builder;
mod markdown;
pub mod page;
mod prometheus;
mod sections;
#[cfg(test)]
mod tests;

use super::table;
use crate::terminal::workflow::Command;
use crate::terminal::{SHADES, Shades, format, wrap};
use crate::usage::StatsReport;

pub use builder::{builder_json, builder_table};
pub(super) use markdown::escaped;
pub use markdown::markdown;
pub use prometheus::prometheus;

/// How much is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The largest layers, the project's cache mounts.
    Short,
    /// Every layer, every mount, and the cache records that the report has.
    All,
}

/// Tables no wider than `columns`.
pub fn table(report: &StatsReport, columns: usize, extent: Extent) -> String {
    let Shades { bold, faint, .. } = SHADES;
    let title = heading(report);
    let mut text = format!("{bold}{}{bold:#}\n", wrap::words(&title, columns, 2));
    let sections = sections::sections(report, extent);
    if let Some(sentence) = without_images(report) {
        text.push_str(&format!("\n{sentence}\n"));
    }
    for section in &sections {
        text.push_str(&format!("\n{bold}{}{bold:#}\n", section.title));
        text.push_str(&table::render(&section.columns, &section.rows, columns));
        if let Some(remark) = &section.remark {
            text.push_str(&format!("{faint}{}{faint:#}\n", wrap::words(remark, columns, 2)));
        }
    }
    text
}

/// What stands where no image can be listed.
fn without_images(report: &StatsReport) -> Option<&'static str> {
    match (report.images.is_empty(), report.total_bytes) {
        (false, _) => None,
        (true, Some(_)) => Some("The project has no images here."),
        // A note says why.
        (true, None) => Some("The project's images are unknown."),
    }
}

/// The document, one key per line.
pub fn json(report: &StatsReport) -> String {
    // Every field has a JSON form: nothing here can fail to serialise.
    serde_json::to_string_pretty(report).map(|text| text + "\n").unwrap_or_default()
}

/// An error for each broken budget, for the page of a workflow's run.
pub fn annotations(report: &StatsReport) -> Vec<Command> {
    let broken = report.budgets.iter().filter_map(|it| Some((it, it.excess_bytes()?)));
    broken
        .map(|(verdict, excess)| {
            let (actual, limit) = (verdict.actual_bytes, verdict.limit_bytes);
            let [actual, limit] = [actual, limit].map(|size| format::bytes(size.unwrap_or(0)));
            let rule = table::cell(&verdict.rule);
            let text = format!("{rule}: {actual} is {} over {limit}", format::bytes(excess));
            Command::new("error", text).with("title", format!("{} is over budget", report.project))
        })
        .collect()
}

/// Outputs of a step: `total-bytes`, empty where unknown, and `over-budget`, rules joined by commas.
pub fn outputs(report: &StatsReport) -> String {
    let total = report.total_bytes.map(|bytes| bytes.to_string()).unwrap_or_default();
    let broken = report.budgets.iter().filter(|it| it.ok == Some(false));
    let rules: Vec<String> = broken.map(|it| table::cell(&it.rule)).collect();
    format!("total-bytes={total}\nover-budget={}\n", rules.join(","))
}

fn heading(report: &StatsReport) -> String {
    let engine = &report.engine;
    let store = match engine.store.as_str() {
        "containerd" => "containerd store",
        "graphdriver" => "graph driver",
        _ => "store unknown",
    };
    table::cell(&format!(
        "{} on Docker {} (API {}, {store})",
        report.project, engine.version, engine.api_version
    ))
}
