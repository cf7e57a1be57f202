//! Critical paths, clocks, shared steps and hostile texts.
#![allow(clippy::unwrap_used)]

use super::*;

/// A step that ran once; `reads` are the places of what it reads.
pub(super) fn bar(name: &str, interval: Option<(f64, f64)>, reads: &[usize]) -> Bar {
    Bar {
        digest: format!("sha256:{name}"),
        name: StepName::parse(name),
        line: None,
        fate: if interval.is_some() { Fate::Ran } else { Fate::NotRun },
        error: None,
        cause: None,
        intervals: interval.into_iter().collect(),
        bytes: 0,
        resources: None,
        inputs: reads.to_vec(),
    }
}

fn lane(name: &str, span: (f64, f64), steps: Vec<Bar>) -> Lane {
    Lane {
        name: name.to_owned(),
        image: format!("p-{name}"),
        same_as: None,
        ending: TargetEnd::Built,
        error: None,
        span: Some(span),
        dockerfile: Some("Dockerfile".to_owned()),
        steps,
    }
}

fn timeline(seconds: f64, lanes: Vec<Lane>) -> Timeline {
    let started = "2026-11-24T10:00:00Z".parse().unwrap();
    Timeline::new("p".to_owned(), started, seconds, lanes)
}

/// Frontend, a slow stage and a quick one that meet, and the export.
fn diamond() -> Vec<Bar> {
    vec![
        bar("[internal] load build definition from Dockerfile", Some((0.0, 0.5)), &[]),
        bar("[a 1/2] FROM x", Some((0.5, 1.0)), &[]),
        bar("[a 2/2] RUN slow", Some((1.0, 6.0)), &[1]),
        bar("[b 2/4] RUN quick", Some((1.0, 2.0)), &[1]),
        bar("[b 3/4] COPY --from=a", Some((6.5, 7.0)), &[3, 2]),
        bar("exporting to image", Some((7.0, 8.0)), &[]),
    ]
}

fn names(timeline: &Timeline) -> Vec<String> {
    let name = |leg: &Leg| {
        let lane = &timeline.lanes[leg.place.lane].name;
        format!("{lane} {}", timeline.step(leg.place).title())
    };
    critical_path(timeline).iter().map(name).collect()
}

#[test]
fn the_path_follows_what_ended_last() {
    let timeline = timeline(8.5, vec![lane("api", (0.0, 8.5), diamond())]);
    assert_eq!(
        names(&timeline),
        [
            "api [internal] load build definition from Dockerfile",
            "api [a 1/2] FROM x",
            "api [a 2/2] RUN slow",
            "api [b 3/4] COPY --from=a",
            "api exporting to image",
        ]
    );
    let legs = critical_path(&timeline);
    assert_eq!(legs[3].waited, 0.5);
    assert_eq!(legs.iter().map(|leg| leg.seconds).sum::<f64>(), 7.5);
}

#[test]
fn an_instruction_that_reads_nothing_waits_for_no_other_stage() {
    let steps = vec![
        bar("[internal] load metadata", Some((0.0, 0.5)), &[]),
        bar("[a 1/2] FROM x", Some((0.5, 0.9)), &[]),
        bar("[b 1/2] FROM y", Some((1.0, 5.0)), &[]),
        bar("[b 2/2] RUN y", Some((5.0, 6.0)), &[2]),
    ];
    let timeline = timeline(6.0, vec![lane("api", (0.0, 6.0), steps)]);
    assert_eq!(
        names(&timeline),
        ["api [internal] load metadata", "api [b 1/2] FROM y", "api [b 2/2] RUN y"]
    );
}

#[test]
fn a_target_that_waited_goes_on_from_the_one_that_ended_last_before_it() {
    let one = |from: f64, name: &str| {
        vec![bar(&format!("[1/2] RUN {name}"), Some((from, from + 2.0)), &[])]
    };
    let lanes = vec![
        lane("base", (0.0, 2.0), one(0.0, "base")),
        lane("other", (0.0, 1.0), vec![bar("[1/2] RUN other", Some((0.0, 1.0)), &[])]),
        lane("api", (2.0, 4.0), one(2.0, "api")),
    ];
    assert_eq!(names(&timeline(4.0, lanes)), ["base [1/2] RUN base", "api [1/2] RUN api"]);
}

