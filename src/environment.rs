//! The process environment, read once at the edge and handed inwards as values.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::error::{CommandError, ExitKind};

/// What the surroundings of the process tell.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// Environment variables that are UTF-8.
    pub variables: BTreeMap<String, String>,
    /// Names of those that are not: whoever asks for one gets an error instead of nothing.
    pub not_utf8: BTreeSet<String>,
    /// The working directory, by the name the shell has for it.
    pub working_dir: PathBuf,
    /// The user's home directory, where there is one.
    pub home: Option<PathBuf>,
}

impl Environment {
    /// Reads the environment of this process.
    ///
    /// # Errors
    /// The working directory is gone or may not be entered.
    pub fn of_process() -> std::io::Result<Self> {
        let (mut variables, mut not_utf8) = (BTreeMap::new(), BTreeSet::new());
        for (key, value) in std::env::vars_os() {
            match (key.into_string(), value.into_string()) {
                (Ok(key), Ok(value)) => {
                    variables.insert(key, value);
                }
                (Ok(key), Err(_)) => {
                    not_utf8.insert(key);
                }
                // Nothing can ask for it.
                (Err(_), _) => {}
            }
        }
        let working_dir = by_shell(std::env::var_os("PWD").as_deref(), std::env::current_dir()?);
        Ok(Self { variables, not_utf8, working_dir, home: etcetera::home_dir().ok() })
    }

    /// Refuses variables of docker, buildx, compose and this program that are not UTF-8: without them
    /// another engine or another file would be meant.
    ///
    /// # Errors
    /// There is one.
    pub fn check(&self) -> Result<(), CommandError> {
        const OURS: [&str; 5] = ["DOCKER_", "COMPOSE_", "BUILDX_", "BUILDKIT_", "DOC2MD_DOCKER_"];
        let ours = |name: &&String| {
            OURS.iter().any(|prefix| name.starts_with(prefix)) || *name == "SOURCE_DATE_EPOCH"
        };
        match self.not_utf8.iter().find(ours) {
            None => Ok(()),
            Some(name) => {
                let message = format!("the environment variable {name} is not UTF-8");
                Err(CommandError::new(ExitKind::Usage, message))
            }
        }
    }

    /// A variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Where builds are remembered. `None` where there is no home either.
    pub fn ledger_directory(&self) -> Option<PathBuf> {
        Some(self.state_directory()?.join("builds"))
    }

    /// Where it is remembered what proves that builds have nothing to do.
    pub fn proofs_directory(&self) -> Option<PathBuf> {
        Some(self.state_directory()?.join("proofs"))
    }

    /// Where it is remembered when build cache was removed.
    pub fn cleaned_file(&self) -> Option<PathBuf> {
        Some(self.state_directory()?.join("cleaned.json"))
    }

    /// Where layers are kept that came from builders.
    pub fn layers_directory(&self) -> Option<PathBuf> {
        Some(self.state_directory()?.join("layers"))
    }

    /// DOC2MD_DOCKER_STATE_DIR, by default below the user's state directory (XDG Base Directory Specification).
    fn state_directory(&self) -> Option<PathBuf> {
        let own = self.get("DOC2MD_DOCKER_STATE_DIR").map(|path| self.working_dir.join(path));
        // A relative XDG path is to be ignored, says the specification.
        let xdg = self.get("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        own.or_else(|| {
            let state = xdg.or_else(|| Some(self.home.as_ref()?.join(".local/state")))?;
            Some(state.join("doc2md-docker"))
        })
    }

    /// Whether a variable is set to something other than `0` or `false`, as CI systems do.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }
}

/// `pwd` where it names the same directory as `physical`, which then is a link (Go's `os.Getwd`, which
/// docker and compose ask).
fn by_shell(pwd: Option<&std::ffi::OsStr>, physical: PathBuf) -> PathBuf {
    let identity = |path: &Path| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.dev(), found.ino()))
    };
    match pwd.map(Path::new).filter(|pwd| pwd.is_absolute()) {
        Some(pwd) if identity(pwd).is_some() && identity(pwd) == identity(&physical) => {
            pwd.to_owned()
        }
        _ => physical,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_working_directory_has_the_name_the_shell_gives_it() {
        let folder = tempfile::tempdir().unwrap();
        let physical = folder.path().canonicalize().unwrap().join("real");
        std::fs::create_dir(&physical).unwrap();
        let link = physical.with_file_name("link");
        std::os::unix::fs::symlink("real", &link).unwrap();
        let named = |pwd: Option<&Path>| by_shell(pwd.map(Path::as_os_str), physical.clone());
        assert_eq!(named(Some(&link)), link);
        let stale = ["", "link", "/", "/nonexistent"].map(Path::new);
        for pwd in stale.map(Some).into_iter().chain([None]) {
            assert_eq!(named(pwd), physical, "{pwd:?}");
        }
    }

    #[test]
    fn a_variable_of_docker_that_is_not_utf8_is_an_error() {
        let with = |name: &str| Environment {
            not_utf8: BTreeSet::from([name.to_owned()]),
            ..Environment::default()
        };
        assert!(with("LS_COLORS").check().is_ok());
        let error = with("COMPOSE_FILE").check().unwrap_err();
        assert_eq!(error.message, "the environment variable COMPOSE_FILE is not UTF-8");
    }

    #[test]
    fn the_ledger_is_where_the_user_says_or_in_the_state_directory() {
        let at = |variables: &[(&str, &str)], home: Option<&str>| {
            let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            let environment = Environment {
                variables: variables.collect(),
                working_dir: "/w".into(),
                home: home.map(PathBuf::from),
                ..Environment::default()
            };
            environment.ledger_directory().map(|path| path.display().to_string())
        };
        let default = Some("/h/.local/state/doc2md-docker/builds".to_owned());
        assert_eq!(at(&[], Some("/h")), default);
        assert_eq!(
            at(&[("XDG_STATE_HOME", "rel"), ("DOC2MD_DOCKER_STATE_DIR", "")], Some("/h")),
            default
        );
        assert_eq!(at(&[("XDG_STATE_HOME", "/x")], None).unwrap(), "/x/doc2md-docker/builds");
        assert_eq!(at(&[("DOC2MD_DOCKER_STATE_DIR", "s")], Some("/h")).unwrap(), "/w/s/builds");
        assert_eq!(at(&[], None), None);
    }
}
