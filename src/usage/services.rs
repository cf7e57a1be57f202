//! The services that a project builds, as far as sizes of their things depend on them.

use std::path::Path;

use super::facts::{DockerfileFacts, ServiceFacts};
use crate::compose::{self, ComposeError, Project};
use crate::solve::dockerfile_source;
use crate::targets::as_buildx;
use crate::targets::from_compose::{TargetOptions, from_compose};
use crate::targets::target::Target;

/// The build argument that BuildKit's Dockerfile frontend puts before ids of cache mounts.
const CACHE_NAMESPACE: &str = "BUILDKIT_CACHE_MOUNT_NS";

/// The services by name; none where the project is known by its name alone. Files are named as seen from `working_dir`.
///
/// # Errors
/// The files describe no build.
pub fn services(
    files: Option<&Project>,
    working_dir: &Path,
) -> Result<Vec<ServiceFacts>, ComposeError> {
    let Some(files) = files else { return Ok(Vec::new()) };
    let mut targets = from_compose(files, &TargetOptions::default())?.targets;
    as_buildx::complete(&mut targets, None);
    let mut services: Vec<ServiceFacts> =
        targets.iter().map(|target| service(target, working_dir)).collect();
    services.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(services)
}

fn service(target: &Target, working_dir: &Path) -> ServiceFacts {
    ServiceFacts {
        name: target.service.clone(),
        reference: target.image.clone(),
        stage: target.target.clone(),
        tags: target.tags.clone(),
        namespace: target.args.get(CACHE_NAMESPACE).cloned().unwrap_or_default(),
        dockerfile: dockerfile(target, working_dir),
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
