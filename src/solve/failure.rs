//! From the engine's error to the message for the user. What the error means is `diagnose`'s business; here is what this
//! side knows of the build: [`Facts`].

use std::path::Path;

use crate::build_context::ignore_file;
use crate::buildkit::session::content::cannot_write;
use crate::buildkit::{HEADER_LIMIT, SolveError};
use crate::diagnose::{
    self, Dockerfile, EngineFailure, Facts, LongIgnoreFile, OutputHints, Supply,
};
use crate::progress::FailureKind;
use crate::progress::outcome::{BuildFailure, DockerfilePlace};
use crate::solve::job::Job;

/// The directory COPY reads from, as Solve names it.
const CONTEXT: &str = "context";
/// Header under which the engine sends each pattern of `.dockerignore`.
const EXCLUDE: &str = "exclude-patterns";
/// What a header counts for besides its name and value (RFC 9113, section 6.5.2).
const HEADER_COST: usize = 32;
/// A misspelt path is looked for among this many; a context can hold millions.
const MOST_PATHS: usize = 20_000;

/// Explains why `job` failed. `failed` is digest and name of the first vertex that failed, if one did.
pub(super) fn explain(
    job: &Job,
    error: &SolveError,
    failed: Option<(String, String)>,
    output: &OutputHints,
) -> BuildFailure {
    let (failed_vertex, step) = failed.unzip();
    let vertex = error.vertex.clone().or(failed_vertex);
    // A file that could not be sent is the cause of whatever the engine says afterwards.
    let unsent =
        job.sync.failures().into_iter().find(|failure| job.directories.contains(&failure.dir_name));
    if let Some(unsent) = unsent {
        return BuildFailure { vertex, ..BuildFailure::new(FailureKind::Context, unsent.reason) };
    }
    let location = error.location.as_ref();
    let line = |line: i32| usize::try_from(line).ok().filter(|line| *line > 0);
    let lines = location.and_then(|location| {
        let start = location.ranges.iter().filter_map(|range| line(range.start.line)).min()?;
        let end = location.ranges.iter().filter_map(|range| line(range.end.line)).max()?;
        Some(start..=end.max(start))
    });
    // The engine's copy is what it read, even if the file is remote or has changed since.
    let name = job.dockerfile.as_ref().map(|(name, _)| name.as_str());
    let dockerfile = match (location, &job.dockerfile) {
        (Some(location), _) if !location.text.is_empty() => {
            Some(Dockerfile { name: name.unwrap_or(&location.filename), source: &location.text })
        }
        (_, Some((name, source))) => Some(Dockerfile { name, source }),
        _ => None,
    };
    let own_words: Vec<String> =
        job.index_updates.iter().map(|update| cannot_write(&update.path)).collect();
    let explained = diagnose::explain(&EngineFailure {
        message: &error.message,
        own_words: &own_words,
        unavailable: error.engine_is_gone(),
        step: step.as_deref(),
        reading: lines.is_some() && vertex.is_none(),
        lines,
        dockerfile,
        facts: Some(job),
    });
    let file = dockerfile.map(|file| file.name.to_owned());
    let place = file.zip(explained.place).map(|(file, place)| DockerfilePlace { file, place });
    BuildFailure {
        hint: explained.hint.or_else(|| output.of_step(vertex.as_deref()?).map(str::to_owned)),
        vertex,
        excerpt: explained.excerpt,
        place,
        ..BuildFailure::new(explained.kind, explained.message)
    }
}

impl Facts for Job {
    fn paths(&self) -> Vec<String> {
        let serves_context = self.directories.iter().any(|name| name == CONTEXT);
        let context = self.sync.directory(CONTEXT).filter(|_| serves_context);
        context.map(paths_below).unwrap_or_default()
    }

    fn name_not_utf8(&self) -> Option<String> {
        self.sync.not_utf8(&self.directories)
    }

    fn place_of_context(&self) -> Option<String> {
        self.context_place.as_ref().map(ToString::to_string)
    }

    fn long_ignore_file(&self) -> Option<LongIgnoreFile> {
        let context = self.sync.directory(CONTEXT)?;
        let dockerfile = self.dockerfile.as_ref().map(|(name, _)| Path::new(name));
        let file = ignore_file::find(context, dockerfile).ok()??;
        let headers: usize =
            file.patterns.iter().map(|pattern| HEADER_COST + EXCLUDE.len() + pattern.len()).sum();
        (headers > HEADER_LIMIT as usize / 2).then(|| LongIgnoreFile {
            path: file.path.display().to_string(),
            patterns: file.patterns.len(),
        })
    }

    fn secret(&self, id: &str) -> Supply {
        match self.secrets.get(id) {
            None => Supply::No,
            Some(None) => Supply::Yes,
            Some(Some(variable)) => Supply::Empty { variable: variable.clone() },
        }
    }

    fn has_ssh(&self, id: &str) -> bool {
        self.ssh.contains(id)
    }
}

