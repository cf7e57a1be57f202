//! Connections and sessions of a run, at its engine or at each of its nodes, with the requests fitted to what answers there.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::buildkit::session::Opening;
use crate::buildkit::{About, Control};
use crate::engine::Connector;
use crate::engine::docker_config::DockerConfig;
use crate::environment::Environment;
use crate::error::{CommandError, ExitKind};
use crate::solve::compression::Choice;
use crate::solve::engine_fit::{self, FitError};
use crate::solve::loading::BlobLease;
use crate::solve::node_fit::{self, Images};
use crate::solve::plan::{BuildPlan, Role};
use crate::solve::request::{Export, SolveRequest};
use crate::solve::sessions::{Providers, SecretFiles, Sessions, SessionsError};
use crate::solve::site::{DockerEngine, Load, NodeSite, SolvePlace, Surroundings};
use crate::targets::target::Target;
use crate::unreachable::{silent, unreachable};

/// How long an engine may take to answer that images are to be loaded into.
const ENGINE_ANSWER: Duration = Duration::from_secs(20);

/// What a run gets from this machine.
pub struct Sources<'a> {
    /// The process environment.
    pub environment: &'a Environment,
    /// Logins.
    pub docker_config: &'a DockerConfig,
    /// What is in the files of secrets.
    pub secret_files: SecretFiles,
    /// Where an export to standard output goes.
    pub stdout: Option<Box<dyn Write + Send>>,
    /// See [`crate::solve::prepare::scratch_directory`].
    pub scratch: Option<&'a Path>,
    /// Where warnings go.
    pub warn: &'a dyn Fn(&str),
    /// Where goes what only those want to know who ask for everything.
    pub tell: &'a dyn Fn(&str),
}

impl Sources<'_> {
    /// What the sessions for `requests` serve. There is one standard output: the first that exports to it has it.
    fn providers(&mut self, requests: &[SolveRequest]) -> Providers {
        let mut exports = requests.iter().flat_map(|request| request.exports.values());
        let is_wanted = exports.any(|export| *export == Export::Stdout);
        Providers {
            secret_files: self.secret_files.clone(),
            docker_config: self.docker_config.clone(),
            environment: self.environment.variables.clone(),
            stdout: if is_wanted { self.stdout.take() } else { None },
        }
    }
}

/// The number of each step among those that its node solves; `None` where nothing is solved.
pub(super) fn served(plan: &BuildPlan) -> Vec<Option<usize>> {
    let nodes = plan.steps.iter().map(|step| step.node + 1).max().unwrap_or(1);
    let mut counts = vec![0; nodes];
    let mut number = |node: usize| {
        counts[node] += 1;
        counts[node] - 1
    };
    let steps = plan.steps.iter();
    steps.map(|step| (step.role != Role::Index).then(|| number(step.node))).collect()
}

/// Opens everything that the run needs from its engine.
pub(super) async fn engine(
    plan: &BuildPlan,
    requests: &mut [SolveRequest],
    engine: &DockerEngine,
    mut sources: Sources<'_>,
) -> Result<(SolvePlace, Sessions), CommandError> {
    let providers = sources.providers(requests);
    let (control, sessions) = open(&engine.connector, requests, providers).await?;
    let targets = plan.steps.iter().map(|step| &step.target);
    let mut pairs: Vec<_> = targets.zip(requests).collect();
    let fitted = engine_fit::fit(&engine.engine, &control, &mut pairs).await;
    let choice = fitted.map_err(|error| match error {
        FitError::Engine(error) => unreachable(&engine.connector, error),
        FitError::Unsupported(error) => error.into(),
    })?;
    if choice == Choice::Zstd {
        (sources.tell)(
            "layers of images that stay here are compressed with zstd; --compression gzip leaves that to BuildKit",
        );
    }
    let surroundings = Surroundings::of_engine(engine.engine.clone());
    Ok((SolvePlace { control, surroundings, about: None }, sessions))
}

/// Opens everything that the run needs from each of its nodes.
pub(super) async fn nodes(
    plan: &BuildPlan,
    requests: &mut [SolveRequest],
    nodes: &[NodeSite],
    mut sources: Sources<'_>,
) -> Result<Vec<(SolvePlace, Sessions)>, CommandError> {
    let layers = sources.environment.layers_directory();
    let mut opened = Vec::with_capacity(nodes.len());
    for (number, node) in nodes.iter().enumerate() {
        let is_its = |index: &usize| {
            plan.steps[*index].node == number && plan.steps[*index].role != Role::Index
        };
        let indexes: Vec<usize> = (0..plan.steps.len()).filter(is_its).collect();
        let taken = indexes.iter().map(|index| std::mem::take(&mut requests[*index]));
        let mut own: Vec<SolveRequest> = taken.collect();
        let targets = indexes.iter().map(|index| &plan.steps[*index].target);
        let mut pairs: Vec<_> = targets.zip(&mut own).collect();
        let scratch = scratch(sources.scratch, number)?;
        let places = Places { scratch: scratch.as_deref(), layers: layers.as_deref() };
        let (control, about, kept) = introduce(node, &mut pairs, &places, sources.warn).await?;
        let providers = sources.providers(&own);
        let sessions = Sessions::open(Opening::Tunnel(&control), &own, providers).await;
        let sessions = sessions.map_err(|error| refused(&node.connector, error))?;
        let loads = own.iter().any(|request| !request.archives.is_empty());
        let surroundings = Surroundings::of_node(node, &about, loads, kept);
        for (index, request) in indexes.into_iter().zip(own) {
            requests[index] = request;
        }
        opened.push((SolvePlace { control, surroundings, about: Some(about) }, sessions));
    }
    Ok(opened)
}

/// Where archives of node `number` go: numbers of images are those of one node.
fn scratch(folder: Option<&Path>, number: usize) -> Result<Option<PathBuf>, CommandError> {
    let Some(folder) = folder.filter(|_| number > 0) else {
        return Ok(folder.map(Path::to_owned));
    };
    let folder = folder.join(format!("node-{number}"));
    fs_err::create_dir_all(&folder).map_err(|error| {
        CommandError::new(ExitKind::Failed, "make a temporary directory").caused_by(error)
    })?;
    Ok(Some(folder))
}

/// Opens everything the run needs from the engine, at the same time.
async fn open(
    connector: &Connector,
    requests: &[SolveRequest],
    providers: Providers,
) -> Result<(Control, Sessions), CommandError> {
    let opening = Opening::Engine(connector);
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
