//! `doc2md-docker why`: causes in lines and in a document. Pure.

use serde::Serialize;

use crate::dockerfile::without_options;
use crate::explain::{Change, Explanation, PathChange, Reason, Step, Target};
use crate::terminal::{SHADES, Shades, format};
use crate::view::table;

/// Schema of the document (docs/why.schema.json).
const SCHEMA: &str = "doc2md-docker/why/v1";
/// Files of one cause that are named.
const NAMED: usize = 5;
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

/// What is said of a build that was made, or would be.
struct Words {
    nothing: &'static str,
    some: &'static str,
    /// Before the time that steps took.
    time: &'static str,
    follow: &'static str,
}

const PAST: Words = Words { nothing: "no step ran", some: "ran", time: "", follow: "followed" };
const FORECAST: Words = Words {
    nothing: "nothing would run",
    some: "would run",
    time: "last time ",
    follow: "would follow",
};

/// The causes in lines no longer than `columns`.
pub fn text(explanation: &Explanation, columns: usize) -> String {
    let words = if explanation.build.is_some() { &PAST } else { &FORECAST };
    let targets = explanation.targets.iter().map(|target| lines(target, words, columns));
    targets.collect::<Vec<_>>().join("\n")
}

/// What to say after a build: a line for each of the dearest causes of a target, none for what was never built before.
pub fn brief(explanation: &Explanation, columns: usize) -> Vec<String> {
    explanation.targets.iter().flat_map(|target| brief_lines(target, columns)).collect()
}

fn brief_lines(target: &Target, columns: usize) -> Vec<String> {
    let mut chains = chains(target);
    chains.retain(|chain| {
        let cause = chain.first.cause.as_ref();
        !cause.is_none_or(|cause| matches!(cause.reason, Reason::FirstBuild | Reason::Requested))
    });
    chains.sort_by(|one, other| other.seconds().total_cmp(&one.seconds()));
    let all = chains.len();
    let name = table::cell(&target.service);
    let line = |chain: &Chain<'_>| {
        let step = chain.first;
        let instruction =
            format::cut(&table::cell(&without_options(&step.instruction)), columns / 3);
        let place = place(step).map(|place| format!(" ({place})")).unwrap_or_default();
        let time = format::seconds(step.duration_seconds);
        let followed = chain.followed(&PAST).map(|text| format!("; {text}")).unwrap_or_default();
        format!("{name}: {instruction}{place} ran, {time}, {}{followed}", because(step))
    };
    let mut lines: Vec<String> = chains.iter().take(BRIEF).map(line).collect();
    if all > BRIEF {
        lines.push(format!("{name}: and {} more, see `doc2md-docker why {name}`", all - BRIEF));
    }
    lines
}

/// A step that ran, and those that ran because of it.
struct Chain<'a> {
    first: &'a Step,
    rest: Vec<&'a Step>,
}

impl Chain<'_> {
    fn seconds(&self) -> f64 {
        self.first.duration_seconds + self.rest.iter().map(|it| it.duration_seconds).sum::<f64>()
    }

    /// `3 steps followed, 0.4s`.
    fn followed(&self, words: &Words) -> Option<String> {
        let seconds = self.rest.iter().map(|step| step.duration_seconds).sum();
        let steps = match self.rest.len() {
            0 => return None,
            1 => "1 step".to_owned(),
            count => format!("{count} steps"),
        };
        let Words { follow, time, .. } = words;
        Some(format!("{steps} {follow}, {time}{}", format::seconds(seconds)))
    }
}

fn chains(target: &Target) -> Vec<Chain<'_>> {
    let ran: Vec<&Step> = target.steps.iter().filter(|step| step.cached == Some(false)).collect();
    let is_first = |step: &&&Step| target.root(step.index) == step.index;
    let rest = |first: usize| {
        let follows = |it: &&Step| it.index != first && target.root(it.index) == first;
        ran.iter().copied().filter(follows).collect()
    };
    ran.iter().filter(is_first).map(|first| Chain { first, rest: rest(first.index) }).collect()
}

fn lines(target: &Target, words: &Words, columns: usize) -> String {
    let Shades { bold, faint, .. } = SHADES;
    let chains = chains(target);
    let name = table::cell(&target.service);
    let all = target.steps.len();
    if chains.is_empty() {
        let cached = target.steps.iter().filter(|step| step.cached == Some(true)).count();
        let nothing = words.nothing;
        return format!("{bold}{name}{bold:#}: {nothing}, {cached} of {all} from the cache\n");
    }
    let ran: usize = chains.iter().map(|chain| 1 + chain.rest.len()).sum();
    let seconds = chains.iter().map(Chain::seconds).sum();
    let time = format::seconds(seconds);
    let Words { some, time: when, .. } = words;
    let mut text = format!("{bold}{name}{bold:#}: {ran} of {all} steps {some}, {when}{time}\n");
    for chain in chains {
        let step = chain.first;
        let place = place(step).map(|place| format!("{place}  ")).unwrap_or_default();
        let time = format::seconds(step.duration_seconds);
        let line = format!("  {place}{}  {time}", table::cell(&without_options(&step.instruction)));
        text += &format!("{}\n", format::cut(&line, columns));
        text += &format!("      {}\n", format::cut(&because(step), columns.saturating_sub(6)));
        if let Some(followed) = chain.followed(words) {
            text += &format!("      {faint}{followed}{faint:#}\n");
        }
    }
    text
}

