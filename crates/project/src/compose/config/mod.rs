//! The whole project as `docker compose config` prints it, with everything that a build does not need.
//!
//! It is made of the tree of which [`super::model`] takes what a build needs, so nothing is lost. `forms` writes each
//! value in compose's one form of it; this file chooses services, brings in what other files and services add to them
//! (`env_file`, `label_file`, links), and leaves out what nobody uses.

mod forms;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use indexmap::IndexSet;
use serde::Serialize;

use super::dotenv;
use super::error::ComposeError;
use super::model::Project;
use super::node::{Map, Node, Value};
use crate::nearest::did_you_mean;

/// A project to print.
#[derive(Debug, Clone)]
pub struct Config {
    root: Node,
    project: String,
    profiles: BTreeSet<String>,
    /// Warnings that the values of other files gave.
    pub warnings: Vec<String>,
}

impl Config {
    /// Of the services that are named and what they depend on, or of all that are enabled.
    ///
    /// # Errors
    /// A service that does not exist, or a file of variables that cannot be read.
    pub(super) fn new(
        project: &Project,
        mut root: Node,
        services: &[String],
    ) -> Result<Self, ComposeError> {
        let chosen = chosen(project, services)?;
        let profiles = project.services.values().flat_map(|service| service.profiles.clone());
        let profiles = profiles.collect();
        let mut warnings = IndexSet::new();
        let all = root.as_map_mut().and_then(|root| root.shift_remove("services"));
        let mut kept = Map::new();
        for (name, mut service) in all.into_iter().flat_map(into_entries) {
            if !chosen.contains(name.as_str()) || service.as_map().is_none() {
                continue;
            }
            complete(project, &mut service, &mut warnings)?;
            if !services.is_empty()
                && let Some(needed) = service.get_mut("depends_on").and_then(Node::as_map_mut)
            {
                needed.retain(|name, _| chosen.contains(name.as_str()));
            }
            kept.insert(name, service);
        }
        let used = Uses::by(&kept);
        let mut whole = Map::new();
        let name = root.text(project.name.as_str());
        whole.insert("name".into(), name);
        whole.insert("services".into(), root.like(Value::Map(kept)));
        for section in ["networks", "volumes", "secrets", "configs", "models"] {
            let resources = used.resources(project, &root, section);
            if !resources.is_empty() {
                whole.insert(section.into(), root.like(Value::Map(resources)));
            }
        }
        let own = root.as_map().into_iter().flatten().filter(|(key, _)| key.starts_with("x-"));
        whole.extend(own.map(|(key, node)| (key.clone(), node.clone())));
        let root = forms::write(&root.like(Value::Map(whole)));
        let warnings = warnings.into_iter().collect();
        Ok(Self { root, project: project.name.clone(), profiles, warnings })
    }

    /// Names of the services, sorted.
    pub fn services(&self) -> Vec<String> {
        self.names("services")
    }

    /// Names of a top-level section such as `volumes`, sorted.
    pub fn names(&self, section: &str) -> Vec<String> {
        let entries = self.root.get(section).and_then(Node::as_map).into_iter().flatten();
        let names: BTreeSet<&String> = entries.map(|(name, _)| name).collect();
        names.into_iter().cloned().collect()
    }

    /// The image of each service: what it names, or what compose calls it.
    pub fn images(&self) -> Vec<String> {
        let services = self.services();
        let node = |name: &str| self.root.get("services").and_then(|services| services.get(name));
        let image = |name: &String| {
            let named = node(name).and_then(|service| service.get("image")).and_then(Node::as_str);
            named.map_or_else(|| format!("{}-{name}", self.project), str::to_owned)
        };
        services.iter().map(image).collect()
    }

    /// Profiles that services belong to, whether or not they are enabled.
    pub fn profiles(&self) -> Vec<String> {
        self.profiles.iter().cloned().collect()
    }

    /// The project in YAML. Dollar signs are doubled: it can be read as a compose file.
    ///
    /// # Errors
    /// What the writer says.
    pub fn yaml(&self) -> Result<String, ComposeError> {
        text::yaml(&self.root)
    }

    /// The same in JSON.
    ///
    /// # Errors
    /// What the writer says.
    pub fn json(&self) -> Result<String, ComposeError> {
        text::json(&self.root)
    }
}

fn into_entries(node: Node) -> Map {
    match node.value {
        Value::Map(map) => map,
        _ => Map::new(),
    }
}

