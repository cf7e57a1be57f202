//! Cache mounts: missing, not used, emptied.

use crate::check::case::{Case, Words, cache_targets};
use crate::check::install::{Install, Tool, is_of_tools};
use crate::check::model::{Edit, Finding, Severity};
use crate::dockerfile::syntax::{Instruction, Joint, ShellCommand, Word};

/// Packages of a language that every run of the step downloads again.
pub(super) fn no_cache_mount(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, it, installed) in case.installing() {
        let missing: Vec<&Install<'_>> = installed
            .iter()
            .filter(|install| !install.tool.is_system() && case.without_mount(it, install.tool))
            .filter(|install| !is_of_tools(install, &case.syntax))
            .filter(|install| downloads(install))
            .collect();
        let Some(first) = missing.first() else { continue };
        let is_off = missing.iter().any(|install| !off_switches(install).is_empty());
        let off = if is_off { " and `--no-cache-dir` keeps nothing" } else { "" };
        let target = first.tool.cache_directory();
        let mount = target.map_or("of type=cache at its cache directory".to_owned(), |target| {
            format!("`--mount=type=cache,target={target}`")
        });
        let words = Words {
            message: format!(
                "the step has no cache mount{off}: it downloads every package again whenever it runs"
            ),
            change: format!(
                "give the RUN a mount {mount}{}",
                if is_off { ", and take the option off" } else { "" }
            ),
        };
        let span = it.span.clone();
        let mut finding = case.finding("no-cache-mount", Severity::Warning, span, words);
        finding.cost = case.cost(&[index], false);
        finding.fix = case.fix(with_mounts(case, index, it, &missing));
        findings.push(finding);
    }
    findings
}

/// Whether an install fetches anything: what lies here already needs no cache.
fn downloads(install: &Install<'_>) -> bool {
    let is_offline = install.option(&["--dry-run", "--offline", "--no-index"]).is_some();
    // The project itself brings what it depends on.
    let is_file = |word: &&Word| word.value.starts_with(['/', '.']) && !is_project(&word.value);
    let names = install.names();
    let has_names = names.iter().any(|word| !is_file(word));
    let is_alone =
        install.option(&["--no-deps"]).is_some() && names.iter().all(|it| is_project(&it.value));
    !is_offline && (install.reads_files || has_names && !is_alone)
}

/// `.` and `.[extra]`.
fn is_project(name: &str) -> bool {
    name == "." || name.starts_with(".[")
}

/// Edits that add the mounts, where it is certain that they fit.
fn with_mounts(
    case: &Case<'_>,
    index: usize,
    it: &Instruction,
    missing: &[&Install<'_>],
) -> Vec<Edit> {
    let base = it.stage.map_or("", |stage| case.base(stage));
    let repository = base.split([':', '@']).next().unwrap_or_default();
    // Official images run as root, with its home in /root.
    let is_root =
        case.user(index).is_none_or(|user| user == "root" || user == "0" || user.starts_with("0:"));
    let is_usual =
        !repository.is_empty() && !repository.contains(['/', '$']) && repository != "scratch";
    let moved = [
        "HOME",
        "PIP_CACHE_DIR",
        "UV_CACHE_DIR",
        "XDG_CACHE_HOME",
        "POETRY_CACHE_DIR",
        "npm_config_cache",
    ];
    let is_moved = moved.iter().any(|name| case.environment(index, name).is_some());
    let no_cache = ["PIP_NO_CACHE_DIR", "UV_NO_CACHE"];
    let is_off = no_cache.iter().any(|name| case.environment(index, name).is_some());
    let assigned = missing.iter().any(|install| !install.command.assignments.is_empty());
    if !is_root || !is_usual || is_moved || is_off || assigned {
        return Vec::new();
    }
    let mut targets: Vec<&str> = Vec::new();
    for install in missing {
        let Some(target) = install.tool.cache_directory() else { return Vec::new() };
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    let at = it.flags.last().map_or(it.span.start + "RUN".len(), |flag| flag.span.end);
    let mounts: String =
        targets.iter().map(|target| format!(" --mount=type=cache,target={target}")).collect();
    let mut edits = vec![Edit::new(at..at, mounts)];
    for word in missing.iter().flat_map(|install| off_switches(install)) {
        edits.push(without_word(case, word));
    }
    edits
}

/// Words that switch a tool's cache off.
fn off_switches<'a>(install: &Install<'a>) -> Vec<&'a Word> {
    let names: &[&str] = match install.tool {
        Tool::Pip => &["--no-cache-dir"],
        Tool::Uv => &["--no-cache", "-n", "--no-cache-dir"],
        Tool::Poetry => &["--no-cache"],
        _ => &[],
    };
    install.command.words.iter().filter(|word| names.contains(&word.value.as_str())).collect()
}

/// Takes a word out, with the blanks behind it or, at the end of a line, before it.
fn without_word(case: &Case<'_>, word: &Word) -> Edit {
    let text = case.syntax.text();
    let (mut start, mut end) = (word.span.start, word.span.end);
    let behind = text[end..].bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let is_last = text[end + behind..].starts_with(['\n', '\r']) || end + behind == text.len();
    if is_last {
        start -=
            text[..start].bytes().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    } else {
        end += behind;
    }
    Edit::new(start..end, "")
}

