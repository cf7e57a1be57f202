//! Base images: without a version, and other ones for services of one project.

use std::collections::BTreeMap;

use crate::check::case::{Case, Words};
use crate::check::model::{Finding, Severity};
use crate::dockerfile::syntax::Word;
use crate::image_reference;

/// Images without a version, or called latest.
pub(super) fn floating(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (_, it) in case.instructions() {
        let named: Vec<(String, &Word)> = match it.keyword.as_str() {
            "FROM" => {
                it.words().first().map(|word| (word.value.clone(), word)).into_iter().collect()
            }
            "COPY" => it.flag("from").map(|(value, word)| (value.to_owned(), word)).collect(),
            _ => continue,
        };
        for (name, word) in named {
            let image = case.syntax.expand(&name);
            if !is_floating(case, &image, it.keyword == "FROM") {
                continue;
            }
            let words = Words {
                message: format!(
                    "{image} has no version: a build tomorrow may stand on another image"
                ),
                change: "name a version, such as `python:3.12-slim`, or a digest".to_owned(),
            };
            findings.push(case.finding(
                "floating-base",
                Severity::Warning,
                word.span.clone(),
                words,
            ));
        }
    }
    findings
}

fn is_floating(case: &Case<'_>, image: &str, is_from: bool) -> bool {
    let is_known = image.contains('$')
        || image.contains("://")
        || image.is_empty()
        || image == "scratch"
        || case.service.named_contexts.iter().any(|name| image_reference::is_same(name, image))
        || case.project.own_images.iter().any(|own| image_reference::is_same(own, image));
    // A FROM stands on stages by their names, a COPY takes from them by their numbers, too.
    let is_stage = match is_from {
        true => case
            .syntax
            .stages
            .iter()
            .any(|stage| stage.name.as_deref() == Some(&image.to_lowercase())),
        false => case.syntax.stage(Some(image)).is_some(),
    };
    let last = image.rsplit('/').next().unwrap_or(image);
    !is_known
        && !is_stage
        && !image.contains('@')
        && (!last.contains(':') || last.ends_with(":latest"))
}

/// Services whose base images are one repository with other tags: nothing of them is shared.
pub(super) fn not_shared(cases: &[Case<'_>]) -> Vec<Finding> {
    let mut repositories: BTreeMap<&str, Vec<(&Case<'_>, &str)>> = BTreeMap::new();
    for case in cases {
        let base = case.base(case.stage);
        if base.contains(['$', '@']) || base == "scratch" || base.is_empty() {
            continue;
        }
        let last = base.rfind('/').map_or(0, |at| at + 1);
        let Some(colon) = base[last..].find(':') else { continue };
        let (repository, tag) = (&base[..last + colon], &base[last + colon + 1..]);
        repositories.entry(repository).or_default().push((case, tag));
    }
    let mut findings = Vec::new();
    for (repository, services) in repositories {
        let mut tags: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (case, tag) in &services {
            tags.entry(tag).or_default().push(&case.service.name);
        }
        // Most services agree on one; where none leads, the first service's counts.
        let most = services.iter().map(|(_, tag)| tags[tag].len()).max().unwrap_or(0);
        let Some((_, usual)) = services.iter().find(|(_, tag)| tags[tag].len() == most) else {
            continue;
        };
        for (case, tag) in services.iter().filter(|(_, tag)| tag != usual) {
            let lowest = case.syntax.chain(case.stage)[0];
            let from = case.at(case.syntax.stages[lowest].from);
            let Some(word) = from.words().first() else { continue };
            let words = Words {
                message: format!(
                    "{} stands on {repository}:{tag}, {} on {repository}:{usual}: the two share no layer",
                    case.service.name,
                    tags[usual].join(", ")
                ),
                change: format!("use {repository}:{usual} for both, if nothing speaks against it"),
            };
            findings.push(case.finding(
                "base-not-shared",
                Severity::Advice,
                word.span.clone(),
                words,
            ));
        }
    }
    findings
}
