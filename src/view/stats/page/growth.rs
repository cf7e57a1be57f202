//! Image sizes over the recorded builds: a chart for each image, all with the same builds from left to right.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::counted::counted;
use crate::image_reference;
use crate::terminal::format;
use crate::usage::{SizeHistory, SizeLine};
use crate::view::page::{percent, text};

/// Points up to which each has a dot.
const DOTS: usize = 60;
/// Width and height of the system of coordinates in which lines are drawn.
const UNITS: f64 = 1000.0;

pub(super) fn charts(history: &SizeHistory) -> Markup {
    let (first, last) = (history.builds.first(), history.builds.last());
    html! {
        h2 { "Growth" }
        @match (first, last) {
            (Some(first), Some(last)) => {
                p.faint {
                    "Sizes that images had after " (counted(history.builds.len(), "recorded build")) " of this project on this engine"
                    @if day(*first) == day(*last) { ", on " (day(*first)) }
                    @else { ", from " (day(*first)) " to " (day(*last)) }
                    ". Builds stand at equal distances."
                }
                div.charts {
                    @for line in &history.lines { (chart(history, line)) }
                }
            }
            _ => p { "No build of this project on this engine is recorded with the size of an image." },
        }
        @if let Some(note) = &history.note { p.faint { (text(note)) } }
    }
}

/// The largest size that the axis shows: round, and not below `largest`.
fn top(largest: u64) -> u64 {
    let mut unit = 10_u64;
    while unit.checked_mul(10).is_some_and(|next| next <= largest) {
        unit *= 10;
    }
    // Half of each is short in words, too.
    let round = [1, 2, 4, 6, 8, 10].into_iter().map(|times| unit.saturating_mul(times));
    round.into_iter().find(|top| *top >= largest).unwrap_or(u64::MAX)
}

/// Points without those in the middle of three equal ones: they change nothing of the line.
fn corners(sizes: &[(usize, u64)]) -> Vec<(usize, u64)> {
    let is_corner = |at: usize| {
        let (before, after) = (at.checked_sub(1), at + 1);
        let same = |other: usize| sizes.get(other).is_some_and(|it| it.1 == sizes[at].1);
        !(before.is_some_and(same) && same(after))
    };
    (0..sizes.len()).filter(|at| is_corner(*at)).map(|at| sizes[at]).collect()
}

fn chart(history: &SizeHistory, line: &SizeLine) -> Markup {
    let Some((&(_, first), &(_, last))) = line.sizes.first().zip(line.sizes.last()) else {
        return Markup::default();
    };
    let largest = line.sizes.iter().map(|(_, size)| *size).max().unwrap_or(0);
    let top = top(largest);
    let change = match last.cmp(&first) {
        _ if line.sizes.len() == 1 => String::new(),
        std::cmp::Ordering::Less => format!(", {} less than at first", format::bytes(first - last)),
        std::cmp::Ordering::Equal => ", as at first".to_owned(),
        std::cmp::Ordering::Greater => {
            format!(", {} more than at first", format::bytes(last - first))
        }
    };
    let builds = counted(line.sizes.len(), "build");
    let words = format!("{} after the last of {builds}{change}", format::bytes(last));
    html! {
        div.chart {
            h3 {
                (text(&line.service))
                @if let Some(stage) = &line.stage { " (stage " (text(stage)) ")" }
                small { (text(image_reference::shown(&line.reference))) ": " (words) }
            }
            div.frame role="img" aria-label={ (text(&line.service)) ": " (words) } {
                (scale(top))
                (plot(history, line, top))
                (dates(&history.builds))
            }
        }
    }
}

fn scale(top: u64) -> Markup {
    html! {
        svg.scale aria-hidden="true" {
            @for (y, bytes) in [(0, top), (50, top / 2), (100, 0)] {
                text x="100%" dx="-8" y={ (y) "%" } { (format::bytes(bytes)) }
            }
        }
    }
}

/// Where a build stands, in parts of the whole.
fn across(build: usize, builds: usize) -> f64 {
    match builds {
        0 | 1 => 0.5,
        _ => build as f64 / (builds - 1) as f64,
    }
}

fn plot(history: &SizeHistory, line: &SizeLine, top: u64) -> Markup {
    let builds = history.builds.len();
    let place = |&(build, size): &(usize, u64)| {
        (across(build, builds), 1.0 - size as f64 / top.max(1) as f64, build, size)
    };
    let corners: Vec<_> = corners(&line.sizes).iter().map(place).collect();
    let pairs: Vec<String> =
        corners.iter().map(|(x, y, ..)| format!("{:.1},{:.1}", x * UNITS, y * UNITS)).collect();
    let ends = corners.first().zip(corners.last());
    let area = ends.map(|((from, ..), (to, ..))| {
        format!("{:.1},{UNITS} {} {:.1},{UNITS}", from * UNITS, pairs.join(" "), to * UNITS)
    });
    let dots = if corners.len() <= DOTS { corners.len() } else { 1 };
    html! {
        svg.plot aria-hidden="true" {
            @for y in [0, 50, 100] { line.grid x1="0" x2="100%" y1={ (y) "%" } y2={ (y) "%" } {} }
            svg width="100%" height="100%" viewBox={ "0 0 " (UNITS) " " (UNITS) } preserveAspectRatio="none" overflow="visible" {
                @if let Some(area) = &area { polygon.area points=(area) {} }
                polyline.line points=(pairs.join(" ")) vector-effect="non-scaling-stroke" {}
            }
            @for (number, (x, y, build, size)) in corners.iter().enumerate().skip(corners.len() - dots) {
                circle.dot.now[number + 1 == corners.len()] cx={ (percent(*x, 1.0)) "%" } cy={ (percent(*y, 1.0)) "%" } r="3.5" {
                    title { (format::bytes(*size)) ", " (moment(history.builds.get(*build))) }
                }
            }
        }
    }
}

fn dates(builds: &[Timestamp]) -> Markup {
    let Some((first, last)) = builds.first().zip(builds.last()) else { return Markup::default() };
    let is_a_day = day(*first) == day(*last);
    let label = |at: &Timestamp| {
        let form = if is_a_day { "%m-%d %H:%M" } else { "%Y-%m-%d" };
        at.strftime(form).to_string()
    };
    html! {
        svg.dates aria-hidden="true" {
            @if builds.len() == 1 {
                text.mid x="50%" y="17" { (label(first)) }
            } @else {
                text.first x="0" y="17" { (label(first)) }
                text.last x="100%" y="17" { (label(last)) }
            }
        }
    }
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

fn moment(at: Option<&Timestamp>) -> String {
    at.map(|at| at.strftime("%Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_round_and_hold_the_largest() {
        let label = |largest| format::bytes(top(largest));
        let labels = [0, 1, 10, 11, 150, 255_300_000, 1_000_000_000, 7_100_000_000].map(label);
        assert_eq!(
            labels,
            ["10 B", "10 B", "10 B", "20 B", "200 B", "400.0 MB", "1.0 GB", "8.0 GB"]
        );
        for largest in [u64::MAX, u64::MAX - 1, u64::MAX / 2] {
            assert!(top(largest) >= largest);
        }
    }

    #[test]
    fn what_changes_nothing_of_a_line_is_left_out() {
        let sizes = [(0, 1), (1, 1), (2, 1), (4, 1), (5, 2), (6, 2), (7, 3)];
        assert_eq!(corners(&sizes), [(0, 1), (4, 1), (5, 2), (6, 2), (7, 3)]);
        assert_eq!(corners(&[(3, 9)]), [(3, 9)]);
        assert_eq!(corners(&[]), []);
    }
}
