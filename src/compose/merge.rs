//! How a later file changes an earlier one: mappings merge, lists append, scalars replace, with
//! the exceptions compose makes by path, and keyed lists keep one entry per key.

use super::error::ComposeError;
use super::node::{Map, Node, Value, matches};

#[derive(Clone, Copy)]
enum Rule {
    Build,
    Sequence,
    ExtraHosts,
    Replace,
    DependsOn,
    Names,
    Logging,
    Ulimit,
}

/// The exceptions, by path.
const RULES: &[(&str, Rule)] = &[
    ("networks.*.labels", Rule::Sequence),
    ("volumes.*.labels", Rule::Sequence),
    ("services.*.annotations", Rule::Sequence),
    ("services.*.build", Rule::Build),
    ("services.*.build.args", Rule::Sequence),
    ("services.*.build.additional_contexts", Rule::Sequence),
    ("services.*.build.extra_hosts", Rule::ExtraHosts),
    ("services.*.build.labels", Rule::Sequence),
    ("services.*.command", Rule::Replace),
    ("services.*.depends_on", Rule::DependsOn),
    ("services.*.deploy.labels", Rule::Sequence),
    ("services.*.dns", Rule::Sequence),
    ("services.*.dns_opt", Rule::Sequence),
    ("services.*.dns_search", Rule::Sequence),
    ("services.*.entrypoint", Rule::Replace),
    ("services.*.env_file", Rule::Sequence),
    ("services.*.label_file", Rule::Sequence),
    ("services.*.environment", Rule::Sequence),
    ("services.*.extra_hosts", Rule::ExtraHosts),
    ("services.*.healthcheck.test", Rule::Replace),
    ("services.*.labels", Rule::Sequence),
    ("services.*.logging", Rule::Logging),
    ("services.*.models", Rule::Names),
    ("services.*.networks", Rule::Names),
    ("services.*.sysctls", Rule::Sequence),
    ("services.*.tmpfs", Rule::Sequence),
    ("services.*.ulimits.*", Rule::Ulimit),
];

/// Lists that hold at most one entry per `KEY[=VALUE]`.
const KEYED: &[&str] = &[
    "networks.*.labels",
    "networks.*.ipam.options",
    "services.*.annotations",
    "services.*.build.args",
    "services.*.build.additional_contexts",
    "services.*.build.tags",
    "services.*.build.labels",
    "services.*.cap_add",
    "services.*.cap_drop",
    "services.*.deploy.labels",
    "services.*.dns",
    "services.*.dns_opt",
    "services.*.dns_search",
    "services.*.environment",
    "services.*.labels",
    "services.*.links",
    "services.*.networks.*.aliases",
    "services.*.networks.*.link_local_ips",
    "services.*.profiles",
    "services.*.sysctls",
    "services.*.tmpfs",
];

/// Merges `over` into `base`, the whole document.
pub(super) fn merge(base: Node, over: Node) -> Result<Node, ComposeError> {
    merge_at(base, over, &[])
}

/// Merges one service into the one it extends.
pub(super) fn extend_service(base: Node, over: Node) -> Result<Node, ComposeError> {
    merge_at(base, over, &["services", "x"])
}

/// Merges values at `path`.
pub(super) fn merge_at(base: Node, over: Node, path: &[&str]) -> Result<Node, ComposeError> {
    if let Some((_, rule)) = RULES.iter().find(|(pattern, _)| matches(path, pattern)) {
        return special(*rule, base, over, path);
    }
    if over.is_null() {
        return Ok(base);
    }
    match (base.value, over.value) {
        (Value::Map(mut mapping), Value::Map(other)) => {
            merge_maps(&mut mapping, other, path)?;
            Ok(Node { value: Value::Map(mapping), ..over })
        }
        (Value::List(mut items), Value::List(other)) => {
            items.extend(other);
            Ok(Node { value: Value::List(items), ..over })
        }
        (base_value @ (Value::Map(_) | Value::List(_)), other) => {
            let message = format!(
                "cannot override {} with {}: it is {} at {}",
                path.join("."),
                other.kind(),
                base_value.kind(),
                base.place,
            );
            Err(ComposeError::at(&over.place, message)
                .hint("use the same form in both files, or !override to replace the whole value"))
        }
        (_, value) => Ok(Node { value, ..over }),
    }
}

fn merge_maps(mapping: &mut Map, other: Map, path: &[&str]) -> Result<(), ComposeError> {
    for (key, over) in other {
        match mapping.get_mut(&key) {
            None => {
                mapping.insert(key, over);
            }
            Some(slot) => {
                let empty = slot.like(Value::Null);
                let base = std::mem::replace(slot, empty);
                let mut next = path.to_vec();
                next.push(&key);
                let merged = merge_at(base, over, &next)?;
                mapping.insert(key, merged);
            }
        }
    }
    Ok(())
}

