//! The docker CLI's `config.json`: which context is current, and how registries are logged in to.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::files::read;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The environment variable with logins that beat those of `config.json` (docker/cli
/// `configfile.DockerEnvConfigKey`, since 28.3).
const LOGINS_VARIABLE: &str = "DOCKER_AUTH_CONFIG";

/// `config.json` as far as a build needs it. Unknown keys are the docker CLI's business.
#[derive(Debug, Clone, Default)]
pub struct DockerConfig {
    /// Name of the context `docker context use` chose.
    pub current_context: Option<String>,
    /// Logins by registry, as `docker login` writes them without a credential helper.
    pub auths: BTreeMap<String, AuthEntry>,
    /// Logins of DOCKER_AUTH_CONFIG; they beat helpers and `auths`.
    pub environment_auths: BTreeMap<String, AuthEntry>,
    /// Suffix of the helper program (`docker-credential-SUFFIX`) for every registry.
    pub creds_store: Option<String>,
    /// Suffix of the helper program by registry; beats `creds_store`.
    pub cred_helpers: BTreeMap<String, String>,
    /// Proxies for builds by address of the engine; `default` for all others.
    pub proxies: BTreeMap<String, Proxies>,
    /// What of the configuration cannot be used, one sentence each; never its content, which holds passwords.
    pub damage: Vec<String>,
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

impl DockerConfig {
    /// The configuration of the user whose environment and home directory these are; an empty one where there is none.
    pub fn of_user(environment: &BTreeMap<String, String>, home: Option<&Path>) -> Self {
        directory(environment, home)
            .map_or_else(Self::default, |directory| Self::load(&directory))
            .with_logins_of(environment)
    }

    /// Reads `config.json` of the docker configuration directory. A missing file is an empty one, and
    /// what cannot be read is left out and named in `damage`: the docker CLI goes on, too
    /// (`config.LoadDefaultConfigFile`).
    pub fn load(directory: &Path) -> Self {
        let path = directory.join("config.json");
        let unusable = |why: &dyn fmt::Display| Self {
            damage: vec![format!("docker's configuration {} is ignored: {why}", path.display())],
            ..Self::default()
        };
        let text = match read::bytes(&path, read::TEXT) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::default(),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidInput | io::ErrorKind::FileTooLarge
                ) =>
            {
                return unusable(&error);
            }
            // The path is said already; the plain text of the system is enough here.
            Err(error) => return unusable(&io::Error::from(error.kind())),
        };
        match parse(&text) {
            Ok(Value::Null) => Self::default(),
            Ok(Value::Object(fields)) => Self::from_fields(&fields, &path),
            Ok(_) => unusable(&"it does not hold a JSON object"),
            // The docker CLI does not take it, either.
            Err(_) if text.starts_with(b"\xef\xbb\xbf") => {
                unusable(&"it begins with a byte order mark")
            }
            Err(error) => unusable(&error),
        }
    }

    /// Adds the logins that the environment variable DOCKER_AUTH_CONFIG holds.
    #[must_use]
    pub fn with_logins_of(mut self, environment: &BTreeMap<String, String>) -> Self {
        let Some(text) = environment.get(LOGINS_VARIABLE).filter(|text| !text.is_empty()) else {
            return self;
        };
        let fields = match parse(text.as_bytes()) {
            Ok(Value::Object(fields)) => fields,
            _ => {
                self.damage.push(format!("{LOGINS_VARIABLE} is ignored: it is not a JSON object"));
                return self;
            }
        };
        let (auths, wrong) = entries(field(&fields, "auths"));
        self.environment_auths = auths;
        if wrong {
            self.damage.push(format!("logins of {LOGINS_VARIABLE} are ignored: unexpected type"));
        }
        self
    }

    /// Each key by itself, as Go's decoder does: one of a wrong type does not take the others with it.
    fn from_fields(fields: &Map<String, Value>, path: &Path) -> Self {
        let mut damage = Vec::new();
        let mut note = |wrong: bool, key: &str| {
            if wrong {
                let path = path.display();
                damage.push(format!(
                    "`{key}` of docker's configuration {path} is ignored: unexpected type"
                ));
            }
        };
        let (auths, wrong) = entries(field(fields, "auths"));
        note(wrong, "auths");
        let (cred_helpers, wrong) = entries(field(fields, "credHelpers"));
        note(wrong, "credHelpers");
        let (proxies, wrong) = entries(field(fields, "proxies"));
        note(wrong, "proxies");
        let mut text = |key: &str| {
            let value = field(fields, key);
            note(value.is_some_and(|value| !value.is_string()), key);
            value.and_then(Value::as_str).map(str::to_owned)
        };
        let (current_context, creds_store) = (text("currentContext"), text("credsStore"));
        Self {
            current_context,
            auths,
            environment_auths: BTreeMap::new(),
            creds_store,
            cred_helpers,
            proxies,
            damage,
        }
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

/// JSON as Go's decoder takes it: `null` counts as absent, and what follows the first value is ignored.
/// A text of blanks alone is `null`. The error never holds the text.
pub(super) fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    let first = serde_json::Deserializer::from_slice(text).into_iter::<Value>().next();
    let mut value = first.transpose()?.unwrap_or(Value::Null);
    drop_nulls(&mut value);
    Ok(value)
}

fn drop_nulls(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.retain(|_, value| !value.is_null());
        fields.values_mut().for_each(drop_nulls);
    }
}

