//! Causes in words.

use crate::dockerfile::without_options;
use crate::explain::{Change, Elsewhere, Loss, PathChange, Reason, Since, Step};
use crate::history::CollectionRule;
use crate::terminal::format;
use crate::view::table;

/// Where builds are made.
const ENGINE: &str = "the engine";
/// Files of one cause that are named.
const NAMED: usize = 5;
/// In seconds.
const DAY: i64 = 24 * 3600;

/// What is said of a build that was made, or would be.
pub(in crate::view) struct Words {
    pub(super) nothing: &'static str,
    pub(super) some: &'static str,
    /// Before the time that steps took.
    pub(super) time: &'static str,
    pub(super) follow: &'static str,
}

impl Words {
    /// What steps took, or had taken last time; `None` where there was none.
    pub(super) fn took(&self, seconds: f64) -> Option<String> {
        let is_known = self.time.is_empty() || seconds > 0.0;
        is_known.then(|| format!("{}{}", self.time, format::seconds(seconds)))
    }
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
    let likely = match &cause.reason {
        _ if cause.certain => "",
        Reason::Unknown { changed } if changed.len() != 1 => "",
        _ => "likely ",
    };
    let short = |digest: &Option<String>| {
        digest.as_deref().map_or("an unknown one".to_owned(), |it| format::short_id(it).to_owned())
    };
    let builder = step.builder.as_deref().map(|name| format!("the builder {}", table::cell(name)));
    let because = match &cause.reason {
        Reason::Requested => "because the cache was not to be read".to_owned(),
        Reason::FirstBuild { elsewhere, missing_cache } => format!(
            "because no earlier build of it is remembered on {}{}",
            builder.as_deref().unwrap_or("this engine"),
            first_here(elsewhere.as_ref(), missing_cache.as_deref())
        ),
        Reason::Instruction { from, to, above } => {
            instruction(from.as_deref(), to.as_deref(), *above)
        }
        Reason::Context { context, target } => {
            let read_as = if context == target {
                String::new()
            } else {
                format!(" as {}", table::cell(context))
            };
            format!("because {}, which it reads{read_as}, changed", table::cell(target))
        }
        Reason::Argument { argument, from, to } => argument_changed(argument, from, to),
        Reason::Base { reference, from, to } => format!(
            "because the base image {} moved from {} to {}",
            table::cell(reference),
            short(from),
            short(to)
        ),
        Reason::Files { among, .. } if !among.is_empty() => {
            format!(
                "because files that it reads changed; the engine does not tell which of {}",
                some(among)
            )
        }
        Reason::Files { paths, .. } if paths.is_empty() => {
            "because files or folders changed".to_owned()
        }
        Reason::Files { paths, .. } => format!("because {}", files(paths)),
        Reason::Stage { .. } | Reason::EarlierStep { .. } => {
            "because what it stands on or reads is another one".to_owned()
        }
        Reason::IgnoreFile { paths } => format!("because {}", ignored(paths)),
        Reason::RecordGone { built, since } => format!(
            "because {} no longer has its result; nothing changed since build {built}{}",
            builder.as_deref().unwrap_or(ENGINE),
            happened(since, builder.as_deref().unwrap_or(ENGINE))
        ),
        Reason::CacheMount { mount, lost, .. } => format!("because {}", loss(mount, *lost)),
        Reason::Unknown { changed } => match &changed[..] {
            [] => "for a reason that is not obvious".to_owned(),
            [only] => format!("because {only} changed"),
            _ => format!("for a reason that is not obvious; changed: {}", changed.join(", ")),
        },
    };
    format!("{likely}{because}")
}

fn argument_changed(argument: &str, from: &Option<String>, to: &Option<String>) -> String {
    let argument = table::cell(argument);
    if from.is_some() && from == to {
        return format!("because the build argument {argument} changed; its values are not kept");
    }
    let value = |value: &Option<String>| value.as_deref().map_or("not set".to_owned(), quoted);
    let (from, to) = (value(from), value(to));
    format!("because the build argument {argument} changed from {from} to {to}")
}

/// What became of an instruction, or of one above it.
fn instruction(from: Option<&str>, to: Option<&str>, above: bool) -> String {
    let cell = |text: Option<&str>| table::cell(text.unwrap_or("a setting"));
    match (from, to) {
        (Some(from), Some(to)) if above => {
            format!("because {} above it changed to {}", table::cell(from), table::cell(to))
        }
        (None, Some(to)) if above => format!("because {} above it is new", table::cell(to)),
        (from, _) if above => format!("because {} above it is gone", cell(from)),
        (None, _) => "because it is new".to_owned(),
        (Some(from), Some(to)) if from == to => match from.contains("<<") {
            true => "because its here-document changed".to_owned(),
            false => "because the instruction changed, in what is not kept".to_owned(),
        },
        (Some(from), to) => {
            // Without its mounts, unless it is they that changed.
            let was = without_options(from);
            let is_other = to.is_none_or(|to| without_options(to) != was);
            let was = if is_other { &*was } else { from };
            format!("because the instruction changed; it was {}", table::cell(was))
        }
    }
}

