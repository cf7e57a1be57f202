//! A catalogue of changes of a generated project, and random ones: what is foreseen is what the next build does, and causes
//! that are certain are true.
//!
//! `DOC2MD_WHY_CATALOGUE=1` makes every change of the catalogue on each engine. `DOC2MD_WHY_ROUNDS=100` makes that many
//! random ones on each, `DOC2MD_WHY_SEED=N` the ones of a run again.

mod world;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{Chance, Engine, Project, engines, on_every_engine};
use world::{Change, Edit, Expected, World};

/// Edits on each engine.
const ROUNDS: u64 = 4;

/// Why a step would run, or ran.
#[derive(Debug)]
struct Cause {
    kind: String,
    certain: bool,
    /// What it names.
    names: Vec<String>,
    /// Whether it would run only if another stage makes something else than before.
    may: bool,
}

/// Target and instruction to the cause; `None` for what comes from the cache.
type Steps = BTreeMap<(String, String), Option<Cause>>;

/// Steps of all rounds.
#[derive(Debug, Default)]
struct Counts {
    /// Said to run.
    foreseen: u64,
    /// Of those, the ones that ran.
    foreseen_and_ran: u64,
    ran: u64,
    /// Of those, the ones that were said to run, or that they may.
    ran_and_known: u64,
    causes: u64,
    right: u64,
    /// Certain, and another thing was true.
    wrong: Vec<String>,
    /// Not certain, and not the right one; or not foreseen.
    inexact: Vec<String>,
}

fn steps(report: &[u8]) -> Steps {
    let report: Value = serde_json::from_slice(report).unwrap();
    let mut found = Steps::new();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for target in report["targets"].as_array().unwrap() {
        let steps = target["steps"].as_array().unwrap();
        for step in steps {
            // Stages with one base share the step that fetches it, which has the name of one of them.
            if text(&step["instruction"]).starts_with("FROM ") {
                continue;
            }
            let cause = &step["cause"];
            let paths = cause["paths"].as_array().into_iter().flatten();
            let mut names: Vec<String> = paths.map(|path| text(&path["path"])).collect();
            names.extend(cause["argument"].as_str().map(str::to_owned));
            let below = |step: &&Value| {
                let below = step["cause"]["because_of_step"].as_u64()?;
                steps.iter().find(|step| step["index"] == below)
            };
            let is_copy =
                |it: &Value| it["cause"]["kind"] == "stage" && it["cause"]["certain"] == false;
            let cause = (step["cached"] == false).then(|| Cause {
                kind: text(&cause["kind"]),
                certain: cause["certain"] == true,
                names,
                may: std::iter::successors(Some(step), below).any(is_copy),
            });
            found.insert((text(&target["target"]), text(&step["instruction"])), cause);
        }
    }
    found
}

fn is_root(cause: &Cause) -> bool {
    !matches!(cause.kind.as_str(), "earlier-step" | "stage")
}

impl Counts {
    fn add(&mut self, what: &str, foreseen: &Steps, built: &Steps, expected: &[Expected]) {
        for (step, after) in built {
            let before = foreseen.get(step).unwrap_or(&None);
            let line =
                || format!("{what}: {} {}: foreseen {before:?}, ran {after:?}", step.0, step.1);
            let is_sure = before.as_ref().is_some_and(|cause| !cause.may);
            self.foreseen += u64::from(is_sure);
            self.foreseen_and_ran += u64::from(is_sure && after.is_some());
            self.ran += u64::from(after.is_some());
            self.ran_and_known += u64::from(before.is_some() && after.is_some());
            match (before, after) {
                (Some(cause), None) if cause.certain => self.wrong.push(line()),
                (Some(cause), None) if cause.may => {}
                (Some(_), None) | (None, Some(_)) => self.inexact.push(line()),
                _ => {}
            }
            for cause in [before, after].into_iter().flatten().filter(|cause| is_root(cause)) {
                let is_right = world::allows(expected, &cause.kind, &cause.names);
                self.causes += 1;
                self.right += u64::from(is_right);
                match (is_right, cause.certain) {
                    (true, _) => {}
                    (false, true) => self.wrong.push(line()),
                    (false, false) => self.inexact.push(line()),
                }
            }
        }
    }

    fn ratio(part: u64, whole: u64) -> f64 {
        if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
    }

    fn precision(&self) -> f64 {
        Self::ratio(self.foreseen_and_ran, self.foreseen)
    }

    fn recall(&self) -> f64 {
        Self::ratio(self.ran_and_known, self.ran)
    }

    fn told(&self, engine: &str) -> String {
        format!(
            "{engine}: {} steps ran, precision {:.3}, recall {:.3}, right causes {:.3} of {}\nwrong:\n{}\ninexact:\n{}\n",
            self.ran,
            self.precision(),
            self.recall(),
            Self::ratio(self.right, self.causes),
            self.causes,
            self.wrong.join("\n"),
            self.inexact.join("\n")
        )
    }
}

fn report(project: &Project, args: &[&str]) -> Steps {
    steps(&project.run(args).success().get_output().stdout)
}

const DRY_RUN: &[&str] = &["build", "--dry-run", "--format", "json"];

/// A project that has been built.
fn first_build<'a>(project: &'a Project) -> World<'a> {
    let mut world = World::new(project);
    world.write();
    report(project, DRY_RUN);
    project.run(&["build"]).success();
    world
}

