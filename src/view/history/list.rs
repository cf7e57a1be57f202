//! `history ls`: a line per build, then how long each target took from build to build.

use jiff::Timestamp;
use serde_json::json;

use super::{ago, document, hits, or_dash, outcome};
use crate::history::{Entry, Outcome, TargetEntry};
use crate::terminal::{SHADES, Shades, format};
use crate::view::table::{self, Column, Shape};

/// Schema of the document.
const SCHEMA: &str = "doc2md-docker/history/v1";
/// Builds in a sparkline.
const MOST: usize = 40;

const COLUMNS: [Column; 7] = [
    Column::new("BUILD", Shape::Left),
    Column::new("WHEN", Shape::Left),
    Column::new("OUTCOME", Shape::Left),
    Column::new("TIME", Shape::Right),
    Column::new("CACHED", Shape::Right).drop(1),
    Column::new("SIZE", Shape::Right).drop(2),
    Column::new("ENGINE", Shape::Left).drop(3),
];

/// Tables of `entries`, newest first.
pub fn list(entries: &[Entry], now: Timestamp, columns: usize, unicode: bool) -> String {
    let rows: Vec<Vec<String>> = entries.iter().map(|entry| row(entry, now)).collect();
    let mut text = table::render(&COLUMNS, &rows, columns);
    let Shades { bold, faint, .. } = SHADES;
    let mut services: Vec<&str> = Vec::new();
    for target in entries.iter().flat_map(|entry| &entry.targets) {
        if !services.contains(&target.service.as_str()) {
            services.push(&target.service);
        }
    }
    let wide = services.iter().map(|name| format::width(name)).max().unwrap_or(0).min(columns / 3);
    let room = columns.saturating_sub(wide + 2 + 26).clamp(4, MOST);
    text.push('\n');
    for service in services {
        let seconds: Vec<f64> = entries
            .iter()
            .filter_map(|entry| built(entry.target(service)?))
            .take(room)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect();
        let name = format::pad(&format::cut(&table::cell(service), wide), wide);
        let (Some(last), Some(least), Some(most)) = (
            seconds.last(),
            seconds.iter().copied().reduce(f64::min),
            seconds.iter().copied().reduce(f64::max),
        ) else {
            text.push_str(&format!("{bold}{name}{bold:#}  {faint}never built{faint:#}\n"));
            continue;
        };
        let range = format!("{} to {}", format::seconds(least), format::seconds(most));
        let line = spark(&seconds, unicode);
        text.push_str(&format!(
            "{bold}{name}{bold:#}  {line}  {} {faint}({range}){faint:#}\n",
            format::seconds(*last)
        ));
    }
    text
}

fn row(entry: &Entry, now: Timestamp) -> Vec<String> {
    vec![
        entry.id.to_string(),
        ago(entry.started, now),
        outcome(entry.outcome).to_owned(),
        format::seconds(entry.seconds),
        hits(entry.hits()),
        or_dash(size(entry).map(format::bytes)),
        or_dash(Some(table::cell(&entry.engine.version)).filter(|text| !text.is_empty())),
    ]
}

/// Bytes of the images of all targets: layers they share count for each.
fn size(entry: &Entry) -> Option<u64> {
    let sizes: Vec<u64> = entry.targets.iter().filter_map(|target| target.size_bytes).collect();
    (!sizes.is_empty()).then(|| sizes.iter().sum())
}

fn built(target: &TargetEntry) -> Option<f64> {
    target.seconds.filter(|_| target.outcome == Outcome::Succeeded)
}

/// One character per value, the lowest for the least and the highest for the most.
fn spark(values: &[f64], unicode: bool) -> String {
    let levels: &[char] = if unicode {
        &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']
    } else {
        &['_', '.', '-', '=', '+', '*', '%', '#']
    };
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    let level = |value: f64| {
        let part = if most > least { (value - least) / (most - least) } else { 0.0 };
        levels[((part * (levels.len() - 1) as f64).round() as usize).min(levels.len() - 1)]
    };
    values.iter().map(|value| level(*value)).collect()
}

/// The same as a document.
pub fn list_json(project: &str, entries: &[Entry]) -> String {
    let targets = |entry: &Entry| -> Vec<serde_json::Value> {
        let of_target = |target: &TargetEntry| {
            let (cached, steps) = target.hits();
            json!({
                "service": target.service, "outcome": target.outcome, "seconds": target.seconds,
                "cached": cached, "steps": steps, "image_id": target.image_id,
                "size_bytes": target.size_bytes,
            })
        };
        entry.targets.iter().map(of_target).collect()
    };
    let builds: Vec<serde_json::Value> = entries
        .iter()
        .map(|entry| {
            let (cached, steps) = entry.hits();
            json!({
                "id": entry.id, "started": entry.started, "outcome": entry.outcome,
                "seconds": entry.seconds, "cached": cached, "steps": steps,
                "targets": targets(entry),
            })
        })
        .collect();
    document(&json!({"schema": SCHEMA, "project": project, "builds": builds}))
}
