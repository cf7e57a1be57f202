//! Findings as annotations of GitHub Actions.

use std::path::{Component, Path, PathBuf};

use super::sentence;
use crate::check::{Finding, Severity};
use crate::terminal::control::{Colours, harmless};
use crate::terminal::workflow::Command;

/// A command for each finding. `here` is the working directory, from which files are named, `workspace` the folder from
/// which GitHub names them.
pub fn annotations(findings: &[Finding], here: &Path, workspace: Option<&str>) -> String {
    let top = workspace.map_or(here, Path::new);
    let one = |finding: &Finding| {
        let name = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Advice => "notice",
        };
        let plain = |text: &str| harmless(text, Colours::Drop);
        let spot = &finding.spot;
        let command = Command::new(name, plain(&sentence(finding)))
            .with("file", plain(&relative(&here.join(&spot.file), top)))
            .with("line", spot.line.to_string())
            .with("endLine", spot.end_line.to_string())
            .with("col", spot.column.to_string())
            .with("title", plain(&finding.rule));
        format!("{command}\n")
    };
    findings.iter().map(one).collect()
}

/// The path from `top`, by its words alone; as it is where it lies elsewhere.
pub(super) fn relative(file: &Path, top: &Path) -> String {
    let (file, top) = (normal(file), normal(top));
    file.strip_prefix(&top).unwrap_or(&file).display().to_string()
}

fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if out.file_name().is_some() => drop(out.pop()),
            part => out.push(part),
        }
    }
    out
}
