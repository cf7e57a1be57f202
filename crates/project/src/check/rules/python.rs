//! Python's packages and interpreters.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::case::{Case, Words, join};
use crate::check::install::{Install, Tool, name};
use crate::check::model::{Edit, Finding, Severity};
use crate::dockerfile::syntax::{Instruction, Syntax, Word};

/// Packages without a version: what is installed depends on the day.
pub(super) fn unpinned(case: &Case<'_>) -> Vec<Finding> {
    const OWN: [&str; 3] = ["pip", "setuptools", "wheel"];
    let mut findings = Vec::new();
    for (index, _, installed) in case.installing() {
        let is_constrained = case.environment(index, "PIP_CONSTRAINT").is_some();
        for install in installed.iter().filter(|install| install.tool == Tool::Pip) {
            let options = [
                "-r",
                "--requirement",
                "-c",
                "--constraint",
                "-e",
                "--editable",
                "--find-links",
                "-f",
            ];
            if is_constrained
                || !install.values(&options).is_empty()
                || install.option(&["--no-index"]).is_some()
            {
                continue;
            }
            let mut open: Vec<&Word> = install.names();
            open.retain(|word| is_open(&case.syntax.expand(&word.value)));
            let names: Vec<String> = open.iter().map(|word| name(&word.value).0).collect();
            let Some(first) =
                open.first().filter(|_| !names.iter().all(|it| OWN.contains(&it.as_str())))
            else {
                continue;
            };
            let words = Words {
                message: format!(
                    "{} has no version, so the image depends on the day on which this step last ran",
                    names.join(", ")
                ),
                change: "name versions, or install from a lock file".to_owned(),
            };
            findings.push(case.finding(
                "unpinned-package",
                Severity::Advice,
                first.span.clone(),
                words,
            ));
        }
    }
    findings
}

/// A plain name, without a version, a place or a variable.
fn is_open(requirement: &str) -> bool {
    let (name, rest) = name(requirement);
    let is_file = [".whl", ".gz", ".zip", ".txt"].iter().any(|end| requirement.ends_with(end));
    !name.is_empty() && rest.trim().is_empty() && !is_file && !requirement.starts_with(['.', '/'])
}

/// Images with a Python of their own that is not the distribution's.
fn has_own_python(base: &str) -> bool {
    let repository = base.split([':', '@']).next().unwrap_or_default();
    let repository = repository.trim_start_matches("docker.io/").trim_start_matches("library/");
    matches!(
        repository,
        "python"
            | "continuumio/miniconda3"
            | "continuumio/anaconda3"
            | "condaforge/miniforge3"
            | "condaforge/mambaforge"
            | "mambaorg/micromamba"
    )
}

/// A second Python beside that of the base image.
pub(super) fn two_interpreters(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, it) in case.instructions().filter(|(_, it)| it.keyword == "RUN") {
        let base = it.stage.map_or("", |stage| case.base(stage));
        if !has_own_python(base) {
            continue;
        }
        let installed = crate::check::install::installs(it);
        let system = installed.iter().filter(|install| install.tool.is_system());
        let mut names = system.flat_map(Install::names);
        let found = names.find(|word| is_interpreter(&word.value)).or_else(|| conda_installer(it));
        let Some(word) = found else { continue };
        let file = word.value.rsplit('/').next().unwrap_or(&word.value);
        let words = Words {
            message: format!("{file} brings a second Python beside that of {base}"),
            change: "use the Python of the base image, with packages from pip or uv; or a base image without one"
                .to_owned(),
        };
        let mut finding =
            case.finding("two-interpreters", Severity::Warning, word.span.clone(), words);
        finding.cost = case.cost(&[index], false);
        findings.push(finding);
    }
    findings
}

/// Packages of distributions that are a Python, or stand on one.
fn is_interpreter(package: &str) -> bool {
    let package = package.split(['=', '/', ':']).next().unwrap_or_default();
    let rest =
        package.strip_prefix("python3").or_else(|| package.strip_prefix("py3-").map(|_| "-"));
    package == "python"
        || rest.is_some_and(|rest| {
            rest.is_empty()
                || rest.starts_with('-')
                || rest.strip_prefix('.').is_some_and(|it| it.starts_with('1'))
        })
}

/// The installer of a conda that a command fetches or runs.
fn conda_installer(it: &Instruction) -> Option<&Word> {
    let words = it.commands().iter().flat_map(|command| &command.words);
    let is_installer = |word: &&Word| {
        let file = word.value.rsplit('/').next().unwrap_or_default();
        ["Miniconda3", "Miniforge3", "Mambaforge", "Anaconda3"]
            .iter()
            .any(|it| file.starts_with(it))
            && file.ends_with(".sh")
    };
    words.into_iter().find(is_installer)
}

/// Environments and packages that are copied to another path than they were made at.
pub(super) fn moved(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut made: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (index, it) in case.instructions().filter(|(_, it)| it.keyword == "COPY") {
        let Some(stage) =
            it.flag("from").next().and_then(|(from, _)| case.syntax.stage(Some(from)))
        else {
            continue;
        };
        let [source, target] = it.words() else { continue };
        let path = join("/", &case.syntax.expand(&source.value));
        let target = join(&case.directory(index), &case.syntax.expand(&target.value));
        if path.contains('$') || target.contains('$') || path == target {
            continue;
        }
        let is_venv =
            made.entry(stage).or_insert_with(|| environments(case, stage)).contains(&path);
        let versions = python_of(&path).zip(python_of(&target)).filter(|(from, to)| from != to);
        let message = match (is_venv, versions) {
            (true, _) => format!(
                "the environment {path} was made for this path, its programs do not start in {target}"
            ),
            (false, Some((from, to))) => {
                format!(
                    "packages for Python {from} are copied to where Python {to} looks for its own"
                )
            }
            _ => continue,
        };
        let change = match is_venv {
            true => format!("make it at {target} in the other stage, or copy it to {path}"),
            false => "use one version of Python in both stages".to_owned(),
        };
        let words = Words { message, change };
        findings.push(case.finding(
            "environment-moved",
            Severity::Warning,
            source.span.clone(),
            words,
        ));
    }
    findings
}

