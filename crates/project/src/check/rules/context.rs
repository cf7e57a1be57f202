//! What of a build context should not get into an image, and patterns of ignore files that miss what they mean.

use std::collections::BTreeMap;

use super::cuda::shown;
use crate::check::bytes;
use crate::check::case::{Case, Words, finding};
use crate::check::contents::kept_out;
use crate::check::model::{Cost, Edit, Finding, Fix, Severity, Spot};
use crate::check::subject::{Contents, Kind, Notable};

/// Repositories, models, environments and secrets that a copy takes in.
pub(super) fn in_context(case: &Case<'_>) -> Vec<Finding> {
    let Some(contents) = &case.service.contents else { return Vec::new() };
    let mut groups: BTreeMap<(usize, Family), Vec<&Notable>> = BTreeMap::new();
    for notable in &contents.notable {
        let is_told = kept_out(contents, notable).is_some();
        for line in notable
            .lines
            .iter()
            .filter(|line| !is_told && is_fault(case, contents, notable, **line))
        {
            let Some(family) = family(notable.kind) else { continue };
            groups.entry((*line, family)).or_default().push(notable);
        }
    }
    let one = |((line, family), all): ((usize, Family), Vec<&Notable>)| {
        of_group(case, contents, line, family, &all)
    };
    groups.into_iter().filter_map(one).collect()
}

/// What is told together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    Git,
    Model,
    Environment,
    Secret,
}

fn family(kind: Kind) -> Option<Family> {
    match kind {
        Kind::Git => Some(Family::Git),
        Kind::Model => Some(Family::Model),
        Kind::Venv | Kind::NodeModules => Some(Family::Environment),
        Kind::Secret => Some(Family::Secret),
        Kind::Litter => None,
    }
}

/// Whether an instruction that reads it does more than somebody asked for.
fn is_fault(case: &Case<'_>, contents: &Contents, notable: &Notable, line: usize) -> bool {
    let Some(it) = case.syntax.instructions.iter().find(|it| it.line == line) else { return false };
    if !matches!(it.keyword.as_str(), "COPY" | "ADD") || it.is_onbuild {
        return false;
    }
    let sources = it.words().split_last().map(|(_, sources)| sources).unwrap_or_default();
    let is_named = sources.iter().any(|word| {
        let source = case.syntax.expand(&word.value);
        let source = source.trim_start_matches("./").trim_matches('/').to_owned();
        notable.path == source || source.starts_with(&format!("{}/", notable.path))
    });
    match notable.kind {
        Kind::Secret => true,
        Kind::Litter => false,
        // Whoever needs the history says so: a version that is made of tags, a hash that is asked for.
        Kind::Git => !is_named && !needs_git(case, contents),
        Kind::Venv | Kind::NodeModules => !is_named,
        Kind::Model => {
            let read = contents.read.get(&line).copied().unwrap_or_default();
            !is_named && read.has_more_than_models
        }
    }
}

fn needs_git(case: &Case<'_>, contents: &Contents) -> bool {
    let words = [
        "setuptools_scm",
        "setuptools-scm",
        "hatch-vcs",
        "versioningit",
        "dunamai",
        "dynamic-versioning",
    ];
    let in_texts = contents.texts.values().any(|text| words.iter().any(|word| text.contains(word)));
    // Go stamps revisions by itself, and a Makefile may do anything.
    let asks = |program: &str| matches!(program, "git" | "go" | "make" | "goreleaser");
    let runs_git = case.instructions().any(|(_, it)| {
        it.commands().iter().any(|command| asks(command.program())) || it.text.contains("$(git ")
    });
    in_texts || runs_git
}

