//! Values in the one form in which compose prints them: by the shape that the schema gives a key.

use std::collections::BTreeMap;

use crate::compose::decode::{extra_hosts, parse_bytes};
use crate::compose::format::{parse_duration, words};
use crate::compose::node::{Map, Node, Value};
use crate::compose::schema;

/// Keys whose value is printed even where it is nothing: for compose they are given or not.
const GIVEN_OR_NOT: [&str; 16] = [
    "action",
    "attach",
    "enable_ipv4",
    "enable_ipv6",
    "init",
    "interval",
    "max_attempts",
    "path",
    "replicas",
    "required",
    "retries",
    "scale",
    "start_interval",
    "start_period",
    "stop_grace_period",
    "timeout",
];

/// Sections that are printed as `{}` where they are empty; others are left out.
const EMPTY_SECTIONS: [&str; 14] = [
    "bind",
    "blkio_config",
    "build",
    "credential_spec",
    "deploy",
    "develop",
    "healthcheck",
    "image",
    "limits",
    "logging",
    "reservations",
    "restart_policy",
    "tmpfs",
    "volume",
];

/// The whole project. Keys are sorted, but for the sections at the top.
pub(super) fn write(root: &Node) -> Node {
    let Some(map) = root.as_map() else { return root.clone() };
    let mut whole = Map::new();
    for (key, node) in map {
        let Some(shape) = schema::child("root", key).filter(|_| !key.starts_with("x-")) else {
            whole.insert(key.clone(), node.clone());
            continue;
        };
        let entries = node.as_map().into_iter().flatten();
        let mut section = Map::new();
        for (name, entry) in entries {
            let written = schema::child(shape, name).and_then(|shape| value(name, entry, shape));
            section.insert(
                name.clone(),
                written.unwrap_or_else(|| entry.like(Value::Map(Map::new()))),
            );
        }
        section.sort_keys();
        let section =
            if node.as_map().is_some() { node.like(Value::Map(section)) } else { node.clone() };
        whole.insert(key.clone(), section);
    }
    root.like(Value::Map(whole))
}

/// What may be a mapping or a list of `NAME=VALUE`.
fn pairs(key: &str, node: &Node, shape: &str) -> Value {
    let pairs = || mapping(Some(node)).into_iter();
    match (key, shape) {
        ("ssh", "environment") => Value::List(
            pairs()
                .map(|(id, path)| match path {
                    Some(path) if !path.is_empty() => node.text(format!("{id}={path}")),
                    _ => node.text(id),
                })
                .collect(),
        ),
        ("environment", "environment") => texts(node, |_| Value::Null),
        ("args", "environment") => Value::Map(
            pairs().filter_map(|(name, value)| Some((name, node.text(value?)))).collect(),
        ),
        _ => texts(node, |_| Value::Str(String::new())),
    }
}

/// What may be one text or several.
fn list(node: &Node) -> Value {
    let items = node.as_list().unwrap_or(std::slice::from_ref(node));
    Value::List(items.iter().map(as_text).collect())
}

/// `HOST=ADDRESS`, sorted.
fn hosts(node: &Node) -> Option<Value> {
    let mut hosts: Vec<String> = extra_hosts(node)
        .ok()?
        .into_iter()
        .flat_map(|(host, addresses)| {
            addresses.into_iter().map(move |address| format!("{host}={address}"))
        })
        .collect();
    hosts.sort();
    Some(Value::List(hosts.into_iter().map(|host| node.text(host)).collect()))
}

