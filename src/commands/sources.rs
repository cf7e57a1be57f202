//! What a target reads from this machine must be there before the engine is asked for anything.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::build_context::ignore_file;
use crate::build_context::patterns::PatternMatcher;
use crate::commands::build::dockerfile;
use crate::dockerfile::{context_fingerprint, nearest};
use crate::error::{CommandError, ExitKind};
use crate::solve::dockerfile_source;
use crate::solve::plan::TARGET_CONTEXT;
use crate::solve::request::is_remote;
use crate::targets::target::Target;

/// Checks the local directories and the Dockerfile of `target`.
///
/// # Errors
/// One of them is not there, or is something else.
pub fn check(target: &Target) -> Result<(), CommandError> {
    let name = &target.name;
    let context = Path::new(&target.context);
    let remote = is_remote(&target.context);
    if !remote {
        directory(name, "build context", context)?;
    }
    for (context, source) in &target.contexts {
        // Directories are absolute by now; everything else is a reference of some kind.
        if !source.starts_with(TARGET_CONTEXT) && Path::new(source).is_absolute() {
            directory(name, &format!("build context `{context}`"), Path::new(source))?;
        }
    }
    ignore_files(target, remote)?;
    if remote || target.dockerfile_inline.is_some() {
        return Ok(());
    }
    let path = context.join(target.dockerfile.as_deref().unwrap_or("Dockerfile"));
    match dockerfile_source::bytes(&path) {
        Ok(text) if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") => {
            Err(invalid(name, format!("the Dockerfile {} is UTF-16", path.display()))
                .hint("save it as UTF-8"))
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::IsADirectory => {
            Err(invalid(name, format!("the Dockerfile {} is a directory", path.display())))
        }
        Err(error) if error.kind() == ErrorKind::NotFound && path.is_symlink() => {
            let leads = std::fs::read_link(&path).unwrap_or_default();
            let message = format!(
                "the Dockerfile {} is a link to {}, and that is not in its folder",
                path.display(),
                leads.display()
            );
            Err(invalid(name, message).hint(
                "BuildKit follows it inside of the folder of the Dockerfile alone: name the file itself in \
                 `build.dockerfile`",
            ))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let missing = invalid(name, format!("there is no Dockerfile at {}", path.display()));
            Err(missing.hint(like(&path).map_or_else(
                || "`build.dockerfile` is relative to the build context".to_owned(),
                |near| format!("did you mean `{}`?", near.display()),
            )))
        }
        Err(error) => {
            Err(invalid(name, format!("the Dockerfile {} cannot be read", path.display()))
                .caused_by(&error))
        }
    }
}

/// Checks the patterns of the ignore files that hold for the target's directories: the engine names neither
/// file nor line, and one of them calls it the Dockerfile's fault.
fn ignore_files(target: &Target, remote: bool) -> Result<(), CommandError> {
    let mut found = Vec::new();
    // An engine looks at the patterns when something is copied.
    let text = dockerfile(target).map(|(_, text)| text);
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
                return Err(invalid(&target.name, format!("{place}: {error}"))
                    .hint("each line is a pattern, `!PATTERN` or a comment"));
            }
        }
    }
    Ok(())
}

fn directory(target: &str, what: &str, path: &Path) -> Result<(), CommandError> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(invalid(target, format!("the {what} {} is not a directory", path.display()))),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let missing = invalid(target, format!("the {what} {} is not there", path.display()));
            Err(match like(path) {
                Some(near) => missing.hint(format!("did you mean `{}`?", near.display())),
                None => missing,
            })
        }
        Err(error) => Err(invalid(target, format!("the {what} {} cannot be read", path.display()))
            .caused_by(&error)),
    }
}

fn invalid(target: &str, why: String) -> CommandError {
    CommandError::new(ExitKind::Invalid, format!("failed to build {target}: {why}"))
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
