//! Rows of bars: images, build cache, what `clean` would free.

use maud::{Markup, html};

use super::{UNKNOWN, size};
use crate::counted::counted;
use crate::image_reference;
use crate::terminal::format;
use crate::usage::{CacheKindStats, ImageStats, RemedyStats, StatsReport};
use crate::view::page::{percent, text};

/// Images without a name that are drawn.
const DANGLING: usize = 5;

/// A row.
struct Row<'a> {
    name: String,
    /// What stands below the name.
    more: String,
    bytes: Option<u64>,
    /// What stands where `bytes` do not.
    without: &'static str,
    /// Classes and sizes, from the left.
    parts: Vec<(&'a str, u64)>,
    told: String,
}

fn rows(rows: &[Row]) -> Markup {
    let largest = rows.iter().filter_map(|row| row.bytes).max().unwrap_or(0);
    html! {
        ul.bars {
            @for row in rows {
                li {
                    span.what { (text(&row.name)) @if !row.more.is_empty() { small { (text(&row.more)) } } }
                    (track(&row.parts, largest))
                    span.size.unknown[row.bytes.is_none()] {
                        @match row.bytes { Some(bytes) => (format::bytes(bytes)), None => (row.without) }
                    }
                    @if !row.told.is_empty() { span.told { (text(&row.told)) } }
                }
            }
        }
    }
}

fn track(parts: &[(&str, u64)], largest: u64) -> Markup {
    let mut before = 0;
    let mut placed = Vec::new();
    for (class, bytes) in parts.iter().filter(|(_, bytes)| *bytes > 0) {
        let of_all = |bytes: u64| percent(bytes as f64, largest as f64);
        // Nothing is drawn of one without a width.
        placed.push((class, of_all(before), of_all(*bytes).max(0.2)));
        before += bytes;
    }
    html! {
        svg.track aria-hidden="true" {
            @for (class, x, width) in placed {
                rect.part.(class) x={ (x) "%" } y="0" width={ (width) "%" } height="100%" {}
            }
        }
    }
}

fn legend(entries: &[(&str, &str)]) -> Markup {
    html! {
        ul.legend aria-label="Legend" {
            @for (class, words) in entries {
                li.(class) {
                    svg.swatch aria-hidden="true" { rect.part x="1" y="2" width="32" height="12" rx="2" {} }
                    (words)
                }
            }
        }
    }
}

/// The parts of an image: what is its own and what others have, too.
fn split(
    bytes: Option<u64>,
    unique: Option<u64>,
    shared: Option<u64>,
) -> (Vec<(&'static str, u64)>, String) {
    match (unique.zip(shared), bytes) {
        (Some((unique, shared)), _) => (
            vec![("own", unique), ("shared", shared)],
            format!("{} its own, {} shared", format::bytes(unique), format::bytes(shared)),
        ),
        (None, Some(bytes)) => (vec![("others", bytes)], "what it shares was not measured".into()),
        (None, None) => (Vec::new(), String::new()),
    }
}

fn image(image: &ImageStats) -> Row<'static> {
    let (parts, mut told) = split(image.size_bytes, image.unique_bytes, image.shared_bytes);
    let is_there = image.id.is_some();
    if !is_there {
        told = "not built on this engine, or removed".to_owned();
    }
    if let Some((now, then)) = image.size_bytes.zip(image.previous_size_bytes) {
        let change = format::bytes(now.abs_diff(then));
        told += &match now.cmp(&then) {
            std::cmp::Ordering::Less => format!("; {change} less than before"),
            std::cmp::Ordering::Equal => "; as large as before".to_owned(),
            std::cmp::Ordering::Greater => format!("; {change} more than before"),
        };
    }
    let reference = image_reference::shown(&image.reference).to_owned();
    let (name, more) = match image.service.is_empty() {
        true => (reference, String::new()),
        false => (image.service.clone(), reference),
    };
    let without = if is_there { UNKNOWN } else { "not there" };
    Row { name, more, bytes: image.size_bytes, without, parts, told }
}

pub(super) fn images(report: &StatsReport) -> Markup {
    let all: Vec<Row> = report.images.iter().map(image).collect();
    html! {
        h2 { "Images" }
        @match (all.is_empty(), report.total_bytes) {
            (true, Some(_)) => p { "The project has no images here." },
            (true, None) => p { "The project's images are unknown." },
            _ => {
                (legend(&[("own", "only in this image"), ("shared", "in other images of the engine, too")]))
                (rows(&all))
                p.total {
                    @match report.total_bytes {
                        Some(total) => { b { (format::bytes(total)) } " together, what they share counted once." }
                        None => "What they take together was not measured.",
                    }
                }
            }
        }
    }
}

