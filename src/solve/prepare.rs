//! From a plan to what the executor runs: requests and the files they need, then a connection, sessions and jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;

use crate::buildkit::session::Opening;
use crate::buildkit::{self, About, Control};
use crate::compose::Place;
use crate::dockerfile::context_fingerprint;
use crate::engine::Connector;
use crate::engine::docker_config::DockerConfig;
use crate::environment::Environment;
use crate::error::{CommandError, ExitKind};
use crate::image_reference;
use crate::registry::logins::CredentialStore;
use crate::remote::is_fetched_by_engine;
use crate::solve::cache_services;
use crate::solve::dockerfile_source;
use crate::solve::engine_fit::{self, FitError};
use crate::solve::job::Job;
use crate::solve::loading::BlobLease;
use crate::solve::names;
use crate::solve::node_fit::{self, Images};
use crate::solve::plan::{BuildPlan, PlannedBuild};
use crate::solve::request::{self, RequestContext, SolveRequest};
use crate::solve::sessions::{Providers, SecretFiles, Sessions, SessionsError};
use crate::solve::site::{DockerEngine, Load, NodeSite, Site, Surroundings};
use crate::solve::stores::{self, StoreError};
use crate::targets::spec::{Secret, SecretLocation};
use crate::targets::target::Target;
use crate::unreachable::{silent, unreachable};

/// How long an engine may take to answer that images are to be loaded into.
const ENGINE_ANSWER: Duration = Duration::from_secs(20);

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
    let mut builds: Vec<_> = plan.steps.iter().zip(&mut requests).collect();
    names::settle(&mut builds).iter().for_each(|warning| warn(warning));
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

/// What a run gets from this machine.
pub struct Sources<'a> {
    /// The process environment.
    pub environment: &'a Environment,
    /// Logins.
    pub docker_config: &'a DockerConfig,
    /// What is in the files of secrets.
    pub secret_files: SecretFiles,
    /// Where an export to standard output goes.
    pub stdout: Box<dyn Write + Send>,
    /// See [`scratch_directory`].
    pub scratch: Option<&'a Path>,
    /// Where warnings go.
    pub warn: &'a dyn Fn(&str),
}

/// A run that can begin. The sessions stay open until it is dropped.
pub struct Preparation {
    /// The connection that solves go over.
    pub control: Control,
    /// What is around it.
    pub surroundings: Surroundings,
    /// What BuildKit says of itself, where it is not within an engine.
    pub about: Option<About>,
    /// What is solved, in the order of the plan.
    pub jobs: Vec<Job>,
    /// What serves them.
    pub sessions: Sessions,
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
    let providers = Providers {
        secret_files: sources.secret_files,
        docker_config: sources.docker_config.clone(),
        environment: variables.clone(),
        stdout: Some(sources.stdout),
    };
    let targets = plan.steps.iter().map(|step| &step.target);
    let opened = match site {
        Site::Engine(engine) => {
            let (control, sessions) = open(&engine.connector, &requests, providers).await?;
            let mut pairs: Vec<_> = targets.zip(&mut requests).collect();
            let fitted = engine_fit::fit(&engine.engine, &control, &mut pairs).await;
            fitted.map_err(|error| match error {
                FitError::Engine(error) => unreachable(&engine.connector, error),
                FitError::Unsupported(error) => error.into(),
            })?;
            let surroundings = Surroundings::of_engine(engine.engine.clone());
            OpenEngine { control, sessions, surroundings, about: None }
        }
        Site::Node(node) => {
            let mut pairs: Vec<_> = targets.zip(&mut requests).collect();
            let folder = sources.environment.layers_directory();
            let places = Places { scratch: sources.scratch, layers: folder.as_deref() };
            let (control, about, kept) = introduce(node, &mut pairs, &places, sources.warn).await?;
            let sessions = Sessions::open(Opening::Tunnel(&control), &requests, providers).await;
            let sessions = sessions.map_err(|error| refused(&node.connector, error))?;
            let loads = requests.iter().any(|request| !request.archives.is_empty());
            let surroundings = Surroundings::of_node(node, &about, loads, kept);
            OpenEngine { control, sessions, surroundings, about: Some(about) }
        }
    };
    for (step, request) in plan.steps.iter().zip(&requests) {
        stores::prepare(&step.target, &request.stores)
            .map_err(|error| store_error(ExitKind::Failed, error))?;
    }
    let OpenEngine { control, sessions, surroundings, about } = opened;
    let jobs = jobs(plan, requests, &sessions, &logins);
    Ok(Preparation { control, surroundings, about, jobs, sessions })
}

/// What was opened, and what is known of it.
struct OpenEngine {
    control: Control,
    sessions: Sessions,
    surroundings: Surroundings,
    about: Option<About>,
}

