//! The habits, one function each: where a Dockerfile has it, and what it did in the builds that are remembered.

use std::collections::BTreeMap;

use super::past::Past;
use super::{Habit, OFTEN, Proof};
use crate::explain::cause::Reason;
use crate::history::StepEntry;

/// Files of a habit that are named.
const NAMED: usize = 5;

/// Commands that install packages.
const INSTALLS: [&str; 17] = [
    "pip install",
    "pip3 install",
    "uv sync",
    "uv pip install",
    "uv pip sync",
    "poetry install",
    "pipenv install",
    "pipenv sync",
    "pdm install",
    "conda install",
    "npm ci",
    "npm install",
    "yarn install",
    "pnpm install",
    "apt-get install",
    "apk add",
    "go mod download",
];

/// Beginnings and ends of names of files by which packages are chosen.
const LISTS: [&str; 10] = [
    "requirements",
    "constraints",
    "pyproject.",
    "setup.",
    "pipfile",
    "package",
    "pnpm-",
    "go.",
    "environment.",
    ".npmrc",
];
const LIST_ENDS: [&str; 5] = [".lock", "-lock.json", ".toml", "requirements.txt", ".in"];

/// A habit of the step at a place.
type Find = (usize, Habit, Proof);

pub(super) fn all(present: &Past<'_>, pasts: &[Past<'_>]) -> Vec<Find> {
    let mut found: Vec<Find> = copies_before_installs(present, pasts);
    let above: Vec<usize> =
        found.iter().filter(|it| it.2.is_enough()).map(|(copy, ..)| *copy).collect();
    for (index, step) in present.chain.steps.iter().enumerate() {
        if is_copy(step) {
            found.extend(git_in_context(index, step, pasts));
            if !above.contains(&index) {
                found.extend(changing_file(index, step, pasts));
            }
        }
    }
    found.extend(early_arguments(present, pasts));
    found.extend(floating_bases(present, pasts));
    found
}

fn is_copy(step: &StepEntry) -> bool {
    ["COPY ", "ADD "].iter().any(|word| step.instruction.starts_with(word))
}

/// Whether it installs packages, and not what is in the directory beside them.
fn is_install(step: &StepEntry) -> bool {
    let text = &step.instruction;
    let installs = text.starts_with("RUN ") && INSTALLS.iter().any(|words| text.contains(words));
    let is_here = |word: &str| word == "." || word.starts_with("./") || word.starts_with(".[");
    installs && !text.split([' ', '"', '\'']).any(is_here)
}

fn is_list(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    LISTS.iter().any(|start| name.starts_with(start))
        || LIST_ENDS.iter().any(|end| name.ends_with(end))
}

fn is_of_git(path: &str) -> bool {
    path.split('/').any(|part| part == ".git")
}

/// Counts names, and gives the most frequent ones first.
#[derive(Default)]
struct Names<'a>(BTreeMap<&'a str, usize>);

impl<'a> Names<'a> {
    fn add(&mut self, names: &[&'a str]) {
        names.iter().for_each(|name| *self.0.entry(name).or_default() += 1);
    }

    fn most_frequent(&self) -> Vec<String> {
        let mut names: Vec<(&&str, &usize)> = self.0.iter().collect();
        names.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        names.into_iter().take(NAMED).map(|(name, _)| (*name).to_owned()).collect()
    }
}

/// Installs that ran because of a copy below which they stand, of nothing that chooses packages.
fn copies_before_installs(present: &Past<'_>, pasts: &[Past<'_>]) -> Vec<Find> {
    let mut found = Vec::new();
    for (install, step) in present.chain.steps.iter().enumerate().filter(|(_, it)| is_install(it)) {
        let below = present.chain.ancestors(install);
        for copy in below.into_iter().filter(|at| is_copy(present.chain.steps[*at])) {
            let (mut proof, mut names) = (Proof::default(), Names::default());
            for past in pasts {
                let at = past.find(step).zip(past.find(present.chain.steps[copy]));
                let Some((install, copy)) =
                    at.filter(|(install, copy)| past.root(*install) == *copy)
                else {
                    continue;
                };
                let Some(paths) = past.files(copy) else { continue };
                if is_needless(past, install) {
                    proof.add(past.seconds(install));
                    names.add(&paths);
                }
            }
            let (install, paths) = (step.instruction.clone(), names.most_frequent());
            found.push((copy, Habit::CopyBeforeInstall { install, paths }, proof));
        }
    }
    found
}

/// Whether no list of packages changed in anything that stands below an install.
fn is_needless(past: &Past<'_>, install: usize) -> bool {
    let mut below = past.chain.ancestors(install);
    below.push(install);
    below.into_iter().all(|at| match past.chain.changed_paths(at) {
        Some(paths) => !paths.iter().any(|path| is_list(path)),
        None => false,
    })
}

