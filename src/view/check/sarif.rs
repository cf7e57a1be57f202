//! Findings as SARIF 2.1.0 (OASIS), which code scanning reads.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::github::relative;
use super::sentence;
use crate::check::{Finding, Severity, Source};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// The findings as a log. `here` is the working directory, from which files are named.
pub fn sarif(findings: &[Finding], here: &Path) -> String {
    let mut rules: Vec<&Finding> = Vec::new();
    for finding in findings {
        if !rules.iter().any(|known| known.rule == finding.rule) {
            rules.push(finding);
        }
    }
    let results: Vec<Value> = findings
        .iter()
        .map(|finding| {
            let index = rules.iter().position(|known| known.rule == finding.rule);
            result(finding, index, here)
        })
        .collect();
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "doc2md-docker",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|finding| rule(finding)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Advice => "note",
    }
}

fn rule(finding: &Finding) -> Value {
    let mut rule = json!({
        "id": finding.rule,
        "shortDescription": {"text": finding.rule.replace('-', " ")},
        "defaultConfiguration": {"level": level(finding.severity)},
        "properties": {"source": finding.source},
    });
    if let Some(url) = finding.url.as_ref().filter(|_| finding.source == Source::BuildKit) {
        rule["helpUri"] = json!(url);
    }
    rule
}

fn result(finding: &Finding, index: Option<usize>, here: &Path) -> Value {
    let spot = &finding.spot;
    let file = relative(&here.join(&spot.file), here);
    let location = json!({"physicalLocation": {
        "artifactLocation": {"uri": uri(&file)},
        "region": {
            "startLine": spot.line,
            "startColumn": spot.column,
            "endLine": spot.end_line.max(spot.line),
        },
    }});
    json!({
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": level(finding.severity),
        "message": {"text": sentence(finding)},
        "locations": [location],
        "properties": {"services": finding.services, "cost": finding.cost},
    })
}

/// A path as a reference (RFC 3986): relative where it is, and a file's address where it is not.
fn uri(path: &str) -> String {
    let mut out = if path.starts_with('/') { "file://".to_owned() } else { String::new() };
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
