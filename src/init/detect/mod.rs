//! What a folder holds: an app that answers requests, a worker, and what each of them needs in its image.

use std::collections::BTreeSet;

use crate::init::apps::{self, Maker, Server};
use crate::init::interpreter::{self, NoPython};
use crate::init::python;
use crate::init::requirements::{Refusal, Requirements, package_of};
use crate::init::source;
use crate::init::tree::{Tree, join, parent};

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

/// Where a service starts.
struct Start {
    file: String,
    root: String,
    app: String,
    runner: Runner,
    health: Option<String>,
    /// Its framework imports modules that settings name.
    is_django: bool,
}

impl Start {
    fn new(file: &str, root: String, app: String, runner: Runner) -> Self {
        Self { file: file.to_owned(), root, app, runner, health: None, is_django: false }
    }

    fn service(self, tree: &Tree, words: &[&str]) -> Result<Service, DetectError> {
        let items = items(tree, &self);
        let requirements = match Requirements::find(tree, &self.file, words)? {
            Some(found) => found,
            None => written(tree, &self, &items)?,
        };
        let python = interpreter::minor(tree, &requirements.folder())?;
        let system = system_packages(tree, &requirements);
        let writes_beside_code = code(tree, &items).any(|(_, text)| writes_relative(text));
        let Self { file, root, app, runner, health, .. } = self;
        let mut extra = Vec::new();
        let starters: &[&str] = match &runner {
            Runner::Web { server: Server::Asgi, .. } => &["uvicorn", "standard", "all"],
            Runner::Web { server: Server::Wsgi, .. } => &["gunicorn"],
            Runner::Celery { .. } => &["celery"],
            Runner::Rq { .. } => &["rq"],
            Runner::Dramatiq { .. } => &["dramatiq"],
            Runner::Module => &[],
        };
        if !starters.is_empty() && !starters.iter().any(|name| requirements.name(tree, name)) {
            extra.push(starters[0].to_owned());
        }
        Ok(Service {
            runner,
            app,
            health,
            file,
            root,
            items,
            requirements,
            extra,
            system,
            python,
            writes_beside_code,
        })
    }
}

/// Sources of these files and folders, with their text.
fn code<'a>(tree: &'a Tree, items: &'a [String]) -> impl Iterator<Item = (&'a str, &'a str)> {
    tree.python()
        .filter(|(path, _)| !apps::is_test(path))
        .filter(|(path, _)| items.iter().any(|item| is_within(path, item)))
        .map(|(path, source)| (path, source.text.as_str()))
}

fn is_within(path: &str, item: &str) -> bool {
    path == item || path.strip_prefix(item).is_some_and(|rest| rest.starts_with('/'))
}

/// Requirements for code whose packages nothing declares.
fn written(tree: &Tree, start: &Start, items: &[String]) -> Result<Requirements, DetectError> {
    let mut packages = BTreeSet::new();
    let mut unknown: Option<(String, Vec<String>)> = None;
    let sources = tree
        .python()
        .filter(|(path, _)| !apps::is_test(path) && items.iter().any(|item| is_within(path, item)));
    for (path, source) in sources {
        for module in &source.imports.required {
            if python::is_standard(module) || python::local(tree, &start.root, module).is_some() {
                continue;
            }
            // A module beside the source, as a script imports it.
            if python::local(tree, parent(path), module).is_some() {
                continue;
            }
            match package_of(module) {
                Some(package) => {
                    packages.insert(package.to_owned());
                }
                None => unknown
                    .get_or_insert_with(|| (path.to_owned(), Vec::new()))
                    .1
                    .push(module.clone()),
            }
        }
    }
    if let Some((file, modules)) = unknown {
        return Err(DetectError::Undeclared { file, modules: modules.join(", ") });
    }
    match &start.runner {
        Runner::Web { server: Server::Asgi, .. } => packages.insert("uvicorn".to_owned()),
        Runner::Web { server: Server::Wsgi, .. } => packages.insert("gunicorn".to_owned()),
        Runner::Celery { .. } => {
            packages.remove("celery");
            packages.insert("celery[redis]".to_owned())
        }
        Runner::Dramatiq { .. } => {
            packages.remove("dramatiq");
            packages.insert("dramatiq[redis]".to_owned())
        }
        Runner::Rq { .. } | Runner::Module => false,
    };
    let packages = packages.into_iter().collect();
    Ok(Requirements::Written { file: "requirements.txt".to_owned(), packages })
}

