//! From a project to what rules look at: files are read here, records of earlier builds are sorted by service.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::contents::Collection;
use super::subject::{
    Contents, IgnoreFile, Project, RecordedBuild, RecordedStep, Runtime, Service,
};
use crate::build_context::ignore_file;
use crate::compose;
use crate::files::read;
use crate::history::record::sha256;
use crate::history::{Entry, StepResult, TargetEntry};
use crate::targets::Target;
use crate::transfer::{self, TransferError};

/// A target with its Dockerfile: the name to show, and its text.
pub struct TargetText<'a> {
    /// The target.
    pub target: &'a Target,
    /// The Dockerfile, as the user would name it.
    pub file: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// The subject of the rules. `entries` are earlier builds, the newest first; `here` is the working directory.
///
/// # Errors
/// A build context cannot be read, or a pattern of its ignore file is malformed.
pub fn project(
    compose: &compose::Project,
    built: &[TargetText<'_>],
    entries: &[Entry],
    here: &Path,
) -> Result<Project, TransferError> {
    let own_images = compose.services.values().filter(|service| service.build.is_some());
    let mut own_images: BTreeSet<String> =
        own_images.filter_map(|service| service.image.clone()).collect();
    own_images.extend(
        built.iter().flat_map(|it| it.target.tags.iter().cloned().chain([it.target.image.clone()])),
    );
    let directory = compose.working_dir.display().to_string();
    let entries: Vec<&Entry> =
        entries.iter().filter(|it| it.project_directory == directory).collect();
    let mut services = Vec::new();
    for it in built {
        services.push(service(compose, it, &entries, here)?);
    }
    Ok(Project { services, own_images })
}

fn service(
    compose: &compose::Project,
    it: &TargetText<'_>,
    entries: &[&Entry],
    here: &Path,
) -> Result<Service, TransferError> {
    let target = it.target;
    let path = target.dockerfile_inline.is_none().then(|| dockerfile_path(target));
    Ok(Service {
        name: target.service.clone(),
        file: it.file.to_owned(),
        path: path.filter(|path| is_what_was_read(path, it.text)),
        text: it.text.to_owned(),
        args: target.args.clone(),
        stage: target.target.clone(),
        named_contexts: target.contexts.keys().cloned().collect(),
        platforms: target.platforms.clone(),
        runtime: runtime(compose, target),
        contents: Some(contents(target, it, here)?),
        recorded: recorded(target, it.text, entries),
    })
}

fn dockerfile_path(target: &Target) -> PathBuf {
    Path::new(&target.context).join(target.dockerfile.as_deref().unwrap_or("Dockerfile"))
}

/// BuildKit follows links in its own way, and takes text that is not UTF-8: what is changed has to be what was read.
fn is_what_was_read(path: &Path, text: &str) -> bool {
    !text.starts_with('\u{feff}') && read::text(path, read::TEXT).is_ok_and(|own| own == text)
}

/// How the service runs. A GPU that another service of the same image asks for counts, too.
fn runtime(compose: &compose::Project, target: &Target) -> Runtime {
    let Some(service) = compose.services.get(&target.service) else { return Runtime::default() };
    let own = &service.runtime;
    let is_of_image = |other: &&compose::Service| other.image.as_deref() == Some(&target.image);
    let wants_gpu = own.wants_gpu
        || compose.services.values().filter(is_of_image).any(|it| it.runtime.wants_gpu);
    Runtime { is_read_only: own.is_read_only, user: own.user.clone(), wants_gpu }
}

fn contents(target: &Target, it: &TargetText<'_>, here: &Path) -> Result<Contents, TransferError> {
    let directory = Path::new(&target.context);
    let beside = target.dockerfile_inline.is_none().then(|| dockerfile_path(target));
    let found = ignore_file::find(directory, beside.as_deref())
        .map_err(|source| TransferError::Unreadable { path: directory.to_owned(), source })?;
    let has_one = found.is_some();
    let ignore_file = found.and_then(|file| {
        let text = read::text(&file.path, read::TEXT).ok()?;
        Some(IgnoreFile { shown: shown(&file.path, here), path: file.path, text })
    });
    let start = Contents {
        directory: shown(directory, here),
        ignore_file,
        new_ignore_file: (!has_one).then(|| directory.join(".dockerignore")),
        ..Contents::default()
    };
    let mut collection = Collection::new(start);
    let dockerfile = (it.file, it.text);
    let lines = transfer::files(target, dockerfile, |path, bytes, lines| {
        let path = String::from_utf8_lossy(path);
        let read = || read::text(&directory.join(path.as_ref()), read::TEXT).ok();
        collection.add(&path, bytes, lines, read);
    })?;
    Ok(collection.finish(lines))
}

/// A path from the working directory; empty for that itself.
fn shown(path: &Path, here: &Path) -> String {
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}

/// What earlier builds of the service took, the newest first.
fn recorded(target: &Target, text: &str, entries: &[&Entry]) -> Vec<RecordedBuild> {
    let digest = sha256(text.as_bytes());
    let build = |entry: &Entry| {
        let own = entry.target(&target.service)?;
        // A build that made two images is recorded with one of them.
        let own = match &own.same_as {
            Some(name) => entry.targets.iter().find(|it| it.name == *name)?,
            None => own,
        };
        let has_steps = own.steps.iter().any(|step| step.is_instruction());
        has_steps.then(|| of_target(own, own.inputs.dockerfile_digest.as_deref() == Some(&digest)))
    };
    entries.iter().filter_map(|entry| build(entry)).collect()
}

fn of_target(target: &TargetEntry, is_same_file: bool) -> RecordedBuild {
    let ran = target.steps.iter().filter(|step| step.result == StepResult::Ran);
    let mut build = RecordedBuild::default();
    for step in ran {
        if step.is_instruction() {
            let line =
                step.line.filter(|_| is_same_file).and_then(|line| usize::try_from(line).ok());
            let (instruction, seconds) = (step.instruction.clone(), step.seconds);
            build.steps.push(RecordedStep { line, instruction, seconds });
        } else if step.name.starts_with("exporting to") {
            build.export_seconds += step.seconds;
        }
    }
    build
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Outcome;
    use crate::history::testing::{build, step};

    #[test]
    fn records_count_by_line_only_while_the_file_is_the_same() {
        let steps = vec![
            step("[1/2] FROM x", StepResult::Cached, 0.0),
            step("[2/2] RUN make", StepResult::Ran, 2.0),
            step("exporting to image", StepResult::Ran, 1.0),
            step("[internal] load build context", StepResult::Ran, 5.0),
        ];
        let entry = build(1, Outcome::Succeeded, steps);
        let target = &entry.targets[0];
        let expected = |line| RecordedBuild {
            steps: vec![RecordedStep { line, instruction: "RUN make".to_owned(), seconds: 2.0 }],
            export_seconds: 1.0,
        };
        assert_eq!(of_target(target, true), expected(Some(2)));
        assert_eq!(of_target(target, false), expected(None));
    }
}
