//! The project that options and environment mean.

use std::io::Read as _;
use std::path::Path;

use crate::cli::project::ProjectArgs;
use crate::compose::{self, LoadRequest, Project};
use crate::environment::Environment;
use crate::error::{CommandError, ExitKind};

/// Loads the project and leaves its warnings to the caller.
///
/// # Errors
/// A compose file that is missing or invalid, with its place.
pub fn read(args: &ProjectArgs, environment: &Environment) -> Result<Project, CommandError> {
    Ok(compose::load(&request(args, environment)?)?)
}

/// What to load.
///
/// # Errors
/// The standard input cannot be read.
pub fn request(args: &ProjectArgs, environment: &Environment) -> Result<LoadRequest, CommandError> {
    Ok(LoadRequest {
        files: args.files.clone(),
        project_name: args.project_name.clone(),
        project_directory: args.project_directory.clone(),
        profiles: args.profiles.clone(),
        env_files: args.env_files.clone(),
        environment: environment.variables.clone(),
        not_utf8: environment.not_utf8.clone(),
        working_dir: environment.working_dir.clone(),
        stdin: stdin(args, environment)?,
    })
}

/// The text of the file `-`, which options or COMPOSE_FILE name.
fn stdin(args: &ProjectArgs, environment: &Environment) -> Result<Option<String>, CommandError> {
    let named = if args.files.is_empty() {
        let list = environment.variables.get("COMPOSE_FILE").map_or("", String::as_str);
        list.split([':', ';', ',']).any(|file| file == "-")
    } else {
        args.files.iter().any(|file| file == Path::new("-"))
    };
    if !named {
        return Ok(None);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| {
        CommandError::new(ExitKind::Usage, "failed to read the compose file on standard input")
            .caused_by(error)
    })?;
    Ok(Some(text))
}
