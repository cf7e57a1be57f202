//! What stands before an install: code, arguments that are other ones at every commit; and what is installed together.

use std::collections::BTreeSet;

use crate::check::case::{Case, Words, join};
use crate::check::install::{Install, Tool, installs};
use crate::check::model::{Finding, Severity};
use crate::dockerfile::syntax::{Instruction, Word};

/// A COPY of code, and behind it the first install of what lists name: every change of the code installs again.
pub(super) fn code_before_requirements(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = BTreeSet::new();
    for stage in &case.needed {
        let steps = case.syntax.steps(*stage);
        let mut code: Option<(usize, bool)> = None;
        let mut before: BTreeSet<Tool> = BTreeSet::new();
        for (position, step) in steps.iter().enumerate() {
            let it = case.at(*step);
            if code.is_none() {
                code = copies_code(case, it).map(|is_all| (*step, is_all));
            }
            for install in installs(it) {
                let mounts_all = install.reads_files && mounts_context(case, it);
                let found = match code {
                    _ if mounts_all => Some((*step, true)),
                    Some(copy) if is_repeated(case, &install, copy.1, &before) => Some(copy),
                    _ => None,
                };
                before.insert(install.tool);
                if let Some((copy, _)) = found
                    && seen.insert(copy)
                {
                    let behind: Vec<usize> = steps[position..].to_vec();
                    findings.push(of_copy(case, copy, *step, &install, &behind));
                }
            }
        }
    }
    findings
}

/// Whether a change of code that is copied before repeats an install that needs none of it.
fn is_repeated(
    case: &Case<'_>,
    install: &Install<'_>,
    is_all: bool,
    before: &BTreeSet<Tool>,
) -> bool {
    if before.contains(&install.tool) {
        return false;
    }
    match install.tool {
        // `apt-get install ./x.deb` needs what was copied.
        Tool::Apt | Tool::Apk | Tool::Dnf => is_all && !install.names().iter().any(is_path),
        Tool::Pip | Tool::Uv if !install.requirements().is_empty() => {
            !installs_project(case, install)
        }
        _ => install.reads_files && is_all,
    }
}

fn is_path(word: &&Word) -> bool {
    word.value.starts_with(['.', '/', '$'])
}

/// Whether a list of packages names the project itself, which needs its code.
fn installs_project(case: &Case<'_>, install: &Install<'_>) -> bool {
    let by_name = install.names().iter().any(is_path);
    let texts = case.service.contents.iter().flat_map(|contents| &contents.texts);
    let named = install.requirements();
    let mut read = texts.filter(|(path, _)| {
        let name = path.rsplit('/').next().unwrap_or(path);
        named.iter().any(|it| it.ends_with(name))
    });
    let is_own = |line: &str| {
        let line = line.trim();
        line.starts_with("-e ")
            || line.starts_with("--editable")
            || line.starts_with("./")
            || line == "."
    };
    by_name
        || !install.values(&["-e", "--editable"]).is_empty()
        || read.any(|(_, text)| text.lines().any(is_own))
}

/// Whether an instruction copies code of the build context, and then whether it copies all of it.
fn copies_code(case: &Case<'_>, it: &Instruction) -> Option<bool> {
    if !matches!(it.keyword.as_str(), "COPY" | "ADD") || it.flag("from").next().is_some() {
        return None;
    }
    let (_, sources) = it.words().split_last()?;
    let is_all = sources.iter().any(|word| is_everything(&case.syntax.expand(&word.value)));
    let read = case.service.contents.as_ref().and_then(|contents| contents.read.get(&it.line));
    match (is_all, read) {
        (true, Some(read)) => read.has_others.then_some(true),
        (true, None) => Some(true),
        // A folder that somebody chose may be what the install needs, unless it is code.
        (false, Some(read)) => read.has_code.then_some(false),
        (false, None) => None,
    }
}

fn mounts_context(case: &Case<'_>, it: &Instruction) -> bool {
    let read = case.service.contents.as_ref().and_then(|contents| contents.read.get(&it.line));
    let binds = case.syntax.binds(it);
    binds.iter().any(|(from, source, _)| from.is_none() && is_everything(source))
        && read.is_none_or(|read| read.has_others)
}

fn is_everything(source: &str) -> bool {
    let source = source.trim_start_matches("./").trim_start_matches('/');
    matches!(source, "" | "." | "*")
}

fn of_copy(
    case: &Case<'_>,
    copy: usize,
    install: usize,
    what: &Install<'_>,
    behind: &[usize],
) -> Finding {
    let it = case.at(copy);
    let (line, _) = case.syntax.place(what.action.span.start);
    let is_mount = copy == install;
    let verb = if is_mount { "is mounted for" } else { "is copied before" };
    let list = if what.tool.is_system() { "packages of the system" } else { "requirements" };
    let words = Words {
        message: format!(
            "the code {verb} the install of {list} in line {line}, so every change of code installs everything again"
        ),
        change: match (is_mount, what.tool.is_system()) {
            (true, _) => "mount only the files that name packages, each with `source=`".to_owned(),
            (false, true) => format!("move line {line} above the copy"),
            (false, false) => {
                "copy, or mount, only the files that name packages, install, then copy the code"
                    .to_owned()
            }
        },
    };
    let mut finding =
        case.finding("code-before-requirements", Severity::Warning, it.span.clone(), words);
    let runs: Vec<usize> =
        behind.iter().copied().filter(|step| case.at(*step).keyword == "RUN").collect();
    finding.cost = case.cost(&runs, true);
    finding
}

