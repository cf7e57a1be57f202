//! One page of HTML, as [`crate::view::page`] makes them all.
//!
//! Bars are placed by SVG's own attributes, which no content policy forbids, and told apart by
//! pattern, sign and word before colour.

use std::collections::HashSet;

use maud::{Markup, PreEscaped, html};

use super::{Bar, Fate, Lane, Leg, StepIndex, TargetEnd, Timeline, axis, critical_path, on_path};
use crate::counted::counted;
use crate::dockerfile::without_options;
use crate::terminal::format;
use crate::view::page::{document, percent, text};
use crate::view::resources;

const STYLE: &str = include_str!("page.css");

/// Signs and patterns that the page refers to.
const DEFINITIONS: &str = include_str!("page.svg");

/// Steps that are not instructions are drawn from this part of the build on, or a tenth of a second.
const WORTH_DRAWING: f64 = 0.01;

/// Returns the page.
pub fn page(timeline: &Timeline) -> String {
    let path = critical_path(timeline);
    let critical: HashSet<StepIndex> = on_path(timeline, &path).into_iter().collect();
    let body = html! {
        (PreEscaped(DEFINITIONS))
        (summary(timeline))
        (chain(timeline, &path))
        (chart(timeline, &critical))
        (table(timeline, &critical))
    };
    document(&format!("{} - build timeline", timeline.project), STYLE, &body)
}

fn summary(timeline: &Timeline) -> Markup {
    let all = timeline.lanes.len();
    let count = |ending| timeline.lanes.iter().filter(|lane| lane.ending == ending).count();
    let totals = timeline.totals();
    html! {
        h1 {
            (text(&timeline.project)) ": " (count(TargetEnd::Built)) " of " (counted(all, "target")) " built in "
            (cost(timeline.seconds))
            @for (ending, word) in [(TargetEnd::Failed, "failed"), (TargetEnd::Cancelled, "cancelled")] {
                @if count(ending) > 0 { ", " (count(ending)) " " (word) }
            }
        }
        p.faint {
            "Started " (timeline.started.strftime("%Y-%m-%d %H:%M:%S UTC")) ". "
            (counted(totals.cached + totals.run, "step")) " of the Dockerfiles: " (totals.cached) " cached, "
            (totals.run) " run. " (cost(totals.work)) " spent in steps, those that targets share counted once."
        }
        ul.legend aria-label="Legend" {
            @for fate in Fate::ALL {
                li class=(class(fate)) {
                    (icon(fate))
                    svg.swatch aria-hidden="true" { rect.bar x="1" y="2" width="32" height="12" rx="2" {} }
                    (fate.word())
                }
            }
            li.critical {
                svg.path aria-hidden="true" { use href="#i-path" {} }
                svg.swatch aria-hidden="true" { rect.mark x="1" y="8" width="32" height="1" {} }
                "critical path"
            }
        }
    }
}

fn chain(timeline: &Timeline, path: &[Leg]) -> Markup {
    if path.is_empty() {
        return Markup::default();
    }
    let on_it: f64 = path.iter().map(|leg| leg.seconds).sum();
    let worth: Vec<&Leg> = path.iter().filter(|leg| leg.seconds >= floor(timeline)).collect();
    let rest = path.len() - worth.len();
    let waited = timeline.seconds - on_it;
    let mut notes = Vec::new();
    if rest > 0 {
        notes.push(format!(
            "{} shorter than {} left out",
            counted(rest, "step"),
            cost(floor(timeline))
        ));
    }
    if waited >= floor(timeline) {
        notes.push(format!("{} passed outside of every step of the path", cost(waited)));
    }
    html! {
        h2 { "Critical path" }
        p.faint {
            "Each of these steps waited for the one before it. Together they took " (cost(on_it)) " of "
            (cost(timeline.seconds)) ": only what shortens them makes the build end sooner."
        }
        ol.chain {
            @for leg in worth {
                li {
                    span.figure { (cost(leg.seconds)) }
                    span.figure.faint {
                        (format!("{:.0} %", leg.seconds / timeline.seconds.max(f64::MIN_POSITIVE) * 100.0))
                    }
                    span.name { (text(&timeline.lanes[leg.place.lane].name)) }
                    span.step { (text(&headline(timeline.step(leg.place)))) }
                }
            }
        }
        @if !notes.is_empty() { p.faint { (notes.join("; ")) "." } }
    }
}

fn chart(timeline: &Timeline, critical: &HashSet<StepIndex>) -> Markup {
    let ticks: Vec<_> = axis::ticks(timeline.seconds)
        .into_iter()
        .map(|(at, label)| (percent(at, timeline.seconds), label))
        .collect();
    html! {
        h2 { "Timeline" }
        p.faint { "Point at a row, or move to it with the Tab key, to see all of it." }
        svg.defs width="0" height="0" aria-hidden="true" {
            g.grid #grid {
                @for (x, _) in &ticks {
                    line x1={ (x) "%" } x2={ (x) "%" } y1="0" y2="100%" {}
                }
            }
        }
        div.axis aria-hidden="true" {
            svg {
                @for (number, (x, label)) in ticks.iter().enumerate() {
                    line x1={ (x) "%" } x2={ (x) "%" } y1="19" y2="24" {}
                    text.(anchor(*x)).odd[number % 2 == 1] x={ (x) "%" } y="15" { (label) }
                }
            }
        }
        @for (index, lane) in timeline.lanes.iter().enumerate() {
            (lane_section(timeline, (index, lane), critical))
        }
    }
}

