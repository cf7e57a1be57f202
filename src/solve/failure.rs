//! From the engine's error to what the user is told: kind, place in the Dockerfile, hint.

use std::path::Path;

use crate::build_context::ignore_file;
use crate::buildkit::session::content::cannot_write;
use crate::buildkit::{HEADER_LIMIT, SolveError};
use crate::diagnose::{self, Dockerfile, EngineFailure, OutputHints};
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

/// Whether the export failed because the engine's garbage collection removed a layer of the image just
/// before it was used. On the containerd store the old image of a name gives up its layers before
/// those of the new one are held (BuildKit `exporter/containerimage`: the name moves, then it is
/// unpacked), and any `docker image rm` collects in between: `docker build` fails the same way, in 2 of 60 builds
/// beside a loop of removals on 28.5.2.
pub(super) fn lost_a_layer(message: &str) -> bool {
    message.contains("failed to prepare extraction snapshot")
        && message.contains("does not exist: not found")
}

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
        return BuildFailure {
            kind: FailureKind::Context,
            message: unsent.reason,
            vertex,
            excerpt: None,
            place: None,
            hint: None,
        };
    }
    if let Some(message) = not_written(job, &error.message) {
        return BuildFailure {
            kind: FailureKind::Engine,
            message: message.to_owned(),
            vertex,
            excerpt: None,
            place: None,
            hint: None,
        };
    }
    if let Some(refused) = refused(job, &error.message) {
        return BuildFailure { vertex, ..refused };
    }
    let location = error.location.as_ref();
    let line = |line: i32| usize::try_from(line).ok().filter(|line| *line > 0);
    let lines = location.and_then(|location| {
        let start = location.ranges.iter().filter_map(|range| line(range.start.line)).min()?;
        let end = location.ranges.iter().filter_map(|range| line(range.end.line)).max()?;
        Some(start..=end.max(start))
    });
    // The engine's copy is what it read, be the file a remote one or edited since.
    let name = job.dockerfile.as_ref().map(|(name, _)| name.as_str());
    let dockerfile = match (location, &job.dockerfile) {
        (Some(location), _) if !location.text.is_empty() => {
            Some(Dockerfile { name: name.unwrap_or(&location.filename), source: &location.text })
        }
        (_, Some((name, source))) => Some(Dockerfile { name, source }),
        _ => None,
    };
    let mut failure = EngineFailure {
        message: &error.message,
        unavailable: error.engine_is_gone(),
        step: step.as_deref(),
        lines,
        dockerfile,
        paths: &[],
    };
    let mut explained = diagnose::explain(&failure);
    let paths;
    if explained.wants_paths && job.directories.iter().any(|name| name == CONTEXT) {
        paths = job.sync.directory(CONTEXT).map(paths_below).unwrap_or_default();
        failure.paths = &paths;
        explained = diagnose::explain(&failure);
    }
    let file = dockerfile.map(|file| file.name.to_owned());
    let place = file.zip(explained.place).map(|(file, place)| DockerfilePlace { file, place });
    BuildFailure {
        kind: explained.kind,
        message: explained.message,
        hint: explained
            .hint
            .or_else(|| step.as_deref().and_then(|step| not_given(job, step)))
            .or_else(|| output.of_step(vertex.as_deref()?).map(str::to_owned)),
        vertex,
        excerpt: explained.excerpt,
        place,
    }
}

/// What a RUN that failed mounts and does not get: without `required` it runs, and fails by itself. Where a mount says
/// `required=false`, it can do without.
fn not_given(job: &Job, step: &str) -> Option<String> {
    let mounts = step.split_whitespace().filter_map(|word| word.strip_prefix("--mount="));
    let mut hints = mounts.filter_map(|mount| {
        let fields = || mount.split(',').map(|field| field.split_once('=').unwrap_or((field, "")));
        let field = |names: &[&str]| fields().find(|(key, _)| names.contains(key));
        let value = |names: &[&str]| field(names).map(|(_, value)| value.trim_matches('"'));
        if value(&["required"]) == Some("false") {
            return None;
        }
        match value(&["type"])? {
            "secret" => {
                let target = value(&["target", "dst", "destination"]);
                let id = value(&["id"]).or_else(|| target?.rsplit('/').next())?;
                match job.secrets.get(id) {
                    None => Some(format!(
                        "the step mounts secret `{id}`, which was not given: list it under build.secrets of \
                         the service, or give --secret id={id},src=FILE"
                    )),
                    Some(Some(variable)) => Some(format!(
                        "secret `{id}` is empty: the variable {variable} is not set, or set to nothing"
                    )),
                    Some(None) => None,
                }
            }
            "ssh" => {
                let id = value(&["id"]).unwrap_or("default");
                (!job.ssh.contains(id)).then(|| {
                    format!(
                        "the step mounts ssh `{id}`, which was not given: list it under build.ssh of the \
                         service, or give --ssh {id}"
                    )
                })
            }
            _ => None,
        }
    });
    hints.next()
}

