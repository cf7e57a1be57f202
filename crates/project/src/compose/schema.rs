//! Which keys a compose file may have and what kinds of value they take.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use super::error::ComposeError;
use super::format::Format;
use super::node::{Map, Node, Value};
use crate::nearest::did_you_mean;

const SPECIFICATION: &str = include_str!("schema_keys.txt");

const STR: u8 = 1;
const INT: u8 = 2;
const NUM: u8 = 4;
const BOOL: u8 = 8;
const NULL: u8 = 16;
const LIST: u8 = 32;
const MAP: u8 = 64;

const KINDS: [(&str, u8, &str); 7] = [
    ("map", MAP, "a mapping"),
    ("list", LIST, "a list"),
    ("str", STR, "a string"),
    ("num", NUM, "a number"),
    ("int", INT, "an integer"),
    ("bool", BOOL, "a boolean"),
    ("null", NULL, "nothing"),
];

#[derive(Default)]
struct Shape {
    kinds: u8,
    keys: Vec<(&'static str, &'static str)>,
    closed: bool,
    extensions: bool,
    unique: bool,
    items: Option<&'static str>,
    entries: Option<(Names, &'static str)>,
    required: Vec<&'static str>,
    values: Vec<&'static str>,
    text: Option<Format>,
}

/// Which names free entries of a mapping may have.
#[derive(Clone, Copy)]
enum Names {
    Any,
    Resource,
    Lowercase,
}

type Shapes = HashMap<&'static str, Shape>;

fn shapes() -> &'static Shapes {
    static SHAPES: OnceLock<Shapes> = OnceLock::new();
    SHAPES.get_or_init(|| read(SPECIFICATION))
}

fn read(text: &'static str) -> Shapes {
    let mut shapes = Shapes::new();
    let mut last = "";
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let Some((name, rest)) = line.split_once(" = ") else {
            let keys = line.split_whitespace().filter_map(|pair| pair.split_once(':'));
            shapes.entry(last).or_default().keys.extend(keys);
            continue;
        };
        let mut shape = Shape::default();
        for (index, word) in rest.split_whitespace().enumerate() {
            match word.split_once('=') {
                None if index == 0 => shape.kinds = kinds(word),
                None => match word {
                    "closed" => shape.closed = true,
                    "extensions" => shape.extensions = true,
                    _ => shape.unique = true,
                },
                Some(("items", target)) => shape.items = Some(target),
                Some(("any", target)) => shape.entries = Some((Names::Any, target)),
                Some(("name", target)) => shape.entries = Some((Names::Resource, target)),
                Some(("lower", target)) => shape.entries = Some((Names::Lowercase, target)),
                Some(("required", keys)) => shape.required = keys.split(',').collect(),
                Some(("text", format)) => shape.text = Format::named(format),
                Some((_, words)) => shape.values = words.split(',').collect(),
            }
        }
        last = name;
        shapes.insert(name, shape);
    }
    shapes
}

fn kinds(words: &str) -> u8 {
    words
        .split('|')
        .filter_map(|word| KINDS.iter().find(|(name, ..)| *name == word))
        .fold(0, |kinds, (_, bit, _)| kinds | bit)
}

/// The shape of the value that `key` has in a mapping of `shape`; nothing for own keys and unknown ones.
pub(super) fn child(shape: &str, key: &str) -> Option<&'static str> {
    let shape = shapes().get(shape)?;
    let named = shape.keys.iter().find(|(name, _)| *name == key).map(|(_, target)| *target);
    let free = || shape.entries.filter(|(names, _)| names.admit(key)).map(|(_, target)| target);
    named.or_else(free)
}

/// The shape of the items of a list.
pub(super) fn item(shape: &str) -> Option<&'static str> {
    shapes().get(shape)?.items
}

/// Checks the whole model.
pub(super) fn validate(root: &Node) -> Result<(), ComposeError> {
    check(root, "root", &mut Vec::new())
}

