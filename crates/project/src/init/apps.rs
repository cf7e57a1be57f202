//! Which sources make an app that a server or a worker program starts.

use crate::init::source::{Statement, is_identifier};
use crate::init::tree::{Source, Tree, parent};

/// Classes and functions whose result answers requests, with the kind of server for it.
pub const WEB: &[(&str, Server)] = &[
    ("FastAPI", Server::Asgi),
    ("Litestar", Server::Asgi),
    ("Quart", Server::Asgi),
    ("Starlette", Server::Asgi),
    ("Flask", Server::Wsgi),
    ("get_wsgi_application", Server::Wsgi),
    ("get_asgi_application", Server::Asgi),
];

/// The interface between a server and an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// Asynchronous: uvicorn.
    Asgi,
    /// Synchronous: gunicorn.
    Wsgi,
}

/// A place where an app is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maker {
    /// The source.
    pub file: String,
    /// Its variable, or the function that makes and returns it.
    pub name: String,
    /// Whether it is a function that can be called without arguments.
    pub is_factory: bool,
    /// Position of its class in the list.
    pub class: usize,
}

/// Whether a source is there for tests.
pub fn is_test(path: &str) -> bool {
    path.split('/').any(|part| {
        part == "tests" || part == "test" || part == "conftest.py" || part.starts_with("test_")
    }) || path.ends_with("_test.py")
}

/// Whether a source shows how something is used, and is not the app itself.
fn is_aside(path: &str) -> bool {
    const ASIDE: [&str; 8] =
        ["benchmarks", "demo", "docs", "example", "examples", "samples", "scripts", "tutorials"];
    parent(path).split('/').any(|part| ASIDE.contains(&part))
}

/// Sources that make one of `classes`: the likeliest entry first. `stems` are usual names of the file, best first.
pub fn makers(tree: &Tree, classes: &[&str], stems: &[&str]) -> Vec<Maker> {
    let sources: Vec<(&str, &Source)> = tree.python().filter(|(path, _)| !is_test(path)).collect();
    let mut known: Vec<(String, usize)> =
        classes.iter().enumerate().map(|(at, class)| ((*class).to_owned(), at)).collect();
    for (_, source) in &sources {
        known.extend(subclasses(source, &known));
    }
    let scans: Vec<(&str, &Source, Vec<Function>)> =
        sources.iter().map(|(path, source)| (*path, *source, functions(source, &known))).collect();
    // Functions that make an app, whatever they want to know for it: a variable may hold their result.
    let mut made = known.clone();
    made.extend(
        scans.iter().flat_map(|(_, _, functions)| functions).map(|it| (it.name.clone(), it.class)),
    );
    let mut makers = Vec::new();
    for (path, source, functions) in &scans {
        let maker = |name: &str, is_factory, class| Maker {
            file: (*path).to_owned(),
            name: name.to_owned(),
            is_factory,
            class,
        };
        if let Some((name, class)) = variable(source, &made) {
            makers.push(maker(&name, false, class));
        } else if let Some(function) = functions.iter().find(|function| !function.wants_arguments) {
            makers.push(maker(&function.name, true, function.class));
        }
    }
    makers.sort_by_key(|maker| {
        let stem = maker.file.rsplit('/').next().unwrap_or_default().trim_end_matches(".py");
        let stem = stems.iter().position(|name| *name == stem).unwrap_or(stems.len());
        let depth = maker.file.matches('/').count();
        (is_aside(&maker.file), maker.is_factory, depth, stem, maker.class, maker.file.clone())
    });
    makers
}

/// A function that makes an app and returns it.
struct Function {
    name: String,
    wants_arguments: bool,
    class: usize,
}

type KnownApps = [(String, usize)];

