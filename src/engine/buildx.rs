//! Which builder `docker buildx` would build with. This program builds on the docker engine alone, so where
//! buildx would not, it says so.
//!
//! The order and the files are those of buildx (`commands/root.go`, `builder/builder.go`, `store/store.go`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::connector::Connector;
use super::docker_config;
use crate::files::read;

/// The name of the engine's own builder.
const ENGINE: &str = "default";

/// Whoever chose another builder than the engine of `connector`, one sentence; `None` where nobody did.
pub fn other_builder(
    environment: &BTreeMap<String, String>,
    home: Option<&Path>,
    connector: &Connector,
) -> Option<String> {
    let variable = |name: &str| environment.get(name).filter(|value| !value.is_empty());
    let is_engine = |name: &str| name == ENGINE || name == connector.context();
    let who = match variable("BUILDX_BUILDER") {
        Some(name) if is_engine(name) => return None,
        Some(name) => format!("BUILDX_BUILDER={name} is ignored"),
        None if variable("BUILDKIT_HOST").is_some() => "BUILDKIT_HOST is ignored".to_owned(),
        None => {
            let configured = || Some(docker_config::directory(environment, home)?.join("buildx"));
            let store = variable("BUILDX_CONFIG").map(PathBuf::from).or_else(configured)?;
            let name = current(&store, connector).filter(|name| !is_engine(name))?;
            format!("the builder `{name}`, which `docker buildx use` chose, is not used")
        }
    };
    Some(format!("{who}: the build goes to the docker engine at {}", connector.description()))
}

/// buildx's file `current`.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Current {
    /// The engine it was chosen for.
    key: String,
    name: String,
    /// Chosen for every engine.
    global: bool,
}

/// The builder that was chosen for this engine, unless it has been removed since. A store that cannot be
/// read counts as none: it belongs to another program.
fn current(store: &Path, connector: &Connector) -> Option<String> {
    let address = connector.address();
    // buildx: the context's name, or the address where no context is used.
    let key = if connector.context() == ENGINE { &address } else { connector.context() };
    let exists = |name: &String| store.join("instances").join(name).is_file();
    let current = read::bytes(&store.join("current"), read::TEXT).ok();
    let current = current.and_then(|text| docker_config::parse(&text).ok());
    let current: Current =
        current.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default();
    let chosen = !current.name.is_empty() && (current.global || current.key == *key);
    if chosen && exists(&current.name) {
        return Some(current.name);
    }
    if chosen && current.key == *key {
        return None;
    }
    let hash = hex::encode(Sha256::digest(key));
    let default = read::text(&store.join("defaults").join(&hash[..20]), read::TEXT).ok()?;
    Some(default).filter(exists)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn notice(variables: &[(&str, &str)], home: &Path) -> Option<String> {
        let environment = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        other_builder(&environment.collect(), Some(home), &Connector::unix("/d.sock"))
    }

    #[test]
    fn variables_that_choose_another_builder_are_named() {
        let home = tempfile::tempdir().unwrap();
        let notice = |variables: &[(&str, &str)]| notice(variables, home.path());
        let engine = "the build goes to the docker engine at unix:///d.sock";
        assert_eq!(
            notice(&[("BUILDX_BUILDER", "b"), ("BUILDKIT_HOST", "tcp://u:p@h")]).unwrap(),
            format!("BUILDX_BUILDER=b is ignored: {engine}")
        );
        assert_eq!(
            notice(&[("BUILDKIT_HOST", "tcp://u:p@h")]).unwrap(),
            format!("BUILDKIT_HOST is ignored: {engine}")
        );
        assert_eq!(notice(&[("BUILDX_BUILDER", ""), ("BUILDKIT_HOST", "")]), None);
        assert_eq!(notice(&[("BUILDX_BUILDER", "default"), ("BUILDKIT_HOST", "h")]), None);
        assert_eq!(notice(&[]), None);
    }

    /// The files as buildx 0.29.1 writes them: `create --name b`, `use b`, `use --default b`, `use --global b`.
    #[test]
    fn the_builder_that_buildx_would_use_is_named() {
        let home = tempfile::tempdir().unwrap();
        let store = home.path().join(".docker/buildx");
        let write = |file: &str, text: &str| {
            fs_err::create_dir_all(store.join(file).parent().unwrap()).unwrap();
            fs_err::write(store.join(file), text).unwrap();
        };
        let notice = || notice(&[], home.path());
        write("current", r#"{"Key":"unix:///d.sock","Name":"b","Global":false}"#);
        assert_eq!(notice(), None, "it is not a builder any more");
        write("instances/b", "{}");
        assert!(notice().unwrap().starts_with("the builder `b`, which `docker buildx use` chose,"));
        write("current", r#"{"Key":"unix:///other.sock","Name":"b","Global":false}"#);
        assert_eq!(notice(), None, "chosen for another engine");
        write("current", r#"{"Key":"unix:///other.sock","Name":"b","Global":true}"#);
        assert!(notice().is_some());
        write("current", r#"{"Key":"unix:///d.sock","Name":"","Global":false}"#);
        assert_eq!(notice(), None);
        let hash = hex::encode(Sha256::digest("unix:///d.sock"));
        write(&format!("defaults/{}", &hash[..20]), "b");
        assert!(notice().is_some());
        write("current", "not JSON");
        assert!(notice().is_some());
    }
}