fn check(node: &Node, shape: &str, path: &mut Vec<String>) -> Result<(), ComposeError> {
    let Some(shape) = shapes().get(shape) else { return Ok(()) };
    check_kind(node, shape, path)?;
    match &node.value {
        Value::Map(map) => check_map(node, map, shape, path),
        Value::List(items) => check_list(items, shape, path),
        Value::Str(text) if !shape.values.is_empty() && !shape.values.contains(&text.as_str()) => {
            let allowed = shape.values.join(", ");
            Err(ComposeError::at(&node.place, format!("{} must be one of {allowed}", dotted(path))))
        }
        Value::Str(text) => match shape.text.filter(|format| !format.admits(text)) {
            Some(format) => Err(malformed(node, text, format, path)),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}

fn malformed(node: &Node, text: &str, format: Format, path: &[String]) -> ComposeError {
    let (path, wanted) = (dotted(path), format.words());
    let error = if text.is_empty() {
        ComposeError::at(&node.place, format!("{path} must be {wanted}, but it is empty"))
    } else {
        ComposeError::at(&node.place, format!("{path} must be {wanted}, not `{text}`"))
    };
    match &node.unset {
        Some(name) => error.hint(unset_hint(name)),
        None => error,
    }
}

/// What is said of a value that lacks one of its variables.
fn unset_hint(name: &str) -> String {
    format!("the variable {name} is not set: does it belong in a .env file that is not there?")
}

fn check_kind(node: &Node, shape: &Shape, path: &[String]) -> Result<(), ComposeError> {
    let bit = match &node.value {
        Value::Null => NULL,
        Value::Bool(_) => BOOL,
        Value::Int(_) | Value::Uint(_) => INT,
        // JSON has one kind of number: 3.0 is an integer.
        Value::Float(number) if number.fract() == 0.0 => INT | NUM,
        Value::Float(_) => NUM,
        Value::Str(_) => STR,
        Value::List(_) => LIST,
        Value::Map(_) => MAP,
        Value::Timestamp(text) => {
            let message = format!("{} is read as a date: {text}", dotted(path));
            return Err(ComposeError::at(&node.place, message).hint("put the value into quotes"));
        }
    };
    if shape.kinds & bit != 0 {
        return Ok(());
    }
    let mut wanted: Vec<&str> = KINDS
        .iter()
        .filter(|(name, bit, _)| {
            let implied = *name == "int" && shape.kinds & NUM != 0;
            shape.kinds & bit != 0 && *bit != NULL && !implied
        })
        .map(|(.., words)| *words)
        .collect();
    let last = wanted.pop().unwrap_or("empty");
    let first =
        if wanted.is_empty() { String::new() } else { format!("{} or ", wanted.join(", ")) };
    let message = format!("{} must be {first}{last}, not {}", dotted(path), node.value.kind());
    let error = ComposeError::at(&node.place, message);
    let quotable = matches!(node.value, Value::Bool(_) | Value::Int(_) | Value::Float(_));
    Err(if quotable && shape.kinds & STR != 0 {
        error.hint("put the value into quotes")
    } else {
        error
    })
}

fn check_map(
    node: &Node,
    map: &Map,
    shape: &Shape,
    path: &mut Vec<String>,
) -> Result<(), ComposeError> {
    for (key, value) in map {
        let target = match shape.keys.iter().find(|(name, _)| name == key) {
            Some((_, target)) => Some(*target),
            None if shape.extensions && key.starts_with("x-") => None,
            None => match shape.entries {
                Some((names, target)) if names.admit(key) => Some(target),
                _ if shape.closed => return Err(unknown(key, value, shape, path)),
                _ => None,
            },
        };
        if let Some(target) = target {
            path.push(key.clone());
            check(value, target, path)?;
            path.pop();
        }
    }
    match shape.required.iter().find(|key| !map.contains_key(**key)) {
        None => Ok(()),
        Some(key) => {
            let message = format!("{} needs the key `{key}`", dotted(path));
            Err(ComposeError::at(node.start(), message))
        }
    }
}

fn unknown(key: &str, value: &Node, shape: &Shape, path: &[String]) -> ComposeError {
    let place = value.start();
    if shape.entries.is_some() {
        let message = format!("`{key}` is not a valid name in {}", dotted(path));
        return ComposeError::at(place, message)
            .hint("names consist of letters, digits, `.`, `_` and `-`");
    }
    let section =
        if path.is_empty() { "at the top level".into() } else { format!("in {}", dotted(path)) };
    let error = ComposeError::at(place, format!("unknown key `{key}` {section}"));
    match did_you_mean(key, shape.keys.iter().map(|(name, _)| *name)) {
        Some(hint) => error.hint(hint),
        None if shape.extensions => error.hint("own keys start with `x-`"),
        None => error,
    }
}

fn check_list(items: &[Node], shape: &Shape, path: &mut Vec<String>) -> Result<(), ComposeError> {
    let mut seen = HashSet::new();
    for (index, item) in items.iter().enumerate() {
        if let Some(target) = shape.items {
            path.push(index.to_string());
            check(item, target, path)?;
            path.pop();
        }
        if shape.unique
            && let Some(text) = item.as_str()
            && !seen.insert(text)
        {
            let message = format!("{} holds `{text}` twice", dotted(path));
            return Err(ComposeError::at(&item.place, message));
        }
    }
    Ok(())
}

impl Names {
    fn admit(self, name: &str) -> bool {
        !name.is_empty()
            && name.bytes().all(|byte| match self {
                Names::Any => true,
                Names::Resource => byte.is_ascii_alphanumeric() || b"._-".contains(&byte),
                Names::Lowercase => byte.is_ascii_lowercase(),
            })
    }
}

fn dotted(path: &[String]) -> String {
    if path.is_empty() { "the file".into() } else { path.join(".") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::compose::yaml;

    fn fault(text: &str) -> String {
        let root = yaml::parse(text, &"f.yaml".into()).unwrap().remove(0).root;
        match validate(&root) {
            Ok(()) => "valid".into(),
            Err(error) => match error.hint.clone() {
                Some(hint) => format!("{error} ({hint})"),
                None => error.to_string(),
            },
        }
    }

    #[test]
    fn every_name_in_the_table_is_defined() {
        for word in SPECIFICATION
            .split_whitespace()
            .filter_map(|it| it.trim_start_matches('[').strip_prefix("text="))
        {
            assert!(word == "FORMAT]" || Format::named(word).is_some(), "{word}");
        }
        for (name, shape) in shapes() {
            assert_ne!(shape.kinds, 0, "{name} takes no kind of value");
            let targets = shape.keys.iter().map(|(_, target)| *target);
            let targets = targets.chain(shape.items).chain(shape.entries.map(|(_, target)| target));
            for target in targets {
                assert!(shapes().contains_key(target), "{name} refers to {target}");
            }
        }
        assert_eq!(shapes()["build"].keys.len(), 25);
    }

    #[test]
    fn names_place_key_and_neighbour() {
        insta::assert_snapshot!(
            [
                "services: {api: {bild: .}}",
                "sevices: {}",
                "services: {api: {build: {context: 3}}}",
                "services: {api: {build: {tags: x}}}",
                "services: {api: {build: {args: {D: 2024-01-02}}}}",
                "services: {api: {build: {ulimits: {nofile: {soft: 1}}}}}",
                "services: {\"a b\": {}}",
                "services: {api: {build: {ssh: [default, default]}}}",
                "services: {api: {ports: [80, \"1:2\"], x-y: 1, init: \"true\"}}",
                "services: {api: {cgroup: other}}",
                "services: [a]",
                "services: {api: {qqqqq: 1}}",
            ]
            .map(fault)
            .join("\n"),
            @r"
        f.yaml:1:18: unknown key `bild` in services.api (did you mean `build`?)
        f.yaml:1:1: unknown key `sevices` at the top level (did you mean `services`?)
        f.yaml:1:35: services.api.build.context must be a string, not an integer (put the value into quotes)
        f.yaml:1:32: services.api.build.tags must be a list, not a string
        f.yaml:1:36: services.api.build.args.D is read as a date: 2024-01-02 (put the value into quotes)
        f.yaml:1:36: services.api.build.ulimits.nofile needs the key `hard`
        f.yaml:1:12: `a b` is not a valid name in services (names consist of letters, digits, `.`, `_` and `-`)
        f.yaml:1:41: services.api.build.ssh holds `default` twice
        valid
        f.yaml:1:26: services.api.cgroup must be one of host, private
        f.yaml:1:11: services must be a mapping, not a list
        f.yaml:1:18: unknown key `qqqqq` in services.api (own keys start with `x-`)
        "
        );
    }
}
