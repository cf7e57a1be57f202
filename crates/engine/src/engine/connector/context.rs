//! Docker contexts: named engine addresses with their certificates, under `~/.docker/contexts`.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::error::{ConnectError, ConnectErrorKind};
use crate::engine::docker_config;
use crate::files::read;

/// The name that stands for "no context: DOCKER_HOST or the default socket".
pub(crate) const DEFAULT_CONTEXT: &str = "default";

/// The docker endpoint of a context.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ContextEndpoint {
    /// Address; empty in a context that only names certificates.
    pub(crate) host: String,
    /// Accept any certificate of the engine.
    pub(crate) skip_tls_verify: bool,
    /// Folder with ca.pem, cert.pem, key.pem; `None` when the context has no certificates.
    pub(crate) certificates: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    #[serde(default)]
    endpoints: std::collections::BTreeMap<String, EndpointMeta>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct EndpointMeta {
    host: String,
    #[serde(rename = "SkipTLSVerify")]
    skip_tls_verify: bool,
}

/// Reads a context from the docker configuration directory. Folders are named by the SHA-256 of
/// the context's name (docker/cli `context/store`).
pub(crate) fn load(config: &Path, name: &str) -> Result<ContextEndpoint, ConnectError> {
    let settings = |message| ConnectError::new(ConnectErrorKind::Settings, message);
    let folder = hex::encode(Sha256::digest(name.as_bytes()));
    let path = config.join("contexts/meta").join(&folder).join("meta.json");
    let text = read::bytes(&path, read::TEXT).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            let known = names(config);
            let error = settings(format!("docker context `{name}` does not exist"));
            match known.as_slice() {
                [] => error.hint("no docker contexts are defined; use -H to name an engine"),
                known => error.hint(format!("contexts are: default, {}", known.join(", "))),
            }
        }
        _ => settings(format!("cannot read docker context `{name}`: {error}")),
    })?;
    let meta = docker_config::parse(&text).and_then(serde_json::from_value::<Meta>);
    let meta = meta.map_err(|error| {
        settings(format!("docker context `{name}` is broken: {}: {error}", path.display()))
    })?;
    let endpoint = meta
        .endpoints
        .into_iter()
        .find(|(kind, _)| kind == "docker")
        .map(|(_, endpoint)| endpoint)
        .ok_or_else(|| settings(format!("docker context `{name}` has no docker endpoint")))?;
    let certificates = config.join("contexts/tls").join(&folder).join("docker");
    Ok(ContextEndpoint {
        host: endpoint.host,
        skip_tls_verify: endpoint.skip_tls_verify,
        certificates: certificates.is_dir().then_some(certificates),
    })
}

/// Names of the contexts that are defined, sorted; unreadable ones are left out.
pub(crate) fn names(config: &Path) -> Vec<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Name {
        name: String,
    }
    let Ok(folders) = fs_err::read_dir(config.join("contexts/meta")) else { return Vec::new() };
    let mut names: Vec<String> = folders
        .flatten()
        .filter_map(|folder| read::bytes(&folder.path().join("meta.json"), read::TEXT).ok())
        .filter_map(|text| serde_json::from_slice::<Name>(&text).ok())
        .map(|meta| meta.name)
        .collect();
    names.sort();
    names
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Writes a context the way `docker context create` lays it out.
    pub(crate) fn write_context(config: &Path, name: &str, endpoint: &str) -> PathBuf {
        let folder = hex::encode(Sha256::digest(name.as_bytes()));
        let meta = config.join("contexts/meta").join(&folder);
        fs_err::create_dir_all(&meta).unwrap();
        let text =
            format!(r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{endpoint}}}}}"#);
        fs_err::write(meta.join("meta.json"), text).unwrap();
        config.join("contexts/tls").join(folder).join("docker")
    }

    #[test]
    fn reads_a_context_from_the_folder_docker_names_by_hash() {
        let config = tempfile::tempdir().unwrap();
        let tls = write_context(
            config.path(),
            "ctxa",
            r#"{"Host":"tcp://build:2376","SkipTLSVerify":true}"#,
        );
        // The folder `docker context create ctxa` of docker 28.2 makes.
        let folder = "f38a1edba91098e590dbe6b66a07c374fdc6ff074aaa890828f1c7926e8a9ebd";
        assert!(config.path().join("contexts/meta").join(folder).is_dir());
        let endpoint = load(config.path(), "ctxa").unwrap();
        assert_eq!(endpoint.host, "tcp://build:2376");
        assert!(endpoint.skip_tls_verify);
        assert_eq!(endpoint.certificates, None);

        write_context(config.path(), "nulls", r#"{"Host":null,"SkipTLSVerify":null}"#);
        assert_eq!(load(config.path(), "nulls").unwrap().host, "");
        fs_err::create_dir_all(&tls).unwrap();
        assert_eq!(load(config.path(), "ctxa").unwrap().certificates, Some(tls));
    }

    #[test]
    fn an_unknown_context_names_the_known_ones() {
        let config = tempfile::tempdir().unwrap();
        assert!(load(config.path(), "x").unwrap_err().hints[0].contains("no docker contexts"));
        write_context(config.path(), "two", r#"{"Host":"tcp://two"}"#);
        write_context(config.path(), "one", r#"{"Host":"tcp://one"}"#);
        let error = load(config.path(), "x").unwrap_err();
        assert_eq!(error.message, "docker context `x` does not exist");
        assert_eq!(error.hints, ["contexts are: default, one, two"]);
    }
}
