//! The tree between YAML text and the project: values that know where they stand.

use indexmap::IndexMap;

use super::error::Place;

/// A mapping in file order.
pub(super) type Map = IndexMap<String, Node>;

/// A YAML value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    /// Beyond `i64`.
    Uint(u64),
    Float(f64),
    /// An unquoted date: compose reads it as a timestamp and then refuses it everywhere.
    Timestamp(String),
    Str(String),
    List(Vec<Node>),
    Map(Map),
}

/// A value, where it stands, and where its key stands if it is an entry of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
    pub(super) key: Option<Place>,
    /// The first variable in it that had no value.
    pub(super) unset: Option<String>,
}

impl Node {
    pub(super) fn new(value: Value, place: Place) -> Self {
        Self { value, place, key: None, unset: None }
    }

    /// A node made from another one, at the same place.
    pub(super) fn like(&self, value: Value) -> Self {
        Self { value, place: self.place.clone(), key: self.key.clone(), unset: self.unset.clone() }
    }

    pub(super) fn text(&self, text: impl Into<String>) -> Self {
        self.like(Value::Str(text.into()))
    }

    /// Where the entry starts: its key if it has one.
    pub(super) fn start(&self) -> &Place {
        self.key.as_ref().unwrap_or(&self.place)
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(super) fn as_map_mut(&mut self) -> Option<&mut Map> {
        match &mut self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(super) fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.as_map().and_then(|map| map.get(key))
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.as_map_mut().and_then(|map| map.get_mut(key))
    }

    pub(super) fn is_null(&self) -> bool {
        self.value == Value::Null
    }
}

impl Value {
    /// The scalar as compose prints it (Go's `%v`); `None` for lists and mappings.
    pub(super) fn scalar_text(&self) -> Option<String> {
        Some(match self {
            Value::Null => String::new(),
            Value::Bool(flag) => flag.to_string(),
            Value::Int(number) => number.to_string(),
            Value::Uint(number) => number.to_string(),
            Value::Float(number) => go_float(*number),
            Value::Timestamp(text) | Value::Str(text) => text.clone(),
            Value::List(_) | Value::Map(_) => return None,
        })
    }

    /// The kind of value in words, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::Uint(_) => "an integer",
            Value::Float(_) => "a number",
            Value::Timestamp(_) => "a date",
            Value::Str(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Formats like Go's `%v`: the shortest digits, with an exponent below 1e-4 and from 1e6 on.
fn go_float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    number.to_string()
}

/// The entries of a top-level section, which may be missing or (before validation) no mapping.
pub(super) fn entries_mut<'a>(
    root: &'a mut Node,
    section: &str,
) -> impl Iterator<Item = (String, &'a mut Node)> {
    let map = root.get_mut(section).and_then(Node::as_map_mut);
    map.into_iter().flatten().map(|(name, node)| (name.clone(), node))
}

/// Whether the keys of `path` match `pattern`, where `*` stands for any key.
pub(super) fn matches(path: &[&str], pattern: &str) -> bool {
    let mut keys = path.iter();
    for part in pattern.split('.') {
        match keys.next() {
            Some(key) if part == "*" || part == *key => {}
            _ => return false,
        }
    }
    keys.next().is_none()
}
