//! Which project is measured: from its files, or from its name alone.

use std::path::Path;

use crate::cli::GlobalArgs;
use crate::commands::environment::Environment;
use crate::commands::project;
use crate::commands::scope::{self, Scope};
use crate::compose;
use crate::error::CommandError;
use crate::solve::dockerfile_source;
use crate::targets::as_buildx;
use crate::targets::from_compose::{TargetOptions, from_compose};
use crate::targets::target::Target;
use crate::terminal::Ui;
use crate::usage::{DockerfileFacts, ServiceFacts};

/// The build argument that BuildKit's Dockerfile frontend puts before ids of cache mounts.
const CACHE_NAMESPACE: &str = "BUILDKIT_CACHE_MOUNT_NS";

/// The project, as far as it is known.
pub(super) struct Measured {
    pub(super) scope: Scope,
    pub(super) services: Vec<ServiceFacts>,
}

impl Measured {
    pub(super) fn name(&self) -> &str {
        &self.scope.project.name
    }

    /// Its directory; `None` where it is known by its name alone.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.scope.files.as_ref().map(|files| files.working_dir.as_path())
    }
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
    let scope = scope::scope(global, environment, ui)?;
    let mut services: Vec<ServiceFacts> = Vec::new();
    if let Some(files) = &scope.files {
        let set = from_compose(files, &TargetOptions::default()).map_err(project::invalid)?;
        let mut targets = set.targets;
        as_buildx::complete(&mut targets, None);
        services.extend(targets.iter().map(|target| service(target, environment)));
    }
    services.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Measured { scope, services })
}

fn service(target: &Target, environment: &Environment) -> ServiceFacts {
    ServiceFacts {
        name: target.service.clone(),
        reference: target.image.clone(),
        stage: target.target.clone(),
        tags: target.tags.clone(),
        namespace: target.args.get(CACHE_NAMESPACE).cloned().unwrap_or_default(),
        dockerfile: dockerfile(target, &environment.working_dir),
    }
}

/// The Dockerfile as far as this machine has it. One that is missing is for `build` to complain of.
fn dockerfile(target: &Target, working_dir: &Path) -> Option<DockerfileFacts> {
    let stage = target.target.clone();
    if let Some(text) = &target.dockerfile_inline {
        return Some(DockerfileFacts {
            path: "dockerfile_inline".to_owned(),
            text: text.clone(),
            stage,
        });
    }
    let name = target.dockerfile.as_deref().unwrap_or("Dockerfile");
    let path = compose::join(Path::new(&target.context), Path::new(name));
    let text = dockerfile_source::text(&path).ok()?;
    let shown = path.strip_prefix(working_dir).unwrap_or(&path);
    Some(DockerfileFacts { path: shown.display().to_string(), text, stage })
}
