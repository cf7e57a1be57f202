//! A tree to YAML and JSON text that compose reads as the same tree.

use super::Tree;
use crate::compose::error::ComposeError;
use crate::compose::node::{Map, Node, Value, matches};
use crate::compose::scalar::resolve_plain;

/// Writes YAML. The writer quotes what YAML 1.2 would read as something else than a text; compose's library also knows
/// dates, `1_000` and `<<`. Those get a mark of a character that the tree does not hold, which becomes a quote.
pub(super) fn yaml(root: &Node) -> Result<String, ComposeError> {
    let mark = ('\u{e000}'..='\u{f8ff}').find(|mark| !holds(root, *mark));
    let marked = mark.map_or_else(|| root.clone(), |mark| marked(root, mark));
    let text = serde_yaml::to_string(&Tree(&marked)).map_err(failed)?;
    Ok(doubled(&mark.map_or(text.clone(), |mark| text.replace(mark, "'"))))
}

/// Writes JSON with sorted keys, and what Go writes of structures that are empty.
pub(super) fn json(root: &Node) -> Result<String, ComposeError> {
    let root = with_empty(root, &mut Vec::new());
    let text = serde_json::to_string_pretty(&Tree(&root)).map_err(failed)?;
    Ok(doubled(&(text + "\n")))
}

/// A dollar sign that compose would take for a variable is written twice.
fn doubled(text: &str) -> String {
    text.replace('$', "$$")
}

fn failed(error: impl std::fmt::Display) -> ComposeError {
    ComposeError::new(format!("failed to write the project: {error}"))
}

fn holds(node: &Node, mark: char) -> bool {
    match &node.value {
        Value::Str(text) => text.contains(mark),
        Value::List(items) => items.iter().any(|item| holds(item, mark)),
        Value::Map(map) => map.iter().any(|(key, node)| key.contains(mark) || holds(node, mark)),
        _ => false,
    }
}

fn marked(node: &Node, mark: char) -> Node {
    let text = |text: &str| {
        let is_text = matches!(resolve_plain(text), Value::Str(_)) && text != "<<";
        // The writer quotes by itself what is a number to it, and breaks nothing that is one line.
        let is_quoted =
            serde_yaml::from_str::<serde_yaml::Value>(text).is_ok_and(|value| !value.is_string());
        if is_text || is_quoted { text.to_owned() } else { format!("{mark}{text}{mark}") }
    };
    match &node.value {
        Value::Str(value) => node.text(text(value)),
        Value::List(items) => {
            node.like(Value::List(items.iter().map(|item| marked(item, mark)).collect()))
        }
        Value::Map(map) => {
            let entry = |(key, node): (&String, &Node)| (text(key), marked(node, mark));
            node.like(Value::Map(map.iter().map(entry).collect()))
        }
        _ => node.clone(),
    }
}

/// What Go's JSON writer does not leave out where it is empty, and whether it is a mapping rather than nothing.
const NOT_OMITTED: &[(&str, &str, bool)] = &[
    ("services.*", "command", false),
    ("services.*", "entrypoint", false),
    ("services.*.post_start.*", "command", false),
    ("services.*.pre_stop.*", "command", false),
    ("services.*.deploy", "resources", true),
    ("services.*.deploy", "placement", true),
    ("networks.*", "ipam", true),
];

fn with_empty<'a>(node: &'a Node, path: &mut Vec<&'a str>) -> Node {
    match &node.value {
        Value::Map(map) => {
            let mut sorted: Map = Map::new();
            for (key, value) in map {
                path.push(key);
                sorted.insert(key.clone(), with_empty(value, path));
                path.pop();
            }
            for (_, key, is_map) in NOT_OMITTED.iter().filter(|it| matches(path, it.0)) {
                let empty = if *is_map { Value::Map(Map::new()) } else { Value::Null };
                sorted.entry((*key).to_owned()).or_insert_with(|| node.like(empty));
            }
            sorted.sort_keys();
            node.like(Value::Map(sorted))
        }
        Value::List(items) => {
            path.push("[]");
            let items = items.iter().map(|item| with_empty(item, path)).collect();
            path.pop();
            node.like(Value::List(items))
        }
        _ => node.clone(),
    }
}
