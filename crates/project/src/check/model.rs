//! Findings, in plain values.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use serde::Serialize;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It may well be meant.
    Advice,
    /// It costs time or disk.
    Warning,
    /// It leaks something, or what is built does not work.
    Error,
}

impl Severity {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Advice => "advice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Whose rule it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// One of this program's.
    #[serde(rename = "doc2md-docker")]
    Own,
    /// One of the Dockerfile frontend's.
    #[serde(rename = "buildkit")]
    BuildKit,
}

/// Something that should be changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The rule, in kebab case; BuildKit's are called as BuildKit calls them.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// Whose rule it is.
    pub source: Source,
    /// Where.
    #[serde(flatten)]
    pub spot: Spot,
    /// The services that are built with it.
    pub services: Vec<String>,
    /// What is wrong, in a sentence.
    pub message: String,
    /// What to change.
    pub change: String,
    /// What it costs, as far as that is known.
    pub cost: Cost,
    /// Whether `--fix` changes it.
    #[serde(rename = "fixable", serialize_with = "is_some")]
    pub fix: Option<Fix>,
    /// Where the rule is described, if it is not one of this program's.
    pub url: Option<String>,
}

fn is_some<S: serde::Serializer>(fix: &Option<Fix>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(fix.is_some())
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Spot {
    /// The file, as the user would name it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The last line of what is meant.
    pub end_line: usize,
}

/// What a finding costs. What is not known is left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Recorded builds in which the steps that it concerns ran.
    pub builds: Option<usize>,
    /// Recorded builds that were looked at.
    pub recorded_builds: Option<usize>,
    /// How long these steps took in such a build, the median.
    pub seconds: Option<f64>,
    /// The same of all recorded builds together.
    pub total_seconds: Option<f64>,
    /// Bytes of the files that it concerns.
    pub bytes: Option<u64>,
}

/// A change that `--fix` may make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fix {
    /// The file.
    pub path: PathBuf,
    /// The replacements; of a file that is not there one at its beginning.
    pub edits: Vec<Edit>,
}

/// A replacement in a text without a byte order mark. Lines in it end with a line feed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edit {
    /// First byte.
    pub start: usize,
    /// Behind the last byte.
    pub end: usize,
    /// What stands there instead.
    pub text: String,
}

impl Edit {
    /// Replaces what is in `span`.
    pub fn new(span: Range<usize>, text: impl Into<String>) -> Self {
        Self { start: span.start, end: span.end, text: text.into() }
    }
}

/// Files in order, their lines in order; findings of several services at one place become one.
pub fn in_order(findings: Vec<Finding>) -> Vec<Finding> {
    let mut all: BTreeMap<(Spot, String, Source), Finding> = BTreeMap::new();
    for finding in findings {
        let key = (finding.spot.clone(), finding.rule.clone(), finding.source);
        match all.get_mut(&key) {
            Some(other) => {
                other.services.extend(finding.services);
                other.services.sort();
                other.services.dedup();
                other.cost = other.cost.clone().or(finding.cost);
            }
            None => drop(all.insert(key, finding)),
        }
    }
    all.into_values().collect()
}

impl Cost {
    /// Of two builds with the same fault the dearer one.
    fn or(self, other: Self) -> Self {
        let seconds = |cost: &Self| cost.seconds.unwrap_or(-1.0);
        let bytes = self.bytes.max(other.bytes);
        let dearer = match seconds(&self).total_cmp(&seconds(&other)) {
            Ordering::Less => other,
            _ => self,
        };
        Self { bytes, ..dearer }
    }
}
