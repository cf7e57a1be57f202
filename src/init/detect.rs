//! What a folder holds: a FastAPI app, a Celery worker, and what each of them needs in its image.

use std::collections::BTreeSet;

use crate::init::python::{self, Made};
use crate::init::requirements::{Requirements, names_package};
use crate::init::tree::Tree;

/// Folders beside the code that apps read while they run.
const DATA: &[&str] = &[
    "alembic",
    "assets",
    "config",
    "configs",
    "locales",
    "migrations",
    "prompts",
    "static",
    "templates",
];

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// The app that answers requests.
    pub api: Option<Service>,
    /// The app that works on tasks.
    pub worker: Option<Service>,
    /// Settings by which the code finds its queue, with values for the compose file's Redis.
    pub environment: Vec<(String, String)>,
    /// Whether the services need a Redis beside them.
    pub redis: bool,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// One service of the compose file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// `module:variable` for an API, `module` for a worker.
    pub app: String,
    /// The API's variable is a function that makes the app.
    pub factory: bool,
    /// Modules with tasks that the worker's app does not import.
    pub include: Vec<String>,
    /// Path that answers while the API is well.
    pub health: Option<String>,
    /// The source file the service starts with.
    pub file: String,
    /// The folder Python starts in, relative to the project; empty for the project's own.
    pub root: String,
    /// Files and folders of code that go into the image.
    pub items: Vec<String>,
    /// Its packages.
    pub requirements: Requirements,
}

/// Names the user gave.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// `module:variable` of the API.
    pub api: Option<String>,
    /// `module` of the worker.
    pub worker: Option<String>,
}

/// Why nothing can be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DetectError {
    /// There is Python code, but neither kind of app.
    #[error("found no FastAPI app and no Celery app in {sources} Python files")]
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
}

/// Looks for the apps. `None` when the folder has no Python code at all.
///
/// # Errors
/// There is code, but no app in it, or not the one that was named.
pub fn detect(tree: &Tree, wanted: &Wanted) -> Result<Option<Found>, DetectError> {
    let is_named = wanted.api.is_some() || wanted.worker.is_some();
    let sources = tree.python().count();
    if sources == 0 && !is_named {
        return Ok(None);
    }
    let mut found = Found::default();
    let api = match &wanted.api {
        Some(given) => Some(named_api(tree, given)?),
        None if is_named => None,
        None => find_api(tree, &mut found.notes),
    };
    let worker = match &wanted.worker {
        Some(given) => Some(named_worker(tree, given)?),
        None if is_named => None,
        None => find_worker(tree, &mut found.notes),
    };
    if api.is_none() && worker.is_none() {
        return Err(DetectError::NoApp { sources });
    }
    found.api = api.map(|start| start.service(tree, &["api", "web", "app", "server"]));
    found.worker =
        worker.map(|start| start.service(tree, &["worker", "workers", "celery", "tasks"]));
    found.surroundings(tree);
    Ok(Some(found))
}

/// Where a service starts.
struct Start {
    file: String,
    root: String,
    app: String,
    factory: bool,
    include: Vec<String>,
    health: Option<String>,
}

impl Start {
    fn new(file: &str, root: String, app: String) -> Self {
        let file = file.to_owned();
        Self { file, root, app, factory: false, include: Vec::new(), health: None }
    }

    fn service(self, tree: &Tree, words: &[&str]) -> Service {
        let requirements = Requirements::find(tree, &self.file, words)
            .unwrap_or_else(|| Requirements::Written { file: "requirements.txt".to_owned() });
        let items = items(tree, &self);
        let Self { file, root, app, factory, include, health } = self;
        Service { app, factory, include, health, file, root, items, requirements }
    }
}

fn is_test(path: &str) -> bool {
    path.split('/').any(|part| {
        part == "tests" || part == "test" || part == "conftest.py" || part.starts_with("test_")
    }) || path.ends_with("_test.py")
}

/// Sources that make `class`: the likeliest entry first.
fn makers<'a>(tree: &'a Tree, class: &str, names: &[&str]) -> Vec<(&'a str, Made)> {
    let mut makers: Vec<_> = tree
        .python()
        .filter(|(path, _)| !is_test(path))
        .filter_map(|(path, text)| Some((path, python::made(text, class)?)))
        .collect();
    makers.sort_by_key(|(path, made)| {
        let stem = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".py");
        let known = names.iter().position(|name| *name == stem).unwrap_or(names.len());
        (path.matches('/').count(), known, made.factory, *path)
    });
    makers
}

