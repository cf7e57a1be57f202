//! What a build stood on, as its own steps tell.

use std::collections::BTreeSet;

use super::proof::Bases;
use super::question::Question;
use crate::image_reference;
use crate::progress::step::Step;
use crate::progress::{RunTrace, StepName};
use crate::remote;

/// The base images that `run` used, with their ids; `None` where one of its steps depends on something that cannot be
/// looked at, or a base is not known to be the one that it was. `before` (names in full) and `after` are the images that the
/// engine had at these times.
pub fn bases(question: &Question, run: &RunTrace, before: &Bases, after: &Bases) -> Option<Bases> {
    let mut used = Bases::new();
    for (name, asked) in &question.targets {
        let steps: Vec<&Step> = run.target(name)?.trace.steps().collect();
        if steps.len() > MOST_STEPS || !steps.iter().all(|step| is_known(&step.label)) {
            return None;
        }
        let described = steps.iter().filter_map(|step| step.label.described_image());
        let fetched = steps.iter().filter_map(|step| step.label.fetched_image());
        // Engines also tell of what another build fetches at the same time, if it is the same to them.
        let fetched = fetched.filter(|(it, _)| question.names(&image_reference::full(it)));
        for (reference, digest) in described.chain(fetched) {
            if digest.is_some_and(|digest| asked.dockerfile.contains(digest)) {
                continue;
            }
            let reference = image_reference::full(reference);
            let id = before.get(&reference)?;
            let is_it = match digest_of(&steps, &reference) {
                // Of images by platform another one of the same name may have been fetched.
                Some(digest) => digest == id && !asked.names_platform,
                None => after
                    .iter()
                    .any(|(it, now)| now == id && image_reference::full(it) == reference),
            };
            if !is_it {
                return None;
            }
            used.insert(reference, id.clone());
        }
    }
    Some(used)
}

/// Of a target with more steps not all are told (`progress::bounds`).
const MOST_STEPS: usize = 5_000;

/// The base images that the steps of `run` name without telling which they are, as they name them: Docker 20.10 leaves out
/// the tag `latest`.
pub fn unnamed_bases(run: &RunTrace) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for target in run.targets() {
        let steps: Vec<&Step> = target.trace.steps().collect();
        // A forecast has no steps that ask for images, and the two may name one differently.
        let asked = steps
            .iter()
            .flat_map(|step| [step.label.described_image(), step.label.fetched_image()])
            .flatten();
        let asked = asked.filter(|(_, digest)| digest.is_none());
        let unnamed = asked
            .map(|(reference, _)| reference.to_owned())
            .filter(|reference| digest_of(&steps, &image_reference::full(reference)).is_none());
        names.extend(unnamed);
    }
    names
}

/// The digest of what a step fetched by this name; an engine that tells it took the image from a registry, or has it by its
/// manifest.
fn digest_of<'a>(steps: &[&'a Step], reference: &str) -> Option<&'a str> {
    let fetched = steps.iter().filter_map(|step| step.label.fetched_image());
    let mut named = fetched.filter(|(other, _)| image_reference::full(other) == reference);
    named.find_map(|(_, digest)| digest)
}

/// Whether a step depends on images, files and other steps alone: not on a frontend of its own, or on what ADD fetches.
fn is_known(label: &StepName) -> bool {
    let StepName { tag, instruction, .. } = label;
    let begins = |beginnings: &[&str]| beginnings.iter().any(|it| instruction.starts_with(it));
    if label.is_instruction()
        || label.fetched_image().is_some()
        || label.described_image().is_some()
    {
        !(instruction.starts_with("ADD ") && instruction.split(' ').any(is_remote))
    } else if tag == "internal" {
        begins(&[
            "load build definition from",
            "load .dockerignore",
            "load build context",
            // What the Dockerfile itself holds.
            "preparing inline document",
            "settings cache mount permissions",
        ])
    } else if tag.starts_with("context ") {
        begins(&["load .dockerignore", "load from client"])
    } else {
        tag.is_empty() && begins(&["exporting to image", "exporting layers"])
    }
}

fn is_remote(word: &str) -> bool {
    let word = word.trim_matches(['[', ']', '"', ',', '\'']);
    remote::is_fetched_by_add(word)
}