/// The class that an expression calls, by its own name or by the one it is imported under.
fn called(source: &Source, value: &str, known: &KnownApps) -> Option<usize> {
    let (callee, _) = value.split_once('(')?;
    let callee = callee.trim();
    if !callee.split('.').all(is_identifier) {
        return None;
    }
    let (first, rest) = callee.split_once('.').unwrap_or((callee, ""));
    let full = source.imports.names.get(first).map_or(first, String::as_str);
    let last = if rest.is_empty() { full } else { rest };
    let last = last.rsplit('.').next()?;
    known.iter().find(|(name, _)| name == last).map(|(_, class)| *class)
}

fn subclasses(source: &Source, known: &KnownApps) -> Vec<(String, usize)> {
    let classes = source.statements.iter().filter_map(|statement| {
        let (name, bases) = statement.text.strip_prefix("class ")?.split_once('(')?;
        let bases = bases.rsplit_once(')')?.0;
        let class =
            parts(bases).into_iter().find_map(|base| called(source, &format!("{base}("), known))?;
        Some((name.trim().to_owned(), class))
    });
    classes.collect()
}

/// What a line stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    /// `if`, `try`, `with` and the like: what is set there is the module's.
    Open,
    /// A function.
    Function,
    /// Anything whose names cannot be imported.
    Closed,
}

/// Calls `see` with each statement and the blocks around it.
fn walk<'a>(source: &'a Source, mut see: impl FnMut(&'a Statement, &[Block])) {
    let mut blocks: Vec<(usize, Block)> = Vec::new();
    for statement in &source.statements {
        while blocks.last().is_some_and(|(indent, _)| *indent >= statement.indent) {
            blocks.pop();
        }
        let around: Vec<Block> = blocks.iter().map(|(_, block)| *block).collect();
        see(statement, &around);
        if statement.text.ends_with(':') {
            let text = statement.text.as_str();
            let block = if text.starts_with("def ") {
                Block::Function
            } else if ["class ", "async def ", "if __name__"]
                .iter()
                .any(|word| text.starts_with(word))
            {
                Block::Closed
            } else {
                Block::Open
            };
            blocks.push((statement.indent, block));
        }
    }
}

/// The variable of a module that holds an app.
fn variable(source: &Source, made: &KnownApps) -> Option<(String, usize)> {
    let mut found = None;
    walk(source, |statement, around| {
        if found.is_none()
            && around.iter().all(|block| *block == Block::Open)
            && let Some((name, value)) = assigned(&statement.text)
            && let Some(class) = called(source, value, made)
        {
            found = Some((name.to_owned(), class));
        }
    });
    found
}

fn functions(source: &Source, known: &KnownApps) -> Vec<Function> {
    let mut functions: Vec<Function> = Vec::new();
    let mut current: Option<(String, bool)> = None;
    let mut locals: Vec<(String, usize)> = Vec::new();
    walk(source, |statement, around| {
        let text = statement.text.as_str();
        if around.is_empty() {
            locals.clear();
            current = text.strip_prefix("def ").and_then(|rest| {
                let (name, rest) = rest.split_once('(')?;
                let (parameters, result) = rest.rsplit_once(')')?;
                let wants = wants_arguments(parameters);
                if let Some(class) = result.trim().strip_prefix("->").and_then(|result| {
                    called(source, &format!("{}(", result.trim_end_matches(':').trim()), known)
                }) {
                    let name = name.to_owned();
                    functions.push(Function { name, wants_arguments: wants, class });
                }
                Some((name.to_owned(), wants))
            });
            return;
        }
        let Some((name, wants)) = &current else { return };
        if around.iter().skip(1).any(|block| *block != Block::Open) {
            return;
        }
        let class = if let Some(value) = text.strip_prefix("return ") {
            called(source, value, known)
                .or_else(|| locals.iter().find(|(local, _)| local == value.trim()).map(|it| it.1))
        } else {
            if let Some((local, value)) = assigned(text)
                && let Some(class) = called(source, value, known)
            {
                locals.push((local.to_owned(), class));
            }
            None
        };
        if let Some(class) = class
            && functions.iter().all(|function| function.name != *name)
        {
            functions.push(Function { name: name.clone(), wants_arguments: *wants, class });
        }
    });
    functions
}

