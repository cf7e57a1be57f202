//! A target as BuildKit's solve wants it: frontend attributes, exporters, and what the session has
//! to serve for it. Pure; the attribute names are those of BuildKit's `frontend/dockerui`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::buildkit::session::content::{Access, Directory};
use crate::buildkit::{CacheEntry, ExporterSpec, SolveOptions};
use crate::compose::parse_bool;
use crate::error::{CommandError, ExitKind};
use crate::remote::is_fetched_by_engine;
use crate::solve::cache_services;
use crate::solve::oci_layout::{LATEST, SCHEME};
use crate::solve::plan::TARGET_CONTEXT;
use crate::solve::stores::{self, Addition, EXPORT_STORE, IndexUpdate, TargetStores};
use crate::targets::spec::{Secret, Spec, SshKey};
use crate::targets::target::Target;

mod exporter;
mod index_names;
mod layer_cache;
mod roles;

pub use exporter::{IN_ENGINE, NAME, PUSH};
pub use index_names::{IndexNames, repositories};
pub use layer_cache::LayerCacheRequest;

/// What a request depends on besides its target.
#[derive(Debug, Clone, Copy)]
pub struct RequestContext<'a> {
    /// Directory for Dockerfiles that stand in the compose file, one folder per target.
    pub scratch: &'a Path,
    /// `DOCKER_DEFAULT_PLATFORM`.
    pub default_platform: Option<&'a str>,
    /// What of the context the Dockerfile reads, see [`crate::dockerfile::context_fingerprint`].
    pub fingerprint: &'a str,
    /// What the target names in directories of blobs.
    pub stores: &'a TargetStores,
    /// The environment, which says how services are reached that keep caches.
    pub variables: &'a BTreeMap<String, String>,
}

/// A solve and what it needs from the session.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SolveRequest {
    /// The solve, still without session and build ref.
    pub options: SolveOptions,
    /// Named contexts that are results of other targets: names of context and target.
    pub needs: Vec<(String, String)>,
    /// Key under which the engine keeps what it received of the build context: the same in every
    /// run, another for every context. Empty where the context is remote.
    pub shared_key: String,
    /// Directories to serve, by the name the engine asks for.
    pub directories: BTreeMap<String, PathBuf>,
    /// The Dockerfile to write into `scratch` first.
    pub inline_dockerfile: Option<(PathBuf, String)>,
    /// Secrets to serve.
    pub secrets: Vec<Secret>,
    /// Values of the variables they name, where the project knows them.
    pub secret_env: BTreeMap<String, String>,
    /// SSH agents and keys to forward.
    pub ssh: Vec<SshKey>,
    /// Files or directories that exporters write on this machine, by exporter id.
    pub exports: BTreeMap<String, Export>,
    /// Directories of blobs to serve, by the id the engine asks for.
    pub stores: BTreeMap<String, Directory>,
    /// What to enter into the indexes of those it writes to.
    pub index_updates: Vec<IndexUpdate>,
    /// What `--caches` means for it.
    pub layer_cache: Option<LayerCacheRequest>,
    /// References to push through the Engine API, unless the engine's exporter does it itself.
    pub push: Vec<String>,
    /// The result is an image in the engine.
    pub loads_image: bool,
    /// Archives among the exports that the user's engine loads afterwards, see [`crate::solve::node_fit`].
    pub archives: Vec<PathBuf>,
    /// Where blobs of the image are kept, if it is loaded by its layers: the archive takes their place where it cannot be.
    pub kept: Option<PathBuf>,
    /// Whether it is for those platforms of its target that one of several nodes builds.
    pub is_part: bool,
    /// What puts the parts together: nothing is solved.
    pub index: Option<IndexNames>,
    /// References in full that another build gives to its image, see [`crate::solve::names`].
    pub lost_names: Vec<String>,
}

/// Where an exporter's stream goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Export {
    /// One file (`tar`, `oci`, `docker`).
    File(PathBuf),
    /// A directory (`local`).
    Directory(PathBuf),
    /// Standard output.
    Stdout,
}

/// A target that cannot be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Something this tool or the engine does not do.
    #[error("target {target}: {key} is not supported: {why}")]
    Unsupported {
        /// The target.
        target: String,
        /// The key of `build:`.
        key: &'static str,
        /// Why, and what to do instead.
        why: String,
    },
}

