//! One page of HTML: self-contained, without scripts, and with a policy that lets nothing in.
//!
//! Bars are placed by SVG's own attributes, which no content policy forbids, and told apart by
//! pattern, sign and word before colour. Everything from elsewhere goes through [`text`].

use std::collections::HashSet;
use std::fmt::Write as _;

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use super::{Bar, Ending, Fate, Lane, Leg, Place, Timeline, axis, critical_path, on_path};
use crate::ui::control::{Colours, harmless};
use crate::ui::format;

const STYLE: &str = include_str!("page.css");

/// Signs and patterns that the page refers to.
const DEFINITIONS: &str = include_str!("page.svg");

/// Steps that are no instructions are drawn from this part of the build on, or a tenth of a second.
const WORTH_DRAWING: f64 = 0.01;

/// Below the bars: what is on the critical path is underlined.
const MARK: &str = r#"y="20" height="1""#;

/// The page.
pub fn page(timeline: &Timeline) -> String {
    let path = critical_path(timeline);
    let critical: HashSet<Place> = on_path(timeline, &path).into_iter().collect();
    let mut out = String::new();
    head(&mut out, timeline);
    summary(&mut out, timeline);
    chain(&mut out, timeline, &path);
    chart(&mut out, timeline, &critical);
    table(&mut out, timeline, &critical);
    out.push_str("</body>\n</html>\n");
    out
}

/// What comes from elsewhere, as text or as the value of an attribute.
fn text(foreign: &str) -> String {
    let mut out = String::with_capacity(foreign.len());
    for char in harmless(foreign, Colours::Drop).chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // What turns the direction of text would let an instruction rewrite its surroundings.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            char => out.push(char),
        }
    }
    out
}

fn head(out: &mut String, timeline: &Timeline) {
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(STYLE));
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{hash}'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{} - build timeline</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{DEFINITIONS}",
        text(&timeline.project),
    );
}

fn summary(out: &mut String, timeline: &Timeline) {
    let all = timeline.lanes.len();
    let built = timeline.lanes.iter().filter(|lane| lane.ending == Ending::Built).count();
    let mut ends = String::new();
    for (ending, word) in [(Ending::Failed, "failed"), (Ending::Cancelled, "cancelled")] {
        let count = timeline.lanes.iter().filter(|lane| lane.ending == ending).count();
        if count > 0 {
            let _ = write!(ends, ", {count} {word}");
        }
    }
    let totals = timeline.totals();
    let _ = write!(
        out,
        "<h1>{}: {built} of {} built in {}{ends}</h1>\n\
         <p class=\"faint\">Started {}. {} of the Dockerfiles: {} cached, {} run. \
         {} spent in steps, those that targets share counted once.</p>\n",
        text(&timeline.project),
        counted(all, "target"),
        cost(timeline.seconds),
        timeline.started.strftime("%Y-%m-%d %H:%M:%S UTC"),
        counted(totals.cached + totals.run, "step"),
        totals.cached,
        totals.run,
        cost(totals.work),
    );
    out.push_str("<ul class=\"legend\" aria-label=\"Legend\">\n");
    for fate in Fate::ALL {
        let _ = writeln!(
            out,
            "<li class=\"{}\">{}<svg class=\"swatch\" aria-hidden=\"true\"><rect class=\"bar\" x=\"1\" y=\"2\" width=\"32\" height=\"12\" rx=\"2\"/></svg>{}</li>",
            class(fate),
            icon(fate),
            fate.word(),
        );
    }
    out.push_str("<li class=\"critical\"><svg class=\"path\" aria-hidden=\"true\"><use href=\"#i-path\"/></svg><svg class=\"swatch\" aria-hidden=\"true\"><rect class=\"mark\" x=\"1\" y=\"8\" width=\"32\" height=\"1\"/></svg>critical path</li>\n</ul>\n");
}

fn chain(out: &mut String, timeline: &Timeline, path: &[Leg]) {
    if path.is_empty() {
        return;
    }
    let on_it: f64 = path.iter().map(|leg| leg.seconds).sum();
    let worth: Vec<&Leg> = path.iter().filter(|leg| leg.seconds >= floor(timeline)).collect();
    let rest = path.len() - worth.len();
    let _ = write!(
        out,
        "<h2>Critical path</h2>\n<p class=\"faint\">Each of these steps waited for the one before it. Together they took {} of \
         {}: only what shortens them makes the build end sooner.</p>\n<ol class=\"chain\">\n",
        cost(on_it),
        cost(timeline.seconds),
    );
    for leg in worth {
        let step = timeline.step(leg.place);
        let percent = leg.seconds / timeline.seconds.max(f64::MIN_POSITIVE) * 100.0;
        let _ = writeln!(
            out,
            "<li><span class=\"figure\">{}</span><span class=\"figure faint\">{percent:.0} %</span>\
             <span class=\"name\">{}</span><span class=\"step\">{}</span></li>",
            cost(leg.seconds),
            text(&timeline.lanes[leg.place.lane].name),
            text(&headline(step)),
        );
    }
    out.push_str("</ol>\n");
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
    if !notes.is_empty() {
        let _ = writeln!(out, "<p class=\"faint\">{}.</p>", notes.join("; "));
    }
}

