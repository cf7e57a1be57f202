//! Lines where nothing redraws.

use super::*;

#[test]
fn every_recorded_run() {
    for (name, events) in runs() {
        let (out, err) = show(Progress::Plain, &Ci::None, &events);
        assert_eq!(out, "", "{name}");
        insta::assert_snapshot!(format!("plain-{name}"), err);
    }
}

#[test]
fn what_is_cached_is_one_line() {
    for name in ["20.10-cached", "26.1-cached", "28.5-cached"] {
        let (_, err) = show(Progress::Plain, &Ci::None, &events(&[("api", name)]));
        let (first, rest) = err.split_once('\n').unwrap();
        assert!(first.starts_with("api  CACHED 7 steps: ["), "{name}: {err}");
        for stage in ["[build 1-4/4]", "[stage-1 2-4/4]"] {
            assert!(first.contains(stage), "{name}: {err}");
        }
        assert!(rest.starts_with("api  built, 7 cached, 0 run  0.0s\n"), "{name}: {err}");
        assert_eq!(err.matches("CACHED").count(), 2, "once, and in the table's header: {err}");
    }
}

#[test]
fn control_characters_and_raw_bytes_stay_out() {
    let (_, err) =
        show(Progress::Plain, &Ci::None, &events(&[("api", "28.5-containerd-warnings")]));
    insta::assert_snapshot!("plain-28.5-containerd-warnings", err);
}

/// Every line a step wrote, by target, in order.
fn written(events: &[(Event, Duration)]) -> Vec<(String, String)> {
    let mut run = RunTrace::default();
    let mut lines = Vec::new();
    for (event, at) in events {
        for change in run.apply(event, *at) {
            let (Event::Status { target, .. } | Event::TargetFinished { target, .. }) = event
            else {
                continue;
            };
            if let crate::progress::Change::Line { text, .. } = change {
                lines.push((target.clone(), text.trim_end().to_owned()));
            }
        }
    }
    lines
}

#[test]
fn no_line_of_a_build_is_lost_and_targets_stay_in_order() {
    for (name, events) in runs() {
        for ci in [Ci::None, super::ci::github(), Ci::GitLab { started: 0 }] {
            // Also where the program ends without coming to its end.
            for ends in [true, false] {
                let (ui, _, err) = piped(Colours::Drop);
                let mut reporter = Reporter::new(Progress::Plain, ui, ci.clone()).unwrap();
                if ends {
                    replay(&mut reporter, &events);
                } else {
                    play(&mut reporter, &events, || ());
                }
                drop(reporter);
                let text = err.text();
                let targets: Vec<String> = events
                    .iter()
                    .filter_map(|(event, _)| match event {
                        Event::TargetStarted { target } => Some(target.clone()),
                        _ => None,
                    })
                    .collect();
                for target in targets {
                    let mine = |line: &&str| line.split(' ').next() == Some(&target);
                    let shown: Vec<&str> = text
                        .lines()
                        .filter(mine)
                        .filter_map(|line| line.split_once(" | ").map(|(_, text)| text))
                        .collect();
                    let all: Vec<String> = written(&events)
                        .into_iter()
                        .filter(|(of, text)| *of == target && !text.is_empty())
                        .map(|(_, text)| text)
                        .collect();
                    let control = |c: char| c.is_control();
                    assert!(!all.iter().any(|line| line.contains(control)));
                    assert_eq!(shown, all, "{name} {ci:?} {target}");
                }
            }
        }
    }
}

#[test]
fn an_interrupt_holds_no_line_back() {
    let (ui, _, err) = piped(Colours::Drop);
    let mut reporter = Reporter::new(Progress::Plain, ui, Ci::None).unwrap();
    let all = twelve("28.5");
    let shown = || err.text().lines().filter(|line| line.contains("] | ")).count();
    // Up to where one waits for another.
    let waits = (1..all.len()).find(|&count| {
        let (event, at) = &all[count - 1];
        reporter.handle(event, *at);
        shown() < written(&all[..count]).len()
    });
    let waits = waits.expect("several write at the same time");
    let at = all[waits].1;
    reporter.handle(&Event::Cancelling { reason: CancelReason::Interrupted }, at);
    // A second interrupt would end the program here.
    assert_eq!(shown(), written(&all[..waits]).len());
}

#[test]
fn a_silent_step_is_announced_once() {
    let (ui, _, err) = piped(Colours::Drop);
    let mut reporter = Reporter::new(Progress::Plain, ui, Ci::None).unwrap();
    let name = "[2/2] RUN sleep 60";
    let json = format!(
        r#"{{"vertexes":[{{"digest":"sha256:a","name":"{name}","started":"2026-11-23T10:00:00Z"}}]}}"#
    );
    let status = serde_json::from_str(&json).unwrap();
    reporter.handle(&Event::Planned { targets: vec![info("api")] }, Duration::ZERO);
    reporter.handle(&Event::Status { target: "api".into(), status }, Duration::from_secs(1));
    for second in 1..20 {
        reporter.tick(Duration::from_secs(second));
    }
    assert_eq!(err.text(), "api  [2/2] RUN sleep 60  running\n");
}

#[test]
fn what_runs_for_long_is_told_every_half_minute_without_its_mounts() {
    let (ui, _, err) = piped(Colours::Drop);
    let mut reporter = Reporter::new(Progress::Plain, ui, Ci::None).unwrap();
    let name = "[2/2] RUN --mount=type=cache,target=/c sleep 600";
    let json = format!(
        r#"{{"vertexes":[{{"digest":"sha256:a","name":"{name}","started":"2026-11-23T10:00:00Z"}}]}}"#
    );
    let status: SolveStatus = serde_json::from_str(&json).unwrap();
    let targets = vec![info("api"), info("worker")];
    reporter.handle(&Event::Planned { targets }, Duration::ZERO);
    // Both wait for one step.
    for target in ["api", "worker"] {
        let event = Event::Status { target: target.into(), status: status.clone() };
        reporter.handle(&event, Duration::from_secs(1));
    }
    for second in 1..125 {
        reporter.tick(Duration::from_secs(second));
    }
    let text = err.text();
    let told: Vec<&str> = text.lines().filter(|line| line.contains("running for")).collect();
    assert_eq!(
        told,
        [
            "api     [2/2] RUN sleep 600  running for 29.0s",
            "api     [2/2] RUN sleep 600  running for 59.0s",
            "api     [2/2] RUN sleep 600  running for 1m29s",
            "api     [2/2] RUN sleep 600  running for 1m59s",
        ]
    );
}
