//! What is asked for, where the answer depends on nothing but what can be looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::buildkit::ExporterSpec;
use crate::dockerfile::syntax::Syntax;
use crate::image_reference;
use crate::solve::dockerfile_source;
use crate::solve::plan::BuildPlan;
use crate::solve::request::{IN_ENGINE, NAME, SolveRequest};
use crate::targets::target::Target;

/// The targets of a run, see the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// By name.
    pub(super) targets: BTreeMap<String, TargetQuestion>,
    /// Base images that the Dockerfiles name, in full.
    bases: BTreeSet<String>,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TargetQuestion {
    /// Digest of all that is asked of the engine.
    pub(super) request: String,
    /// Text of the Dockerfile.
    pub(super) dockerfile: String,
    /// Whether a platform is named, which a base image of the engine may not have.
    pub(super) names_platform: bool,
}

impl Question {
    /// What `requests` ask for, which are those of `plan`; `None` where one depends on something that cannot be looked
    /// at, or asks for work: caches, attestations, files, a registry.
    pub fn new(
        plan: &BuildPlan,
        requests: &[SolveRequest],
        scratch: Option<&Path>,
    ) -> Option<Self> {
        let mut question = Self { targets: BTreeMap::new(), bases: BTreeSet::new() };
        for (step, request) in plan.steps.iter().zip(requests) {
            let target = &step.target;
            if !depends_on_files_alone(target, request) {
                return None;
            }
            let (_, dockerfile) = dockerfile_source::of_target(target)?;
            question.bases.extend(base_images(target, &dockerfile));
            let names_platform = request.options.frontend_attrs.contains_key("platform")
                || dockerfile.contains("--platform");
            let request = digest(request, scratch);
            let asked = TargetQuestion { request, dockerfile, names_platform };
            question.targets.insert(target.name.clone(), asked);
        }
        Some(question)
    }

    /// Whether a Dockerfile names the image `reference`, in full.
    pub(super) fn names(&self, reference: &str) -> bool {
        self.bases.contains(reference)
    }

    /// Names of targets, each with the digest of what is asked for.
    pub fn requests(&self) -> impl Iterator<Item = (&str, &str)> {
        self.targets.iter().map(|(name, asked)| (name.as_str(), asked.request.as_str()))
    }

    /// Whether the Dockerfiles of `plan` are still those that it was made of.
    pub fn is_of(&self, plan: &BuildPlan) -> bool {
        plan.steps.iter().all(|step| {
            let text = dockerfile_source::of_target(&step.target).map(|(_, text)| text);
            let asked = self.targets.get(&step.target.name);
            asked.map(|asked| asked.dockerfile.as_str()) == text.as_deref()
        })
    }

    /// Base images to be looked at before they are used.
    pub fn bases(&self) -> impl Iterator<Item = &str> {
        self.bases.iter().map(String::as_str)
    }
}

fn depends_on_files_alone(target: &Target, request: &SolveRequest) -> bool {
    let options = &request.options;
    let attrs = &options.frontend_attrs;
    // What a policy reads changes what a build costs and not what it makes; what it would write is work.
    let policy = request.layer_cache.as_ref();
    let only_reads = target.cache_from.is_empty() && policy.is_some_and(|it| it.export.is_err());
    let is_local = |(name, value): (&String, &String)| match name.as_str() {
        "image-resolve-mode" => value == "local",
        "cache-imports" => only_reads,
        "no-cache" | "requestid" | "context" | "source" => false,
        name if name.starts_with("attest:") => false,
        name if name.starts_with("context:") => value.starts_with("local:"),
        _ => true,
    };
    let is_image = |exporter: &ExporterSpec| {
        exporter.kind == IN_ENGINE && exporter.attrs.keys().all(|name| name == NAME)
    };
    options.frontend == "dockerfile.v0"
        && attrs.iter().all(is_local)
        && (only_reads || options.cache_imports.is_empty() && policy.is_none())
        && options.cache_exports.is_empty()
        && request.loads_image
        && options.exporters.len() == 1
        && options.exporters.iter().all(is_image)
        && request.exports.is_empty()
        && request.stores.is_empty()
        && request.push.is_empty()
        && request.archives.is_empty()
        && request.lost_names.is_empty()
        && !target.tags.is_empty()
}

/// A digest of everything in `request` that the result can depend on, and of nothing that differs with every run. Secrets are
/// in it by their ids alone, as in BuildKit's keys.
fn digest(request: &SolveRequest, scratch: Option<&Path>) -> String {
    let options = &request.options;
    let exporters: Vec<_> =
        options.exporters.iter().map(|exporter| json!([exporter.kind, exporter.attrs])).collect();
    let is_kept = |path: &Path| scratch.is_none_or(|scratch| !path.starts_with(scratch));
    let directories: BTreeMap<_, _> = request
        .directories
        .iter()
        .map(|(name, path)| (name, is_kept(path).then(|| path.as_os_str().as_encoded_bytes())))
        .collect();
    let secrets: Vec<_> = request.secrets.iter().map(|secret| &secret.id).collect();
    let ssh: Vec<_> = request.ssh.iter().map(|key| &key.id).collect();
    let document = json!([
        env!("CARGO_PKG_VERSION"),
        options.frontend,
        options.frontend_attrs,
        options.entitlements,
        exporters,
        request.needs,
        directories,
        request.inline_dockerfile.as_ref().map(|(_, text)| text),
        secrets,
        ssh,
    ]);
    hex::encode(Sha256::digest(document.to_string()))
}

/// Images that the stages of `target` begin with or copy from, in full, without those that a digest pins.
fn base_images(target: &Target, dockerfile: &str) -> BTreeSet<String> {
    let syntax = Syntax::new(dockerfile, &target.args);
    let stages = syntax.stages.iter().filter(|stage| stage.parent.is_none());
    let copied = syntax.instructions.iter().flat_map(|instruction| syntax.sources(instruction));
    let names = stages.map(|stage| stage.image.clone()).chain(copied);
    let is_image = |name: &String| {
        !name.is_empty()
            && name != "scratch"
            && !name.contains(['$', '@'])
            && !target.contexts.contains_key(name)
            && syntax.stage(Some(name)).is_none()
    };
    names.filter(is_image).map(|name| image_reference::full(&name)).collect()
}
