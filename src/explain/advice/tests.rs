//! Habits, and what looks like one.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::history::copied::{Collector, CopyEntry};
use crate::history::{BaseImage, CopiedFiles, Outcome, StepResult};
use crate::test_history::{build, step};

const INSTALL: &str = "[3/4] RUN pip install -r requirements.txt";

fn files(files: &[(&str, u8)]) -> Option<CopiedFiles> {
    let mut collector = Collector::default();
    for (path, content) in files {
        let (mtime, digest) = (i64::from(*content), Some([*content; 32]));
        let path = path.as_bytes().into();
        collector.add(CopyEntry { mtime, path, mode: 0o644, size: 9, digest });
    }
    Some(collector.finish())
}

/// Four steps of which all but the first ran. What the second one reads.
fn four(number: u32, names: [&str; 4], copied: &[(&str, u8)]) -> Entry {
    let steps = names.into_iter().enumerate().map(|(index, name)| {
        let result = if index == 0 { StepResult::Cached } else { StepResult::Ran };
        step(name, result, if index == 2 { 20.0 } else { 0.25 })
    });
    let mut steps: Vec<StepEntry> = steps.collect();
    for index in 1..4 {
        steps[index].inputs = vec![steps[index - 1].digest.clone()];
    }
    steps[1].files = files(copied).filter(|_| !copied.is_empty());
    let mut entry = build(number, Outcome::Succeeded, steps);
    entry.targets[0].inputs.dockerfile_digest = Some("sha256:f".to_owned());
    entry
}

/// The newest first: builds that copied these files.
fn builds(names: [&str; 4], copied: &[&[(&str, u8)]]) -> Vec<Entry> {
    let mut all: Vec<Entry> =
        copied.iter().zip(1..).map(|(files, number)| four(number, names, files)).collect();
    all.reverse();
    all
}

fn advised(all: &[Entry]) -> Vec<Advice> {
    let mut all = all.to_vec();
    let newest = all.remove(0);
    crate::explain::with_advice(newest, all).advice
}

fn names(install: &str) -> [&str; 4] {
    ["[1/4] FROM docker.io/library/python:3", "[2/4] COPY . /app", install, "[4/4] RUN end"]
}

#[test]
fn code_above_an_install_is_a_habit_and_lists_above_it_are_none() {
    let code: [&[(&str, u8)]; 4] = [
        &[("a.py", 1), ("b.py", 1), ("requirements.txt", 1)],
        &[("a.py", 2), ("b.py", 1), ("requirements.txt", 1)],
        &[("a.py", 2), ("b.py", 1), ("requirements.txt", 2)],
        &[("a.py", 3), ("b.py", 2), ("requirements.txt", 2)],
    ];
    let found = advised(&builds(names(INSTALL), &code));
    let [advice] = &found[..] else { panic!("{found:#?}") };
    // The third build installed because its list had changed.
    assert_eq!((advice.builds, advice.of_builds, advice.seconds), (2, 4, 40.0));
    assert_eq!((advice.instruction.as_str(), advice.line), ("COPY . /app", Some(2)));
    let paths = vec!["a.py".to_owned(), "b.py".to_owned()];
    let install = "RUN pip install -r requirements.txt".to_owned();
    assert_eq!(advice.habit, Habit::CopyBeforeInstall { install, paths });

    // Once does not make a habit; what installs the directory itself reads the code.
    assert_eq!(advised(&builds(names(INSTALL), &code[..3])), []);
    assert_eq!(advised(&builds(names("[3/4] RUN pip install ."), &code)), []);
    // Gone from the Dockerfile.
    let mut all = builds(names(INSTALL), &code);
    let other = ["[1/4] FROM x", "[2/4] COPY requirements.txt .", INSTALL, "[4/4] COPY . /app"];
    all.insert(0, four(9, other, &[("requirements.txt", 2)]));
    assert_eq!(advised(&all), []);
}

