//! Development: which compose files and which project it has, which docker compose runs it, and what its words mean.
//!
//! Development has a compose project of its own, beside production's ([`choose`]). It is the one part of the program that
//! starts another one for its work. Compose replaces this process, so the terminal, every signal and the exit code are
//! compose's. Beside it, a second process of this program looks for files that change ([`Changes`]) and builds the images
//! again that are made of them ([`Inputs`]).

mod beside;
mod changes;
mod compose_cli;
mod files;
mod inputs;
pub mod words;

use std::ffi::OsString;
use std::path::Path;

use crate::cli::project::ProjectArgs;
use crate::compose::Project;
use crate::environment::Environment;
use crate::error::{CommandError, ExitKind};

pub use changes::Changes;
pub use compose_cli::ComposeCli;
pub use inputs::Inputs;

/// The project of development.
#[derive(Debug)]
pub struct Development {
    /// The options that choose it.
    options: ProjectArgs,
    /// What they mean.
    pub project: Project,
}

impl Development {
    /// The project that belongs to the one that `options` mean, which is production.
    ///
    /// # Errors
    /// Its files cannot be loaded, come from standard input, or share something with production.
    pub fn choose(options: &ProjectArgs, environment: &Environment) -> Result<Self, CommandError> {
        let (chosen, production) = files::choose(options, environment)?;
        if production.files.iter().any(|file| file == Path::new("-")) {
            let message = "dev cannot read a compose file from standard input";
            return Err(CommandError::new(ExitKind::Usage, message)
                .hint("docker compose reads it a second time: give the name of a file"));
        }
        let (options, project) = beside::choose(chosen, &production, environment)?;
        Ok(Self { options, project })
    }

    /// The options by which compose finds the same project.
    pub fn compose_options(&self) -> Vec<OsString> {
        let project = &self.project;
        let mut words: Vec<OsString> = Vec::new();
        for file in &project.files {
            words.extend(["--file".into(), file.into()]);
        }
        words.extend(["--project-name".into(), (&project.name).into()]);
        words.extend(["--project-directory".into(), (&project.working_dir).into()]);
        for profile in project.profiles.iter().filter(|name| !name.is_empty()) {
            words.extend(["--profile".into(), profile.into()]);
        }
        for file in &self.options.env_files {
            words.extend(["--env-file".into(), file.into()]);
        }
        words
    }
}
