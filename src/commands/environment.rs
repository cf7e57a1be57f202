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

    /// Whether a variable is set to something other than `0` or `false`, as CI systems do.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value != "0" && !value.eq_ignore_ascii_case("false"))
    }
}
