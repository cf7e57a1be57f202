//! Builds that differ in one thing, and what is said of it.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::history::copied::{Collector, CopyEntry};
use crate::history::{BaseImage, CacheMount, CopiedFiles, Outcome, StepEntry};
use crate::test_history::{build, step};

const FROM: &str = "[1/4] FROM docker.io/library/python:3";
const COPY: &str = "[2/4] COPY requirements.txt .";
const INSTALL: &str = "[3/4] RUN pip install -r requirements.txt";
const CODE: &str = "[4/4] COPY app app";

fn files(files: &[(&str, u8)]) -> CopiedFiles {
    let mut collector = Collector::default();
    for (path, content) in files {
        let digest = Some([*content; 32]);
        let mtime = i64::from(*content);
        collector.add(CopyEntry {
            mtime,
            path: path.as_bytes().into(),
            mode: 0o644,
            size: 9,
            digest,
        });
    }
    collector.finish()
}

/// A build of the four steps: which ran, and the content of each copied file.
fn four(number: u32, ran: [bool; 4], requirements: u8, code: u8) -> Entry {
    let mut steps: Vec<StepEntry> = [FROM, COPY, INSTALL, CODE]
        .into_iter()
        .zip(ran)
        .map(|(name, ran)| step(name, if ran { StepResult::Ran } else { StepResult::Cached }, 1.0))
        .collect();
    steps[1].files = Some(files(&[("requirements.txt", requirements)]));
    steps[3].files = Some(files(&[("app/main.py", code)]));
    for index in 1..4 {
        steps[index].inputs = vec![steps[index - 1].digest.clone()];
    }
    build(number, Outcome::Succeeded, steps)
}

fn causes(build: &Entry, earlier: &[Entry]) -> Vec<Option<Cause>> {
    explain(build, earlier).targets.remove(0).steps.into_iter().map(|step| step.cause).collect()
}

fn change(path: &str, change: Change) -> PathChange {
    PathChange { path: path.to_owned(), change }
}

const ALL: [bool; 4] = [false, true, true, true];
const NONE: [bool; 4] = [false; 4];

#[test]
fn a_step_of_which_no_end_was_told_had_a_result_where_its_target_succeeded() {
    let mut before = four(1, ALL, 1, 1);
    before.targets[0].steps[2].result = StepResult::Cancelled;
    let cause_after = |before: &Entry| {
        let before = std::slice::from_ref(before);
        causes(&four(2, [false, false, true, true], 1, 1), before).swap_remove(2).unwrap()
    };
    let gone = cause_after(&before);
    assert!(matches!(gone.reason, Reason::RecordGone { .. }), "{gone:?}");

    before.targets[0].outcome = Outcome::Cancelled;
    assert_eq!(cause_after(&before), Reason::first_build().likely());
}

#[test]
fn what_came_from_the_cache_needs_no_cause() {
    assert_eq!(causes(&four(2, NONE, 1, 1), &[four(1, ALL, 1, 1)]), [None, None, None, None]);
}

#[test]
fn files_are_the_cause_and_the_rest_follows() {
    let explanation = explain(&four(2, ALL, 2, 1), &[four(1, ALL, 1, 1)]);
    let target = &explanation.targets[0];
    let cause = |index: usize| target.steps[index].cause.clone().unwrap();
    let paths = vec![change("requirements.txt", Change::Changed)];
    assert_eq!(cause(1), Reason::Files { paths, among: Vec::new() }.certain());
    assert_eq!(cause(2), Reason::EarlierStep { because_of_step: 1 }.certain());
    assert_eq!(cause(3), Reason::EarlierStep { because_of_step: 2 }.certain());
    assert_eq!((target.root(3), target.root(1)), (1, 1));
}

#[test]
fn only_the_last_build_here_counts() {
    let mut elsewhere = four(2, ALL, 2, 1);
    elsewhere.project_directory = "/another/checkout".to_owned();
    let mut other_engine = four(2, ALL, 2, 1);
    other_engine.engine.id = "another".to_owned();
    for earlier in [vec![], vec![elsewhere], vec![other_engine], vec![four(4, ALL, 1, 1)]] {
        let causes = causes(&four(3, ALL, 2, 1), &earlier);
        assert_eq!(causes[1], Some(Reason::first_build().certain()));
        assert_eq!(causes[2], Some(Reason::EarlierStep { because_of_step: 1 }.certain()));
    }
}

