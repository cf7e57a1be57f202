//! Records and steps as 20.10 and 28.5 report them; what others may use must stay.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000 + second).unwrap()
}

fn record(
    id: &str,
    parents: &[&str],
    description: &str,
    created: i64,
    used: i64,
    uses: u64,
) -> Record {
    Record {
        id: id.into(),
        parents: parents.iter().map(|id| (*id).to_owned()).collect(),
        kind: if description.starts_with("cached mount") {
            RecordKind::CacheMount
        } else {
            RecordKind::Regular
        },
        description: description.into(),
        size_bytes: 10,
        in_use: false,
        created_at: Some(at(created)),
        last_used_at: Some(at(used)),
        usage_count: uses,
    }
}

fn step(name: &str, end: StepEnd, start: i64, stop: i64) -> BuildStep {
    BuildStep {
        digest: format!("{name}@{start}"),
        name: name.into(),
        end,
        intervals: vec![(at(start), at(stop))],
        inputs: Vec::new(),
        mounts: Vec::new(),
        is_result: name.starts_with("[3/3]"),
    }
}

const COPY: &str = "[2/3] COPY f /f";
const RUN: &str = "[3/3] RUN make";
const RUN_RECORD: &str = "mount / from exec /bin/sh -c make";

fn build(owner: Owner, end: StepEnd, start: i64) -> Build {
    let (copy, mut run) = (step(COPY, end, start, start + 1), step(RUN, end, start + 2, start + 4));
    run.inputs.push(copy.digest.clone());
    let product = Product { service: "api".into(), is_complete: true, ..Product::default() };
    Build { build_ref: None, owner, product, is_current: false, steps: vec![copy, run].into() }
}

fn steps_of(build: &mut Build) -> &mut Vec<BuildStep> {
    Arc::make_mut(&mut build.steps)
}

/// A build of ours at 0 and what it left: a base, a COPY, a RUN.
fn one_build() -> RecordEvidence {
    RecordEvidence {
        records: vec![
            record("base", &[], "from local ", 0, 4, 1),
            record("copy", &["base"], COPY, 1, 4, 1),
            record("run", &["copy"], RUN_RECORD, 2, 4, 1),
        ],
        builds: vec![build(Owner::Ours, StepEnd::Ran, 0)],
        layers: Vec::new(),
        complete_since: Some(at(-10)),
        counts_whole_chain: false,
        own_keys: false,
    }
}

fn ours(evidence: &RecordEvidence) -> Vec<String> {
    let verdicts = attribute(evidence).into_iter();
    verdicts
        .filter(|(_, verdict)| matches!(verdict, Verdict::Ours { .. }))
        .map(|(id, _)| id)
        .collect()
}

fn reason(evidence: &RecordEvidence, id: &str) -> Reason {
    assert!(evidence.records.iter().any(|record| record.id == id), "{id}");
    match attribute(evidence).remove(id) {
        None => Reason::NotRecorded,
        Some(Verdict::Kept(reason)) => reason,
        Some(verdict @ Verdict::Ours { .. }) => panic!("{id}: {verdict:?}"),
    }
}

fn layer(image: &str, ours: bool, chain: &str) -> ImageLayer {
    ImageLayer {
        image: image.into(),
        image_id: image.into(),
        is_current: true,
        ours,
        chain: Chain::new(chain),
        mark: Mark::of_layer(at(2), "RUN /bin/sh -c make # buildkit"),
    }
}

#[test]
fn what_our_steps_made_is_ours_and_the_base_is_not() {
    let evidence = one_build();
    assert_eq!(ours(&evidence), ["copy", "run"]);
    assert_eq!(reason(&evidence, "base"), Reason::Base);
}

#[test]
fn without_a_recorded_build_nothing_is_ours() {
    let evidence = RecordEvidence { builds: Vec::new(), ..one_build() };
    assert_eq!(ours(&evidence), [""; 0]);
    assert_eq!(reason(&evidence, "run"), Reason::NotRecorded);
    let others = build(Owner::Project("b".into()), StepEnd::Ran, 0);
    assert_eq!(ours(&RecordEvidence { builds: vec![others], ..one_build() }), [""; 0]);
}

