//! From a plan to what the executor runs: requests and the files they need, then a connection, sessions and jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use crate::buildkit;
use crate::compose::Place;
use crate::dockerfile::context_fingerprint;
use crate::environment::Environment;
use crate::error::{CommandError, ExitKind};
use crate::image_reference;
use crate::registry::logins::CredentialStore;
use crate::remote::is_fetched_by_engine;
use crate::solve::cache_services;
use crate::solve::dockerfile_source;
use crate::solve::job::Job;
use crate::solve::names;
use crate::solve::opening::{self, Sources};
use crate::solve::plan::{BuildPlan, PlannedBuild, Role};
use crate::solve::request::{self, RequestContext, SolveRequest};
use crate::solve::sessions::Sessions;
use crate::solve::site::{Site, SolvePlace};
use crate::solve::stores::{self, StoreError};
use crate::targets::spec::{Secret, SecretLocation};
use crate::targets::target::Target;

/// A directory for Dockerfiles that stand in the compose file, and for images on their way from a builder to an engine,
/// where there are any. Nobody else can look into it.
///
/// # Errors
/// It cannot be made.
pub fn scratch_directory(plan: &BuildPlan, site: &Site) -> Result<Option<TempDir>, CommandError> {
    let is_inline = |step: &PlannedBuild| step.target.dockerfile_inline.is_some();
    if matches!(site, Site::Engine(_)) && !plan.steps.iter().any(is_inline) {
        return Ok(None);
    }
    tempfile::Builder::new().prefix("doc2md-docker-").tempdir().map(Some).map_err(|error| {
        CommandError::new(ExitKind::Failed, "make a temporary directory").caused_by(error)
    })
}

/// Returns one request per step of the plan. Writes inline Dockerfiles to `scratch`, and tells `warn` of caches that are
/// not there.
///
/// # Errors
/// A target that cannot be asked for, or an inline Dockerfile that cannot be written.
pub fn requests(
    plan: &BuildPlan,
    scratch: Option<&Path>,
    environment: &Environment,
    warn: impl Fn(&str),
) -> Result<Vec<SolveRequest>, CommandError> {
    let scratch = scratch.unwrap_or(Path::new(""));
    let default_platform = environment.get("DOCKER_DEFAULT_PLATFORM");
    warn_of_caches(plan, environment, &warn);
    let variables = &environment.variables;
    let mut requests = Vec::new();
    for step in &plan.steps {
        let target = &step.target;
        let fingerprint = dockerfile_source::of_target(target)
            .map_or_else(String::new, |it| context_fingerprint(&it.1, target.target.as_deref()));
        let stores = stores::look(target).map_err(|error| store_error(ExitKind::Invalid, error))?;
        stores.warnings.iter().for_each(|warning| warn(warning));
        let (fingerprint, stores) = (&*fingerprint, &stores);
        let context = RequestContext { scratch, default_platform, fingerprint, stores, variables };
        let request = request::solve_request(target, context)?;
        if let Some((path, text)) = &request.inline_dockerfile {
            write_inline(path, text).map_err(|error| {
                CommandError::new(ExitKind::Failed, "write an inline Dockerfile").caused_by(error)
            })?;
        }
        requests.push(request);
    }
    // Names move once all parts are there.
    let is_named = |(step, _): &(&PlannedBuild, &mut SolveRequest)| step.role != Role::Part;
    let mut builds: Vec<_> = plan.steps.iter().zip(&mut requests).filter(is_named).collect();
    names::settle(&mut builds).iter().for_each(|warning| warn(warning));
    for (step, request) in plan.steps.iter().zip(&mut requests) {
        request.play(step.role);
    }
    Ok(requests)
}

/// Tells of caches whose services nothing says how to reach, each thing once.
fn warn_of_caches(plan: &BuildPlan, environment: &Environment, warn: &impl Fn(&str)) {
    let home = environment.home.as_deref().unwrap_or(Path::new(""));
    let is_there = |file: &&str| home.join(file).is_file();
    let files: Vec<String> = cache_services::AWS_FILES
        .into_iter()
        .filter(is_there)
        .map(|it| format!("~/{it}"))
        .collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let mut told = BTreeSet::new();
    for step in &plan.steps {
        for warning in cache_services::warnings(&step.target, &environment.variables, &files) {
            if told.insert(warning.clone()) {
                warn(&warning);
            }
        }
    }
}

fn write_inline(path: &Path, text: &str) -> std::io::Result<()> {
    fs_err::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
    fs_err::write(path, text)
}

fn store_error(kind: ExitKind, error: StoreError) -> CommandError {
    let shown = CommandError::new(kind, error.to_string());
    error.hint.clone().into_iter().fold(shown, CommandError::hint).keeping(error)
}