#[test]
fn a_result_that_was_there_before_is_gone() {
    let (first, second) = (four(1, ALL, 1, 1), four(2, ALL, 2, 1));
    // Back to the files of the first build: its result ought to have been there.
    let causes = causes(&four(3, ALL, 1, 1), &[second, first.clone()]);
    assert_eq!(
        causes[1],
        Some(Reason::RecordGone { built: first.id, since: Since::default() }.certain())
    );
}

#[test]
fn a_result_is_only_gone_where_what_it_stands_on_was_the_same() {
    // The second step came from the cache, but no build of ours had these requirements.
    let build = four(2, [false, false, true, true], 2, 1);
    let causes = causes(&build, &[four(1, ALL, 1, 1)]);
    assert_eq!(causes[2], Some(Reason::EarlierStep { because_of_step: 1 }.likely()));
}

#[test]
fn an_instruction_changed_or_is_new() {
    let mut build = four(2, [false, false, true, true], 1, 1);
    build.targets[0].steps[2] = step("[3/4] RUN pip install -U pip", StepResult::Ran, 1.0);
    build.targets[0].steps[2].inputs = vec![build.targets[0].steps[1].digest.clone()];
    let causes = causes(&build, &[four(1, ALL, 1, 1)]);
    let from = Some("RUN pip install -r requirements.txt".to_owned());
    let to = Some("RUN pip install -U pip".to_owned());
    assert_eq!(causes[2], Some(Reason::Instruction { from, to, above: false }.certain()));
    let mut build = four(2, NONE, 1, 1);
    build.targets[0].steps.push(step("[5/5] RUN new", StepResult::Ran, 1.0));
    let causes = self::causes(&build, &[four(1, ALL, 1, 1)]);
    let reason = Reason::Instruction { from: None, to: Some("RUN new".to_owned()), above: false };
    assert_eq!(causes[4], Some(reason.certain()));
}

/// Another digest for the step at `index` and all above, as of a build in which something below or beside it differs.
fn other_digests(build: &mut Entry, index: usize) {
    let steps = &mut build.targets[0].steps;
    for at in index..steps.len() {
        steps[at].digest.push('x');
        if at > index {
            steps[at].inputs = vec![steps[at - 1].digest.clone()];
        }
    }
}

#[test]
fn a_base_that_moved_is_the_cause() {
    let base = |digest: &str| BaseImage {
        reference: "docker.io/library/python:3".to_owned(),
        digest: Some(digest.to_owned()),
        layers: None,
    };
    let mut first = four(1, ALL, 1, 1);
    first.targets[0].inputs.bases = vec![base("sha256:a")];
    let mut second = four(2, ALL, 1, 1);
    second.targets[0].inputs.bases = vec![base("sha256:b")];
    other_digests(&mut second, 0);
    let causes = causes(&second, &[first]);
    let (from, to) = (Some("sha256:a".to_owned()), Some("sha256:b".to_owned()));
    let reference = "docker.io/library/python:3".to_owned();
    assert_eq!(causes[1], Some(Reason::Base { reference, from, to }.certain()));
}

/// A target of two stages: one begins with a base image, one with nothing and copies a file, which it has anew in every session.
fn beside_a_base(number: u32, base: &str, result: StepResult) -> Entry {
    let context = format!("sha256:context of {number}");
    let load = StepEntry {
        digest: context.clone(),
        ..step("[internal] load build context", StepResult::Ran, 0.1)
    };
    let from = step("[deps 1/2] FROM docker.io/library/python:3", StepResult::Cached, 0.0);
    let install = StepEntry {
        inputs: vec![from.digest.clone()],
        ..step("[deps 2/2] RUN pip install -r lock", StepResult::Ran, 1.0)
    };
    let copy = StepEntry {
        digest: format!("sha256:copy of {number}"),
        inputs: vec![context],
        files: Some(files(&[("a.lock", 1)])),
        ..step("[locks 1/1] COPY a.lock /", result, 1.0)
    };
    let mut build = build(number, Outcome::Succeeded, vec![load, from, install, copy]);
    build.targets[0].inputs.bases = vec![BaseImage {
        reference: "docker.io/library/python:3".to_owned(),
        digest: Some(base.to_owned()),
        layers: None,
    }];
    build
}

