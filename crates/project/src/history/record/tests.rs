//! Recorded builds of three engines, as they are remembered.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::*;
use crate::history::testing::epoch;
use crate::progress::outcome::{BuildFailure, BuiltImage};
use crate::progress::{Event, FailureKind, Redaction, SolveStatus, TargetInfo, Vertex};
use crate::redact::Secrets;

/// The entry of a build of the target `api` with the statuses of a recorded one.
fn entry(trace: &str, outcome: TargetOutcome, facts: TargetFacts) -> Entry {
    redacted(trace, outcome, facts, Redactor::default())
}

/// The same of a run with secrets.
fn redacted(trace: &str, outcome: TargetOutcome, facts: TargetFacts, redactor: Redactor) -> Entry {
    let path = format!("{}/../../tests/traces/{trace}.jsonl", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let statuses: Vec<SolveStatus> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    of_statuses(&statuses, outcome, facts, redactor)
}

fn of_statuses(
    statuses: &[SolveStatus],
    outcome: TargetOutcome,
    facts: TargetFacts,
    redactor: Redactor,
) -> Entry {
    let mut redaction = Redaction::new(redactor.clone());
    let info = TargetInfo { name: "api".into(), image: "p-api".into(), same_as: None };
    let second = Duration::from_secs;
    let mut run = RunTrace::default();
    run.apply(&Event::Planned { targets: vec![info] }, second(0));
    run.apply(&Event::TargetStarted { target: "api".into() }, second(1));
    for status in statuses.iter().cloned() {
        for event in redaction.pass(Event::Status { target: "api".into(), status }) {
            run.apply(&event, second(2));
        }
    }
    if outcome == TargetOutcome::Cancelled {
        run.apply(&Event::Cancelling { reason: CancelReason::Interrupted }, second(3));
    }
    run.apply(&Event::TargetFinished { target: "api".into(), outcome }, second(4));
    record(&Run {
        removals: &Removals::default(),
        pruned: None,
        collection: &[],
        id: &BuildId::new(epoch(), "0000"),
        project: "p",
        project_directory: "/srv/p",
        engine: &EngineInfo::default(),
        started: epoch(),
        trace: &run,
        summary: &run.summary(second(5)),
        targets: &BTreeMap::from([("api".to_owned(), facts)]),
        redactor: &redactor,
        fingerprint_key: None,
    })
}

fn built() -> TargetOutcome {
    let id = "sha256:1".to_owned();
    TargetOutcome::Built(BuiltImage { id, size_bytes: Some(7), ..BuiltImage::default() })
}

#[test]
fn a_build_keeps_its_times_steps_and_image() {
    for engine in ["20.10", "26.1", "28.5"] {
        let fresh = entry(&format!("{engine}-success"), built(), TargetFacts::default());
        assert_eq!((fresh.outcome, fresh.seconds), (Outcome::Succeeded, 5.0));
        let api = fresh.target("api").unwrap();
        assert_eq!((api.image_id.as_deref(), api.size_bytes), (Some("sha256:1"), Some(7)));
        assert_eq!(api.started.unwrap().duration_since(epoch()).as_secs(), 1);
        assert_eq!(api.seconds, Some(3.0));
        let ran: Vec<&StepEntry> = api
            .steps
            .iter()
            .filter(|step| step.result == StepResult::Ran && step.is_instruction())
            .collect();
        assert!(!ran.is_empty(), "{engine}");
        for step in &ran {
            assert!(!step.intervals.is_empty() && step.seconds >= 0.0, "{engine}: {step:?}");
            assert!(step.intervals.iter().all(|it| it.started <= it.completed));
        }
        // In the order of the Dockerfile, whenever the engine told them.
        let mut stages: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for step in api.steps.iter().filter(|step| step.position.is_some()) {
            stages.entry(&step.stage).or_default().push(step.position);
        }
        assert!(stages.values().any(|places| places.len() > 1), "{engine}");
        assert!(stages.values().all(|places| places.is_sorted()), "{engine}: {stages:?}");
        // What it reads is part of the entry.
        let known = |digest: &String| api.steps.iter().any(|step| step.digest == *digest);
        assert!(ran.iter().any(|step| step.inputs.iter().any(known)), "{engine}");

        let again = entry(&format!("{engine}-cached"), built(), TargetFacts::default());
        let (cached, all) = again.hits();
        assert!(cached > 0 && cached >= all - 1, "{engine}: {cached}/{all}");
    }
}

/// What 20.10 may leave out of a step that another build does at the same time.
#[test]
fn in_a_success_every_instruction_has_its_result() {
    let text = include_str!("../../../../../tests/traces/20.10-success.jsonl");
    let from = |status: &mut SolveStatus, change: &dyn Fn(&mut Vertex)| {
        let is_it = |it: &&mut Vertex| it.name.contains(" FROM ");
        status.vertexes.iter_mut().filter(is_it).for_each(change);
    };
    let changes: [&dyn Fn(&mut Vertex); 3] =
        [&|it| (it.started, it.completed) = (None, None), &|it| it.completed = None, &|it| {
            it.error = "context canceled".to_owned()
        }];
    for change in changes {
        let statuses = text.lines().map(|line| {
            let mut status: SolveStatus = serde_json::from_str(line).unwrap();
            from(&mut status, change);
            status
        });
        let statuses: Vec<SolveStatus> = statuses.collect();
        let ends = |outcome| {
            let entry =
                of_statuses(&statuses, outcome, TargetFacts::default(), Redactor::default());
            let mut steps = entry.targets[0].steps.iter();
            steps.find(|step| step.name.contains(" FROM ")).unwrap().result
        };
        assert_eq!(ends(built()), StepResult::Cached);
        let failure = BuildFailure::new(FailureKind::Step, "no");
        let failed = ends(TargetOutcome::Failed(failure));
        assert!(matches!(failed, StepResult::NotRun | StepResult::Cancelled), "{failed:?}");
    }
}

#[test]
fn failures_and_interrupts_are_told_apart() {
    for engine in ["20.10", "26.1", "28.5"] {
        let failure = TargetOutcome::Failed(BuildFailure::new(FailureKind::Step, "exit code 3"));
        let failed = entry(&format!("{engine}-failure"), failure, TargetFacts::default());
        assert_eq!((failed.outcome, failed.stopped), (Outcome::Failed, None));
        let api = failed.target("api").unwrap();
        assert_eq!(api.error.as_deref(), Some("exit code 3"));
        let steps = |entry: &Entry, result| {
            entry.targets[0].steps.iter().filter(|step| step.result == result).count()
        };
        assert_eq!(steps(&failed, StepResult::Failed), 1, "{engine}");
        // What the failed step wrote last, and that alone.
        let outputs = |entry: &Entry| -> Vec<(StepResult, usize)> {
            let steps = entry.targets[0].steps.iter();
            steps.filter_map(|it| Some((it.result, it.output.as_ref()?.lines.len()))).collect()
        };
        let kept = outputs(&failed);
        assert!(matches!(kept[..], [(StepResult::Failed, 1..)]), "{engine}: {kept:?}");

        let cancelled =
            entry(&format!("{engine}-cancel"), TargetOutcome::Cancelled, TargetFacts::default());
        assert_eq!(cancelled.outcome, Outcome::Cancelled);
        assert_eq!(cancelled.stopped, Some(StopReason::Interrupted));
        assert_eq!(steps(&cancelled, StepResult::Failed), 0, "{engine}");
        assert!(steps(&cancelled, StepResult::Cancelled) > 0, "{engine}");
        assert_eq!(outputs(&cancelled), [], "{engine}");
    }
}

#[test]
fn secrets_are_never_kept() {
    let facts = TargetFacts {
        args: BTreeMap::from([
            ("GITHUB_TOKEN".to_owned(), "Collecting".to_owned()),
            ("INDEX".to_owned(), "https://me:pw@host/simple".to_owned()),
            ("VERSION".to_owned(), "1".to_owned()),
        ]),
        context: "https://user:word@git.example/x.git".to_owned(),
        ..TargetFacts::default()
    };
    let mut secrets = Secrets::default();
    secrets.add(b"package");
    facts.args.iter().for_each(|(name, value)| secrets.add_argument(name, value));
    // The failing step of this trace names packages it collects.
    let redactor = Redactor::new(&secrets);
    let failure = TargetOutcome::Failed(BuildFailure::new(FailureKind::Step, "exit code 3"));
    let entry = redacted("28.5-failure", failure, facts, redactor);
    let text = serde_json::to_string(&entry).unwrap();
    let output = entry.targets[0].steps.iter().find_map(|step| step.output.as_ref());
    assert!(output.unwrap().lines.iter().any(|line| line.starts_with("*** ***-")), "{output:?}");
    for secret in ["Collecting", "package", "me:pw", "user:word"] {
        assert!(!text.contains(secret), "{secret} is kept");
    }
    let args = &entry.targets[0].inputs.args;
    assert_eq!((args["GITHUB_TOKEN"].as_str(), args["VERSION"].as_str()), ("***", "1"));
    assert_eq!(args["INDEX"], "https://***@host/simple");
}

#[test]
fn steps_know_their_line_and_their_cache_mounts() {
    let source = "FROM doc2md/base:busybox\nWORKDIR /app\nCOPY app.txt ./\nRUN for i in 1\n";
    let facts = TargetFacts {
        dockerfile: Some(("Dockerfile".to_owned(), source.to_owned())),
        ..TargetFacts::default()
    };
    let entry = entry("28.5-failure", TargetOutcome::Cancelled, facts);
    let copy = entry.targets[0].steps.iter().find(|step| step.instruction.starts_with("COPY"));
    assert_eq!(copy.unwrap().line, Some(3));
    assert!(entry.targets[0].inputs.dockerfile_digest.as_deref().unwrap().starts_with("sha256:"));
}

#[test]
fn what_stands_above_steps_is_kept_without_secrets() {
    let source = format!(
        "FROM doc2md/base:busybox\nENV GITHUB_TOKEN=hush-hush A=1 LONG={}\nWORKDIR /app\nCOPY app.txt ./\nUSER 5\nRUN for i in 1\n",
        "x".repeat(900)
    );
    let facts = TargetFacts {
        dockerfile: Some(("Dockerfile".to_owned(), source)),
        contexts: [("lib".to_owned(), "https://me:pw@host/x.git".to_owned())].into(),
        options: options(
            &[("add-hosts".to_owned(), "a=1".to_owned()), ("target".into(), "b".into())].into(),
        ),
        ..TargetFacts::default()
    };
    let entry = entry("28.5-failure", TargetOutcome::Cancelled, facts);
    let target = &entry.targets[0];
    let settings: Vec<&str> = target.inputs.settings.iter().map(String::as_str).collect();
    let [token, a, long, user] = settings[..] else { panic!("{settings:?}") };
    assert_eq!([token, a, user], ["ENV GITHUB_TOKEN=***", "ENV A=1", "USER 5"]);
    assert!(long.starts_with("ENV LONG=xxx") && long.len() < 250 && long.ends_with(')'), "{long}");
    let of = |start: &str| {
        let step = target.steps.iter().find(|step| step.instruction.starts_with(start));
        step.map(|step| (step.settings.clone(), step.written.is_some())).unwrap()
    };
    assert_eq!((of("COPY"), of("RUN")), ((vec![0, 1, 2], true), (vec![0, 1, 2, 3], true)));
    assert_eq!(target.inputs.contexts["lib"], "https://***@host/x.git");
    assert_eq!(target.inputs.options.keys().collect::<Vec<_>>(), ["add-hosts"]);
}
