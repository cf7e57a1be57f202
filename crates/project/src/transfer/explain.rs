//! Why one path is sent, or not.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::look::{Source, TransferError, sources};
use super::model::Reader;
use crate::build_context::patterns::PatternMatcher;
use crate::targets::Target;

/// What becomes of a path in the builds of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PathAnswer {
    /// The compose service.
    pub service: String,
    /// Name of the context; empty for the build context itself.
    pub name: String,
    /// The directory.
    pub directory: PathBuf,
    /// The path from the top of the directory.
    pub path: String,
    /// Whether it is sent, or something in it.
    #[serde(rename = "sent")]
    pub is_sent: bool,
    /// What decides whether it may be.
    pub decision: Option<Decision>,
    /// What reads it, or something in it, in the order of the Dockerfile.
    pub readers: Vec<Reader>,
}

/// The last pattern of an ignore file that matches a path or a directory above it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The ignore file.
    pub file: PathBuf,
    /// Its line, from 1.
    pub line: usize,
    /// The pattern, as it counts.
    pub pattern: String,
    /// Whether it leaves the path out.
    pub leaves_out: bool,
}

/// What a build of `target` does with `path`, for each of its directories that has the path. The path need not exist:
/// then it is the answer for a file of that name.
///
/// # Errors
/// A context cannot be read, or a pattern is malformed.
pub fn explain(
    target: &Target,
    dockerfile: (&str, &str),
    path: &Path,
) -> Result<Vec<PathAnswer>, TransferError> {
    let sources = sources(target, dockerfile)?;
    let below = sources.iter().filter_map(|source| {
        let relative = path.strip_prefix(&source.directory).ok()?;
        Some((source, relative))
    });
    below.map(|(source, relative)| answer(target, source, path, relative)).collect()
}

fn answer(
    target: &Target,
    source: &Source,
    path: &Path,
    relative: &Path,
) -> Result<PathAnswer, TransferError> {
    let text = relative.as_os_str().as_encoded_bytes();
    let is_directory = path.is_dir();
    let decision = decision(source, text);
    let mut readers: Vec<Reader> = source
        .coverages()
        .into_iter()
        .filter(|(reader, coverage)| {
            let covers = coverage.as_ref().is_some_and(|coverage| coverage.covers(text));
            covers || (is_directory && reader.paths.iter().any(|read| lies_below(read, text)))
        })
        .map(|(reader, _)| reader.clone())
        .collect();
    readers.sort_by_key(|reader| reader.line);
    // Of what is there a walk tells: a directory may be left out and something in it be taken in, a link may lead to it.
    let is_sent = match path.symlink_metadata() {
        Ok(_) => source.sends(text)?,
        Err(_) => !readers.is_empty() && !decision.as_ref().is_some_and(|it| it.leaves_out),
    };
    Ok(PathAnswer {
        service: target.service.clone(),
        name: source.name.clone(),
        directory: source.directory.clone(),
        path: String::from_utf8_lossy(text).into_owned(),
        is_sent,
        decision,
        readers,
    })
}

/// Whether what an instruction names lies in the directory `path`; the top has the empty path.
fn lies_below(read: &str, path: &[u8]) -> bool {
    let read = read.trim_start_matches("./").trim_start_matches('/').as_bytes();
    path.is_empty() || read.strip_prefix(path).is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// The last pattern that matches counts, whether it leaves out or takes back (moby `patternmatcher`).
fn decision(source: &Source, path: &[u8]) -> Option<Decision> {
    let file = source.ignore_file.as_ref()?;
    let mut patterns = file.patterns.iter().zip(&file.lines).rev();
    let plain = |pattern: &'_ Vec<u8>| pattern.strip_prefix(b"!").unwrap_or(pattern).to_vec();
    let matches = |pattern: &Vec<u8>| {
        PatternMatcher::new([plain(pattern)]).is_ok_and(|matcher| matcher.matches(path))
    };
    let (pattern, line) = patterns.find(|(pattern, _)| matches(pattern))?;
    Some(Decision {
        file: file.path.clone(),
        line: *line,
        pattern: String::from_utf8_lossy(pattern).into_owned(),
        leaves_out: !pattern.starts_with(b"!"),
    })
}