#[test]
fn a_base_is_no_cause_of_what_does_not_stand_on_it() {
    let first = beside_a_base(1, "sha256:a", StepResult::Ran);
    let second = beside_a_base(2, "sha256:b", StepResult::Ran);
    let cause = |build: &Entry| causes(build, std::slice::from_ref(&first)).pop().flatten();
    let gone = Reason::RecordGone { built: first.id.clone(), since: Since::default() };
    assert_eq!(cause(&second), Some(gone.certain()));

    // What it reads besides is not known: the base may be below.
    let mut unknown = second.clone();
    unknown.targets[0].steps[3].inputs.push("sha256:a group of steps".to_owned());
    let cause_then = cause(&unknown).unwrap();
    assert!(
        matches!(cause_then.reason, Reason::Base { .. }) && !cause_then.certain,
        "{cause_then:?}"
    );

    // It copies of the other stage.
    let mut reader = second;
    let install = reader.targets[0].steps[2].digest.clone();
    reader.targets[0].steps[2].result = StepResult::Cached;
    reader.targets[0].steps[3].inputs.push(install);
    let cause_then = cause(&reader).unwrap();
    assert!(matches!(cause_then.reason, Reason::Base { .. }), "{cause_then:?}");
}

#[test]
fn a_base_with_two_names_is_below_by_either() {
    let with = |number: u32, digest: &str| {
        let mut build = beside_a_base(number, digest, StepResult::Ran);
        let below = build.targets[0].steps[1].digest.clone();
        build.targets[0].steps[3].inputs.push(below);
        let slim = BaseImage {
            reference: "docker.io/library/python:3-slim".to_owned(),
            ..build.targets[0].inputs.bases[0].clone()
        };
        build.targets[0].inputs.bases.push(slim);
        build.targets[0].steps[1].name =
            "[deps 1/2] FROM docker.io/library/python:3-slim".to_owned();
        build
    };
    let mut second = with(2, "sha256:b");
    second.targets[0].inputs.bases.remove(1);
    second.targets[0].inputs.bases[0].layers = Some("sha256:layers".to_owned());
    let causes = causes(&second, &[with(1, "sha256:a")]);
    assert!(matches!(causes[2].as_ref().unwrap().reason, Reason::Base { .. }), "{causes:?}");
}

#[test]
fn an_argument_is_the_likely_cause_of_a_step_that_says_the_same() {
    let mut second = four(2, [false, false, true, true], 1, 1);
    second.targets[0].inputs.args.insert("INDEX".to_owned(), "b".to_owned());
    other_digests(&mut second, 2);
    let mut first = four(1, ALL, 1, 1);
    first.targets[0].inputs.args.insert("INDEX".to_owned(), "a".to_owned());
    let reason = |from: Option<&str>| Reason::Argument {
        argument: "INDEX".to_owned(),
        from: from.map(str::to_owned),
        to: Some("b".to_owned()),
    };
    assert_eq!(causes(&second, &[first.clone()])[2], Some(reason(Some("a")).likely()));
    first.targets[0].inputs.args.clear();
    assert_eq!(causes(&second, &[first.clone()])[2], Some(reason(None).likely()));
    // Two changed: nobody can say which.
    second.targets[0].inputs.args.insert("OTHER".to_owned(), "c".to_owned());
    second.targets[0].inputs.dockerfile_digest = Some("sha256:2".to_owned());
    let causes = causes(&second, &[first]);
    let Some(Cause { reason: Reason::Unknown { changed }, certain: false }) = &causes[2] else {
        panic!("{causes:?}")
    };
    assert_eq!(changed[..2], ["argument INDEX", "argument OTHER"]);
    assert_eq!(changed[2], "the Dockerfile");
}

