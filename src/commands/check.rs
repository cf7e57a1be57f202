//! `build --check`: what the Dockerfile frontend finds fault with, target by target.

use std::collections::BTreeMap;

use crate::build::outcome::TargetOutcome;
use crate::error::{CommandError, ExitKind};
use crate::ui::Ui;

/// Prints the findings of every checked target as data.
///
/// # Errors
/// A target has findings: the exit code is that of a failed build, as with `docker build --check`.
pub fn report(targets: &BTreeMap<String, TargetOutcome>, ui: &Ui) -> Result<(), CommandError> {
    let mut with_findings = Vec::new();
    for (name, outcome) in targets {
        let TargetOutcome::Built(checked) = outcome else { continue };
        let answer = |key: &str| checked.exporter_response.get(key).map_or("", String::as_str);
        if answer("result.statuscode").is_empty() || answer("result.statuscode") == "0" {
            ui.data(&format!("{name}: no warnings\n"));
        } else {
            ui.data(&format!("{name}:\n{}\n", answer("result.txt")));
            with_findings.push(name.as_str());
        }
    }
    if with_findings.is_empty() {
        return Ok(());
    }
    let message = format!("checks of {} found something", with_findings.join(", "));
    Err(CommandError::new(ExitKind::Failed, message))
}