fn special(rule: Rule, base: Node, over: Node, path: &[&str]) -> Result<Node, ComposeError> {
    let place = over.place.clone();
    let key = over.key.clone();
    let value = match rule {
        Rule::Replace => return Ok(over),
        Rule::Ulimit => return Ok(if over.is_null() { base } else { over }),
        Rule::Build => merged_maps(build_map(base)?, build_map(over)?, path)?,
        Rule::DependsOn => merged_maps(names_map(base, true), names_map(over, true), path)?,
        Rule::Names => merged_maps(names_map(base, false), names_map(over, false), path)?,
        Rule::Logging => {
            let driver =
                |node: &Node| node.get("driver").and_then(|driver| driver.value.scalar_text());
            match (driver(&base), driver(&over)) {
                (Some(one), Some(other)) if one != other => return Ok(over),
                _ => merged_maps(names_map(base, false), names_map(over, false), path)?,
            }
        }
        Rule::Sequence => {
            let mut items = sequence(base);
            items.extend(sequence(over));
            Value::List(items)
        }
        Rule::ExtraHosts => {
            let mut items = sequence(base);
            for item in sequence(over) {
                if !items.iter().any(|known| known.value == item.value) {
                    items.push(item);
                }
            }
            Value::List(items)
        }
    };
    Ok(Node { value, place, key, unset: None })
}

fn merged_maps(mut base: Map, over: Map, path: &[&str]) -> Result<Value, ComposeError> {
    merge_maps(&mut base, over, path)?;
    Ok(Value::Map(base))
}

/// `build: PATH` is `build: {context: PATH}`.
fn build_map(node: Node) -> Result<Map, ComposeError> {
    match node.value {
        Value::Str(_) => {
            let context = Node { key: None, ..node };
            Ok(Map::from_iter([("context".to_owned(), context)]))
        }
        Value::Map(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        other => {
            let message = format!("build must be a string or a mapping, not {}", other.kind());
            Err(ComposeError::at(&node.place, message))
        }
    }
}

/// A list of names as a mapping; for dependencies with compose's default condition.
pub(super) fn names_map(node: Node, dependencies: bool) -> Map {
    match node.value {
        Value::Map(map) => map,
        Value::List(items) => items
            .into_iter()
            .filter_map(|item| {
                let name = item.as_str()?.to_owned();
                let value =
                    if dependencies { default_dependency(&item) } else { item.like(Value::Null) };
                Some((name, value))
            })
            .collect(),
        _ => Map::new(),
    }
}

/// `{condition: service_started, required: true}`.
pub(super) fn default_dependency(at: &Node) -> Node {
    at.like(Value::Map(Map::from_iter([
        ("condition".to_owned(), at.text("service_started")),
        ("required".to_owned(), at.like(Value::Bool(true))),
    ])))
}

/// A mapping as sorted `KEY=VALUE` entries, a string as a list of one.
fn sequence(node: Node) -> Vec<Node> {
    match node.value {
        Value::List(items) => items,
        Value::Str(_) => vec![Node { key: None, ..node }],
        Value::Map(map) => {
            let mut items: Vec<Node> = Vec::with_capacity(map.len());
            for (key, value) in map {
                let values = match &value.value {
                    Value::Null => vec![key],
                    Value::List(list) => list
                        .iter()
                        .filter_map(|item| item.value.scalar_text())
                        .map(|text| format!("{key}={text}"))
                        .collect(),
                    scalar => vec![format!("{key}={}", scalar.scalar_text().unwrap_or_default())],
                };
                items.extend(values.into_iter().map(|text| value.text(text)));
            }
            items.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
            items
        }
        _ => Vec::new(),
    }
}

/// Keeps one entry per key in keyed lists: the last value, at the place of the first.
pub(super) fn enforce_unique(root: &mut Node) {
    unique_at(root, &mut Vec::new());
}

fn unique_at(node: &mut Node, path: &mut Vec<String>) {
    match &mut node.value {
        Value::Map(map) => {
            for (key, value) in map {
                path.push(key.clone());
                unique_at(value, path);
                path.pop();
            }
        }
        Value::List(items) => {
            let keys: Vec<&str> = path.iter().map(String::as_str).collect();
            if KEYED.iter().any(|pattern| matches(&keys, pattern)) {
                keep_last(items);
            }
        }
        _ => {}
    }
}

fn keep_last(items: &mut Vec<Node>) {
    let mut kept: indexmap::IndexMap<String, Node> = indexmap::IndexMap::new();
    for (index, item) in std::mem::take(items).into_iter().enumerate() {
        // What is no string is left for validation to refuse.
        let key = match item.as_str() {
            Some(text) => text.split_once('=').map_or(text, |(key, _)| key).to_owned(),
            None => format!("\0{index}"),
        };
        kept.insert(key, item);
    }
    items.extend(kept.into_values());
}

/// Removes from `target` what the paths in `cleared` name.
pub(super) fn clear(target: &mut Node, cleared: &[Vec<String>]) {
    if !cleared.is_empty() {
        clear_at(target, cleared, &mut Vec::new());
    }
}

fn clear_at(node: &mut Node, cleared: &[Vec<String>], path: &mut Vec<String>) {
    // Entries of lists are not addressed: compose does not remove them either.
    let Value::Map(map) = &mut node.value else { return };
    map.retain(|key, value| {
        path.push(key.clone());
        let keep = !cleared.contains(path);
        if keep {
            clear_at(value, cleared, path);
        }
        path.pop();
        keep
    });
}