/// A copy that ran because of files of git alone.
fn git_in_context(index: usize, step: &StepEntry, pasts: &[Past<'_>]) -> Option<Find> {
    let (mut proof, mut names) = (Proof::default(), Names::default());
    for past in pasts {
        let Some((at, paths)) = past.find(step).and_then(|at| Some((at, past.files(at)?))) else {
            continue;
        };
        if paths.iter().all(|path| is_of_git(path)) {
            proof.add(past.seconds(at) + past.followers(at).map(|it| it.seconds).sum::<f64>());
            names.add(&paths);
        }
    }
    (proof.builds > 0).then(|| (index, Habit::GitInContext { paths: names.most_frequent() }, proof))
}

/// A file that changed whenever a copy ran because of its files, and more than once was the only one.
fn changing_file(index: usize, step: &StepEntry, pasts: &[Past<'_>]) -> Option<Find> {
    if step.files.as_ref().is_none_or(|files| files.count < 2) {
        return None;
    }
    let mut runs: Vec<(Vec<&str>, f64)> = Vec::new();
    for past in pasts {
        let Some((at, paths)) = past.find(step).and_then(|at| Some((at, past.files(at)?))) else {
            continue;
        };
        let after = past.followers(at).filter(|it| it.instruction.starts_with("RUN "));
        runs.push((paths, after.map(|it| it.seconds).sum()));
    }
    let (first, _) = runs.first()?;
    let every_time = |path: &&&str| runs.iter().all(|(paths, _)| paths.contains(*path));
    let path = first.iter().filter(every_time).find(|path| !is_of_git(path) && !is_list(path))?;
    let mut proof = Proof::default();
    for (_, seconds) in runs.iter().filter(|(paths, seconds)| paths.len() == 1 && *seconds > 0.0) {
        proof.add(*seconds);
    }
    (runs.len() > OFTEN).then(|| (index, Habit::ChangingFile { path: (*path).to_owned() }, proof))
}

/// Arguments that changed while the Dockerfile stayed as it is.
fn early_arguments(present: &Past<'_>, pasts: &[Past<'_>]) -> Vec<Find> {
    let mut proofs: BTreeMap<(usize, &str), (bool, Proof)> = BTreeMap::new();
    for past in pasts.iter().filter(|past| past.is_present_file && past.is_same_file) {
        for (index, step) in past.chain.steps.iter().enumerate() {
            let Some(Reason::Argument { argument, from, to }) = past.reason(index) else {
                continue;
            };
            let place = |other: &&StepEntry| (&other.stage, other.line) == (&step.stage, step.line);
            let Some(at) = present.chain.steps.iter().position(place) else { continue };
            let value = |value: &Option<String>| {
                value
                    .as_ref()
                    .is_some_and(|it| !it.is_empty() && step.instruction.contains(it.as_str()))
            };
            let used = step.instruction.contains(argument.as_str()) || value(from) || value(to);
            let after: f64 = past.followers(index).map(|it| it.seconds).sum();
            let own = if used { 0.0 } else { past.seconds(index) };
            let known = proofs.entry((at, argument)).or_insert((used, Proof::default()));
            known.0 |= used;
            known.1.add(own + after);
        }
    }
    let find = |((at, argument), (used, proof)): ((usize, &str), _)| {
        (at, Habit::EarlyArgument { argument: argument.to_owned(), used }, proof)
    };
    proofs.into_iter().map(find).collect()
}

/// Base images that moved while the Dockerfile stayed as it was.
fn floating_bases(present: &Past<'_>, pasts: &[Past<'_>]) -> Vec<Find> {
    let mut proofs: BTreeMap<String, Proof> = BTreeMap::new();
    for past in pasts.iter().filter(|past| past.is_same_file) {
        let mut costs: BTreeMap<&str, f64> = BTreeMap::new();
        for index in 0..past.chain.steps.len() {
            if let Some(Reason::Base { reference, .. }) = past.certain(past.root(index)) {
                *costs.entry(reference).or_default() += past.seconds(index);
            }
        }
        for (reference, seconds) in costs {
            proofs.entry(reference.to_owned()).or_default().add(seconds);
        }
    }
    let find = |(reference, proof): (String, Proof)| {
        let begins = |step: &&StepEntry| {
            crate::history::record::base_of(&step.name).is_some_and(|(name, _)| name == reference)
        };
        let index = present.chain.steps.iter().position(begins)?;
        Some((index, Habit::FloatingBase { reference }, proof))
    };
    proofs.into_iter().filter_map(find).collect()
}