/// A run that can begin. The sessions stay open until it is dropped.
pub struct Preparation {
    /// Where solves go, in the order of the site's nodes; one at least.
    pub places: Vec<SolvePlace>,
    /// What is solved, in the order of the plan.
    pub jobs: Vec<Job>,
    /// What serves them at each place.
    pub sessions: Vec<Sessions>,
}

impl Preparation {
    /// The place that everything goes to, or the first of several.
    pub fn first(&self) -> &SolvePlace {
        &self.places[0]
    }
}

/// Opens connection and sessions, turns requests to what this engine or builder understands, and makes the directories that
/// they write to.
///
/// # Errors
/// It cannot be reached or cannot do what a target asks, a secret or an agent cannot be served, or a directory
/// cannot be made.
pub async fn prepare(
    plan: &BuildPlan,
    mut requests: Vec<SolveRequest>,
    site: &Site,
    sources: Sources<'_>,
) -> Result<Preparation, CommandError> {
    let variables = &sources.environment.variables;
    let logins = Arc::new(CredentialStore::new(sources.docker_config.clone(), variables.clone()));
    let opened = match site {
        Site::Engine(engine) => {
            vec![opening::engine(plan, &mut requests, engine, sources).await?]
        }
        Site::Node(node) => {
            opening::nodes(plan, &mut requests, std::slice::from_ref(node), sources).await?
        }
        Site::Nodes(nodes) => opening::nodes(plan, &mut requests, nodes, sources).await?,
    };
    for (step, request) in plan.steps.iter().zip(&requests) {
        stores::prepare(&step.target, &request.stores)
            .map_err(|error| store_error(ExitKind::Failed, error))?;
    }
    let (places, sessions): (Vec<_>, Vec<_>) = opened.into_iter().unzip();
    let jobs = jobs(plan, requests, &sessions, &logins);
    Ok(Preparation { places, jobs, sessions })
}

/// What the executor runs, in the order of the plan.
fn jobs(
    plan: &BuildPlan,
    requests: Vec<SolveRequest>,
    sessions: &[Sessions],
    logins: &Arc<CredentialStore>,
) -> Vec<Job> {
    let built_by = plan.built_by();
    let served = opening::served(plan);
    let mut jobs = Vec::new();
    for (index, (step, request)) in plan.steps.iter().zip(requests).enumerate() {
        let (secrets, references) = (secrets(&request), references(step, &request));
        let mut options = request.options;
        options.build_ref = buildkit::new_ref();
        let at = served[index];
        let sessions = &sessions[step.node];
        if let Some(at) = at {
            sessions.attach(at, &mut options);
        }
        let contexts = request.needs.into_iter();
        let contexts = contexts
            .filter_map(|(context, needed)| Some((context, *built_by.get(needed.as_str())?)));
        jobs.push(Job {
            node: step.node,
            is_part: step.role == Role::Part,
            index: request.index,
            contexts: contexts.collect(),
            name: step.target.name.clone(),
            also_serves: step.also_serves.iter().map(|target| target.name.clone()).collect(),
            after: step.after.clone(),
            options,
            references,
            loads_image: request.loads_image,
            archives: request.archives,
            kept: request.kept,
            push: request.push,
            logins: Arc::clone(logins),
            context_place: context_place(&step.target),
            directories: request.directories.into_keys().collect(),
            sync: at.map(|at| sessions.report(at)).unwrap_or_default(),
            exports: at.filter(|_| !request.exports.is_empty()).map(|at| sessions.exports(at)),
            received: at.map(|at| sessions.received(at)).unwrap_or_default(),
            index_updates: request.index_updates,
            layer_cache: request.layer_cache,
            dockerfile: dockerfile_source::of_target(&step.target),
            secrets,
            ssh: request.ssh.into_iter().map(|key| key.id).collect(),
        });
    }
    jobs
}

/// Ids of the secrets of a request, each with the variable that should hold it but is empty.
fn secrets(request: &SolveRequest) -> BTreeMap<String, Option<String>> {
    let secret = |secret: &Secret| {
        let empty = match &secret.source {
            SecretLocation::Env(name) => {
                let value = request.secret_env.get(name);
                value.is_none_or(String::is_empty).then(|| name.clone())
            }
            SecretLocation::File(_) => None,
        };
        (secret.id.clone(), empty)
    };
    request.secrets.iter().map(secret).collect()
}

/// Where the files name a build context that is not a directory of this machine.
fn context_place(target: &Target) -> Option<Place> {
    target.places.get("context").filter(|_| is_fetched_by_engine(&target.context)).cloned()
}

/// References of the image that a step makes, without those that another one takes.
fn references(step: &PlannedBuild, request: &SolveRequest) -> Vec<String> {
    if step.role == Role::Part {
        return Vec::new();
    }
    let is_lost =
        |tag: &String| request.lost_names.iter().any(|lost| image_reference::is_same(lost, tag));
    step.target.tags.iter().filter(|tag| !is_lost(tag)).cloned().collect()
}
