//! Logins to registries, as the docker CLI's configuration and its helper programs have them.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::engine::docker_config::{AuthEntry, DockerConfig};

/// The key under which the docker CLI keeps logins of Docker Hub.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// Other names of Docker Hub: the engine asks for the first, people write the others.
const HUB_NAMES: [&str; 4] = ["registry-1.docker.io", "docker.io", "index.docker.io", HUB_KEY];
/// What helpers print for "none" (docker-credential-helpers `errCredentialsNotFoundMessage`).
const NOT_FOUND: &str = "credentials not found in native keychain";
/// The user name with which helpers mark an identity token.
const TOKEN_USER: &str = "<token>";
/// A helper may wait for the user to unlock a keychain, but not for ever.
const HELPER_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest answer of a helper; a login has a few kilobytes.
const LONGEST_ANSWER: usize = 1 << 20;
/// Of what a helper complains of, this much is kept.
const LONGEST_COMPLAINT: usize = 4 << 10;

/// A registry login; both empty means anonymous.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// User name; empty where the secret is an identity token.
    pub username: String,
    /// Password or token.
    pub secret: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(redacted)")
    }
}

/// Why a configured login could not be had. Never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// The helper program did not do its job.
    #[error(
        "credential helper `docker-credential-{helper}` failed for registry {registry}: {reason}"
    )]
    Helper {
        /// Suffix of the program's name, as in config.json.
        helper: String,
        /// The registry asked for.
        registry: String,
        /// What it said, or what the system said about it.
        reason: String,
    },
    /// The login in config.json is damaged.
    #[error("the login for registry {registry} in docker's config.json is damaged: {reason}")]
    Entry {
        /// The registry asked for.
        registry: String,
        /// What is wrong.
        reason: &'static str,
    },
}

/// Finds logins the way the docker CLI does, and asks for each only once.
#[derive(Debug, Default)]
pub struct CredentialStore {
    config: DockerConfig,
    environment: BTreeMap<String, String>,
    known: Mutex<HashMap<String, Arc<OnceCell<Credentials>>>>,
}

impl CredentialStore {
    /// Logins of `config`; helper programs run with `environment`, found on its PATH.
    pub fn new(config: DockerConfig, environment: BTreeMap<String, String>) -> Self {
        Self { config, environment, known: Mutex::default() }
    }

    /// The login for a registry host, or anonymous. Answers are kept for the run: a helper may ask
    /// the user, and every base image would ask again.
    ///
    /// # Errors
    /// When a login is configured but cannot be had; going on anonymously would only fail later
    /// and with a misleading message.
    pub async fn credentials(&self, registry: &str) -> Result<Credentials, AuthError> {
        let cell = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(registry.to_owned()).or_default())
        };
        cell.get_or_try_init(|| self.look_up(registry)).await.cloned()
    }

    async fn look_up(&self, registry: &str) -> Result<Credentials, AuthError> {
        let hub = HUB_NAMES.contains(&registry);
        let names: &[&str] = if hub { &HUB_NAMES } else { &[registry] };
        if let Some(entry) = entry(&self.config.environment_auths, names) {
            return from_entry(registry, entry);
        }
        let own = names.iter().find_map(|name| self.config.cred_helpers.get(*name));
        // An empty helper switches this registry back to the file.
        let helper = own.or(self.config.creds_store.as_ref()).filter(|helper| !helper.is_empty());
        match helper {
            Some(helper) => self.ask(helper, registry, if hub { HUB_KEY } else { registry }).await,
            None => entry(&self.config.auths, names)
                .map_or_else(|| Ok(Credentials::default()), |e| from_entry(registry, e)),
        }
    }

    async fn ask(&self, helper: &str, registry: &str, key: &str) -> Result<Credentials, AuthError> {
        let failed = |reason: String| AuthError::Helper {
            helper: helper.to_owned(),
            registry: registry.to_owned(),
            reason,
        };
        if helper.contains(['/', '\\']) {
            return Err(failed(
                "its name in config.json is a path; only the suffix belongs there".into(),
            ));
        }
        let mut child = Command::new(format!("docker-credential-{helper}"))
            .arg("get")
            .envs(&self.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => failed("no such program on PATH".into()),
                _ => failed(format!("cannot be started: {error}")),
            })?;
        let conversation = async {
            if let Some(mut stdin) = child.stdin.take() {
                // A helper that does not read its input answers all the same, or fails below.
                let _ = stdin.write_all(format!("{key}\n").as_bytes()).await;
            }
            let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
            let said = async {
                match begin_of(stdout, LONGEST_ANSWER, WhatFollows::IsTooMuch).await? {
                    Some(said) => Ok(said),
                    None => Err(std::io::Error::other(format!(
                        "its answer is longer than {} MiB",
                        LONGEST_ANSWER >> 20
                    ))),
                }
            };
            let complaint = begin_of(stderr, LONGEST_COMPLAINT, WhatFollows::IsDropped);
            let (said, complaint, status) = tokio::try_join!(said, complaint, child.wait())?;
            Ok::<_, std::io::Error>((said, complaint.unwrap_or_default(), status))
        };
        let (said, complaint, status) = tokio::time::timeout(HELPER_TIMEOUT, conversation)
            .await
            .map_err(|_| failed(format!("no answer within {} s", HELPER_TIMEOUT.as_secs())))?
            .map_err(|error| failed(error.to_string()))?;
        if !status.success() {
            let text = |bytes: &[u8]| {
                let end = bytes.len().min(LONGEST_COMPLAINT);
                String::from_utf8_lossy(&bytes[..end]).trim().to_owned()
            };
            let said = text(&said);
            if said.contains(NOT_FOUND) {
                return Ok(Credentials::default());
            }
            let words = [said, text(&complaint)].into_iter().find(|words| !words.is_empty());
            return Err(failed(words.unwrap_or_else(|| status.to_string())));
        }
        // The parser's message could quote the secret.
        let answer: HelperAnswer = serde_json::from_slice(&said)
            .map_err(|_| failed("its answer is not the JSON of a credential helper".into()))?;
        Ok(if answer.username == TOKEN_USER {
            Credentials { username: String::new(), secret: answer.secret }
        } else {
            Credentials { username: answer.username, secret: answer.secret }
        })
    }
}