#[test]
fn an_argument_in_the_text_of_a_step_is_the_cause_for_certain() {
    let with = |number: u32, ran: bool, value: &str| {
        let mut build = four(number, [false, false, ran, false], 1, 1);
        let result = if ran { StepResult::Ran } else { StepResult::Cached };
        build.targets[0].steps[2] = step(&format!("[3/4] RUN make V={value}"), result, 1.0);
        build.targets[0].inputs.args =
            [("V", value), ("W", "w")].map(|(name, value)| (name.into(), value.into())).into();
        build
    };
    let reason = Reason::Argument {
        argument: "V".to_owned(),
        from: Some("1.2".to_owned()),
        to: Some("1.3".to_owned()),
    };
    assert_eq!(causes(&with(2, true, "1.3"), &[with(1, true, "1.2")])[2], Some(reason.certain()));
    // One letter, which stands in other words, too.
    let causes_of = |from: &str, to: &str| causes(&with(2, true, to), &[with(1, true, from)]);
    for (from, to) in [("a", "e"), ("e", "a"), ("", "x"), ("ma", "m")] {
        let causes = causes_of(from, to);
        let Some(Cause { reason: Reason::Argument { argument, .. }, certain: true }) = &causes[2]
        else {
            panic!("{from} to {to}: {causes:?}")
        };
        assert_eq!(argument, "V");
    }
    // The value changed, and the text in another way.
    let mut other = with(2, true, "1.3");
    other.targets[0].steps[2] = step("[3/4] RUN make -j V=1.3", StepResult::Ran, 1.0);
    let causes = causes(&other, &[with(1, true, "1.2")]);
    assert!(matches!(&causes[2], Some(Cause { reason: Reason::Instruction { .. }, .. })));
}

#[test]
fn what_was_asked_for_is_the_cause() {
    let mut build = four(2, ALL, 1, 1);
    build.targets[0].inputs.no_cache = true;
    let earlier = [four(1, ALL, 1, 1)];
    assert_eq!(causes(&build, &earlier)[3], Some(Reason::Requested.certain()));
    // Of one stage alone.
    let mut build = four(2, [false, false, true, true], 1, 1);
    build.targets[0].inputs.no_cache = true;
    let causes = causes(&build, &earlier);
    assert_eq!(causes[2], Some(Reason::Requested.likely()));
    assert_eq!(causes[3], Some(Reason::EarlierStep { because_of_step: 2 }.certain()));
}

#[test]
fn a_copy_from_another_stage_follows_it() {
    let stages = |number: u32, ran: [bool; 2], file: u8| {
        let result = |ran: bool| if ran { StepResult::Ran } else { StepResult::Cached };
        let mut steps = vec![
            step("[make 2/2] COPY src .", result(ran[0]), 2.0),
            step("[stage-1 2/2] COPY --from=make /x /x", result(ran[1]), 1.0),
        ];
        steps[0].files = Some(files(&[("src/a", file)]));
        steps[1].inputs = vec![steps[0].digest.clone()];
        build(number, Outcome::Succeeded, steps)
    };
    let causes = causes(&stages(2, [true, true], 2), &[stages(1, [true, true], 1)]);
    assert_eq!(causes[1], Some(Reason::Stage { because_of_step: 0 }.certain()));
}

#[test]
fn what_failed_before_was_not_built_before() {
    let mut failed = four(1, ALL, 1, 1);
    failed.targets[0].steps[2].result = StepResult::Failed;
    failed.targets[0].steps[3].result = StepResult::NotRun;
    let causes = causes(&four(2, [false, false, true, true], 1, 1), &[failed]);
    assert_eq!(causes[2], Some(Reason::first_build().likely()));
}

/// Engines up to 20.10 may not tell how a step ended that another build did at the same time.
#[test]
fn what_ran_had_what_is_below_it() {
    let mut first = four(1, ALL, 1, 1);
    first.targets[0].steps[0].result = StepResult::NotRun;
    let causes = causes(&four(2, [false, true, true, true], 1, 1), &[first.clone()]);
    let since = Since::default();
    let gone = Reason::RecordGone { built: first.id, since };
    assert_eq!(causes[1].as_ref().map(|it| &it.reason), Some(&gone));
}

