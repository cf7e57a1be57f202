//! How far estimates were from what then happened: reads the recordings that `scripts/eta` made.
//!
//! Each recording is one build: lines `{"at": SECONDS, "target": NAME, "status": ...}` as they came, and at the end
//! `{"at": SECONDS, "ended": [[NAME, SECONDS], ...]}`. Builds are taken in order of their names; each is estimated
//! at half of its time from those before it.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::time::Duration;

use doc2md_docker::progress::estimate::{Estimator, Past, Schedule};
use doc2md_docker::progress::outcome::TargetOutcome;
use doc2md_docker::progress::{Event, RunTrace, SolveStatus};

#[derive(serde::Deserialize)]
struct Line {
    at: f64,
    #[serde(default)]
    target: String,
    status: Option<SolveStatus>,
    #[serde(default)]
    ended: Vec<(String, f64)>,
}

fn events(text: &str) -> (Vec<(Event, Duration)>, f64) {
    let mut events = Vec::new();
    let mut end = 0.0;
    for line in text.lines() {
        let line: Line = serde_json::from_str(line).unwrap();
        if let Some(status) = line.status {
            let event = Event::Status { target: line.target, status };
            events.push((event, Duration::from_secs_f64(line.at)));
        }
        for (target, at) in line.ended {
            let started = Event::TargetStarted { target: target.clone() };
            events.insert(0, (started, Duration::ZERO));
            let outcome = TargetOutcome::Built(Default::default());
            events.push((Event::TargetFinished { target, outcome }, Duration::from_secs_f64(at)));
            end = line.at;
        }
    }
    events.sort_by_key(|(_, at)| *at);
    (events, end)
}

fn main() {
    let folder = std::env::args().nth(1).expect("the folder of the recordings");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut past, mut errors) = (Past::default(), Vec::new());
    for (number, file) in files.iter().enumerate() {
        let (events, end) = events(&std::fs::read_to_string(file).unwrap());
        let half = end / 2.0;
        let mut run = RunTrace::default();
        for (event, at) in &events {
            if at.as_secs_f64() <= half {
                run.apply(event, *at);
            }
        }
        let estimator = Estimator::new(&past, Schedule::default());
        let left = estimator.estimate(&run, Duration::from_secs_f64(half)).run;
        // The first build only fills the cache, the second is the first of its kind.
        if let (Some(left), 2..) = (left, number) {
            let (left, real) = (left.as_secs_f64(), end - half);
            let error = left / real - 1.0;
            println!(
                "{number:3}: {end:7.3} s, {real:7.3} s left, estimated {left:7.3} s ({:+.0} %)",
                error * 100.0
            );
            errors.push(error.abs());
        }
        let mut run = RunTrace::default();
        for (event, at) in &events {
            run.apply(event, *at);
        }
        past.builds.insert(0, (&run).into());
    }
    let mean = errors.iter().sum::<f64>() / errors.len().max(1) as f64;
    println!("mean absolute error over {} builds: {:.1} %", errors.len(), mean * 100.0);
}
