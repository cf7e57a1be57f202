//! Random edits of a generated project: what is foreseen is what the next build does, and causes that are certain are true.
//!
//! `DOC2MD_WHY_ROUNDS=100` makes that many edits on each engine, `DOC2MD_WHY_SEED=N` the ones of a run again.

mod world;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::clean_by_chance::Chance;
use crate::support::{Engine, Project, on_every_engine};
use world::{Expected, World};

/// Edits on each engine.
const ROUNDS: u64 = 4;

/// Of a step that would run, or ran: kind of its cause, whether that is certain, what it names.
type Cause = (String, bool, Vec<String>);

/// Target and instruction to the cause; `None` for what comes from the cache.
type Steps = BTreeMap<(String, String), Option<Cause>>;

/// Steps of all rounds.
#[derive(Debug, Default)]
struct Counts {
    foreseen_and_ran: u64,
    foreseen: u64,
    ran: u64,
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
        for step in target["steps"].as_array().unwrap() {
            // Stages with one base share the step that fetches it, which has the name of one of them.
            if text(&step["instruction"]).starts_with("FROM ") {
                continue;
            }
            let cause = &step["cause"];
            let paths = cause["paths"].as_array().into_iter().flatten();
            let mut names: Vec<String> = paths.map(|path| text(&path["path"])).collect();
            names.extend(cause["argument"].as_str().map(str::to_owned));
            let cause = (step["cached"] == false)
                .then(|| (text(&cause["kind"]), cause["certain"] == true, names));
            found.insert((text(&target["target"]), text(&step["instruction"])), cause);
        }
    }
    found
}

fn is_root(cause: &Cause) -> bool {
    !matches!(cause.0.as_str(), "earlier-step" | "stage")
}

impl Counts {
    fn add(&mut self, what: &str, foreseen: &Steps, built: &Steps, expected: &[Expected]) {
        for (step, after) in built {
            let before = foreseen.get(step).unwrap_or(&None);
            let line =
                || format!("{what}: {} {}: foreseen {before:?}, ran {after:?}", step.0, step.1);
            self.foreseen += u64::from(before.is_some());
            self.ran += u64::from(after.is_some());
            self.foreseen_and_ran += u64::from(before.is_some() && after.is_some());
            match (before, after) {
                (Some((_, true, _)), None) => self.wrong.push(line()),
                (Some(_), None) | (None, Some(_)) => self.inexact.push(line()),
                _ => {}
            }
            for cause in [before, after].into_iter().flatten().filter(|cause| is_root(cause)) {
                let is_right = world::allows(expected, &cause.0, &cause.2);
                self.causes += 1;
                self.right += u64::from(is_right);
                match (is_right, cause.1) {
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
}

fn report(project: &Project, args: &[&str]) -> Steps {
    steps(&project.run(args).success().get_output().stdout)
}

fn edits(engine: &Engine, seed: u64, rounds: u64) -> Counts {
    let project = Project::new(engine);
    let mut world = World::new(&project);
    world.write();
    report(&project, &["build", "--dry-run", "--format", "json"]);
    project.run(&["build"]).success();
    let mut chance = Chance(seed);
    let mut counts = Counts::default();
    for round in 0..rounds {
        let (mut what, mut expected) = (format!("{seed}.{round}"), Vec::new());
        let mut flags: &[&str] = &[];
        for _ in 0..1 + chance.next() % 3 / 2 {
            let edit = world.edit(&mut chance);
            what = format!("{what} {}", edit.what);
            expected.extend(edit.expected);
            flags = if edit.flags.is_empty() { flags } else { edit.flags };
        }
        world.write();
        let dry_run = ["build", "--dry-run", "--format", "json"];
        let foreseen = report(&project, &[&dry_run, flags].concat());
        project.run(&[&["build"], flags].concat()).success();
        let built = report(&project, &["why", "--format", "json"]);
        counts.add(&what, &foreseen, &built, &expected);
    }
    counts
}

#[test]
fn random_edits_are_foreseen_and_explained() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let rounds = number("DOC2MD_WHY_ROUNDS").unwrap_or(ROUNDS);
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let seed = number("DOC2MD_WHY_SEED").unwrap_or(now);
    on_every_engine(|engine| {
        let counts = edits(engine, seed, rounds);
        let precision = Counts::ratio(counts.foreseen_and_ran, counts.foreseen);
        let recall = Counts::ratio(counts.foreseen_and_ran, counts.ran);
        let right = Counts::ratio(counts.right, counts.causes);
        let told = format!(
            "{}, DOC2MD_WHY_SEED={seed}: {rounds} edits, {} steps ran, precision {precision:.3}, recall {recall:.3}, right causes \
             {right:.3} of {}\nwrong:\n{}\ninexact:\n{}\n",
            engine.name,
            counts.ran,
            counts.causes,
            counts.wrong.join("\n"),
            counts.inexact.join("\n")
        );
        if let Some(file) = std::env::var_os("DOC2MD_WHY_REPORT") {
            let file = std::path::Path::new(&file).join(format!("{}.txt", engine.name));
            std::fs::write(file, &told).unwrap();
        }
        assert!(counts.wrong.is_empty(), "{told}");
        // Of a few steps one is much, and a busy engine tells the end of some too late for the history.
        let is_enough = |ratio: f64, least: f64| counts.ran < 500 || ratio >= least;
        assert!(is_enough(precision, 0.98) && is_enough(recall, 0.98), "{told}");
        assert!(is_enough(right, 0.95), "{told}");
    });
}
