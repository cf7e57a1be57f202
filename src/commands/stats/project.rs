//! Which project is measured: from its files, or from its name alone.

use std::path::{Path, PathBuf};

use crate::build::as_buildx;
use crate::build::from_compose::{TargetOptions, from_compose};
use crate::build::target::Target;
use crate::cli::GlobalArgs;
use crate::commands::environment::Environment;
use crate::commands::project;
use crate::compose;
use crate::error::CommandError;
use crate::stats::{DockerfileFacts, ServiceFacts};
use crate::ui::Ui;

/// The project, as far as it is known.
pub(super) struct Measured {
    pub(super) name: String,
    pub(super) services: Vec<ServiceFacts>,
    /// Its directory; `None` where its files are gone.
    pub(super) directory: Option<PathBuf>,
    pub(super) note: Option<String>,
}

/// Loads it.
///
/// # Errors
/// Its files are invalid, or there are none and no name is given.
pub(super) fn measured(
    global: &GlobalArgs,
    environment: &Environment,
    ui: &Ui,
) -> Result<Measured, CommandError> {
    let loaded = match project::load(&global.project, environment, ui) {
        Ok(loaded) => loaded,
        Err(error) => return by_name(global, environment, error),
    };
    let options = TargetOptions::default();
    let set = from_compose(&loaded, &options).map_err(project::invalid)?;
    let mut targets = set.targets;
    as_buildx::complete(&mut targets, None);
    let mut services: Vec<ServiceFacts> =
        targets.iter().map(|target| service(target, environment)).collect();
    services.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Measured { name: loaded.name, services, directory: Some(loaded.working_dir), note: None })
}

fn by_name(
    global: &GlobalArgs,
    environment: &Environment,
    error: CommandError,
) -> Result<Measured, CommandError> {
    if !error.message.starts_with(compose::NO_FILE) {
        return Err(error);
    }
    let given = global.project.project_name.as_deref();
    let name = given.or_else(|| environment.get("COMPOSE_PROJECT_NAME")).unwrap_or_default();
    if name.is_empty() || compose::normalise_name(name) != name {
        return Err(error.hint("--project-name NAME measures a project whose files are gone"));
    }
    Ok(Measured {
        name: name.to_owned(),
        services: Vec::new(),
        directory: None,
        note: Some(format!("no compose file here: what is listed carries the label of {name}")),
    })
}

fn service(target: &Target, environment: &Environment) -> ServiceFacts {
    ServiceFacts {
        name: target.service.clone(),
        reference: target.image.clone(),
        tags: target.tags.clone(),
        dockerfile: dockerfile(target, &environment.working_dir),
    }
}

/// The Dockerfile as far as this machine has it. One that is missing is for `build` to complain of.
fn dockerfile(target: &Target, working_dir: &Path) -> Option<DockerfileFacts> {
    let stage = target.target.clone();
    if let Some(text) = &target.dockerfile_inline {
        let text = text.replace("$${", "${");
        return Some(DockerfileFacts { path: "dockerfile_inline".to_owned(), text, stage });
    }
    let name = target.dockerfile.as_deref().unwrap_or("Dockerfile");
    let path = compose::join(Path::new(&target.context), Path::new(name));
    let text = fs_err::read_to_string(&path).ok()?;
    let shown = path.strip_prefix(working_dir).unwrap_or(&path);
    Some(DockerfileFacts { path: shown.display().to_string(), text, stage })
}
