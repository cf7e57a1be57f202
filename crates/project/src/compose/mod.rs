//! Compose files to a project: find, load, interpolate, merge.
//!
//! [`load`] answers a [`Project`] with everything a build needs, resolved; its rules are those of
//! `docker compose` 2.40 (see `docs/design/compose.md`). The room reads compose and `.env` files
//! but neither the process environment nor the clock: both come in with the [`LoadRequest`].

mod canonical;
mod config;
mod consistency;
mod decode;
mod document;
mod dotenv;
mod error;
mod extends;
mod find;
mod format;
mod include;
mod interpolate;
mod long_form;
mod merge;
mod model;
mod node;
mod paths;
mod ports;
mod runtime;
mod scalar;
mod schema;
mod scope;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use indexmap::IndexSet;

pub use config::Config;
pub use error::{ComposeError, Origin, Place};
pub use model::{
    BuildSection, Dependency, Project, Resource, Runtime, Secret, SecretUse, Service, Ulimit,
};
pub use scalar::parse_bool;

use decode::Decoder;
use document::{Loader, Source};
pub use find::normalise_name;

use find::Frame;
use node::Node;
use scope::Scope;

/// What to load. Relative paths are relative to `working_dir`.
#[derive(Debug, Clone, Default)]
pub struct LoadRequest {
    /// `--file`, in order; `-` is the standard input. Empty: COMPOSE_FILE, else the default files
    /// of `working_dir` or the nearest directory above that has one.
    pub files: Vec<PathBuf>,
    /// `--project-name`.
    pub project_name: Option<String>,
    /// `--project-directory`; by default the directory of the first file.
    pub project_directory: Option<PathBuf>,
    /// `--profile`; empty: COMPOSE_PROFILES.
    pub profiles: Vec<String>,
    /// `--env-file`; empty: COMPOSE_ENV_FILES, else `.env` of the project directory.
    pub env_files: Vec<PathBuf>,
    /// The process environment.
    pub environment: BTreeMap<String, String>,
    /// Names of its variables that are not UTF-8.
    pub not_utf8: BTreeSet<String>,
    /// The current directory, absolute.
    pub working_dir: PathBuf,
    /// Text of the standard input, for the file `-`.
    pub stdin: Option<String>,
}

/// Loads the project that `request` describes.
///
/// # Errors
///
/// A missing or unreadable file, and everything compose would refuse, with place and hint.
pub fn load(request: &LoadRequest) -> Result<Project, ComposeError> {
    load_whole(request).map(|(project, _)| project)
}

/// The project's directory, before any compose file is read; `None` where there is no project.
pub fn directory(request: &LoadRequest) -> Option<PathBuf> {
    find::find(request).ok().map(|frame| frame.directory)
}

/// Loads the project, and what `docker compose config` prints of the services that are named, or of all.
///
/// # Errors
/// Those of [`load`], a service that does not exist, and files of variables that cannot be read.
pub fn config(
    request: &LoadRequest,
    services: &[String],
) -> Result<(Project, Config), ComposeError> {
    let (project, model) = load_whole(request)?;
    let config = Config::new(&project, model, services)?;
    Ok((project, config))
}