#[test]
fn a_dockerfile_of_the_project_has_its_path_there() {
    for (path, expected) in
        [("/srv/p/api/Dockerfile", "api/Dockerfile"), ("/srv/pq/D", "/srv/pq/D")]
    {
        let mut build = four(1, ALL, 1, 1);
        build.targets[0].dockerfile = Some(path.to_owned());
        let explanation = explain(&build, &[]);
        assert_eq!(explanation.targets[0].steps[0].file.as_deref(), Some(expected));
    }
}

#[test]
fn a_graph_in_a_circle_ends() {
    let mut build = four(1, ALL, 1, 1);
    build.targets[0].steps[1].inputs = vec![build.targets[0].steps[3].digest.clone()];
    let explanation = explain(&build, &[]);
    assert!(explanation.targets[0].root(3) < 4);
}

proptest::proptest! {
    /// Whatever two builds hold: no panic, a cause for what ran and none for anything else.
    #[test]
    fn every_step_that_ran_has_a_cause(
        names in proptest::collection::vec("\\[[ab]? ?[1-3]/3\\] (RUN|COPY|FROM) [xy]", 0..6),
        results in proptest::collection::vec(0usize..5, 12),
        reads in proptest::collection::vec(0usize..6, 12),
    ) {
        const RESULTS: [StepResult; 5] = [
            StepResult::Cached, StepResult::Ran, StepResult::Failed, StepResult::Cancelled, StepResult::NotRun,
        ];
        let make = |number: u32, offset: usize| {
            let mut steps: Vec<StepEntry> = names
                .iter()
                .enumerate()
                .map(|(at, name)| step(name, RESULTS[results[at + offset]], 1.0))
                .collect();
            for at in 0..steps.len() {
                let read = reads[at + offset] % steps.len();
                steps[at].inputs = vec![steps[read].digest.clone()];
            }
            build(number, Outcome::Succeeded, steps)
        };
        let explanation = explain(&make(2, 6), &[make(1, 0)]);
        for step in &explanation.targets[0].steps {
            proptest::prop_assert_eq!(step.cause.is_some(), step.cached == Some(false));
            let _ = explanation.targets[0].root(step.index);
        }
    }
}

#[test]
fn what_is_set_above_a_run_is_named() {
    let with = |number: u32, settings: &[&str]| {
        let mut entry = four(number, [false, false, true, false], 1, 1);
        let target = &mut entry.targets[0];
        target.inputs.settings = settings.iter().map(|text| (*text).to_owned()).collect();
        target.inputs.dockerfile_digest = Some(format!("sha256:{number}"));
        for step in &mut target.steps {
            step.written = Some(step.name.clone());
            step.settings = (0..settings.len()).collect();
        }
        target.steps[2].digest = format!("sha256:step{number}");
        entry
    };
    let named = |old: &[&str], new: &[&str]| causes(&with(2, new), &[with(1, old)])[2].clone();
    let above = |from: Option<&str>, to: Option<&str>| {
        let [from, to] = [from, to].map(|text| text.map(str::to_owned));
        Some(Reason::Instruction { from, to, above: true }.certain())
    };
    let both = ["ENV A=1", "USER 1"];
    assert_eq!(named(&both, &["ENV A=2", "USER 1"]), above(Some("ENV A=1"), Some("ENV A=2")));
    assert_eq!(named(&both, &["ENV A=1"]), above(Some("USER 1"), None));
    assert_eq!(named(&["USER 1"], &both), above(None, Some("ENV A=1")));
    assert_eq!(named(&["ARG V"], &["ARG V=1"]), above(Some("ARG V"), Some("ARG V=1")));
    assert!(matches!(named(&both, &both).unwrap().reason, Reason::Unknown { .. }));
    // Another text that is written as before has its values from there.
    let mut now = with(2, &["ENV A=2"]);
    now.targets[0].steps[2].instruction = "RUN echo 2".to_owned();
    let found = causes(&now, &[with(1, &["ENV A=1"])])[2].clone();
    assert_eq!(found, above(Some("ENV A=1"), Some("ENV A=2")));
    // A here document does not stand in the text.
    let mut now = with(2, &both);
    now.targets[0].steps[2].written = Some("another".to_owned());
    let text = now.targets[0].steps[2].instruction.clone();
    let reason = Reason::Instruction { from: Some(text.clone()), to: Some(text), above: false };
    assert_eq!(causes(&now, &[with(1, &both)])[2], Some(reason.certain()));
}