/// A field by its name; Go's decoder does not mind its case where the exact name is not there.
fn field<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.get(name).or_else(|| {
        fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    })
}

/// The entries of a mapping that can be read, and whether some cannot.
fn entries<T: DeserializeOwned>(value: Option<&Value>) -> (BTreeMap<String, T>, bool) {
    let Some(value) = value else { return (BTreeMap::new(), false) };
    let Some(fields) = value.as_object() else { return (BTreeMap::new(), true) };
    let read: BTreeMap<String, T> = fields
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), T::deserialize(value).ok()?)))
        .collect();
    let wrong = read.len() < fields.len();
    (read, wrong)
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
        let config = DockerConfig::load(home.path());
        assert_eq!(config.current_context.as_deref(), Some("build"));
        assert_eq!(config.auths["r.example"].auth.as_deref(), Some("dTpw"));
        assert_eq!(config.cred_helpers["gcr.io"], "gcloud");
        assert!(!format!("{config:?}").contains("dTpw"));
    }

    /// The configuration that `text` makes.
    fn config(text: &str) -> DockerConfig {
        let home = tempfile::tempdir().unwrap();
        fs_err::write(home.path().join("config.json"), text).unwrap();
        let mut config = DockerConfig::load(home.path());
        let shown = home.path().display().to_string();
        config.damage.iter_mut().for_each(|damage| *damage = damage.replace(&shown, "$DIR"));
        config
    }

    #[test]
    fn proxies_of_this_engine_beat_the_default() {
        let config = config(
            r#"{"proxies": {"default": {"httpProxy": "http://d:1", "noProxy": null},
                "tcp://e:2376": {"httpsProxy": "http://e:2", "noProxy": "local"}}}"#,
        );
        assert!(config.damage.is_empty(), "{:?}", config.damage);
        let names = |address: &str| config.proxy_args(address).into_keys().collect::<Vec<_>>();
        assert_eq!(names("unix:///s"), ["HTTP_PROXY", "http_proxy"]);
        assert_eq!(names("tcp://e:2376"), ["HTTPS_PROXY", "NO_PROXY", "https_proxy", "no_proxy"]);
        assert!(DockerConfig::default().proxy_args("unix:///s").is_empty());
    }

    #[test]
    fn a_missing_file_and_one_that_says_nothing_are_no_configuration() {
        let home = tempfile::tempdir().unwrap();
        let missing = DockerConfig::load(home.path());
        for config in [missing, config("\n"), config("null"), config("{}"), config("")] {
            assert!(config.auths.is_empty() && config.damage.is_empty(), "{config:?}");
        }
    }

    /// docker 28.5 takes all of these without a word.
    #[test]
    fn null_is_as_good_as_nothing() {
        let config = config(
            r#"{"auths": null, "credsStore": null, "credHelpers": {"a": null, "b": "c"},
                "currentContext": null, "proxies": {"default": null}} trailing"#,
        );
        assert!(config.damage.is_empty(), "{:?}", config.damage);
        assert!(config.auths.is_empty() && config.creds_store.is_none());
        assert_eq!(config.cred_helpers["b"], "c");
        assert!(config.proxy_args("unix:///s").is_empty());
    }

    #[test]
    fn damage_is_named_without_its_secrets_and_takes_no_more_with_it_than_it_must() {
        let damage = |text: &str| config(text).damage.join("\n");
        insta::assert_snapshot!(
            [
                r#"{"auths": "hunter2"}"#,
                r#"{"currentContext": 3}"#,
                "{\"auths\": {\"hunter2\"",
                "\u{feff}{}",
                "[]",
                "hunter2",
            ]
            .map(damage)
            .join("\n"),
            @r"
        `auths` of docker's configuration $DIR/config.json is ignored: unexpected type
        `currentContext` of docker's configuration $DIR/config.json is ignored: unexpected type
        docker's configuration $DIR/config.json is ignored: EOF while parsing an object at line 1 column 20
        docker's configuration $DIR/config.json is ignored: it begins with a byte order mark
        docker's configuration $DIR/config.json is ignored: it does not hold a JSON object
        docker's configuration $DIR/config.json is ignored: expected value at line 1 column 1
        "
        );
        let partly = config(r#"{"auths": {"r": 3, "s": {"auth": "dTpw"}}, "CredsStore": "pass"}"#);
        assert_eq!(partly.auths["s"].auth.as_deref(), Some("dTpw"));
        assert_eq!(partly.creds_store.as_deref(), Some("pass"));
        assert_eq!(partly.damage.len(), 1, "{:?}", partly.damage);
    }

    #[test]
    fn a_directory_in_its_place_is_damage() {
        let home = tempfile::tempdir().unwrap();
        fs_err::create_dir(home.path().join("config.json")).unwrap();
        assert_eq!(DockerConfig::load(home.path()).damage.len(), 1);
    }

    #[test]
    fn logins_of_the_environment_stand_beside_those_of_the_file() {
        let with = |text: &str| {
            let set = BTreeMap::from([("DOCKER_AUTH_CONFIG".to_owned(), text.to_owned())]);
            DockerConfig::default().with_logins_of(&set)
        };
        let config = with(r#"{"auths": {"r.example": {"auth": "dTpw"}}}"#);
        assert_eq!(config.environment_auths["r.example"].auth.as_deref(), Some("dTpw"));
        assert!(with("").damage.is_empty());
        let broken = with("hunter2").damage;
        assert_eq!(broken, ["DOCKER_AUTH_CONFIG is ignored: it is not a JSON object"]);
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
