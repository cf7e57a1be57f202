//! The table at the end of a run.

use comfy_table::{CellAlignment, Table, presets};

use crate::progress::outcome::TargetOutcome;
use crate::progress::{RunSummary, TargetSummary};
use crate::terminal::format;

/// Spaces between columns.
const GAP: u16 = 2;

/// Columns an image gets however narrow the terminal is.
const MIN_IMAGE: usize = 14;

/// One row per target: image, steps cached and run, seconds, size, id or what became of it.
/// Long images are cut so that no line is wider than `columns`; no line ends in spaces.
pub fn render(summary: &RunSummary, columns: usize) -> String {
    let header = ["IMAGE", "CACHED", "RUN", "TIME", "SIZE", "ID"].map(str::to_owned);
    let mut rows: Vec<[String; 6]> = summary.targets.iter().map(row).collect();
    let others: usize = (1..header.len())
        .map(|column| {
            let cells = rows.iter().map(|row| format::width(&row[column]));
            cells.max().unwrap_or(0).max(header[column].len()) + usize::from(GAP)
        })
        .sum();
    let image_width = columns.saturating_sub(others).max(MIN_IMAGE);
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header);
    for row in &mut rows {
        row[0] = cut_front(&row[0], image_width);
        table.add_row(&*row);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, GAP));
        if (1..=4).contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

fn row(target: &TargetSummary) -> [String; 6] {
    let none = || "-".to_owned();
    let image = if target.info.image.is_empty() { &target.info.name } else { &target.info.image };
    let solved = target.started.is_some() && target.info.same_as.is_none();
    let counts = |count: usize| if solved { count.to_string() } else { none() };
    let (size, id) = match &target.outcome {
        TargetOutcome::Built(image) => (
            image.size_bytes.map_or_else(none, format::bytes),
            if image.id.is_empty() { none() } else { format::short_id(&image.id).to_owned() },
        ),
        TargetOutcome::Failed(_) => (none(), "failed".to_owned()),
        TargetOutcome::Cancelled => (none(), "cancelled".to_owned()),
    };
    [
        image.clone(),
        counts(target.cached),
        counts(target.run),
        target.seconds().map_or_else(none, format::seconds),
        size,
        id,
    ]
}

/// The end of an image reference tells more than its registry.
fn cut_front(text: &str, columns: usize) -> String {
    if format::width(text) <= columns {
        return text.to_owned();
    }
    let mut rest = text;
    while format::width(rest) + 3 > columns {
        let mut chars = rest.chars();
        chars.next();
        rest = chars.as_str();
    }
    format!("...{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::TargetInfo;
    use crate::progress::outcome::BuiltImage;

    fn target(image: &str, outcome: TargetOutcome, same_as: Option<&str>) -> TargetSummary {
        TargetSummary {
            info: TargetInfo {
                name: "x".into(),
                image: image.into(),
                same_as: same_as.map(str::to_owned),
            },
            outcome,
            started: same_as.is_none().then_some(0.0),
            finished: 192.4,
            cached: 10,
            run: 2,
        }
    }

    #[test]
    fn a_long_image_loses_its_registry_and_not_the_layout() {
        let image = "registry.example.com/a-team/with-a-long-name/doc2md-worker:2026-11-23";
        let built = TargetOutcome::Built(BuiltImage {
            id: format!("sha256:{}", "ab".repeat(32)),
            size_bytes: Some(6_710_000_000),
            ..BuiltImage::default()
        });
        let summary = RunSummary {
            targets: vec![
                target(image, built.clone(), None),
                target("日本語/worker", built, Some("api")),
                target("", TargetOutcome::Cancelled, None),
            ],
            seconds: 192.4,
            cancelled: None,
        };
        let text = render(&summary, 80);
        assert!(text.lines().all(|line| format::width(line) <= 80));
        insta::assert_snapshot!(text, @r"
        IMAGE                                   CACHED  RUN   TIME    SIZE  ID
        ...-long-name/doc2md-worker:2026-11-23      10    2  3m12s  6.7 GB  abababababab
        日本語/worker                                -    -      -  6.7 GB  abababababab
        x                                           10    2  3m12s       -  cancelled
        ");
        assert!(render(&summary, 10).lines().all(|line| format::width(line) <= 60));
    }
}
