//! The plan and the result of `clean`, for people and for programs.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::clean::{Item, Kind, Plan, Remaining};
use crate::terminal::format;

/// Schema of [`json`].
const SCHEMA: &str = "doc2md-docker/clean/v1";
/// Cache records that are named one by one unless all are asked for.
const FEW: usize = 8;

/// What became of a plan.
#[derive(Debug, Default)]
pub struct CleanResult<'a> {
    /// What remains of it.
    pub remains: &'a [Remaining],
    /// Bytes the engine holds less than before.
    pub freed_bytes: u64,
}

/// The plan as text: what goes, what stays, what that frees. `all` names every cache record.
pub fn table(plan: &Plan, columns: usize, all: bool) -> String {
    let mut text = String::new();
    let remove = rows(&plan.remove, all, true);
    let keep = rows(&plan.keep, all, false);
    if !remove.is_empty() {
        text += &section("REMOVE", "FREES", remove, columns);
    }
    if !keep.is_empty() {
        if !text.is_empty() {
            text.push('\n');
        }
        text += &section("KEEP", "SIZE", keep, columns);
    }
    if plan.remove.is_empty() {
        if !text.is_empty() {
            text.push('\n');
        }
        text += "nothing to remove\n";
    } else {
        text += &format!("\nfrees about {}\n", format::bytes(plan.estimated_bytes()));
    }
    text
}

type Row = [String; 4];

fn rows<A>(items: &[Item<A>], all: bool, one_by_one: bool) -> Vec<Row> {
    let size = |bytes: Option<u64>| bytes.map_or_else(|| "-".to_owned(), format::bytes);
    let name = |item: &Item<A>| match (item.kind, item.name.as_str()) {
        (Kind::Image, "<none>") => format!("<none> {}", format::short_id(&item.id)),
        // Names of volumes that nobody named.
        (Kind::Volume, name) if name.len() == 64 => format::short_id(name).to_owned(),
        (_, name) => name.to_owned(),
    };
    let row =
        |item: &Item<A>| [item.kind.to_string(), size(item.bytes), name(item), item.reason.clone()];
    let (cache, things): (Vec<&Item<A>>, Vec<&Item<A>>) =
        items.iter().partition(|item| item.kind == Kind::Cache);
    let mut rows: Vec<Row> = things.into_iter().map(row).collect();
    if all || (one_by_one && cache.len() <= FEW) {
        rows.extend(cache.into_iter().map(row));
        return rows;
    }
    if one_by_one {
        let mut largest = cache;
        largest.sort_by_key(|item| std::cmp::Reverse(item.bytes));
        let rest = largest.split_off(FEW);
        rows.extend(largest.into_iter().map(row));
        let bytes = rest.iter().filter_map(|item| item.bytes).sum();
        let more = format!("{} more", rest.len());
        rows.push(["cache".into(), format::bytes(bytes), more, "-v names them".into()]);
        return rows;
    }
    let mut groups: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    for item in cache {
        let group = groups.entry(item.reason.as_str()).or_default();
        *group = (group.0 + 1, group.1 + item.bytes.unwrap_or(0));
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, (_, bytes))| std::cmp::Reverse(*bytes));
    rows.extend(groups.into_iter().map(|(reason, (count, bytes))| {
        let records = if count == 1 { "1 record".to_owned() } else { format!("{count} records") };
        ["cache".into(), format::bytes(bytes), records, reason.to_owned()]
    }));
    rows
}

fn section(title: &str, size: &str, rows: Vec<Row>, columns: usize) -> String {
    let most = (columns / 3).max(16);
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header([title, size, "NAME", "WHY"]);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(columns.max(40)).unwrap_or(u16::MAX));
    for [kind, size, name, why] in rows {
        table.add_row([kind, size, format::cut(&name, most), why]);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index == 1 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt() + "\n"
}