/// Debian packages without which well-known Python packages cannot be installed or imported.
fn system_packages(tree: &Tree, requirements: &Requirements) -> Vec<&'static str> {
    const NEEDS: &[(&str, &[&str])] = &[
        ("mysqlclient", &["default-libmysqlclient-dev", "gcc", "libc6-dev", "pkg-config"]),
        ("opencv-python", &["libgl1", "libglib2.0-0"]),
        ("pdf2image", &["poppler-utils"]),
        ("psycopg2", &["gcc", "libc6-dev", "libpq-dev"]),
        ("pydub", &["ffmpeg"]),
        ("pytesseract", &["tesseract-ocr"]),
        ("python-magic", &["libmagic1"]),
        ("weasyprint", &["libpango-1.0-0", "libpangoft2-1.0-0"]),
    ];
    let mut system: BTreeSet<&'static str> = NEEDS
        .iter()
        .filter(|(package, _)| requirements.name(tree, package))
        .flat_map(|(_, needs)| needs.iter().copied())
        .collect();
    let texts = requirements.files();
    if texts.iter().filter_map(|file| tree.text(file)).any(|text| text.contains("git+")) {
        system.extend(["ca-certificates", "git"]);
    }
    system.into_iter().collect()
}

/// Whether code makes files or folders where it is started.
fn writes_relative(text: &str) -> bool {
    let is_relative = |path: &str| !path.is_empty() && !path.starts_with(['/', '{', '~', '$']);
    let after =
        |word: &'static str| text.match_indices(word).map(move |(at, _)| &text[at + word.len()..]);
    let database = after("sqlite").any(|rest| {
        let rest = rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '+');
        rest.strip_prefix(":///")
            .is_some_and(|path| is_relative(path) && !path.starts_with(['"', '\'', ':']))
    });
    let made = ["makedirs(", "mkdir(", "FileHandler("].into_iter().flat_map(after).any(|rest| {
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        quote.is_some_and(|quote| is_relative(rest[1..].split(quote).next().unwrap_or_default()))
    });
    database || made
}

fn note_others(what: &str, makers: &[Maker], option: &str, notes: &mut Vec<String>) {
    if let [taken, others @ ..] = makers
        && !others.is_empty()
    {
        let others: Vec<&str> = others.iter().map(|maker| maker.file.as_str()).collect();
        notes.push(format!(
            "{what} are made in {}, {}: took the first; {option} names another",
            taken.file,
            others.join(", ")
        ));
    }
}

fn find_api(tree: &Tree, notes: &mut Vec<String>) -> Option<Start> {
    let classes: Vec<&str> = apps::WEB.iter().map(|(class, _)| *class).collect();
    let stems = ["main", "app", "wsgi", "asgi", "api", "server", "__init__"];
    let mut makers = apps::makers(tree, &classes, &stems);
    // Django has one app in two forms.
    let is_asgi_twin = |maker: &Maker, all: &[Maker]| {
        classes[maker.class] == "get_asgi_application"
            && all.iter().any(|other| {
                classes[other.class] == "get_wsgi_application"
                    && parent(&other.file) == parent(&maker.file)
            })
    };
    let all = makers.clone();
    makers.retain(|maker| !is_asgi_twin(maker, &all));
    note_others("apps", &makers, "--api", notes);
    let maker = makers.first()?;
    let root = python::import_root(tree, &maker.file);
    let app = format!("{}:{}", python::module_name(&root, &maker.file), maker.name);
    let (class, server) = apps::WEB[maker.class];
    let runner = Runner::Web { server, is_factory: maker.is_factory };
    let mut start = Start::new(&maker.file, root, app, runner);
    start.is_django = class.starts_with("get_");
    start.health =
        tree.source(&maker.file).and_then(|source| apps::health_path(source, &maker.name));
    Some(start)
}

fn find_worker(tree: &Tree, has_api: bool, notes: &mut Vec<String>) -> Option<Start> {
    find_celery(tree, notes)
        .or_else(|| find_dramatiq(tree))
        .or_else(|| find_rq(tree))
        .or_else(|| find_program(tree, has_api))
}

