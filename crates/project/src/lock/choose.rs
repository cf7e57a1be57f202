//! What is locked, and in which image.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::job::Choice;
use super::{JobError, Lock, Selection, Subject, find};
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
) -> Result<Vec<Choice>, JobError> {
    let named: BTreeSet<Subject> = if requirements.is_empty() {
        let named = find(targets.iter().map(|target| Path::new(&target.context))).into_iter();
        let selected = |named: Subject| match selection.is_empty() {
            true => named,
            false => Subject { selection: selection.clone(), ..named },
        };
        named.map(selected).collect()
    } else {
        let named =
            |path: &PathBuf| Subject { path: working_dir.join(path), selection: selection.clone() };
        requirements.iter().map(named).collect()
    };
    if named.is_empty() {
        return Err(JobError::Nothing);
    }
    named.iter().map(|named| read(named, working_dir)).collect()
}

fn read(named: &Subject, working_dir: &Path) -> Result<Choice, JobError> {
    let path = &named.path;
    let mut shown = path.strip_prefix(working_dir).unwrap_or(path).display().to_string();
    if !named.selection.is_empty() {
        let names: Vec<&str> = named.selection.names().collect();
        shown = format!("{shown} with {}", names.join(", "));
    }
    match Lock::read(named) {
        Ok(lock) => Ok(Choice { shown, lock }),
        Err(source) => Err(JobError::Source { shown, source }),
    }
}

/// A target with the project's base image and how its builds reach the network: also by certificates and logins. `given`
/// is the image that the user names.
///
/// # Errors
/// No image is given, and the targets have none or several.
pub fn base_target(given: Option<&str>, targets: &[Target]) -> Result<Target, JobError> {
    let images: BTreeSet<&String> =
        targets.iter().filter_map(|target| target.args.get("BASE_IMAGE")).collect();
    let like = targets.iter().find(|target| target.args.contains_key("BASE_IMAGE"));
    let like = like.or(targets.first()).cloned().unwrap_or_default();
    let image = match (given, images.len()) {
        (Some(image), _) => image.to_owned(),
        (None, 1) => images.into_iter().next().cloned().unwrap_or_default(),
        (None, 0) => return Err(JobError::NoBase),
        (None, count) => return Err(JobError::SeveralBases(count)),
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
