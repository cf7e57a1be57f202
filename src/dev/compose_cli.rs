//! Which docker compose is installed, and how it learns which engine this program talks to.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::engine::docker_config;
use crate::environment::Environment;
use crate::error::{CommandError, ExitKind};
use crate::release;

/// Where packages put plugins, in the order the docker CLI looks (`cli-plugins/manager` in
/// docker/cli), after the one in the user's docker configuration.
const PLUGIN_DIRECTORIES: &[&str] = &[
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];

/// A docker compose of version 2 or later. The plugin works without the docker CLI, too.
pub struct ComposeCli {
    path: PathBuf,
}

impl ComposeCli {
    /// Finds the plugin, or a `docker-compose` on the PATH.
    ///
    /// # Errors
    /// There is none, or only one of version 1.
    pub fn find(environment: &Environment) -> Result<Self, CommandError> {
        Self::find_in(&directories(environment))
    }

    fn find_in(directories: &[PathBuf]) -> Result<Self, CommandError> {
        let mut too_old = None;
        for path in directories.iter().map(|directory| directory.join("docker-compose")) {
            match major(&path) {
                Some(1) => too_old = too_old.or(Some(path)),
                Some(_) => return Ok(Self { path }),
                None => {}
            }
        }
        let message = match too_old {
            Some(path) => format!("{} is docker compose 1, which is too old", path.display()),
            None => "docker compose is not installed".to_owned(),
        };
        Err(CommandError::new(ExitKind::Failed, message)
            .hint(
                "install the package docker-compose-plugin (Docker's repository), \
                 docker-compose-v2 (Ubuntu) or docker-compose (Debian 13 and later)",
            )
            .hint("`doc2md-docker build` needs no compose: only `dev` does"))
    }

    /// Has `command` take the place of this process. Returns why it could not.
    pub fn replace_process(&self, mut command: Command) -> CommandError {
        let message = format!("failed to run {}", self.path.display());
        CommandError::new(ExitKind::Failed, message).caused_by(command.exec())
    }

    /// The program with the choice of the engine: `host` and `context` are the options. Compose reads the rest of that
    /// choice (the current context, certificates) from the same places as this program.
    pub fn command(
        &self,
        host: Option<&str>,
        context: Option<&str>,
        environment: &Environment,
    ) -> Command {
        let mut command = Command::new(&self.path);
        let context = context.filter(|name| !name.is_empty());
        if let Some(host) = host {
            command.env("DOCKER_HOST", host).env_remove("DOCKER_CONTEXT");
        } else if let Some(context) = context.or_else(|| environment.get("DOCKER_CONTEXT")) {
            command.env("DOCKER_CONTEXT", context);
            // The docker CLI documents that the context wins; its code has it the other way round.
            if context != "default" {
                command.env_remove("DOCKER_HOST");
            }
        }
        command
    }
}

fn directories(environment: &Environment) -> Vec<PathBuf> {
    let config = docker_config::directory(&environment.variables, environment.home.as_deref());
    let mut directories: Vec<PathBuf> =
        config.into_iter().map(|directory| directory.join("cli-plugins")).collect();
    directories.extend(PLUGIN_DIRECTORIES.iter().map(PathBuf::from));
    let path = environment.get("PATH").unwrap_or_default();
    // A relative directory on the PATH is not a place to start programs from.
    directories.extend(std::env::split_paths(path).filter(|directory| directory.is_absolute()));
    directories
}

/// The major version of the compose at `path`, `None` where there is none that runs.
fn major(path: &Path) -> Option<u32> {
    if !path.is_file() {
        return None;
    }
    let output =
        Command::new(path).args(["version", "--short"]).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    release::major(&text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::test_program;

    #[test]
    fn the_first_that_runs_and_is_new_enough() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, script: &str| {
            let directory = folder.path().join(name);
            fs_err::create_dir(&directory).unwrap();
            let path = directory.join("docker-compose");
            test_program::script(&path, script);
            directory
        };
        let (none, broken) = (folder.path().join("none"), put("broken", "exit 1"));
        let (old, new) = (put("old", "echo 1.29.2"), put("new", "echo v2.40.3"));
        let find = |directories: &[&PathBuf]| {
            let directories: Vec<PathBuf> =
                directories.iter().map(|directory| (*directory).clone()).collect();
            ComposeCli::find_in(&directories)
        };
        let found = find(&[&none, &broken, &old, &new]).ok().unwrap();
        assert_eq!(found.path, new.join("docker-compose"));

        let error = find(&[&none, &broken]).err().unwrap();
        assert_eq!(
            (error.kind, &*error.message),
            (ExitKind::Failed, "docker compose is not installed")
        );
        assert!(error.hints[0].contains("docker-compose-plugin"));
        let error = find(&[&none, &old]).err().unwrap();
        assert!(error.message.ends_with("docker compose 1, which is too old"), "{error}");
    }
}