/// Which side of a tick its label stands on, so that none leaves the page.
fn anchor(x: f64) -> &'static str {
    match x {
        x if x < 2.0 => "first",
        x if x > 95.0 => "last",
        _ => "mid",
    }
}

fn lane_section(
    timeline: &Timeline,
    (index, lane): (usize, &Lane),
    critical: &HashSet<StepIndex>,
) -> Markup {
    let (rows, small): (Vec<StepIndex>, Vec<StepIndex>) = in_order(index, lane)
        .into_iter()
        .partition(|place| is_drawn(timeline, timeline.step(*place)));
    let spent = small.iter().map(|place| timeline.step(*place).seconds()).sum();
    html! {
        section {
            h3 { (text(&lane.name)) " " small { (text(&ending(lane))) } }
            @if let Some(error) = &lane.error {
                p.error { (text(error.trim_end())) }
            }
            ol.rows {
                @for place in rows { (row(timeline, place, critical)) }
            }
            @if !small.is_empty() {
                p.small.faint {
                    (counted(small.len(), "short step")) " of the engine, " (cost(spent)) " together, only in the table."
                }
            }
        }
    }
}

/// The steps of a target by their start, then by their number; those that never ran come last.
fn in_order(lane: usize, content: &Lane) -> Vec<StepIndex> {
    let start = |place: &StepIndex| {
        content.steps[place.step].span().map_or(f64::INFINITY, |(start, _)| start)
    };
    let number =
        |place: &StepIndex| content.steps[place.step].name.position.map(|(number, _)| number);
    let mut places: Vec<StepIndex> =
        (0..content.steps.len()).map(|step| StepIndex { lane, step }).collect();
    places.sort_by(|one, other| {
        start(one).total_cmp(&start(other)).then_with(|| number(one).cmp(&number(other)))
    });
    places
}

/// How a target ended, as it stands next to its name.
fn ending(lane: &Lane) -> String {
    if let Some(other) = &lane.same_as {
        return format!("built as {other}");
    }
    let count = |wanted: &[Fate]| {
        let all = lane.steps.iter().filter(|step| step.name.is_instruction());
        all.filter(|step| wanted.contains(&step.fate)).count()
    };
    let word = match lane.ending {
        TargetEnd::Built => "built",
        TargetEnd::Failed => "failed",
        TargetEnd::Cancelled => "cancelled",
    };
    let Some((start, end)) = lane.span else { return format!("{word}, never started") };
    let (cached, run) = (count(&[Fate::Cached]), count(&[Fate::Ran, Fate::Failed]));
    format!("{word} in {}, {cached} cached, {run} run", cost(end - start))
}

fn row(timeline: &Timeline, place: StepIndex, critical: &HashSet<StepIndex>) -> Markup {
    let step = timeline.step(place);
    let on_path = critical.contains(&place);
    let mark = step.span().filter(|_| on_path).map(|span| extent(timeline, span));
    html! {
        li.row.(class(step.fate)).critical[on_path] tabindex="0" {
            span.what {
                (icon(step.fate))
                span.text { (text(&headline(step))) }
                @if on_path {
                    svg.path role="img" aria-label="critical path" { use href="#i-path" {} }
                }
            }
            svg.track aria-hidden="true" {
                use href="#grid" {}
                @for (x, width) in step.intervals.iter().map(|span| extent(timeline, *span)) {
                    rect.bar x={ (x) "%" } y="5" width={ (width) "%" } height="11" rx="1.5" {}
                }
                // Below the bars: what is on the critical path is underlined.
                @if let Some((x, width)) = mark {
                    rect.mark x={ (x) "%" } y="20" height="1" width={ (width) "%" } {}
                }
            }
            span.cost { (short(step)) }
            (card(timeline, place, on_path))
        }
    }
}

fn card(timeline: &Timeline, place: StepIndex, on_path: bool) -> Markup {
    let (lane, step) = (&timeline.lanes[place.lane], timeline.step(place));
    let mut facts = vec![match step.span() {
        Some((start, end)) => {
            format!(
                "{}, {} from {} to {}",
                step.fate.word(),
                cost(step.seconds()),
                cost(start),
                cost(end)
            )
        }
        None => step.fate.word().to_owned(),
    }];
    if step.bytes > 0 {
        facts.push(format!("{} transferred", format::bytes(step.bytes)));
    }
    facts.extend(step.resources.iter().flat_map(resources::words));
    if on_path {
        facts.push("on the critical path".to_owned());
    }
    let shared = timeline.first_of(place);
    if shared != place {
        facts.push(format!(
            "the same step as in {}, done once",
            text(&timeline.lanes[shared.lane].name)
        ));
    }
    html! {
        div.card {
            div.step { (text(&step.title())) }
            p { (facts.join(" · ")) }
            @if let Some(at) = located(lane, step) {
                p { (text(&at)) }
            }
            @if let Some(cause) = &step.cause {
                p { "ran " (text(cause)) }
            }
            @if let Some(error) = step.error.as_ref().filter(|_| step.fate == Fate::Failed) {
                p.error { (text(error.trim_end())) }
            }
            p.faint { (text(&step.digest)) }
        }
    }
}