/// A value of a key, or nothing where compose leaves it out.
fn value(key: &str, node: &Node, shape: &str) -> Option<Node> {
    let text = || node.value.scalar_text();
    let written = match (key, shape) {
        ("shm_size", _) | (_, "size" | "size_num" | "memory") => Value::Str(match &node.value {
            Value::Int(number) => number.to_string(),
            _ => parse_bytes(&text()?)?.to_string(),
        }),
        (_, "duration") => Value::Str(go_duration(parse_duration(&text()?)?)),
        (_, "str_bool" | "bool") => Value::Bool(is_true(node)),
        (_, "integer" | "integer_num" | "int" | "int_num") | ("mode", "str_int_num") => {
            integer(node)?
        }
        (_, "fraction" | "fraction_num") => Value::Float(text()?.parse().ok()?),
        (_, "count") => match text()?.as_str() {
            "all" => Value::Int(-1),
            _ => integer(node)?,
        },
        (_, "secrets_item") => return Some(file_reference(node)),
        (_, "environment" | "options2" | "driver_opts" | "aux_addresses" | "map") => {
            pairs(key, node, shape)
        }
        ("options", "options") => {
            let lists = node.as_map()?.iter();
            Value::Map(lists.map(|(key, node)| (key.clone(), node.like(list(node)))).collect())
        }
        (_, "command") => return command(node),
        ("test", "extra_hosts_value") => match &node.value {
            Value::Str(text) => Value::List(vec![node.text("CMD-SHELL"), node.text(text.as_str())]),
            other => other.clone(),
        },
        (_, "extra_hosts") => hosts(node)?,
        (_, "expose" | "path") => list(node),
        (_, "gpus") if node.as_str().is_some() => {
            let all = Map::from_iter([("count".to_owned(), node.like(Value::Int(-1)))]);
            Value::List(vec![node.like(Value::Map(all))])
        }
        (_, "ulimits_value") => match integer(node) {
            // To compose, a limit of 0 is two.
            Some(number) if number != Value::Int(0) => number,
            _ => {
                let part = |key: &str| {
                    let value = node.get(key).and_then(integer).unwrap_or(Value::Int(0));
                    (key.to_owned(), node.like(value))
                };
                Value::Map(Map::from_iter([part("soft"), part("hard")]))
            }
        },
        ("published", _) => Value::Str(text()?),
        _ => return nested(key, node, shape),
    };
    let written = node.like(written);
    let is_left_out = is_zero(&written) && !GIVEN_OR_NOT.contains(&key) && shape != "count";
    (!is_left_out).then_some(written)
}

/// Lists and mappings, and scalars that stay as they are.
fn nested(key: &str, node: &Node, shape: &str) -> Option<Node> {
    match &node.value {
        Value::List(items) => {
            let shape = schema::item(shape).unwrap_or("anything");
            let item = |item: &Node| value(key, item, shape).unwrap_or_else(|| item.clone());
            let items: Vec<Node> = items.iter().map(item).collect();
            (!items.is_empty()).then(|| node.like(Value::List(items)))
        }
        Value::Map(map) => {
            let mut entries = Map::new();
            for (name, entry) in map {
                match schema::child(shape, name) {
                    // Own keys, and what the schema does not know.
                    None => drop(entries.insert(name.clone(), entry.clone())),
                    // A network or model that a service uses without more.
                    Some(_) if entry.is_null() && ["networks", "models"].contains(&shape) => {
                        entries.insert(name.clone(), entry.clone());
                    }
                    Some(shape) => {
                        entries
                            .extend(value(name, entry, shape).map(|entry| (name.clone(), entry)));
                    }
                }
            }
            defaults(shape, node, &mut entries);
            entries.sort_keys();
            let is_entry = ["networks_value", "models_value", "depends_on_value"].contains(&shape);
            let is_kept = !entries.is_empty() || is_entry || EMPTY_SECTIONS.contains(&key);
            is_kept.then(|| node.like(Value::Map(entries)))
        }
        _ => {
            let is_left_out = is_zero(node) && !GIVEN_OR_NOT.contains(&key);
            (!is_left_out).then(|| node.clone())
        }
    }
}

/// What compose fills in.
fn defaults(shape: &str, node: &Node, map: &mut Map) {
    match shape {
        "build" if !map.contains_key("dockerfile") && !map.contains_key("dockerfile_inline") => {
            map.insert("dockerfile".into(), node.text("Dockerfile"));
        }
        "ports_item" => {
            for (key, default) in [("mode", "ingress"), ("protocol", "tcp")] {
                map.entry(key.into()).or_insert_with(|| node.text(default));
            }
        }
        "gpus_item" | "devices_item"
            if !map.contains_key("count") && !map.contains_key("device_ids") =>
        {
            map.insert("count".into(), node.like(Value::Int(-1)));
        }
        "volumes_item" => {
            if let Some(target) = map.get_mut("target")
                && let Some(text) = target.as_str()
            {
                let clean = crate::compose::paths::clean(std::path::Path::new(text));
                *target = target.text(clean.to_string_lossy());
            }
        }
        _ => {}
    }
}

/// An entry of `secrets` or `configs`.
fn file_reference(node: &Node) -> Node {
    let mut map = node.as_map().cloned().unwrap_or_default();
    if let Some(mode) = map.get_mut("mode") {
        let number = match &mode.value {
            Value::Str(text) => i64::from_str_radix(text, 8).ok(),
            Value::Int(number) => Some(*number),
            _ => None,
        };
        if let Some(number) = number {
            *mode = mode.text(format!("0{number:o}"));
        }
    }
    map.retain(|_, value| !is_zero(value));
    map.sort_keys();
    node.like(Value::Map(map))
}

