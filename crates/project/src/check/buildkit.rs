//! The findings of the Dockerfile frontend (BuildKit `frontend/subrequests/lint`), as it answers them.

use serde::Deserialize;

use super::case::{self, Words};
use super::model::{Finding, Severity, Source, Spot};

/// The part of `result.json` that findings are made of.
#[derive(Deserialize)]
struct Answer {
    #[serde(default, deserialize_with = "or_default")]
    warnings: Vec<Warning>,
    #[serde(rename = "buildError")]
    build_error: Option<BuildError>,
}

#[derive(Deserialize)]
struct Warning {
    #[serde(default, rename = "ruleName")]
    rule: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    url: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    location: Option<Location>,
}

#[derive(Deserialize)]
struct BuildError {
    #[serde(default)]
    message: String,
    #[serde(default)]
    location: Option<Location>,
}

#[derive(Deserialize, Default)]
struct Location {
    #[serde(default, deserialize_with = "or_default")]
    ranges: Vec<Range>,
}

#[derive(Deserialize)]
struct Range {
    start: Position,
    #[serde(default)]
    end: Position,
}

#[derive(Deserialize, Default)]
struct Position {
    #[serde(default)]
    line: usize,
    #[serde(default)]
    character: usize,
}

/// Go writes an empty list as null.
fn or_default<'de, D: serde::Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// The findings in `result.json`, for a service whose Dockerfile the user knows as `file`; `None` where it is none.
pub fn of_lint(json: &str, service: &str, file: &str) -> Option<Vec<Finding>> {
    let Answer { warnings, build_error } = serde_json::from_str(json).ok()?;
    let finding = |severity,
                   rule: String,
                   location: Option<Location>,
                   message: String,
                   change: String| {
        let spot = spot(file, &location.unwrap_or_default());
        let words = Words { message, change };
        Finding { source: Source::BuildKit, ..case::finding(&rule, severity, spot, service, words) }
    };
    let of_warning = |it: Warning| {
        let message = if it.detail.is_empty() { it.description.clone() } else { it.detail };
        let url = Some(it.url).filter(|url| !url.is_empty());
        Finding { url, ..finding(Severity::Warning, it.rule, it.location, message, it.description) }
    };
    let mut all: Vec<Finding> = warnings.into_iter().map(of_warning).collect();
    all.extend(build_error.map(|error| {
        let change = "a build stops here: correct it".to_owned();
        finding(
            Severity::Error,
            "cannot-be-built".to_owned(),
            error.location,
            error.message,
            change,
        )
    }));
    Some(all)
}

fn spot(file: &str, location: &Location) -> Spot {
    let first = location.ranges.iter().min_by_key(|range| range.start.line);
    let line = first.map_or(1, |range| range.start.line.max(1));
    let column = first.map_or(1, |range| range.start.character + 1);
    let last = location.ranges.iter().map(|range| range.end.line.max(range.start.line)).max();
    Spot { file: file.to_owned(), line, column, end_line: last.unwrap_or(line).max(line) }
}