#[test]
fn what_a_failure_stopped_is_not_on_the_path() {
    let mut failed = bar("[1/2] RUN false", Some((1.0, 2.0)), &[]);
    failed.fate = Fate::Failed;
    let mut stopped = bar("[1/2] RUN sleep", Some((0.0, 2.1)), &[]);
    stopped.fate = Fate::Cancelled;
    let mut lanes =
        vec![lane("api", (0.0, 2.0), vec![failed]), lane("worker", (0.0, 2.1), vec![stopped])];
    (lanes[0].ending, lanes[1].ending) = (TargetEnd::Failed, TargetEnd::Cancelled);
    assert_eq!(names(&timeline(2.1, lanes.clone())), ["api [1/2] RUN false"]);
    // A step that came to its end before its target was stopped determined nothing, either.
    lanes[1].steps[0].fate = Fate::Ran;
    assert_eq!(names(&timeline(2.1, lanes.clone())), ["api [1/2] RUN false"]);
    // With --keep-going others go on, which takes nothing from why it failed.
    lanes[1].ending = TargetEnd::Built;
    lanes[1].steps[0].intervals = vec![(0.0, 9.0)];
    assert_eq!(names(&timeline(9.0, lanes.clone())), ["api [1/2] RUN false"]);
    // Where no step failed (the engine could not export), what the target did last is nearest to it.
    lanes[0].steps[0].fate = Fate::Ran;
    assert_eq!(names(&timeline(9.0, lanes)), ["api [1/2] RUN false"]);
}

#[test]
fn a_step_that_another_target_did_earlier_still_waited_for_what_it_reads() {
    let mut steps = diamond();
    steps[4].intervals = vec![(3.0, 3.5)];
    let timeline = timeline(8.5, vec![lane("api", (0.0, 8.5), steps)]);
    let path = names(&timeline);
    assert_eq!(path[2..4], ["api [a 2/2] RUN slow", "api [b 3/4] COPY --from=a"]);
    assert_eq!(critical_path(&timeline)[3].seconds, 0.0);
}

#[test]
fn nothing_that_ran_is_no_path() {
    assert_eq!(critical_path(&timeline(0.0, Vec::new())), []);
    let waiting = vec![bar("[1/2] RUN x", None, &[])];
    assert_eq!(critical_path(&timeline(1.0, vec![lane("api", (0.0, 1.0), waiting)])), []);
}

#[test]
fn a_shared_step_is_there_for_each_target_and_counts_once() {
    let mut theirs = diamond();
    theirs[5].intervals = vec![(7.5, 8.0)];
    let lanes = vec![lane("api", (0.0, 8.0), diamond()), lane("worker", (0.0, 8.0), theirs)];
    let timeline = timeline(8.0, lanes);
    let totals = timeline.totals();
    assert_eq!((totals.cached, totals.run, totals.work), (0, 4, 9.0));
    let shared = StepIndex { lane: 1, step: 2 };
    assert_eq!(timeline.first_of(shared), StepIndex { lane: 0, step: 2 });
    // Both export, each for itself.
    let export = StepIndex { lane: 1, step: 5 };
    assert_eq!(timeline.first_of(export), export);
    let path = critical_path(&timeline);
    assert!(on_path(&timeline, &path).contains(&shared));
}

#[test]
fn an_engine_with_another_time_is_set_right() {
    let steps = |at: f64| vec![bar("[1/2] RUN x", Some((at, at + 2.0)), &[])];
    let placed = |at: f64| {
        timeline(4.0, vec![lane("api", (1.0, 4.0), steps(at))]).lanes[0].steps[0].intervals[0]
    };
    assert_eq!(placed(1.5), (1.5, 3.5));
    assert_eq!(placed(-3600.0), (1.0, 3.0));
    assert_eq!(placed(3600.0), (2.0, 4.0));
    // A target whose start was noticed late: its steps keep their length.
    let late = lane("a", (3.0, 4.0), vec![bar("[1/1] RUN x", Some((1.5, 3.5)), &[])]);
    assert_eq!(timeline(4.0, vec![late]).lanes[0].steps[0].intervals[0], (2.0, 4.0));
}

#[test]
fn a_step_that_others_began_before_takes_nothing_from_those_after_it() {
    let base = bar("[1/2] FROM base", Some((-5.0, 0.5)), &[]);
    let run = bar("[2/2] RUN x", Some((0.5, 2.0)), &[0]);
    let timeline = timeline(2.0, vec![lane("api", (0.1, 2.0), vec![base, run])]);
    let steps = &timeline.lanes[0].steps;
    assert_eq!((steps[0].intervals[0], steps[1].intervals[0]), ((0.0, 0.5), (0.5, 2.0)));
}