/// Opens everything the run needs from the engine, at the same time.
async fn open(
    connector: &Connector,
    requests: &[SolveRequest],
    providers: Providers,
) -> Result<(Control, Sessions), CommandError> {
    let opening = Opening::Upgrade(connector);
    let (control, sessions) =
        tokio::join!(Control::connect(connector), Sessions::open(opening, requests, providers));
    let control = control.map_err(|error| unreachable(connector, error))?;
    let sessions = sessions.map_err(|error| refused(connector, error))?;
    Ok((control, sessions))
}

fn refused(connector: &Connector, error: SessionsError) -> CommandError {
    match error {
        SessionsError::Transport(error) => unreachable(connector, error),
        error => CommandError::new(ExitKind::Usage, error.to_string()).keeping(error),
    }
}

/// Directories that images of a builder come to.
struct Places<'a> {
    /// See [`scratch_directory`].
    scratch: Option<&'a Path>,
    /// Where layers are kept from build to build.
    layers: Option<&'a Path>,
}

/// Asks a node what it is, and fits the requests to it. Returns what is kept of its images, where they are loaded.
async fn introduce(
    node: &NodeSite,
    pairs: &mut [(&Target, &mut SolveRequest)],
    places: &Places<'_>,
    warn: &dyn Fn(&str),
) -> Result<(Control, About, Option<Arc<BlobLease>>), CommandError> {
    let is_wanted = pairs.iter().any(|(_, request)| {
        request.loads_image && (node.load == Load::Asked || request.push.is_empty())
    });
    let look = async {
        match is_wanted {
            true => Some(is_there(&node.engine).await),
            false => None,
        }
    };
    let (introduced, engine) = tokio::join!(node.introduce(), look);
    let (control, about) = introduced?;
    let absent = match engine {
        Some(Err(error)) if node.load == Load::Asked && !about.is_bound_to_engine => {
            return Err(error);
        }
        Some(Err(error)) => Some(error),
        _ => None,
    };
    let wants_gateway = pairs.iter().any(|(_, request)| engine_fit::wants_host_gateway(request));
    let host_gateway = if wants_gateway { control.host_gateway().await } else { None };
    let archives = places.scratch.filter(|_| absent.is_none());
    let loads = is_wanted && archives.is_some() && !about.is_bound_to_engine;
    let kept = places.layers.filter(|_| loads && !about.worker.is_empty());
    let kept = kept.and_then(|folder| match BlobLease::open(folder, &about.worker) {
        Ok(kept) => Some(Arc::new(kept)),
        Err(error) => {
            let folder = folder.display();
            warn(&format!("images travel whole, since no layers can be kept in {folder}: {error}"));
            None
        }
    });
    let facts = node_fit::Node {
        peer: node.connector.peer(),
        about: &about,
        host_gateway: host_gateway.as_deref(),
        load: node.load,
        archives,
        layers: kept.as_ref().map(|kept| kept.path()),
    };
    match (node_fit::fit(pairs, &facts)?, absent) {
        (Images::InCache, Some(error)) => warn(&format!(
            "the images stay in the cache of the builder, since there is no engine to load them into: {error}; \
             --push sends them to a registry"
        )),
        (Images::InItsEngine, _) => {
            warn(&format!("the images stay in the docker engine of {}", node.connector.peer()));
        }
        _ => {}
    }
    Ok((control, about, kept))
}

/// Whether the engine answers.
async fn is_there(engine: &DockerEngine) -> Result<(), CommandError> {
    match timeout(ENGINE_ANSWER, engine.engine.version()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(unreachable(&engine.connector, error)),
        Err(_) => Err(silent(&engine.connector, ENGINE_ANSWER)),
    }
}

/// What the executor runs, in the order of the plan.
fn jobs(
    plan: &BuildPlan,
    requests: Vec<SolveRequest>,
    sessions: &Sessions,
    logins: &Arc<CredentialStore>,
) -> Vec<Job> {
    let built_by = plan.built_by();
    let mut jobs = Vec::new();
    for (index, (step, request)) in plan.steps.iter().zip(requests).enumerate() {
        let (secrets, references) = (secrets(&request), references(step, &request));
        let mut options = request.options;
        options.build_ref = buildkit::new_ref();
        sessions.attach(index, &mut options);
        let contexts = request.needs.into_iter();
        let contexts = contexts
            .filter_map(|(context, needed)| Some((context, *built_by.get(needed.as_str())?)));
        jobs.push(Job {
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
            sync: sessions.report(index),
            exports: (!request.exports.is_empty()).then(|| sessions.exports(index)),
            received: sessions.received(index),
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
    let is_lost =
        |tag: &String| request.lost_names.iter().any(|lost| image_reference::is_same(lost, tag));
    step.target.tags.iter().filter(|tag| !is_lost(tag)).cloned().collect()
}
