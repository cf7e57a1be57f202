//! The merged tree to the types of [`super::model`], with compose's coercions.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexSet;

use super::error::{ComposeError, Place};
use super::model::{
    BuildSection, Dependency, Resource, Secret, SecretUse, Service, Ulimit, not_utf8,
};
use super::node::{Map, Node, Value};
use super::runtime::runtime;

/// What decoding needs besides the tree.
pub(super) struct Decoder<'a> {
    pub(super) environment: &'a BTreeMap<String, String>,
    /// Names of variables that are set and not UTF-8.
    pub(super) not_utf8: &'a BTreeSet<String>,
    pub(super) warnings: &'a mut IndexSet<String>,
}

impl Decoder<'_> {
    /// A service in canonical form.
    pub(super) fn service(&mut self, name: &str, node: &Node) -> Result<Service, ComposeError> {
        let build = match node.get("build") {
            None => None,
            Some(build) => Some(self.build(name, build)?),
        };
        Ok(Service {
            name: name.to_owned(),
            place: node.start().clone(),
            image: text(node, "image").filter(|image| !image.is_empty()),
            image_place: node.get("image").map(|image| image.place.clone()),
            platform: text(node, "platform").filter(|platform| !platform.is_empty()),
            pull_policy: text(node, "pull_policy"),
            profiles: list(node, "profiles"),
            depends_on: self.dependencies(node)?,
            build,
            runtime: runtime(node),
        })
    }

    fn build(&mut self, service: &str, node: &Node) -> Result<BuildSection, ComposeError> {
        let map = node.as_map().ok_or_else(|| {
            ComposeError::at(&node.place, format!("services.{service}.build must be a mapping"))
        })?;
        let inline = text(node, "dockerfile_inline");
        let dockerfile = match text(node, "dockerfile") {
            None if inline.is_none() => Some("Dockerfile".to_owned()),
            given => given,
        };
        let mut ulimits = BTreeMap::new();
        for (name, limit) in entries(node, "ulimits") {
            ulimits.insert(name.clone(), ulimit(name, limit)?);
        }
        Ok(BuildSection {
            place: node.start().clone(),
            keys: map.iter().map(|(key, node)| (key.clone(), node.start().clone())).collect(),
            context: text(node, "context").unwrap_or_else(|| ".".into()),
            dockerfile,
            dockerfile_inline: inline,
            args: self.args(node.get("args"))?,
            additional_contexts: entries(node, "additional_contexts")
                .map(|(name, node)| (name.clone(), node.value.scalar_text().unwrap_or_default()))
                .collect(),
            cache_from: list(node, "cache_from"),
            cache_to: list(node, "cache_to"),
            secrets: node
                .get("secrets")
                .and_then(Node::as_list)
                .map_or(Vec::new(), |items| items.iter().map(secret_use).collect()),
            ssh: entries(node, "ssh")
                .map(|(id, node)| (id.clone(), node.value.scalar_text().unwrap_or_default()))
                .collect(),
            platforms: list(node, "platforms"),
            network: text(node, "network").filter(|network| !network.is_empty()),
            shm_size: node.get("shm_size").map_or(Ok(0), bytes)?,
            ulimits,
            extra_hosts: node.get("extra_hosts").map_or(Ok(BTreeMap::new()), extra_hosts)?,
            labels: node.get("labels").map_or_else(BTreeMap::new, labels),
            tags: list(node, "tags"),
            target: text(node, "target").filter(|target| !target.is_empty()),
            no_cache: self.flag(node.get("no_cache"))?,
            no_cache_filter: list(node, "no_cache_filter"),
            pull: self.flag(node.get("pull"))?,
            privileged: self.flag(node.get("privileged"))?,
            entitlements: list(node, "entitlements"),
            isolation: text(node, "isolation").filter(|isolation| !isolation.is_empty()),
            provenance: text(node, "provenance").filter(|value| !value.is_empty()),
            sbom: text(node, "sbom").filter(|value| !value.is_empty()),
        })
    }

    /// Arguments without a value take it from the environment or vanish.
    fn args(&self, node: Option<&Node>) -> Result<BTreeMap<String, String>, ComposeError> {
        let mut args = BTreeMap::new();
        let mut add = |name: &str, value: Option<String>, place: &Place| {
            let value = value.or_else(|| self.environment.get(name).cloned());
            if value.is_none() && self.not_utf8.contains(name) {
                return Err(ComposeError::at(place, not_utf8(name)));
            }
            args.extend(value.map(|value| (name.to_owned(), value)));
            Ok(())
        };
        match node.map(|node| &node.value) {
            Some(Value::Map(map)) => {
                for (name, node) in map {
                    let value = node.value.scalar_text().filter(|_| !node.is_null());
                    add(name, value, node.start())?;
                }
            }
            Some(Value::List(items)) => {
                for item in items {
                    let entry = item.as_str().unwrap_or_default();
                    let (name, value) = match entry.split_once('=') {
                        Some((name, value)) => (name, Some(value.to_owned())),
                        None => (entry, None),
                    };
                    // Without a value the argument vanishes before its name is looked at.
                    let given = value.is_some() || self.environment.contains_key(name);
                    if given && name.ends_with(char::is_whitespace) {
                        let message = format!("build argument `{name}` ends with a space");
                        return Err(ComposeError::at(&item.place, message));
                    }
                    add(name, value, &item.place)?;
                }
            }
            _ => {}
        }
        Ok(args)
    }

    /// A boolean, or a string that says one.
    pub(super) fn flag(&mut self, node: Option<&Node>) -> Result<bool, ComposeError> {
        let Some(node) = node else { return Ok(false) };
        let text = match &node.value {
            Value::Bool(flag) => return Ok(*flag),
            Value::Str(text) => text,
            other => {
                let message = format!("expected a boolean, not {}", other.kind());
                return Err(ComposeError::at(&node.place, message));
            }
        };
        let (flag, plain) = match text.to_lowercase().as_str() {
            "true" => return Ok(true),
            "false" => return Ok(false),
            "y" | "yes" | "on" => (true, "true"),
            "n" | "no" | "off" => (false, "false"),
            _ => {
                let message = format!("invalid boolean `{text}`");
                return Err(ComposeError::at(&node.place, message));
            }
        };
        self.warnings.insert(format!(
            "\"{text}\" for boolean is not supported by YAML 1.2, please use `{plain}`"
        ));
        Ok(flag)
    }

    fn dependencies(
        &mut self,
        service: &Node,
    ) -> Result<BTreeMap<String, Dependency>, ComposeError> {
        let mut all = BTreeMap::new();
        for (name, node) in entries(service, "depends_on") {
            let required = self.flag(node.get("required"))?;
            all.insert(name.clone(), Dependency { required, place: node.start().clone() });
        }
        let mut imply = |name: &str, node: &Node| {
            let place = node.start().clone();
            all.entry(name.to_owned()).or_insert(Dependency { required: true, place });
        };
        for link in service.get("links").and_then(Node::as_list).into_iter().flatten() {
            let text = link.as_str().unwrap_or_default();
            let parts: Vec<&str> = text.split(':').collect();
            imply(if parts.len() == 2 { parts[0] } else { text }, link);
        }
        for key in ["network_mode", "ipc", "pid", "uts", "cgroup"] {
            if let Some(node) = service.get(key)
                && let Some(name) = node.as_str().and_then(|text| text.strip_prefix("service:"))
            {
                imply(name, node);
            }
        }
        for volumes in service.get("volumes_from").and_then(Node::as_list).into_iter().flatten() {
            let text = volumes.as_str().unwrap_or_default();
            if !text.starts_with("container:") {
                imply(text.split(':').next().unwrap_or(text), volumes);
            }
        }
        Ok(all)
    }

    /// A top-level secret.
    pub(super) fn secret(&mut self, node: &Node) -> Result<Secret, ComposeError> {
        Ok(Secret {
            place: node.start().clone(),
            file: text(node, "file").filter(|file| !file.is_empty()),
            environment: text(node, "environment").filter(|name| !name.is_empty()),
            external: self.flag(node.get("external"))?,
        })
    }

    /// A top-level volume or network called `key` of the project called `project`.
    pub(super) fn resource(
        &mut self,
        project: &str,
        key: &str,
        node: &Node,
    ) -> Result<Resource, ComposeError> {
        let external = self.flag(node.get("external"))?;
        let name = text(node, "name")
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| if external { key.to_owned() } else { format!("{project}_{key}") });
        Ok(Resource { name, external })
    }
}