fn note_others(class: &str, makers: &[(&str, Made)], option: &str, notes: &mut Vec<String>) {
    if let [(taken, _), others @ ..] = makers
        && !others.is_empty()
    {
        let others: Vec<&str> = others.iter().map(|(path, _)| *path).collect();
        notes.push(format!(
            "{class} apps are made in {taken}, {}: took the first; {option} names another",
            others.join(", ")
        ));
    }
}

fn find_api(tree: &Tree, notes: &mut Vec<String>) -> Option<Start> {
    let makers = makers(tree, "FastAPI", &["main", "app", "asgi", "api", "server", "__init__"]);
    note_others("FastAPI", &makers, "--api", notes);
    let (file, made) = makers.first()?;
    let root = python::import_root(tree, file);
    let app = format!("{}:{}", python::module_name(&root, file), made.name);
    let mut start = Start::new(file, root, app);
    start.factory = made.factory;
    start.health = tree.text(file).and_then(|text| health_path(text, &made.name));
    Some(start)
}

/// A GET route of the app itself that is there to be asked whether it is well.
fn health_path(text: &str, app: &str) -> Option<String> {
    let decorator = format!("@{app}.get(");
    text.lines().find_map(|line| {
        let rest = line.trim_start().strip_prefix(&decorator)?;
        let quote = rest.chars().next().filter(|c| *c == '"' || *c == '\'')?;
        let path = rest[1..].split(quote).next()?;
        let is_health =
            ["health", "ping", "live", "ready", "status"].iter().any(|word| path.contains(word));
        (is_health && path.starts_with('/') && !path.contains('{')).then(|| path.to_owned())
    })
}

fn find_worker(tree: &Tree, notes: &mut Vec<String>) -> Option<Start> {
    let makers = makers(
        tree,
        "Celery",
        &["celery_app", "celery", "celeryapp", "worker", "tasks", "main", "app"],
    );
    note_others("Celery", &makers, "--worker", notes);
    let (file, made) = makers.first()?;
    let root = python::import_root(tree, file);
    let module = python::module_name(&root, file);
    let text = tree.text(file).unwrap_or_default();
    let finds_tasks =
        ["include=", "autodiscover_tasks(", "imports="].iter().any(|word| text.contains(word));
    let has_tasks = |text: &str| {
        text.lines().any(|line| {
            let line = line.trim_start();
            line.starts_with('@') && (line.contains(".task") || line.contains("shared_task"))
        })
    };
    let tasks: Vec<&str> = tree
        .python()
        .filter(|(path, text)| !is_test(path) && path != file && has_tasks(text))
        .map(|(path, _)| path)
        .collect();
    if has_tasks(text) || finds_tasks || tasks.is_empty() {
        let app = if made.factory { format!("{module}:{}", made.name) } else { module };
        return Some(Start::new(file, root, app));
    }
    // The one module with tasks imports the app, so Celery finds both in it.
    if let [only] = tasks.as_slice()
        && python::imports(tree.text(only).unwrap_or_default())
            .iter()
            .any(|name| *name == format!("{module}.{}", made.name))
    {
        let root = python::import_root(tree, only);
        let module = python::module_name(&root, only);
        return Some(Start::new(only, root, module));
    }
    let mut start = Start::new(file, root, module);
    start.include = tasks.iter().map(|path| python::module_name(&start.root, path)).collect();
    Some(start)
}

/// The file of a dotted name, and the folder it is imported from.
fn module_file(tree: &Tree, module: &str) -> Result<(String, String), DetectError> {
    let path = module.replace('.', "/");
    let ends = [format!("{path}.py"), format!("{path}/__init__.py")];
    let mut files: Vec<&String> = tree
        .files
        .iter()
        .filter(|file| ends.iter().any(|end| *file == end || file.ends_with(&format!("/{end}"))))
        .collect();
    files.sort_by_key(|file| file.matches('/').count());
    let file = files.first().ok_or_else(|| DetectError::NoModule { module: module.to_owned() })?;
    let end = ends.iter().find(|end| file.ends_with(*end)).map_or(0, String::len);
    Ok(((*file).clone(), file[..file.len() - end].trim_end_matches('/').to_owned()))
}