/// Names of services to print: those asked for, or the enabled ones, with what they depend on where some are asked for.
fn chosen<'a>(
    project: &'a Project,
    asked: &'a [String],
) -> Result<BTreeSet<&'a str>, ComposeError> {
    if asked.is_empty() {
        return Ok(project.enabled().map(|service| service.name.as_str()).collect());
    }
    let mut profiles = project.profiles.clone();
    for name in asked {
        match project.services.get(name) {
            Some(service) if service.is_enabled(&project.profiles) => {}
            Some(service) => profiles.extend(service.profiles.clone()),
            None => {
                let error = ComposeError::usage(format!("no such service: {name}"));
                let hint = did_you_mean(name, project.services.keys().map(String::as_str));
                return Err(hint.map_or(error.clone(), |hint| error.hint(hint)));
            }
        }
    }
    let mut chosen = BTreeSet::new();
    let mut open: Vec<&str> = asked.iter().map(String::as_str).collect();
    while let Some(name) = open.pop() {
        let service = project.services.get(name);
        if let Some(service) = service.filter(|service| service.is_enabled(&profiles))
            && chosen.insert(service.name.as_str())
        {
            open.extend(service.depends_on.keys().map(String::as_str));
        }
    }
    Ok(chosen)
}

/// Brings in what other files and services add to a service.
fn complete(
    project: &Project,
    service: &mut Node,
    warnings: &mut IndexSet<String>,
) -> Result<(), ComposeError> {
    let inherited = |node: Option<&Node>| {
        let mut values = forms::mapping(node);
        for (name, value) in &mut values {
            if value.is_none() {
                *value = project.environment.get(name).cloned();
            }
        }
        values
    };
    let own = inherited(service.get("environment"));
    // Arguments that are left without a value vanish.
    if let Some(args) = service.get_mut("build").and_then(|build| build.get_mut("args")) {
        let values = inherited(Some(args)).into_iter();
        let values = values.filter_map(|(name, value)| Some((name, args.text(value?))));
        args.value = Value::Map(values.collect());
    }
    let mut environment = files(project, service, "env_file", &own, warnings)?;
    environment.extend(own);
    let mut labels = files(project, service, "label_file", &BTreeMap::new(), warnings)?;
    let declared = forms::mapping(service.get("labels"));
    labels.extend(
        declared.into_iter().map(|(name, value)| (name, value.or_else(|| Some(String::new())))),
    );
    implied(service);
    let place = service.clone();
    let Some(map) = service.as_map_mut() else { return Ok(()) };
    for (key, values) in [("environment", environment), ("labels", labels)] {
        map.shift_remove(key);
        if !values.is_empty() {
            let node = |value: Option<String>| place.like(value.map_or(Value::Null, Value::Str));
            let values = values.into_iter().map(|(name, value)| (name, node(value)));
            map.insert(key.into(), place.like(Value::Map(values.collect())));
        }
    }
    for key in ["env_file", "label_file", "extends"] {
        map.shift_remove(key);
    }
    complete_keys(map, &place);
    Ok(())
}

/// What compose adds to keys, and says in another form.
fn complete_keys(map: &mut Map, place: &Node) {
    // Secrets have a place of their own in a container, not in a build.
    if let Some(Value::List(secrets)) = map.get_mut("secrets").map(|secrets| &mut secrets.value) {
        for secret in secrets {
            let source = secret.get("source").and_then(Node::as_str).unwrap_or_default();
            let target = secret.text(format!("/run/secrets/{source}"));
            if let Some(secret) = secret.as_map_mut() {
                secret.entry("target".into()).or_insert(target);
            }
        }
    }
    // Two keys for one number.
    if let Some(scale) = map.get("scale").cloned()
        && let Some(deploy) = map.get_mut("deploy").and_then(Node::as_map_mut)
    {
        deploy.insert("replicas".into(), scale);
    }
    if map.get("pull_policy").and_then(Node::as_str) == Some("if_not_present") {
        map.insert("pull_policy".into(), place.text("missing"));
    }
    let is_connected = ["provider", "network_mode"].iter().all(|key| !map.contains_key(*key));
    let networks = map.get("networks").and_then(Node::as_map);
    if is_connected && networks.is_none_or(Map::is_empty) {
        let default = Map::from_iter([("default".to_owned(), place.like(Value::Null))]);
        map.insert("networks".into(), place.like(Value::Map(default)));
    }
}

/// Reads the files that a key of a service names. Variables in them see the project's, then `own`.
fn files(
    project: &Project,
    service: &Node,
    key: &str,
    own: &BTreeMap<String, Option<String>>,
    warnings: &mut IndexSet<String>,
) -> Result<BTreeMap<String, Option<String>>, ComposeError> {
    let Some(node) = service.get(key) else { return Ok(BTreeMap::new()) };
    let mut visible = BTreeMap::new();
    if key == "env_file" {
        visible.extend(own.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))));
        visible.extend(project.environment.clone());
    }
    let mut values = BTreeMap::new();
    for item in node.as_list().unwrap_or(std::slice::from_ref(node)) {
        let path = item.as_str().or_else(|| item.get("path")?.as_str()).unwrap_or_default();
        let required = item.get("required").is_none_or(forms::is_true);
        let path = PathBuf::from(path);
        if !required && !path.exists() {
            continue;
        }
        if key == "label_file" && !path.exists() {
            let message = format!("label file {} does not exist", path.display());
            return Err(ComposeError::at(item.start(), message));
        }
        let raw = item.get("format").and_then(Node::as_str) == Some("raw");
        let read = if raw {
            dotenv::read_raw(&path)
        } else {
            dotenv::read_files(std::slice::from_ref(&path), &visible, warnings)
        };
        let read = read.map_err(|mut error| {
            error.place.get_or_insert_with(|| item.start().clone());
            error
        })?;
        visible.extend(
            read.iter()
                .filter(|(name, _)| !project.environment.contains_key(*name))
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        values.extend(read.into_iter().map(|(name, value)| (name, Some(value))));
    }
    Ok(values)
}

