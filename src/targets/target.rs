//! One image to build, as `docker compose build --print` and `docker buildx bake --print` write it.
//!
//! The fields and their JSON names are those of a bake file's `target` block, so printing a
//! target is serialising it. What bake keeps out of the file (secret values, where a target came
//! from) is skipped by serde.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::compose::ComposeError;

/// A resolved build target. Strings keep the spelling of the bake file format.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Target {
    /// Bake target name: the service name with `.` replaced by `_`.
    #[serde(skip)]
    pub name: String,
    /// The compose service this target builds.
    #[serde(skip)]
    pub service: String,
    /// Reference of the image the service runs (`image:` or `<project>-<service>`).
    #[serde(skip)]
    pub image: String,
    /// Build context: an absolute directory, or a git or http(s) URL.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub context: String,
    /// Named contexts: a directory, URL, `docker-image://REF`, `oci-layout://` or `target:NAME`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub contexts: BTreeMap<String, String>,
    /// Path of the Dockerfile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    /// Text of the Dockerfile when it stands in the compose file, `${` escaped as `$${`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dockerfile_inline: Option<String>,
    /// Build arguments, `${` escaped as `$${`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, String>,
    /// Image labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// References the image gets; the service's image comes last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Cache imports: a reference, or `type=...,key=value` CSV.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cache_from: Vec<String>,
    /// Cache exports: a reference, or `type=...,key=value` CSV.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cache_to: Vec<String>,
    /// Stage of the Dockerfile to stop at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Secrets as CSV: `id=ID,type=env,env=NAME` or `id=ID,type=file,src=PATH`.
    #[serde(rename = "secret", skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// SSH agents and keys: `ID=PATH` (`default=` is the agent of SSH_AUTH_SOCK).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh: Vec<String>,
    /// Platforms such as `linux/amd64`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// Ask the registry for a newer base image even if the engine has one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pull: bool,
    /// Do not read the layer cache.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_cache: bool,
    /// Network of RUN steps: `default`, `none` or `host`.
    #[serde(rename = "network", skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Stages that do not read the layer cache.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub no_cache_filter: Vec<String>,
    /// Size of /dev/shm in bytes, as compose prints it (a string).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<String>,
    /// Limits of RUN steps: `NAME=SOFT[:HARD]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ulimits: Vec<String>,
    /// Subrequest instead of a build, such as `lint` for `--check`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// Entitlements such as `security.insecure`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entitlements: Vec<String>,
    /// Extra lines of /etc/hosts: name to comma-separated addresses.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_hosts: BTreeMap<String, String>,
    /// Exporters as CSV, such as `type=docker`.
    #[serde(rename = "output", skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    /// Attestations: `type=provenance,mode=max`, `type=sbom`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attest: Vec<String>,
    /// Values of the environment variables that `secrets` of `type=env` name. Never printed.
    #[serde(skip)]
    pub secret_env: BTreeMap<String, String>,
}

impl Target {
    /// What is built, whatever it is called: targets that differ in nothing else are one build.
    pub(crate) fn unnamed(&self) -> Self {
        Self {
            name: String::new(),
            service: String::new(),
            image: String::new(),
            tags: Vec::new(),
            ..self.clone()
        }
    }
}

/// The targets of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TargetSet {
    /// Names of the targets to build, sorted.
    pub group: Vec<String>,
    /// All targets compose prints: those of the group and of services they depend on, by name.
    pub targets: Vec<Target>,
    /// Keys that a build cannot honour. Printing may go on; building must not.
    pub unsupported: Vec<ComposeError>,
    /// What deserves a warning.
    pub warnings: Vec<String>,
}

impl TargetSet {
    /// The targets to build: the group and every target it uses as a build context.
    pub fn to_build(&self) -> Vec<Target> {
        let mut wanted: BTreeSet<&str> = self.group.iter().map(String::as_str).collect();
        let mut queue: Vec<&str> = wanted.iter().copied().collect();
        while let Some(name) = queue.pop() {
            let target = self.targets.iter().find(|target| target.name == name);
            for context in target.iter().flat_map(|target| target.contexts.values()) {
                if let Some(needed) = context.strip_prefix("target:")
                    && wanted.insert(needed)
                {
                    queue.push(needed);
                }
            }
        }
        self.targets
            .iter()
            .filter(|target| wanted.contains(target.name.as_str()))
            .cloned()
            .collect()
    }
}
