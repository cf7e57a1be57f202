//! Logs that a CI's page folds.

use super::*;

pub(super) fn github() -> Ci {
    Ci::GitHub { workspace: Some("/ws".into()), token: "t0ken".into() }
}

#[test]
fn every_recorded_run() {
    for (name, events) in runs() {
        for (ci, kind) in [(github(), "github"), (Ci::GitLab { started: 1_700_000_000 }, "gitlab")]
        {
            let (out, err) = show(Progress::Auto, &ci, &events);
            assert_eq!(out, "", "{name}");
            let shown = err.replace('\x1b', "<ESC>").replace('\r', "<CR>");
            insta::assert_snapshot!(format!("{kind}-{name}"), shown);
        }
    }
}

#[test]
fn groups_are_opened_and_closed_in_turns() {
    for (name, events) in runs() {
        let (_, err) = show(Progress::Auto, &github(), &events);
        let mut open = false;
        for line in err.lines() {
            if line.starts_with("::group::") {
                assert!(!open, "{name}: {line}");
                open = true;
            } else if line == "::endgroup::" {
                assert!(open, "{name}");
                open = false;
            }
        }
        assert!(!open, "{name}");
    }
}

#[test]
fn the_last_thirty_lines_tell_which_target_step_and_line_failed_and_why() {
    for engine in ENGINES {
        let [success, failure] = ["success", "failure"].map(|kind| format!("{engine}-{kind}"));
        let pair = events(&[("api", &success), ("worker", &failure)]);
        for ci in [Ci::None, Ci::Other, github(), Ci::GitLab { started: 0 }] {
            for events in [&pair, &twelve(engine)] {
                let (_, err) = show(Progress::Plain, &ci, events);
                let lines: Vec<&str> = err.lines().collect();
                let last = lines[lines.len().saturating_sub(30)..].join("\n");
                let target = if events.len() == pair.len() {
                    "worker [4/5] RUN for i"
                } else {
                    "mail [stage-1 4/5] RUN for i"
                };
                for word in [
                    target,
                    "ERROR: No matching distribution found for fastapii",
                    "error: failed to build ",
                    "Dockerfile.worker:4",
                    "4 | RUN for i in $(seq",
                    "ended with exit code",
                ] {
                    assert!(last.contains(word), "{engine} {ci:?}: no {word:?} in\n{last}");
                }
            }
        }
    }
}

/// Three earlier builds of the target `api` in which the slow step took 2, 3 and 4 seconds.
fn earlier() -> Past {
    use crate::progress::estimate::{PastBuild, PastStep, PastTarget};
    let build = |seconds: f64| {
        let step = PastStep {
            name: "[build 4/4] RUN echo compiling && sleep 1 && printf '10%%\\r50%%\\r100%%\\n' && cat app.txt > out.txt && echo done".into(),
            cached: Some(false),
            intervals: vec![(0.0, seconds)],
            inputs: Vec::new(),
        };
        let target = PastTarget {
            built: true,
            seconds: seconds + 1.0,
            size_bytes: Some(250_000_000),
            steps: vec![step],
        };
        PastBuild { targets: [("api".to_owned(), target)].into() }
    };
    Past { builds: [2.0, 3.0, 4.0].map(build).into() }
}

#[test]
fn the_summary_compares_with_earlier_builds() {
    for (name, events) in runs() {
        let (ui, _, _) = piped(Colours::Drop);
        let mut reporter = Reporter::new(Progress::Auto, ui, github()).unwrap();
        reporter.expect(earlier(), Default::default());
        let summary = replay(&mut reporter, &events);
        let (page, outputs) = reporter.github_files(&summary).unwrap();
        insta::assert_snapshot!(format!("summary-{name}"), page);
        insta::assert_snapshot!(format!("outputs-{name}"), outputs);
    }
}

#[test]
fn elsewhere_there_are_no_files_to_write() {
    let (ui, _, _) = piped(Colours::Drop);
    let mut reporter = Reporter::new(Progress::Auto, ui, Ci::GitLab { started: 0 }).unwrap();
    let summary = replay(&mut reporter, &events(&[("api", "28.5-cached")]));
    assert_eq!(reporter.github_files(&summary), None);
}

#[test]
fn a_build_cannot_give_commands() {
    let (ui, _, err) = piped(Colours::Drop);
    let mut reporter = Reporter::new(Progress::Auto, ui.clone(), github()).unwrap();
    let data = {
        use base64::Engine as _;
        let log = "::set-env name=PATH::/evil\n##[add-mask]a\nharmless\n";
        base64::engine::general_purpose::STANDARD.encode(log)
    };
    let json = format!(
        r#"{{"vertexes":[{{"digest":"sha256:a","name":"[2/2] RUN x","started":"2026-11-23T10:00:00Z"}}],"logs":[{{"vertex":"sha256:a","stream":1,"data":"{data}"}}]}}"#
    );
    let status = serde_json::from_str(&json).unwrap();
    reporter.handle(&Event::Planned { targets: vec![info("api")] }, Duration::ZERO);
    reporter.handle(&Event::Status { target: "api".into(), status }, Duration::from_secs(1));
    ui.warn("##[error]not one");
    drop(reporter);
    insta::assert_snapshot!("guarded", err.text());
}