fn is_zero(node: &Node) -> bool {
    match &node.value {
        Value::Null | Value::Bool(false) | Value::Int(0) | Value::Uint(0) => true,
        Value::Float(number) => *number == 0.0,
        Value::Str(text) => text.is_empty() || text == "0",
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
        _ => false,
    }
}

fn as_text(node: &Node) -> Node {
    node.text(node.value.scalar_text().unwrap_or_default())
}

fn integer(node: &Node) -> Option<Value> {
    match &node.value {
        Value::Int(number) => Some(Value::Int(*number)),
        #[allow(clippy::cast_possible_truncation, reason = "a whole number that is written as 3.0")]
        Value::Float(number) => Some(Value::Int(*number as i64)),
        other => Some(Value::Int(other.scalar_text()?.parse().ok()?)),
    }
}

/// A boolean, or a text that says one.
pub(super) fn is_true(node: &Node) -> bool {
    match &node.value {
        Value::Bool(flag) => *flag,
        Value::Str(text) => ["true", "y", "yes", "on"].contains(&text.to_lowercase().as_str()),
        _ => false,
    }
}

/// `KEY: VALUE` or entries `KEY=VALUE`; no value is not an empty one.
pub(super) fn mapping(node: Option<&Node>) -> BTreeMap<String, Option<String>> {
    match node.map(|node| &node.value) {
        Some(Value::Map(map)) => map
            .iter()
            .map(|(key, node)| (key.clone(), node.value.scalar_text().filter(|_| !node.is_null())))
            .collect(),
        Some(Value::List(items)) => items
            .iter()
            .filter_map(|item| item.value.scalar_text())
            .map(|text| match text.split_once('=') {
                Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
                None => (text, None),
            })
            .collect(),
        _ => BTreeMap::new(),
    }
}

/// A mapping of texts; `absent` is what stands for no value.
fn texts(node: &Node, absent: impl Fn(&str) -> Value) -> Value {
    let value = |(key, value): (String, Option<String>)| {
        let value = value.map_or_else(|| absent(&key), Value::Str);
        (key, node.like(value))
    };
    Value::Map(mapping(Some(node)).into_iter().map(value).collect())
}

/// A command is a list of words, and an empty one is not the same as none.
fn command(node: &Node) -> Option<Node> {
    match &node.value {
        Value::Str(text) => {
            let words = words(text)?.into_iter().map(|word| node.text(word));
            Some(node.like(Value::List(words.collect())))
        }
        Value::List(_) => Some(node.clone()),
        _ => None,
    }
}

/// Nanoseconds as Go writes a duration: `1h30m0s`, `1.5s`, `500ms`.
fn go_duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let fraction = |value: u64, unit: u64, name: &str| {
        let digits = unit.to_string().len() - 1;
        let rest = format!("{:0digits$}", value % unit);
        let rest = rest.trim_end_matches('0');
        let point = if rest.is_empty() || digits == 0 { "" } else { "." };
        let rest = if digits == 0 { "" } else { rest };
        format!("{}{point}{rest}{name}", value / unit)
    };
    let text = match nanos {
        0 => "0s".to_owned(),
        1..1_000 => fraction(nanos, 1, "ns"),
        1_000..1_000_000 => fraction(nanos, 1_000, "µs"),
        1_000_000..1_000_000_000 => fraction(nanos, 1_000_000, "ms"),
        _ => {
            let minute = 60_000_000_000;
            let (minutes, rest) = (nanos / minute, nanos % minute);
            let seconds = fraction(rest, 1_000_000_000, "s");
            match (minutes / 60, minutes % 60) {
                (0, 0) => seconds,
                (0, minutes) => format!("{minutes}m{seconds}"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
            }
        }
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_go_does() {
        for (text, written) in [
            ("90s", "1m30s"),
            ("1h", "1h0m0s"),
            ("1.5s", "1.5s"),
            ("100ms", "100ms"),
            ("1500us", "1.5ms"),
            ("7ns", "7ns"),
            ("1d", "24h0m0s"),
            ("-1.25m", "-1m15s"),
            ("0", "0s"),
        ] {
            assert_eq!(parse_duration(text).map(go_duration).as_deref(), Some(written), "{text}");
        }
    }
}
