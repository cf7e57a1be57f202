//! buildx's files: a builder each below `instances`, and which one is in use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{Builder, Driver, Node};
use crate::engine::docker_config;
use crate::files::read;

/// Where buildx keeps its files: BUILDX_CONFIG, or beside docker's configuration.
pub(super) fn directory(
    environment: &BTreeMap<String, String>,
    home: Option<&Path>,
) -> Option<PathBuf> {
    let named = environment.get("BUILDX_CONFIG").filter(|path| !path.is_empty());
    named
        .map(PathBuf::from)
        .or_else(|| Some(docker_config::directory(environment, home)?.join("buildx")))
}

/// The files. Each is read when its content is asked for: a build needs one builder of many. A file that cannot be read
/// counts as missing, except a builder's, for which the reason is kept.
#[derive(Debug, Clone, Default)]
pub struct Store {
    pub(super) directory: Option<PathBuf>,
}

/// buildx's file `current`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Current {
    /// The engine it was chosen for.
    key: String,
    name: String,
    /// Chosen for every engine.
    global: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    name: String,
    #[serde(default)]
    driver: String,
    #[serde(default, deserialize_with = "or_default")]
    nodes: Vec<InstanceNode>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InstanceNode {
    name: String,
    #[serde(default)]
    endpoint: String,
    #[serde(default, deserialize_with = "or_default")]
    platforms: Vec<Platform>,
    #[serde(default, deserialize_with = "or_default")]
    driver_opts: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Platform {
    os: String,
    architecture: String,
    #[serde(default)]
    variant: String,
}

/// Go writes `null` for what is empty.
fn or_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl Store {
    /// The files below `directory`.
    pub(super) fn new(directory: Option<PathBuf>) -> Self {
        Self { directory }
    }

    /// The builder of this name; `None` where there is none, and what is wrong with its file where that cannot be read.
    pub fn builder(&self, name: &str) -> Option<Result<Builder, String>> {
        let file = self.instance(name)?;
        file.exists().then(|| {
            let text = read::text(&file, read::TEXT).map_err(|error| error.to_string())?;
            instance(&text)
        })
    }

    /// The names of all builders, in their order.
    pub fn names(&self) -> Vec<String> {
        let Some(directory) = &self.directory else { return Vec::new() };
        let Ok(entries) = fs_err::read_dir(directory.join("instances")) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// The builder that was chosen for the engine with this key, unless it has been removed since. The key is the name
    /// of a docker context, or the address where no context is used.
    pub(super) fn chosen(&self, key: &str) -> Option<String> {
        let exists = |name: &String| self.instance(name).is_some_and(|file| file.exists());
        let current: Current = self
            .text("current")
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        let Current { key: chosen_for, name, global } = current;
        let is_for_it = !name.is_empty() && (global || chosen_for == key);
        if is_for_it && exists(&name) {
            return Some(name);
        }
        if is_for_it && chosen_for == key {
            return None;
        }
        let hash = hex::encode(Sha256::digest(key));
        self.text(&format!("defaults/{}", &hash[..20])).filter(exists)
    }

    /// The file of a builder; `None` for a name that is a path.
    fn instance(&self, name: &str) -> Option<PathBuf> {
        let is_name = Path::new(name).file_name().is_some_and(|file| file == name);
        self.directory.as_ref().filter(|_| is_name).map(|it| it.join("instances").join(name))
    }

    fn text(&self, file: &str) -> Option<String> {
        read::text(&self.directory.as_ref()?.join(file), read::TEXT).ok()
    }
}

fn instance(text: &str) -> Result<Builder, String> {
    let instance: Instance = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let platform = |it: Platform| {
        let parts = [it.os, it.architecture, it.variant];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
    };
    let nodes = instance.nodes.into_iter().map(|node| Node {
        name: node.name,
        endpoint: node.endpoint,
        platforms: node.platforms.into_iter().map(platform).collect(),
        options: node.driver_opts,
    });
    Ok(Builder {
        driver: Driver::new(&instance.driver),
        nodes: nodes.collect(),
        name: instance.name,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// As buildx 0.29.1 writes it: `create --name big --driver remote --driver-opt ... tcp://build:1234`, then
    /// `create --append`.
    const REMOTE: &str = r#"{"Name":"big","Driver":"remote","Nodes":[
        {"Name":"big0","Endpoint":"tcp://build:1234","Platforms":null,"DriverOpts":{"servername":"build"},"Flags":null,"Files":null},
        {"Name":"big1","Endpoint":"tcp://arm:1234","Platforms":[{"architecture":"arm64","os":"linux"},{"architecture":"arm","os":"linux","variant":"v7"}],"DriverOpts":{},"Flags":["--debug"],"Files":{"buildkitd.toml":"AA=="}}],
        "Dynamic":false}"#;

    #[test]
    fn builders_are_read_and_broken_ones_told_of() {
        let home = tempfile::tempdir().unwrap();
        let instances = home.path().join("instances");
        fs_err::create_dir(&instances).unwrap();
        for (name, text) in [("big", REMOTE), ("half", "{\"Name\":"), ("empty", "{}")] {
            fs_err::write(instances.join(name), text).unwrap();
        }
        fs_err::create_dir(instances.join("folder")).unwrap();
        let store = Store::new(Some(home.path().to_owned()));
        let big = store.builder("big").unwrap().unwrap();
        assert_eq!((big.name.as_str(), &big.driver), ("big", &Driver::Remote));
        let nodes: Vec<_> = big.nodes.iter().map(|node| (&*node.name, &*node.endpoint)).collect();
        assert_eq!(nodes, [("big0", "tcp://build:1234"), ("big1", "tcp://arm:1234")]);
        assert_eq!(big.nodes[0].options["servername"], "build");
        assert_eq!(big.nodes[1].platforms, ["linux/arm64", "linux/arm/v7"]);
        assert_eq!(store.names(), ["big", "empty", "folder", "half"]);
        for broken in ["empty", "folder", "half"] {
            store.builder(broken).unwrap().unwrap_err();
        }
    }

    #[test]
    fn a_name_never_leads_out_of_the_folder() {
        let home = tempfile::tempdir().unwrap();
        fs_err::create_dir(home.path().join("instances")).unwrap();
        fs_err::write(home.path().join("outside"), REMOTE).unwrap();
        let store = Store::new(Some(home.path().to_owned()));
        let absolute = home.path().join("outside");
        for name in
            ["../outside", absolute.to_str().unwrap(), "instances/..", "..", ".", "", "none"]
        {
            assert!(store.builder(name).is_none(), "{name}");
        }
        fs_err::write(home.path().join("current"), r#"{"Key":"k","Name":"../outside"}"#).unwrap();
        assert_eq!(store.chosen("k"), None);
        assert!(Store::default().builder("big").is_none() && Store::default().names().is_empty());
    }

    /// The files as buildx 0.29.1 writes them: `use b`, `use --default b`, `use --global b`.
    #[test]
    fn the_builder_in_use_is_that_of_the_engine() {
        let home = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = home.path().join(file);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        };
        let store = Store::new(Some(home.path().to_owned()));
        let chosen = || store.chosen("unix:///d.sock");
        assert_eq!(chosen(), None);
        write("current", r#"{"Key":"unix:///d.sock","Name":"b","Global":false}"#);
        assert_eq!(chosen(), None, "it was removed");
        write("instances/b", r#"{"Name":"b","Driver":"remote"}"#);
        assert_eq!(chosen().unwrap(), "b");
        write("current", r#"{"Key":"unix:///other.sock","Name":"b","Global":false}"#);
        assert_eq!(chosen(), None, "chosen for another engine");
        write("current", r#"{"Key":"unix:///other.sock","Name":"b","Global":true}"#);
        assert_eq!(chosen().unwrap(), "b");
        write("current", r#"{"Key":"unix:///d.sock","Name":"","Global":false}"#);
        assert_eq!(chosen(), None);
        let hash = hex::encode(Sha256::digest("unix:///d.sock"));
        write(&format!("defaults/{}", &hash[..20]), "b");
        assert_eq!(chosen().unwrap(), "b");
        write("current", "not JSON");
        assert_eq!(chosen().unwrap(), "b");
        write("instances/b", "broken");
        assert_eq!(chosen().unwrap(), "b", "it is there, whatever is in it");
    }
}
