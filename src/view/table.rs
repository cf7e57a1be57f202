//! Tables of text that fit a width: columns that matter least go, long texts are cut or go on below. comfy-table draws.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets};

use crate::terminal::control::{Colours, harmless};
use crate::terminal::format;

/// Spaces between columns.
const GAP: usize = 2;
/// Narrower than this nothing can be laid out.
const MIN_WIDTH: usize = 40;
/// Columns that stay in any case.
const LEAST_COLUMNS: usize = 2;
/// No column is wider, also where the output has no edge: comfy-table counts to 65,535.
const MAX_COLUMN: usize = 65_000;

/// Where the cells of a column stand, and what may happen to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// At the left, never cut.
    Left,
    /// At the right, never cut: numbers.
    Right,
    /// At the left, cut at the end to no less than so many columns.
    CutEnd(usize),
    /// At the left, cut at the beginning to no less than so many columns: paths and references.
    CutStart(usize),
    /// At the left, going on below in no less than so many columns.
    Wrap(usize),
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) header: &'static str,
    pub(super) shape: Shape,
    /// 0 for columns that always stay; of the others the highest goes first.
    pub(super) drop: u8,
}

impl Column {
    pub(super) const fn new(header: &'static str, shape: Shape) -> Self {
        Self { header, shape, drop: 0 }
    }

    /// One that goes where there is no room; the highest first.
    pub(super) const fn drop(mut self, drop: u8) -> Self {
        self.drop = drop;
        self
    }
}

/// Text from elsewhere as a cell: one line, nothing that drives a terminal.
pub(super) fn cell(text: &str) -> String {
    harmless(text, Colours::Drop).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The table, no line wider than `width`, none ending in spaces.
pub(super) fn render(columns: &[Column], rows: &[Vec<String>], width: usize) -> String {
    let mut widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let cells = rows.iter().map(|row| format::width(&row[index]));
            cells.max().unwrap_or(0).max(column.header.len()).min(MAX_COLUMN)
        })
        .collect();
    let mut kept: Vec<usize> = (0..columns.len()).collect();
    fit(columns, &mut kept, &mut widths, width.max(MIN_WIDTH));
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(kept.iter().map(|&index| format::cut(columns[index].header, widths[index])));
    for row in rows {
        table.add_row(kept.iter().map(|&index| match columns[index].shape {
            Shape::CutStart(_) => format::cut_start(&row[index], widths[index]),
            Shape::Wrap(_) => row[index].clone(),
            Shape::Left | Shape::Right | Shape::CutEnd(_) => {
                format::cut(&row[index], widths[index])
            }
        }));
    }
    let counted = |columns: usize| u16::try_from(columns).unwrap_or(u16::MAX);
    for (drawn, index) in table.column_iter_mut().zip(kept) {
        drawn.set_padding((0, counted(GAP)));
        match columns[index].shape {
            Shape::Right => {
                drawn.set_cell_alignment(CellAlignment::Right);
            }
            Shape::Wrap(_) => {
                let width = Width::Fixed(counted(widths[index] + GAP));
                drawn.set_constraint(ColumnConstraint::Absolute(width));
            }
            Shape::Left | Shape::CutEnd(_) | Shape::CutStart(_) => {}
        }
    }
    table.trim_fmt() + "\n"
}

