//! Development beside production: a compose project of its own, which shares nothing that compose makes or removes.

use crate::app;
use crate::cli::project::ProjectArgs;
use crate::compose::Project;
use crate::environment::Environment;
use crate::error::{CommandError, ExitKind};

/// What stands behind the name of production's project.
const SUFFIX: &str = "-dev";

/// The project of development with the options that choose it. `args` name its files, `production` is the project without
/// them.
///
/// # Errors
/// The files cannot be loaded, or share something with production.
pub(super) fn choose(
    args: ProjectArgs,
    production: &Project,
    environment: &Environment,
) -> Result<(ProjectArgs, Project), CommandError> {
    let mut development = app::read(&args, environment)?;
    let mut args = args;
    // A file for development may name its own.
    if development.name == production.name {
        args.project_name = Some(format!("{}{SUFFIX}", production.name));
        development = app::read(&args, environment)?;
    }
    refuse_shared(production, &development)?;
    Ok((args, development))
}

/// A fixed `name:` is the same in both projects: compose would remove production's with `down -v`.
fn refuse_shared(production: &Project, development: &Project) -> Result<(), CommandError> {
    for (kind, theirs, ours) in [
        ("volume", &production.volumes, &development.volumes),
        ("network", &production.networks, &development.networks),
    ] {
        let made = |name: &String| theirs.values().any(|it| !it.external && it.name == *name);
        let shared = ours.iter().find(|(_, it)| !it.external && made(&it.name));
        if let Some((key, resource)) = shared {
            let message = format!(
                "the {kind} {key} of development is production's: both are called {}",
                resource.name
            );
            return Err(CommandError::new(ExitKind::Invalid, message)
                .hint(format!(
                    "name it by the project, as in `{kind}s: {{{key}: {{name: \"${{COMPOSE_PROJECT_NAME}}_{key}\"}}}}`"
                ))
                .hint("or make it outside of both projects and declare it `external: true`"));
        }
    }
    Ok(())
}
