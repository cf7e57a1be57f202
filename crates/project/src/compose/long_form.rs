//! The short forms of volumes, ports and devices, as compose reads them (compose-go `format/volume.go`, go-connections
//! `nat`). What cannot be read stays as it is.

use super::format::{is_drive, volume_sections};
use super::node::{Map, Node, Value};
use super::ports::{Port, read_ports};

/// Rewrites an entry of `volumes`.
pub(super) fn volume(item: &mut Node) {
    let Some(sections) = item.as_str().and_then(volume_sections) else { return };
    let (source, target) = match sections[..] {
        [target] => (None, target),
        [source, target, ..] => (Some(source), target),
        [] => return,
    };
    let is_path = source.is_some_and(|source| {
        source.starts_with(['.', '/', '~']) || source.starts_with(r"\\") || is_drive(source)
    });
    let mut map = Map::new();
    let mut options = Map::new();
    map.insert("type".into(), item.text(if is_path { "bind" } else { "volume" }));
    if let Some(source) = source {
        map.insert("source".into(), item.text(source));
    }
    map.insert("target".into(), item.text(clean_target(target)));
    for option in sections.get(2).into_iter().flat_map(|options| options.split(',')) {
        match option {
            "ro" => drop(map.insert("read_only".into(), item.like(Value::Bool(true)))),
            "rw" => drop(map.shift_remove("read_only")),
            "nocopy" => drop(options.insert("nocopy".into(), item.like(Value::Bool(true)))),
            "z" | "Z" => drop(options.insert("selinux".into(), item.text(option))),
            "rprivate" | "private" | "rshared" | "shared" | "rslave" | "slave" => {
                options.insert("propagation".into(), item.text(option));
            }
            _ => {}
        }
    }
    let known: &[&str] = if is_path { &["selinux", "propagation"] } else { &["nocopy"] };
    options.retain(|key, _| known.contains(&key.as_str()));
    if is_path {
        options.insert("create_host_path".into(), item.like(Value::Bool(true)));
    }
    // compose reads such a short text by another way.
    if sections.len() > 1 || target.len() > 2 {
        let kind = if is_path { "bind" } else { "volume" };
        map.insert(kind.into(), item.like(Value::Map(options)));
    }
    item.value = Value::Map(map);
}

/// Go's `path.Clean` for what is not empty.
fn clean_target(target: &str) -> String {
    super::paths::clean(std::path::Path::new(target)).to_string_lossy().into_owned()
}

/// Rewrites an entry of `devices`.
pub(super) fn device(item: &mut Node) {
    let Some(text) = item.as_str() else { return };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, permissions) = match parts[..] {
        [source] => (source, source, "rwm"),
        [source, target] => (source, target, "rwm"),
        [source, target, permissions] => (source, target, permissions),
        _ => return,
    };
    let target = if target.is_empty() { source } else { target };
    let parts = [("source", source), ("target", target), ("permissions", permissions)];
    let map = parts.map(|(key, value)| (key.to_owned(), item.text(value)));
    item.value = Value::Map(Map::from_iter(map));
}

/// The ports of a list of ranges that are told one by one: as many as there are.
const MOST_PORTS: usize = 1 << 16;

/// Rewrites `ports`: a range is an entry for each port.
pub(super) fn ports(items: &mut Vec<Node>) {
    for item in std::mem::take(items) {
        let count = items.len();
        items.extend(expanded(item, MOST_PORTS.saturating_sub(count)));
    }
}

/// The entries that an entry of `ports` stands for, at most `most`.
fn expanded(item: Node, most: usize) -> Vec<Node> {
    let text = match &item.value {
        Value::Str(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        _ => return vec![item],
    };
    let Some(mut ports) = read_ports(&text).filter(|ports| ports.len() <= most) else {
        return vec![item];
    };
    // compose sorts them by their names, which are texts.
    ports.sort_by_key(|port| port.target.to_string());
    let entry = |port: Port| {
        let mut map = Map::new();
        map.insert("mode".into(), item.text("ingress"));
        if !port.host.is_empty() {
            map.insert("host_ip".into(), item.text(port.host));
        }
        map.insert("target".into(), item.like(Value::Int(port.target.into())));
        if !port.published.is_empty() {
            map.insert("published".into(), item.text(port.published));
        }
        map.insert("protocol".into(), item.text(port.protocol));
        item.like(Value::Map(map))
    };
    ports.into_iter().map(entry).collect()
}
