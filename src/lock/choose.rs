//! What is locked, and in which image.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::job::{Chosen, not_locked};
use super::{Lock, Named, Selection, find};
use crate::error::{CommandError, ExitKind};
use crate::targets::target::Target;

/// Reads the locks of `requirements`, else of what is found in the build contexts of `targets`. Paths are relative to
/// `working_dir`.
///
/// # Errors
/// There is nothing to lock, or something cannot be locked.
pub fn choose(
    requirements: &[PathBuf],
    selection: &Selection,
    targets: &[Target],
    working_dir: &Path,
) -> Result<Vec<Chosen>, CommandError> {
    let named: BTreeSet<Named> = if requirements.is_empty() {
        let named = find(targets.iter().map(|target| Path::new(&target.context))).into_iter();
        let selected = |named: Named| match selection.is_empty() {
            true => named,
            false => Named { selection: selection.clone(), ..named },
        };
        named.map(selected).collect()
    } else {
        let named =
            |path: &PathBuf| Named { path: working_dir.join(path), selection: selection.clone() };
        requirements.iter().map(named).collect()
    };
    if named.is_empty() {
        let message = "there is no requirements*.in and no pyproject.toml with dependencies in the project's build contexts";
        return Err(CommandError::new(ExitKind::Usage, message)
            .hint("name the file, as in `doc2md-docker lock api/requirements.txt`"));
    }
    named.iter().map(|named| read(named, working_dir)).collect()
}

fn read(named: &Named, working_dir: &Path) -> Result<Chosen, CommandError> {
    let path = &named.path;
    let mut shown = path.strip_prefix(working_dir).unwrap_or(path).display().to_string();
    if !named.selection.is_empty() {
        let names: Vec<&str> = named.selection.names().collect();
        shown = format!("{shown} with {}", names.join(", "));
    }
    let lock = Lock::read(named).map_err(|error| not_locked(&shown, ExitKind::Usage, error))?;
    Ok(Chosen { shown, lock })
}

/// A target with the project's base image and how its builds reach the network: also by certificates and logins. `given`
/// is the image that the user names.
///
/// # Errors
/// No image is given, and the targets have none or several.
pub fn base_target(given: Option<&str>, targets: &[Target]) -> Result<Target, CommandError> {
    let images: BTreeSet<&String> =
        targets.iter().filter_map(|target| target.args.get("BASE_IMAGE")).collect();
    let like = targets.iter().find(|target| target.args.contains_key("BASE_IMAGE"));
    let like = like.or(targets.first()).cloned().unwrap_or_default();
    let usage = |message: String| {
        CommandError::new(ExitKind::Usage, message)
            .hint("name an image with Python and pip: --base-image python:3.12-slim")
    };
    let image = match (given, images.len()) {
        (Some(image), _) => image.to_owned(),
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
