//! The table at the end of a run.

use crate::progress::outcome::TargetOutcome;
use crate::progress::{RunSummary, TargetSummary};
use crate::terminal::format;
use crate::view::table::{self, Column, Shape};

/// An image gets 14 columns however narrow the terminal is.
const COLUMNS: [Column; 6] = [
    Column::new("IMAGE", Shape::CutStart(14)),
    Column::new("CACHED", Shape::Right),
    Column::new("RUN", Shape::Right),
    Column::new("TIME", Shape::Right),
    Column::new("SIZE", Shape::Right),
    Column::new("ID", Shape::Left),
];

/// The same where there is no room for ids: what became of a target stands for its size.
const NARROW: [Column; 5] = [
    Column::new("IMAGE", Shape::CutStart(12)),
    Column::new("CACHED", Shape::Right).drop(1),
    Column::new("RUN", Shape::Right),
    Column::new("TIME", Shape::Right),
    Column::new("SIZE", Shape::Right),
];

/// Narrower than this there is no room for ids.
const LEAST: usize = 60;

/// One row per target: image, steps cached and run, seconds, size, id or what became of it.
/// Long images are cut so that no line is wider than `columns`; no line ends in spaces.
pub fn render(summary: &RunSummary, columns: usize) -> String {
    let rows = summary.targets.iter().map(row);
    if columns >= LEAST {
        return table::render(&COLUMNS, &rows.collect::<Vec<_>>(), columns).trim_end().to_owned();
    }
    let rows = rows.zip(&summary.targets).map(|(mut row, target)| {
        if let (Some(last), false) = (row.pop(), matches!(target.outcome, TargetOutcome::Built(_)))
        {
            row[4] = last;
        }
        row
    });
    table::render(&NARROW, &rows.collect::<Vec<_>>(), columns).trim_end().to_owned()
}

fn row(target: &TargetSummary) -> Vec<String> {
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
    vec![
        image.clone(),
        counts(target.cached),
        counts(target.run),
        target.seconds().map_or_else(none, format::seconds),
        size,
        id,
    ]
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
        insta::assert_snapshot!(render(&summary, 40), @r"
        IMAGE              RUN   TIME       SIZE
        ...ker:2026-11-23    2  3m12s     6.7 GB
        日本語/worker        -      -     6.7 GB
        x                    2  3m12s  cancelled
        ");
        for columns in [10, 40, 59, 60, 61] {
            let text = render(&summary, columns);
            assert!(text.lines().all(|line| format::width(line) <= columns.max(40)), "{text}");
        }
    }
}
