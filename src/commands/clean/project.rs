//! Which project is cleaned, from its files or from its name alone.

use crate::build::image_name;
use crate::cli::GlobalArgs;
use crate::commands::environment::Environment;
use crate::commands::project;
use crate::compose::{self, Project as ComposeProject};
use crate::error::CommandError;
use crate::prune::Project;
use crate::ui::Ui;

/// The project, and what is to be said of it.
///
/// # Errors
/// Its files are invalid, or there are none and no name is given.
pub(super) fn project(
    global: &GlobalArgs,
    environment: &Environment,
    ui: &Ui,
    notes: &mut Vec<String>,
) -> Result<Project, CommandError> {
    match project::load(&global.project, environment, ui) {
        Ok(project) => Ok(of_files(&project)),
        Err(error) => {
            let name = global.project.project_name.as_deref();
            let name = name.or_else(|| environment.get("COMPOSE_PROJECT_NAME"));
            let named = name.filter(|name| compose::normalise_name(name) == **name);
            let missing = error.message.starts_with("no compose file found");
            match named {
                Some(name) if missing && global.project.files.is_empty() => {
                    notes.push(format!(
                        "no compose file here: going by the name and the labels of project {name}"
                    ));
                    Ok(Project { name: name.to_owned(), ..Project::default() })
                }
                _ if missing => {
                    Err(error.hint("--project-name NAME cleans a project whose files are gone"))
                }
                _ => Err(error),
            }
        }
    }
}

fn of_files(project: &ComposeProject) -> Project {
    let mut known = Project { name: project.name.clone(), ..Project::default() };
    for service in project.services.values() {
        match &service.build {
            Some(build) => {
                known.built.insert(familiar(&image_name(project, service)));
                known.built.extend(build.tags.iter().map(|tag| familiar(tag)));
            }
            None => known.pulled.extend(service.image.iter().map(|image| familiar(image))),
        }
    }
    // Built by one service and used by another.
    known.pulled.retain(|image| !known.built.contains(image));
    known
}

/// A reference as engines list it: with a tag, and without Docker Hub's name (distribution
/// `reference/normalize.go`, `FamiliarString`).
pub(super) fn familiar(reference: &str) -> String {
    let name = ["docker.io/", "index.docker.io/"]
        .iter()
        .find_map(|hub| reference.strip_prefix(hub))
        .map_or(reference, |rest| rest.strip_prefix("library/").unwrap_or(rest));
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains([':', '@']) { name.to_owned() } else { format!("{name}:latest") }
}

#[cfg(test)]
mod tests {
    use super::familiar;

    #[test]
    fn references_read_as_engines_list_them() {
        for (given, listed) in [
            ("app", "app:latest"),
            ("docker.io/library/redis:7", "redis:7"),
            ("docker.io/team/app", "team/app:latest"),
            ("localhost:5000/app", "localhost:5000/app:latest"),
            ("localhost:5000/app:1", "localhost:5000/app:1"),
        ] {
            assert_eq!(familiar(given), listed);
        }
    }
}