/// A cache mount, and an option or variable that says not to use it.
pub(super) fn cache_mount_unused(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, it, installed) in case.installing() {
        let targets = cache_targets(it);
        for install in &installed {
            let names = install.tool.cache_names();
            let is_own = |target: &str| {
                target.ends_with("/.cache") || names.iter().any(|name| target.contains(name))
            };
            let Some((target, _)) = targets.iter().find(|(target, _)| is_own(target)) else {
                continue;
            };
            let words = off_switches(install);
            let variable = match install.tool {
                Tool::Pip => "PIP_NO_CACHE_DIR",
                Tool::Uv => "UV_NO_CACHE",
                _ => "",
            };
            let value = case.environment(index, variable);
            let is_set = value.is_some_and(|value| {
                !["", "0", "false", "off", "no"].contains(&value.to_lowercase().as_str())
            });
            let (what, span) = match words.first() {
                Some(word) => (word.value.clone(), word.span.clone()),
                None if is_set => (variable.to_owned(), install.action.span.clone()),
                None => continue,
            };
            let words_of = Words {
                message: format!(
                    "`{what}` keeps the cache mount at {target} empty: every run downloads again"
                ),
                change: format!("take {what} off"),
            };
            let mut finding = case.finding("cache-mount-unused", Severity::Warning, span, words_of);
            finding.cost = case.cost(&[index], false);
            if !is_set {
                finding.fix =
                    case.fix(words.into_iter().map(|word| without_word(case, word)).collect());
            }
            findings.push(finding);
        }
    }
    findings
}

/// A cache mount that the step that fills it empties.
pub(super) fn cache_mount_emptied(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, it) in case.instructions() {
        let targets = cache_targets(it);
        let commands = it.commands();
        for (at, command) in commands.iter().enumerate() {
            let Some((target, _)) =
                targets.iter().find(|(target, _)| empties(case, command, target))
            else {
                continue;
            };
            let (Some(first), Some(last)) = (command.words.first(), command.words.last()) else {
                continue;
            };
            let words = Words {
                message: format!(
                    "the step empties its own cache mount at {target}, so it starts anew each time"
                ),
                change: "take the command out: what is in a cache mount is in no image".to_owned(),
            };
            let span = first.span.start..last.span.end;
            let mut finding = case.finding("cache-mount-emptied", Severity::Warning, span, words);
            finding.cost = case.cost(&[index], false);
            finding.fix = case.fix(without_command(case, commands, at));
            findings.push(finding);
        }
    }
    findings
}

fn empties(case: &Case<'_>, command: &ShellCommand, target: &str) -> bool {
    let words = command.arguments();
    let says = |text: &str| words.iter().any(|word| word.value == text);
    match command.program() {
        "rm" if words
            .iter()
            .any(|word| word.value.starts_with('-') && word.value.contains(['r', 'R'])) =>
        {
            let paths = words.iter().filter(|word| !word.value.starts_with('-'));
            let mut paths = paths.map(|word| {
                let path = case
                    .syntax
                    .expand(&word.value)
                    .replace("~/", "/root/")
                    .replace("$HOME/", "/root/");
                path.trim_end_matches('*').trim_end_matches('/').to_owned()
            });
            paths.any(|path| {
                let is_at_or_above = target == path || target.starts_with(&format!("{path}/"));
                let is_lists = path == "/var/lib/apt/lists" && target == "/var/lib/apt";
                !path.is_empty() && (is_at_or_above || is_lists)
            })
        }
        "apt-get" | "apt" => (says("clean") || says("autoclean")) && target == "/var/cache/apt",
        "pip" | "pip3" => says("cache") && says("purge") && target.contains("pip"),
        "uv" => says("cache") && says("clean") && target.contains("uv"),
        "npm" => says("cache") && says("clean") && target.contains("npm"),
        "dnf" | "yum" | "microdnf" => {
            says("clean") && ["dnf", "yum"].iter().any(|it| target.contains(it))
        }
        _ => false,
    }
}

/// Takes a command out with the operator before it, where nothing but that stands in between.
fn without_command(case: &Case<'_>, commands: &[ShellCommand], at: usize) -> Vec<Edit> {
    let command = &commands[at];
    let Some(before) = at.checked_sub(1).and_then(|at| commands[at].words.last()) else {
        return Vec::new();
    };
    let Some(last) = command.words.last() else { return Vec::new() };
    let is_chain = command.joined_by == Joint::And
        && matches!(command.followed_by, Joint::None | Joint::And)
        && command.assignments.is_empty();
    let between = case.syntax.text().get(before.span.end..last.span.end).unwrap_or_default();
    let has_comment = between.lines().any(|line| line.trim_start().starts_with('#'));
    if !is_chain || has_comment || before.span.end >= last.span.end {
        return Vec::new();
    }
    vec![Edit::new(before.span.end..last.span.end, "")]
}
