//! The plain types of a loaded project: what a build needs to know, resolved.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Serialize;

use super::error::{ComposeError, Place};

/// A compose project.
#[derive(Debug, Clone, Serialize)]
pub struct Project {
    /// Normalised name.
    pub name: String,
    /// Absolute project directory.
    pub working_dir: PathBuf,
    /// Absolute paths of the compose files in order; `-` is the standard input.
    pub files: Vec<PathBuf>,
    /// Services by name, whether or not their profiles are enabled.
    pub services: BTreeMap<String, Service>,
    /// Top-level secrets by name.
    pub secrets: BTreeMap<String, Secret>,
    /// Top-level volumes by key.
    pub volumes: BTreeMap<String, Resource>,
    /// Top-level networks by key, with the one that compose implies: `default`.
    pub networks: BTreeMap<String, Resource>,
    /// Enabled profiles; `*` enables all.
    pub profiles: Vec<String>,
    /// What compose would warn about, in its words where it has some.
    pub warnings: Vec<String>,
    /// Variables of the environment and of `.env` files. Never serialised: it holds secrets.
    #[serde(skip)]
    pub environment: BTreeMap<String, String>,
    /// Names of variables that are set and not UTF-8.
    #[serde(skip)]
    pub not_utf8: BTreeSet<String>,
}

impl Project {
    /// The value of a variable, if it is set.
    ///
    /// # Errors
    /// It is set and not UTF-8.
    pub fn variable(&self, name: &str) -> Result<Option<&String>, ComposeError> {
        match self.environment.get(name) {
            None if self.not_utf8.contains(name) => Err(ComposeError::usage(not_utf8(name))),
            value => Ok(value),
        }
    }
}

/// What is said of a variable that is set and cannot be used.
pub(super) fn not_utf8(name: &str) -> String {
    format!("the environment variable {name} is not UTF-8")
}

impl Project {
    /// Services that the project's profiles enable, by name.
    pub fn enabled(&self) -> impl Iterator<Item = &Service> {
        self.services.values().filter(|service| service.is_enabled(&self.profiles))
    }
}

/// A service, as far as building needs it.
#[derive(Debug, Clone, Serialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Where it is declared.
    pub place: Place,
    /// `image:`.
    pub image: Option<String>,
    /// Where it stands.
    #[serde(skip)]
    pub image_place: Option<Place>,
    /// `platform:`.
    pub platform: Option<String>,
    /// `pull_policy:`.
    pub pull_policy: Option<String>,
    /// Profiles it belongs to; none means always enabled.
    pub profiles: Vec<String>,
    /// Services it depends on, also through links, namespaces and `volumes_from`.
    pub depends_on: BTreeMap<String, Dependency>,
    /// `build:`.
    pub build: Option<BuildSection>,
    /// How it runs, as far as that says what its image should have.
    #[serde(skip)]
    pub runtime: Runtime,
}

/// What of a service's own settings matters to its image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Runtime {
    /// `read_only:`.
    pub is_read_only: bool,
    /// `user:`.
    pub user: Option<String>,
    /// Whether it asks for a GPU, in any of compose's ways.
    pub wants_gpu: bool,
    /// Files and directories of this machine that it sees as they are.
    pub mounted: Vec<PathBuf>,
}

impl Service {
    /// Whether the service is enabled by `profiles`.
    pub fn is_enabled(&self, profiles: &[String]) -> bool {
        self.profiles.is_empty()
            || profiles.iter().any(|name| name == "*" || self.profiles.contains(name))
    }
}

/// One dependency of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dependency {
    /// Whether a missing or disabled service is an error.
    pub required: bool,
    /// Where it is declared.
    pub place: Place,
}

/// `build:` in long form.
#[derive(Debug, Clone, Serialize)]
pub struct BuildSection {
    /// Where it is declared.
    pub place: Place,
    /// Where each of its keys stands.
    #[serde(skip)]
    pub keys: BTreeMap<String, Place>,
    /// An absolute directory or a URL.
    pub context: String,
    /// Path of the Dockerfile, relative to the context; `Dockerfile` when nothing else is said.
    pub dockerfile: Option<String>,
    /// Text of the Dockerfile.
    pub dockerfile_inline: Option<String>,
    /// Arguments with a value; those without one that the environment does not set are dropped.
    pub args: BTreeMap<String, String>,
    /// Named contexts: absolute directories, URLs, `service:NAME`.
    pub additional_contexts: BTreeMap<String, String>,
    /// Cache imports.
    pub cache_from: Vec<String>,
    /// Cache exports.
    pub cache_to: Vec<String>,
    /// Secrets given to RUN steps.
    pub secrets: Vec<SecretUse>,
    /// SSH agents or keys by id; an empty path is the agent of SSH_AUTH_SOCK.
    pub ssh: BTreeMap<String, String>,
    /// Platforms.
    pub platforms: Vec<String>,
    /// Network of RUN steps.
    pub network: Option<String>,
    /// Size of /dev/shm in bytes; 0 is the default.
    pub shm_size: i64,
    /// Limits by name.
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Addresses by host name.
    pub extra_hosts: BTreeMap<String, Vec<String>>,
    /// Image labels.
    pub labels: BTreeMap<String, String>,
    /// Further references of the image.
    pub tags: Vec<String>,
    /// Stage to stop at.
    pub target: Option<String>,
    /// Do not read the layer cache.
    pub no_cache: bool,
    /// Stages that do not read the layer cache.
    pub no_cache_filter: Vec<String>,
    /// Ask for newer base images.
    pub pull: bool,
    /// Run steps with extended privileges.
    pub privileged: bool,
    /// Entitlements such as `network.host`.
    pub entitlements: Vec<String>,
    /// Isolation technology (Windows).
    pub isolation: Option<String>,
    /// Provenance attestation: `true`, `false` or parameters.
    pub provenance: Option<String>,
    /// SBOM attestation: `true`, `false` or parameters.
    pub sbom: Option<String>,
}

/// A soft and a hard limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Ulimit {
    /// The same number for both.
    Single(i64),
    /// A soft and a hard limit.
    Range {
        /// The limit in force.
        soft: i64,
        /// Its upper bound.
        hard: i64,
    },
}

/// A secret of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretUse {
    /// Name of the top-level secret.
    pub source: String,
    /// Id in the Dockerfile, if it differs.
    pub target: Option<String>,
    /// Whether `uid`, `gid` or `mode` are given, which BuildKit takes from the Dockerfile only.
    pub has_mount_options: bool,
    /// Where it is declared.
    pub place: Place,
}

/// A top-level secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Secret {
    /// Where it is declared.
    pub place: Place,
    /// Absolute path of the file that holds it.
    pub file: Option<String>,
    /// Variable that holds it.
    pub environment: Option<String>,
    /// Whether something other than compose keeps it.
    pub external: bool,
}

/// A top-level volume or network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resource {
    /// Its name in the engine: `name:`, else the key, with the project's name before it unless it is external.
    pub name: String,
    /// Whether something other than this project makes and removes it.
    pub external: bool,
}