fn find_celery(tree: &Tree, notes: &mut Vec<String>) -> Option<Start> {
    let stems = ["celery_app", "celery", "celeryapp", "worker", "tasks", "main", "app"];
    let makers = apps::makers(tree, &["Celery"], &stems);
    note_others("Celery apps", &makers, "--worker", notes);
    let tasks = apps::task_modules(tree, apps::is_celery_task);
    let Some(maker) = makers.first() else {
        // Tasks of the app that Celery makes itself.
        let uses_current = |path: &&&str| {
            tree.source(path).is_some_and(|source| {
                source.imports.names.values().any(|name| name == "celery.current_app")
            })
        };
        let file = tasks.iter().find(uses_current)?;
        let root = python::import_root(tree, file);
        let app = python::module_name(&root, file);
        let others = tasks.iter().filter(|path| *path != file);
        let include = others.map(|path| python::module_name(&root, path)).collect();
        return Some(Start::new(file, root, app, Runner::Celery { include }));
    };
    let file = maker.file.as_str();
    let root = python::import_root(tree, file);
    let module = python::module_name(&root, file);
    let text = tree.text(file).unwrap_or_default();
    let is_django = tree.files.iter().any(|path| path.ends_with("manage.py"));
    let finds_tasks =
        ["include=", "autodiscover_tasks(", "imports="].iter().any(|word| text.contains(word));
    let has_own = tasks.contains(&file);
    let tasks: Vec<&str> = tasks.into_iter().filter(|path| *path != file).collect();
    let celery = |include| Runner::Celery { include };
    if has_own || finds_tasks || tasks.is_empty() {
        let app = if maker.is_factory { format!("{module}:{}", maker.name) } else { module };
        let mut start = Start::new(file, root, app, celery(Vec::new()));
        start.is_django = is_django;
        return Some(start);
    }
    // The one module with tasks imports the app, so Celery finds both in it.
    if let [only] = tasks.as_slice()
        && tree.source(only).is_some_and(|source| {
            let wanted = format!("{module}.{}", maker.name);
            source.imports.names.values().any(|name| *name == wanted)
        })
    {
        let root = python::import_root(tree, only);
        let module = python::module_name(&root, only);
        return Some(Start::new(only, root, module, celery(Vec::new())));
    }
    let include = tasks.iter().map(|path| python::module_name(&root, path)).collect();
    let mut start = Start::new(file, root, module, celery(include));
    start.is_django = is_django;
    Some(start)
}

fn find_dramatiq(tree: &Tree) -> Option<Start> {
    let uses = |path: &&str| imports(tree, path, "dramatiq");
    let modules: Vec<&str> =
        apps::task_modules(tree, apps::is_actor).into_iter().filter(uses).collect();
    let (first, others) = modules.split_first()?;
    let root = python::import_root(tree, first);
    let include = others.iter().map(|path| python::module_name(&root, path)).collect();
    let app = python::module_name(&root, first);
    Some(Start::new(first, root, app, Runner::Dramatiq { include }))
}

fn imports(tree: &Tree, path: &str, package: &str) -> bool {
    tree.source(path).is_some_and(|source| {
        source.imports.modules.iter().any(|module| module.split('.').next() == Some(package))
    })
}

fn find_rq(tree: &Tree) -> Option<Start> {
    let files: Vec<&str> = tree
        .python()
        .map(|(path, _)| path)
        .filter(|path| !apps::is_test(path) && imports(tree, path, "rq"))
        .collect();
    // A program of the project's own that runs a worker.
    let runs = |path: &&&str| {
        tree.text(path).is_some_and(|text| text.contains("Worker(") && text.contains(".work("))
    };
    if let Some(file) = files.iter().find(runs) {
        let root = python::import_root(tree, file);
        let app = python::module_name(&root, file);
        return Some(Start::new(file, root, app, Runner::Module));
    }
    let file = files.first()?;
    let calls = files.iter().filter_map(|file| tree.source(file)).flat_map(|it| &it.statements);
    let mut queues: Vec<String> = calls
        .filter_map(|statement| {
            let (_, rest) = statement.text.split_once("Queue(")?;
            rest.starts_with(['"', '\'']).then(|| source::strings(rest).next())?
        })
        .map(str::to_owned)
        .collect();
    queues.sort();
    queues.dedup();
    let root = python::import_root(tree, file);
    let app = python::module_name(&root, file);
    Some(Start::new(file, root, app, Runner::Rq { queues }))
}