#[test]
fn a_named_context_is_loaded_by_a_step_of_its_name() {
    let mut evidence = one_build();
    let source = record("source", &[], "local source for docs", 0, 4, 1);
    evidence.records.push(Record { kind: RecordKind::LocalSource, ..source });
    assert_eq!(reason(&evidence, "source"), Reason::NotRecorded);
    let load = step("[context docs] load from client", StepEnd::Ran, 0, 0);
    steps_of(&mut evidence.builds[0]).push(load);
    assert_eq!(ours(&evidence), ["copy", "run", "source"]);
}

#[test]
fn with_keys_of_its_own_any_build_of_the_project_explains_a_use() {
    let mut evidence = RecordEvidence { complete_since: None, ..one_build() };
    evidence.builds.push(build(Owner::Ours, StepEnd::Cached, 10));
    evidence.records[1].usage_count = 2;
    assert!(matches!(reason(&evidence, "copy"), Reason::Unexplained { uses: 2, explained: 1 }));
    evidence.own_keys = true;
    assert_eq!(ours(&evidence), ["copy", "run"]);
    evidence.records[1].usage_count = 3;
    assert!(matches!(reason(&evidence, "copy"), Reason::Unexplained { uses: 3, explained: 2 }));
}

#[test]
fn another_moment_is_another_step() {
    let mut evidence = one_build();
    evidence.records[2].created_at = Some(at(5));
    assert_eq!(reason(&evidence, "run"), Reason::NotRecorded);
    // Its parent cannot go either.
    assert_eq!(reason(&evidence, "copy"), Reason::Needed { by: "run".into() });
}

#[test]
fn two_records_for_one_step_are_nobodys() {
    let mut evidence = one_build();
    evidence.records.push(record("theirs", &["copy"], RUN_RECORD, 3, 4, 1));
    for id in ["run", "theirs"] {
        assert_eq!(reason(&evidence, id), Reason::Ambiguous);
    }
}

#[test]
fn a_step_that_two_builds_share_is_nobodys() {
    let mut evidence = one_build();
    evidence.builds.push(build(Owner::Unnamed, StepEnd::Ran, 0));
    assert_eq!(ours(&evidence), [""; 0]);
}

#[test]
fn what_others_build_on_stays() {
    let mut evidence = one_build();
    evidence.records.push(record("theirs", &["copy"], "[3/3] COPY g /g", 20, 21, 1));
    assert_eq!(reason(&evidence, "copy"), Reason::Needed { by: "theirs".into() });
    assert_eq!(ours(&evidence), ["run"]);
}

#[test]
fn a_record_in_use_stays_with_its_ancestors() {
    let mut evidence = one_build();
    evidence.records[2].in_use = true;
    assert_eq!(reason(&evidence, "run"), Reason::InUse);
    assert_eq!(ours(&evidence), [""; 0]);
}

#[test]
fn a_layer_of_somebody_elses_image_stays() {
    let mut evidence = one_build();
    evidence.layers = vec![layer("a:1", true, "x"), layer("b:1", false, "x")];
    assert_eq!(reason(&evidence, "run"), Reason::ForeignImage { image: "b:1".into() });
    // A layer of the same second and instruction that is another one.
    evidence.layers[1].chain = Chain::new("y");
    assert_eq!(ours(&evidence), ["copy", "run"]);
}

#[test]
fn another_instruction_of_the_same_second_is_another_layer() {
    let mut evidence = one_build();
    evidence.layers = vec![layer("b:1", false, "x")];
    evidence.layers[0].mark = Mark::of_layer(at(2), "RUN |1 A=b /bin/sh -c make  # buildkit");
    assert_eq!(reason(&evidence, "run"), Reason::ForeignImage { image: "b:1".into() });
    evidence.layers.push(layer("b:1", false, "y"));
    evidence.layers[0].mark = Mark::of_layer(at(2), "RUN /bin/sh -c test # buildkit");
    evidence.layers[1].mark = Mark::of_layer(at(2), "RUN /bin/sh -c make # buildkit");
    evidence.layers[1].ours = true;
    assert_eq!(ours(&evidence), ["copy", "run"], "ours has the words, theirs has not");
    // Words that nobody has may be ours in another spelling.
    evidence.layers.remove(1);
    assert_eq!(reason(&evidence, "run"), Reason::ForeignImage { image: "b:1".into() });
}

