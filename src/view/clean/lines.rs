//! A plan in lines: one for each kind and service, or one for each thing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::offer;
use crate::clean::{Item, Kind, Offer, Plan, Sort};
use crate::terminal::format;
use crate::view::table::{self, Column, Shape};

/// Names, or services, that a line has before it counts the rest.
const FEW: usize = 3;
/// The narrowest terminal that a table is laid out for.
const NARROWEST: usize = 40;
/// Columns that names and reasons get there at least.
const NAME_AT_LEAST: usize = 10;
const WHY_AT_LEAST: usize = 12;

/// The plan as text: what goes, what stays, what that frees and what would free more, the largest first. `all` has a
/// line for each thing.
pub fn table(plan: &Plan, offers: &[Offer], columns: usize, all: bool) -> String {
    let mut parts = Vec::new();
    let remove = lines(&plan.remove, all, |item| match item.kind {
        // Its name is the step that made it.
        Kind::Cache => &item.shown.why,
        _ => &item.reason,
    });
    if !remove.is_empty() {
        parts.push(section("REMOVE", "FREES", remove, columns));
    }
    let keep = lines(&plan.keep, all, |item| &item.reason);
    if !keep.is_empty() {
        parts.push(section("KEEP", "SIZE", keep, columns));
    }
    let mut last = match plan.remove.is_empty() {
        true => "nothing to remove\n".to_owned(),
        false => format!("frees about {}\n", format::bytes(plan.estimated_bytes())),
    };
    for more in offers {
        last += &format!("{}\n", offer(more));
    }
    parts.push(last);
    parts.join("\n")
}

struct Line {
    kind: Kind,
    what: String,
    bytes: Option<u64>,
    why: String,
}

/// What the things of a line have in common; the last part is the thing that has a line of its own.
type Common<'a> = (Kind, Sort, &'a BTreeSet<String>, &'a str, Option<(&'a str, &'a str)>);

fn lines<A>(items: &[Item<A>], all: bool, details: impl Fn(&Item<A>) -> &String) -> Vec<Line> {
    let mut groups: BTreeMap<Common<'_>, Vec<&Item<A>>> = BTreeMap::new();
    for item in items {
        // What is in a volume nobody can build again: each is named.
        let alone = all || matches!(item.kind, Kind::Volume | Kind::Network);
        let itself = alone.then_some((item.id.as_str(), item.name.as_str()));
        let shown = &item.shown;
        let common = (item.kind, shown.sort, &shown.services, shown.why.as_str(), itself);
        groups.entry(common).or_default().push(item);
    }
    let line = |((kind, sort, services, why, _), items): (Common<'_>, Vec<&Item<A>>)| {
        let bytes = items.iter().filter_map(|item| item.bytes).reduce(|sum, bytes| sum + bytes);
        let (what, why) = match items.as_slice() {
            [item] if all => (alone(item), details(item).as_str()),
            items => (together(kind, sort, services, items), why),
        };
        Line { kind, what, bytes, why: table::cell(why) }
    };
    let mut lines: Vec<Line> = groups.into_iter().map(line).collect();
    lines.sort_by(|a, b| {
        (Reverse(a.bytes), a.kind, &a.what).cmp(&(Reverse(b.bytes), b.kind, &b.what))
    });
    lines
}

/// What one thing is called.
fn alone<A>(item: &Item<A>) -> String {
    let name = table::cell(&item.shown.name);
    let services = of_services(&item.shown.services);
    match item.shown.sort {
        Sort::Named => format!("{} {}", item.kind, short(item)),
        Sort::EarlierBuild => format!("earlier build {}{services}", format::short_id(&item.id)),
        Sort::CacheMount => format!("cache mount {name}{services}"),
        Sort::Step | Sort::BuildContext | Sort::BaseLayer | Sort::Record => {
            format!("cache{services}: {name}")
        }
    }
}

/// What things that share a line are called.
fn together<A>(kind: Kind, sort: Sort, services: &BTreeSet<String>, items: &[&Item<A>]) -> String {
    let services = of_services(services);
    let count = |one: &str, several: &str| match items.len() {
        1 => format!("1 {one}"),
        many => format!("{many} {several}"),
    };
    match (sort, items) {
        (Sort::Named, _) => {
            let plural = if items.len() > 1 { "s" } else { "" };
            format!("{kind}{plural} {}", some(items.iter().map(|item| short(item))))
        }
        (Sort::CacheMount, [item]) => alone(item),
        (Sort::EarlierBuild, _) => count("earlier build", "earlier builds") + &services,
        (Sort::Step, _) => format!("cache{services}, {}", count("step", "steps")),
        (Sort::CacheMount, _) => format!("{}{services}", count("cache mount", "cache mounts")),
        (Sort::BuildContext, _) => count("build context", "build contexts") + &services,
        (Sort::BaseLayer, _) => {
            format!("cache, {}", count("layer of base images", "layers of base images"))
        }
        (Sort::Record, _) => format!("cache{services}, {}", count("record", "records")),
    }
}

fn short<A>(item: &Item<A>) -> String {
    match (item.kind, item.shown.name.as_str()) {
        // Names of volumes that nobody named.
        (Kind::Volume, name) if name.len() == 64 => format::short_id(name).to_owned(),
        (_, name) => table::cell(name),
    }
}

fn of_services(services: &BTreeSet<String>) -> String {
    match services.is_empty() {
        true => String::new(),
        false => format!(" of {}", some(services.iter().map(|service| table::cell(service)))),
    }
}

/// The first names, and how many there are besides.
fn some(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(FEW);
    let mut named = names.take(FEW).collect::<Vec<_>>().join(", ");
    if more > 0 {
        named.push_str(&format!(" and {more} more"));
    }
    named
}

fn section(title: &'static str, size: &'static str, lines: Vec<Line>, columns: usize) -> String {
    let header = [
        Column::new(title, Shape::CutEnd(NAME_AT_LEAST)),
        Column::new(size, Shape::Right),
        Column::new("WHY", Shape::Wrap(WHY_AT_LEAST)),
    ];
    // A pipe has no edge; on a terminal what things are called leaves the reasons their room.
    let most = columns.max(NARROWEST).saturating_mul(2) / 5;
    let row = |line: Line| {
        let bytes = line.bytes.map_or_else(|| "-".to_owned(), format::bytes);
        vec![format::cut(&line.what, most), bytes, line.why]
    };
    table::render(&header, &lines.into_iter().map(row).collect::<Vec<_>>(), columns)
}
