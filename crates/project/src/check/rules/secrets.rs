//! Secrets that stay in an image or in its history.

use crate::check::case::{Case, Words};
use crate::check::model::{Finding, Severity};
use crate::dockerfile::syntax::{Instruction, Word};
use crate::redact::names_a_secret;

/// ARG and ENV whose names say that they hold a secret.
pub(super) fn in_arguments(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (_, it) in case.instructions() {
        for (name, value, word) in it.settings() {
            let is_empty = value.as_ref().is_some_and(String::is_empty);
            // `ENV TOKEN=$TOKEN` of an ARG is told where the ARG is.
            let is_alias = value
                .as_deref()
                .is_some_and(|value| value.starts_with('$') && names_a_secret(&name));
            if !names_a_secret(&name)
                || (it.keyword == "ENV" && (is_empty || is_alias && has_arg(case, &name)))
            {
                continue;
            }
            let where_ = if it.keyword == "ARG" { "the image's history" } else { "the image" };
            let words = Words {
                message: format!("the value of {name} stays in {where_}, for everybody who has it"),
                change: format!(
                    "use a build secret (`RUN --mount=type=secret,id={}`), or set it where the image runs",
                    name.to_lowercase()
                ),
            };
            findings.push(case.finding(
                "secret-in-argument",
                Severity::Error,
                word.span.clone(),
                words,
            ));
        }
    }
    findings
}

fn has_arg(case: &Case<'_>, name: &str) -> bool {
    let mut args = case.instructions().filter(|(_, it)| it.keyword == "ARG");
    args.any(|(_, it)| it.settings().iter().any(|(known, _, _)| known == name))
}

/// Addresses with a password in them.
pub(super) fn in_urls(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (_, it) in case.instructions() {
        let scripts = it
            .commands()
            .iter()
            .flat_map(|command| command.assignments.iter().chain(&command.words));
        for word in it.words().iter().chain(scripts) {
            if has_password(case, it, word) {
                let words = Words {
                    message: "an address with a password stays in the image's history, for everybody who has it".to_owned(),
                    change: "hand the login over as a build secret: a netrc file \
                             (`RUN --mount=type=secret,id=netrc,target=/root/.netrc`)"
                        .to_owned(),
                };
                findings.push(case.finding(
                    "secret-in-url",
                    Severity::Error,
                    word.span.clone(),
                    words,
                ));
                break;
            }
        }
    }
    findings
}

/// Whether a word holds `scheme://user:password@`, the password as it is or from an ARG or ENV.
fn has_password(case: &Case<'_>, it: &Instruction, word: &Word) -> bool {
    let mut rest = word.value.as_str();
    while let Some((_, behind)) = rest.split_once("://") {
        rest = behind;
        let authority = behind.split(['/', '?', '#', ' ', '"', '\'']).next().unwrap_or_default();
        let Some((login, _)) = authority.rsplit_once('@') else { continue };
        let Some((user, password)) = login.split_once(':') else { continue };
        let secret = if password.is_empty() { user } else { password };
        let Some((_, variable)) = secret.split_once('$') else { return !secret.is_empty() };
        let name: String = variable
            .trim_start_matches('{')
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect();
        let from_secret = it.text.contains("/run/secrets/") || it.text.contains("type=secret");
        let is_set = case
            .instructions()
            .any(|(_, it)| it.settings().iter().any(|(known, _, _)| *known == name));
        if is_set && !from_secret && !name.is_empty() {
            return true;
        }
    }
    false
}
