//! What a build stood on, as its own steps tell.

use std::collections::BTreeSet;

use super::proof::Bases;
use super::question::Question;
use crate::image_reference;
use crate::progress::step::Step;
use crate::progress::{RunTrace, StepName};
use crate::remote;

/// The base images that `run` used, with their ids; `None` where one of its steps depends on something that cannot be
/// looked at, or a base is not known to be the one that it was. `before` and `after` are the images that the engine had
/// at these times.
pub fn bases(question: &Question, run: &RunTrace, before: &Bases, after: &Bases) -> Option<Bases> {
    let mut used = Bases::new();
    for (name, asked) in &question.targets {
        let steps: Vec<&Step> = run.target(name)?.trace.steps().collect();
        if steps.len() > MOST_STEPS || !steps.iter().all(|step| is_known(&step.label)) {
            return None;
        }
        for (reference, digest) in steps.iter().filter_map(|step| asked_for(&step.label)) {
            let is_pinned = |digest: &String| asked.dockerfile.contains(digest.as_str());
            if digest.as_ref().is_some_and(is_pinned) {
                continue;
            }
            let reference = image_reference::full(&reference);
            let id = before.get(&reference)?;
            let is_it = match digest_of(&steps, &reference) {
                // Of images by platform another one of the same name may have been fetched.
                Some(digest) => digest == *id && !asked.names_platform,
                None => after.get(&reference) == Some(id),
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
/// What every build asks for of each image that it needs.
const METADATA: &str = "load metadata for ";

/// The base images that the steps of `run` name without telling which they are, in full.
pub fn unnamed_bases(run: &RunTrace) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for target in run.targets() {
        let steps: Vec<&Step> = target.trace.steps().collect();
        // A forecast has no steps that ask for images.
        let name = |step: &&Step| asked_for(&step.label).or_else(|| fetched(&step.label));
        let asked = steps.iter().filter_map(name);
        let asked = asked.filter(|(_, digest)| digest.is_none());
        let asked = asked.map(|(reference, _)| image_reference::full(&reference));
        names.extend(asked.filter(|reference| digest_of(&steps, reference).is_none()));
    }
    names
}

/// The digest of what a step fetched by this name; an engine that tells it took the image from a registry, or has it by its
/// manifest. Engines also tell of what another build fetches at the same time, if it is the same to them: by another name.
fn digest_of(steps: &[&Step], reference: &str) -> Option<String> {
    let fetched = steps.iter().filter_map(|step| fetched(&step.label));
    let mut named = fetched.filter(|(other, _)| image_reference::full(other) == reference);
    named.find_map(|(_, digest)| digest)
}

/// Whether a step depends on images, files and other steps alone: not on a frontend of its own, or on what ADD fetches.
fn is_known(label: &StepName) -> bool {
    let StepName { tag, instruction, .. } = label;
    let begins = |beginnings: &[&str]| beginnings.iter().any(|it| instruction.starts_with(it));
    if label.is_instruction() || fetched(label).is_some() {
        !(instruction.starts_with("ADD ") && instruction.split(' ').any(is_remote))
    } else if tag == "internal" {
        begins(&[
            "load build definition from",
            "load .dockerignore",
            "load build context",
            METADATA,
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

/// The image whose configuration a step asks for, as every build does of each that it needs; with its digest, where the
/// Dockerfile has it.
fn asked_for(label: &StepName) -> Option<(String, Option<String>)> {
    let image = label.instruction.strip_prefix(METADATA).filter(|_| label.tag == "internal")?;
    Some(parts(image))
}

/// The image that a step fetches, with its digest where the engine tells it. A stage of several targets has no number on
/// Docker 20.10, nor has an image that files are copied from.
fn fetched(label: &StepName) -> Option<(String, Option<String>)> {
    let rest = label.instruction.strip_prefix("FROM ")?;
    rest.split(' ').find(|word| !word.starts_with("--")).map(parts)
}

fn parts(image: &str) -> (String, Option<String>) {
    match image.split_once('@') {
        Some((reference, digest)) => (reference.to_owned(), Some(digest.to_owned())),
        None => (image.to_owned(), None),
    }
}

fn is_remote(word: &str) -> bool {
    let word = word.trim_matches(['[', ']', '"', ',', '\'']);
    remote::is_fetched_by_add(word)
}
