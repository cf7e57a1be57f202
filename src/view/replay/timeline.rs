//! Recorded runs as a page and as a trace.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::*;
use crate::progress::RunTrace;
use crate::view::timeline::{Source, Timeline, chrome, critical_path, page};

/// One engine built everything: recordings that are played together get one time.
fn at_one_time(mut events: Events) -> Events {
    let mut bases: BTreeMap<String, jiff::Timestamp> = BTreeMap::new();
    let start: jiff::Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
    for (event, _) in &events {
        if let Event::Status { target, status } = event
            && let Some(time) = latest(status)
        {
            bases.entry(target.clone()).or_insert(time);
        }
    }
    for (event, _) in &mut events {
        let Event::Status { target, status } = event else { continue };
        let Some(base) = bases.get(target) else { continue };
        for vertex in &mut status.vertexes {
            for time in [&mut vertex.started, &mut vertex.completed].into_iter().flatten() {
                *time = start + time.duration_since(*base);
            }
        }
    }
    events
}

fn timeline(name: &str, events: Events) -> Timeline {
    // The recording of twelve targets is of one run already.
    let together = if name.ends_with("twelve") { events } else { at_one_time(events) };
    let mut run = RunTrace::default();
    for (event, at) in &together {
        run.apply(event, *at);
    }
    let summary = run.summary(together.last().unwrap().1);
    let source = Source { file: "Dockerfile.worker".into(), text: FAILING.into() };
    let sources = [("worker".to_owned(), source)].into();
    let started = "2026-11-24T10:00:00Z".parse().unwrap();
    Timeline::of_run("doc2md", started, &run, &summary, &sources)
}

fn timelines() -> Vec<(String, Timeline)> {
    runs().into_iter().map(|(name, events)| (name.clone(), timeline(&name, events))).collect()
}

/// The page without what is the same in all of them, an element a line.
fn body(timeline: &Timeline) -> String {
    let page = page::page(timeline);
    let (_, body) = page.split_once("</defs></svg>\n").unwrap();
    body.replace("><", ">\n<")
}

/// What is drawn, in words.
fn words(timeline: &Timeline) -> String {
    let mut text = format!("{:.2} s, {:.2?}\n", timeline.seconds, timeline.totals());
    for place in timeline.places() {
        let (lane, step) = (&timeline.lanes[place.lane], timeline.step(place));
        let shared = if timeline.first_of(place) == place { "" } else { " (shared)" };
        let span =
            step.span().map_or(String::new(), |(start, end)| format!("{start:.2}-{end:.2} "));
        let title: String = step.title().chars().take(50).collect();
        let _ = writeln!(text, "{} {:9} {span}{title}{shared}", lane.name, step.fate.word());
    }
    text.push_str("critical path:\n");
    for leg in critical_path(timeline) {
        let title: String = timeline.step(leg.place).title().chars().take(50).collect();
        let lane = &timeline.lanes[leg.place.lane].name;
        let _ = writeln!(text, "+{:.2} {:.2} {lane} {title}", leg.waited, leg.seconds);
    }
    text
}

#[test]
fn every_recorded_run() {
    for (name, timeline) in timelines() {
        insta::assert_snapshot!(format!("timeline-{name}"), words(&timeline));
        if !name.ends_with("twelve") {
            insta::assert_snapshot!(format!("page-{name}"), body(&timeline));
        }
    }
}

#[test]
fn every_step_is_in_the_table_once_per_target() {
    for (name, timeline) in timelines() {
        let body = body(&timeline);
        let (_, table) = body.split_once("<tbody>").unwrap();
        assert_eq!(table.matches("<tr ").count(), timeline.places().count(), "{name}");
    }
}

#[test]
fn no_interval_exceeds_the_build() {
    for (name, timeline) in timelines() {
        let mut intervals = 0;
        for (start, end) in
            timeline.places().flat_map(|place| timeline.step(place).intervals.clone())
        {
            assert!(0.0 <= start && start <= end && end <= timeline.seconds, "{name}");
            intervals += 1;
        }
        assert!(intervals > 0, "{name}");
    }
}

#[test]
fn the_path_holds_the_failed_step_or_ends_the_build() {
    for (name, timeline) in timelines() {
        let path = critical_path(&timeline);
        let all: f64 = path.iter().map(|leg| leg.waited + leg.seconds).sum();
        assert!(all <= timeline.seconds + 1e-6, "{name}: {all}");
        assert!(path.iter().all(|leg| leg.waited >= 0.0), "{name}");
        if name.ends_with("failure") {
            let last = timeline.step(path.last().unwrap().place);
            let failed = timeline
                .places()
                .map(|place| timeline.step(place))
                .filter(|step| step.error.is_some());
            let end = failed.filter_map(|step| step.span()).map(|(_, end)| end).fold(0.0, f64::max);
            assert!(last.error.is_some() || last.span().unwrap().1 > end, "{name}");
        }
    }
}

#[test]
fn traces_have_what_viewers_want() {
    for (name, timeline) in timelines() {
        let text = chrome::document(&timeline).to_string();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        let events = document["traceEvents"].as_array().unwrap();
        let end = (timeline.seconds * 1e6).ceil() as u64;
        let mut slices: BTreeMap<(u64, u64), Vec<(u64, u64)>> = BTreeMap::new();
        for event in events {
            for key in ["name", "cat", "ph"] {
                assert!(event[key].is_string(), "{name}: {key} of {event}");
            }
            let number = |key: &str| {
                event[key].as_u64().unwrap_or_else(|| panic!("{name}: {key} of {event}"))
            };
            let track = (number("pid"), number("tid"));
            assert!(number("ts") <= end && event["args"].is_object(), "{name}: {event}");
            if event["ph"] == "X" {
                assert!(number("ts") + number("dur") <= end, "{name}: {event}");
                slices.entry(track).or_default().push((number("ts"), number("dur")));
                if track.1 > 0 {
                    assert!(event["args"]["instruction"].is_string(), "{event}");
                    assert!(event["args"]["digest"].is_string(), "{event}");
                    assert!(event["args"]["cached"].is_boolean(), "{event}");
                }
            } else {
                assert_eq!(event["ph"], "M", "{name}");
            }
        }
        assert_eq!(
            slices.keys().map(|(pid, _)| pid).collect::<std::collections::BTreeSet<_>>().len(),
            timeline.lanes.len(),
            "{name}"
        );
        for (track, mut slices) in slices {
            slices.sort_unstable();
            for pair in slices.windows(2) {
                assert!(pair[0].0 + pair[0].1 <= pair[1].0, "{name}: slices of {track:?} overlap");
            }
        }
    }
}

#[test]
fn a_step_knows_its_line() {
    let (_, timeline) = timelines().into_iter().find(|(name, _)| name == "28.5-failure").unwrap();
    let worker = timeline.lanes.iter().find(|lane| lane.name == "worker").unwrap();
    let failed = worker.steps.iter().find(|step| step.error.is_some()).unwrap();
    assert_eq!(failed.line, Some(4));
    assert!(page::page(&timeline).contains("<p>Dockerfile.worker:4</p>"));
}
