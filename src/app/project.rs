//! The project that options and environment mean.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::cli;
use crate::cli::project::ProjectArgs;
use crate::compose::{self, LoadRequest, Project};
use crate::environment::Environment;
use crate::error::{CommandError, ExitKind};
use crate::files::read;
use crate::settings::{self, Settings};

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
    let stdin = stdin(args, environment)?;
    Ok(LoadRequest { stdin, ..without_stdin(args, environment) })
}

/// Where the project's files are; the working directory where there is no project.
fn directory(args: &ProjectArgs, environment: &Environment) -> PathBuf {
    let found = compose::directory(&without_stdin(args, environment));
    found.unwrap_or_else(|| environment.working_dir.clone())
}

/// The defaults that the project's file and variables have for options, and the path of that file.
///
/// # Errors
/// The file cannot be read, or it or a variable says something that is not a setting.
pub fn settings(
    args: &ProjectArgs,
    environment: &Environment,
) -> Result<(Settings, PathBuf), CommandError> {
    let path = directory(args, environment).join(settings::FILE);
    let name = path.strip_prefix(&environment.working_dir).unwrap_or(&path).display().to_string();
    let text = match read::text(&path, read::TEXT) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            let message = format!("failed to read {name}");
            return Err(CommandError::new(ExitKind::Usage, message).caused_by(error));
        }
    };
    let settings = Settings::read(&text, &name, &environment.variables, &cli::command())?;
    Ok((settings, path))
}

fn without_stdin(args: &ProjectArgs, environment: &Environment) -> LoadRequest {
    LoadRequest {
        files: args.files.clone(),
        project_name: args.project_name.clone(),
        project_directory: args.project_directory.clone(),
        profiles: args.profiles.clone(),
        env_files: args.env_files.clone(),
        environment: environment.variables.clone(),
        not_utf8: environment.not_utf8.clone(),
        working_dir: environment.working_dir.clone(),
        stdin: None,
    }
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