/// Drops columns, then narrows the widest, until a line fits.
fn fit(columns: &[Column], kept: &mut Vec<usize>, widths: &mut [usize], width: usize) {
    let least = |index: usize, widths: &[usize]| match columns[index].shape {
        Shape::Left | Shape::Right => widths[index],
        Shape::CutEnd(least) | Shape::CutStart(least) | Shape::Wrap(least) => {
            widths[index].min(least.max(columns[index].header.len()))
        }
    };
    let sum = |kept: &[usize], of: &dyn Fn(usize) -> usize| {
        kept.iter().map(|index| of(*index) + GAP).sum::<usize>().saturating_sub(GAP)
    };
    while sum(kept, &|index| least(index, widths)) > width {
        let Some(at) = (0..kept.len())
            .filter(|at| columns[kept[*at]].drop > 0)
            .max_by_key(|at| columns[kept[*at]].drop)
        else {
            // Better without the last one than folded by the terminal.
            if kept.len() > LEAST_COLUMNS {
                kept.pop();
                continue;
            }
            break;
        };
        kept.remove(at);
    }
    let mut excess = sum(kept, &|index| widths[index]).saturating_sub(width);
    while excess > 0 {
        let Some(longest) = kept
            .iter()
            .copied()
            .filter(|index| widths[*index] > least(*index, widths))
            .max_by_key(|index| widths[*index])
        else {
            break;
        };
        widths[longest] -= 1;
        excess -= 1;
    }
    // What should not be cut, where nothing else is left.
    while excess > 0 {
        let longest = kept.iter().copied().max_by_key(|index| widths[*index]);
        let Some(longest) = longest.filter(|index| widths[*index] > 1) else { break };
        widths[longest] -= 1;
        excess -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column::new("NAME", Shape::CutStart(8)),
        Column::new("ID", Shape::Left).drop(1),
        Column::new("SIZE", Shape::Right),
        Column::new("TEXT", Shape::CutEnd(10)),
    ];

    fn rows() -> Vec<Vec<String>> {
        [
            [
                "registry.example.com/team/api:2026-11-24",
                "abababababab",
                "255.3 MB",
                "RUN pip install a",
            ],
            ["日本語/worker", "cdcdcdcdcdcd", "6.7 GB", "COPY . ."],
        ]
        .map(|row| row.map(str::to_owned).to_vec())
        .to_vec()
    }

    #[test]
    fn narrow_tables_lose_columns_and_long_texts() {
        insta::assert_snapshot!(render(&COLUMNS, &rows(), 100), @r"
        NAME                                      ID                SIZE  TEXT
        registry.example.com/team/api:2026-11-24  abababababab  255.3 MB  RUN pip install a
        日本語/worker                             cdcdcdcdcdcd    6.7 GB  COPY . .
        ");
        insta::assert_snapshot!(render(&COLUMNS, &rows(), 40), @r"
        NAME                SIZE  TEXT
        ...:2026-11-24  255.3 MB  RUN pip ins...
        日本語/worker     6.7 GB  COPY . .
        ");
    }

    proptest::proptest! {
        #[test]
        fn no_line_is_too_wide(
            cells in proptest::collection::vec("[a-z日 ]{0,60}", 2),
            numbers in proptest::collection::vec("[0-9]{0,9}", 2),
            width in 0_usize..140,
        ) {
            let rows: Vec<Vec<String>> = cells.iter().zip(&numbers)
                .map(|(cell, number)| vec![cell.clone(), cell.clone(), number.clone(), cell.clone()])
                .collect();
            let columns = COLUMNS.map(|it| if it.header == "ID" { Column::new("ID", Shape::CutEnd(2)).drop(1) } else { it });
            for line in render(&columns, &rows, width).lines() {
                proptest::prop_assert!(format::width(line) <= width.max(MIN_WIDTH), "{line}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_too_wide_whatever_the_columns_are(
            shapes in proptest::collection::vec((0_usize..5, 0_u8..3), 1..10),
            cells in proptest::collection::vec("[a-z日 ]{0,30}", 20),
            width in 0_usize..140,
        ) {
            let columns = shapes.iter().map(|(shape, drop)| {
                let all = [Shape::Left, Shape::Right, Shape::CutEnd(9), Shape::CutStart(9), Shape::Wrap(9)];
                Column::new("HEADER", all[*shape]).drop(*drop)
            });
            let columns: Vec<Column> = columns.collect();
            let rows: Vec<Vec<String>> = cells.chunks(columns.len()).filter(|row| row.len() == columns.len()).map(<[String]>::to_vec).collect();
            for line in render(&columns, &rows, width).lines() {
                proptest::prop_assert!(format::width(line) <= width.max(MIN_WIDTH), "{line}");
            }
        }
    }
}
