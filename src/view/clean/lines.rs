//! A plan in lines: by kind and within it by service, the largest first, each with what it frees; a line for what has the
//! same reason, or for each thing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::offer;
use crate::clean::{Item, Kind, Offer, Plan, Sort};
use crate::counted::{agreed, counted};
use crate::terminal::{format, wrap};
use crate::view::table::{self, Column, Shape};

/// Names, or services, that a line has before it counts the rest.
const FEW: usize = 3;
/// The narrowest terminal that a table is laid out for.
const NARROWEST: usize = 40;
/// Where it is narrower, reasons stand below things.
const WIDE: usize = 70;
/// Columns before them, more than before the thing.
const REASON_INDENT: usize = 4;
/// Columns that names and reasons get at least.
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

/// A line for things that have all but their names in common.
struct Line {
    kind: Kind,
    sort: Sort,
    services: BTreeSet<String>,
    /// How many things it is.
    things: usize,
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
        let bytes = sum(items.iter().map(|item| item.bytes));
        let (what, why) = match items.as_slice() {
            [item] if all => (alone(item), details(item).as_str()),
            items => (together(sort, items), why),
        };
        let (services, things) = (services.clone(), items.len());
        Line { kind, sort, services, things, what, bytes, why: table::cell(why) }
    };
    groups.into_iter().map(line).collect()
}

/// Bytes of several things; `None` where no size is known.
fn sum(bytes: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    bytes.flatten().reduce(u64::saturating_add)
}

/// Lines with what they have in common above them: a kind, a service.
struct Group {
    title: String,
    bytes: Option<u64>,
    lines: Vec<Line>,
}

impl Group {
    /// One for each different key, the largest first, as are the lines in each.
    fn all<K: Ord>(
        lines: Vec<Line>,
        key: impl Fn(&Line) -> K,
        title: impl Fn(&K) -> String,
    ) -> Vec<Self> {
        let mut by_key: BTreeMap<K, Vec<Line>> = BTreeMap::new();
        for line in lines {
            by_key.entry(key(&line)).or_default().push(line);
        }
        let group = |(key, mut lines): (K, Vec<Line>)| {
            lines.sort_by(|a, b| (Reverse(a.bytes), &a.what).cmp(&(Reverse(b.bytes), &b.what)));
            let bytes = sum(lines.iter().map(|line| line.bytes));
            Self { title: title(&key), bytes, lines }
        };
        let mut groups: Vec<Self> = by_key.into_iter().map(group).collect();
        // Stable: what frees the same stays in the order of its keys.
        groups.sort_by_key(|group| Reverse(group.bytes));
        groups
    }
}

/// The lines by kind and within it by service, each with what it takes, as rows; a group of one line is that line.
fn grouped(lines: Vec<Line>) -> Vec<[String; 3]> {
    let mut rows = Vec::new();
    for kind in Group::all(lines, |line| line.kind, |kind| title(*kind).to_owned()) {
        if let [line] = kind.lines.as_slice() {
            rows.push(row(0, &line.by_itself(), line));
            continue;
        }
        rows.push(heading(0, &kind.title, kind.bytes));
        let services = |services: &BTreeSet<String>| names(services);
        for service in Group::all(kind.lines, |line| line.services.clone(), services) {
            match service.lines.as_slice() {
                [line] => rows.push(row(1, &line.within_kind(), line)),
                lines if service.title.is_empty() => {
                    rows.extend(lines.iter().map(|line| row(1, &line.what, line)));
                }
                lines => {
                    rows.push(heading(1, &service.title, service.bytes));
                    rows.extend(lines.iter().map(|line| row(2, &line.what, line)));
                }
            }
        }
    }
    rows
}

impl Line {
    /// What it is among others of its kind. Things with names of their own need no service.
    fn within_kind(&self) -> String {
        match names(&self.services).as_str() {
            "" => self.what.clone(),
            _ if self.sort == Sort::Named => self.what.clone(),
            services => format!("{services}: {}", self.what),
        }
    }

    /// What it is where it is the only line of its kind.
    fn by_itself(&self) -> String {
        let services = names(&self.services);
        let of = if services.is_empty() { String::new() } else { format!(" of {services}") };
        match (self.sort, self.kind) {
            (Sort::Named, kind) => {
                format!("{kind}{} {}", agreed(&self.things, "", "s"), self.what)
            }
            (_, Kind::Cache) => format!("cache{of}: {}", self.what),
            _ => format!("{}{of}", self.what),
        }
    }
}

