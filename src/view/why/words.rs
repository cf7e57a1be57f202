//! Causes in words.

use crate::explain::{Change, PathChange, Reason, Step};
use crate::terminal::format;
use crate::view::table;

/// Files of one cause that are named.
const NAMED: usize = 5;

/// What is said of a build that was made, or would be.
pub(in crate::view) struct Words {
    pub(super) nothing: &'static str,
    pub(super) some: &'static str,
    /// Before the time that steps took.
    pub(super) time: &'static str,
    pub(super) follow: &'static str,
}

pub(in crate::view) const PAST: Words =
    Words { nothing: "no step ran", some: "ran", time: "", follow: "followed" };
pub(super) const FORECAST: Words = Words {
    nothing: "nothing would run",
    some: "would run",
    time: "last time ",
    follow: "would follow",
};

/// `Dockerfile.worker:38`.
pub(super) fn place(step: &Step) -> Option<String> {
    located(step.file.as_deref(), step.line)
}

pub(super) fn located(file: Option<&str>, line: Option<u32>) -> Option<String> {
    let file = table::cell(file?);
    Some(line.map_or_else(|| file.clone(), |line| format!("{file}:{line}")))
}

/// The cause in words.
pub(in crate::view) fn because(step: &Step) -> String {
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
        Reason::Instruction { from, to, above: true } => match (from, to) {
            (Some(from), Some(to)) => {
                format!("because {} above it changed to {}", table::cell(from), table::cell(to))
            }
            (None, Some(to)) => format!("because {} above it is new", table::cell(to)),
            (from, None) => {
                format!(
                    "because {} above it is gone",
                    table::cell(from.as_deref().unwrap_or("a setting"))
                )
            }
        },
        Reason::Context { context, target } => format!(
            "because {}, which it reads as {}, changed",
            table::cell(target),
            table::cell(context)
        ),
        Reason::Instruction { from: None, .. } => "because it is new".to_owned(),
        Reason::Instruction { from: Some(from), to, .. } if Some(from) == to.as_ref() => {
            "because its here-document changed".to_owned()
        }
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
