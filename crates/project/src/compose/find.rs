//! Which files, directory, variables, profiles and name a project has, before any file is read.
//!
//! The order in which options, the environment and `.env` files are asked is compose's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use indexmap::IndexSet;

use super::LoadRequest;
use super::dotenv;
use super::error::ComposeError;
use super::paths;
use super::scalar::parse_bool;

const DEFAULT_FILES: [&str; 4] =
    ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
const OVERRIDE_FILES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// What is settled before files are read.
#[derive(Debug)]
pub(super) struct Frame {
    /// Absolute paths; `-` is the standard input.
    pub(super) files: Vec<PathBuf>,
    pub(super) directory: PathBuf,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) profiles: Vec<String>,
    /// A name given by option or variable, which files cannot change.
    pub(super) forced_name: Option<String>,
    pub(super) warnings: IndexSet<String>,
}

/// Settles files, directory, variables, profiles and name.
pub(super) fn find(request: &LoadRequest) -> Result<Frame, ComposeError> {
    let current = &request.working_dir;
    let absolute = |path: &Path| paths::absolute(&path.to_string_lossy(), current, None);
    let mut warnings = IndexSet::new();
    let mut environment = request.environment.clone();
    environment.entry("PWD".into()).or_insert_with(|| current.to_string_lossy().into_owned());

    let mut files: Vec<PathBuf> =
        request.files.iter().map(|file| keep_dash(file, absolute)).collect();
    let first = env_files(request, &directory(request, &files))?;
    add_variables(&mut environment, &first, &mut warnings)?;
    if files.is_empty() {
        files = files_of_environment(&environment, absolute)?;
    }
    if files.is_empty() {
        files = default_files(&directory(request, &files), &mut warnings);
    }
    let directory = directory(request, &files);
    if files.is_empty() {
        let message = format!("no compose file found in {} or above", directory.display());
        return Err(ComposeError::no_file(message).hint(format!(
            "name one with --file; by default {} are tried",
            DEFAULT_FILES.join(", ")
        )));
    }
    let second = env_files(request, &directory)?;
    if second != first {
        add_variables(&mut environment, &second, &mut warnings)?;
    }

    let profiles = if request.profiles.is_empty() {
        let list = environment.get("COMPOSE_PROFILES").map_or("", String::as_str);
        // An empty name stays: it enables services with the profile "", as in compose.
        list.split(',').map(|name| name.trim().to_owned()).collect()
    } else {
        request.profiles.clone()
    };
    let forced_name = forced_name(request, &environment)?;
    Ok(Frame { files, directory, environment, profiles, forced_name, warnings })
}

/// The project's directory: the option's, else that of the first file, else the current one.
fn directory(request: &LoadRequest, files: &[PathBuf]) -> PathBuf {
    let current = &request.working_dir;
    if let Some(directory) = &request.project_directory {
        return paths::absolute(&directory.to_string_lossy(), current, None);
    }
    let first = files.iter().find(|file| !is_dash(file));
    first.and_then(|file| file.parent()).unwrap_or(current).to_owned()
}

/// The files with variables: those that the user names, else `.env` of the project's directory.
fn env_files(request: &LoadRequest, directory: &Path) -> Result<Vec<PathBuf>, ComposeError> {
    let listed = request.environment.get("COMPOSE_ENV_FILES").map_or("", String::as_str);
    let listed = listed.split(',').filter(|file| !file.is_empty()).map(Path::new);
    let named: Vec<&Path> = match request.env_files.is_empty() {
        true => listed.collect(),
        false => request.env_files.iter().map(PathBuf::as_path).collect(),
    };
    if !named.is_empty() {
        let absolute =
            |file: &Path| paths::absolute(&file.to_string_lossy(), &request.working_dir, None);
        return Ok(named.into_iter().map(absolute).collect());
    }
    let default = directory.join(".env");
    let is_used = !env_file_disabled(request)? && default.is_file();
    Ok(if is_used { vec![default] } else { Vec::new() })
}