/// Paths below a directory with `/`, nearest to the top first, at most [`MOST_PATHS`]. What cannot
/// be read is left out: this only feeds a hint.
fn paths_below(root: &Path) -> Vec<String> {
    let mut paths: Vec<String> = Vec::new();
    let mut level = vec![String::new()];
    while !level.is_empty() {
        let mut deeper = Vec::new();
        for folder in level {
            let Ok(entries) = std::fs::read_dir(root.join(&folder)) else { continue };
            for entry in entries.flatten() {
                let Ok(name) = entry.file_name().into_string() else { continue };
                let path =
                    if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
                if name != ".git" && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    deeper.push(path.clone());
                }
                paths.push(path);
                if paths.len() == MOST_PATHS {
                    return paths;
                }
            }
        }
        level = deeper;
    }
    paths
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::buildkit::session::file_sync::{FileSync, LocalDir};
    use crate::solve::stores::{Addition, IndexUpdate};

    fn job(context: &Path) -> Job {
        let dir = LocalDir { name: CONTEXT.into(), path: context.to_owned() };
        Job {
            node: 0,
            is_part: false,
            index: None,
            name: "api".into(),
            also_serves: Vec::new(),
            after: Vec::new(),
            contexts: Vec::new(),
            options: Default::default(),
            references: Vec::new(),
            archives: Vec::new(),
            kept: None,
            loads_image: true,
            push: Vec::new(),
            logins: Default::default(),
            context_place: None,
            directories: vec![CONTEXT.into()],
            sync: FileSync::new(vec![dir]).report(),
            exports: None,
            received: Default::default(),
            index_updates: Vec::new(),
            layer_cache: None,
            dockerfile: Some(("Dockerfile".into(), "FROM base\nCOPY mian.py /\n".into())),
            secrets: BTreeMap::from([("empty".into(), Some("UNSET".into())), ("own".into(), None)]),
            ssh: BTreeSet::new(),
        }
    }

    #[test]
    fn a_missing_copy_source_is_placed_and_compared_with_the_context() {
        let context = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(context.path().join("src/deep")).unwrap();
        fs_err::write(context.path().join("src/deep/mian.py"), "").unwrap();
        let error = SolveError {
            code: tonic::Code::Unknown,
            message: "failed to compute cache key: \"/mian.py\" not found: not found".into(),
            vertex: None,
            location: None,
        };
        let failed = Some(("sha256:1".to_owned(), "[2/2] COPY mian.py /".to_owned()));
        let failure = explain(&job(context.path()), &error, failed, &OutputHints::default());
        assert_eq!(failure.kind, FailureKind::Context);
        assert_eq!(failure.message, "`mian.py` is not in the build context");
        assert_eq!(failure.vertex.as_deref(), Some("sha256:1"));
        assert_eq!(failure.hint.as_deref(), Some("did you mean `src/deep/mian.py`?"));
        assert!(failure.excerpt.unwrap().starts_with(" --> Dockerfile:2:6\n"));
    }

    #[test]
    fn a_step_that_lacks_what_it_mounts_gets_a_hint() {
        let job = job(Path::new("/"));
        let hint = |mounts: &str| {
            let error = SolveError {
                code: tonic::Code::Unknown,
                message:
                    "process \"/bin/sh -c cat /x\" did not complete successfully: exit code: 1"
                        .into(),
                vertex: None,
                location: None,
            };
            let step = format!("[2/2] RUN {mounts} cat /x");
            explain(&job, &error, Some(("sha256:1".into(), step)), &OutputHints::default()).hint
        };
        assert!(hint("--mount=type=secret,id=tok").unwrap().contains("secret `tok`, which was"));
        assert!(hint("--mount=type=secret,dst=/run/a/tok").unwrap().contains("--secret id=tok"));
        assert!(hint("--mount=type=secret,id=empty").unwrap().contains("the variable UNSET is"));
        assert!(hint("--mount=type=ssh").unwrap().contains("give --ssh default"));
        for fine in [
            "--mount=type=secret,id=ca,required=false",
            "--mount=type=secret,id=own",
            "--mount=type=cache,target=/x",
            "",
            "--mount=x",
        ] {
            assert_eq!(hint(fine), None, "{fine}");
        }
    }

    #[test]
    fn a_full_disk_of_this_machine_is_not_the_engines() {
        let error = SolveError {
            code: tonic::Code::Unknown,
            message: "error writing layer blob: failed to copy: failed to send write: \
                      cannot write to cache: No space left on device (os error 28)"
                .into(),
            vertex: None,
            location: None,
        };
        let mut job = job(Path::new("/"));
        let added = Addition::Cache { tag: "latest".into() };
        job.index_updates = vec![IndexUpdate { path: "cache".into(), added }];
        let failure = explain(&job, &error, None, &OutputHints::default());
        assert_eq!(failure.kind, FailureKind::Engine);
        assert_eq!(failure.message, "cannot write to cache: No space left on device (os error 28)");
    }

    #[test]
    fn an_unavailable_engine_is_a_lost_engine() {
        let error = SolveError {
            code: tonic::Code::Unavailable,
            message: "whatever".into(),
            vertex: None,
            location: None,
        };
        let failure = explain(&job(Path::new("/")), &error, None, &OutputHints::default());
        assert_eq!(failure.kind, FailureKind::EngineLost);
        assert_eq!(failure.excerpt, None);
    }
}
