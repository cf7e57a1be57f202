//! A failure with everything known about it, put together for the user: message, place, hint.

use std::collections::BTreeMap;

use super::facts::{Facts, LongIgnoreFile};
use super::given;
use super::rules::{IN_CONTEXT, MADE_IN_STAGE};
use super::{Diagnosis, Subject, classify, lost, registry};
use crate::dockerfile::syntax::Syntax;
use crate::dockerfile::{Place, Span, excerpt, locate, stages};
use crate::nearest::{did_you_mean, nearest, nearest_path};
use crate::progress::FailureKind;

/// The longest line that BuildKit reads of a Dockerfile, in bytes (Go's `bufio.MaxScanTokenSize`,
/// BuildKit `frontend/dockerfile/parser`).
const LONGEST_LINE: usize = 65_535;

const FEWER_PATTERNS: &str =
    "use fewer and wider patterns, such as `dir` or `**/*.tmp`, or `**` with exceptions (`!src`)";

/// A Dockerfile to show from.
#[derive(Debug, Clone, Copy)]
pub struct Dockerfile<'a> {
    /// The name to show, such as `docker/Dockerfile.api`.
    pub name: &'a str,
    /// Its text.
    pub source: &'a str,
}

/// What is known about a failed solve.
#[derive(Clone, Default)]
pub struct EngineFailure<'a> {
    /// The engine's message.
    pub message: &'a str,
    /// What this program told the engine of its own failures: the engine says it again, with words around it.
    pub own_words: &'a [String],
    /// Whether gRPC's code was Unavailable: the engine is gone whatever the message says.
    pub unavailable: bool,
    /// Name of the vertex that failed, such as `[worker 3/7] RUN pip install`.
    pub step: Option<&'a str>,
    /// Lines of the Dockerfile the engine points at, counted from 1 (not on 20.10).
    pub lines: Option<Span>,
    /// Whether it points at them while no step had failed: it was still reading the Dockerfile.
    pub reading: bool,
    /// The Dockerfile, where it is at hand.
    pub dockerfile: Option<Dockerfile<'a>>,
    /// What else this side knows.
    pub facts: Option<&'a dyn Facts>,
}

/// What the user is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureReport {
    /// Kind of failure.
    pub kind: FailureKind,
    /// The message.
    pub message: String,
    /// Place in the Dockerfile, ready to show.
    pub excerpt: Option<String>,
    /// The same place by its lines.
    pub place: Option<Place>,
    /// What the user could do.
    pub hint: Option<String>,
}

/// Puts an explanation together.
pub fn explain(failure: &EngineFailure<'_>) -> FailureReport {
    let diagnosis = diagnose(failure);
    let (place, excerpt) =
        failure.dockerfile.and_then(|file| place_excerpt(failure, &diagnosis, file)).unzip();
    let hint = diagnosis.hint.or_else(|| given::hint(failure.step?, failure.facts?));
    FailureReport { kind: diagnosis.kind, message: diagnosis.message, excerpt, place, hint }
}

/// What the message says, with what is known of the moment in which the engine said it.
fn read(failure: &EngineFailure<'_>) -> Diagnosis {
    let mut diagnosis = classify(failure.message);
    // It looks at the frontend's image alone in a step of this name.
    let asks_frontend = |step: &str| step.starts_with("resolve image config for docker-image://");
    if diagnosis.kind == FailureKind::Registry && failure.step.is_some_and(asks_frontend) {
        diagnosis = registry::of_frontend(diagnosis);
    }
    if failure.unavailable && diagnosis.kind == FailureKind::Engine {
        diagnosis = lost();
    }
    if failure.reading && diagnosis == Diagnosis::unknown(failure.message) {
        diagnosis.kind = FailureKind::Dockerfile;
        diagnosis.message = format!("the Dockerfile is invalid: {}", diagnosis.message);
    }
    // A misspelt `--from=` is an image to the engine, which it then cannot fetch.
    if diagnosis.kind == FailureKind::Registry
        && let Some((line, word, stage)) =
            failure.dockerfile.and_then(|file| misspelt(failure, file.source))
    {
        diagnosis.hint = Some(if stage.eq_ignore_ascii_case(&word) {
            format!("stage `{stage}` begins below: a stage can only use those above it")
        } else {
            format!("there is no stage `{word}`: did you mean `{stage}`?")
        });
        diagnosis.subject = Some(Subject::Line(line, Some(word)));
    }
    diagnosis
}