/// What this program told the engine of a directory it could not write to, without the engine's words
/// around it: that the disk of this machine is full is not to be taken for the engine's.
fn not_written<'a>(job: &Job, message: &'a str) -> Option<&'a str> {
    job.index_updates.iter().find_map(|update| {
        let told = message.find(&cannot_write(&update.path))?;
        Some(&message[told..])
    })
}

/// What the engine refuses without naming it.
fn refused(job: &Job, message: &str) -> Option<BuildFailure> {
    let failure = |kind, message: String, hint: &str| BuildFailure {
        kind,
        message,
        vertex: None,
        excerpt: None,
        place: None,
        hint: Some(hint.to_owned()),
    };
    if message.contains("invalid UTF-8") {
        let path = job.sync.not_utf8(&job.directories)?;
        let message = format!("the name `{path}` is not UTF-8, which this engine does not take");
        let hint = "rename it, or leave it out with .dockerignore";
        return Some(failure(FailureKind::Context, message, hint));
    }
    if diagnose::too_many_headers(message)
        && let Some((path, patterns)) = long_ignore_file(job)
    {
        let message =
            format!("{path} has {patterns} patterns, more than the engine can ask for files with");
        let hint = "use fewer and wider patterns, such as `dir` or `**/*.tmp`, or `**` with \
                    exceptions (`!src`)";
        return Some(failure(FailureKind::Context, message, hint));
    }
    if message.contains("unsupported frontend capability moby.buildkit.frontend.contexts") {
        let message = "this engine does not know additional_contexts".to_owned();
        let hint = "use Docker 23 or newer, or name a newer frontend in the first line of the \
                    Dockerfile: # syntax=docker/dockerfile:1";
        return Some(failure(FailureKind::Engine, message, hint));
    }
    None
}

/// The ignore file and how many patterns it has, where they take most of what headers may.
fn long_ignore_file(job: &Job) -> Option<(String, usize)> {
    let context = job.sync.directory(CONTEXT)?;
    let dockerfile = job.dockerfile.as_ref().map(|(name, _)| Path::new(name));
    let file = ignore_file::find(context, dockerfile).ok()??;
    let headers: usize =
        file.patterns.iter().map(|pattern| HEADER_COST + EXCLUDE.len() + pattern.len()).sum();
    (headers > HEADER_LIMIT as usize / 2)
        .then(|| (file.path.display().to_string(), file.patterns.len()))
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
    use crate::solve::stores::{Added, IndexUpdate};

    fn job(context: &Path) -> Job {
        let dir = LocalDir { name: CONTEXT.into(), path: context.to_owned() };
        Job {
            name: "api".into(),
            also_serves: Vec::new(),
            after: Vec::new(),
            contexts: Vec::new(),
            options: Default::default(),
            references: Vec::new(),
            loads_image: true,
            push: Vec::new(),
            logins: Default::default(),
            directories: vec![CONTEXT.into()],
            sync: FileSync::new(vec![dir]).report(),
            exports: None,
            index_updates: Vec::new(),
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
        let hint = |mounts: &str| not_given(&job, &format!("[2/2] RUN {mounts} cat /x"));
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
    fn a_layer_that_went_missing_is_no_failure_of_a_step() {
        let said = "failed to prepare extraction snapshot \"extract-466-XY sha256:55\": parent snapshot sha256:d8 does not exist: not found";
        assert!(lost_a_layer(said));
        for other in ["", "failed to compute cache key: \"/main.py\" not found: not found"] {
            assert!(!lost_a_layer(other));
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
        let added = Added::Cache { tag: "latest".into() };
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
