//! Short forms to long forms, so that the rest of the room sees one form of each key.

use super::error::ComposeError;
use super::long_form;
use super::merge::{default_dependency, names_map};
use super::node::{Map, Node, Value, entries_mut};

/// Rewrites what a build needs to its long form. Runs after each file, so it must not change
/// what is already long.
pub(super) fn canonical(root: &mut Node) -> Result<(), ComposeError> {
    for (_, service) in entries_mut(root, "services") {
        let Some(service) = service.as_map_mut() else { continue };
        if let Some(build) = service.get_mut("build") {
            build_section(build)?;
        }
        if let Some(depends_on) = service.get_mut("depends_on") {
            dependencies(depends_on)?;
        }
        if let Some(extends) = service.get_mut("extends")
            && extends.as_str().is_some()
        {
            wrap(extends, "service");
        }
        for key in ["networks", "models"] {
            if let Some(node) = service.get_mut(key)
                && node.as_list().is_some()
            {
                node.value = Value::Map(names_map(node.clone(), false));
            }
        }
        for key in ["secrets", "configs"] {
            if let Some(list) = service.get_mut(key) {
                sources(list);
            }
        }
        items(service.get_mut("volumes")).for_each(long_form::volume);
        items(service.get_mut("devices")).for_each(long_form::device);
        if let Some(Value::List(ports)) = service.get_mut("ports").map(|ports| &mut ports.value) {
            long_form::ports(ports);
        }
        if let Some(files) = service.get_mut("env_file") {
            if files.as_str().is_some() {
                let one = Node { key: None, ..files.clone() };
                files.value = Value::List(vec![one]);
            }
            items(Some(files))
                .filter(|file| file.as_str().is_some())
                .for_each(|file| wrap(file, "path"));
        }
    }
    for section in ["secrets", "configs", "volumes", "networks"] {
        for (name, resource) in entries_mut(root, section) {
            external(section, &name, resource)?;
        }
    }
    Ok(())
}

fn items(list: Option<&mut Node>) -> impl Iterator<Item = &mut Node> {
    let items = list.and_then(|list| match &mut list.value {
        Value::List(items) => Some(items),
        _ => None,
    });
    items.into_iter().flatten()
}

/// `VALUE` becomes `{KEY: VALUE}`.
fn wrap(node: &mut Node, key: &str) {
    let inner = Node { key: None, ..node.clone() };
    node.value = Value::Map(Map::from_iter([(key.to_owned(), inner)]));
}

fn build_section(build: &mut Node) -> Result<(), ComposeError> {
    if build.as_str().is_some() {
        wrap(build, "context");
    }
    let Some(build) = build.as_map_mut() else { return Ok(()) };
    if let Some(secrets) = build.get_mut("secrets") {
        sources(secrets);
    }
    for key in ["provenance", "sbom"] {
        if let Some(node) = build.get_mut(key)
            && let Some(text) = node.value.scalar_text()
        {
            node.value = Value::Str(text);
        }
    }
    additional_contexts(build)?;
    ssh_keys(build)?;
    for (name, limit) in build.get_mut("ulimits").and_then(Node::as_map_mut).into_iter().flatten() {
        if !matches!(limit.value, Value::Int(_) | Value::Map(_)) {
            let message = format!("ulimit {name} must be an integer, or soft and hard limits");
            return Err(ComposeError::at(&limit.place, message));
        }
    }
    Ok(())
}

/// A list of `NAME=VALUE` becomes a mapping of texts.
fn additional_contexts(build: &mut Map) -> Result<(), ComposeError> {
    if let Some(contexts) = build.get_mut("additional_contexts")
        && let Value::List(items) = &contexts.value
    {
        let mut map = Map::new();
        for item in items {
            let pair = item.as_str().and_then(|text| text.split_once('='));
            let Some((name, value)) = pair else {
                return Err(ComposeError::at(&item.place, "an additional context is NAME=VALUE"));
            };
            map.insert(name.to_owned(), item.text(value));
        }
        contexts.value = Value::Map(map);
    }
    // compose 2.40 panics on these.
    for (name, node) in
        build.get("additional_contexts").and_then(Node::as_map).into_iter().flatten()
    {
        if node.as_str().is_none() {
            let message =
                format!("additional context `{name}` must be a string, not {}", node.value.kind());
            return Err(ComposeError::at(node.start(), message));
        }
    }
    Ok(())
}

/// A list of `default` and `ID=PATH` becomes a mapping.
fn ssh_keys(build: &mut Map) -> Result<(), ComposeError> {
    if let Some(ssh) = build.get_mut("ssh")
        && let Value::List(items) = &ssh.value
    {
        let mut map = Map::new();
        for item in items {
            let text = item.as_str().unwrap_or_default();
            match text.split_once('=') {
                Some((id, path)) => map.insert(id.to_owned(), item.text(path)),
                None if text == "default" => map.insert(text.to_owned(), item.like(Value::Null)),
                None => {
                    let message = format!("invalid ssh key `{text}`");
                    return Err(
                        ComposeError::at(&item.place, message).hint("write `default` or ID=PATH")
                    );
                }
            };
        }
        ssh.value = Value::Map(map);
    }
    Ok(())
}

/// Entries `NAME` become `{source: NAME}`.
fn sources(list: &mut Node) {
    if let Value::List(items) = &mut list.value {
        for item in items {
            if item.as_str().is_some() {
                wrap(item, "source");
            }
        }
    }
}

fn dependencies(node: &mut Node) -> Result<(), ComposeError> {
    if node.as_list().is_some() {
        node.value = Value::Map(names_map(node.clone(), true));
        return Ok(());
    }
    for (name, dependency) in node.as_map_mut().into_iter().flatten() {
        let default = default_dependency(dependency);
        let Some(map) = dependency.as_map_mut() else {
            return Err(ComposeError::at(
                &dependency.place,
                format!("depends_on.{name} must be a mapping"),
            ));
        };
        for (key, value) in default.as_map().into_iter().flatten() {
            map.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    Ok(())
}

/// `external: {name: N}` is the old form of `external: true` with `name: N`.
fn external(section: &str, name: &str, resource: &mut Node) -> Result<(), ComposeError> {
    let Some(map) = resource.as_map_mut() else { return Ok(()) };
    let Some(external) = map.get("external") else { return Ok(()) };
    let Some(old) = external.as_map().map(|external| external.get("name").cloned()) else {
        return Ok(());
    };
    let flag = external.like(Value::Bool(true));
    map.insert("external".to_owned(), flag);
    if let Some(old) = old {
        match map.get("name") {
            Some(new) if new.value != old.value => {
                let message = format!("{section}.{name}: name and external.name differ");
                return Err(ComposeError::at(&old.place, message).hint("keep `name` only"));
            }
            Some(_) => {}
            None => {
                map.insert("name".to_owned(), old);
            }
        }
    }
    Ok(())
}