/// What the message says, and what the Dockerfile and this side know of that.
fn diagnose(failure: &EngineFailure<'_>) -> Diagnosis {
    if let Some(at) = failure.own_words.iter().find_map(|words| failure.message.find(words)) {
        let mut own = Diagnosis::new(FailureKind::Engine, &failure.message[at..]);
        own.subject = Some(Subject::ThisMachine);
        return own;
    }
    let mut diagnosis = read(failure);
    if let Some(placed) = failure.dockerfile.and_then(|it| not_there(failure, &diagnosis, it)) {
        diagnosis = placed;
    }
    match &diagnosis.subject {
        Some(Subject::Path(path)) => {
            let near = failure.facts.and_then(|facts| path_hint(path, &facts.paths()));
            diagnosis.hint = near.or(diagnosis.hint);
        }
        Some(Subject::Stage(name)) => {
            diagnosis.hint = failure.dockerfile.and_then(|file| stage_hint(name, file.source));
        }
        Some(Subject::IgnoreFile) => {
            if let Some(file) = failure.facts.and_then(Facts::long_ignore_file) {
                let LongIgnoreFile { path, patterns } = file;
                diagnosis.message = format!(
                    "{path} has {patterns} patterns, more than the engine can ask for files with"
                );
                diagnosis.hint = Some(FEWER_PATTERNS.to_owned());
            }
        }
        // With a line in the Dockerfile it is what ADD fetches.
        Some(Subject::RemoteContext) if failure.lines.is_none() => {
            if let Some(place) = failure.facts.and_then(Facts::place_of_context) {
                diagnosis.message = format!("{place}: {}", diagnosis.message);
            }
        }
        Some(Subject::NameNotUtf8) => {
            // The engine may say so of something else.
            diagnosis = match failure.facts.and_then(Facts::name_not_utf8) {
                None => Diagnosis { kind: FailureKind::Engine, ..diagnosis },
                Some(path) => {
                    let message =
                        format!("the name `{path}` is not UTF-8, which this engine does not take");
                    Diagnosis::new(FailureKind::Context, message)
                        .hint("rename it, or leave it out with .dockerignore")
                }
            };
        }
        _ => {}
    }
    diagnosis
}

/// A path that is not where a step takes it from: most messages of engines do not tell whether that is the build context.
fn not_there(
    failure: &EngineFailure<'_>,
    diagnosis: &Diagnosis,
    file: Dockerfile<'_>,
) -> Option<Diagnosis> {
    let (Subject::Path(path) | Subject::StagePath(path)) = diagnosis.subject.as_ref()? else {
        return None;
    };
    let path = path.trim_matches('/');
    let lines = failure.lines.clone().or_else(|| locate(file.source, failure.step?))?;
    let syntax = Syntax::new(file.source, &BTreeMap::new());
    let instruction = &syntax.instructions[syntax.at_line(*lines.start())?];
    let from = match instruction.keyword.as_str() {
        "COPY" | "ADD" => instruction.flag("from").next().map(|(name, _)| syntax.expand(name)),
        "RUN" => {
            // Some engines name the folder that is missing above the path.
            let is_it = |source: &str| source == path || source.starts_with(&format!("{path}/"));
            let mut mounted = syntax.mounted_paths(instruction).into_iter();
            mounted.find(|(_, source)| is_it(source.trim_matches('/')))?.0
        }
        // What an instruction of the base image lacks is told of the line of FROM.
        _ => return None,
    };
    let Some(from) = from else {
        return Some(Diagnosis {
            message: format!("`{path}` is not in the build context"),
            hint: Some(IN_CONTEXT.to_owned()),
            subject: Some(Subject::Path(path.to_owned())),
            ..diagnosis.clone()
        });
    };
    let is_stage = syntax.stage(Some(&from)).is_some();
    let place = if is_stage { "stage" } else { "image or context" };
    Some(Diagnosis {
        message: format!("`/{path}` is not in {place} `{from}`, where the step takes it from"),
        hint: is_stage.then(|| MADE_IN_STAGE.to_owned()),
        subject: Some(Subject::StagePath(path.to_owned())),
        ..diagnosis.clone()
    })
}