/// 20.10: nothing tells of a plain `docker buildx build`, except that the engine counts it.
#[test]
fn an_unknown_build_shows_in_the_count() {
    let mut evidence =
        RecordEvidence { complete_since: None, counts_whole_chain: true, ..one_build() };
    assert_eq!(ours(&evidence), ["copy", "run"]);
    evidence.records[2].usage_count = 2;
    assert_eq!(reason(&evidence, "run"), Reason::Unexplained { uses: 2, explained: 1 });
    assert_eq!(ours(&evidence), [""; 0]);
}

#[test]
fn our_own_cached_builds_explain_the_count() {
    let mut evidence = RecordEvidence { complete_since: None, ..one_build() };
    evidence.builds.push(build(Owner::Ours, StepEnd::Cached, 10));
    evidence.records[2].usage_count = 2;
    evidence.records[2].last_used_at = Some(at(14));
    assert_eq!(ours(&evidence), ["copy", "run"]);
    // The engine counts a cached build on the last record only; 20.10 on all of them.
    evidence.records[1].usage_count = 2;
    assert_eq!(reason(&evidence, "copy"), Reason::Unexplained { uses: 2, explained: 1 });
    evidence.counts_whole_chain = true;
    assert_eq!(ours(&evidence), ["copy", "run"]);
}

#[test]
fn a_use_outside_our_builds_is_somebodys() {
    let mut evidence = RecordEvidence { complete_since: None, ..one_build() };
    evidence.records[2].last_used_at = Some(at(60));
    assert_eq!(reason(&evidence, "run"), Reason::Unexplained { uses: 1, explained: 1 });
}

#[test]
fn a_build_of_others_with_the_same_instruction_makes_counts_matter() {
    let mut evidence = one_build();
    evidence.records[2].usage_count = 2;
    assert_eq!(ours(&evidence), ["copy", "run"], "the history names no one else");
    let mut other = build(Owner::Unnamed, StepEnd::Cached, 30);
    steps_of(&mut other)[1].name = "[builder 7/9] RUN make".into();
    evidence.builds.push(other);
    assert_eq!(reason(&evidence, "run"), Reason::Unexplained { uses: 2, explained: 1 });
}

#[test]
fn uses_after_a_rebuild_belong_to_the_newer_record() {
    let mut evidence = RecordEvidence { complete_since: None, ..one_build() };
    evidence.builds.push(build(Owner::Ours, StepEnd::Ran, 10));
    evidence.records.push(record("copy2", &["base"], COPY, 11, 14, 1));
    evidence.records.push(record("run2", &["copy2"], RUN_RECORD, 12, 14, 1));
    assert_eq!(ours(&evidence), ["copy", "copy2", "run", "run2"]);
    evidence.records[2].usage_count = 2;
    assert_eq!(reason(&evidence, "run"), Reason::Unexplained { uses: 2, explained: 1 });
}

#[test]
fn a_cache_mount_that_others_name_stays() {
    let mount = |id: &str| MountName { id: id.into(), target: "/c".into() };
    let description = "cached mount /c from exec /bin/sh -c make with id \"//c\"";
    let mut evidence = one_build();
    steps_of(&mut evidence.builds[0])[1].mounts.push(mount("//c"));
    evidence.records.push(record("mount", &[], description, 2, 4, 1));
    assert_eq!(ours(&evidence), ["copy", "mount", "run"]);
    let mut other = build(Owner::Project("b".into()), StepEnd::Ran, 30);
    steps_of(&mut other)[1].mounts.push(mount("/other"));
    evidence.builds.push(other);
    // Same target, another id: another mount. 20.10 shows no id, the ledgers still do.
    assert!(ours(&evidence).contains(&"mount".to_owned()));
    steps_of(&mut evidence.builds[1])[1].mounts.push(mount("//c"));
    assert_eq!(reason(&evidence, "mount"), Reason::SharedMount { project: Some("b".into()) });
    evidence.records[3].description = "cached mount /c from exec /bin/sh -c make".into();
    assert_eq!(reason(&evidence, "mount"), Reason::SharedMount { project: Some("b".into()) });
}