/// What to ask before `plan` is carried out: volumes hold what nobody can build again, so they are
/// named and sized; `others` says whom else it hits.
pub fn question(plan: &Plan, others: Option<&str>) -> String {
    let mut text = String::new();
    let volumes: Vec<String> = plan
        .removes(Kind::Volume)
        .map(|item| {
            let size = item.bytes.map_or_else(|| "size unknown".to_owned(), format::bytes);
            format!("{} ({size})", item.name)
        })
        .collect();
    if !volumes.is_empty() {
        text += &format!("The data in these volumes will be lost: {}\n", volumes.join(", "));
    }
    if let Some(others) = others {
        text += &format!("{others}\n");
    }
    text + &format!(
        "Remove {} and free about {}?",
        things(plan.remove.len()),
        format::bytes(plan.estimated_bytes())
    )
}

/// `1 thing`, `12 things`.
pub fn things(count: usize) -> String {
    if count == 1 { "1 thing".to_owned() } else { format!("{count} things") }
}

/// The plan and, once it was carried out, its result as JSON of schema `doc2md-docker/clean/v1`.
pub fn json(project: &str, plan: &Plan, result: Option<&CleanResult>, notes: &[String]) -> String {
    #[derive(Serialize)]
    struct Thing<'a> {
        kind: String,
        id: &'a str,
        name: &'a str,
        bytes: Option<u64>,
        reason: &'a str,
    }
    #[derive(Serialize)]
    struct Document<'a> {
        schema: &'a str,
        project: &'a str,
        remove: Vec<Thing<'a>>,
        keep: Vec<Thing<'a>>,
        estimated_bytes: u64,
        /// `null` where nothing was to be removed yet.
        freed_bytes: Option<u64>,
        remaining: Vec<Thing<'a>>,
        notes: &'a [String],
    }
    fn thing<'a, A>(item: &'a Item<A>, reason: &'a str) -> Thing<'a> {
        let Item { id, name, bytes, .. } = item;
        Thing { kind: item.kind.to_string(), id, name, bytes: *bytes, reason }
    }
    let remains = result.map_or(&[][..], |result| result.remains);
    let document = Document {
        schema: SCHEMA,
        project,
        remove: plan.remove.iter().map(|item| thing(item, &item.reason)).collect(),
        keep: plan.keep.iter().map(|item| thing(item, &item.reason)).collect(),
        estimated_bytes: plan.estimated_bytes(),
        freed_bytes: result.map(|result| result.freed_bytes),
        remaining: remains.iter().map(|left| thing(&left.item, &left.why)).collect(),
        notes,
    };
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::clean::Action;
    use crate::view::schema_check;

    fn item<A>(action: A, kind: Kind, bytes: Option<u64>) -> Item<A> {
        Item { action, kind, id: "id".into(), name: "name".into(), bytes, reason: "why".into() }
    }

    #[test]
    fn documents_are_what_their_schema_says() {
        let schema = serde_json::from_str(include_str!("../../docs/clean.schema.json")).unwrap();
        let network = item(Action::Network, Kind::Network, None);
        let plan = Plan {
            remove: vec![
                item(Action::Volume { created: None }, Kind::Volume, Some(7)),
                network.clone(),
            ],
            keep: vec![item((), Kind::Cache, Some(1)), item((), Kind::Container, None)],
        };
        let remains = [Remaining { item: network, why: "in use".into() }];
        let result = CleanResult { remains: &remains, freed_bytes: 7 };
        for result in [None, Some(&result)] {
            let text = json("p", &plan, result, &["note".to_owned()]);
            let document: serde_json::Value = serde_json::from_str(&text).unwrap();
            let mut found = Vec::new();
            schema_check::faults(&schema, &document, "clean", &mut found);
            assert!(found.is_empty(), "{found:#?}");
            assert_eq!(document["freed_bytes"].as_u64(), result.map(|it| it.freed_bytes));
        }
    }
}