/// What becomes of output that goes on.
#[derive(PartialEq)]
enum WhatFollows {
    IsTooMuch,
    IsDropped,
}

/// The first `most` bytes of an output, which is read to its end; `None` where more is too much.
async fn begin_of(
    output: Option<impl AsyncRead + Unpin>,
    most: usize,
    more: WhatFollows,
) -> std::io::Result<Option<Vec<u8>>> {
    let mut kept = Vec::new();
    let Some(mut output) = output else { return Ok(Some(kept)) };
    let mut buffer = [0; 8 << 10];
    while let read @ 1.. = output.read(&mut buffer).await? {
        let fits = read.min(most - kept.len());
        if fits < read && more == WhatFollows::IsTooMuch {
            return Ok(None);
        }
        kept.extend_from_slice(&buffer[..fits]);
    }
    Ok(Some(kept))
}

/// The entry of `auths`: by its exact key, else by the host part of keys written as URLs.
fn entry<'a>(auths: &'a BTreeMap<String, AuthEntry>, names: &[&str]) -> Option<&'a AuthEntry> {
    names.iter().rev().find_map(|name| auths.get(*name)).or_else(|| {
        auths.iter().find(|(key, _)| names.contains(&host_of(key))).map(|(_, entry)| entry)
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

fn from_entry(registry: &str, entry: &AuthEntry) -> Result<Credentials, AuthError> {
    if let Some(token) = entry.identitytoken.clone().filter(|token| !token.is_empty()) {
        return Ok(Credentials { username: String::new(), secret: token });
    }
    let Some(auth) = entry.auth.as_deref().filter(|auth| !auth.is_empty()) else {
        return Ok(Credentials {
            username: entry.username.clone().unwrap_or_default(),
            secret: entry.password.clone().unwrap_or_default(),
        });
    };
    let damaged = |reason| AuthError::Entry { registry: registry.to_owned(), reason };
    let decoded = STANDARD.decode(auth.trim()).map_err(|_| damaged("`auth` is not base64"))?;
    let decoded = String::from_utf8(decoded).map_err(|_| damaged("`auth` is not text"))?;
    let (username, secret) =
        decoded.split_once(':').ok_or_else(|| damaged("`auth` is not user:password in base64"))?;
    // Old versions of docker padded the text with NUL.
    Ok(Credentials {
        username: username.to_owned(),
        secret: secret.trim_end_matches('\0').to_owned(),
    })
}

/// `https://host:port/path` to `host:port`.
fn host_of(key: &str) -> &str {
    let rest = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::path::Path;

    use super::*;
    use crate::test_program;

    fn store(json: &str, path: &Path) -> CredentialStore {
        let path = format!("{}:/usr/bin:/bin", path.display());
        let home = tempfile::tempdir().unwrap();
        fs_err::write(home.path().join("config.json"), json).unwrap();
        let logins = r#"{"auths": {"environment.example": {"auth": "bWU6ZW52"}}}"#;
        let environment = BTreeMap::from([
            ("PATH".to_owned(), path),
            ("DOCKER_AUTH_CONFIG".to_owned(), logins.to_owned()),
        ]);
        let config = DockerConfig::load(home.path()).with_logins_of(&environment);
        assert!(config.damage.is_empty(), "{:?}", config.damage);
        CredentialStore::new(config, environment)
    }

    fn helper(folder: &Path, name: &str, script: &str) {
        let program = folder.join(format!("docker-credential-{name}"));
        test_program::script(&program, &format!("cd \"${{0%/*}}\"\n{script}"));
    }

    fn login(username: &str, secret: &str) -> Credentials {
        Credentials { username: username.to_owned(), secret: secret.to_owned() }
    }

    #[tokio::test]
    async fn logins_come_from_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(
            r#"{"auths": {
                "r.example:5000": {"auth": "bWU6cDphc3M="},
                "https://url.example/v1/": {"auth": "bWU6dXJsAAA="},
                "plain.example": {"username": "u", "password": "p"},
                "token.example": {"auth": "bWU6eA==", "identitytoken": "idt"},
                "empty.example": {},
                "https://index.docker.io/v1/": {"auth": "bWU6aHVi"}}}"#,
            folder.path(),
        );
        for (registry, expected) in [
            ("r.example:5000", login("me", "p:ass")),
            ("url.example", login("me", "url")),
            ("plain.example", login("u", "p")),
            ("token.example", login("", "idt")),
            ("empty.example", login("", "")),
            ("unknown.example", login("", "")),
            ("environment.example", login("me", "env")),
            ("registry-1.docker.io", login("me", "hub")),
            ("docker.io", login("me", "hub")),
        ] {
            assert!(store.credentials(registry).await.unwrap() == expected, "{registry}");
        }
    }

    #[tokio::test]
    async fn a_damaged_login_names_its_registry_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for (auth, reason) in [
            ("%%secret", "`auth` is not base64"),
            ("c2VjcmV0", "`auth` is not user:password in base64"),
        ] {
            let store = store(
                &format!(r#"{{"auths": {{"r.example": {{"auth": "{auth}"}}}}}}"#),
                folder.path(),
            );
            let error = store.credentials("r.example").await.unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "the login for registry r.example in docker's config.json is damaged: {reason}"
                )
            );
        }
    }

    #[tokio::test]
    async fn helpers_are_asked_once_per_registry_with_dockers_key() {
        let folder = tempfile::tempdir().unwrap();
        helper(
            folder.path(),
            "one",
            r#"echo "$@ $(cat)" >> asked; echo '{"ServerURL":"x","Username":"u","Secret":"s"}'"#,
        );
        helper(folder.path(), "two", r#"echo '{"Username":"<token>","Secret":"t"}'"#);
        let store = store(
            r#"{"credsStore": "one", "credHelpers": {"two.example": "two", "file.example": ""},
                "auths": {"file.example": {"auth": "bWU6eA=="}, "one.example": {"auth": "bWU6eA=="}}}"#,
            folder.path(),
        );
        for _ in 0..3 {
            assert!(store.credentials("one.example").await.unwrap() == login("u", "s"));
        }
        assert!(store.credentials("registry-1.docker.io").await.unwrap() == login("u", "s"));
        assert!(store.credentials("two.example").await.unwrap() == login("", "t"));
        assert!(store.credentials("file.example").await.unwrap() == login("me", "x"));
        let asked = fs_err::read_to_string(folder.path().join("asked")).unwrap();
        assert_eq!(asked, "get one.example\nget https://index.docker.io/v1/\n");
        assert!(!format!("{store:?}").contains("\"s\""), "{store:?}");
    }

    #[tokio::test]
    async fn hub_helpers_may_be_named_by_any_name_of_hub() {
        let folder = tempfile::tempdir().unwrap();
        helper(folder.path(), "hub", r#"echo '{"Username":"u","Secret":"s"}'"#);
        let store = store(r#"{"credHelpers": {"docker.io": "hub"}}"#, folder.path());
        assert!(store.credentials("registry-1.docker.io").await.unwrap() == login("u", "s"));
    }

    #[tokio::test]
    async fn a_helper_without_a_login_means_anonymous() {
        let folder = tempfile::tempdir().unwrap();
        helper(folder.path(), "none", "echo 'credentials not found in native keychain'; exit 1");
        let store = store(r#"{"credsStore": "none"}"#, folder.path());
        assert!(store.credentials("r.example").await.unwrap() == Credentials::default());
    }

    #[tokio::test]
    async fn a_broken_helper_is_named_with_its_registry() {
        let folder = tempfile::tempdir().unwrap();
        helper(folder.path(), "locked", "echo 'pass store is locked' >&2; exit 2");
        helper(folder.path(), "chatty", r#"echo 'Secret: hunter2'"#);
        helper(folder.path(), "mute", "exit 4");
        helper(folder.path(), "endless", "exec yes");
        helper(folder.path(), "noisy", "yes complaint | head -c 20000000 >&2; echo no; exit 1");
        for (name, reason) in [
            ("locked", "pass store is locked"),
            ("chatty", "its answer is not the JSON of a credential helper"),
            ("mute", "exit status: 4"),
            ("endless", "its answer is longer than 1 MiB"),
            ("noisy", "no"),
            ("absent", "no such program on PATH"),
            ("../evil", "its name in config.json is a path; only the suffix belongs there"),
        ] {
            let store = store(&format!(r#"{{"credsStore": "{name}"}}"#), folder.path());
            let error = store.credentials("r.example").await.unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "credential helper `docker-credential-{name}` failed for registry r.example: {reason}"
                )
            );
        }
    }
}