fn named_api(tree: &Tree, given: &str) -> Result<Start, DetectError> {
    let (module, variable) = given
        .split_once(':')
        .filter(|(module, variable)| !module.is_empty() && !variable.is_empty())
        .ok_or_else(|| DetectError::NoVariable { given: given.to_owned() })?;
    let (file, root) = module_file(tree, module)?;
    let text = tree.text(&file).unwrap_or_default();
    let mut start = Start::new(&file, root, given.to_owned());
    start.factory = text.lines().any(|line| {
        line.strip_prefix("def ").is_some_and(|rest| rest.starts_with(&format!("{variable}(")))
    });
    start.health = health_path(text, variable);
    Ok(start)
}

fn named_worker(tree: &Tree, given: &str) -> Result<Start, DetectError> {
    let (file, root) = module_file(tree, given.split(':').next().unwrap_or(given))?;
    Ok(Start::new(&file, root, given.to_owned()))
}

/// What of the project a service imports, directly or through other files of the project.
fn items(tree: &Tree, start: &Start) -> Vec<String> {
    // An app in a folder of its own is that folder, data files and all.
    if !start.root.is_empty() {
        return vec![start.root.clone()];
    }
    let names = std::iter::once(start.app.split(':').next().unwrap_or_default())
        .chain(start.include.iter().map(String::as_str));
    let mut items: BTreeSet<String> = BTreeSet::new();
    let mut queue: Vec<String> =
        names.filter_map(|name| python::local(tree, &start.root, name)).collect();
    while let Some(item) = queue.pop() {
        if !items.insert(item.clone()) {
            continue;
        }
        let sources = tree
            .python()
            .filter(|(path, _)| *path == item || path.starts_with(&format!("{item}/")));
        for (_, text) in sources {
            let imported = python::imports(text);
            queue.extend(imported.iter().filter_map(|name| python::local(tree, &start.root, name)));
        }
    }
    items.extend(DATA.iter().filter(|name| tree.has_folder(name)).map(|name| (*name).to_owned()));
    items.into_iter().collect()
}

impl Found {
    /// The services that were found, by name.
    pub fn services(&self) -> impl Iterator<Item = (&'static str, &Service)> {
        let api = self.api.as_ref().map(|service| ("api", service));
        api.into_iter().chain(self.worker.as_ref().map(|service| ("worker", service)))
    }

    fn surroundings(&mut self, tree: &Tree) {
        let words: BTreeSet<String> = tree
            .python()
            .flat_map(|(_, text)| text.split(|c: char| !(c.is_alphanumeric() || c == '_')))
            .map(str::to_ascii_uppercase)
            .collect();
        let uses_redis = self
            .services()
            .any(|(_, service)| names_package(tree, &service.requirements.files(), "redis"));
        self.redis = self.worker.is_some() || uses_redis;
        if !self.redis {
            return;
        }
        let url = "redis://redis:6379/0";
        for (name, value) in [
            ("BROKER_URL", url),
            // Celery reads this one itself where the code names no broker.
            ("CELERY_BROKER_URL", url),
            ("CELERY_RESULT_BACKEND", url),
            ("REDIS_HOST", "redis"),
            ("REDIS_URI", url),
            ("REDIS_URL", url),
            ("RESULT_BACKEND", url),
        ] {
            if words.contains(name) {
                self.environment.push((name.to_owned(), value.to_owned()));
            }
        }
        if self.environment.is_empty() && self.worker.is_some() {
            self.environment.push(("CELERY_BROKER_URL".to_owned(), url.to_owned()));
        }
        let fixed = tree.python().find(|(path, text)| {
            !is_test(path)
                && ["://localhost", "://127.0.0.1"].iter().any(|host| text.contains(host))
        });
        if let Some((path, _)) = fixed {
            self.notes.push(format!(
                "{path} names localhost: in a container that is the container itself; read the address from \
                 the environment, which the compose file sets to {url}"
            ));
        }
    }

    /// Says what a requirements file lacks for the image to start.
    pub fn note_missing_packages(&mut self, tree: &Tree) {
        let mut notes = Vec::new();
        for (name, service) in self.services() {
            let files = service.requirements.files();
            if let Requirements::Written { file } = &service.requirements {
                notes.push(format!(
                    "no requirements were found for {name}: wrote {file}, complete it"
                ));
                continue;
            }
            let needed = if name == "api" { &["uvicorn", "standard"][..] } else { &["celery"] };
            if !needed.iter().any(|package| names_package(tree, &files, package)) {
                notes.push(format!(
                    "{} names no {}, which the {name} image starts with: add it",
                    files[0], needed[0]
                ));
            }
        }
        self.notes.extend(notes);
    }
}

#[cfg(test)]
mod tests;