fn wants_arguments(parameters: &str) -> bool {
    parts(parameters).into_iter().any(|parameter| {
        !parameter.is_empty()
            && !parameter.starts_with('*')
            && parameter != "/"
            && !parameter.contains('=')
    })
}

/// The characters outside of brackets and strings, with where they are.
fn outside(text: &str) -> impl Iterator<Item = (usize, char)> {
    let (mut depth, mut quote) = (0_usize, None);
    text.char_indices().filter(move |(_, c)| {
        match (quote, *c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(*c),
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, _) => return depth == 0,
        }
        false
    })
}

/// What commas outside of brackets and strings separate.
fn parts(text: &str) -> Vec<&str> {
    let mut start = 0;
    let mut parts = Vec::new();
    for (at, _) in outside(text).filter(|(_, c)| *c == ',') {
        parts.push(text[start..at].trim());
        start = at + 1;
    }
    parts.push(text[start..].trim());
    parts
}

/// The name and the value of an assignment; the last name of several.
fn assigned(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let (mut start, mut found) = (0, None);
    for (at, _) in outside(text).filter(|(_, c)| *c == '=') {
        let compares = bytes.get(at + 1) == Some(&b'=')
            || at > start && b"=!<>+-*/%&|^@:".contains(&bytes[at - 1]);
        if compares {
            return found;
        }
        let name = text[start..at].split(':').next()?.trim();
        start = at + 1;
        if is_identifier(name) {
            found = Some((name, text[start..].trim_start()));
        }
    }
    found
}

/// A GET route of the app itself that is there to be asked whether it is well.
pub fn health_path(source: &Source, app: &str) -> Option<String> {
    const WORDS: [&str; 5] = ["health", "ping", "live", "ready", "status"];
    let routes = [
        format!("@{app}.get("),
        format!("@{app}.route("),
        "@app.get(".to_owned(),
        "@app.route(".to_owned(),
    ];
    source.statements.iter().find_map(|statement| {
        let rest = routes.iter().find_map(|route| statement.text.strip_prefix(route.as_str()))?;
        let quote = rest.chars().next().filter(|c| *c == '"' || *c == '\'')?;
        let path = rest[1..].split(quote).next()?;
        let is_health = WORDS.iter().any(|word| path.contains(word));
        (is_health && path.starts_with('/') && !path.contains(['{', '<', '\\']))
            .then(|| path.to_owned())
    })
}

/// Modules whose functions are tasks: Celery's, or with `actor` Dramatiq's.
pub fn task_modules(tree: &Tree, is_task: fn(&str) -> bool) -> Vec<&str> {
    let has_tasks = |source: &Source| {
        source
            .statements
            .iter()
            .any(|statement| statement.text.starts_with('@') && is_task(&statement.text))
    };
    tree.python()
        .filter(|(path, source)| !is_test(path) && !is_aside(path) && has_tasks(source))
        .map(|(path, _)| path)
        .collect()
}

/// Whether a decorator makes a Celery task.
pub fn is_celery_task(decorator: &str) -> bool {
    decorator.contains(".task") || decorator.contains("shared_task")
}

/// Whether a decorator makes a Dramatiq actor.
pub fn is_actor(decorator: &str) -> bool {
    decorator == "@actor"
        || decorator.starts_with("@actor(")
        || decorator.starts_with("@dramatiq.actor")
}

