//! What a benchmark measured, in words and in documents. Pure: a report in, text out.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use crate::bench::model::{BenchReport, CaseReport, ResultReport, Seconds};
use crate::counted::counted;
use crate::terminal::{SHADES, Shades, format, wrap};
use crate::view::stats::escaped;
use crate::view::table::{self, Column, Shape};

/// Tables no wider than `columns`.
pub fn table(report: &BenchReport, columns: usize) -> String {
    let Shades { bold, .. } = SHADES;
    let mut text = format!("{bold}{}{bold:#}\n", wrap::words(&heading(report), columns, 2));
    for line in machine(report) {
        text.push_str(&(wrap::words(&line, columns, 2) + "\n"));
    }
    text.push('\n');
    let (header, rows) = overview(report);
    text.push_str(&table::render(&header, &rows, columns));
    text.push('\n');
    let (header, rows) = details(report);
    text.push_str(&table::render(&header, &rows, columns));
    for line in changes(report) {
        text.push_str(&format!("\n{}", wrap::words(&line, columns, 2)));
    }
    text + "\n"
}

/// The report as a page.
pub fn markdown(report: &BenchReport) -> String {
    let mut text = format!("### {}\n\n", escaped(&heading(report)));
    for line in machine(report) {
        let _ = writeln!(text, "{}", escaped(&line));
    }
    for (header, rows) in [overview(report), details(report)] {
        let titles: Vec<String> =
            header.iter().map(|column| column.header.to_lowercase()).collect();
        let _ = write!(text, "\n| {} |\n", titles.join(" | "));
        let rules = header.iter().map(|column| match column.shape {
            Shape::Right => "--:",
            _ => "---",
        });
        let _ = writeln!(text, "|{}|", rules.collect::<Vec<_>>().join("|"));
        for row in rows {
            let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
            let _ = writeln!(text, "| {} |", cells.join(" | "));
        }
    }
    text.push('\n');
    for line in changes(report).iter().chain(&report.notes) {
        let _ = writeln!(text, "- {}", escaped(&table::cell(line)));
    }
    for line in left(report) {
        let _ = writeln!(text, "- {}", escaped(&table::cell(&line)));
    }
    text
}

/// The document, one key per line.
pub fn json(report: &BenchReport) -> String {
    crate::view::history::document(report)
}

/// What the benchmark could not remove.
pub fn left(report: &BenchReport) -> Vec<String> {
    let line = |left: &crate::bench::model::Leftover| {
        let (count, kind, why) = (left.count, &left.kind, &left.why);
        let bytes = format::bytes(left.bytes);
        match kind.as_str() {
            "cache" => {
                let records = counted(count, "record");
                format!("the benchmark left {records} of the build cache ({bytes}): {why}")
            }
            kind => format!("the benchmark left {count} of kind {kind} ({bytes}): {why}"),
        }
    };
    report.left.iter().map(line).collect()
}

fn heading(report: &BenchReport) -> String {
    let names: Vec<String> = report.projects.iter().map(|it| table::cell(&it.name)).collect();
    let runs = match report.runs {
        1 => counted(1_u8, "run"),
        runs => format!("medians of {runs} runs"),
    };
    format!("{}: {runs}", names.join(" against "))
}

/// Where it was measured.
fn machine(report: &BenchReport) -> Vec<String> {
    let engine = &report.engine;
    let store = match engine.store.as_str() {
        "containerd" => "containerd store".to_owned(),
        _ => engine.driver.clone(),
    };
    let cpus = engine.cpus.map(|count| format!(", {count} CPUs")).unwrap_or_default();
    let memory = engine.memory_bytes.map(|it| format!(", {} memory", format::bytes(it)));
    let system = match engine.operating_system.as_str() {
        "" => String::new(),
        name => format!(", {name}"),
    };
    let parallel = match report.parallel {
        Some(limit) => format!(", {limit} at once"),
        None => String::new(),
    };
    vec![table::cell(&format!(
        "Docker {} ({store}), {}{cpus}{}{system}{parallel}",
        engine.version,
        engine.architecture,
        memory.unwrap_or_default()
    ))]
}