/// A program that works without a framework. Beside an API it has to have a worker's name.
fn find_program(tree: &Tree, has_api: bool) -> Option<Start> {
    let program = apps::programs(tree).into_iter().find(|path| {
        let stem = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".py");
        !has_api || !["main", "app", "run", "bot", "scheduler"].contains(&stem)
    })?;
    let root = python::import_root(tree, program);
    let app = python::module_name(&root, program);
    Some(Start::new(program, root, app, Runner::Module))
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
    let classes: Vec<&str> = apps::WEB.iter().map(|(class, _)| *class).collect();
    let maker = apps::makers(tree, &classes, &[]).into_iter().find(|maker| maker.file == file);
    let server = maker.map_or(Server::Asgi, |maker| apps::WEB[maker.class].1);
    let is_function = |source: &crate::init::tree::Source| {
        let start = format!("def {variable}(");
        source.statements.iter().any(|it| it.indent == 0 && it.text.starts_with(&start))
    };
    let is_factory = tree.source(&file).is_some_and(is_function);
    let mut start = Start::new(&file, root, given.to_owned(), Runner::Web { server, is_factory });
    start.health = tree.source(&file).and_then(|source| apps::health_path(source, variable));
    start.is_django = tree.files.iter().any(|path| path.ends_with("manage.py"));
    Ok(start)
}

fn named_worker(tree: &Tree, given: &str) -> Result<Start, DetectError> {
    let (file, root) = module_file(tree, given.split(':').next().unwrap_or(given))?;
    Ok(Start::new(&file, root, given.to_owned(), Runner::Celery { include: Vec::new() }))
}

/// What of the project a service imports, directly or through other files of the project.
fn items(tree: &Tree, start: &Start) -> Vec<String> {
    let data = |root: &str| {
        let names = DATA.iter().map(|name| join(root, name));
        names.filter(|path| tree.has_folder(path)).collect::<Vec<_>>()
    };
    if start.root.rsplit('/').next() == Some("src") {
        // Started from the folder around it.
        let mut items = data(parent(&start.root));
        items.push(start.root.clone());
        return items;
    }
    // An app in a folder of its own is that folder, data files and all.
    if !start.root.is_empty() {
        return vec![start.root.clone()];
    }
    let include = match &start.runner {
        Runner::Celery { include } | Runner::Dramatiq { include } => include.as_slice(),
        _ => &[],
    };
    let names = std::iter::once(start.app.split(':').next().unwrap_or_default())
        .chain(include.iter().map(String::as_str));
    let mut items: BTreeSet<String> = BTreeSet::new();
    let mut queue: Vec<String> =
        names.filter_map(|name| python::local(tree, &start.root, name)).collect();
    if start.is_django {
        // Settings name apps in strings, and these have templates and the like.
        let tops = tree.python().filter(|(path, _)| !apps::is_test(path)).map(|(path, _)| path);
        queue.extend(tops.filter_map(|path| {
            let top = path.split('/').next()?;
            let name = top.trim_end_matches(".py");
            (source::is_identifier(name) && name != "setup").then(|| top.to_owned())
        }));
    }
    while let Some(item) = queue.pop() {
        if !items.insert(item.clone()) {
            continue;
        }
        for (_, source) in tree.python().filter(|(path, _)| is_within(path, &item)) {
            let imported = source.imports.modules.iter().map(String::as_str);
            // `include=["app.tasks"]` and the like.
            let strings = source.statements.iter().flat_map(|it| source::strings(&it.text));
            let named = strings.filter(|name| {
                name.contains('.')
                    && name.split('.').all(source::is_identifier)
                    && python::source(tree, &start.root, name).is_some()
            });
            queue.extend(
                imported.chain(named).filter_map(|name| python::local(tree, &start.root, name)),
            );
        }
    }
    items.extend(data(""));
    items.into_iter().collect()
}

impl Found {
    /// The services that were found, by name.
    pub fn services(&self) -> impl Iterator<Item = (&'static str, &Service)> {
        let api = self.api.as_ref().map(|service| ("api", service));
        api.into_iter().chain(self.worker.as_ref().map(|service| ("worker", service)))
    }