fn chart(out: &mut String, timeline: &Timeline, critical: &HashSet<Place>) {
    let ticks = axis::ticks(timeline.seconds);
    out.push_str("<h2>Timeline</h2>\n<p class=\"faint\">Point at a row, or move to it with the Tab key, to see all of it.</p>\n");
    let _ = write!(
        out,
        "<svg class=\"defs\" width=\"0\" height=\"0\" aria-hidden=\"true\"><g id=\"grid\" class=\"grid\">"
    );
    for (at, _) in &ticks {
        let x = percent(*at, timeline.seconds);
        let _ = write!(out, "<line x1=\"{x}%\" x2=\"{x}%\" y1=\"0\" y2=\"100%\"/>");
    }
    out.push_str("</g></svg>\n<div class=\"axis\" aria-hidden=\"true\"><svg>");
    for (number, (at, label)) in ticks.iter().enumerate() {
        let x = percent(*at, timeline.seconds);
        let anchor = match x {
            x if x < 2.0 => "first",
            x if x > 95.0 => "last",
            _ => "mid",
        };
        let odd = if number % 2 == 1 { " odd" } else { "" };
        let _ = write!(
            out,
            "<line x1=\"{x}%\" x2=\"{x}%\" y1=\"19\" y2=\"24\"/><text class=\"{anchor}{odd}\" x=\"{x}%\" y=\"15\">{label}</text>"
        );
    }
    out.push_str("</svg></div>\n");
    for (index, lane) in timeline.lanes.iter().enumerate() {
        lane_rows(out, timeline, (index, lane), critical);
    }
}

fn lane_rows(
    out: &mut String,
    timeline: &Timeline,
    (index, lane): (usize, &Lane),
    critical: &HashSet<Place>,
) {
    let _ = writeln!(
        out,
        "<section>\n<h3>{} <small>{}</small></h3>",
        text(&lane.name),
        text(&told(lane))
    );
    if let Some(error) = &lane.error {
        let _ = writeln!(out, "<p class=\"error\">{}</p>", text(error.trim_end()));
    }
    out.push_str("<ol class=\"rows\">\n");
    let (mut small, mut spent) = (0, 0.0);
    for place in in_order(index, lane) {
        let step = timeline.step(place);
        if is_drawn(timeline, step) {
            row(out, timeline, place, critical);
        } else {
            small += 1;
            spent += step.seconds();
        }
    }
    out.push_str("</ol>\n");
    if small > 0 {
        let _ = writeln!(
            out,
            "<p class=\"small faint\">{} of the engine, {} together, only in the table.</p>",
            counted(small, "short step"),
            cost(spent),
        );
    }
    out.push_str("</section>\n");
}

/// By their start, then by their number; what never ran comes last.
fn in_order(lane: usize, content: &Lane) -> Vec<Place> {
    let start =
        |place: &Place| content.steps[place.step].span().map_or(f64::INFINITY, |(start, _)| start);
    let number = |place: &Place| content.steps[place.step].name.position.map(|(number, _)| number);
    let mut places: Vec<Place> =
        (0..content.steps.len()).map(|step| Place { lane, step }).collect();
    places.sort_by(|one, other| {
        start(one).total_cmp(&start(other)).then_with(|| number(one).cmp(&number(other)))
    });
    places
}

/// What is said of a target next to its name.
fn told(lane: &Lane) -> String {
    if let Some(other) = &lane.same_as {
        return format!("built as {other}");
    }
    let count = |wanted: &[Fate]| {
        let all = lane.steps.iter().filter(|step| step.name.is_instruction());
        all.filter(|step| wanted.contains(&step.fate)).count()
    };
    let word = match lane.ending {
        Ending::Built => "built",
        Ending::Failed => "failed",
        Ending::Cancelled => "cancelled",
    };
    let Some((start, end)) = lane.span else { return format!("{word}, never started") };
    let (cached, run) = (count(&[Fate::Cached]), count(&[Fate::Ran, Fate::Failed]));
    format!("{word} in {}, {cached} cached, {run} run", cost(end - start))
}