#[test]
fn a_list_that_changed_with_the_code_is_what_an_install_is_for() {
    let three = [
        "[1/4] FROM x",
        "[2/4] COPY src /src",
        "[3/4] COPY reqs.in .",
        "[4/4] RUN pip install -r reqs.in",
    ];
    let mut all = builds(three, &[&[("src/a", 1)], &[("src/a", 2)], &[("src/a", 3)]]);
    for (entry, content) in all.iter_mut().zip([3, 2, 1]) {
        entry.targets[0].steps[2].files = files(&[("reqs.in", content)]);
        entry.targets[0].steps[3].seconds = 30.0;
    }
    assert_eq!(advised(&all), []);
    for entry in &mut all {
        entry.targets[0].steps[2].files = files(&[("reqs.in", 1)]);
    }
    assert_eq!(advised(&all)[0].seconds, 60.0);
    // It is not known what the step in between reads.
    for entry in &mut all {
        entry.targets[0].steps[2].files = None;
    }
    assert_eq!(advised(&all), []);
}

#[test]
fn a_file_that_changes_every_time_and_alone_is_named() {
    let plain = names("[3/4] RUN make");
    let alone: [&[(&str, u8)]; 4] = [
        &[("VERSION", 1), ("a.c", 1)],
        &[("VERSION", 2), ("a.c", 1)],
        &[("VERSION", 3), ("a.c", 2)],
        &[("VERSION", 4), ("a.c", 2)],
    ];
    let found = advised(&builds(plain, &alone));
    let [advice] = &found[..] else { panic!("{found:#?}") };
    assert_eq!(advice.habit, Habit::ChangingFile { path: "VERSION".to_owned() });
    assert_eq!((advice.builds, advice.seconds), (2, 40.5));
    // Another file has changed without it.
    let mut sometimes = alone;
    sometimes[2] = &[("VERSION", 2), ("a.c", 2)];
    assert_eq!(advised(&builds(plain, &sometimes)), []);
    let git: [&[(&str, u8)]; 3] = [
        &[(".git/HEAD", 1), ("a", 1)],
        &[(".git/HEAD", 2), ("a", 1)],
        &[(".git/HEAD", 3), ("a", 1)],
    ];
    let found = advised(&builds(plain, &git));
    let paths = vec![".git/HEAD".to_owned()];
    assert_eq!(
        found.iter().map(|it| &it.habit).collect::<Vec<_>>(),
        [&Habit::GitInContext { paths }]
    );
    assert_eq!((found[0].builds, found[0].seconds), (2, 41.0));
}

#[test]
fn arguments_and_bases_count_where_the_dockerfile_stayed() {
    let plain = [
        "[1/4] FROM docker.io/library/python:3",
        "[2/4] RUN one",
        "[3/4] RUN two",
        "[4/4] RUN three",
    ];
    let mut all = builds(plain, &[&[], &[], &[]]);
    for (entry, number) in all.iter_mut().zip(["3", "2", "1"]) {
        let target = &mut entry.targets[0];
        target.inputs.args = [("SHA".to_owned(), number.to_owned())].into();
        // The text is the same, the operation is not.
        for index in 1..4 {
            target.steps[index].digest = format!("sha256:{index}{number}");
            let below = target.steps[index - 1].digest.clone();
            target.steps[index].inputs = vec![below];
        }
    }
    let found = advised(&all);
    let [advice] = &found[..] else { panic!("{found:#?}") };
    assert_eq!(advice.habit, Habit::EarlyArgument { argument: "SHA".to_owned(), used: false });
    assert_eq!((advice.instruction.as_str(), advice.builds, advice.seconds), ("RUN one", 2, 41.0));
    all[1].targets[0].inputs.dockerfile_digest = Some("sha256:g".to_owned());
    assert_eq!(advised(&all), []);

    let mut all = builds(plain, &[&[], &[], &[]]);
    for (entry, number) in all.iter_mut().zip(["3", "2", "1"]) {
        let reference = "docker.io/library/python:3".to_owned();
        let base = BaseImage { reference, digest: Some(format!("sha256:{number}")), layers: None };
        entry.targets[0].inputs.bases = vec![base];
    }
    let found = advised(&all);
    let [advice] = &found[..] else { panic!("{found:#?}") };
    let reference = "docker.io/library/python:3".to_owned();
    assert_eq!(advice.habit, Habit::FloatingBase { reference });
    assert_eq!((advice.builds, advice.seconds), (2, 41.0));
}
