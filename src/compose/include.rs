//! `include`: other compose projects whose resources become part of this one.

use std::path::{Path, PathBuf};

use super::document::Loading;
use super::dotenv;
use super::error::{ComposeError, Place};
use super::node::{Map, Node, Value};
use super::paths;
use super::scope::Scope;

const SECTIONS: [&str; 6] = ["services", "volumes", "networks", "secrets", "configs", "models"];

/// Files included by one project: two that each include the next twice double with every level.
const MAX_INCLUDES: usize = 2000;
/// Files that include each other in one chain.
const MAX_DEPTH: usize = 100;

/// One entry of `include`.
struct Entry {
    place: Place,
    files: Vec<String>,
    project_directory: Option<String>,
    env_files: Vec<String>,
}

/// Loads what `root` includes and moves its resources into `root`.
pub(super) fn apply(
    loading: &mut Loading,
    root: &mut Node,
    scope: Scope<'_>,
    included: &[PathBuf],
) -> Result<(), ComposeError> {
    let Some(include) = root.as_map_mut().and_then(|map| map.shift_remove("include")) else {
        return Ok(());
    };
    for entry in entries(&include)? {
        let imported = load(loading, &entry, scope, included)?;
        for section in SECTIONS {
            if let Some(resources) = imported.get(section) {
                import(root, section, resources)?;
            }
        }
    }
    Ok(())
}

fn entries(include: &Node) -> Result<Vec<Entry>, ComposeError> {
    let wrong = |node: &Node, what: &str| {
        ComposeError::at(&node.place, format!("include: {what}, not {}", node.value.kind()))
    };
    if include.is_null() {
        return Ok(Vec::new());
    }
    let items = include.as_list().ok_or_else(|| wrong(include, "must be a list"))?;
    items
        .iter()
        .map(|item| {
            let place = item.place.clone();
            if let Some(path) = item.as_str() {
                let files = vec![path.to_owned()];
                return Ok(Entry { place, files, project_directory: None, env_files: Vec::new() });
            }
            let map =
                item.as_map().ok_or_else(|| wrong(item, "an entry is a path or a mapping"))?;
            let known = ["path", "project_directory", "env_file"];
            if let Some((key, node)) = map.iter().find(|(key, _)| !known.contains(&key.as_str())) {
                let error =
                    ComposeError::at(node.start(), format!("unknown key `{key}` in include"));
                let hint = super::error::nearest(key, known);
                return Err(hint.map_or(error.clone(), |hint| error.hint(hint)));
            }
            let files = strings(map.get("path"))?;
            if files.is_empty() {
                return Err(ComposeError::at(&place, "include needs the key `path`"));
            }
            let project_directory = strings(map.get("project_directory"))?.pop();
            Ok(Entry { place, files, project_directory, env_files: strings(map.get("env_file"))? })
        })
        .collect()
}

/// A string or a list of strings.
fn strings(node: Option<&Node>) -> Result<Vec<String>, ComposeError> {
    let Some(node) = node else { return Ok(Vec::new()) };
    let items = node.as_list().unwrap_or(std::slice::from_ref(node));
    items
        .iter()
        .map(|item| {
            item.as_str().map(str::to_owned).ok_or_else(|| {
                let message = format!("a path must be a string, not {}", item.value.kind());
                ComposeError::at(&item.place, message)
            })
        })
        .collect()
}

fn load(
    loading: &mut Loading,
    entry: &Entry,
    scope: Scope<'_>,
    included: &[PathBuf],
) -> Result<Node, ComposeError> {
    let home = loading.home.clone();
    let absolute = |text: &str| paths::absolute(text, scope.directory, home.as_deref());
    if let Some(remote) = entry.files.iter().find(|file| paths::is_remote(file)) {
        let message = format!("cannot include {remote}: only local files are read");
        return Err(ComposeError::at(&entry.place, message));
    }
    let files: Vec<PathBuf> = entry.files.iter().map(|file| absolute(file)).collect();
    if included.contains(&files[0]) {
        let chain: Vec<String> =
            included.iter().chain(&files[..1]).map(|file| file.display().to_string()).collect();
        let message = format!("include cycle: {}", chain.join(" -> "));
        return Err(ComposeError::at(&entry.place, message));
    }
    loading.included += 1;
    if loading.included > MAX_INCLUDES || included.len() > MAX_DEPTH {
        let message = format!(
            "more than {MAX_INCLUDES} files are included, or more than {MAX_DEPTH} by each other"
        );
        return Err(ComposeError::at(&entry.place, message));
    }
    let directory = match &entry.project_directory {
        Some(directory) => absolute(directory),
        None => files[0].parent().unwrap_or(Path::new("/")).to_owned(),
    };
    let located = |mut error: ComposeError| {
        error.place.get_or_insert_with(|| entry.place.clone());
        error
    };
    let mut env_files: Vec<PathBuf> = entry.env_files.iter().map(|file| absolute(file)).collect();
    if env_files.is_empty() {
        env_files.extend(Some(directory.join(".env")).filter(|file| file.is_file()));
    }
    let own = dotenv::read_files(&env_files, scope.environment, &mut loading.warnings)
        .map_err(located)?;
    let mut environment = scope.environment.clone();
    for (name, value) in own {
        environment.entry(name).or_insert(value);
    }
    let sources = files
        .iter()
        .map(|file| loading.read(file).map_err(located))
        .collect::<Result<Vec<_>, _>>()?;
    let scope = Scope { directory: &directory, environment: &environment, ..scope };
    loading.model(sources, scope, included)
}

/// Moves resources of one section; the same name may come twice only with the same value.
fn import(root: &mut Node, section: &str, resources: &Node) -> Result<(), ComposeError> {
    let (Some(incoming), Some(root)) = (resources.as_map(), root.as_map_mut()) else {
        return Ok(());
    };
    let target =
        root.entry(section.to_owned()).or_insert_with(|| resources.like(Value::Map(Map::new())));
    let place = target.place.clone();
    let Some(target) = target.as_map_mut() else {
        return Err(ComposeError::at(&place, format!("{section} must be a mapping")));
    };
    for (name, resource) in incoming {
        match target.get(name) {
            None => {
                target.insert(name.clone(), resource.clone());
            }
            Some(known) if same(known, resource) => {}
            Some(known) => {
                let message = format!(
                    "{section}.{name} conflicts with the one included from {}",
                    resource.start()
                );
                return Err(ComposeError::at(known.start(), message)
                    .hint("override it in a second file of the include entry's `path` list"));
            }
        }
    }
    Ok(())
}

/// Equality of values wherever they stand.
fn same(one: &Node, other: &Node) -> bool {
    match (&one.value, &other.value) {
        (Value::Map(one), Value::Map(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, node)| other.get(key).is_some_and(|other| same(node, other)))
        }
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (one, other) => one == other,
    }
}