fn row(out: &mut String, timeline: &Timeline, place: Place, critical: &HashSet<Place>) {
    let step = timeline.step(place);
    let on_path = critical.contains(&place);
    let title = text(&headline(step));
    let _ = write!(
        out,
        "<li class=\"row {}{}\" tabindex=\"0\"><span class=\"what\">{}<span class=\"text\">{title}</span>{}</span>\
         <svg class=\"track\" aria-hidden=\"true\"><use href=\"#grid\"/>",
        class(step.fate),
        if on_path { " critical" } else { "" },
        icon(step.fate),
        if on_path {
            "<svg class=\"path\" role=\"img\" aria-label=\"critical path\"><use href=\"#i-path\"/></svg>"
        } else {
            ""
        },
    );
    for (start, end) in &step.intervals {
        let (x, width) = extent(timeline, (*start, *end));
        let _ = write!(
            out,
            "<rect class=\"bar\" x=\"{x}%\" y=\"5\" width=\"{width}%\" height=\"11\" rx=\"1.5\"/>"
        );
    }
    if on_path && let Some((start, end)) = step.span() {
        let (x, width) = extent(timeline, (start, end));
        let _ = write!(out, "<rect class=\"mark\" x=\"{x}%\" {MARK} width=\"{width}%\"/>");
    }
    let _ = write!(out, "</svg><span class=\"cost\">{}</span>", short(step));
    card(out, timeline, place, on_path);
    out.push_str("</li>\n");
}

fn card(out: &mut String, timeline: &Timeline, place: Place, on_path: bool) {
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
    let _ = write!(
        out,
        "<div class=\"card\"><div class=\"step\">{}</div><p>{}</p>",
        text(&step.title()),
        facts.join(" · ")
    );
    if let Some(at) = located(lane, step) {
        let _ = write!(out, "<p>{}</p>", text(&at));
    }
    if let Some(error) = step.error.as_ref().filter(|_| step.fate == Fate::Failed) {
        let _ = write!(out, "<p class=\"error\">{}</p>", text(error.trim_end()));
    }
    let _ = write!(out, "<p class=\"faint\">{}</p></div>", text(&step.digest));
}

/// `Dockerfile:3`.
fn located(lane: &Lane, step: &Bar) -> Option<String> {
    Some(format!("{}:{}", lane.dockerfile.as_deref().unwrap_or("Dockerfile"), step.line?))
}

fn table(out: &mut String, timeline: &Timeline, critical: &HashSet<Place>) {
    out.push_str(
        "<h2 id=\"steps\">All steps</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"steps\"><table>\n<thead><tr>\
         <th scope=\"col\">target</th><th scope=\"col\">step</th><th scope=\"col\">result</th><th scope=\"col\" class=\"figure\">starts</th>\
         <th scope=\"col\" class=\"figure\">time</th><th scope=\"col\">critical</th><th scope=\"col\" class=\"figure\">transferred</th>\
         <th scope=\"col\">Dockerfile</th></tr></thead>\n<tbody>\n",
    );
    let lanes = timeline.lanes.iter().enumerate();
    for place in lanes.flat_map(|(index, lane)| in_order(index, lane)) {
        let (lane, step) = (&timeline.lanes[place.lane], timeline.step(place));
        let span = step.span();
        let figure = |value: Option<String>| value.unwrap_or_default();
        let shared = timeline.first_of(place) != place;
        let _ = writeln!(
            out,
            "<tr class=\"{}\"><td>{}</td><td><span class=\"step\">{}</span></td><td class=\"word\">{}{}{}</td><td class=\"figure\">{}</td>\
             <td class=\"figure\">{}</td><td class=\"word\">{}</td><td class=\"figure\">{}</td><td>{}</td></tr>",
            class(step.fate),
            text(&lane.name),
            text(&step.title()),
            icon(step.fate),
            step.fate.word(),
            if shared { ", shared" } else { "" },
            figure(span.map(|(start, _)| cost(start))),
            figure(span.map(|_| cost(step.seconds()))),
            if critical.contains(&place) { "yes" } else { "" },
            figure((step.bytes > 0).then(|| format::bytes(step.bytes))),
            figure(located(lane, step).map(|at| text(&at))),
        );
    }
    out.push_str("</tbody>\n</table></div>\n");
}

/// The title without the options of the instruction: mounts would take all the room there is.
fn headline(step: &Bar) -> String {
    let title = step.title();
    let Some((keyword, rest)) = step.name.instruction.split_once(' ') else { return title };
    let mut words = rest;
    while words.starts_with("--")
        && let Some((_, after)) = words.split_once(' ')
    {
        words = after;
    }
    let end = title.len() - step.name.instruction.len();
    // Where another stage is copied from tells more than which files are.
    if !step.name.is_instruction() || keyword == "COPY" {
        return title;
    }
    format!("{}{keyword} {words}", &title[..end])
}

/// Seconds from which what is no instruction is worth a row.
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

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Part of the whole in percent, to a hundredth; not a number in no case.
fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { (part / whole * 10_000.0).round() / 100.0 } else { 0.0 }
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

fn icon(fate: Fate) -> String {
    format!("<svg class=\"icon\" aria-hidden=\"true\"><use href=\"#i-{}\"/></svg>", class(fate))
}
