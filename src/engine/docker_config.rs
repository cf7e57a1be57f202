//! The docker CLI's `config.json`: which context is current, and how registries are logged in to.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// `config.json` as far as a build needs it. Unknown keys are the docker CLI's business.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DockerConfig {
    /// Name of the context `docker context use` chose.
    pub current_context: Option<String>,
    /// Logins by registry, as `docker login` writes them without a credential helper.
    pub auths: BTreeMap<String, AuthEntry>,
    /// Suffix of the helper program (`docker-credential-SUFFIX`) for every registry.
    pub creds_store: Option<String>,
    /// Suffix of the helper program by registry; beats `creds_store`.
    pub cred_helpers: BTreeMap<String, String>,
    /// Proxies for builds by address of the engine; `default` for all others.
    pub proxies: BTreeMap<String, Proxies>,
}

/// One entry of `proxies`.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Proxies {
    http_proxy: String,
    https_proxy: String,
    no_proxy: String,
    ftp_proxy: String,
    all_proxy: String,
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxies(redacted)")
    }
}

/// One login of `auths`.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct AuthEntry {
    /// `user:password` in base64.
    pub auth: Option<String>,
    /// User name in plain text; used where `auth` is absent.
    pub username: Option<String>,
    /// Password in plain text; used where `auth` is absent.
    pub password: Option<String>,
    /// OAuth refresh token; beats user and password.
    pub identitytoken: Option<String>,
}

impl fmt::Debug for AuthEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthEntry(redacted)")
    }
}

/// `config.json` is there but cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DockerConfigError {
    /// The file exists and the operating system refuses it.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// The file is not the JSON it should be.
    #[error("{} is not a docker config file: {detail}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and what; never content of the file, which holds passwords.
        detail: String,
    },
}

impl DockerConfig {
    /// Reads `config.json` of the docker configuration directory. A missing file is an empty one.
    ///
    /// # Errors
    /// When the file exists but cannot be read or parsed.
    pub fn load(directory: &Path) -> Result<Self, DockerConfigError> {
        let path = directory.join("config.json");
        let text = match fs_err::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => {
                // fs_err repeats the path; the plain text of the system is enough here.
                let source = io::Error::from(error.kind());
                return Err(DockerConfigError::Read { path, source });
            }
        };
        if text.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(&text).map_err(|error| {
            let detail = match error.classify() {
                // serde quotes the offending value, which may be a secret.
                serde_json::error::Category::Data => {
                    format!("unexpected type at line {} column {}", error.line(), error.column())
                }
                _ => error.to_string(),
            };
            DockerConfigError::Syntax { path, detail }
        })
    }

    /// Build arguments for the proxies of the engine at `address`, each in upper and lower case, as
    /// the docker CLI passes them (docker docs, "Configure the Docker client").
    pub fn proxy_args(&self, address: &str) -> BTreeMap<String, String> {
        let Some(proxies) = self.proxies.get(address).or_else(|| self.proxies.get("default"))
        else {
            return BTreeMap::new();
        };
        [
            ("HTTP_PROXY", &proxies.http_proxy),
            ("HTTPS_PROXY", &proxies.https_proxy),
            ("NO_PROXY", &proxies.no_proxy),
            ("FTP_PROXY", &proxies.ftp_proxy),
            ("ALL_PROXY", &proxies.all_proxy),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .flat_map(|(name, value)| {
            [name.to_owned(), name.to_lowercase()].map(|name| (name, value.clone()))
        })
        .collect()
    }
}

/// The docker CLI's configuration directory: DOCKER_CONFIG, else `~/.docker`.
pub fn directory(environment: &BTreeMap<String, String>, home: Option<&Path>) -> Option<PathBuf> {
    match environment.get("DOCKER_CONFIG").filter(|value| !value.is_empty()) {
        Some(directory) => Some(PathBuf::from(directory)),
        None => home.map(|home| home.join(".docker")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_what_docker_login_and_context_use_write() {
        let home = tempfile::tempdir().unwrap();
        fs_err::write(
            home.path().join("config.json"),
            r#"{"auths": {"r.example": {"auth": "dTpw"}, "other": {}}, "currentContext": "build",
                "credsStore": "pass", "credHelpers": {"gcr.io": "gcloud"}, "HttpHeaders": {"a": "b"}}"#,
        )
        .unwrap();
        let config = DockerConfig::load(home.path()).unwrap();
        assert_eq!(config.current_context.as_deref(), Some("build"));
        assert_eq!(config.auths["r.example"].auth.as_deref(), Some("dTpw"));
        assert_eq!(config.cred_helpers["gcr.io"], "gcloud");
        assert!(!format!("{config:?}").contains("dTpw"));
    }

    #[test]
    fn proxies_of_this_engine_beat_the_default() {
        let config: DockerConfig = serde_json::from_str(
            r#"{"proxies": {"default": {"httpProxy": "http://d:1"},
                "tcp://e:2376": {"httpsProxy": "http://e:2", "noProxy": "local"}}}"#,
        )
        .unwrap();
        let names = |address: &str| config.proxy_args(address).into_keys().collect::<Vec<_>>();
        assert_eq!(names("unix:///s"), ["HTTP_PROXY", "http_proxy"]);
        assert_eq!(names("tcp://e:2376"), ["HTTPS_PROXY", "NO_PROXY", "https_proxy", "no_proxy"]);
        assert!(DockerConfig::default().proxy_args("unix:///s").is_empty());
    }

    #[test]
    fn a_missing_or_empty_file_is_no_configuration() {
        let home = tempfile::tempdir().unwrap();
        assert!(DockerConfig::load(home.path()).unwrap().auths.is_empty());
        fs_err::write(home.path().join("config.json"), "\n").unwrap();
        assert!(DockerConfig::load(home.path()).unwrap().auths.is_empty());
    }

    #[test]
    fn a_broken_file_is_named_without_its_secrets() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("config.json");
        fs_err::write(&path, r#"{"auths": "hunter2"}"#).unwrap();
        let error = DockerConfig::load(home.path()).unwrap_err().to_string();
        assert!(error.contains("config.json is not a docker config file"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }

    #[test]
    fn docker_config_beats_the_home_directory() {
        let home = Path::new("/home/me");
        let set = BTreeMap::from([("DOCKER_CONFIG".to_owned(), "/etc/d".to_owned())]);
        assert_eq!(directory(&set, Some(home)), Some(PathBuf::from("/etc/d")));
        assert_eq!(
            directory(&BTreeMap::new(), Some(home)),
            Some(PathBuf::from("/home/me/.docker"))
        );
        assert_eq!(directory(&BTreeMap::new(), None), None);
    }
}