fn text(node: &Node, key: &str) -> Option<String> {
    node.get(key).and_then(Node::as_str).map(str::to_owned)
}

fn entries<'a>(node: &'a Node, key: &str) -> impl Iterator<Item = (&'a String, &'a Node)> {
    node.get(key).and_then(Node::as_map).map(Map::iter).into_iter().flatten()
}

/// A string or a list of strings.
fn list(node: &Node, key: &str) -> Vec<String> {
    match node.get(key).map(|node| &node.value) {
        Some(Value::Str(text)) => vec![text.clone()],
        Some(Value::List(items)) => {
            items.iter().filter_map(Node::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

fn secret_use(node: &Node) -> SecretUse {
    SecretUse {
        source: text(node, "source").unwrap_or_default(),
        target: text(node, "target").filter(|target| !target.is_empty()),
        has_mount_options: ["uid", "gid", "mode"].iter().any(|key| node.get(key).is_some()),
        place: node.place.clone(),
    }
}

fn ulimit(name: &str, node: &Node) -> Result<Ulimit, ComposeError> {
    let number = |node: &Node| match node.value {
        Value::Int(number) => Ok(number),
        _ => Err(ComposeError::at(&node.place, format!("ulimit {name} must be an integer"))),
    };
    match node.as_map() {
        None => Ok(Ulimit::Single(number(node)?)),
        Some(map) => {
            let part = |key: &str| map.get(key).map_or(Ok(0), number);
            Ok(Ulimit::Range { soft: part("soft")?, hard: part("hard")? })
        }
    }
}

fn labels(node: &Node) -> BTreeMap<String, String> {
    match &node.value {
        Value::Map(map) => map
            .iter()
            .map(|(name, node)| (name.clone(), node.value.scalar_text().unwrap_or_default()))
            .collect(),
        Value::List(items) => items
            .iter()
            .filter_map(Node::as_str)
            .map(|entry| entry.split_once('=').unwrap_or((entry, "")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        _ => BTreeMap::new(),
    }
}

/// `HOST: ADDRESS`, `HOST: [ADDRESSES]`, `HOST=ADDRESS` or `HOST:ADDRESS`; brackets around IPv6
/// addresses are dropped.
pub(super) fn extra_hosts(node: &Node) -> Result<BTreeMap<String, Vec<String>>, ComposeError> {
    let bare = |address: &str| {
        let inner = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        inner.filter(|inner| !inner.is_empty()).unwrap_or(address).to_owned()
    };
    let mut hosts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let check = |host: &str, place| {
        if host.is_empty() || host.contains([':', '=']) {
            return Err(ComposeError::at(place, format!("bad host name `{host}` in extra_hosts")));
        }
        Ok(())
    };
    match &node.value {
        Value::Map(map) => {
            for (host, addresses) in map {
                check(host, addresses.start())?;
                let list = match &addresses.value {
                    Value::List(items) => items.iter().filter_map(Node::as_str).map(bare).collect(),
                    other => vec![bare(&other.scalar_text().unwrap_or_default())],
                };
                hosts.insert(host.clone(), list);
            }
        }
        Value::List(items) => {
            for item in items {
                let entry = item.as_str().unwrap_or_default();
                let pair = entry.split_once('=').or_else(|| entry.split_once(':'));
                let Some((host, addresses)) = pair else {
                    let message = format!("extra_hosts entry `{entry}` lacks an address");
                    return Err(ComposeError::at(&item.place, message).hint("write HOST=ADDRESS"));
                };
                check(host, &item.place)?;
                hosts.entry(host.to_owned()).or_default().extend(addresses.split(',').map(bare));
            }
        }
        _ => {}
    }
    Ok(hosts)
}

/// A number of bytes with an optional binary unit: `64m`, `1.5 GB`, `2GiB`.
fn bytes(node: &Node) -> Result<i64, ComposeError> {
    let text = node.value.scalar_text().unwrap_or_default();
    parse_bytes(&text).ok_or_else(|| {
        ComposeError::at(&node.place, format!("invalid size `{text}`"))
            .hint("write bytes, or a number with a unit such as 64m or 2g")
    })
}

pub(super) fn parse_bytes(text: &str) -> Option<i64> {
    let split = text.rfind(|char: char| char.is_ascii_digit() || char == '.' || char == ' ')? + 1;
    let (number, unit) = text.split_at(split);
    let number = number.strip_suffix(' ').unwrap_or(number);
    let number: f64 = number.parse().ok().filter(|number: &f64| *number >= 0.0)?;
    let exponent = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return None,
    };
    #[allow(clippy::cast_possible_truncation, reason = "a size is rounded down to whole bytes")]
    Some((number * 1024f64.powi(exponent)) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_sizes_as_compose_does() {
        for (text, size) in [
            ("67108864", Some(67_108_864)),
            ("64m", Some(67_108_864)),
            ("64MB", Some(67_108_864)),
            ("1.5 GiB", Some(1_610_612_736)),
            ("2kib", Some(2048)),
            ("10b", Some(10)),
            ("-1", None),
            ("m", None),
            ("1x", None),
            ("", None),
        ] {
            assert_eq!(parse_bytes(text), size, "{text}");
        }
    }
}
