//! From a plan to what the executor sends: solve requests, the files they need, jobs.

use std::path::Path;
use std::sync::Arc;

use crate::buildkit;
use crate::buildkit::session::auth::CredentialStore;
use crate::dockerfile::context_fingerprint;
use crate::environment::Environment;
use crate::error::{CommandError, ExitKind};
use crate::solve::dockerfile_source;
use crate::solve::job::Job;
use crate::solve::names;
use crate::solve::plan::BuildPlan;
use crate::solve::request::{self, RequestContext, SolveRequest};
use crate::solve::sessions::Sessions;
use crate::solve::stores::{self, StoreError};
use crate::targets::spec::SecretLocation;
use crate::targets::target::Target;
use crate::terminal::Ui;

/// A directory for Dockerfiles that stand in the compose file, where one does.
pub(super) fn scratch_directory(
    plan: &BuildPlan,
) -> Result<Option<tempfile::TempDir>, CommandError> {
    if plan.steps.iter().all(|step| step.target.dockerfile_inline.is_none()) {
        return Ok(None);
    }
    tempfile::Builder::new().prefix("doc2md-docker-").tempdir().map(Some).map_err(|error| {
        CommandError::new(ExitKind::Failed, "make a temporary directory for an inline Dockerfile")
            .caused_by(&error)
    })
}

/// One request per step of the plan. Writes inline Dockerfiles to `scratch`, and warns of caches that
/// are not there.
pub(super) fn requests(
    plan: &BuildPlan,
    scratch: Option<&Path>,
    environment: &Environment,
    ui: &Ui,
) -> Result<Vec<SolveRequest>, CommandError> {
    let requests = plan.steps.iter().map(|step| {
        let fingerprint = dockerfile(&step.target).map_or_else(String::new, |(_, text)| {
            context_fingerprint(&text, step.target.target.as_deref())
        });
        let stores =
            stores::look(&step.target).map_err(|error| store_error(ExitKind::Invalid, error))?;
        for warning in &stores.warnings {
            ui.warn(warning);
        }
        let context = RequestContext {
            scratch: scratch.unwrap_or(Path::new("")),
            default_platform: environment.get("DOCKER_DEFAULT_PLATFORM"),
            fingerprint: &fingerprint,
            stores: &stores,
        };
        let request = request::solve_request(&step.target, context)
            .map_err(|error| CommandError::new(ExitKind::Invalid, error.to_string()))?;
        if let Some((path, text)) = &request.inline_dockerfile {
            let write = || {
                fs_err::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
                fs_err::write(path, text)
            };
            write().map_err(|error| {
                CommandError::new(ExitKind::Failed, "write an inline Dockerfile").caused_by(&error)
            })?;
        }
        Ok(request)
    });
    let mut requests = requests.collect::<Result<Vec<_>, CommandError>>()?;
    let mut builds: Vec<_> = plan.steps.iter().zip(&mut requests).collect();
    for warning in names::settle(&mut builds) {
        ui.warn(&warning);
    }
    Ok(requests)
}

/// Makes the directories that `requests` write to.
pub(super) fn prepare_stores(
    plan: &BuildPlan,
    requests: &[SolveRequest],
) -> Result<(), CommandError> {
    plan.steps.iter().zip(requests).try_for_each(|(step, request)| {
        stores::prepare(&step.target, &request.stores)
            .map_err(|error| store_error(ExitKind::Failed, error))
    })
}

fn store_error(kind: ExitKind, error: StoreError) -> CommandError {
    let message = error.to_string();
    error.hint.into_iter().fold(CommandError::new(kind, message), CommandError::hint)
}

/// What the executor runs, in the order of the plan.
pub(super) fn jobs(
    plan: &BuildPlan,
    requests: Vec<SolveRequest>,
    sessions: &Sessions,
    logins: &Arc<CredentialStore>,
) -> Vec<Job> {
    let built_by = plan.built_by();
    plan.steps
        .iter()
        .zip(requests)
        .enumerate()
        .map(|(index, (step, request))| {
            let mut options = request.options;
            options.build_ref = buildkit::new_ref();
            sessions.attach(index, &mut options);
            let secrets = request.secrets.iter().map(|secret| {
                let empty = match &secret.source {
                    SecretLocation::Env(name) => {
                        let value = request.secret_env.get(name);
                        value.is_none_or(String::is_empty).then(|| name.clone())
                    }
                    SecretLocation::File(_) => None,
                };
                (secret.id.clone(), empty)
            });
            let secrets = secrets.collect();
            let ssh = request.ssh.iter().map(|key| key.id.clone()).collect();
            let contexts = request.needs.into_iter();
            let contexts = contexts
                .filter_map(|(context, needed)| Some((context, *built_by.get(needed.as_str())?)));
            Job {
                contexts: contexts.collect(),
                name: step.target.name.clone(),
                also_serves: step.also_serves.iter().map(|target| target.name.clone()).collect(),
                after: step.after.clone(),
                options,
                references: step
                    .target
                    .tags
                    .iter()
                    .filter(|tag| !request.lost_names.iter().any(|lost| names::is_same(lost, tag)))
                    .cloned()
                    .collect(),
                loads_image: request.loads_image,
                push: request.push,
                logins: Arc::clone(logins),
                directories: request.directories.into_keys().collect(),
                sync: sessions.report(index),
                exports: (!request.exports.is_empty()).then(|| sessions.exports(index)),
                index_updates: request.index_updates,
                dockerfile: dockerfile(&step.target),
                secrets,
                ssh,
            }
        })
        .collect()
}

/// The Dockerfile as far as this machine has it, to show the place of an error.
pub(in crate::commands) fn dockerfile(target: &Target) -> Option<(String, String)> {
    if let Some(text) = &target.dockerfile_inline {
        return Some(("dockerfile_inline".to_owned(), text.clone()));
    }
    let path =
        Path::new(&target.context).join(target.dockerfile.as_deref().unwrap_or("Dockerfile"));
    let text = dockerfile_source::text(&path).ok()?;
    Some((path.display().to_string(), text))
}
