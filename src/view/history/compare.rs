//! `history compare`: two builds, step by step, and what their targets were given differently.

use serde::Serialize;

use super::{cell, difference, or_dash, result};
use crate::counted::counted;
use crate::dockerfile::without_options;
use crate::explain::{self, Cause, Explanation};
use crate::history::copied::Differences;
use crate::history::{BuildId, CopiedFiles, Entry, StepEntry, StepResult, TargetEntry};
use crate::progress::StepName;
use crate::terminal::{SHADES, Shades, format};
use crate::view::table::{self, Column, Shape};
use crate::view::why;

/// Schema of the document.
const SCHEMA: &str = "doc2md-docker/history-compare/v1";

/// Files of one COPY that are named in a table.
const NAMED: usize = 8;

/// Two builds side by side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    schema: &'static str,
    project: String,
    /// The earlier build.
    a: BuildId,
    /// The later build.
    b: BuildId,
    a_seconds: f64,
    b_seconds: f64,
    targets: Vec<Target>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Target {
    service: String,
    a_seconds: Option<f64>,
    b_seconds: Option<f64>,
    a_size_bytes: Option<u64>,
    b_size_bytes: Option<u64>,
    /// What it was given differently, in words.
    changes: Vec<String>,
    steps: Vec<StepPair>,
    /// Why steps ran in the later build.
    #[serde(skip)]
    why: Option<explain::Target>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct StepPair {
    stage: Option<String>,
    instruction: String,
    a: Option<Side>,
    b: Option<Side>,
    /// The instruction of the earlier build, where it was another one.
    was: Option<String>,
    /// How the files of a COPY or ADD differ, where they do.
    files: Option<Files>,
    /// Why it ran in the later build, by all builds before that.
    cause: Option<Cause>,
    /// Of the later build.
    #[serde(skip)]
    digest: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Files {
    #[serde(flatten)]
    differences: Differences,
    a_count: u64,
    b_count: u64,
    a_bytes: u64,
    b_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Side {
    result: StepResult,
    seconds: f64,
    bytes: u64,
}

impl Comparison {
    /// Of `a` with `b`, which is usually later.
    pub fn between(a: &Entry, b: &Entry) -> Self {
        let mut services: Vec<&str> = b.targets.iter().map(|it| it.service.as_str()).collect();
        for target in &a.targets {
            if !services.contains(&target.service.as_str()) {
                services.push(&target.service);
            }
        }
        let targets = services.into_iter().map(|service| {
            let (a, b) = (a.target(service), b.target(service));
            Target {
                service: service.to_owned(),
                a_seconds: a.and_then(|it| it.seconds),
                b_seconds: b.and_then(|it| it.seconds),
                a_size_bytes: a.and_then(|it| it.size_bytes),
                b_size_bytes: b.and_then(|it| it.size_bytes),
                changes: a.zip(b).map(|(a, b)| changes(a, b)).unwrap_or_default(),
                steps: steps(a, b),
                why: None,
            }
        });
        Self {
            schema: SCHEMA,
            project: b.project.clone(),
            a: a.id.clone(),
            b: b.id.clone(),
            a_seconds: a.seconds,
            b_seconds: b.seconds,
            targets: targets.collect(),
        }
    }

    /// With the causes of what ran in the later build.
    pub fn explained(mut self, explanation: Explanation) -> Self {
        for why in explanation.targets {
            let Some(target) = self.targets.iter_mut().find(|it| it.service == why.service) else {
                continue;
            };
            let of_step = |step: &explain::Step| {
                target.steps.iter().position(|it| it.digest.as_ref() == Some(&step.digest))
            };
            let places: Vec<Option<usize>> = why.steps.iter().map(of_step).collect();
            for (step, place) in why.steps.iter().zip(&places) {
                let (Some(cause), Some(place)) = (&step.cause, place) else { continue };
                let number = |index: usize| places[index].unwrap_or_default();
                let Cause { reason, certain } = cause.clone();
                target.steps[*place].cause =
                    Some(Cause { reason: reason.renumbered(number), certain });
            }
            target.why = Some(why);
        }
        self
    }
}

/// What two builds of a target were given differently.
fn changes(a: &TargetEntry, b: &TargetEntry) -> Vec<String> {
    let mut found = Vec::new();
    let (old, new) = (&a.inputs, &b.inputs);
    if old.dockerfile_digest != new.dockerfile_digest {
        found.push("the Dockerfile".to_owned());
    }
    for name in new.arguments_with(old) {
        match (old.args.get(name), new.args.get(name)) {
            (Some(a), Some(b)) if a != b => found.push(format!("argument {name}: {a:?} to {b:?}")),
            (Some(_), Some(_)) if new.has_same_argument(old, name) == Some(false) => {
                found.push(format!("argument {name}, whose values are not kept"));
            }
            (Some(_), None) => found.push(format!("argument {name} is gone")),
            (None, Some(b)) => found.push(format!("argument {name} is new: {b:?}")),
            _ => {}
        }
    }
    for base in &new.bases {
        let before = old.bases.iter().find(|it| it.reference == base.reference);
        match before {
            None => found.push(format!("base image {}", base.reference)),
            Some(before) if before.digest != base.digest && before.digest.is_some() => {
                found.push(format!("base image {} is another one", base.reference));
            }
            Some(_) => {}
        }
    }
    if old.stage != new.stage {
        let stage = |of: &Option<String>| of.clone().unwrap_or_else(|| "the last".to_owned());
        found.push(format!("stage {} to {}", stage(&old.stage), stage(&new.stage)));
    }
    if old.platforms != new.platforms {
        found.push("platforms".to_owned());
    }
    if new.no_cache && !old.no_cache {
        found.push("--no-cache".to_owned());
    }
    if old.context != new.context {
        found.push(format!("context {}", new.context));
    }
    found
}

/// Steps of both in the order of `b`, those that only `a` has at the end.
fn steps(a: Option<&TargetEntry>, b: Option<&TargetEntry>) -> Vec<StepPair> {
    fn steps_in(target: Option<&TargetEntry>) -> impl Iterator<Item = &StepEntry> {
        target.into_iter().flat_map(|target| &target.steps)
    }
    let mut before: Vec<&StepEntry> = steps_in(a).collect();
    let mut taken = |same: &dyn Fn(&StepEntry) -> bool| {
        before.iter().position(|step| same(step)).map(|place| before.remove(place))
    };
    let key = |step: &StepEntry| StepName::parse(&step.name).key();
    let place = |step: &StepEntry| (step.is_instruction(), step.stage.clone(), step.position);
    // The same digest is the same step, whichever target of the build named it; then the same instruction; then
    // what stands in its place.
    let mut pairs: Vec<(Option<&StepEntry>, &StepEntry)> =
        steps_in(b).map(|step| (taken(&|other| other.digest == step.digest), step)).collect();
    for (old, step) in pairs.iter_mut().filter(|(old, _)| old.is_none()) {
        *old = taken(&|other| key(other) == key(step));
    }
    for (old, step) in pairs.iter_mut().filter(|(old, step)| old.is_none() && step.is_instruction())
    {
        *old = taken(&|other| place(other) == place(step));
    }
    let side =
        |step: &StepEntry| Side { result: step.result, seconds: step.seconds, bytes: step.bytes };
    let row = |step: &StepEntry, a: Option<&StepEntry>, b: Option<&StepEntry>| StepPair {
        stage: step.stage.clone(),
        instruction: step.instruction.clone(),
        a: a.map(side),
        b: b.map(side),
        was: a
            .map(|a| &a.instruction)
            .filter(|was| b.is_some() && **was != step.instruction)
            .cloned(),
        files: a.zip(b).and_then(|(a, b)| files(a.files.as_ref()?, b.files.as_ref()?)),
        cause: None,
        digest: b.map(|b| b.digest.clone()),
    };
    let mut rows: Vec<StepPair> =
        pairs.iter().map(|(old, step)| row(step, *old, Some(step))).collect();
    rows.extend(before.into_iter().map(|step| row(step, Some(step), None)));
    rows
}

/// How what an instruction covered differs. Files that were only touched are not a difference.
fn files(a: &CopiedFiles, b: &CopiedFiles) -> Option<Files> {
    let differences = Differences::between(a, b);
    let told = !differences.is_empty() || (a.count, a.bytes) != (b.count, b.bytes);
    told.then_some(Files {
        differences,
        a_count: a.count,
        b_count: b.count,
        a_bytes: a.bytes,
        b_bytes: b.bytes,
    })
}

const COLUMNS: [Column; 6] = [
    Column::new("STEP", Shape::CutEnd(16)),
    Column::new("A", Shape::Left),
    Column::new("", Shape::Right).drop(2),
    Column::new("B", Shape::Left),
    Column::new("", Shape::Right).drop(1),
    Column::new("DIFF", Shape::Right),
];

/// Tables no wider than `columns`.
pub fn comparison(both: &Comparison, columns: usize) -> String {
    let Shades { bold, faint, .. } = SHADES;
    let title = format!("{}: build {} (A) and {} (B)", cell(&both.project), both.a, both.b);
    let mut text = format!("{bold}{}{bold:#}\n", format::cut(&title, columns));
    text.push_str(&format!(
        "A {}, B {}, {}\n",
        format::seconds(both.a_seconds),
        format::seconds(both.b_seconds),
        change(both.a_seconds, both.b_seconds)
    ));
    for target in &both.targets {
        let name = format::cut(&cell(&target.service), columns / 3);
        let size = match (target.a_size_bytes, target.b_size_bytes) {
            (Some(a), Some(b)) => match difference(a, b) {
                same if same.is_empty() => format::bytes(b),
                moved => format!("{}, {moved}", format::bytes(b)),
            },
            (_, b) => or_dash(b.map(format::bytes)),
        };
        text.push_str(&format!("\n{bold}{name}{bold:#}  {faint}{size}{faint:#}\n"));
        for changed in &target.changes {
            text.push_str(&format!(
                "{}\n",
                format::cut(&format!("changed: {}", cell(changed)), columns)
            ));
        }
        for step in &target.steps {
            text.push_str(&changed_files(step, columns));
        }
        let told = |step: &&StepPair| {
            let sides = [step.a, step.b];
            let worth = |side: &Side| side.seconds >= 0.05;
            sides.iter().flatten().any(worth)
                || step.a.map(|a| a.result) != step.b.map(|b| b.result)
        };
        let rows: Vec<Vec<String>> = target.steps.iter().filter(told).map(row).collect();
        if rows.is_empty() {
            text.push_str("no step took time\n");
        } else {
            text.push_str(&table::render(&COLUMNS, &rows, columns));
        }
        let causes = target.why.iter().flat_map(|why| why::sentences(why, columns));
        causes.for_each(|line| text += &format!("{line}\n"));
    }
    text
}

/// Lines on the files of a COPY.
fn changed_files(step: &StepPair, columns: usize) -> String {
    let Some(files) = &step.files else { return String::new() };
    let Differences { changed, new, removed, .. } = &files.differences;
    let named = [("changed", changed), ("new", new), ("removed", removed)];
    let named = named.iter().flat_map(|(word, paths)| paths.iter().map(move |path| (*word, path)));
    let all = changed.len() + new.len() + removed.len();
    let mut lines: Vec<String> = named
        .take(if all > NAMED + 1 { NAMED } else { all })
        .map(|(word, path)| format!("{word}: {}", cell(path)))
        .collect();
    let count =
        |files: u64, bytes: u64| format!("{} of {}", counted(files, "file"), format::bytes(bytes));
    if all > lines.len() {
        lines.push(format!("and {} more", all - lines.len()));
    } else if all == 0 {
        let (a, b) = (count(files.a_count, files.a_bytes), count(files.b_count, files.b_bytes));
        lines.push(format!("changed: {a} to {b} ({})", cell(&without_options(&step.instruction))));
    }
    lines.iter().map(|line| format::cut(line, columns) + "\n").collect()
}

fn row(step: &StepPair) -> Vec<String> {
    let told = |side: Option<Side>| match side {
        Some(side) => [result(side.result).to_owned(), format::seconds(side.seconds)],
        None => ["-".to_owned(), String::new()],
    };
    let [a, a_time] = told(step.a);
    let [b, b_time] = told(step.b);
    let stage = step.stage.as_ref().map(|stage| format!("[{stage}] ")).unwrap_or_default();
    let moved = step.a.zip(step.b).map(|(a, b)| change(a.seconds, b.seconds)).unwrap_or_default();
    let was = step.was.as_ref().map(|was| format!(" (was {was})")).unwrap_or_default();
    let instruction = without_options(&step.instruction);
    vec![cell(&format!("{stage}{instruction}{was}")), a, a_time, b, b_time, moved]
}

/// Signed seconds; a blank where they are as good as equal.
fn change(a: f64, b: f64) -> String {
    let moved = b - a;
    if moved.abs() < 0.05 {
        return "=".to_owned();
    }
    let sign = if moved < 0.0 { '-' } else { '+' };
    format!("{sign}{}", format::seconds(moved.abs()))
}
