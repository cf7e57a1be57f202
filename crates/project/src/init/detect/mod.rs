//! What a folder holds: an app that answers requests, a worker, and what each of them needs in its image.

mod broker;
mod code;
mod packages;
mod service;
mod start;

use crate::init::apps::Server;
use crate::init::interpreter::NoPython;
use crate::init::requirements::{Refusal, Requirements};
use crate::init::tree::Tree;

use start::{find_api, find_worker, named_api, named_worker};

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Detection {
    /// The app that answers requests.
    pub api: Option<Service>,
    /// The app that works on tasks.
    pub worker: Option<Service>,
    /// Settings by which the code finds its queue, with values for the compose file's broker.
    pub environment: Vec<(String, String)>,
    /// What carries the tasks.
    pub broker: Option<Broker>,
    /// The code reads settings from its environment.
    pub reads_environment: bool,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// A service beside the project's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broker {
    /// Redis.
    Redis,
    /// RabbitMQ.
    RabbitMq,
}

/// What a service is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runner {
    /// A server for the app; `is_factory` where its name is a function that makes it.
    Web {
        /// Which server.
        server: Server,
        /// The name is a function.
        is_factory: bool,
    },
    /// Celery, with modules of tasks that its app does not import.
    Celery {
        /// The modules.
        include: Vec<String>,
    },
    /// RQ, with its queues.
    Rq {
        /// The queues' names.
        queues: Vec<String>,
    },
    /// Dramatiq, with further modules of actors.
    Dramatiq {
        /// The modules.
        include: Vec<String>,
    },
    /// A module that is a program.
    Module,
}

/// One service of the compose file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// What starts it.
    pub runner: Runner,
    /// `module:variable` for an API, `module` for a worker.
    pub app: String,
    /// Path that answers while the API is well.
    pub health: Option<String>,
    /// The source file the service starts with.
    pub file: String,
    /// The folder Python starts in, relative to the project; empty for the project's own.
    pub root: String,
    /// Folders of other projects of the repository that it imports from.
    pub libraries: Vec<String>,
    /// Files and folders of code that go into the image.
    pub items: Vec<String>,
    /// Its packages.
    pub requirements: Requirements,
    /// Packages that start it and that the requirements do not name.
    pub extra: Vec<String>,
    /// Packages of the operating system that its packages need.
    pub system: Vec<&'static str>,
    /// Minor version of its Python 3.
    pub python: u32,
    /// The code writes into the folder it starts in.
    pub writes_beside_code: bool,
}

/// Names the user gave.
#[derive(Debug, Clone, Default)]
pub struct UserNames {
    /// `module:variable` of the API.
    pub api: Option<String>,
    /// `module` of the worker.
    pub worker: Option<String>,
}

/// Why nothing can be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DetectError {
    /// There is Python code, but neither kind of app.
    #[error("found no app and no worker in {sources} Python files")]
    NoApp {
        /// How many sources were read.
        sources: usize,
    },
    /// A module that was named does not exist.
    #[error("there is no module `{module}` in the folder")]
    NoModule {
        /// Its dotted name.
        module: String,
    },
    /// An API was named without its variable.
    #[error("`{given}` does not name an app")]
    NoVariable {
        /// What was given.
        given: String,
    },
    /// The packages cannot be installed from what declares them.
    #[error(transparent)]
    Packages(#[from] Refusal),
    /// There is no image with such a Python.
    #[error(transparent)]
    Python(#[from] NoPython),
    /// Nothing declares the packages, and the code imports some that are not well known.
    #[error("no file declares the packages, and {file} imports {modules}")]
    Undeclared {
        /// A source.
        file: String,
        /// The modules.
        modules: String,
    },
}

/// Looks for the apps. `None` when the folder has no Python code at all.
///
/// # Errors
/// There is code, but no app in it, or not the one that was named, or its packages cannot be installed.
pub fn detect(tree: &Tree, wanted: &UserNames) -> Result<Option<Detection>, DetectError> {
    let is_named = wanted.api.is_some() || wanted.worker.is_some();
    let sources = tree.python().count();
    if sources == 0 && !is_named {
        return Ok(None);
    }
    let mut found = Detection::default();
    let api = match &wanted.api {
        Some(given) => Some(named_api(tree, given)?),
        None if is_named => None,
        None => find_api(tree, &mut found.notes),
    };
    let worker = match &wanted.worker {
        Some(given) => Some(named_worker(tree, given)?),
        None if is_named => None,
        None => find_worker(tree, api.is_some(), &mut found.notes),
    };
    if api.is_none() && worker.is_none() {
        return Err(DetectError::NoApp { sources });
    }
    found.api =
        api.map(|start| start.service(tree, &["api", "web", "app", "server"])).transpose()?;
    found.worker = worker
        .map(|start| start.service(tree, &["worker", "workers", "celery", "tasks"]))
        .transpose()?;
    found.surroundings(tree);
    found.note_packages(tree);
    Ok(Some(found))
}

impl Detection {
    /// The services that were found, by name.
    pub fn services(&self) -> impl Iterator<Item = (&'static str, &Service)> {
        let api = self.api.as_ref().map(|service| ("api", service));
        api.into_iter().chain(self.worker.as_ref().map(|service| ("worker", service)))
    }
}

#[cfg(test)]
mod tests;
