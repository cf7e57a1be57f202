//! Estimates of small made-up builds.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::progress::{Event, SolveStatus, TargetInfo, Vertex};

/// `api`: a base, an install of `install` seconds, a copy, an export of one second.
fn past_target(install: Option<f64>, copied: bool) -> PastTarget {
    let mut at = 0.1;
    let mut steps = Vec::new();
    let mut add = |name: &str, cached, seconds: f64, inputs: &[usize]| {
        steps.push(PastStep {
            name: name.into(),
            cached: Some(cached),
            intervals: vec![(at, at + seconds)],
            inputs: inputs.to_vec(),
        });
        at += seconds;
    };
    add("[internal] load build definition from Dockerfile", false, 0.1, &[]);
    add("[1/3] FROM base@sha256:0a", true, 0.0, &[]);
    add("[2/3] RUN install", install.is_none(), install.unwrap_or(0.0), &[1]);
    add("[3/3] COPY . .", !copied, if copied { 0.5 } else { 0.0 }, &[2]);
    add("exporting to image", false, if copied { 1.0 } else { 0.0 }, &[]);
    PastTarget { built: true, seconds: at + 0.1, size_bytes: Some(10), steps }
}

fn past(builds: Vec<PastTarget>) -> Past {
    let build = |target| PastBuild { targets: [("api".to_owned(), target)].into() };
    Past { builds: builds.into_iter().map(build).collect() }
}

fn vertex(digest: &str, name: &str, inputs: &[&str], started: Option<i64>) -> Vertex {
    Vertex {
        digest: digest.into(),
        name: name.into(),
        inputs: inputs.iter().map(|&input| input.to_owned()).collect(),
        started: started.map(|millis| jiff::Timestamp::from_millisecond(millis).unwrap()),
        ..Vertex::default()
    }
}

struct Run {
    run: RunTrace,
    estimator: Estimator,
}

impl Run {
    fn new(past: &Past) -> Self {
        let mut run = RunTrace::default();
        let info = |name: &str| TargetInfo { name: name.into(), image: name.into(), same_as: None };
        run.apply(&Event::Planned { targets: vec![info("api")] }, Duration::ZERO);
        run.apply(&Event::TargetStarted { target: "api".into() }, Duration::ZERO);
        Self { run, estimator: Estimator::new(past, Schedule::default()) }
    }

    fn status(&mut self, millis: i64, vertexes: Vec<Vertex>) {
        let status = SolveStatus { vertexes, ..SolveStatus::default() };
        let event = Event::Status { target: "api".into(), status };
        self.run.apply(&event, Duration::from_millis(millis.unsigned_abs()));
    }

    /// The graph, with nothing started.
    fn announce(&mut self) {
        self.status(
            100,
            vec![
                vertex("f", "[1/3] FROM base@sha256:0b", &[], None),
                vertex("r", "[2/3] RUN install", &["f"], None),
                vertex("c", "[3/3] COPY . .", &["r"], None),
            ],
        );
    }

    fn cached(&mut self, millis: i64, digest: &str, name: &str) {
        let started = vertex(digest, name, &[], Some(millis));
        self.status(millis, vec![Vertex { completed: started.started, cached: true, ..started }]);
    }

    fn starts(&mut self, millis: i64, digest: &str, name: &str) {
        self.status(millis, vec![vertex(digest, name, &[], Some(millis))]);
    }

    fn ends(&mut self, started: i64, millis: i64, digest: &str, name: &str) {
        let vertex = vertex(digest, name, &[], Some(started));
        let completed = Some(jiff::Timestamp::from_millisecond(millis).unwrap());
        self.status(millis, vec![Vertex { completed, ..vertex }]);
    }

    fn left(&self, millis: u64) -> Option<f64> {
        let estimate = self.estimator.estimate(&self.run, Duration::from_millis(millis));
        assert_eq!(estimate.run, estimate.targets["api"]);
        estimate.run.map(|left| (left.as_secs_f64() * 100.0).round() / 100.0)
    }
}

#[test]
fn nothing_is_known_without_earlier_builds() {
    let mut run = Run::new(&Past::default());
    assert_eq!(run.left(0), None);
    run.announce();
    assert_eq!(run.left(1000), None);
}

#[test]
fn before_the_graph_is_known_the_median_of_whole_builds_counts() {
    let builds = [7.0, 8.0, 30.0].map(|install| past_target(Some(install), true));
    let run = Run::new(&past(builds.to_vec()));
    // 0.1 + 0.1 + 8 + 0.5 + 1 + 0.1
    assert_eq!(run.left(0), Some(9.8));
    assert_eq!(run.left(800), Some(9.0));
}

#[test]
fn what_is_cached_is_not_waited_for_and_what_follows_a_step_that_runs_runs() {
    // The last build was a change of code; before it, everything ran once.
    let mut run = Run::new(&past(vec![past_target(None, true), past_target(Some(8.0), true)]));
    run.announce();
    run.cached(200, "f", "[1/3] FROM base@sha256:0b");
    // Both builds agree so far; the newer one decides: copy 0.5, then an export of 1.0, or half of it, for the
    // older one made two layers.
    assert_eq!(run.left(200), Some(1.25));
    run.cached(200, "r", "[2/3] RUN install");
    run.starts(300, "c", "[3/3] COPY . .");
    let left = run.left(300).unwrap();
    assert!((1.5..=1.8).contains(&left), "{left}");
    run.ends(300, 800, "c", "[3/3] COPY . .");
    let left = run.left(1300).unwrap();
    assert!((0.5..=0.8).contains(&left), "{left}");
}

