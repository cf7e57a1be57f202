//! `doc2md-docker why`: causes in lines and in a document, and for others who tell of a build. Pure.

mod advice;
mod chains;
mod words;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::counted::counted;
use crate::dockerfile::without_options;
use crate::explain::{Explanation, Step, Target};
use crate::terminal::{SHADES, Shades, format, wrap};
use crate::view::table;

pub(super) use chains::{Chain, surprises};
use words::{FORECAST, Words, place};
pub(super) use words::{PAST, because};

/// Schema of the document (docs/why.schema.json).
const SCHEMA: &str = "doc2md-docker/why/v1";
/// Causes that are told of one target after a build.
const BRIEF: usize = 3;

/// The document.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    #[serde(flatten)]
    explanation: &'a Explanation,
}

/// The causes as a JSON document.
pub fn document(explanation: &Explanation) -> String {
    super::history::document(&Document { schema: SCHEMA, explanation })
}

/// The causes in lines no longer than `columns`.
pub fn text(explanation: &Explanation, columns: usize) -> String {
    let words = if explanation.build.is_some() { &PAST } else { &FORECAST };
    let targets = explanation.targets.iter().map(|target| lines(target, words, columns));
    targets.collect::<Vec<_>>().join("\n") + &advice::text(&explanation.advice, columns)
}

/// What to say after a build: a line for each of the dearest causes of a target, none for what was never built before.
pub fn brief(explanation: &Explanation, columns: usize) -> Vec<String> {
    explanation.targets.iter().flat_map(|target| brief_lines(target, columns)).collect()
}

fn brief_lines(target: &Target, columns: usize) -> Vec<String> {
    let name = table::cell(target.title());
    let ran = surprises(target).into_iter().map(|chain| sentence(&chain, columns));
    let slower = target.runs().filter_map(|step| slower_sentence(step, columns));
    let mut lines: Vec<String> = ran.chain(slower).map(|it| format!("{name}: {it}")).collect();
    let all = lines.len();
    if all > BRIEF {
        lines.truncate(BRIEF);
        lines.push(format!("{name}: and {} more, see `doc2md-docker why {name}`", all - BRIEF));
    }
    lines
}

/// A line for each step of a target that ran by itself, the dearest first.
pub(super) fn sentences(target: &Target, columns: usize) -> Vec<String> {
    let mut chains = chains::all(target);
    chains::sort(&mut chains);
    chains.iter().map(|chain| format::cut(&sentence(chain, columns), columns)).collect()
}

/// `COPY f / (Dockerfile:2) ran, 0.1s, because f changed; 2 steps followed, 0.4s`.
fn sentence(chain: &Chain<'_>, columns: usize) -> String {
    let step = chain.first;
    let instruction = format::cut(&table::cell(&without_options(&step.instruction)), columns / 3);
    let place = place(step).map(|place| format!(" ({place})")).unwrap_or_default();
    let time = format::seconds(step.duration_seconds);
    let followed = chain.followed(&PAST).map(|text| format!("; {text}")).unwrap_or_default();
    format!("{instruction}{place} ran, {time}, {}{followed}", because(step))
}

/// `RUN make (Dockerfile:2) took 41.0s, 3.1s before, likely because ...`, of a step that was slower for a reason.
fn slower_sentence(step: &Step, columns: usize) -> Option<String> {
    let slower = words::slower(step)?;
    let instruction = format::cut(&table::cell(&without_options(&step.instruction)), columns / 3);
    let place = place(step).map(|place| format!(" ({place})")).unwrap_or_default();
    Some(format!("{instruction}{place} {slower}"))
}

/// Why each step of a build ran, by target and digest: words for one who sees all of its steps.
pub fn of_steps(explanation: &Explanation) -> BTreeMap<(String, String), String> {
    let steps = explanation.targets.iter().flat_map(|target| {
        target.runs().map(move |step| {
            let words = match &target.steps[target.root(step.index)] {
                first if first.index == step.index => because(step),
                first => {
                    format!("because {} ran", table::cell(&without_options(&first.instruction)))
                }
            };
            ((target.target.clone(), step.digest.clone()), words)
        })
    });
    steps.collect()
}

