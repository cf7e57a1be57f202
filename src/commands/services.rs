//! The services that a project builds, as far as sizes of their things depend on them.

use std::path::Path;

use crate::commands::scope::Scope;
use crate::compose::{self, ComposeError};
use crate::environment::Environment;
use crate::solve::dockerfile_source;
use crate::targets::as_buildx;
use crate::targets::from_compose::{TargetOptions, from_compose};
use crate::targets::target::Target;
use crate::usage::{DockerfileFacts, ServiceFacts};

/// The build argument that BuildKit's Dockerfile frontend puts before ids of cache mounts.
const CACHE_NAMESPACE: &str = "BUILDKIT_CACHE_MOUNT_NS";

/// The services by name; none where the project is known by its name alone.
///
/// # Errors
/// The files describe no build.
pub(super) fn services(
    scope: &Scope,
    environment: &Environment,
) -> Result<Vec<ServiceFacts>, ComposeError> {
    let Some(files) = &scope.files else { return Ok(Vec::new()) };
    let mut targets = from_compose(files, &TargetOptions::default())?.targets;
    as_buildx::complete(&mut targets, None);
    let mut services: Vec<ServiceFacts> =
        targets.iter().map(|target| service(target, environment)).collect();
    services.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(services)
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