fn current(evidence: &RecordEvidence) -> Vec<String> {
    let verdicts = attribute(evidence).into_iter();
    verdicts
        .filter(|(_, verdict)| matches!(verdict, Verdict::Ours { is_current: true, .. }))
        .map(|(id, _)| id)
        .collect()
}

/// Two builds of ours, each of which ran its own COPY and RUN: `copy` and `run` are what the first left, `copy2` and `run2`
/// what the second did.
fn two_builds() -> RecordEvidence {
    let mut evidence = one_build();
    evidence.records.extend([
        record("copy2", &["base"], COPY, 11, 14, 1),
        record("run2", &["copy2"], RUN_RECORD, 12, 14, 1),
    ]);
    let mut second = build(Owner::Ours, StepEnd::Ran, 10);
    second.is_current = true;
    evidence.builds.push(second);
    evidence
}

#[test]
fn what_an_earlier_build_made_is_not_current() {
    assert_eq!(current(&two_builds()), ["copy2", "run2"]);
    // A build that failed in its RUN needs what it had made.
    let mut evidence = two_builds();
    steps_of(&mut evidence.builds[1])[1].end = StepEnd::Unfinished;
    evidence.builds[1].product.is_complete = false;
    evidence.records.pop();
    assert_eq!(current(&evidence), ["copy2", "run"], "the RUN may be the earlier one");
}

#[test]
fn of_a_step_that_was_cached_all_that_it_may_have_been_is_current() {
    let mut evidence = two_builds();
    evidence.builds[1].is_current = false;
    let mut third = build(Owner::Ours, StepEnd::Cached, 20);
    third.is_current = true;
    third.product.images.insert("img".into());
    // Another number, and another stage.
    steps_of(&mut third)[0].name = "[late 3/4] COPY f /f".into();
    evidence.builds.push(third);
    assert_eq!(current(&evidence), ["copy", "copy2", "run", "run2"]);
    // The image that it made has the layers of the first build.
    let of_image = |second: i64, created_by: &str| ImageLayer {
        mark: Mark::of_layer(at(second), created_by),
        is_current: true,
        ..layer("img", true, created_by)
    };
    evidence.layers =
        vec![of_image(1, "COPY f /f # buildkit"), of_image(2, "RUN /bin/sh -c make # buildkit")];
    assert_eq!(current(&evidence), ["copy", "run"]);
    // Where the Dockerfile says it twice, the layer may be of the other place.
    let twice = evidence.builds[2].steps[0].clone();
    steps_of(&mut evidence.builds[2])
        .push(BuildStep { name: "[other 1/1] COPY f /f".into(), ..twice });
    assert_eq!(current(&evidence), ["copy", "copy2", "run"]);
}

#[test]
fn a_cached_step_that_nobody_can_find_makes_all_of_its_kind_current() {
    let mut evidence = two_builds();
    evidence.builds[1].is_current = false;
    let mut third = build(Owner::Ours, StepEnd::Cached, 20);
    third.is_current = true;
    steps_of(&mut third)[1].name = "[3/3] RUN make  --with another-text".into();
    evidence.builds.push(third);
    evidence.records.push(record("other", &["base"], "[2/3] COPY g /g", 3, 4, 1));
    steps_of(&mut evidence.builds[0]).push(step("[2/3] COPY g /g", StepEnd::Ran, 2, 4));
    assert_eq!(current(&evidence), ["copy", "copy2", "run", "run2"]);
    // It is somebody else's.
    let theirs = "mount / from exec /bin/sh -c make --with another-text";
    evidence.records.push(record("theirs", &["copy"], theirs, 90, 91, 1));
    assert_eq!(current(&evidence), ["copy2"], "copy stays by what is built on it");
}

#[test]
fn a_layer_of_an_image_with_a_name_is_current() {
    let mut evidence = two_builds();
    evidence.layers = vec![layer("p-app:old", true, "x")];
    assert_eq!(current(&evidence), ["copy2", "run", "run2"]);
    evidence.layers[0].is_current = false;
    assert_eq!(current(&evidence), ["copy2", "run2"]);
}