fn of_group(
    case: &Case<'_>,
    contents: &Contents,
    line: usize,
    family: Family,
    all: &[&Notable],
) -> Option<Finding> {
    let it = case.syntax.instructions.iter().find(|it| it.line == line)?;
    let total: u64 = all.iter().map(|notable| notable.bytes).sum();
    let (first, rest) = all.split_first()?;
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    let named = format!("{}{more}", first.path);
    let size = bytes(total);
    let (rule, severity, message) = match family {
        Family::Git => (
            "git-in-context",
            Severity::Warning,
            format!(
                "the copy takes {named} in ({size}), so every commit runs it and what follows again"
            ),
        ),
        Family::Model => (
            "model-in-context",
            Severity::Warning,
            format!(
                "the copy takes weights in with the code ({named}, {size}): a change of code writes them again"
            ),
        ),
        Family::Environment => (
            "environment-in-context",
            Severity::Warning,
            format!("the copy takes installed packages of this machine in ({named}, {size})"),
        ),
        Family::Secret => (
            "secret-in-context",
            Severity::Error,
            format!("the copy takes {named} in, which everybody with the image can read"),
        ),
    };
    let patterns = patterns(all);
    let file = contents.ignore_file.as_ref().map_or(".dockerignore", |file| &file.shown);
    let change = match family {
        Family::Model => "copy weights in an instruction of their own before the code, or mount them where it runs".to_owned(),
        Family::Secret => format!("keep it out with `{}` in {file}, and hand it over where it runs, or as a build secret", patterns.join("`, `")),
        _ => format!("keep it out with `{}` in {file}", patterns.join("`, `")),
    };
    let words = Words { message, change };
    let mut finding = case.finding(rule, severity, it.span.clone(), words);
    finding.cost = Cost { bytes: Some(total), ..Cost::default() };
    // What a program may read where it runs stays: only what is made again is safe to leave out.
    if matches!(family, Family::Git | Family::Environment) {
        finding.fix = with_patterns(contents, &patterns);
    }
    Some(finding)
}

fn patterns(all: &[&Notable]) -> Vec<String> {
    let mut patterns: Vec<String> = all
        .iter()
        .map(|notable| match notable.kind {
            Kind::Git => "**/.git".to_owned(),
            Kind::NodeModules => "**/node_modules".to_owned(),
            Kind::Venv | Kind::Secret => {
                format!("**/{}", notable.path.rsplit('/').next().unwrap_or(&notable.path))
            }
            Kind::Model | Kind::Litter => notable.path.clone(),
        })
        .collect();
    patterns.sort();
    patterns.dedup();
    patterns
}

/// Adds lines at the end of the ignore file, where they win over whatever stands before.
fn with_patterns(contents: &Contents, patterns: &[String]) -> Option<Fix> {
    let lines: String = patterns.iter().map(|pattern| format!("{pattern}\n")).collect();
    match &contents.ignore_file {
        Some(file) => {
            let end = file.text.len();
            let start = if file.text.is_empty() || file.text.ends_with('\n') { "" } else { "\n" };
            let edits = vec![Edit::new(end..end, format!("{start}{lines}"))];
            Some(Fix { path: file.path.clone(), edits })
        }
        None => {
            let path = contents.new_ignore_file.clone()?;
            Some(Fix { path, edits: vec![Edit::new(0..0, lines)] })
        }
    }
}

/// A pattern for the top of the context that misses what lies deeper.
pub(super) fn not_nested(case: &Case<'_>) -> Vec<Finding> {
    let Some(contents) = &case.service.contents else { return Vec::new() };
    let Some(file) = &contents.ignore_file else { return Vec::new() };
    let mut missed: BTreeMap<usize, Vec<&Notable>> = BTreeMap::new();
    for notable in &contents.notable {
        let is_copied = |line: &usize| {
            let mut all = case.syntax.instructions.iter();
            all.any(|it| it.line == *line && matches!(it.keyword.as_str(), "COPY" | "ADD"))
        };
        if let Some(line) =
            kept_out(contents, notable).filter(|_| notable.lines.iter().any(is_copied))
        {
            missed.entry(line).or_default().push(notable);
        }
    }
    let one = |(line, all): (usize, Vec<&Notable>)| {
        let text = file.text.split_inclusive('\n').nth(line - 1)?;
        let start: usize = file.text.split_inclusive('\n').take(line - 1).map(str::len).sum();
        let pattern = text.trim();
        let at = start + text.len() - text.trim_start().len();
        let total: u64 = all.iter().map(|notable| notable.bytes).sum();
        let (first, rest) = all.split_first()?;
        let more =
            if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        let bare = pattern.trim_start_matches('/');
        let words = Words {
            message: format!(
                "`{pattern}` keeps out what is at the top only: {}{more} ({}) is sent and copied",
                first.path,
                bytes(total)
            ),
            change: format!("write `**/{bare}`"),
        };
        let spot = Spot { file: shown("", &file.shown), line, column: 1, end_line: line };
        let mut finding =
            finding("ignore-not-nested", Severity::Warning, spot, &case.service.name, words);
        finding.cost = Cost { bytes: Some(total), ..Cost::default() };
        let edit = Edit::new(at..at + pattern.len(), format!("**/{bare}"));
        finding.fix = Some(Fix { path: file.path.clone(), edits: vec![edit] });
        Some(finding)
    };
    missed.into_iter().filter_map(one).collect()
}