/// What is foreseen after some edits, and what then is built.
fn build(project: &Project, world: &mut World<'_>, edits: &[Edit]) -> (Steps, Steps) {
    world.write();
    // One build has the flags of one edit.
    let flags = edits.iter().map(|edit| edit.flags).find(|flags| !flags.is_empty());
    let flags = flags.unwrap_or_default();
    let foreseen = report(project, &[DRY_RUN, flags].concat());
    project.run(&[&["build"], flags].concat()).success();
    (foreseen, report(project, &["why", "--format", "json"]))
}

fn told(edits: &[Edit]) -> (String, Vec<Expected>) {
    let what: Vec<&str> = edits.iter().map(|edit| &*edit.what).collect();
    (what.join(", "), edits.iter().flat_map(|edit| edit.expected.clone()).collect())
}

fn edits(engine: &Engine, seed: u64, rounds: u64) -> Counts {
    let project = Project::new(engine);
    let mut world = first_build(&project);
    let mut chance = Chance(seed);
    let mut counts = Counts::default();
    for round in 0..rounds {
        let many = 1 + chance.next() % 3 / 2;
        let edits: Vec<Edit> = (0..many).map(|_| world.edit(&mut chance)).collect();
        let (foreseen, built) = build(&project, &mut world, &edits);
        let (what, expected) = told(&edits);
        counts.add(&format!("{seed}.{round} {what}"), &foreseen, &built, &expected);
    }
    counts
}

/// Makes changes in turn, with a build after each of `groups`; panics where what is foreseen or told is wrong.
fn make_all(engine: &Engine, groups: &[Vec<Change>]) {
    let project = Project::new(engine);
    let mut world = first_build(&project);
    let (mut counts, mut missed) = (Counts::default(), Vec::new());
    for changes in groups {
        let edits: Vec<Edit> = changes.iter().map(|change| world.make(*change)).collect();
        let (foreseen, built) = build(&project, &mut world, &edits);
        let (what, mut expected) = told(&edits);
        let is_cleaned = changes.iter().any(|change| matches!(change, Change::Clean));
        let ran = built.values().flatten().count();
        // Of what was cleaned some may stay: what the image needs, or may be somebody else's.
        if expected.is_empty() != (ran == 0) && !is_cleaned {
            missed.push(format!("{what}: {built:?}"));
        }
        expected.extend(world.is_cleaned().then(|| Expected::kind("record-gone")));
        if is_cleaned {
            // 20.10 loses the way to results that it still has (docs/design/why.md, limits).
            let mut cleaned = Counts::default();
            cleaned.add(&what, &foreseen, &built, &expected);
            counts.wrong.extend(cleaned.wrong);
        } else {
            counts.add(&what, &foreseen, &built, &expected);
        }
    }
    let told = counts.told(&engine.name);
    assert!(missed.is_empty() && counts.wrong.is_empty(), "{missed:#?}\n{told}");
    assert_eq!(counts.right, counts.causes, "{told}");
    assert!(counts.precision() >= 0.98 && counts.recall() >= 0.98, "{told}");
}

/// On each engine a part of `all`; `DOC2MD_WHY_CATALOGUE=1` makes everything on each.
fn on_every_engine_in_parts(all: Vec<Vec<Change>>) {
    let engines: Vec<String> = engines().into_iter().map(|engine| engine.name).collect();
    let is_whole = std::env::var_os("DOC2MD_WHY_CATALOGUE").is_some();
    on_every_engine(|engine| {
        let part = engines.iter().position(|name| *name == engine.name).unwrap();
        let parts = all.iter().enumerate();
        let mine = parts.filter(|(index, _)| is_whole || index % engines.len() == part);
        make_all(engine, &mine.map(|(_, changes)| changes.clone()).collect::<Vec<_>>());
    });
}

#[test]
fn each_change_of_the_catalogue_is_foreseen_and_explained() {
    let alone: Vec<Vec<Change>> = world::catalogue().map(|change| vec![change]).collect();
    assert!(alone.len() > 40);
    on_every_engine_in_parts(alone);
}

/// Each with one that stands half a catalogue away from it.
#[test]
fn changes_of_the_catalogue_are_told_apart_in_pairs() {
    let all: Vec<Change> = world::catalogue().collect();
    let (first, second) = all.split_at(all.len() / 2);
    on_every_engine_in_parts(first.iter().zip(second).map(|(a, b)| vec![*a, *b]).collect());
}

#[test]
fn random_edits_are_foreseen_and_explained() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let rounds = number("DOC2MD_WHY_ROUNDS").unwrap_or(ROUNDS);
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let seed = number("DOC2MD_WHY_SEED").unwrap_or(now);
    on_every_engine(|engine| {
        let counts = edits(engine, seed, rounds);
        let told = format!("DOC2MD_WHY_SEED={seed}, {rounds} edits: {}", counts.told(&engine.name));
        if let Some(file) = std::env::var_os("DOC2MD_WHY_REPORT") {
            let file = std::path::Path::new(&file).join(format!("{}.txt", engine.name));
            std::fs::write(file, &told).unwrap();
        }
        assert!(counts.wrong.is_empty(), "{told}");
        // Of a few steps one is much, and a busy engine tells the end of some too late for the history.
        let is_enough = |ratio: f64, least: f64| counts.ran < 500 || ratio >= least;
        assert!(is_enough(counts.precision(), 0.98) && is_enough(counts.recall(), 0.98), "{told}");
        assert!(is_enough(Counts::ratio(counts.right, counts.causes), 0.95), "{told}");
    });
}