/// Dependencies that links, shared namespaces and volumes of others imply.
fn implied(service: &mut Node) {
    let mut needed: Vec<(String, bool)> = Vec::new();
    let texts = |key: &str| -> Vec<String> {
        let items = service.get(key).and_then(Node::as_list).unwrap_or_default();
        items.iter().filter_map(Node::as_str).map(str::to_owned).collect()
    };
    for link in texts("links") {
        let name = match link.split(':').collect::<Vec<_>>()[..] {
            [name, _] => name.to_owned(),
            _ => link,
        };
        needed.push((name, true));
    }
    for key in ["network_mode", "ipc", "pid", "uts", "cgroup"] {
        let shared = service.get(key).and_then(Node::as_str);
        needed.extend(
            shared
                .and_then(|text| text.strip_prefix("service:"))
                .map(|name| (name.to_owned(), true)),
        );
    }
    for source in texts("volumes_from") {
        if !source.starts_with("container:") {
            let name = source.split(':').next().unwrap_or_default().to_owned();
            needed.push((name, false));
        }
    }
    if needed.is_empty() {
        return;
    }
    let place = service.clone();
    let Some(map) = service.as_map_mut() else { return };
    let node = map.entry("depends_on".into()).or_insert_with(|| place.like(Value::Map(Map::new())));
    let Some(depends_on) = node.as_map_mut() else { return };
    for (name, restart) in needed {
        depends_on.entry(name).or_insert_with(|| {
            place.like(Value::Map(Map::from_iter([
                ("condition".to_owned(), place.text("service_started")),
                ("restart".to_owned(), place.like(Value::Bool(restart))),
                ("required".to_owned(), place.like(Value::Bool(true))),
            ])))
        });
    }
}

/// Top-level resources that services use, by section and name.
struct Uses(BTreeSet<(&'static str, String)>);

impl Uses {
    fn by(services: &Map) -> Self {
        let mut used = BTreeSet::new();
        for service in services.values() {
            for section in ["networks", "models"] {
                let names = service.get(section).and_then(Node::as_map).into_iter().flatten();
                used.extend(names.map(|(name, _)| (section, name.clone())));
            }
            let sources = |node: Option<&Node>| -> Vec<String> {
                let items = node.and_then(Node::as_list).unwrap_or_default();
                let is_volume = |item: &&Node| {
                    item.get("type").and_then(Node::as_str).is_none_or(|kind| kind == "volume")
                };
                let source = |item: &Node| item.get("source")?.as_str().map(str::to_owned);
                items.iter().filter(is_volume).filter_map(source).collect()
            };
            for section in ["volumes", "secrets", "configs"] {
                used.extend(sources(service.get(section)).into_iter().map(|name| (section, name)));
            }
            let build = service.get("build").and_then(|build| build.get("secrets"));
            used.extend(sources(build).into_iter().map(|name| ("secrets", name)));
        }
        Self(used)
    }

    /// Those of a section, with the names that the engine knows them by.
    fn resources(&self, project: &Project, root: &Node, section: &'static str) -> Map {
        let mut resources = Map::new();
        for (_, name) in self.0.iter().filter(|(of, _)| *of == section) {
            let declared = root.get(section).and_then(|section| section.get(name));
            if declared.is_none() && (section, name.as_str()) != ("networks", "default") {
                continue;
            }
            let mut resource = declared
                .unwrap_or(root)
                .like(Value::Map(declared.and_then(Node::as_map).cloned().unwrap_or_default()));
            let external = resource.get("external").is_some_and(forms::is_true);
            let plain = if external { name.clone() } else { format!("{}_{name}", project.name) };
            let place = resource.text(plain);
            if let Some(map) = resource.as_map_mut() {
                if section != "models" {
                    map.entry("name".into()).or_insert(place);
                }
                if section == "configs" && map.contains_key("environment") {
                    map.shift_remove("content");
                }
            }
            resources.insert(name.clone(), resource);
        }
        resources
    }
}

/// A tree as it is written: values without their places.
struct Tree<'a>(&'a Node);

impl Serialize for Tree<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.value {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(flag) => serializer.serialize_bool(*flag),
            Value::Int(number) => serializer.serialize_i64(*number),
            Value::Uint(number) => serializer.serialize_u64(*number),
            Value::Float(number) => serializer.serialize_f64(*number),
            Value::Str(text) | Value::Timestamp(text) => serializer.serialize_str(text),
            Value::List(items) => serializer.collect_seq(items.iter().map(Tree)),
            Value::Map(map) => {
                serializer.collect_map(map.iter().map(|(key, node)| (key, Tree(node))))
            }
        }
    }
}
