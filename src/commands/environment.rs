//! The process environment, read once at the edge and handed inwards as values.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// What the surroundings of the process tell.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// Environment variables. Those that are not UTF-8 are left out: no option of ours is.
    pub variables: BTreeMap<String, String>,
    /// The working directory.
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
        Ok(Self {
            variables: std::env::vars_os()
                .filter_map(|(key, value)| {
                    Some((key.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            working_dir: std::env::current_dir()?,
            home: etcetera::home_dir().ok(),
        })
    }

    /// A variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Where builds are remembered: below DOC2MD_DOCKER_STATE_DIR, by default the user's state
    /// directory (XDG Base Directory Specification). `None` where there is no home either.
    pub fn ledger_directory(&self) -> Option<PathBuf> {
        let own = self.get("DOC2MD_DOCKER_STATE_DIR").map(|path| self.working_dir.join(path));
        // A relative XDG path is to be ignored, says the specification.
        let xdg = self.get("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let state = own.or_else(|| {
            let state = xdg.or_else(|| Some(self.home.as_ref()?.join(".local/state")))?;
            Some(state.join("doc2md-docker"))
        })?;
        Some(state.join("builds"))
    }

    /// Whether a variable is set to something other than `0` or `false`, as CI systems do.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_ledger_is_where_the_user_says_or_in_the_state_directory() {
        let at = |variables: &[(&str, &str)], home: Option<&str>| {
            let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            let environment = Environment {
                variables: variables.collect(),
                working_dir: "/w".into(),
                home: home.map(PathBuf::from),
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
