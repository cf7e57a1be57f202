//! Where failures are in a Dockerfile, and what is said of them there.
#![allow(clippy::unwrap_used)]

use crate::diagnose::*;

fn failure<'a>(message: &'a str, source: &'a str) -> EngineFailure<'a> {
    let dockerfile = Some(Dockerfile { name: "Dockerfile", source });
    EngineFailure { message, dockerfile, ..EngineFailure::default() }
}

/// A build of which only the paths of its context are known.
struct Context(&'static [&'static str]);

impl Facts for Context {
    fn paths(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

#[test]
fn what_is_not_utf8_is_only_named_where_it_is_known() {
    let mut failure = failure("grpc: string field contains invalid UTF-8", "FROM a");
    failure.facts = Some(&Context(&[]));
    let explained = explain(&failure);
    assert_eq!(explained.kind, FailureKind::Engine);
    assert_eq!(explained.message, "grpc: string field contains invalid UTF-8");
}

#[test]
fn an_old_engines_message_gets_its_place_from_the_step() {
    let source = "FROM base AS worker\nWORKDIR /w\nCOPY ./presnt.txt /x\n";
    let facts = Context(&["present.txt"]);
    let mut failure =
        failure("failed to compute cache key: \"/presnt.txt\" not found: not found", source);
    failure.step = Some("[worker 3/3] COPY ./presnt.txt /x");
    assert!(explain(&failure).hint.unwrap().starts_with("paths of COPY and ADD are relative"));
    failure.facts = Some(&facts);
    let explained = explain(&failure);
    assert_eq!(explained.hint.as_deref(), Some("did you mean `present.txt`?"));
    insta::assert_snapshot!(explained.excerpt.unwrap(), @r"
     --> Dockerfile:3:6
      |
    1 | FROM base AS worker
    2 | WORKDIR /w
    3 | COPY ./presnt.txt /x
      |      ^^^^^^^^^^^^
    ");
}

#[test]
fn what_is_not_in_another_stage_is_not_looked_for_in_the_context() {
    let told = |step: &str, path: &str| {
        let source = format!("FROM base AS deps\nFROM base\n{step}\n");
        let message = format!("failed to calculate checksum of ref a::b: \"/{path}\": not found");
        let mut failure = failure(&message, &source);
        failure.facts = Some(&Context(&["lock.txt"]));
        failure.lines = Some(3..=3);
        let explained = explain(&failure);
        assert!(explained.place.unwrap().column.is_some(), "{step}");
        (explained.message, explained.hint.unwrap_or_default())
    };
    let is_in_stage = |step: &str, name: &str| {
        let (message, hint) = told(step, "app/lock.txt");
        let wanted =
            format!("`/app/lock.txt` is not in stage `{name}`, where the step takes it from");
        assert_eq!(message, wanted);
        assert!(hint.starts_with("the step that should make this file"), "{hint}");
    };
    is_in_stage("COPY --link --from=deps /app/lock.txt /", "deps");
    is_in_stage("COPY --from=0 app/lock.txt /", "0");
    is_in_stage("RUN --mount=from=DEPS,source=/app/lock.txt,target=/l cat /l", "DEPS");
    let (message, hint) = told("COPY --from=busybox lock.txt /", "lock.txt");
    assert_eq!(
        message,
        "`/lock.txt` is not in image or context `busybox`, where the step takes it from"
    );
    assert_eq!(hint, "");
    let mounted = "RUN --mount=from=deps,target=/d --mount=source=lok.txt,target=/l cat /l";
    let context = ("`lok.txt` is not in the build context", "did you mean `lock.txt`?");
    assert_eq!(told(mounted, "lok.txt"), (context.0.to_owned(), context.1.to_owned()));
}

#[test]
fn what_a_wildcard_does_not_find_is_looked_for_where_the_step_takes_it_from() {
    let explained = |step: &str, message: &str, paths: &'static [&str]| {
        let source = format!("FROM base AS deps\nFROM base\n{step}\n");
        let facts = Context(paths);
        let mut failure = failure(message, &source);
        failure.facts = Some(&facts);
        failure.lines = Some(3..=3);
        let explained = explain(&failure);
        assert_eq!(explained.kind, FailureKind::Context);
        (explained.message, explained.hint.unwrap_or_default())
    };
    let missing = "lstat /souces: no such file or directory";
    let (message, hint) = explained("COPY souces/*.py /", missing, &["sources", "sources/a.py"]);
    assert_eq!(message, "`souces` is not in the build context");
    assert_eq!(hint, "did you mean `sources`?");
    let (message, hint) = explained("COPY souces/*.py /", missing, &["souces"]);
    assert_eq!(message, "`souces` is not in the build context");
    assert_eq!(hint, "`souces` exists, but .dockerignore excludes it");
    let (message, hint) = explained("ADD souces/a.tar /", missing, &[]);
    assert_eq!(message, "`souces` is not in the build context");
    assert!(hint.starts_with("paths of COPY and ADD"), "{hint}");
    let (message, _) = explained("COPY --from=deps /souces/*.py /", missing, &["souces"]);
    assert_eq!(message, "`/souces` is not in stage `deps`, where the step takes it from");
    let cache = "RUN --mount=type=cache,from=deps,source=/souces/a,target=/a ls /a";
    let (message, _) = explained(cache, missing, &["souces"]);
    assert_eq!(message, "`/souces` is not in stage `deps`, where the step takes it from");
    // A secret has an id there, and not a path.
    let (message, _) = explained("RUN --mount=type=secret,source=souces ls", missing, &[]);
    assert_eq!(message, "`/souces` is not where the step takes it from");
}

#[test]
fn a_frontend_of_any_name_is_called_one() {
    let message = "mirror:5000/frontend:1: failed to resolve source metadata for mirror:5000/frontend:1: failed to do request: \
                   Head \"https://mirror:5000/v2/frontend/manifests/1\": dial tcp 10.0.0.1:5000: connect: connection refused";
    let mut failure = failure(message, "# syntax=mirror:5000/frontend:1\nFROM a\n");
    failure.step = Some("resolve image config for docker-image://mirror:5000/frontend:1");
    let explained = explain(&failure);
    assert!(
        explained.message.starts_with("the `# syntax=` frontend cannot be fetched: mirror:5000")
    );
    assert!(explained.hint.unwrap().contains("without the `# syntax=` line"));
    failure.step = Some("[internal] load metadata for mirror:5000/frontend:1");
    assert!(!explain(&failure).message.contains("syntax"));
}

#[test]
fn what_is_refused_while_the_dockerfile_is_read_is_wrong_in_it() {
    let mut failure = failure("unsupported sharing value \"all\"", "FROM a\nRUN b\n");
    failure.lines = Some(2..=2);
    assert_eq!(explain(&failure).kind, FailureKind::Engine);
    failure.reading = true;
    let explained = explain(&failure);
    assert_eq!(explained.kind, FailureKind::Dockerfile);
    assert_eq!(explained.message, "the Dockerfile is invalid: unsupported sharing value \"all\"");
    // What is known for something else stays that.
    failure.message = "write /x: no space left on device";
    assert_eq!(explain(&failure).kind, FailureKind::DiskFull);
}

#[test]
fn an_ignored_file_is_not_called_misspelt() {
    let facts = Context(&["present.txt", "presents.txt"]);
    let mut failure =
        failure("failed to compute cache key: \"/present.txt\" not found: not found", "FROM a");
    failure.facts = Some(&facts);
    assert_eq!(
        explain(&failure).hint.as_deref(),
        Some("`present.txt` exists, but .dockerignore excludes it")
    );
}

#[test]
fn a_parse_error_shows_its_line_and_word() {
    let source = "# comment\nFROM base\nFORM x\n";
    let explained =
        explain(&failure("dockerfile parse error line 3: unknown instruction: FORM", source));
    insta::assert_snapshot!(explained.excerpt.unwrap(), @r"
     --> Dockerfile:3:1
      |
    1 | # comment
    2 | FROM base
    3 | FORM x
      | ^^^^
    ");
}

#[test]
fn the_engines_own_place_is_believed() {
    let mut failure = failure(
        "process \"/bin/sh -c a\" did not complete successfully: exit code: 1",
        "FROM a\nRUN a\nRUN a\n",
    );
    failure.lines = Some(3..=3);
    failure.step = Some("[2/3] RUN a");
    assert!(explain(&failure).excerpt.unwrap().starts_with(" --> Dockerfile:3\n"));
}

#[test]
fn a_stage_that_begins_below_is_not_called_misspelt() {
    let source = "FROM late AS early\nFROM base AS late\n";
    let message = "late: failed to resolve source metadata for docker.io/library/late:latest: \
                   failed to do request: Head \"https://registry-1.docker.io/v2/library/late/manifests/latest\": \
                   dial tcp: lookup registry-1.docker.io: no such host";
    assert_eq!(
        explain(&failure(message, source)).hint.as_deref(),
        Some("stage `late` begins below: a stage can only use those above it")
    );
    // Its own stage has the name of the image, or nearly.
    for source in ["FROM late AS late\n", "FROM late AS Later\n"] {
        let hint = explain(&failure(message, source)).hint.unwrap();
        assert!(hint.contains("check the network"), "{hint}");
    }
}

#[test]
fn stages_are_suggested_or_listed() {
    let source = "FROM a AS builder\nFROM b AS final\n";
    let hint = |name: &str| {
        explain(&failure(&format!("target stage {name} could not be found"), source)).hint
    };
    assert_eq!(hint("bilder").as_deref(), Some("did you mean `builder`?"));
    assert_eq!(hint("production").as_deref(), Some("its stages are: builder, final"));
}

#[test]
fn an_engine_that_is_gone_blames_no_line() {
    let mut failure = failure("something odd", "FROM a\nRUN a\n");
    failure.step = Some("[2/2] RUN a");
    failure.unavailable = true;
    let explained = explain(&failure);
    assert_eq!(explained.kind, FailureKind::EngineLost);
    assert_eq!(explained.excerpt, None);
}

proptest::proptest! {
    #[test]
    fn never_panics(message: String, source: String, step: String) {
        let mut failure = failure(&message, &source);
        failure.step = Some(&step);
        let _ = explain(&failure);
    }

    #[test]
    fn never_panics_on_things_like_messages(
        message in "(failed to solve: |lstat |\"|/merged/|: not found|failed to resolve source metadata for |parse error line |[0-9]|: |https://|x|\\[|\\]){0,12}",
    ) {
        let _ = classify(&message);
    }
}

#[test]
fn a_misspelt_stage_is_an_image_to_the_engine() {
    let source = "FROM x AS build\nRUN make\nFROM x\nCOPY --from=biuld /a /\n";
    let explained = |image: &str| {
        let url = format!("https://registry-1.docker.io/v2/library/{image}/manifests/latest");
        let why = "dial tcp: lookup registry-1.docker.io: no such host";
        explain(&EngineFailure {
            message: &format!("failed to do request: Head \"{url}\": {why}"),
            dockerfile: Some(Dockerfile { name: "Dockerfile", source }),
            ..EngineFailure::default()
        })
    };
    let told = explained("biuld");
    assert!(told.excerpt.unwrap().ends_with("4 | COPY --from=biuld /a /\n  |      ^^^^^^^^^^^^"));
    assert_eq!(told.hint.unwrap(), "there is no stage `biuld`: did you mean `build`?");
    // An image that is named like nothing here keeps its own hint.
    assert!(explained("redis").hint.unwrap().contains("network"));
}

#[test]
fn a_line_that_is_too_long_is_found_without_the_engines_help() {
    let source = format!("FROM a\nRUN b\nCOPY {} /\nRUN c\n", "x ".repeat(40_000));
    for lines in [None, Some(1..=1)] {
        let explained = explain(&EngineFailure {
            message: "failed to solve: dockerfile line greater than max allowed size of 65535",
            lines,
            dockerfile: Some(Dockerfile { name: "Dockerfile", source: &source }),
            ..EngineFailure::default()
        });
        assert_eq!(explained.kind, FailureKind::Dockerfile);
        assert_eq!(explained.place.map(|place| place.line_start), Some(3));
        assert!(explained.excerpt.unwrap().len() < 1000);
    }
}