/// `Dockerfile:3`.
fn located(lane: &Lane, step: &Bar) -> Option<String> {
    Some(format!("{}:{}", lane.dockerfile.as_deref().unwrap_or("Dockerfile"), step.line?))
}

fn table(timeline: &Timeline, critical: &HashSet<StepIndex>) -> Markup {
    let lanes = timeline.lanes.iter().enumerate();
    html! {
        h2 #steps { "All steps" }
        div.scroll tabindex="0" role="region" aria-labelledby="steps" {
            table {
                thead {
                    tr {
                        th scope="col" { "target" }
                        th scope="col" { "step" }
                        th scope="col" { "result" }
                        th.figure scope="col" { "starts" }
                        th.figure scope="col" { "time" }
                        th scope="col" { "critical" }
                        th.figure scope="col" { "transferred" }
                        @if is_measured(timeline) {
                            @for name in resources::NAMES {
                                th.figure scope="col" { (name) }
                            }
                        }
                        th scope="col" { "Dockerfile" }
                        @if is_explained(timeline) {
                            th scope="col" { "why it ran" }
                        }
                    }
                }
                tbody {
                    @for place in lanes.flat_map(|(index, lane)| in_order(index, lane)) {
                        (table_row(timeline, place, critical.contains(&place)))
                    }
                }
            }
        }
    }
}

fn table_row(timeline: &Timeline, place: StepIndex, on_path: bool) -> Markup {
    let (lane, step) = (&timeline.lanes[place.lane], timeline.step(place));
    html! {
        tr class=(class(step.fate)) {
            td { (text(&lane.name)) }
            td { span.step { (text(&step.title())) } }
            td.word {
                (icon(step.fate)) (step.fate.word())
                @if timeline.first_of(place) != place { ", shared" }
            }
            td.figure { @if let Some((start, _)) = step.span() { (cost(start)) } }
            td.figure { @if step.span().is_some() { (cost(step.seconds())) } }
            td.word { @if on_path { "yes" } }
            td.figure { @if step.bytes > 0 { (format::bytes(step.bytes)) } }
            @if is_measured(timeline) {
                @for figure in resources::figures(step.resources.as_ref()) { td.figure { (figure) } }
            }
            td { @if let Some(at) = located(lane, step) { (text(&at)) } }
            @if is_explained(timeline) {
                td { @if let Some(cause) = &step.cause { (text(cause)) } }
            }
        }
    }
}

/// Whether it is known of any step what it took of the machine.
fn is_measured(timeline: &Timeline) -> bool {
    timeline.lanes.iter().flat_map(|lane| &lane.steps).any(|step| step.resources.is_some())
}

/// Whether it is known of any step why it ran.
fn is_explained(timeline: &Timeline) -> bool {
    timeline.places().any(|place| timeline.step(place).cause.is_some())
}

/// The title without the options of the instruction: mounts would take all the room there is.
fn headline(step: &Bar) -> String {
    let title = step.title();
    let end = title.len() - step.name.instruction.len();
    format!("{}{}", &title[..end], without_options(&step.name.instruction))
}

/// Seconds from which a step that is not an instruction is worth a row.
fn floor(timeline: &Timeline) -> f64 {
    (timeline.seconds * WORTH_DRAWING).max(0.1).min(timeline.seconds * 0.05)
}

fn is_drawn(timeline: &Timeline, step: &Bar) -> bool {
    step.name.is_instruction() || step.fate == Fate::Failed || step.seconds() >= floor(timeline)
}

/// What stands behind a bar.
fn short(step: &Bar) -> String {
    match step.fate {
        Fate::Cached | Fate::NotRun => step.fate.word().to_owned(),
        Fate::Ran | Fate::Failed | Fate::Cancelled => cost(step.seconds()),
    }
}

/// Seconds; milliseconds where a tenth of a second would say nothing.
fn cost(seconds: f64) -> String {
    if seconds < 0.0995 { format!("{:.0} ms", seconds * 1000.0) } else { format::seconds(seconds) }
}

/// Place and width of a bar in percent. Nothing is drawn of one without a width.
fn extent(timeline: &Timeline, (start, end): (f64, f64)) -> (f64, f64) {
    (percent(start, timeline.seconds), percent(end - start, timeline.seconds).max(0.01))
}

fn class(fate: Fate) -> &'static str {
    match fate {
        Fate::Ran => "ran",
        Fate::Cached => "cached",
        Fate::Failed => "failed",
        Fate::Cancelled => "cancelled",
        Fate::NotRun => "not-run",
    }
}

fn icon(fate: Fate) -> Markup {
    html! { svg.icon aria-hidden="true" { use href={ "#i-" (class(fate)) } {} } }
}