#[test]
fn a_linked_target_is_the_cause_where_something_of_it_ran() {
    let linked = |number: u32, base: StepResult, image: &str| {
        let mut entry = four(number, [false, true, false, false], 1, 1);
        let target = &mut entry.targets[0];
        target.inputs.contexts = [("below".to_owned(), "target:lib".to_owned())].into();
        target.steps[1].contexts = vec!["below".to_owned()];
        let mut lib = build(number, Outcome::Succeeded, vec![step("[1/1] RUN lib", base, 1.0)]);
        lib.targets[0].name = "lib".to_owned();
        lib.targets[0].image_id = Some(image.to_owned());
        entry.targets.extend(lib.targets);
        entry
    };
    let before = [linked(1, StepResult::Cached, "one")];
    let context = || Reason::Context { context: "below".to_owned(), target: "lib".to_owned() };
    let found = causes(&linked(2, StepResult::Ran, "two"), &before);
    assert_eq!(found[1], Some(context().certain()));
    // What differs makes no step.
    let mut now = linked(2, StepResult::Cached, "two");
    now.targets[0].steps[1].digest = "sha256:another".to_owned();
    assert_eq!(causes(&now, &before)[1], Some(context().likely()));
    let mut now = linked(2, StepResult::Cached, "one");
    now.targets[0].steps[1].digest = "sha256:another".to_owned();
    let since = Since::default();
    let gone = Reason::RecordGone { built: before[0].id.clone(), since };
    assert_eq!(causes(&now, &before)[1], Some(gone.certain()));
}

#[test]
fn an_ignore_file_that_says_another_thing_is_the_cause() {
    let with = |number: u32, paths: &[(&str, u8)], ignored: Option<&[&str]>| {
        let mut entry = four(number, [false, false, false, number > 1], 1, 1);
        entry.targets[0].steps[3].files = Some(files(paths));
        entry.targets[0].inputs.ignored =
            ignored.map(|it| it.iter().map(|it| (*it).to_owned()).collect());
        entry
    };
    let cause = |old: Entry, new: Entry| causes(&new, &[old])[3].clone().unwrap();
    let both = [("app/a.py", 1), ("app/b/c.py", 1)];
    let left_out = cause(with(1, &both, Some(&[])), with(2, &both[..1], Some(&["app/b"])));
    let paths = vec![change("app/b/c.py", Change::Removed)];
    assert_eq!(left_out, Reason::IgnoreFile { paths }.certain());
    let taken_in =
        cause(with(1, &both[..1], Some(&["**/*.py", "!app/a.py"])), with(2, &both, Some(&["x"])));
    let paths = vec![change("app/b/c.py", Change::Added)];
    assert_eq!(taken_in, Reason::IgnoreFile { paths }.certain());
    let everything = [(".dockerignore", 2), ("app/a.py", 1)];
    let with_itself = cause(with(1, &both, Some(&[])), with(2, &everything, Some(&["app/b"])));
    assert_eq!(with_itself, left_out);
    let files = |old, new| matches!(cause(old, new).reason, Reason::Files { .. });
    // Nothing else comes or goes by it.
    assert!(files(with(1, &both[..1], Some(&[])), with(2, &everything, Some(&["docs"]))));
    // It is gone, whatever else was written into the ignore file.
    assert!(files(with(1, &both, Some(&[])), with(2, &both[..1], Some(&["docs"]))));
    // Another file changed, too.
    let changed = [("app/a.py", 2)];
    assert!(files(with(1, &both, Some(&[])), with(2, &changed, Some(&["app/b"]))));
    // It was left out before, as it is now.
    let same = Some(["app/b"].as_slice());
    assert!(files(with(1, &both, same), with(2, &both[..1], same)));
    assert!(files(with(1, &both, None), with(2, &both[..1], same)));
    assert!(files(with(1, &both, Some(&["["])), with(2, &both[..1], same)));
}

