//! What a target reads from this machine must be there before the engine is asked for anything.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::build_context::ignore_file;
use crate::build_context::patterns::PatternMatcher;
use crate::compose::Place;
use crate::dockerfile::context_fingerprint;
use crate::error::{CommandError, ExitKind};
use crate::nearest::nearest;
use crate::remote::is_fetched_by_engine;
use crate::solve::dockerfile_source;
use crate::solve::plan::TARGET_CONTEXT;
use crate::targets::target::Target;

/// Checks the local directories and the Dockerfile of `target`.
///
/// # Errors
/// One of them is not there, or is something else.
pub fn check(target: &Target) -> Result<(), CommandError> {
    let context = Path::new(&target.context);
    let remote = is_fetched_by_engine(&target.context);
    if !remote {
        directory(target, "context", "build context", context)?;
    }
    for (context, source) in &target.contexts {
        // Directories are absolute by now; everything else is a reference of some kind.
        if !source.starts_with(TARGET_CONTEXT) && Path::new(source).is_absolute() {
            let what = format!("build context `{context}`");
            directory(target, "additional_contexts", &what, Path::new(source))?;
        }
    }
    ignore_files(target, remote)?;
    if remote || target.dockerfile_inline.is_some() {
        return Ok(());
    }
    let path = context.join(target.dockerfile.as_deref().unwrap_or("Dockerfile"));
    let invalid = |why: String| invalid(target, "dockerfile", &why);
    match dockerfile_source::bytes(&path) {
        Ok(text) if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") => {
            Err(invalid(format!("the Dockerfile {} is UTF-16", path.display()))
                .hint("save it as UTF-8"))
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::IsADirectory => {
            Err(invalid(format!("the Dockerfile {} is a directory", path.display())))
        }
        Err(error) if error.kind() == ErrorKind::NotFound && path.is_symlink() => {
            let leads = std::fs::read_link(&path).unwrap_or_default();
            let message = format!(
                "the Dockerfile {} is a link to {}, and that is not in its folder",
                path.display(),
                leads.display()
            );
            Err(invalid(message).hint(
                "BuildKit follows it inside of the folder of the Dockerfile alone: name the file itself in \
                 `build.dockerfile`",
            ))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let missing = invalid(format!("there is no Dockerfile at {}", path.display()));
            Err(missing.hint(like(&path).map_or_else(
                || "`build.dockerfile` is relative to the build context".to_owned(),
                |near| format!("did you mean `{}`?", near.display()),
            )))
        }
        Err(error) => {
            Err(invalid(format!("the Dockerfile {} cannot be read", path.display()))
                .caused_by(error))
        }
    }
}

/// Checks the patterns of the ignore files that hold for the target's directories: the engine names neither
/// file nor line, and one of them calls it the Dockerfile's fault.
fn ignore_files(target: &Target, remote: bool) -> Result<(), CommandError> {
    let mut found = Vec::new();
    // An engine looks at the patterns when something is copied.
    let text = dockerfile_source::of_target(target).map(|(_, text)| text);
    let copies = text.is_none_or(|text| !context_fingerprint(&text, None).is_empty());
    if !remote && copies {
        let context = Path::new(&target.context);
        let dockerfile = target
            .dockerfile_inline
            .is_none()
            .then(|| context.join(target.dockerfile.as_deref().unwrap_or("Dockerfile")));
        found.push(ignore_file::find(context, dockerfile.as_deref()));
    }
    let named = target.contexts.values().filter(|source| Path::new(source).is_absolute());
    found.extend(named.map(|source| ignore_file::find(Path::new(source), None)));
    // One that cannot be read is told of when the directory is sent.
    for file in found.into_iter().filter_map(|file| file.ok().flatten()) {
        let Ok(text) = std::fs::read(&file.path) else { continue };
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let patterns = ignore_file::parse(line);
            if let Err(error) = PatternMatcher::new(&patterns) {
                let place = format!("{}:{}", file.path.display(), index + 1);
                return Err(fault(target, None, &format!("{place}: {error}"))
                    .hint("each line is a pattern, `!PATTERN` or a comment"));
            }
        }
    }
    Ok(())
}

/// Checks the directory that `key` of the compose file names.
fn directory(target: &Target, key: &str, what: &str, path: &Path) -> Result<(), CommandError> {
    let invalid = |why: String| invalid(target, key, &why);
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(invalid(format!("the {what} {} is not a directory", path.display()))),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let missing = invalid(format!("the {what} {} is not there", path.display()));
            Err(match like(path) {
                Some(near) => missing.hint(format!("did you mean `{}`?", near.display())),
                None => missing,
            })
        }
        Err(error) => {
            Err(invalid(format!("the {what} {} cannot be read", path.display())).caused_by(error))
        }
    }
}

/// A fault of what `key` says, at its place; what the command line says has none.
fn invalid(target: &Target, key: &str, why: &str) -> CommandError {
    fault(target, target.places.get(key), why)
}

fn fault(target: &Target, place: Option<&Place>, why: &str) -> CommandError {
    let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
    CommandError::new(ExitKind::Invalid, format!("{place}failed to build {}: {why}", target.name))
}

/// The neighbour with the most similar name.
fn like(path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?;
    let names: Vec<String> = std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    let near = nearest(path.file_name()?.to_str()?, names.iter().map(String::as_str))?;
    Some(folder.join(near))
}
