//! The table at the end of a run.

use comfy_table::{CellAlignment, Table, presets};

use crate::build::outcome::TargetOutcome;
use crate::progress::{RunSummary, TargetSummary};
use crate::ui::format;

/// Columns everything but the image takes at most: two for a count of steps each (`CACHED` and
/// `RUN`), times, sizes, a short id, and the gaps.
const OTHERS: usize = 46;

/// One row per target: image, steps cached and run, seconds, size, id or what became of it.
/// No line is wider than `columns` (of which at least 60 are taken) or ends in spaces.
pub fn render(summary: &RunSummary, columns: usize) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["IMAGE", "CACHED", "RUN", "TIME", "SIZE", "ID"]);
    let image_width = columns.saturating_sub(OTHERS).max(14);
    for target in &summary.targets {
        table.add_row(row(target, image_width));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        // Two spaces between the columns, none before the first.
        column.set_padding((0, 2));
        if (1..=4).contains(&index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

fn row(target: &TargetSummary, image_width: usize) -> [String; 6] {
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
        cut_front(image, image_width),
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
