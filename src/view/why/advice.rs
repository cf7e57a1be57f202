//! Advice in words.

use super::words;
use crate::counted::counted;
use crate::dockerfile::without_options;
use crate::explain::{Advice, Habit};
use crate::terminal::{SHADES, Shades, format, wrap};
use crate::view::table;

/// A block for each piece of advice, wrapped at `columns`; nothing where there is none.
pub(super) fn text(advice: &[Advice], columns: usize) -> String {
    if advice.is_empty() {
        return String::new();
    }
    let Shades { bold, .. } = SHADES;
    let mut text = format!("\n{bold}advice{bold:#}\n");
    for advice in advice {
        let place = words::located(advice.file.as_deref(), advice.line);
        let place = place.map(|place| format!("{place}  ")).unwrap_or_default();
        let title =
            format!("{}: {place}{}", table::cell(&advice.service), shown(&advice.instruction));
        text += &format!("  {}\n", format::cut(&title, columns.saturating_sub(2)));
        let lines = wrap::words(&sentence(advice), columns.saturating_sub(6).max(20), 0);
        lines.lines().for_each(|line| text += &format!("      {line}\n"));
    }
    text
}

fn shown(instruction: &str) -> String {
    table::cell(&without_options(instruction))
}

/// What happened, then what to do.
fn sentence(advice: &Advice) -> String {
    let Advice { builds, of_builds, .. } = advice;
    let times = format!("{builds} of {}", counted(*of_builds, "build"));
    let seconds = format::seconds(advice.seconds);
    match &advice.habit {
        Habit::CopyBeforeInstall { install, paths } => format!(
            "In {times} this made \"{}\" run, {seconds} in all, because of {}. Copy what that reads above it, and the rest below it.",
            format::cut(&shown(install), 60),
            such_as(paths)
        ),
        Habit::ChangingFile { path } => format!(
            "{} changed whenever this ran, and in {times} nothing else did; the steps after it took {seconds}. If they do not \
             read it, copy it below them.",
            table::cell(path)
        ),
        Habit::EarlyArgument { argument, used: true } => format!(
            "In {times} the build argument {} changed, and the steps after this one took {seconds}. Move what uses it below them.",
            table::cell(argument)
        ),
        Habit::EarlyArgument { argument, used: false } => format!(
            "In {times} the build argument {0} changed; this step does not mention it, but it and those after it ran, {seconds} in \
             all. If it does not read ${0} either, declare that below.",
            table::cell(argument)
        ),
        Habit::FloatingBase { reference } => format!(
            "In {times} {0} had moved, and what ran because of that took {seconds}. To decide when it moves, name it by its \
             digest ({0}@sha256:...).",
            table::cell(reference)
        ),
        Habit::GitInContext { paths } => format!(
            "In {times} this and what follows ran because of files of git alone ({}), {seconds} in all. Put .git into .dockerignore.",
            such_as(paths)
        ),
    }
}

fn such_as(paths: &[String]) -> String {
    let names: Vec<String> = paths.iter().take(3).map(|path| table::cell(path)).collect();
    match (names.len(), paths.len()) {
        (shown, all) if shown < all => format!("{} and others", names.join(", ")),
        _ => names.join(", "),
    }
}
