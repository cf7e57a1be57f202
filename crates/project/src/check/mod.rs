//! What costs builds time or disk, or leaves a secret behind: findings about the Dockerfiles and contexts of a project.
//!
//! Pure: plain values in ([`subject`]), findings out ([`model`]). `gather` reads the files that are looked at; nothing here
//! knows an engine. docs/design/check.md has every rule with its reason.

mod buildkit;
mod case;
mod contents;
mod edit;
pub mod gather;
mod install;
mod model;
pub mod repair;
mod rules;
pub mod subject;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use bytesize::ByteSize;

use crate::dockerfile::syntax::Syntax;
use crate::redact::Secrets;
use case::Case;
use subject::Project;

pub use buildkit::of_lint;
pub use model::{Cost, Edit, Finding, Fix, Severity, Source, Spot, in_order};

/// What is wrong with a project, in the order of its files.
pub fn findings(project: &Project) -> Vec<Finding> {
    let cases: Vec<Case<'_>> =
        project.services.iter().filter_map(|service| Case::new(project, service)).collect();
    let of_services =
        cases.iter().flat_map(|case| rules::OF_A_SERVICE.iter().flat_map(|it| it(case)));
    let of_project = rules::OF_A_PROJECT.iter().flat_map(|rule| rule(&cases));
    in_order(of_services.chain(of_project).collect())
}

/// Adds what a Dockerfile says that nobody should read: passwords in addresses, values of what is named a secret.
pub fn add_secrets(text: &str, secrets: &mut Secrets) {
    let syntax = Syntax::new(text, &BTreeMap::new());
    secrets.add_urls(text);
    for instruction in &syntax.instructions {
        for (name, value, _) in instruction.settings() {
            secrets.add_argument(&name, &value.unwrap_or_default());
        }
    }
}

fn bytes(size: u64) -> String {
    ByteSize::b(size).display().si().to_string()
}