fn path_hint(missing: &str, paths: &[String]) -> Option<String> {
    if paths.iter().any(|path| path == missing) {
        return Some(format!("`{missing}` exists, but .dockerignore excludes it"));
    }
    let near = nearest_path(missing, paths.iter().map(String::as_str))?;
    Some(format!("did you mean `{near}`?"))
}

fn stage_hint(missing: &str, source: &str) -> Option<String> {
    let names: Vec<String> = stages(source).into_iter().flatten().collect();
    if let Some(near) = did_you_mean(missing, names.iter().map(String::as_str)) {
        return Some(near);
    }
    (!names.is_empty()).then(|| format!("its stages are: {}", names.join(", ")))
}

/// The line of an image that was asked for, if its name looks like a stage's: line, name, stage.
fn misspelt(failure: &EngineFailure<'_>, source: &str) -> Option<(usize, String, String)> {
    let stages: Vec<String> = stages(source).into_iter().flatten().collect();
    source.lines().enumerate().find_map(|(index, line)| {
        let mut words = line.split_whitespace();
        let first = words.next()?;
        let name = if first.eq_ignore_ascii_case("from") {
            words.find(|word| !word.starts_with("--"))?
        } else {
            line.split_whitespace().find_map(|word| word.strip_prefix("--from="))?
        };
        let asked = [format!("/{name}:"), format!("/{name}/manifests/")];
        let failed = asked.iter().any(|asked| {
            failure.message.contains(asked) || failure.step.is_some_and(|step| step.contains(asked))
        });
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !(failed && plain) {
            return None;
        }
        // An image is not a misspelt name of the stage that begins with it: FROM python AS python.
        let own =
            if first.eq_ignore_ascii_case("from") { line.split_whitespace().last() } else { None };
        let is_own = |stage: &str| own.is_some_and(|own| own.eq_ignore_ascii_case(stage));
        let others = stages.iter().map(String::as_str).filter(|stage| !is_own(stage));
        let stage = nearest(name, others)?;
        Some((index + 1, name.to_owned(), stage))
    })
}

fn place_excerpt(
    failure: &EngineFailure<'_>,
    diagnosis: &Diagnosis,
    file: Dockerfile<'_>,
) -> Option<(Place, String)> {
    // The engine is gone, its disk is full, or this machine failed: no line of the Dockerfile is to blame.
    if matches!(diagnosis.kind, FailureKind::EngineLost | FailureKind::DiskFull)
        || matches!(diagnosis.subject, Some(Subject::ThisMachine | Subject::IgnoreFile))
    {
        return None;
    }
    let (lines, word) = match &diagnosis.subject {
        Some(Subject::Line(line, word)) => (Some(*line..=*line), word.as_deref()),
        Some(Subject::Path(path) | Subject::StagePath(path)) => (None, Some(path.as_str())),
        _ => (None, None),
    };
    // BuildKit gives up on a line that is too long without a number, or with that of the first.
    let lines = lines.or_else(|| too_long(diagnosis, file.source));
    let lines =
        lines.or_else(|| failure.lines.clone()).or_else(|| locate(file.source, failure.step?))?;
    let place = place(file.source, &lines, word);
    let text = excerpt(file.source, file.name, place);
    (!text.is_empty()).then_some((place, text))
}

/// The line that is longer than BuildKit reads, if that is the failure.
fn too_long(diagnosis: &Diagnosis, source: &str) -> Option<Span> {
    if diagnosis.subject != Some(Subject::LongLine) {
        return None;
    }
    let index = source.lines().position(|line| line.len() > LONGEST_LINE)?;
    Some(index + 1..=index + 1)
}

/// Lines, narrowed to the word if it stands in one of them.
fn place(source: &str, lines: &Span, word: Option<&str>) -> Place {
    let whole = Place { line_start: *lines.start(), line_end: *lines.end(), column: None };
    let Some(word) = word.filter(|word| !word.is_empty()) else { return whole };
    let count = lines.end().saturating_sub(*lines.start()) + 1;
    for (index, line) in
        source.lines().enumerate().skip(lines.start().saturating_sub(1)).take(count)
    {
        // The engine writes instructions in upper case and paths without `./` or slash.
        let Some(at) = line.to_ascii_lowercase().find(&word.to_ascii_lowercase()) else { continue };
        let start = line[..at].rfind(char::is_whitespace).map_or(0, |blank| blank + 1);
        let column = line[..start].chars().count() + 1;
        return Place { line_start: index + 1, line_end: index + 1, column: Some(column) };
    }
    whole
}