fn lines(target: &Target, words: &Words, columns: usize) -> String {
    let Shades { bold, faint, .. } = SHADES;
    let chains = chains::all(target);
    let name = table::cell(target.title());
    let all = target.steps.len();
    if chains.is_empty() {
        let cached = target.steps.iter().filter(|step| step.cached == Some(true)).count();
        let nothing = words.nothing;
        // Where a record proves that nothing has changed, no step is looked at.
        return match all {
            0 => format!("{bold}{name}{bold:#}: {nothing}\n"),
            _ => format!("{bold}{name}{bold:#}: {nothing}, {cached} of {all} from the cache\n"),
        };
    }
    let may: usize = chains.iter().map(|chain| chain.doubtful).sum();
    let ran = chains.iter().map(|chain| 1 + chain.rest.len()).sum::<usize>() - may;
    let seconds = chains.iter().map(Chain::seconds).sum();
    let took = words.took(seconds).map_or_else(String::new, |took| format!(", {took}"));
    let (all, some) = (counted(all, "step"), words.some);
    let may = if may > 0 { format!(" and {may} may") } else { String::new() };
    let mut text = format!("{bold}{name}{bold:#}: {ran} of {all} {some}{may}{took}\n");
    for chain in chains {
        let step = chain.first;
        let place = place(step).map(|place| format!("{place}  ")).unwrap_or_default();
        let time =
            words.took(step.duration_seconds).map(|_| format::seconds(step.duration_seconds));
        let time = time.map_or_else(String::new, |time| format!("  {time}"));
        let line = format!("  {place}{}{time}", table::cell(&without_options(&step.instruction)));
        text += &format!("{}\n", format::cut(&line, columns));
        let cause = wrap::words(&because(step), columns.saturating_sub(6).max(20), 8);
        text += &format!("      {cause}\n");
        if let Some(followed) = chain.followed(words) {
            text += &format!("      {faint}{followed}{faint:#}\n");
        }
        let itself = words::slower(step).map(|slower| format!("it {slower}"));
        let others = chain.rest.iter().filter_map(|step| slower_sentence(step, columns));
        for slower in itself.into_iter().chain(others) {
            let width = columns.saturating_sub(6).max(20);
            text += &format!("      {}\n", wrap::words(&slower, width, 8));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::explain::{
        Advice, Cause, Change, Elsewhere, Habit, Loss, PathChange, Reason, Since, explain,
    };
    use crate::history::{Outcome, StepResult};
    use crate::test_history::{build, step};
    use crate::view::schema_check::faults;

    /// A step of each kind of cause.
    fn every_cause() -> Explanation {
        let ran = |name: &str| step(name, StepResult::Ran, 1.5);
        let mut entry = build(2, Outcome::Succeeded, vec![ran("[1/9] RUN x"); 20]);
        entry.targets[0].service = "api".to_owned();
        let mut explanation = explain(&entry, &[]);
        let text = |text: &str| text.to_owned();
        let above = |from: Option<&str>, to: Option<&str>| {
            let [from, to] = [from, to].map(|it| it.map(str::to_owned));
            Reason::Instruction { from, to, above: true }
        };
        let path = |path: &str, change| PathChange { path: text(path), change };
        let reasons = [
            Reason::Requested,
            Reason::FirstBuild {
                elsewhere: Some(Elsewhere {
                    build: entry.id.clone(),
                    builder: Some(text("f\u{1b}[2Jar")),
                }),
                missing_cache: Some(text("registry.example.com/c\u{1b}[2J:main")),
            },
            Reason::Instruction { from: None, to: Some(text("RUN x")), above: false },
            Reason::Instruction {
                from: Some(text("RUN y")),
                to: Some(text("RUN x")),
                above: false,
            },
            Reason::Argument { argument: text("A"), from: None, to: Some(text("b\u{1b}[2Jc")) },
            Reason::Base {
                reference: text("python:3"),
                from: Some(format!("sha256:{}", "1".repeat(64))),
                to: Some(format!("sha256:{}", "2".repeat(64))),
            },
            Reason::Files {
                paths: vec![
                    path("a.txt", Change::Changed),
                    path("b.txt", Change::Added),
                    path("c.txt", Change::Added),
                    path("d.txt", Change::Removed),
                ],
                among: Vec::new(),
            },
            Reason::Files { paths: Vec::new(), among: vec![text("a/b"), text("c\u{1b}[2J")] },
            Reason::EarlierStep { because_of_step: 7 },
            Reason::RecordGone {
                built: entry.id.clone(),
                since: Since {
                    cleaned: Some(entry.started),
                    pruned: Some(entry.started),
                    from: Some(text("28.4.0")),
                    to: Some(text("28.5.2")),
                    missing_cache: Some(text("registry.example.com/c:main")),
                    overlapped: Some(entry.id.clone()),
                    collection: None,
                },
            },
            Reason::Unknown { changed: vec![text("argument A"), text("argument B")] },
            above(Some("ENV A=1"), Some("ENV A=2")),
            above(None, Some("USER 5")),
            above(Some("SHELL bash"), None),
            Reason::Instruction {
                from: Some(text("RUN <<x")),
                to: Some(text("RUN <<x")),
                above: false,
            },
            Reason::Instruction {
                from: Some(text("RUN ***")),
                to: Some(text("RUN ***")),
                above: false,
            },
            Reason::Argument {
                argument: text("TOKEN"),
                from: Some(text("***")),
                to: Some(text("***")),
            },
            Reason::Context { context: text("lib"), target: text("lib") },
            Reason::Context { context: text("below"), target: text("lib") },
            Reason::IgnoreFile {
                paths: vec![
                    path("a.txt", Change::Added),
                    path("b.txt", Change::Removed),
                    path("c.txt", Change::Removed),
                ],
            },
        ];
        for (index, (step, reason)) in
            explanation.targets[0].steps.iter_mut().zip(reasons).enumerate()
        {
            step.index = index;
            step.cause = Some(Cause { reason, certain: index != 4 });
        }
        for (index, lost) in [Loss::Cleaned, Loss::Pruned, Loss::NewEngine].into_iter().enumerate()
        {
            let (id, mount) = (text("pip"), text("/root/.cache/\u{1b}[2Jpip"));
            let reason = Reason::CacheMount {
                id,
                mount,
                before_seconds: 0.25,
                lost,
                at: Some(entry.started),
            };
            explanation.targets[0].steps[index].slower = Some(Cause { reason, certain: false });
        }
        explanation.advice = every_habit().into_iter().map(advice).collect();
        explanation
    }

    fn every_habit() -> [Habit; 6] {
        let text = |text: &str| text.to_owned();
        let install =
            text("RUN --mount=type=cache,target=/root/.cache pip install -r requirements.txt");
        let files = ["a.py", "b.py", "c.py", "d\u{1b}[2J.py"].map(text).into();
        [
            Habit::CopyBeforeInstall { install, paths: files },
            Habit::ChangingFile { path: text("VERSION") },
            Habit::EarlyArgument { argument: text("SHA"), used: true },
            Habit::EarlyArgument { argument: text("SHA"), used: false },
            Habit::FloatingBase { reference: text("docker.io/library/python:3") },
            Habit::GitInContext { paths: vec![text(".git/index")] },
        ]
    }

    fn advice(habit: Habit) -> Advice {
        Advice {
            service: "api".to_owned(),
            stage: None,
            instruction: "COPY --link . /app".to_owned(),
            file: Some("Dockerfile".to_owned()),
            line: Some(3),
            habit,
            builds: 3,
            of_builds: 12,
            seconds: 61.5,
        }
    }

    #[test]
    fn advice_in_words() {
        let mut explanation = every_cause();
        explanation.targets.clear();
        let text = anstream::adapter::strip_str(&text(&explanation, 100)).to_string();
        insta::assert_snapshot!(text, @r#"

        advice
          api: Dockerfile:3  COPY --link . /app
              In 3 of 12 builds this made "RUN pip install -r requirements.txt" run, 1m01s in all, because
              of a.py, b.py, c.py and others. Copy what that reads above it, and the rest below it.
          api: Dockerfile:3  COPY --link . /app
              VERSION changed whenever this ran, and in 3 of 12 builds nothing else did; the steps after it
              took 1m01s. If they do not read it, copy it below them.
          api: Dockerfile:3  COPY --link . /app
              In 3 of 12 builds the build argument SHA changed, and the steps after this one took 1m01s.
              Move what uses it below them.
          api: Dockerfile:3  COPY --link . /app
              In 3 of 12 builds the build argument SHA changed; this step does not mention it, but it and
              those after it ran, 1m01s in all. If it does not read $SHA either, declare that below.
          api: Dockerfile:3  COPY --link . /app
              In 3 of 12 builds docker.io/library/python:3 had moved, and what ran because of that took
              1m01s. To decide when it moves, name it by its digest (docker.io/library/python:3@sha256:...).
          api: Dockerfile:3  COPY --link . /app
              In 3 of 12 builds this and what follows ran because of files of git alone (.git/index), 1m01s
              in all. Put .git into .dockerignore.
        "#);
    }

    #[test]
    fn causes_in_words() {
        let explanation = Explanation { advice: Vec::new(), ..every_cause() };
        insta::assert_snapshot!(anstream::adapter::strip_str(&text(&explanation, 200)).to_string());
    }

    /// What a stage makes anew may be what it made before.
    #[test]
    fn what_may_come_from_the_cache_is_told_apart() {
        let ran = |name: &str| step(name, StepResult::Ran, 1.0);
        let names = ["[make 2/2] RUN make", "[stage-1 2/4] COPY --from=make /x /x"];
        let names = names.into_iter().chain(["[stage-1 3/4] RUN x", "[stage-1 4/4] RUN y"]);
        let entry = build(2, Outcome::Succeeded, names.map(ran).collect());
        let mut explanation = explain(&entry, &[]);
        explanation.build = None;
        let reasons = [
            (Reason::Requested, true),
            (Reason::Stage { because_of_step: 0 }, false),
            (Reason::EarlierStep { because_of_step: 1 }, false),
            (Reason::EarlierStep { because_of_step: 0 }, true),
        ];
        let steps = &mut explanation.targets[0].steps;
        for (step, (reason, certain)) in steps.iter_mut().zip(reasons) {
            step.cause = Some(Cause { reason, certain });
        }
        let told = |it: &Explanation| anstream::adapter::strip_str(&text(it, 100)).to_string();
        insta::assert_snapshot!(told(&explanation), @"
        api: 2 of 4 steps would run and 2 may, last time 4.0s
          Dockerfile:2  RUN make  1.0s
              because the cache was not to be read
              1 step would follow and 2 may, last time 3.0s
        ");
        explanation.targets[0].steps.truncate(3);
        let all_but_the_first_may = told(&explanation);
        assert!(all_but_the_first_may.contains("2 steps may follow"), "{all_but_the_first_may}");
    }

    #[test]
    fn a_builder_is_named() {
        let mut explanation = every_cause();
        let steps = &mut explanation.targets[0].steps;
        steps.iter_mut().for_each(|step| step.builder = Some("far\u{1b}[2J".to_owned()));
        let words = |index: usize| because(&explanation.targets[0].steps[index]);
        let first = words(1);
        let expected = "because no earlier build of it is remembered on the builder far; build ";
        assert!(first.starts_with(expected), "{first}");
        let gone = words(9);
        assert!(gone.starts_with("because the builder far no longer has its result"), "{gone}");
        assert!(gone.contains("and the builder far was updated from 28.4.0 to 28.5.2"), "{gone}");
    }

    #[test]
    fn no_line_is_too_long() {
        for columns in [20, 40, 80] {
            // Of advice a word may be longer: a reference, a path.
            let explanation = Explanation { advice: Vec::new(), ..every_cause() };
            let text = text(&explanation, columns);
            let plain = anstream::adapter::strip_str(&text).to_string();
            let longest = plain.lines().map(format::width).max().unwrap();
            assert!(longest <= columns.max(40), "{longest} of {columns}:\n{plain}");
        }
    }

    #[test]
    fn the_document_is_what_its_schema_says() {
        let document = document(&every_cause());
        assert_eq!(faults(include_str!("../../../docs/why.schema.json"), &document), None);
    }
}