impl From<RequestError> for CommandError {
    fn from(error: RequestError) -> Self {
        Self::new(ExitKind::Invalid, error.to_string()).keeping(error)
    }
}

/// Translates `target`.
///
/// # Errors
/// Something BuildKit in an engine cannot do.
pub fn solve_request(
    target: &Target,
    context: RequestContext<'_>,
) -> Result<SolveRequest, RequestError> {
    let mut request = SolveRequest::default();
    "dockerfile.v0".clone_into(&mut request.options.frontend);
    let writer = Writer { target, context, request: &mut request };
    writer.write()?;
    Ok(request)
}

struct Writer<'a> {
    target: &'a Target,
    context: RequestContext<'a>,
    request: &'a mut SolveRequest,
}

impl Writer<'_> {
    fn write(mut self) -> Result<(), RequestError> {
        self.sources();
        self.named_contexts()?;
        self.frontend_options()?;
        self.network_and_limits()?;
        self.cache()?;
        self.session_services();
        self.exporters()
    }

    fn attr(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.request.options.frontend_attrs.insert(key.into(), value.into());
    }

    fn unsupported(&self, key: &'static str, why: impl Into<String>) -> RequestError {
        RequestError::Unsupported { target: self.target.name.clone(), key, why: why.into() }
    }

    /// Serves `path` under a name that is the same in the next run: the engine keeps what it
    /// received under that name and asks only for what changed.
    fn serve(&mut self, kind: &str, path: &Path, flavour: &str) -> String {
        let name = format!("{kind}-{}", path_digest(path, flavour));
        self.request.directories.insert(name.clone(), path.to_owned());
        name
    }

    fn sources(&mut self) {
        let target = self.target;
        let remote = is_fetched_by_engine(&target.context);
        // An empty context is the current directory, as for bake.
        let context =
            Path::new(if target.context.is_empty() { "." } else { target.context.as_str() });
        if remote {
            self.attr("context", target.context.clone());
        } else {
            // The frontend's name of the main context is fixed, so what tells contexts apart is the
            // session's shared key. Syncs of one directory with different filters are told apart
            // too: they would evict each other's files.
            self.request.directories.insert(MAIN_CONTEXT.to_owned(), context.to_owned());
            self.request.shared_key = path_digest(context, self.context.fingerprint);
        }
        let (directory, file) = match (&target.dockerfile_inline, &target.dockerfile) {
            (Some(text), _) => {
                let directory = self.context.scratch.join(&target.name);
                let path = directory.join("Dockerfile");
                self.request.inline_dockerfile = Some((path, text.clone()));
                (Some(directory), "Dockerfile".to_owned())
            }
            (None, Some(path)) if remote && !Path::new(path).is_absolute() => (None, path.clone()),
            (None, dockerfile) => {
                let path = context.join(dockerfile.as_deref().unwrap_or("Dockerfile"));
                let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                (if remote { None } else { path.parent().map(Path::to_owned) }, file)
            }
        };
        self.attr("filename", file);
        if let Some(directory) = directory {
            // A Dockerfile in the scratch directory has another path each run: name it after the
            // target instead.
            let name = if target.dockerfile_inline.is_some() {
                let name = format!("dockerfile-inline-{}", target.name);
                self.request.directories.insert(name.clone(), directory);
                name
            } else {
                self.serve("dockerfile", &directory, "")
            };
            self.attr("dockerfilekey", name);
        }
    }

    fn named_contexts(&mut self) -> Result<(), RequestError> {
        let target = self.target;
        for (name, source) in &target.contexts {
            let value = if let Some(needed) = source.strip_prefix(TARGET_CONTEXT) {
                self.request.needs.push((name.clone(), needed.to_owned()));
                continue;
            } else if source.starts_with(SCHEME) {
                let found = self.context.stores.layout(source);
                let (value, id, store) = found.ok_or_else(|| {
                    let why = format!("{source} was not looked up");
                    self.unsupported("additional_contexts", why)
                })?;
                self.request.stores.insert(id, store);
                value
            } else if source.starts_with("docker-image://") || is_fetched_by_engine(source) {
                source.clone()
            } else {
                let served = self.serve("context", Path::new(source), name);
                format!("local:{served}")
            };
            self.attr(format!("context:{name}"), value);
        }
        if !target.contexts.is_empty() {
            // A frontend that does not know them would take the name for an image.
            self.attr("frontend.caps".to_owned(), "moby.buildkit.frontend.contexts+forward");
        }
        Ok(())
    }

    fn frontend_options(&mut self) -> Result<(), RequestError> {
        let target = self.target;
        for (key, value) in &target.args {
            self.attr(format!("build-arg:{key}"), value.clone());
        }
        for (key, value) in &target.labels {
            self.attr(format!("label:{key}"), value.clone());
        }
        if let Some(stage) = &target.target {
            self.attr("target", stage.clone());
        }
        if target.no_cache {
            self.attr("no-cache", "");
        } else if !target.no_cache_filter.is_empty() {
            self.attr("no-cache", target.no_cache_filter.join(","));
        }
        // As buildx does for the engine's own builder: images it has are used without asking a
        // registry, unless `pull` asks for it.
        self.attr("image-resolve-mode", if target.pull { "pull" } else { "local" });
        let platforms = match (target.platforms.as_slice(), self.context.default_platform) {
            ([], Some(platform)) => platform.to_owned(),
            (platforms, _) => platforms.join(","),
        };
        if !platforms.is_empty() {
            self.attr("platform", platforms);
        }
        for Spec { kind, attrs, .. } in &target.attest {
            let value: Vec<_> = attrs.iter().map(|(key, value)| format!("{key}={value}")).collect();
            self.attr(format!("attest:{kind}"), value.join(","));
        }
        if let Some(call) = &target.call {
            self.attr("requestid", format!("frontend.{call}"));
        }
        if let Some(syntax) = target.args.get("BUILDKIT_SYNTAX") {
            let image = syntax.split_whitespace().next().unwrap_or_default().to_owned();
            "gateway.v0".clone_into(&mut self.request.options.frontend);
            self.attr("source", image);
            self.attr("cmdline", syntax.clone());
        }
        Ok(())
    }

    fn network_and_limits(&mut self) -> Result<(), RequestError> {
        let target = self.target;
        self.request.options.entitlements.clone_from(&target.entitlements);
        match target.network.as_deref() {
            None | Some("" | "default") => {}
            Some("none") => self.attr("force-network-mode", "none"),
            Some("host") => {
                self.attr("force-network-mode", "host");
                self.request.options.entitlements.push("network.host".to_owned());
            }
            Some(other) => {
                let why = format!("BuildKit has no network {other:?}, only default, none and host");
                return Err(self.unsupported("network", why));
            }
        }
        let mut hosts = Vec::new();
        for (host, addresses) in &target.extra_hosts {
            for address in addresses.split(',') {
                let address = address.trim_start_matches('[').trim_end_matches(']');
                if address != HOST_GATEWAY && address.parse::<std::net::IpAddr>().is_err() {
                    let why = format!("{address:?} is not an IP address");
                    return Err(self.unsupported("extra_hosts", why));
                }
                hosts.push(format!("{host}={address}"));
            }
        }
        if !hosts.is_empty() {
            self.attr("add-hosts", hosts.join(","));
        }
        if let Some(bytes) = &target.shm_size {
            self.attr("shm-size", bytes.clone());
        }
        if !target.ulimits.is_empty() {
            self.attr("ulimit", target.ulimits.join(","));
        }
        Ok(())
    }

    fn cache(&mut self) -> Result<(), RequestError> {
        let target = self.target;
        let policy = target.layer_cache.as_ref();
        for spec in target.cache_from.iter().chain(policy.into_iter().flat_map(|it| &it.from)) {
            let entry = self.cache_import(spec)?;
            self.request.options.cache_imports.extend(entry);
        }
        // A check builds nothing that could be exported.
        for spec in target.cache_to.iter().filter(|_| target.call.is_none()) {
            let Some((entry, update)) = self.cache_export(spec)? else { continue };
            self.request.index_updates.extend(update);
            self.request.options.cache_exports.push(entry);
        }
        if let Some(policy) = policy.filter(|_| target.call.is_none()) {
            let written = match &policy.to {
                Ok(spec) => self.cache_export(spec)?.ok_or_else(|| NO_GITHUB.to_owned()),
                Err(why) => Err(why.clone()),
            };
            let (export, index_update) = match written {
                // Whether it failed is for this program to say.
                Ok((mut entry, update)) => {
                    entry.attrs.remove("ignore-error");
                    (Ok(entry), update)
                }
                Err(why) => (Err(why), None),
            };
            let (place, value) = (policy.place.clone(), policy.value.clone());
            self.request.layer_cache =
                Some(LayerCacheRequest { place, export, value, index_update });
        }
        let inline = target.args.get("BUILDKIT_INLINE_CACHE");
        if inline.and_then(|value| parse_bool(value)) == Some(true) {
            let inline = CacheEntry { kind: "inline".to_owned(), ..CacheEntry::default() };
            self.request.options.cache_exports.push(inline);
        }
        // The dockerfile frontend imports caches itself and wants them as JSON.
        if !self.request.options.cache_imports.is_empty() {
            let list: Vec<serde_json::Value> = self
                .request
                .options
                .cache_imports
                .iter()
                .map(|entry| serde_json::json!({"Type": entry.kind, "Attrs": entry.attrs}))
                .collect();
            self.attr("cache-imports", serde_json::Value::from(list).to_string());
        }
        Ok(())
    }

    /// A cache as BuildKit wants it; `None` where nothing says how GitHub's is reached, which has been warned of.
    fn cache_entry(&self, spec: &Spec) -> Option<CacheEntry> {
        let attrs = cache_services::complete(spec, self.context.variables)?;
        Some(CacheEntry { kind: spec.kind.clone(), attrs })
    }

    fn cache_import(&mut self, spec: &Spec) -> Result<Option<CacheEntry>, RequestError> {
        let Some(mut entry) = self.cache_entry(spec) else { return Ok(None) };
        if spec.kind == "local" {
            let path = self.cache_path("cache_from", spec, "src")?;
            // One that is not there has been warned of.
            let Some(digest) = self.context.stores.cache(spec) else { return Ok(None) };
            entry.attrs.insert("digest".to_owned(), digest.to_string());
            entry.attrs.insert("src".to_owned(), self.serve_cache(path, Access::Read));
        }
        Ok(Some(entry))
    }

    /// The cache, and what to enter into an index once it is written.
    fn cache_export(
        &mut self,
        spec: &Spec,
    ) -> Result<Option<(CacheEntry, Option<IndexUpdate>)>, RequestError> {
        let Some(mut entry) = self.cache_entry(spec) else { return Ok(None) };
        if spec.kind != "local" {
            return Ok(Some((entry, None)));
        }
        let path = self.cache_path("cache_to", spec, "dest")?;
        if spec.attrs.contains_key("reset") {
            let why = "reset deletes blobs, which is left to you: remove the directory";
            return Err(self.unsupported("cache_to", why));
        }
        let tag = spec.attrs.get("tag").map_or(LATEST, String::as_str).to_owned();
        let update = IndexUpdate { path: path.clone(), added: Addition::Cache { tag } };
        entry.attrs.insert("dest".to_owned(), self.serve_cache(path, Access::Write));
        Ok(Some((entry, Some(update))))
    }

    /// The directory of a local cache, which attribute `attr` names.
    fn cache_path(
        &self,
        key: &'static str,
        spec: &Spec,
        attr: &str,
    ) -> Result<PathBuf, RequestError> {
        let path = spec.attrs.get(attr).filter(|path| !path.is_empty());
        path.map(PathBuf::from)
            .ok_or_else(|| self.unsupported(key, format!("type=local needs {attr}=DIR")))
    }

    /// Serves it; answers what the engine calls it.
    fn serve_cache(&mut self, path: PathBuf, access: Access) -> String {
        let (name, id) = stores::cache_names(&path);
        let store = Directory { path, access };
        let served = self.request.stores.entry(id).or_insert(store);
        served.access = served.access.max(access);
        name
    }

    fn session_services(&mut self) {
        let target = self.target;
        self.request.secrets.clone_from(&target.secrets);
        self.request.secret_env.clone_from(&target.secret_env);
        self.request.ssh.clone_from(&target.ssh);
    }

    fn exporters(mut self) -> Result<(), RequestError> {
        let target = self.target;
        if target.call.is_some() {
            return Ok(());
        }
        let default = [Spec::plain("docker")];
        let outputs = if target.outputs.is_empty() { &default[..] } else { &target.outputs };
        for output in outputs {
            let mut spec = ExporterSpec { kind: output.kind.clone(), attrs: output.attrs.clone() };
            let dest = spec.attrs.remove("dest");
            let push = match (spec.kind.as_str(), spec.attrs.remove("push")) {
                ("registry", _) => true,
                (_, None) => false,
                (_, Some(value)) => parse_bool(&value).ok_or_else(|| {
                    self.unsupported("output", format!("push={value} is neither true nor false"))
                })?,
            };
            let image_file = matches!(spec.kind.as_str(), "oci" | "docker") && dest.is_some();
            let unpacked = match spec.attrs.get("tar") {
                Some(tar) if image_file => !parse_bool(tar).ok_or_else(|| {
                    self.unsupported("output", format!("tar={tar} is neither true nor false"))
                })?,
                _ => false,
            };
            if image_file && !target.tags.is_empty() {
                spec.attrs.entry("name".to_owned()).or_insert_with(|| target.tags.join(","));
            }
            match (spec.kind.as_str(), dest) {
                ("docker" | "image" | "registry" | "moby", None) => {
                    let names = spec.attrs.entry("name".to_owned());
                    let names = names.or_insert_with(|| target.tags.join(","));
                    if push {
                        self.request.push.extend(names.split(',').map(str::to_owned));
                        spec.attrs.insert(PUSH.to_owned(), "true".to_owned());
                    }
                    self.request.loads_image = true;
                    IN_ENGINE.clone_into(&mut spec.kind);
                }
                (_, Some(dest)) if unpacked => self.export_layout(dest)?,
                ("local", Some(dest)) => self.export(Export::Directory(dest.into())),
                ("tar" | "oci" | "docker", Some(dest)) if dest == "-" => {
                    self.export(Export::Stdout);
                }
                ("tar" | "oci" | "docker", Some(dest)) => self.export(Export::File(dest.into())),
                ("local" | "tar" | "oci", None) => {
                    let why = format!("type={} needs dest=PATH", spec.kind);
                    return Err(self.unsupported("output", why));
                }
                ("cacheonly", _) => continue,
                (other, _) => {
                    let why = format!("there is no exporter {other:?}");
                    return Err(self.unsupported("output", why));
                }
            }
            self.request.options.exporters.push(spec);
        }
        Ok(())
    }

    /// Exporters are numbered in the order of the request (BuildKit `client/solve.go`).
    fn export(&mut self, export: Export) {
        let id = self.request.options.exporters.len().to_string();
        self.request.exports.insert(id, export);
    }

    /// An unpacked image goes blob by blob into a store, of which exporters know only one.
    fn export_layout(&mut self, dest: String) -> Result<(), RequestError> {
        let path = PathBuf::from(dest);
        let store = Directory { path: path.clone(), access: Access::Write };
        if self.request.stores.insert(EXPORT_STORE.to_owned(), store).is_some() {
            let why = "a build can write one unpacked layout (tar=false) only";
            return Err(self.unsupported("output", why));
        }
        self.request.index_updates.push(IndexUpdate { path, added: Addition::Image });
        Ok(())
    }
}

/// Why a cache at GitHub is not written.
const NO_GITHUB: &str = "its address and token are not in the environment";

/// Stands for the engine's own address in `extra_hosts`, until [`crate::solve::engine_fit`] asks it.
pub const HOST_GATEWAY: &str = "host-gateway";

/// Name of the main context (BuildKit `dockerui.DefaultLocalNameContext`).
const MAIN_CONTEXT: &str = "context";

fn path_digest(path: &Path, flavour: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(path.as_os_str().as_encoded_bytes());
    hash.update([0]);
    hash.update(flavour);
    hex::encode(&hash.finalize()[..8])
}

#[cfg(test)]
mod tests;