pub(super) fn dangling(report: &StatsReport) -> Markup {
    if report.dangling.is_empty() {
        return Markup::default();
    }
    let shown = report.dangling.iter().take(DANGLING).map(|image| {
        let (parts, told) = split(image.size_bytes, image.unique_bytes, image.shared_bytes);
        let name = image.service.clone().unwrap_or_else(|| "unknown service".to_owned());
        let more = format::short_id(&image.id).to_owned();
        Row { name, more, bytes: image.size_bytes, without: UNKNOWN, parts, told }
    });
    let shown: Vec<Row> = shown.collect();
    html! {
        h2 { "Images of earlier builds" }
        p.faint { "Nothing names them any more; " code { "clean --old" } " removes them." }
        (rows(&shown))
        @if report.dangling.len() > DANGLING {
            p.faint { (counted(report.dangling.len() - DANGLING, "older one")) " not drawn." }
        }
    }
}

/// A kind of cache record, in words.
fn kind_name(kind: &str) -> &str {
    match kind {
        "regular" => "results of steps",
        "exec.cachemount" => "cache mounts",
        "source.local" => "build contexts",
        "source.git.checkout" => "git checkouts",
        "frontend" => "frontends",
        "internal" => "BuildKit's own",
        other => other,
    }
}

fn kind(kind: &CacheKindStats) -> Row<'_> {
    let (shared, free) = (kind.shared_with_images_bytes, kind.reclaimable_bytes);
    let busy = kind.total_bytes.saturating_sub(shared + free);
    let mut told = vec![counted(kind.records, "record")];
    let parts = [(shared, "in images"), (free, "reclaimable"), (busy, "in use by a build")];
    told.extend(
        parts.iter().filter(|it| it.0 > 0).map(|it| format!("{} {}", format::bytes(it.0), it.1)),
    );
    told.push(match kind.project_bytes {
        Some(own) => format!("{} this project's", format::bytes(own)),
        None => "this project's part not measured".to_owned(),
    });
    let name = kind_name(&kind.kind);
    Row {
        name: name.to_owned(),
        more: if name == kind.kind { String::new() } else { kind.kind.clone() },
        bytes: Some(kind.total_bytes),
        without: UNKNOWN,
        parts: vec![("shared", shared), ("free", free), ("busy", busy)],
        told: told.join(", "),
    }
}

pub(super) fn cache(report: &StatsReport) -> Markup {
    let cache = &report.cache;
    let all: Vec<Row> = cache.kinds.iter().map(kind).collect();
    html! {
        h2 { "Build cache of the engine" }
        @match cache.total_bytes {
            None => p { "Not measured." },
            Some(_) if all.is_empty() => p { "It is empty." },
            Some(total) => {
                p.faint { "All projects' records, by kind." }
                (legend(&[("shared", "in images, too: pruning frees nothing"), ("free", "reclaimable"), ("busy", "in use by a build")]))
                (rows(&all))
                p.total {
                    b { (format::bytes(total)) } " in all: "
                    (size(cache.shared_with_images_bytes)) " in images, too, " (size(cache.reclaimable_bytes)) " reclaimable. This project's: "
                    (size(cache.project_bytes)) "."
                }
            }
        }
    }
}

/// What a command removes, in words.
fn removes(command: &str) -> &'static str {
    match command.trim_start_matches("doc2md-docker ") {
        "clean" => {
            "containers that do not run, networks, images and volumes of the project; layers that the build cache has, too, stay"
        }
        "clean --old" => "what earlier builds left; what is current stays, in the cache, too",
        "clean --only cache" => "the project's build cache",
        _ => "",
    }
}

pub(super) fn choices(report: &StatsReport, choices: Option<&[RemedyStats]>) -> Markup {
    let row = |it: &RemedyStats| Row {
        name: it.command.clone(),
        more: String::new(),
        bytes: Some(it.frees_bytes),
        without: UNKNOWN,
        parts: vec![("free", it.frees_bytes)],
        told: removes(&it.command).to_owned(),
    };
    html! {
        h2 { "What clean would free" }
        @match choices {
            None => p {
                "Not measured: "
                @if report.images.iter().all(|image| image.id.is_none()) { "the project has no images here. " }
                @else { "not everything on the engine could be seen. " }
                code { "clean --dry-run" } " shows the plan."
            },
            Some(choices) => {
                p.faint { "As their " code { "--dry-run" } " plans it; each figure stands for itself." }
                (rows(&choices.iter().map(row).collect::<Vec<_>>()))
            }
        }
    }
}