/// The project, and the merged tree it was decoded from.
fn load_whole(request: &LoadRequest) -> Result<(Project, Node), ComposeError> {
    let Frame { files, directory, mut environment, profiles, forced_name, warnings } =
        find::find(request)?;
    let not_utf8 = &request.not_utf8;
    let home = request.environment.get("HOME").map(String::as_str);
    let mut loading = Loader { current_dir: request.working_dir.clone(), warnings, included: 0 };
    let mut sources = Vec::with_capacity(files.len());
    for file in &files {
        sources.push(read(&loading, file, request)?);
    }
    let name = match forced_name {
        Some(name) => name,
        None => {
            let scope = Scope { directory: &directory, environment: &environment, home, not_utf8 };
            name_of(&sources, scope, &mut loading.warnings)?
        }
    };
    environment.insert("COMPOSE_PROJECT_NAME".into(), name.clone());
    let scope = Scope { directory: &directory, environment: &environment, home, not_utf8 };
    let model = loading.model(sources, scope, &[])?;
    if model.as_map().is_none_or(|map| map.is_empty()) {
        return Err(ComposeError::new("empty compose file"));
    }
    let Loader { mut warnings, .. } = loading;
    let mut decoder = Decoder { environment: &environment, not_utf8, warnings: &mut warnings };
    let mut services = BTreeMap::new();
    for (name, node) in section(&model, "services") {
        services.insert(name.clone(), decoder.service(name, node)?);
    }
    let mut secrets = BTreeMap::new();
    for (name, node) in section(&model, "secrets") {
        secrets.insert(name.clone(), decoder.secret(node)?);
    }
    let mut resources = |key: &str| -> Result<BTreeMap<String, Resource>, ComposeError> {
        let declared = section(&model, key);
        declared.map(|(key, node)| Ok((key.clone(), decoder.resource(&name, key, node)?))).collect()
    };
    let volumes = resources("volumes")?;
    let mut networks = resources("networks")?;
    networks
        .entry("default".to_owned())
        .or_insert_with(|| Resource { name: format!("{name}_default"), external: false });
    let project = Project {
        name,
        working_dir: directory,
        files,
        services,
        secrets,
        volumes,
        networks,
        profiles,
        warnings: warnings.into_iter().collect(),
        environment,
        not_utf8: not_utf8.clone(),
    };
    consistency::check(&project, &model)?;
    Ok((project, model))
}

/// `path` below `base`, cleaned by name; an absolute path stays as it is.
pub fn join(base: &Path, path: &Path) -> PathBuf {
    if path.is_absolute() { path.to_owned() } else { paths::clean(&base.join(path)) }
}

/// `did you mean ...` for a misspelt service name.
pub fn nearest_service(project: &Project, name: &str) -> Option<String> {
    crate::nearest::did_you_mean(name, project.services.keys().map(String::as_str))
}

fn section<'a>(model: &'a Node, key: &str) -> impl Iterator<Item = (&'a String, &'a Node)> {
    model.get(key).and_then(Node::as_map).into_iter().flatten()
}

fn read(loading: &Loader, file: &Path, request: &LoadRequest) -> Result<Source, ComposeError> {
    if file.as_os_str() != "-" {
        return loading.read(file);
    }
    match &request.stdin {
        Some(text) => loading.parse(file, text),
        None => Err(ComposeError::new("nothing to read from the standard input")),
    }
}

/// The last `name:` of the files, else the directory's name; normalised.
fn name_of(
    sources: &[Source],
    scope: Scope<'_>,
    warnings: &mut IndexSet<String>,
) -> Result<String, ComposeError> {
    let documents = sources.iter().flat_map(|source| &source.documents);
    let named = documents
        .filter_map(|document| document.root.get("name"))
        .rfind(|name| name.as_str().is_some_and(|text| !text.is_empty()));
    let name = match named {
        Some(node) => {
            let mut node = node.clone();
            interpolate::interpolate(&mut node, scope, &mut IndexSet::new())?;
            normalise_name(node.as_str().unwrap_or_default())
        }
        None => {
            let last = |path: &Path| {
                let name = path.file_name().unwrap_or_default();
                name.to_string_lossy().into_owned()
            };
            let name = last(scope.directory);
            let physical = fs_err::canonicalize(scope.directory);
            if physical.is_ok_and(|physical| last(&physical) != name) {
                warnings.insert(format!(
                    "project has been loaded without an explicit name from a symlink. Using name \"{name}\""
                ));
            }
            normalise_name(&name)
        }
    };
    if name.is_empty() {
        return Err(ComposeError::new("the project name must not be empty")
            .hint("give one with --project-name or a top-level `name:`"));
    }
    Ok(name)
}