proptest::proptest! {
    /// Whatever the clocks and the engine say: every step lies within the build, the path ends, and
    /// both ways to write it down can.
    #[test]
    fn no_step_exceeds_the_build(
        seconds in 0.0..100.0_f64,
        skew in -1e5..1e5_f64,
        steps in proptest::collection::vec(
            (0.0..120.0_f64, 0.0..50.0_f64, proptest::collection::vec(0usize..8, 0..3), 0usize..2),
            0..8,
        ),
    ) {
        let count = steps.len();
        let mut lanes = vec![lane("a", (0.0, seconds), Vec::new()), lane("b", (1.0, 200.0), Vec::new())];
        for (number, (start, length, reads, at)) in steps.into_iter().enumerate() {
            let interval = (skew + start, skew + start + length);
            let mut step = bar(&format!("[1/{number}] RUN x"), Some(interval), &[]);
            step.inputs = reads.into_iter().filter(|read| *read < lanes[at].steps.len()).collect();
            lanes[at].steps.push(step);
        }
        let timeline = timeline(seconds, lanes);
        for lane in &timeline.lanes {
            for (start, end) in lane.steps.iter().flat_map(|step| &step.intervals).chain(&lane.span) {
                proptest::prop_assert!(0.0 <= *start && start <= end && *end <= seconds);
            }
        }
        let path = critical_path(&timeline);
        proptest::prop_assert!(path.len() <= count);
        proptest::prop_assert!(path.iter().map(|leg| leg.seconds).sum::<f64>() <= seconds + 1e-6);
        let _ = page::page(&timeline);
        let end = (seconds * 1e6).ceil() as u64;
        for event in chrome::document(&timeline)["traceEvents"].as_array().unwrap() {
            let at = |key: &str| event[key].as_u64().unwrap_or(0);
            proptest::prop_assert!(at("ts") + at("dur") <= end);
        }
    }

    /// Nothing an instruction, a name or an error holds becomes part of the page's own text.
    #[test]
    fn nothing_from_elsewhere_becomes_markup(foreign in "[<>&\"'/a-z!\\-\u{0}\u{202e}ü日]{0,20}") {
        let shape = |foreign: &str| {
            let mut step = bar(&format!("[1/2] RUN x{foreign}"), Some((0.0, 1.0)), &[]);
            step.digest = foreign.to_owned();
            step.fate = Fate::Failed;
            step.error = Some(foreign.to_owned());
            step.line = Some(3);
            step.cause = Some(foreign.to_owned());
            let mut lane = lane(foreign, (0.0, 1.0), vec![step]);
            lane.error = Some(foreign.to_owned());
            lane.dockerfile = Some(foreign.to_owned());
            let mut timeline = timeline(1.0, vec![lane]);
            timeline.project = foreign.to_owned();
            let page = page::page(&timeline);
            ["<", ">", "\""].map(|sign| page.matches(sign).count())
        };
        proptest::prop_assert_eq!(shape(&foreign), shape("harmless"));
    }
}

#[test]
fn hostile_instructions_are_shown_as_they_are() {
    let name = "[1/2] RUN echo </style></script><img src=x onerror=\"alert('1')\"> && ü日本語 \u{202e}\u{1b}[31m";
    let page = page::page(&timeline(
        1.0,
        vec![lane("api", (0.0, 1.0), vec![bar(name, Some((0.0, 1.0)), &[])])],
    ));
    let shown = "RUN echo &lt;/style&gt;&lt;/script&gt;&lt;img src=x onerror=&quot;alert('1')&quot;&gt; &amp;&amp; ü日本語";
    assert!(page.contains(shown), "{page}");
    for word in ["<img", "</script>", "\u{202e}", "\u{1b}"] {
        assert!(!page.contains(word), "{word:?}");
    }
    assert_eq!(page.matches("</style>").count(), 1);
}

#[test]
fn rows_say_what_runs_and_not_what_is_mounted() {
    let name = "[a 1/2] RUN --mount=type=cache,target=/root --network=none pip install x";
    let steps = vec![bar(name, Some((0.0, 1.0)), &[]), bar("[a 2/2] COPY --from=b c d", None, &[])];
    let page = page::page(&timeline(1.0, vec![lane("api", (0.0, 1.0), steps)]));
    assert!(page.contains("<span class=\"text\">[a 1/2] RUN pip install x</span>"), "{page}");
    assert!(page.contains("<span class=\"text\">[a 2/2] COPY --from=b c d</span>"), "{page}");
    assert!(
        page.contains("<div class=\"step\">[a 1/2] RUN --mount=type=cache,target=/root"),
        "{page}"
    );
}

#[test]
fn steps_say_why_they_ran_where_that_is_known() {
    let timeline = timeline(8.5, vec![lane("api", (0.0, 8.5), diamond())]);
    assert!(!page::page(&timeline).contains("why it ran"));
    let because = "because <f> changed".to_owned();
    let step = ("api".to_owned(), "sha256:[a 2/2] RUN slow".to_owned());
    let explained = timeline.explained(&[(step, because)].into());
    let page = page::page(&explained);
    assert!(page.contains("<p>ran because &lt;f&gt; changed</p>"), "{page}");
    assert!(page.contains("<td>because &lt;f&gt; changed</td>"), "{page}");
    let events = chrome::document(&explained)["traceEvents"].clone();
    let events = events.as_array().unwrap().iter();
    let causes: Vec<&str> = events.filter_map(|event| event["args"]["cause"].as_str()).collect();
    assert_eq!(causes, ["because <f> changed"]);
}

#[test]
fn the_page_lets_nothing_in() {
    let page = page::page(&timeline(8.5, vec![lane("api", (0.0, 8.5), diamond())]));
    for word in
        ["<script", "http://", "https://", " src=", "@import", " style=", "onload", "onclick"]
    {
        assert!(!page.contains(word), "{word:?}");
    }
    assert!(page.contains("default-src 'none'; style-src 'sha256-"));
}