/// Names of what is another value at every commit.
const CHANGING: [&str; 25] = [
    "GIT_SHA",
    "GIT_COMMIT",
    "GIT_COMMIT_SHA",
    "GIT_HASH",
    "GIT_REV",
    "GIT_REVISION",
    "GIT_REF",
    "GIT_DESCRIBE",
    "COMMIT",
    "COMMIT_SHA",
    "COMMIT_HASH",
    "COMMIT_ID",
    "SOURCE_COMMIT",
    "VCS_REF",
    "REVISION",
    "SHA",
    "BUILD_DATE",
    "BUILD_TIME",
    "BUILD_TIMESTAMP",
    "BUILD_ID",
    "BUILD_NUMBER",
    "BUILD_SHA",
    "CI_COMMIT_SHA",
    "CI_COMMIT_SHORT_SHA",
    "CI_PIPELINE_ID",
];
/// Those of which it is only certain where a build argument sets them.
const GIVEN: [&str; 4] = ["VERSION", "APP_VERSION", "BUILD_VERSION", "RELEASE"];

/// What GitHub's runners set. The program itself reads none of it.
fn is_of_github(name: &str) -> bool {
    name.strip_prefix("GITHUB")
        .is_some_and(|rest| matches!(rest, "_SHA" | "_RUN_ID" | "_RUN_NUMBER"))
}

/// An ARG or ENV that is another one at every commit, before an install that does not use it.
pub(super) fn changing_argument(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut told = BTreeSet::new();
    for (index, it, installed) in case.installing() {
        let Some(install) = installed.first() else { continue };
        for step in case.settings(index) {
            let setting = case.at(step);
            for (name, value, word) in setting.settings() {
                let is_given = case.service.args.contains_key(&name);
                let is_changing = CHANGING.contains(&name.as_str())
                    || is_of_github(&name)
                    || (GIVEN.contains(&name.as_str()) && is_given);
                // A value that stands in the file changes with the file.
                let from_outside = match setting.keyword.as_str() {
                    "ENV" => value.is_some_and(|value| value.contains('$')),
                    _ => true,
                };
                if !is_changing
                    || !from_outside
                    || it.text.contains(&name)
                    || !told.insert(name.clone())
                {
                    continue;
                }
                let (line, _) = case.syntax.place(install.action.span.start);
                let words = Words {
                    message: format!(
                        "{name} stands before the install in line {line}, which runs again whenever its value changes"
                    ),
                    change: format!("move it below the installs, to where {name} is used"),
                };
                let span = word.span.clone();
                let mut finding = case.finding("changing-argument", Severity::Warning, span, words);
                finding.cost = case.cost(&[index], true);
                findings.push(finding);
            }
        }
    }
    findings
}

/// Both parts of a lock that `lock` has split in one step: a light change writes the heavy layer again.
pub(super) fn heavy_with_light(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, it, installed) in case.installing() {
        let directory = case.directory(index);
        let mut files: Vec<String> = Vec::new();
        for file in installed.iter().flat_map(Install::requirements) {
            files.push(origin(case, index, &join(&directory, &case.syntax.expand(file))));
        }
        let light =
            |heavy: &String| heavy.strip_suffix(".heavy.lock").map(|it| format!("{it}.lock"));
        let Some(heavy) =
            files.iter().find(|file| light(file).is_some_and(|it| files.contains(&it)))
        else {
            continue;
        };
        let heavy = heavy.trim_start_matches('/');
        let words = Words {
            message: format!(
                "{heavy} and the light lock are installed in one step, so a new light requirement installs and exports \
                 the heavy packages again"
            ),
            change: "install the heavy lock in a RUN of its own before the light one".to_owned(),
        };
        let span = it.span.clone();
        let mut finding = case.finding("heavy-with-light", Severity::Warning, span, words);
        finding.cost = case.cost(&[index], true);
        findings.push(finding);
    }
    findings
}

/// Copies that are looked at for where a file comes from.
const MOST_COPIES: usize = 1000;

/// The file of the build context that stands at `path` for the instruction at `index`; `path` where that is not known.
pub(super) fn origin(case: &Case<'_>, index: usize, path: &str) -> String {
    for (from, source, target) in case.syntax.binds(case.at(index)) {
        if from.is_none() && join("/", &target) == path {
            return join("/", &source);
        }
    }
    for step in case.copies(index).rev().take(MOST_COPIES) {
        let it = case.at(step);
        let is_copy =
            matches!(it.keyword.as_str(), "COPY" | "ADD") && it.flag("from").next().is_none();
        let Some((target, sources)) = it.words().split_last().filter(|_| is_copy) else { continue };
        let target = case.syntax.expand(&target.value);
        let is_folder = sources.len() > 1 || target.ends_with('/') || target == ".";
        let target = join(&case.directory(step), &target);
        for source in sources {
            let source = join("/", &case.syntax.expand(&source.value));
            let name = source.rsplit('/').next().unwrap_or_default();
            if is_folder && join(&target, name) == path && !name.is_empty() || target == path {
                return source;
            }
            // A folder: what is in it.
            if let Some(rest) =
                path.strip_prefix(&target).filter(|rest| rest.starts_with('/') || target == "/")
            {
                let inside = join(&source, rest.trim_start_matches('/'));
                let texts = case.service.contents.as_ref().map(|contents| &contents.texts);
                if source == "/"
                    || texts.is_some_and(|it| it.contains_key(inside.trim_start_matches('/')))
                {
                    return inside;
                }
            }
        }
    }
    path.to_owned()
}
