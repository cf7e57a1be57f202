//! Where services start: the app that answers requests, and what works on tasks.

use super::{DetectError, Runner};
use crate::init::apps::{self, Maker, Server};
use crate::init::python;
use crate::init::source;
use crate::init::tree::{Source, Tree, parent};

/// Where a service starts.
pub(super) struct Start {
    pub(super) file: String,
    pub(super) root: String,
    pub(super) app: String,
    pub(super) runner: Runner,
    pub(super) health: Option<String>,
    /// Its framework imports modules that settings name.
    pub(super) is_django: bool,
}

impl Start {
    pub(super) fn new(file: &str, root: String, app: String, runner: Runner) -> Self {
        Self { file: file.to_owned(), root, app, runner, health: None, is_django: false }
    }
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

pub(super) fn find_api(tree: &Tree, notes: &mut Vec<String>) -> Option<Start> {
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

pub(super) fn find_worker(tree: &Tree, has_api: bool, notes: &mut Vec<String>) -> Option<Start> {
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

pub(super) fn named_api(tree: &Tree, given: &str) -> Result<Start, DetectError> {
    let (module, variable) = given
        .split_once(':')
        .filter(|(module, variable)| !module.is_empty() && !variable.is_empty())
        .ok_or_else(|| DetectError::NoVariable { given: given.to_owned() })?;
    let (file, root) = module_file(tree, module)?;
    let classes: Vec<&str> = apps::WEB.iter().map(|(class, _)| *class).collect();
    let maker = apps::makers(tree, &classes, &[]).into_iter().find(|maker| maker.file == file);
    let server = maker.map_or(Server::Asgi, |maker| apps::WEB[maker.class].1);
    let is_function = |source: &Source| {
        let start = format!("def {variable}(");
        source.statements.iter().any(|it| it.indent == 0 && it.text.starts_with(&start))
    };
    let is_factory = tree.source(&file).is_some_and(is_function);
    let mut start = Start::new(&file, root, given.to_owned(), Runner::Web { server, is_factory });
    start.health = tree.source(&file).and_then(|source| apps::health_path(source, variable));
    start.is_django = tree.files.iter().any(|path| path.ends_with("manage.py"));
    Ok(start)
}

pub(super) fn named_worker(tree: &Tree, given: &str) -> Result<Start, DetectError> {
    let (file, root) = module_file(tree, given.split(':').next().unwrap_or(given))?;
    Ok(Start::new(&file, root, given.to_owned(), Runner::Celery { include: Vec::new() }))
}
