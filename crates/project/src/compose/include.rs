//! `include`: other compose projects whose resources become part of this one. Loading them is the caller's business:
//! what they include themselves is loaded the same way.

use super::error::{ComposeError, Place};
use super::node::{Map, Node, Value};
use crate::nearest::did_you_mean;

const SECTIONS: [&str; 6] = ["services", "volumes", "networks", "secrets", "configs", "models"];

/// One entry of `include`.
pub(super) struct Entry {
    pub(super) place: Place,
    /// At least one.
    pub(super) files: Vec<String>,
    pub(super) project_directory: Option<String>,
    pub(super) env_files: Vec<String>,
}

/// Takes the entries of `include` out of `root`.
pub(super) fn take(root: &mut Node) -> Result<Vec<Entry>, ComposeError> {
    match root.as_map_mut().and_then(|map| map.shift_remove("include")) {
        Some(include) => entries(&include),
        None => Ok(Vec::new()),
    }
}

/// Moves the resources of an included project into `root`.
pub(super) fn import(root: &mut Node, imported: &Node) -> Result<(), ComposeError> {
    for section in SECTIONS {
        if let Some(resources) = imported.get(section) {
            import_section(root, section, resources)?;
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
                let hint = did_you_mean(key, known);
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

/// Moves resources of one section; the same name may come twice only with the same value.
fn import_section(root: &mut Node, section: &str, resources: &Node) -> Result<(), ComposeError> {
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
