//! The top of the page: what the project takes as a whole, and of which parts that is.

use maud::{Markup, html};

use super::super::heading;
use super::size;
use crate::terminal::format;
use crate::usage::{ProjectStats, StatsReport};
use crate::view::page::{percent, text};

/// A part of a bar that stands for a whole: its class, its name, its size.
type Part = (&'static str, &'static str, Option<u64>);

/// The sums of the project itself.
fn own(report: &StatsReport) -> Option<&ProjectStats> {
    report.projects.iter().find(|it| it.project.as_deref() == Some(report.project.as_str()))
}

fn parts(report: &StatsReport, sums: &ProjectStats) -> [Part; 4] {
    // Nobody has a part of nothing.
    let nothing = report.cache.total_bytes.filter(|total| *total == 0);
    [
        ("images", "images, earlier ones too", sums.images_bytes),
        ("cache", "build cache of its own", sums.cache_bytes.or(nothing)),
        ("volumes", "volumes", sums.volumes_bytes),
        ("containers", "containers", sums.containers_bytes),
    ]
}

pub(super) fn head(report: &StatsReport) -> Markup {
    let sums = own(report);
    let is_whole =
        sums.is_some_and(|sums| parts(report, sums).iter().all(|(_, _, size)| size.is_some()));
    html! {
        h1 {
            (text(&report.project))
            @match sums.and_then(|sums| sums.total_bytes) {
                Some(total) if is_whole => { " takes " (format::bytes(total)) }
                Some(total) => { " takes at least " (format::bytes(total)) }
                None => ": sizes were not measured",
            }
        }
        p.faint {
            (heading(report)) ". Measured " (report.taken.strftime("%Y-%m-%d %H:%M:%S UTC")) "."
        }
    }
}

/// Images, build cache, volumes and containers: nothing of these is counted twice.
pub(super) fn whole(report: &StatsReport) -> Markup {
    let Some(sums) = own(report) else { return Markup::default() };
    let parts = parts(report, sums);
    html! {
        (bar(&parts))
        (keys(&parts))
        p.faint.facts {
            "Layers that several images have, and those that the build cache shares with an image, are counted once, with the images."
        }
    }
}

/// The disk that all of that lies on, where it can be seen.
pub(super) fn disk(report: &StatsReport) -> Markup {
    let Some(disk) = &report.disk else {
        return html! {
            h2 { "Disk of the engine" }
            p { "Not measured: it cannot be seen from here." }
        };
    };
    let total = own(report).and_then(|sums| sums.total_bytes);
    let others = total.and_then(|total| disk.used_bytes.checked_sub(total));
    let parts: Vec<Part> = match (total, others) {
        (Some(total), Some(others)) => vec![
            ("images", "this project", Some(total)),
            ("others", "everything else", Some(others)),
            ("rest", "free", Some(disk.free_bytes)),
        ],
        _ => vec![
            ("others", "in use", Some(disk.used_bytes)),
            ("rest", "free", Some(disk.free_bytes)),
        ],
    };
    html! {
        h2 { "Disk of the engine" }
        p.faint { (format::bytes(disk.size_bytes)) " in all." }
        (bar(&parts))
        (keys(&parts))
    }
}

fn bar(parts: &[Part]) -> Markup {
    let all: u64 = parts.iter().filter_map(|(_, _, size)| *size).sum();
    let mut x = 0.0;
    html! {
        svg.whole aria-hidden="true" {
            @for (class, _, size) in parts {
                @let width = percent(size.unwrap_or(0) as f64, all as f64);
                @if width > 0.0 && *class != "rest" {
                    rect.part.(class) x={ (place(&mut x, width)) "%" } y="0" width={ (width) "%" } height="100%" {}
                }
            }
        }
    }
}

/// Where a part begins, and the next one's place.
fn place(x: &mut f64, width: f64) -> f64 {
    let at = *x;
    *x += width;
    (at * 100.0).round() / 100.0
}

fn keys(parts: &[Part]) -> Markup {
    html! {
        ul.keys {
            @for (class, name, bytes) in parts {
                li.(class) {
                    svg.swatch aria-hidden="true" { rect.part x="1" y="1" width="16" height="12" rx="2" {} }
                    span.name { (name) }
                    span.size.unknown[bytes.is_none()] { (size(*bytes)) }
                }
            }
        }
    }
}
