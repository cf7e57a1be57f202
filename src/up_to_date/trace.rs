//! What a build stood on, as its own steps tell.

use std::collections::BTreeSet;

use super::proof::Bases;
use super::question::Question;
use crate::image_reference;
use crate::progress::step::Step;
use crate::progress::{RunTrace, StepName};
use crate::remote;
use crate::solve::{LOADING, RECEIVING};

/// Where a build has its base images from.
#[derive(Debug, Clone, Copy)]
pub enum Origin<'a> {
    /// An engine, which had these before (names in full) and after it.
    Engine {
        /// Before it.
        before: &'a Bases,
        /// After it.
        after: &'a Bases,
    },
    /// A builder, which asks for them at each build and says which they are.
    Builder,
}

/// The base images that `run` used, with their ids or digests; `None` where one of its steps depends on something that cannot
/// be looked at, or a base is not known to be the one that it was.
pub fn bases(question: &Question, run: &RunTrace, from: Origin<'_>) -> Option<Bases> {
    let mut used = Bases::new();
    for (name, asked) in &question.targets {
        let steps: Vec<&Step> = run.target(name)?.trace.steps().collect();
        if steps.len() > MOST_STEPS || !steps.iter().all(|step| is_known(&step.label, from)) {
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
            let id = from.image(&steps, &reference, asked.names_platform)?;
            // Two targets may have asked for it at different times.
            if used.insert(reference, id.clone()).is_some_and(|other| other != id) {
                return None;
            }
        }
    }
    Some(used)
}

impl Origin<'_> {
    /// What `reference` stood for as long as a build of these steps took, where that is certain.
    fn image(self, steps: &[&Step], reference: &str, names_platform: bool) -> Option<String> {
        let mut named = digests_of(steps, reference);
        let fetched = named.next();
        // Of images by platform another one of the same name may have been fetched.
        if fetched.is_some() && names_platform {
            return None;
        }
        let Self::Engine { before, after } = self else {
            let fetched = fetched?;
            return named.all(|other| other == fetched).then(|| fetched.to_owned());
        };
        let id = before.get(reference)?;
        let is_it = match fetched {
            Some(digest) => digest == id,
            None => {
                after.iter().any(|(it, now)| now == id && image_reference::full(it) == reference)
            }
        };
        is_it.then(|| id.clone())
    }
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
            .filter(|name| digests_of(&steps, &image_reference::full(name)).next().is_none());
        names.extend(unnamed);
    }
    names
}

/// The digests of what steps fetched by this name; an engine that tells them took the image from a registry, or has it by its
/// manifest.
fn digests_of<'a>(steps: &[&'a Step], reference: &str) -> impl Iterator<Item = &'a str> {
    let fetched = steps.iter().filter_map(|step| step.label.fetched_image());
    let named = fetched.filter(move |(other, _)| image_reference::full(other) == reference);
    named.filter_map(|(_, digest)| digest)
}

/// Whether a step depends on images, files and other steps alone: not on a frontend of its own, or on what ADD fetches.
fn is_known(label: &StepName, from: Origin<'_>) -> bool {
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
    } else if tag == "auth" {
        // The way to a base image, which is asked for again.
        matches!(from, Origin::Builder)
    } else {
        let ends = ["exporting to ", "exporting layers", "sending tarball", RECEIVING, LOADING];
        tag.is_empty() && begins(&ends)
    }
}

fn is_remote(word: &str) -> bool {
    let word = word.trim_matches(['[', ']', '"', ',', '\'']);
    remote::is_fetched_by_add(word)
}