/// `Dockerfile.worker:38`.
fn place(step: &Step) -> Option<String> {
    let file = table::cell(step.file.as_ref()?);
    Some(step.line.map_or_else(|| file.clone(), |line| format!("{file}:{line}")))
}

/// The cause in words.
fn because(step: &Step) -> String {
    let Some(cause) = &step.cause else { return String::new() };
    let likely = if cause.certain { "" } else { "likely " };
    let value = |value: &Option<String>| value.as_deref().map_or("not set".to_owned(), quoted);
    let short = |digest: &Option<String>| {
        digest.as_deref().map_or("an unknown one".to_owned(), |it| format::short_id(it).to_owned())
    };
    let because = match &cause.reason {
        Reason::Requested => "because the cache was not to be read".to_owned(),
        Reason::FirstBuild => {
            "because no earlier build of it is remembered on this engine".to_owned()
        }
        Reason::Instruction { from: None, .. } => "because it is new".to_owned(),
        Reason::Instruction { from: Some(from), .. } => {
            format!("because the instruction changed; it was {}", table::cell(from))
        }
        Reason::Argument { argument, from, to } => format!(
            "because the build argument {} changed from {} to {}",
            table::cell(argument),
            value(from),
            value(to)
        ),
        Reason::Base { reference, from, to } => format!(
            "because the base image {} moved from {} to {}",
            table::cell(reference),
            short(from),
            short(to)
        ),
        Reason::Files { paths } if paths.is_empty() => "because files changed".to_owned(),
        Reason::Files { paths } => format!("because {}", files(paths)),
        Reason::Stage { .. } | Reason::EarlierStep { .. } => {
            "because a step that it stands on ran".to_owned()
        }
        Reason::RecordGone { built } => format!(
            "because the engine no longer has its result; nothing changed since build {built}"
        ),
        Reason::Unknown { changed } if changed.is_empty() => {
            "for a reason that is not obvious".to_owned()
        }
        Reason::Unknown { changed } => {
            format!("for a reason that is not obvious; changed: {}", changed.join(", "))
        }
    };
    format!("{likely}{because}")
}

/// `a.txt and b.txt changed, c.txt is new`.
fn files(paths: &[PathChange]) -> String {
    let of = |wanted: Change| paths.iter().filter(move |it| it.change == wanted);
    let list = |wanted: Change, one: &str, many: &str| {
        let names: Vec<String> = of(wanted).map(|it| table::cell(&it.path)).collect();
        let verb = if names.len() == 1 { one } else { many };
        let shown = match names.len() {
            0 => return None,
            count if count > NAMED + 1 => {
                format!("{} and {} more", names[..NAMED].join(", "), count - NAMED)
            }
            _ => names.join(", "),
        };
        Some(format!("{shown} {verb}"))
    };
    let parts = [
        list(Change::Changed, "changed", "changed"),
        list(Change::Added, "is new", "are new"),
        list(Change::Removed, "is gone", "are gone"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn quoted(text: &str) -> String {
    format!("{:?}", table::cell(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::explain::{Cause, explain};
    use crate::history::testing::{build, step};
    use crate::history::{Outcome, StepResult};
    use crate::view::schema_check::faults;

    /// A step of each kind of cause.
    fn every_cause() -> Explanation {
        let ran = |name: &str| step(name, StepResult::Ran, 1.5);
        let mut entry = build(2, Outcome::Succeeded, vec![ran("[1/9] RUN x"); 11]);
        entry.targets[0].service = "api".to_owned();
        let mut explanation = explain(&entry, &[]);
        let text = |text: &str| text.to_owned();
        let path = |path: &str, change| PathChange { path: text(path), change };
        let reasons = [
            Reason::Requested,
            Reason::FirstBuild,
            Reason::Instruction { from: None, to: text("RUN x") },
            Reason::Instruction { from: Some(text("RUN y")), to: text("RUN x") },
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
            },
            Reason::Files { paths: Vec::new() },
            Reason::EarlierStep { because_of_step: 7 },
            Reason::RecordGone { built: entry.id.clone() },
            Reason::Unknown { changed: vec![text("argument A"), text("argument B")] },
        ];
        for (index, (step, reason)) in
            explanation.targets[0].steps.iter_mut().zip(reasons).enumerate()
        {
            step.index = index;
            step.cause = Some(Cause { reason, certain: index != 4 });
        }
        explanation
    }

    #[test]
    fn causes_in_words() {
        insta::assert_snapshot!(
            anstream::adapter::strip_str(&text(&every_cause(), 200)).to_string()
        );
    }

    #[test]
    fn no_line_is_too_long() {
        for columns in [20, 40, 80] {
            let text = text(&every_cause(), columns);
            let plain = anstream::adapter::strip_str(&text).to_string();
            let longest = plain.lines().map(format::width).max().unwrap();
            assert!(longest <= columns.max(40), "{longest} of {columns}:\n{plain}");
        }
    }

    #[test]
    fn the_document_is_what_its_schema_says() {
        let document = document(&every_cause());
        assert_eq!(faults(include_str!("../../docs/why.schema.json"), &document), None);
    }
}