    fn surroundings(&mut self, tree: &Tree) {
        let sources: Vec<(&str, &str)> = tree
            .python()
            .filter(|(path, _)| !apps::is_test(path))
            .map(|(path, source)| (path, source.text.as_str()))
            .collect();
        let says = |words: &[&str]| {
            sources.iter().any(|(_, text)| words.iter().any(|word| text.contains(word)))
        };
        self.reads_environment =
            says(&["environ", "getenv", "BaseSettings", "load_dotenv", "decouple", "Config("]);
        let names = |package: &str| {
            self.services().any(|(_, service)| service.requirements.name(tree, package))
        };
        let is_queue =
            self.worker.as_ref().is_some_and(|worker| !matches!(worker.runner, Runner::Module));
        let is_rq = matches!(self.worker.as_ref().map(|it| &it.runner), Some(Runner::Rq { .. }));
        let is_rabbit = says(&["amqp://", "pyamqp://", "RabbitmqBroker"])
            || ["pika", "aio-pika", "aio_pika", "rabbitmq"].iter().any(|it| names(it));
        let has_redis = names("redis") || says(&["redis://", "RedisBroker"]);
        self.broker = if is_rq {
            Some(Broker::Redis)
        } else if is_rabbit {
            Some(Broker::RabbitMq)
        } else if has_redis {
            Some(Broker::Redis)
        } else {
            // Celery speaks AMQP without a package of its own for it.
            is_queue.then_some(Broker::RabbitMq)
        };
        let Some(broker) = self.broker else { return };
        if broker == Broker::Redis {
            // Whoever sends tasks needs the client, too.
            for service in self.api.iter_mut().chain(&mut self.worker) {
                let requirements = &service.requirements;
                let sends = ["celery", "dramatiq"].iter().any(|it| requirements.name(tree, it));
                if sends && !requirements.name(tree, "redis") {
                    service.extra.push("redis".to_owned());
                }
            }
        }
        let (url, host) = match broker {
            Broker::Redis => ("redis://redis:6379/0", "redis"),
            Broker::RabbitMq => ("amqp://guest:guest@rabbitmq:5672//", "rabbitmq"),
        };
        let results = if broker == Broker::Redis { url } else { "rpc://" };
        let words: BTreeSet<String> = sources
            .iter()
            .flat_map(|(_, text)| text.split(|c: char| !(c.is_alphanumeric() || c == '_')))
            .map(str::to_ascii_uppercase)
            .collect();
        let mut environment: Vec<(String, String)> = Vec::new();
        let mut set = |names: &[&str], value: &str| {
            for name in names.iter().filter(|name| words.contains(**name)) {
                environment.push(((*name).to_owned(), value.to_owned()));
            }
        };
        // Celery reads CELERY_BROKER_URL itself where the code names no broker.
        set(&["BROKER_URL", "CELERY_BROKER_URL"], url);
        set(&["CELERY_RESULT_BACKEND", "RESULT_BACKEND"], results);
        match broker {
            Broker::Redis => {
                set(&["REDIS_HOST"], host);
                set(&["REDIS_URI", "REDIS_URL"], url);
            }
            Broker::RabbitMq => {
                set(&["AMQP_HOST", "RABBITMQ_HOST", "RABBIT_HOST"], host);
                set(&["AMQP_URL", "CLOUDAMQP_URL", "RABBITMQ_URL", "RABBIT_URL"], url);
            }
        }
        let is_celery =
            matches!(self.worker.as_ref().map(|it| &it.runner), Some(Runner::Celery { .. }));
        if is_rq {
            environment.push(("RQ_REDIS_URL".to_owned(), url.to_owned()));
        } else if environment.is_empty() && is_celery {
            environment.push(("CELERY_BROKER_URL".to_owned(), url.to_owned()));
        }
        self.environment = environment;
        let fixed = sources.iter().find(|(_, text)| {
            ["://localhost", "://127.0.0.1", "@localhost"].iter().any(|host| text.contains(host))
        });
        if let Some((path, _)) = fixed {
            self.notes.push(format!(
                "{path} names localhost: in a container that is the container itself; read the address from \
                 the environment, which the compose file sets to {url}"
            ));
        }
    }

    /// Says what was seen and is not taken care of.
    fn note_packages(&mut self, tree: &Tree) {
        let mut notes = Vec::new();
        for (name, service) in self.services() {
            let file = &service.requirements.files()[0];
            if matches!(service.requirements, Requirements::Written { .. }) {
                notes.push(format!(
                    "nothing declares the packages of {name}: {file} has what the code imports"
                ));
            }
            for package in &service.extra {
                notes.push(format!(
                    "{file} names no {package}, which {name} needs: the image gets the newest; add it there"
                ));
            }
            if service.writes_beside_code {
                notes.push(format!(
                    "the code of {name} writes into its own folder: what it writes is gone with the container"
                ));
            }
        }
        const DATABASES: [&str; 7] = [
            "asyncpg",
            "mysqlclient",
            "psycopg",
            "psycopg2",
            "psycopg2-binary",
            "pymongo",
            "pymysql",
        ];
        let names = |package: &&&str| {
            self.services().any(|(_, service)| service.requirements.name(tree, package))
        };
        if let Some(package) = DATABASES.iter().find(names) {
            notes.push(format!(
                "{package} wants a database: the compose file has none, its address belongs into .env"
            ));
        }
        notes.dedup();
        self.notes.extend(notes);
    }
}

#[cfg(test)]
mod tests;
