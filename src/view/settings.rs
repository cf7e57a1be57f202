//! The settings of commands: value, and where it comes from.

use super::table::{Column, Shape, cell, render};

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Such as `build.parallel`.
    pub name: String,
    /// Its values; none where nothing sets it.
    pub values: Vec<String>,
    /// A variable, a place in the file, or `default`.
    pub from: String,
}

const COLUMNS: [Column; 3] = [
    Column::new("SETTING", Shape::Left),
    Column::new("VALUE", Shape::CutEnd(8)),
    Column::new("FROM", Shape::CutStart(8)),
];

/// A line for each.
pub fn table(rows: &[Row], width: usize) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let values = match row.values.as_slice() {
                [] => "-".to_owned(),
                values => values.join(", "),
            };
            vec![row.name.clone(), cell(&values), cell(&row.from)]
        })
        .collect();
    render(&COLUMNS, &rows, width)
}