/// Sources that do something when they are started, by name.
pub fn programs(tree: &Tree) -> Vec<&str> {
    const NAMES: [&str; 10] = [
        "worker",
        "consumer",
        "run_worker",
        "listener",
        "processor",
        "bot",
        "scheduler",
        "main",
        "app",
        "run",
    ];
    let mut found: Vec<(bool, usize, usize, &str)> = tree
        .python()
        .filter(|(path, source)| {
            !is_test(path)
                && !is_aside(path)
                && source.statements.iter().any(|it| it.text.starts_with("if __name__"))
        })
        .filter_map(|(path, _)| {
            let stem = path.rsplit('/').next()?.trim_end_matches(".py");
            let at = NAMES.iter().position(|name| *name == stem)?;
            Some((at > 6, path.matches('/').count(), at, path))
        })
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, _, _, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(text: &str) -> Option<(String, bool)> {
        let tree = Tree::from_files(&[("main.py", text)]);
        let classes: Vec<&str> = WEB.iter().map(|(class, _)| *class).collect();
        makers(&tree, &classes, &[]).into_iter().next().map(|made| (made.name, made.is_factory))
    }

    #[test]
    fn apps_are_variables_or_factories() {
        let variable = |name: &str| Some((name.to_owned(), false));
        let factory = |name: &str| Some((name.to_owned(), true));
        for (text, name) in [
            ("app = FastAPI()", "app"),
            ("api: FastAPI = fastapi.FastAPI(\n  title='x')", "api"),
            ("import fastapi as f\napp = f.FastAPI()", "app"),
            ("from fastapi import FastAPI as F\nweb = F(title='a = b')", "web"),
            ("if DEBUG:\n  app = FastAPI(debug=True)\nelse:\n  app = FastAPI()", "app"),
            ("try:\n    app = Flask(__name__)\nfinally: pass", "app"),
            (
                "def create_app(title):\n  return FastAPI(title=title)\napp = create_app(title='x')",
                "app",
            ),
            ("class Shop(FastAPI):\n  pass\napp = application = Shop()", "application"),
            ("application = get_wsgi_application()", "application"),
            ("def create_app():\n  return FastAPI()\nserver = FastAPI()", "server"),
        ] {
            assert_eq!(made(text), variable(name), "{text}");
        }
        for text in [
            "def create_app() -> FastAPI:\n    app = FastAPI()\n    return app\n",
            "def create_app(settings=None, *, debug: bool = False):\n    return FastAPI(title='x')\n",
            "def create_app():\n    if x:\n        app = Flask('a')\n    return app",
            "def create_app() -> FastAPI:\n    return build(1)",
        ] {
            assert_eq!(made(text), factory("create_app"), "{text}");
        }
        for none in [
            "# app = FastAPI()",
            "\"\"\"\napp = FastAPI()\n\"\"\"",
            "def create_app(settings):\n    return FastAPI()",
            "class A:\n    app = FastAPI()",
            "x = MyFastAPI()",
            "app.state = FastAPI()",
            "isinstance(app, FastAPI)",
            "assert app == FastAPI()",
            "if __name__ == '__main__':\n    app = FastAPI()",
            "def f():\n    app = FastAPI()\n    run(app)",
            "async def create_app():\n    return FastAPI()",
        ] {
            assert_eq!(made(none), None, "{none}");
        }
    }

    #[test]
    fn the_last_name_of_an_assignment_counts_however_many_there_are() {
        let many = format!("{}app = FastAPI()", "a = ".repeat(200_000));
        assert_eq!(assigned(&many), Some(("app", "FastAPI()")));
        for (text, expected) in [
            ("a = b == c", Some(("a", "b == c"))),
            ("a = (b == c)", Some(("a", "(b == c)"))),
            ("a: int = b = 'x = y'", Some(("b", "'x = y'"))),
            ("a.b = c = d", Some(("c", "d"))),
            ("a += b", None),
            ("a = b += c", Some(("a", "b += c"))),
            ("=", None),
        ] {
            assert_eq!(assigned(text), expected, "{text}");
        }
    }

    #[test]
    fn an_app_made_by_another_modules_factory_is_found() {
        let tree = Tree::from_files(&[
            ("shop/__init__.py", "def create_app():\n    return Flask('shop')"),
            ("wsgi.py", "from shop import create_app\napp = create_app()"),
            ("examples/main.py", "app = Flask('x')"),
        ]);
        let found = makers(&tree, &["Flask"], &["main", "wsgi"]);
        let found: Vec<_> = found.iter().map(|maker| maker.file.as_str()).collect();
        assert_eq!(found, ["wsgi.py", "shop/__init__.py", "examples/main.py"]);
    }
}