#[test]
fn what_happened_to_the_engine_meanwhile_is_told() {
    let since = |cleaned: Option<i64>, pruned: Option<i64>, version: &str| {
        let mut old = four(1, ALL, 1, 1);
        old.engine.version = "28.4.0".to_owned();
        let mut new = four(2, [false, true, false, false], 1, 1);
        new.engine.version = version.to_owned();
        let at = |after| old.started + jiff::SignedDuration::from_secs(after);
        (new.cleaned, new.pruned) = (cleaned.map(at), pruned.map(at));
        match causes(&new, &[old])[1].clone().unwrap().reason {
            Reason::RecordGone { since, .. } => since,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(since(None, None, "28.4.0"), Since::default());
    assert_eq!(since(Some(-1), Some(-1), ""), Since::default());
    assert!(since(Some(1), None, "28.4.0").cleaned.is_some());
    assert!(since(None, Some(1), "28.4.0").pruned.is_some());
    let updated = since(None, None, "28.5.2");
    assert_eq!((updated.from.as_deref(), updated.to.as_deref()), (Some("28.4.0"), Some("28.5.2")));
}

#[test]
fn a_step_is_slower_where_its_cache_mount_went() {
    let mount = |removed: Option<i64>| CacheMount {
        id: "pip".to_owned(),
        engine_id: "/pip".to_owned(),
        target: "/c".to_owned(),
        sharing: "shared".to_owned(),
        removed: removed.map(at),
    };
    let built = |number: u32, seconds: f64, removed: Option<i64>| {
        let mut install = step("[2/2] RUN pip install x", StepResult::Ran, seconds);
        install.cache_mounts = vec![mount(removed)];
        let mut entry = build(number, Outcome::Succeeded, vec![install]);
        entry.engine.id = "here".to_owned();
        entry
    };
    fn at(after: i64) -> jiff::Timestamp {
        crate::test_history::epoch() + jiff::SignedDuration::from_hours(after)
    }
    let lost = |build: &Entry, earlier: &[Entry]| {
        let slower = explain(build, earlier).targets[0].steps[0].slower.clone()?;
        match slower.reason {
            Reason::CacheMount { lost, at, before_seconds, .. } => Some((lost, at, before_seconds)),
            other => panic!("{other:?}"),
        }
    };
    // Hours after the first: a build each, the newest first.
    let earlier = [built(4, 3.0, None), built(2, 50.0, None), built(1, 3.0, None)];
    let cleaned = Some((Loss::Cleaned, Some(at(5)), 3.0));
    assert_eq!(lost(&built(6, 41.0, Some(5)), &earlier), cleaned);
    assert_eq!(lost(&built(6, 3.2, Some(5)), &earlier), None, "it is as fast as before");
    assert_eq!(lost(&built(6, 41.0, Some(3)), &earlier), None, "it has been used since");
    assert_eq!(lost(&built(6, 41.0, None), &earlier), None);
    assert_eq!(lost(&built(6, 41.0, Some(5)), &[]), None);
    let mut pruned = built(6, 41.0, None);
    pruned.pruned = Some(at(5));
    assert_eq!(lost(&pruned, &earlier), Some((Loss::Pruned, Some(at(5)), 3.0)));
    let mut cached = built(6, 41.0, Some(5));
    cached.targets[0].steps[0].result = StepResult::Cached;
    assert_eq!(lost(&cached, &earlier), None);
    let mut elsewhere = built(6, 41.0, None);
    elsewhere.engine.id = "there".to_owned();
    assert_eq!(lost(&elsewhere, &earlier), Some((Loss::NewEngine, None, 3.0)));
    elsewhere.engine.id.clear();
    assert_eq!(lost(&elsewhere, &earlier), None, "nobody knows where that was");
}
