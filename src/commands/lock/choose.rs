//! What is locked, and in which image.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::not_locked;
use crate::app::App;
use crate::cli::lock::LockArgs;
use crate::environment::Environment;
use crate::error::{CommandError, ExitKind};
use crate::lock::{self, Lock, Named, Selection};
use crate::targets::TargetOptions;
use crate::targets::target::Target;

/// The targets of the project.
///
/// # Errors
/// The project cannot be loaded.
pub(super) fn targets(app: &App) -> Result<Vec<Target>, CommandError> {
    Ok(app.targets(&app.project()?, TargetOptions::default())?.targets)
}

/// What is locked as the user would name them, with their locks.
pub(super) fn locks(
    args: &LockArgs,
    targets: &[Target],
    environment: &Environment,
) -> Result<Vec<(String, Lock)>, CommandError> {
    let selection = Selection::new(&args.extras, &args.groups);
    let found = if args.requirements.is_empty() {
        let found = lock::find(targets.iter().map(|target| Path::new(&target.context)));
        found
            .into_iter()
            .map(|named| match selection.is_empty() {
                true => named,
                false => Named { selection: selection.clone(), ..named },
            })
            .collect::<BTreeSet<_>>()
    } else {
        let named = |path: &PathBuf| Named {
            path: environment.working_dir.join(path),
            selection: selection.clone(),
        };
        args.requirements.iter().map(named).collect()
    };
    if found.is_empty() {
        let message = "there is no requirements*.in and no pyproject.toml with dependencies in the project's build contexts";
        return Err(CommandError::new(ExitKind::Usage, message)
            .hint("name the file, as in `doc2md-docker lock api/requirements.txt`"));
    }
    let read = |named: Named| {
        let path = &named.path;
        let mut shown =
            path.strip_prefix(&environment.working_dir).unwrap_or(path).display().to_string();
        if !named.selection.is_empty() {
            let names: Vec<&str> = named.selection.names().collect();
            shown = format!("{shown} with {}", names.join(", "));
        }
        let lock =
            Lock::read(&named).map_err(|error| not_locked(&shown, ExitKind::Usage, &error))?;
        Ok((shown, lock))
    };
    found.into_iter().map(read).collect()
}

/// A target with the project's base image and how its builds reach the network: also by certificates and logins.
pub(super) fn base_target(args: &LockArgs, targets: &[Target]) -> Result<Target, CommandError> {
    let images: BTreeSet<&String> =
        targets.iter().filter_map(|target| target.args.get("BASE_IMAGE")).collect();
    let like = targets.iter().find(|target| target.args.contains_key("BASE_IMAGE"));
    let like = like.or(targets.first()).cloned().unwrap_or_default();
    let usage = |message: String| {
        CommandError::new(ExitKind::Usage, message)
            .hint("name an image with Python and pip: --base-image python:3.12-slim")
    };
    let image = match (&args.base_image, images.len()) {
        (Some(image), _) => image.clone(),
        (None, 1) => images.into_iter().next().cloned().unwrap_or_default(),
        (None, 0) => {
            return Err(usage("no service has the build argument BASE_IMAGE".to_owned()));
        }
        (None, count) => {
            return Err(usage(format!("the services have {count} different BASE_IMAGEs")));
        }
    };
    let mut build_args = like.args;
    build_args.insert("BASE_IMAGE".to_owned(), image);
    Ok(Target {
        args: build_args,
        network: like.network,
        secrets: like.secrets,
        secret_env: like.secret_env,
        extra_hosts: like.extra_hosts,
        ..Target::default()
    })
}