/// `took 41.0s, 3.1s before, likely because `clean` removed its cache mount /root/.cache/pip`.
pub(super) fn slower(step: &Step) -> Option<String> {
    let cause = step.slower.as_ref()?;
    let Reason::CacheMount { mount, before_seconds, lost, .. } = &cause.reason else { return None };
    let (seconds, before) =
        (format::seconds(step.duration_seconds), format::seconds(*before_seconds));
    let likely = if cause.certain { "" } else { "likely " };
    Some(format!("took {seconds}, {before} before, {likely}because {}", loss(mount, *lost)))
}

fn loss(mount: &str, lost: Loss) -> String {
    let mount = table::cell(mount);
    match lost {
        Loss::Cleaned => format!("`clean` removed its cache mount {mount}"),
        Loss::Pruned => format!("build cache was pruned, and with it its cache mount {mount}"),
        Loss::NewEngine => format!("its cache mount {mount} is new on this engine"),
    }
}

/// `; build 20261124-100000-0000 was made on another engine, and the cache … could not be read`.
fn first_here(elsewhere: Option<&Elsewhere>, missing_cache: Option<&str>) -> String {
    let made = elsewhere.map(|Elsewhere { build, builder }| {
        let place = builder.as_deref().map(|name| format!("the builder {}", table::cell(name)));
        format!("build {build} was made on {}", place.as_deref().unwrap_or("another engine"))
    });
    let all: Vec<String> = made.into_iter().chain(missing_cache.map(unread)).collect();
    if all.is_empty() { String::new() } else { format!("; {}", all.join(", and ")) }
}

fn unread(cache: &str) -> String {
    format!("the cache {} could not be read", table::cell(cache))
}

/// `, but clean removed build cache, and the engine was updated from 28.4.0 to 28.5.2`.
fn happened(since: &Since, place: &str) -> String {
    let updated = since.from.as_deref().zip(since.to.as_deref()).map(|(from, to)| {
        format!("{place} was updated from {} to {}", table::cell(from), table::cell(to))
    });
    let cleaned = since.cleaned.map(|_| "`clean` removed build cache".to_owned());
    let pruned = since.pruned.map(|_| "somebody pruned build cache".to_owned());
    let overlapped = since.overlapped.as_ref().map(|build| {
        format!(
            "build {build} overlapped, which can lose results before BuildKit 0.32 (Docker 29.7)"
        )
    });
    let unread = since.missing_cache.as_deref().map(unread);
    let all = cleaned.into_iter().chain(pruned).chain(updated).chain(unread).chain(overlapped);
    let all: Vec<String> = all.collect();
    if !all.is_empty() {
        return format!(", but {}", all.join(", and "));
    }
    let collected = |rule| format!("; garbage collection may have taken it: {}", collects(rule));
    since.collection.as_ref().map(collected).unwrap_or_default()
}

/// `it removes what was not used for 2 days where the cache takes more than 20.0 GB`.
fn collects(rule: &CollectionRule) -> String {
    let idle = rule.idle_seconds.map(|seconds| {
        let days = seconds / DAY;
        let time = match days {
            0 | 1 => format!("{} h", seconds / 3600),
            _ => format!("{days} days"),
        };
        format!(" what was not used for {time}")
    });
    let larger =
        rule.max_bytes.map(|most| format!("the cache takes more than {}", format::bytes(most)));
    let fuller =
        rule.min_free_bytes.map(|least| format!("less than {} are free", format::bytes(least)));
    let limits: Vec<String> = larger.into_iter().chain(fuller).collect();
    let limits =
        if limits.is_empty() { String::new() } else { format!(" where {}", limits.join(" or ")) };
    format!("it removes{}{limits}", idle.as_deref().unwrap_or(" results"))
}

/// `a.txt changed; b.txt and c.txt are new`.
fn files(paths: &[PathChange]) -> String {
    let parts = [
        list(paths, Change::Changed, "changed", "changed"),
        list(paths, Change::Mode, "has another mode", "have another mode"),
        list(paths, Change::Added, "is new", "are new"),
        list(paths, Change::Removed, "is gone", "are gone"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// `the ignore file leaves out a.txt, b.txt`.
fn ignored(paths: &[PathChange]) -> String {
    let parts = [
        list(paths, Change::Added, "", "").map(|it| format!("no longer leaves out {it}")),
        list(paths, Change::Removed, "", "").map(|it| format!("leaves out {it}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("the ignore file {}", parts.join(", but "))
}

/// Some of the paths, and the verb for one or many.
fn list(paths: &[PathChange], wanted: Change, one: &str, many: &str) -> Option<String> {
    let wanted = paths.iter().filter(|it| it.change == wanted);
    let names: Vec<String> = wanted.map(|it| table::cell(&it.path)).collect();
    let verb = if names.len() == 1 { one } else { many };
    let shown = match names.len() {
        0 => return None,
        count if count > NAMED + 1 => {
            format!("{} and {} more", names[..NAMED].join(", "), count - NAMED)
        }
        _ => names.join(", "),
    };
    Some(format!("{shown} {verb}").trim_end().to_owned())
}

/// Some of the paths.
fn some(paths: &[String]) -> String {
    let names: Vec<String> = paths.iter().take(NAMED).map(|path| table::cell(path)).collect();
    let rest = paths.len().saturating_sub(NAMED);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}

fn quoted(text: &str) -> String {
    format!("{:?}", table::cell(text))
}
