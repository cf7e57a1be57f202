//! Tables: cache mounts with what they are worth, and what the report has as tables anyway.

use maud::{Markup, html};

use super::super::Extent;
use super::super::sections::{self, Section, age, collection, figure};
use super::super::table::Shape;
use crate::counted::counted;
use crate::terminal::format;
use crate::usage::{CacheMountStats, StatsReport, Worths};
use crate::view::page::text;

pub(super) fn mounts(report: &StatsReport, worths: &Worths) -> Markup {
    let (own, others): (Vec<&CacheMountStats>, Vec<&CacheMountStats>) =
        report.cache.mounts.iter().partition(|mount| !mount.services.is_empty());
    html! {
        h2 #mounts { "Cache mounts" }
        @if report.cache.total_bytes.is_none() { p { "Not measured." } }
        @else if own.is_empty() { p { "No cache mount of this project's Dockerfiles is on the engine." } }
        @else {
            p.faint.facts {
                "What a mount saves is what steps took longer in the recorded build that filled it than in those that found it filled, as "
                code { "cache ls" } " says it."
            }
            div.scroll tabindex="0" role="region" aria-labelledby="mounts" {
                table {
                    thead {
                        tr {
                            th scope="col" { "mount" }
                            th.num scope="col" { "size" }
                            th.num scope="col" { "saves a build" }
                            th.num scope="col" { "last used" }
                            th scope="col" { "services" }
                            th scope="col" { "size told by" }
                            th scope="col" { "garbage collection" }
                        }
                    }
                    tbody { @for mount in &own { (row(report, mount, worths)) } }
                }
            }
        }
        @if !others.is_empty() {
            p.faint { (counted(others.len(), "cache mount")) " on the engine that no Dockerfile of this project names." }
        }
    }
}

fn row(report: &StatsReport, mount: &CacheMountStats, worths: &Worths) -> Markup {
    let name = mount.id.as_ref().or(mount.target.as_ref()).unwrap_or(&mount.record);
    let saves = worths.get(&mount.record).map_or_else(|| "not known".to_owned(), sections::saves);
    let or_unknown = |text: String, words: &str| if text == "-" { words.to_owned() } else { text };
    html! {
        tr {
            td.mount { (text(name)) }
            td.num { (format::bytes(mount.size_bytes)) }
            td.num { (saves) }
            td.num {
                @match mount.last_used {
                    Some(_) => (or_unknown(age(report, mount.last_used), "not told")),
                    None => "not told",
                }
            }
            td { (text(&mount.services.join(", "))) }
            td.words { (figure(report, mount)) }
            td.words { (or_unknown(collection(report, mount), "not told")) }
        }
    }
}

/// Layers, containers, volumes, sums and budgets, where there are some.
pub(super) fn rest(report: &StatsReport) -> Markup {
    let all = [
        sections::layers(report, Extent::Short),
        sections::volumes(report),
        sections::containers(report),
        sections::projects(report),
        sections::budgets(report),
    ];
    html! {
        @for (number, section) in all.iter().enumerate().filter(|(_, it)| !it.rows.is_empty()) {
            (table(section, number))
        }
    }
}

fn table(section: &Section, number: usize) -> Markup {
    let class = |shape: Shape| if shape == Shape::Right { "num" } else { "words" };
    html! {
        h2 id={ "table-" (number) } { (section.title) }
        div.scroll tabindex="0" role="region" aria-labelledby={ "table-" (number) } {
            table {
                thead {
                    tr {
                        @for column in &section.columns {
                            th.(class(column.shape)) scope="col" { (column.header.to_lowercase()) }
                        }
                    }
                }
                tbody {
                    @for row in &section.rows {
                        tr {
                            @for (column, cell) in section.columns.iter().zip(row) {
                                td.(class(column.shape)) { (cell_text(cell, column.shape)) }
                            }
                        }
                    }
                }
            }
        }
        @if let Some(remark) = &section.remark { p.faint { (text(remark)) } }
    }
}

/// A cell; a figure that is not there in words.
fn cell_text(cell: &str, shape: Shape) -> String {
    match cell {
        "-" if shape == Shape::Right => "not known".to_owned(),
        cell => text(cell),
    }
}