type Grid = (Vec<Column>, Vec<Vec<String>>);

/// A line for each case.
fn overview(report: &BenchReport) -> Grid {
    let mut columns = vec![Column::new("CASE", Shape::Left)];
    let compared = report.projects.len() > 1;
    if compared {
        columns.extend([
            Column::new("THIS", Shape::Right),
            Column::new("RANGE", Shape::Left).drop(2),
            Column::new("AGAINST", Shape::Right),
            Column::new("RANGE", Shape::Left).drop(1),
            Column::new("RATIO", Shape::Right),
        ]);
    } else {
        columns
            .extend([Column::new("TIME", Shape::Right), Column::new("RANGE", Shape::Left).drop(1)]);
    }
    let row = |case: &CaseReport| {
        let mut cells = vec![case.title.to_owned()];
        for result in &case.results {
            match &result.seconds {
                Some(seconds) => cells.extend([time(seconds.median), range(seconds)]),
                None => cells.extend(["not measured".to_owned(), String::new()]),
            }
        }
        if compared {
            cells.push(case.ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}")));
        }
        cells
    };
    (columns, report.cases.iter().map(row).collect())
}

/// A line for each target of each case.
fn details(report: &BenchReport) -> Grid {
    let compared = report.projects.len() > 1;
    let mut columns = vec![Column::new("CASE", Shape::Left)];
    if compared {
        columns.push(Column::new("PROJECT", Shape::CutStart(8)));
    }
    columns.extend([
        Column::new("TARGET", Shape::CutStart(8)),
        Column::new("TIME", Shape::Right),
        Column::new("RANGE", Shape::Left).drop(3),
        Column::new("RAN", Shape::Right),
        Column::new("CACHED", Shape::Right).drop(4),
        Column::new("WRITTEN", Shape::Right).drop(2),
        Column::new("IMAGE", Shape::Right).drop(1),
    ]);
    let mut rows = Vec::new();
    for case in &report.cases {
        for result in &case.results {
            for target in &result.targets {
                let mut row = vec![case.title.to_owned()];
                if compared {
                    row.push(table::cell(&result.project));
                }
                row.extend([
                    table::cell(&target.name),
                    time(target.seconds.median),
                    range(&target.seconds),
                    target.ran.to_string(),
                    target.cached.to_string(),
                    target.written_bytes.map_or("-".to_owned(), format::bytes),
                    target.image_bytes.map_or("-".to_owned(), format::bytes),
                ]);
                rows.push(row);
            }
        }
    }
    (columns, rows)
}

/// What was changed, what was sent, and why what is missing is.
fn changes(report: &BenchReport) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let compared = report.projects.len() > 1;
    let of = |result: &ResultReport| match compared {
        true => format!(", {}", table::cell(&result.project)),
        false => String::new(),
    };
    for case in &report.cases {
        let mut same: Vec<(String, String)> = Vec::new();
        for result in &case.results {
            if let Some(why) = &result.not_measured {
                lines.push(format!("{}{}: not measured: {why}", case.title, of(result)));
                continue;
            }
            let changes = result.changes.iter().map(|change| {
                let targets = change.targets.join(", ");
                format!("{} ({targets}): {}", table::cell(&change.file), table::cell(&change.what))
            });
            let changes: Vec<String> = changes.collect();
            if !changes.is_empty() {
                same.push((of(result), changes.join("; ")));
            }
        }
        match &same[..] {
            [(_, one), (_, other)] if one == other => lines.push(format!("{}: {one}", case.title)),
            all => lines.extend(all.iter().map(|(of, text)| format!("{}{of}: {text}", case.title))),
        }
    }
    lines
}

/// As precise as figures below a second need.
fn time(seconds: f64) -> String {
    if seconds < 10.0 { format!("{seconds:.2}s") } else { format::seconds(seconds) }
}

/// `1.20s to 1.40s`; empty for a single run.
fn range(seconds: &Seconds) -> String {
    if seconds.all.len() < 2 {
        return String::new();
    }
    format!("{} to {}", time(seconds.min), time(seconds.max))
}
