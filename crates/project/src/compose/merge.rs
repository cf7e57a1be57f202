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

/// What tells entries of a list apart, of which later ones replace earlier ones.
#[derive(Clone, Copy)]
enum Identity {
    /// `KEY[=VALUE]`.
    Key,
    /// The value of a key.
    Part(&'static str),
    /// The place in the container: `target`, by default below a directory.
    Mount(&'static str),
    /// What a port is bound to.
    Port,
}

/// Lists that hold an entry once (compose-go `override/uncity.go`).
const KEYED: &[(&str, Identity)] = &[
    ("networks.*.labels", Identity::Key),
    ("networks.*.ipam.options", Identity::Key),
    ("services.*.annotations", Identity::Key),
    ("services.*.build.args", Identity::Key),
    ("services.*.build.additional_contexts", Identity::Key),
    ("services.*.build.tags", Identity::Key),
    ("services.*.build.labels", Identity::Key),
    ("services.*.cap_add", Identity::Key),
    ("services.*.cap_drop", Identity::Key),
    ("services.*.configs", Identity::Mount("")),
    ("services.*.deploy.labels", Identity::Key),
    ("services.*.devices", Identity::Part("target")),
    ("services.*.dns", Identity::Key),
    ("services.*.dns_opt", Identity::Key),
    ("services.*.dns_search", Identity::Key),
    ("services.*.env_file", Identity::Part("path")),
    ("services.*.environment", Identity::Key),
    ("services.*.expose", Identity::Key),
    ("services.*.labels", Identity::Key),
    ("services.*.links", Identity::Key),
    ("services.*.networks.*.aliases", Identity::Key),
    ("services.*.networks.*.link_local_ips", Identity::Key),
    ("services.*.ports", Identity::Port),
    ("services.*.profiles", Identity::Key),
    ("services.*.secrets", Identity::Mount("/run/secrets")),
    ("services.*.sysctls", Identity::Key),
    ("services.*.tmpfs", Identity::Key),
    ("services.*.volumes", Identity::Part("target")),
];

impl Identity {
    /// Of an entry; nothing for what is left to validation to refuse.
    fn of_entry(self, item: &Node) -> Option<String> {
        let part = |key: &str| item.get(key)?.value.scalar_text();
        if let Some(text) = item.as_str() {
            return Some(match self {
                Self::Key => text.split_once('=').map_or(text, |(key, _)| key).to_owned(),
                Self::Mount(directory) => format!("{directory}/{text}"),
                _ => text.to_owned(),
            });
        }
        match self {
            Self::Key => None,
            Self::Part(key) => part(key),
            Self::Mount(directory) => {
                part("target").or_else(|| Some(format!("{directory}/{}", part("source")?)))
            }
            Self::Port => {
                let host = part("host_ip").unwrap_or_else(|| "0.0.0.0".to_owned());
                let protocol = part("protocol").unwrap_or_else(|| "tcp".to_owned());
                let published = part("published").unwrap_or_default();
                Some(format!("{host}:{published}:{}/{protocol}", part("target")?))
            }
        }
    }
}

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
            let found = KEYED.iter().find(|(pattern, _)| matches(&keys, pattern));
            if let Some((_, identity)) = found {
                keep_last(items, *identity);
            }
        }
        _ => {}
    }
}

fn keep_last(items: &mut Vec<Node>, identity: Identity) {
    let mut kept: indexmap::IndexMap<String, Node> = indexmap::IndexMap::new();
    for (index, item) in std::mem::take(items).into_iter().enumerate() {
        let key = identity.of_entry(&item).unwrap_or_else(|| format!("\0{index}"));
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
