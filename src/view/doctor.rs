//! `doc2md-docker doctor`: findings in lines and as a document. Pure.

use serde_json::json;

use super::table::cell;
use crate::doctor::{Finding, Verdict};
use crate::terminal::{SHADES, Shades, format};

/// Schema of the document (docs/doctor.schema.json).
const SCHEMA: &str = "doc2md-docker/doctor/v1";
/// Columns of verdict and check.
const MARK: usize = 9;
const CHECK: usize = 20;

/// One JSON document.
pub fn document(findings: &[Finding]) -> String {
    let worst = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Fine);
    let document = json!({"schema": SCHEMA, "verdict": worst, "findings": findings});
    format!("{document:#}\n")
}

/// A line for each finding, folded to `columns`, and below it what to do.
pub fn text(findings: &[Finding], columns: usize) -> String {
    findings.iter().map(|finding| lines(finding, columns)).collect()
}

fn lines(finding: &Finding, columns: usize) -> String {
    let Shades { bold, faint, .. } = SHADES;
    let (mark, check) = (word(finding.verdict), finding.check);
    let head = format!("{}{}", format::pad(mark, MARK), format::pad(check, CHECK));
    // Where there is no room beside them, what is said stands below.
    let indent = if columns >= 72 { MARK + CHECK } else { 4 };
    let said = folded(&cell(&finding.message), columns.saturating_sub(indent));
    let advice = finding.advice.as_deref().map(|text| cell(&format!("-> {text}")));
    let advice = advice.map(|text| folded(&text, columns.saturating_sub(indent)));
    let mut lines = Vec::new();
    let mut rest = said.into_iter();
    let first = match columns >= 72 {
        true => rest.next().unwrap_or_default(),
        false => String::new(),
    };
    let is_bad = finding.verdict >= Verdict::Warning;
    let head = if is_bad { format!("{bold}{head}{bold:#}") } else { head };
    lines.push(format!("{head}{first}").trim_end().to_owned());
    let margin = " ".repeat(indent);
    lines.extend(rest.map(|line| format!("{margin}{line}")));
    let advice = advice.into_iter().flatten();
    lines.extend(advice.map(|line| format!("{margin}{faint}{line}{faint:#}")));
    lines.into_iter().map(|line| format!("{line}\n")).collect()
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fine => "ok",
        Verdict::Note => "note",
        Verdict::Warning => "warning",
        Verdict::Problem => "problem",
    }
}

/// `text` in lines of at most `columns`, broken between words; a longer word stays whole.
fn folded(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        let wanted = format::width(&lines[last]) + 1 + format::width(word);
        if lines[last].is_empty() {
            lines[last] = word.to_owned();
        } else if wanted <= columns {
            lines[last] = format!("{} {word}", lines[last]);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::view::schema_check::faults;

    fn findings() -> Vec<Finding> {
        let finding = |check, verdict, message: &str, advice: Option<&str>| Finding {
            check,
            verdict,
            message: message.to_owned(),
            advice: advice.map(str::to_owned),
        };
        vec![
            finding("engine", Verdict::Fine, "Docker 28.5.2 answers", None),
            finding(
                "disk",
                Verdict::Warning,
                "30.0 GB of 200.0 GB are free for images and cache\u{1b}[2J",
                Some(
                    "`doc2md-docker clean --dry-run` says what could go, `stats` what takes the space",
                ),
            ),
            finding("garbage-collection", Verdict::Note, "is off", Some("turn it on")),
        ]
    }

    #[test]
    fn findings_fit_the_screen() {
        for columns in [40, 80, 200] {
            let text = text(&findings(), columns);
            let plain = anstream::adapter::strip_str(&text).to_string();
            assert!(plain.lines().all(|line| format::width(line) <= columns), "{columns}: {plain}");
            assert!(!plain.contains('\u{1b}'), "{plain}");
            assert_eq!(plain.matches("-> ").count(), 2);
        }
        let wide = anstream::adapter::strip_str(&text(&findings(), 200)).to_string();
        assert!(wide.starts_with("ok       engine              Docker 28.5.2 answers\n"), "{wide}");
    }

    #[test]
    fn the_document_is_what_its_schema_says() {
        let document = document(&findings());
        let value: serde_json::Value = serde_json::from_str(&document).unwrap();
        assert_eq!(value["verdict"], "warning");
        assert_eq!(faults(include_str!("../../docs/doctor.schema.json"), &document), None);
    }
}