fn is_dash(file: &Path) -> bool {
    file.as_os_str() == "-"
}

fn keep_dash(file: &Path, absolute: impl Fn(&Path) -> PathBuf) -> PathBuf {
    if is_dash(file) { file.to_owned() } else { absolute(file) }
}

fn env_file_disabled(request: &LoadRequest) -> Result<bool, ComposeError> {
    let Some(value) = request.environment.get("COMPOSE_DISABLE_ENV_FILE") else { return Ok(false) };
    parse_bool(value).ok_or_else(|| {
        ComposeError::usage(format!(
            "COMPOSE_DISABLE_ENV_FILE must be true or false, not `{value}`"
        ))
    })
}

/// Adds the variables of `files` that are not set yet.
fn add_variables(
    environment: &mut BTreeMap<String, String>,
    files: &[PathBuf],
    warnings: &mut IndexSet<String>,
) -> Result<(), ComposeError> {
    for (name, value) in dotenv::read_files(files, environment, warnings)? {
        environment.entry(name).or_insert(value);
    }
    Ok(())
}

fn files_of_environment(
    environment: &BTreeMap<String, String>,
    absolute: impl Fn(&Path) -> PathBuf + Copy,
) -> Result<Vec<PathBuf>, ComposeError> {
    let Some(list) = environment.get("COMPOSE_FILE") else { return Ok(Vec::new()) };
    let default = ":";
    let separator = environment
        .get("COMPOSE_PATH_SEPARATOR")
        .map(String::as_str)
        .filter(|separator| !separator.is_empty())
        .unwrap_or(default);
    list.split(separator)
        .map(|file| {
            let path = keep_dash(Path::new(file), absolute);
            if is_dash(&path) || path.exists() {
                return Ok(path);
            }
            Err(ComposeError::new(format!("compose file {} does not exist", path.display()))
                .hint("COMPOSE_FILE names it"))
        })
        .collect()
}

/// The default file of the nearest directory upwards that has one, and its override.
fn default_files(start: &Path, warnings: &mut IndexSet<String>) -> Vec<PathBuf> {
    for directory in start.ancestors() {
        let mut existing = |names: &[&str]| -> Option<PathBuf> {
            let found: Vec<PathBuf> = names
                .iter()
                .map(|name| directory.join(name))
                .filter(|file| file.exists())
                .collect();
            if found.len() > 1 {
                let names: Vec<String> =
                    found.iter().map(|file| file.display().to_string()).collect();
                warnings.insert(format!("found {}; using {}", names.join(", "), names[0]));
            }
            found.into_iter().next()
        };
        if let Some(file) = existing(&DEFAULT_FILES) {
            return std::iter::once(file).chain(existing(&OVERRIDE_FILES)).collect();
        }
    }
    Vec::new()
}

fn forced_name(
    request: &LoadRequest,
    environment: &BTreeMap<String, String>,
) -> Result<Option<String>, ComposeError> {
    let option = request.project_name.as_ref().filter(|name| !name.is_empty());
    let variable = environment.get("COMPOSE_PROJECT_NAME").filter(|name| !name.is_empty());
    let Some(name) = option.or(variable) else { return Ok(None) };
    if normalise_name(name) == *name {
        return Ok(Some(name.clone()));
    }
    Err(ComposeError::usage(format!("invalid project name `{name}`")).hint(
        "it consists of lowercase letters, digits, hyphens and underscores, and starts with a \
         letter or a digit",
    ))
}

/// Lowercase letters, digits, `-` and `_` only, starting with a letter or digit.
pub fn normalise_name(name: &str) -> String {
    let kept: String = name
        .to_lowercase()
        .chars()
        .filter(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || "-_".contains(*char))
        .collect();
    kept.trim_start_matches(['-', '_']).to_owned()
}