/// Paths at which steps of a stage make environments; none where one may be moved.
fn environments(case: &Case<'_>, stage: usize) -> Vec<String> {
    let mut made = Vec::new();
    for step in case.syntax.steps(stage) {
        let it = case.at(step);
        for command in it.commands() {
            let words: Vec<&str> = command.words.iter().map(|word| word.value.as_str()).collect();
            if words.contains(&"--relocatable") {
                return Vec::new();
            }
            let module = |it: &[&str]| it[0] == "-m" && matches!(it[1], "venv" | "virtualenv");
            let makes = match command.program() {
                "virtualenv" => true,
                "uv" => words.contains(&"venv"),
                program => program.starts_with("python") && words.windows(2).any(module),
            };
            let syncs = command.program() == "uv" && words.contains(&"sync");
            if makes {
                let named = words.iter().skip(1).filter(|word| !word.starts_with('-'));
                let directory = case.directory(step);
                made.extend(named.map(|word| join(&directory, &case.syntax.expand(word))));
            } else if syncs {
                made.push(join(&case.directory(step), ".venv"));
            }
        }
    }
    made
}

/// The Python of a `site-packages`.
fn python_of(path: &str) -> Option<&str> {
    let (before, _) = path.split_once("/site-packages")?;
    before.rsplit('/').next()?.strip_prefix("python")
}

/// Packages without bytecode for a user that cannot write it: every start compiles them again.
pub(super) fn no_bytecode(case: &Case<'_>) -> Vec<Finding> {
    let steps = case.syntax.steps(case.stage);
    let last_user = steps.iter().rev().map(|step| case.at(*step)).find(|it| it.keyword == "USER");
    let user = case.service.runtime.user.clone();
    let user = user.or_else(|| Some(case.syntax.expand(&last_user?.words().first()?.value)));
    let is_root = user.as_deref().is_none_or(|user| {
        let name = user.split(':').next().unwrap_or_default();
        matches!(name, "root" | "0" | "") || name.contains('$')
    });
    let may_write = is_root && !case.service.runtime.is_read_only;
    let whole = &case.syntax.text().to_lowercase();
    let is_compiled =
        ["compileall", "compile_bytecode", "compile-bytecode"].iter().any(|it| whole.contains(it));
    if may_write || is_compiled {
        return Vec::new();
    }
    let who = if is_root {
        "the service's file system is read-only"
    } else {
        "the code runs as another user"
    };
    let mut findings = Vec::new();
    let stages = installed_in(case);
    let is_in = |it: &Instruction| it.stage.is_some_and(|stage| stages.contains(&stage));
    for (index, _, installed) in case.installing().filter(|(_, it, _)| is_in(it)) {
        for install in &installed {
            // An install by the user that runs the code leaves files that this user may write.
            let without = match install.tool {
                Tool::Uv => install.reads_files || !install.names().is_empty(),
                Tool::Pip => install.option(&["--no-compile"]).is_some(),
                _ => false,
            };
            let is_own =
                !case.service.runtime.is_read_only && user.is_some() && case.user(index) == user;
            if !without || is_own {
                continue;
            }
            let (option, edits, span) = fix_of(&case.syntax, install);
            let words = Words {
                message: format!(
                    "packages are installed without bytecode, and {who}: each start compiles them again"
                ),
                change: option,
            };
            let mut finding = case.finding("no-bytecode", Severity::Advice, span, words);
            finding.fix = case.fix(edits);
            findings.push(finding);
        }
    }
    findings
}

fn fix_of(syntax: &Syntax, install: &Install<'_>) -> (String, Vec<Edit>, std::ops::Range<usize>) {
    match install.option(&["--no-compile"]) {
        Some(word) => {
            let behind =
                syntax.text()[word.span.end..].bytes().take_while(|it| *it == b' ').count();
            let edit = Edit::new(word.span.start..word.span.end + behind, "");
            ("take --no-compile off".to_owned(), vec![edit], word.span.clone())
        }
        None => {
            let at = install.action.span.end;
            let edit = Edit::new(at..at, " --compile-bytecode");
            let first = install.command.words.first().unwrap_or(install.action);
            ("give uv --compile-bytecode".to_owned(), vec![edit], first.span.start..at)
        }
    }
}

/// The stages whose packages are in the image: its own ones, and those of which it copies an environment.
fn installed_in(case: &Case<'_>) -> BTreeSet<usize> {
    let own: BTreeSet<usize> = case.syntax.chain(case.stage).into_iter().collect();
    let mut all = own.clone();
    let is_environment = |word: &Word| {
        ["venv", "site-packages", "/usr/local"].iter().any(|it| word.value.contains(it))
    };
    for (_, it) in case.instructions().filter(|(_, it)| it.keyword == "COPY") {
        let is_own = it.stage.is_some_and(|stage| own.contains(&stage));
        let from = it.flag("from").next().and_then(|(from, _)| case.syntax.stage(Some(from)));
        if let Some(from) = from.filter(|_| is_own && it.words().iter().any(is_environment)) {
            all.extend(case.syntax.chain(from));
        }
    }
    all
}
