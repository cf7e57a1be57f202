//! `build --check`: what the Dockerfile frontend finds fault with, target by target.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::diagnose::{self, Dockerfile, EngineFailure};
use crate::error::{CommandError, ExitKind};
use crate::progress::outcome::TargetOutcome;

/// Returns the findings of every checked target as text, and how the command ends: with an error where a target has
/// findings, or where its Dockerfile cannot be built. The exit code is that of a failed build, as with
/// `docker build --check`.
pub fn report(targets: &BTreeMap<String, TargetOutcome>) -> (String, Result<(), CommandError>) {
    let mut text = String::new();
    let mut with_findings = Vec::new();
    let mut broken = None;
    for (name, outcome) in targets {
        let TargetOutcome::Built(checked) = outcome else { continue };
        let answer = |key: &str| checked.exporter_response.get(key).map_or("", String::as_str);
        if answer("result.statuscode").is_empty() || answer("result.statuscode") == "0" {
            text += &format!("{name}: no warnings\n");
            continue;
        }
        if !answer("result.txt").is_empty() {
            text += &format!("{name}:\n{}\n", answer("result.txt"));
            with_findings.push(name.as_str());
        }
        if let Ok(Findings { sources, build_error: Some(error) }) =
            serde_json::from_str(answer("result.json"))
        {
            broken = broken.or_else(|| Some(error.explained(name, &sources)));
        }
    }
    let ended = match broken {
        Some(error) => Err(error),
        None if with_findings.is_empty() => Ok(()),
        None => {
            let message = format!("checks of {} found something", with_findings.join(", "));
            Err(CommandError::new(ExitKind::Failed, message))
        }
    };
    (text, ended)
}

/// The part of `result.json` that `result.txt` lacks (BuildKit `frontend/subrequests/lint`).
#[derive(Deserialize)]
struct Findings {
    #[serde(default)]
    sources: Vec<Source>,
    #[serde(rename = "buildError")]
    build_error: Option<BuildError>,
}

#[derive(Deserialize)]
struct Source {
    #[serde(default)]
    filename: String,
    #[serde(default)]
    data: String,
}

/// Why the Dockerfile cannot be built, found on the way.
#[derive(Deserialize)]
struct BuildError {
    message: String,
    #[serde(default)]
    location: Location,
}

#[derive(Deserialize, Default)]
struct Location {
    #[serde(default, rename = "sourceIndex")]
    source_index: usize,
    #[serde(default)]
    ranges: Vec<Range>,
}

#[derive(Deserialize)]
struct Range {
    start: Position,
    end: Position,
}

#[derive(Deserialize)]
struct Position {
    #[serde(default)]
    line: usize,
}

impl BuildError {
    fn explained(&self, target: &str, sources: &[Source]) -> CommandError {
        let source = sources.get(self.location.source_index);
        let text =
            source.and_then(|source| String::from_utf8(STANDARD.decode(&source.data).ok()?).ok());
        let start = self.location.ranges.iter().map(|range| range.start.line).min();
        let end = self.location.ranges.iter().map(|range| range.end.line).max();
        let explained = diagnose::explain(&EngineFailure {
            message: &self.message,
            lines: start.zip(end).filter(|(start, _)| *start > 0).map(|(start, end)| start..=end),
            dockerfile: source
                .zip(text.as_deref())
                .map(|(source, text)| Dockerfile { name: &source.filename, source: text }),
            ..EngineFailure::default()
        });
        let excerpt = explained.excerpt.map(|excerpt| format!("\n{excerpt}")).unwrap_or_default();
        let message = format!("{target} cannot be built: {}{excerpt}", explained.message);
        let error = CommandError::new(ExitKind::Failed, message);
        explained.hint.into_iter().fold(error, CommandError::hint)
    }
}