/// What stands above several lines of a kind.
fn title(kind: Kind) -> &'static str {
    match kind {
        Kind::Container => "containers",
        Kind::Network => "networks",
        Kind::Image => "images",
        Kind::Volume => "volumes",
        Kind::Cache => "build cache",
    }
}

/// What one thing is called.
fn alone<A>(item: &Item<A>) -> String {
    let name = table::cell(&item.shown.name);
    match item.shown.sort {
        Sort::Named => short(item),
        Sort::EarlierBuild => format!("earlier build {}", format::short_id(&item.id)),
        Sort::CacheMount => format!("cache mount {name}"),
        Sort::Step | Sort::BuildContext | Sort::BaseLayer | Sort::Record => name,
    }
}

/// What things that share a line are called.
fn together<A>(sort: Sort, items: &[&Item<A>]) -> String {
    match (sort, items) {
        (Sort::Named, _) => some(items.iter().map(|item| short(item))),
        (Sort::CacheMount, [item]) => alone(item),
        (Sort::EarlierBuild, _) => counted(items.len(), "earlier build"),
        (Sort::Step, _) => counted(items.len(), "step"),
        (Sort::CacheMount, _) => counted(items.len(), "cache mount"),
        (Sort::BuildContext, _) => counted(items.len(), "build context"),
        (Sort::BaseLayer, _) => counted(items.len(), "layer") + " of base images",
        (Sort::Record, _) => counted(items.len(), "record"),
    }
}

fn short<A>(item: &Item<A>) -> String {
    match (item.kind, item.shown.name.as_str()) {
        // Names of volumes that nobody named.
        (Kind::Volume, name) if name.len() == 64 => format::short_id(name).to_owned(),
        (_, name) => table::cell(name),
    }
}

fn names(services: &BTreeSet<String>) -> String {
    some(services.iter().map(|service| table::cell(service)))
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
    let rows = grouped(lines);
    if columns < WIDE {
        return narrow(title, size, &rows, columns);
    }
    let header = [
        Column::new(title, Shape::CutEnd(NAME_AT_LEAST)),
        Column::new(size, Shape::Right),
        Column::new("WHY", Shape::Wrap(WHY_AT_LEAST)),
    ];
    // A pipe has no edge; on a terminal what things are called leaves the reasons their room.
    let most = columns / 2;
    let row = |[what, bytes, why]: [String; 3]| vec![format::cut(&what, most), bytes, why];
    table::render(&header, &rows.into_iter().map(row).collect::<Vec<_>>(), columns)
}

/// The same with reasons below the things.
fn narrow(title: &'static str, size: &'static str, rows: &[[String; 3]], columns: usize) -> String {
    let columns = columns.max(NARROWEST);
    let header =
        [Column::new(title, Shape::CutEnd(NAME_AT_LEAST)), Column::new(size, Shape::Right)];
    let things = rows.iter().map(|[what, bytes, _]| vec![what.clone(), bytes.clone()]);
    let things = table::render(&header, &things.collect::<Vec<_>>(), columns);
    let mut text = String::new();
    // The header is a line without a reason.
    let reasons = std::iter::once(None).chain(rows.iter().map(Some));
    for (line, row) in things.lines().zip(reasons) {
        text += &format!("{line}\n");
        if let Some([what, _, why]) = row.filter(|[.., why]| !why.is_empty()) {
            let depth = what.len() - what.trim_start().len() + REASON_INDENT;
            let why =
                wrap::words(why, columns - depth, 0).replace('\n', &format!("\n{:1$}", "", depth));
            text += &format!("{:1$}{why}\n", "", depth);
        }
    }
    text
}

fn row(depth: usize, what: &str, line: &Line) -> [String; 3] {
    let [what, bytes, _] = heading(depth, what, line.bytes);
    [what, bytes, line.why.clone()]
}

/// A row for what stands below it.
fn heading(depth: usize, title: &str, bytes: Option<u64>) -> [String; 3] {
    let bytes = bytes.map_or_else(|| "-".to_owned(), format::bytes);
    [format!("{:1$}{title}", "", 2 * depth), bytes, String::new()]
}