#[test]
fn a_step_that_runs_makes_what_follows_run_and_takes_what_is_usually_left_of_it() {
    let installs = [8.0, 9.0, 10.0, 20.0].map(|install| past_target(Some(install), true));
    let mut builds = vec![past_target(None, true)];
    builds.extend(installs);
    let mut run = Run::new(&past(builds));
    run.announce();
    run.cached(200, "f", "[1/3] FROM base@sha256:0b");
    run.starts(200, "r", "[2/3] RUN install");
    let near = |millis, expected: f64| {
        let left = run.left(millis).unwrap();
        assert!((left - expected).abs() < 0.11, "at {millis}: {left}, not {expected}");
    };
    near(200, 9.5 + 1.5);
    near(5200, 4.5 + 1.5);
    // Later than the median: only the build that took longer still can tell.
    near(12_200, 8.0 + 1.5);
    // Later than ever.
    near(30_200, 3.0 + 1.5);
}

#[test]
fn an_instruction_that_never_ran_is_not_guessed() {
    let mut run = Run::new(&past(vec![past_target(Some(8.0), true)]));
    run.status(
        100,
        vec![
            vertex("f", "[1/3] FROM base", &[], None),
            vertex("n", "[2/3] RUN something new", &["f"], None),
            vertex("c", "[3/3] COPY . .", &["n"], None),
        ],
    );
    run.cached(200, "f", "[1/3] FROM base");
    assert_eq!(run.left(200), None);
    run.starts(300, "n", "[2/3] RUN something new");
    run.ends(300, 900, "n", "[2/3] RUN something new");
    assert_eq!(run.left(900), Some(1.5));
}

#[test]
fn a_slow_machine_makes_the_rest_slower() {
    let mut run = Run::new(&past(vec![past_target(Some(8.0), true)]));
    run.announce();
    run.cached(200, "f", "[1/3] FROM base@sha256:0b");
    run.starts(200, "r", "[2/3] RUN install");
    run.ends(200, 16_200, "r", "[2/3] RUN install");
    let left = run.left(16_200).unwrap();
    assert!((2.4..=2.7).contains(&left), "{left}");
}

#[test]
fn waiting_targets_take_their_place_in_the_schedule() {
    let target = |seconds| PastTarget { built: true, seconds, ..PastTarget::default() };
    let targets = [("a", 4.0), ("b", 3.0), ("c", 2.0), ("d", 1.0)];
    let targets = targets.map(|(name, seconds)| (name.to_owned(), target(seconds)));
    let past = Past { builds: vec![PastBuild { targets: targets.into() }] };
    let mut run = RunTrace::default();
    let infos = ["a", "b", "c", "d", "e"].map(|name| TargetInfo {
        name: name.into(),
        image: name.into(),
        same_as: (name == "e").then(|| "d".to_owned()),
    });
    run.apply(&Event::Planned { targets: infos.into() }, Duration::ZERO);
    let estimate = |schedule| {
        let estimate = Estimator::new(&past, schedule).estimate(&run, Duration::ZERO);
        let seconds = |left: &Option<Duration>| left.map(|left| left.as_secs());
        (seconds(&estimate.run), estimate.targets.values().map(seconds).collect::<Vec<_>>())
    };
    let all = |list: [u64; 5]| list.map(Some).to_vec();
    assert_eq!(estimate(Schedule::default()), (Some(4), all([4, 3, 2, 1, 1])));
    let two = Schedule { parallel: Some(2), after: BTreeMap::new() };
    assert_eq!(estimate(two), (Some(5), all([4, 3, 5, 5, 5])));
    let after = Schedule { parallel: None, after: [("d".into(), vec!["a".into()])].into() };
    assert_eq!(estimate(after), (Some(5), all([4, 3, 2, 5, 5])));
}

#[test]
fn one_target_without_a_past_leaves_the_run_without_an_estimate() {
    let mut run = Run::new(&past(vec![past_target(None, true)]));
    let info = |name: &str| TargetInfo { name: name.into(), image: name.into(), same_as: None };
    run.run.apply(&Event::Planned { targets: vec![info("new")] }, Duration::ZERO);
    let estimate = run.estimator.estimate(&run.run, Duration::ZERO);
    assert_eq!(estimate.run, None);
    assert!(estimate.targets["api"].is_some());
    assert_eq!(estimate.targets["new"], None);
}

#[test]
fn circles_end() {
    let mut run = Run::new(&past(vec![past_target(Some(8.0), true)]));
    run.status(
        100,
        vec![
            vertex("a", "[1/2] COPY a b", &["b"], None),
            vertex("b", "[2/2] COPY b a", &["a"], None),
        ],
    );
    assert_eq!(run.left(200), None);
}
