//! One image to build: what a compose service, its overrides and the flags of the command come to.
//!
//! The fields are those of a bake file's `target` block; [`crate::targets::print`] writes them as one.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use crate::compose::{ComposeError, Place};
use crate::targets::spec::{Secret, Spec, SshKey};

/// The layer cache that `--caches` means for a target.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LayerCache {
    /// Where it is, as messages call it.
    pub place: String,
    /// What is read.
    pub from: Vec<Spec>,
    /// What is written, or why nothing is.
    pub to: Result<Spec, String>,
    /// What decides whether `mode=max` is worth it, where its user does not.
    pub value: Option<CacheValue>,
}

/// What tells whether a cache is to have results that are in no layer of the image.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CacheValue {
    /// Bytes a second that the place of the cache moves.
    pub rate: u64,
    /// Stages that are in the image, as steps call them.
    pub stages: BTreeSet<String>,
}

/// How layers of images are compressed that are made now, where an output does not say it itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// As is best where the image stays: see `solve::compression`.
    #[default]
    Auto,
    /// BuildKit's own choice.
    Gzip,
    /// The same for images that are pushed.
    Zstd,
}

/// A resolved build target.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Target {
    /// Bake target name: the service name with `.` replaced by `_`.
    pub name: String,
    /// The compose service this target builds.
    pub service: String,
    /// Reference of the image the service runs (`image:` or `<project>-<service>`).
    pub image: String,
    /// Build context: an absolute directory, or a git or http(s) URL.
    pub context: String,
    /// Named contexts: a directory, URL, `docker-image://REF`, `oci-layout://` or `target:NAME`.
    pub contexts: BTreeMap<String, String>,
    /// Path of the Dockerfile.
    pub dockerfile: Option<String>,
    /// Text of the Dockerfile when it stands in the compose file.
    pub dockerfile_inline: Option<String>,
    /// Build arguments.
    pub args: BTreeMap<String, String>,
    /// Image labels.
    pub labels: BTreeMap<String, String>,
    /// References the image gets; the service's image comes last.
    pub tags: Vec<String>,
    /// Cache imports.
    pub cache_from: Vec<Spec>,
    /// Cache exports.
    pub cache_to: Vec<Spec>,
    /// The layer cache that `--caches` means.
    pub layer_cache: Option<LayerCache>,
    /// Stage of the Dockerfile to stop at.
    pub target: Option<String>,
    /// Secrets its steps may ask for.
    pub secrets: Vec<Secret>,
    /// SSH agents and keys its steps may ask for.
    pub ssh: Vec<SshKey>,
    /// Platforms such as `linux/amd64`.
    pub platforms: Vec<String>,
    /// Ask the registry for a newer base image even if the engine has one.
    pub pull: bool,
    /// Do not read the layer cache.
    pub no_cache: bool,
    /// Network of RUN steps: `default`, `none` or `host`.
    pub network: Option<String>,
    /// Stages that do not read the layer cache.
    pub no_cache_filter: Vec<String>,
    /// Size of /dev/shm in bytes, as compose prints it (a string).
    pub shm_size: Option<String>,
    /// Limits of RUN steps: `NAME=SOFT[:HARD]`.
    pub ulimits: Vec<String>,
    /// Subrequest instead of a build, such as `lint` for `--check`.
    pub call: Option<String>,
    /// Entitlements such as `security.insecure`.
    pub entitlements: Vec<String>,
    /// Extra lines of /etc/hosts: name to comma-separated addresses.
    pub extra_hosts: BTreeMap<String, String>,
    /// Exporters, such as `type=docker`.
    pub outputs: Vec<Spec>,
    /// How the layers of its image are compressed.
    pub compression: Compression,
    /// Attestations: `type=provenance,mode=max`, `type=sbom`.
    pub attest: Vec<Spec>,
    /// Values of the environment variables that `secrets` of `type=env` name. Never printed.
    pub secret_env: BTreeMap<String, String>,
    /// Where the files say what the target reads.
    pub places: Places,
}

/// Where the keys of a service's `build:` stand in the compose files, without those that the command line overrides.
/// What is built does not depend on it: places are all equal.
#[derive(Debug, Clone, Default)]
pub struct Places(BTreeMap<String, Place>);

impl Places {
    /// Those of `keys` that have a place of their own; the others stand where the section does.
    pub(super) fn new(own: &BTreeMap<String, Place>, section: &Place, keys: &[&str]) -> Self {
        let place = |key: &&str| ((*key).to_owned(), own.get(*key).unwrap_or(section).clone());
        Self(keys.iter().map(place).collect())
    }

    /// Where `key` stands, unless the command line overrides it.
    pub fn get(&self, key: &str) -> Option<&Place> {
        self.0.get(key)
    }

    pub(super) fn forget(&mut self, key: &str) {
        self.0.remove(key);
    }
}

impl PartialEq for Places {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Places {}

impl Hash for Places {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl Target {
    /// What is built, whatever it is called: targets that differ in nothing else are one build.
    pub fn unnamed(&self) -> Self {
        Self {
            name: String::new(),
            service: String::new(),
            image: String::new(),
            tags: Vec::new(),
            layer_cache: None,
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
