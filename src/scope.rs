//! Which project `clean` and `stats` mean: that of the files at hand, or the one that is named.

use std::path::{Path, PathBuf};

use crate::app::{self, App};
use crate::cli::project::ProjectArgs;
use crate::compose::{self, ComposeError, Project as Files, Resource};
use crate::error::{CommandError, ExitKind};
use crate::image_reference::familiar;
use crate::inventory::Inventory;
use crate::ownership::{self, Checkout, Names, Project};
use crate::targets::image_name;

/// The project, and what is to be said of it.
#[derive(Debug)]
pub struct Scope {
    /// The project.
    pub project: Project,
    /// Its files; `None` where it is known by its name alone.
    pub files: Option<Files>,
    /// What deserves a note.
    pub note: Option<String>,
}

/// Finds the project. `--project-name` names the only one that is meant: files that were not named themselves count
/// only where they are that project's.
///
/// # Errors
/// Files are invalid, or there are none and no name is given, or the name is none.
pub fn scope(app: &App) -> Result<Scope, CommandError> {
    let args = &app.global.project;
    if let Some(name) = &args.project_name {
        check_name(name)?;
        if args.files.is_empty() && args.project_directory.is_none() {
            return named(app, name);
        }
    }
    match app.project() {
        Ok(files) => Ok(of_files(files)),
        Err(error) => {
            let name = app.environment.get("COMPOSE_PROJECT_NAME");
            match name.filter(|name| compose::normalise_name(name) == **name) {
                Some(name) if is_missing(&error) && args.files.is_empty() => Ok(by_name(name)),
                _ if is_missing(&error) => {
                    Err(error.hint("--project-name NAME names a project whose files are gone"))
                }
                _ => Err(error),
            }
        }
    }
}

fn check_name(name: &str) -> Result<(), CommandError> {
    if name.is_empty() {
        let message = "--project-name is empty";
        return Err(CommandError::new(ExitKind::Usage, message)
            .hint("leave it out for the project of the files here"));
    }
    if compose::normalise_name(name) == *name {
        return Ok(());
    }
    let message = format!("{name:?} cannot be a project name");
    Err(CommandError::new(ExitKind::Usage, message).hint(
        "it consists of lowercase letters, digits, hyphens and underscores, and starts with a letter or a digit",
    ))
}

fn named(app: &App, name: &str) -> Result<Scope, CommandError> {
    let without_name = ProjectArgs { project_name: None, ..app.global.project.clone() };
    match app::read(&without_name, &app.environment) {
        Ok(files) if files.name != name => {
            let note = format!(
                "the compose file here is that of project {}: going by the name and the labels of project {name}",
                files.name
            );
            // Another project's files still tell what they would miss.
            let external = external(&files);
            let project = Project { name: name.to_owned(), external, ..Project::default() };
            Ok(Scope { project, files: None, note: Some(note) })
        }
        Err(error) if is_missing(&error) => Ok(by_name(name)),
        // Files that need the name to be read are this project's.
        Ok(_) | Err(_) => app.project().map(of_files),
    }
}

fn is_missing(error: &CommandError) -> bool {
    error.find::<ComposeError>().is_some_and(|error| error.is_no_file)
}

fn by_name(name: &str) -> Scope {
    let note = format!("no compose file here: going by the name and the labels of project {name}");
    let project = Project { name: name.to_owned(), ..Project::default() };
    Scope { project, files: None, note: Some(note) }
}

fn of_files(files: Files) -> Scope {
    let mut project = Project {
        name: files.name.clone(),
        external: external(&files),
        checkout: Some(Checkout {
            directory: resolved(&files.working_dir),
            files: files.files.iter().map(|file| resolved(file)).collect(),
            declared: names(&files, |resource| !resource.external),
        }),
        ..Project::default()
    };
    for service in files.services.values() {
        match &service.build {
            Some(build) => {
                project.built.insert(familiar(&image_name(&files, service)));
                project.built.extend(build.tags.iter().map(|tag| familiar(tag)));
            }
            None => project.pulled.extend(service.image.iter().map(|image| familiar(image))),
        }
    }
    // Built by one service and used by another.
    project.pulled.retain(|image| !project.built.contains(image));
    Scope { project, files: Some(files), note: None }
}

fn external(files: &Files) -> Names {
    names(files, |resource| resource.external)
}

fn names(files: &Files, wanted: impl Fn(&Resource) -> bool) -> Names {
    let of = |resources: &std::collections::BTreeMap<String, Resource>| {
        resources.values().filter(|it| wanted(it)).map(|it| it.name.clone()).collect()
    };
    Names { volumes: of(&files.volumes), networks: of(&files.networks) }
}

fn resolved(path: &Path) -> PathBuf {
    fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// What to say where the engine has nothing of a project that is known by its name alone.
pub fn unknown(scope: &Scope, inventory: &Inventory) -> Option<String> {
    let name = &scope.project.name;
    let projects = ownership::projects(inventory);
    if scope.files.is_some() || projects.contains(name.as_str()) {
        return None;
    }
    let others: Vec<&str> = projects.into_iter().collect();
    Some(match others.as_slice() {
        [] => format!("the engine has nothing of project {name}, nor of any other"),
        others => {
            format!(
                "the engine has nothing of project {name}; it has projects {}",
                others.join(", ")
            )
        }
    })
}
