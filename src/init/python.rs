//! What can be told from Python sources without running them: where an app is made, what is imported.
//!
//! Line by line, not a parser: it looks for the few forms that FastAPI's and Celery's documents teach.

use crate::init::tree::{Tree, join, parent};

/// A call like `app = FastAPI(...)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The variable, or the function that makes and returns it.
    pub name: String,
    /// Whether it is made by a function without parameters.
    pub factory: bool,
}

/// The first place in `text` that makes a `class`: a variable of the module, else a function.
pub fn made(text: &str, class: &str) -> Option<Made> {
    let lines: Vec<&str> = code_lines(text);
    let module = lines.iter().find_map(|line| {
        let (target, value) = line.split_once('=')?;
        let name = target.split(':').next()?.trim_end();
        let is_variable = is_identifier(name) && line.starts_with(name);
        (is_variable && calls(value.trim_start(), class))
            .then(|| Made { name: name.to_owned(), factory: false })
    });
    module.or_else(|| {
        let mut function = None;
        for line in lines {
            if let Some(rest) = line.strip_prefix("def ") {
                let (name, rest) = rest.split_once('(')?;
                function = rest.starts_with(')').then(|| name.to_owned());
            } else if !line.starts_with([' ', '\t']) && !line.trim().is_empty() {
                function = None;
            } else if let Some(name) = &function {
                let line = line.trim_start();
                let returned = line.strip_prefix("return ");
                let value = returned.or_else(|| Some(line.split_once('=')?.1.trim_start()));
                if value.is_some_and(|value| calls(value, class)) {
                    return Some(Made { name: name.clone(), factory: true });
                }
            }
        }
        None
    })
}

/// Whether an expression starts with a call of `class`, by its name or as `module.class`.
fn calls(value: &str, class: &str) -> bool {
    let Some((callee, _)) = value.split_once('(') else { return false };
    callee == class || callee.rsplit_once('.').is_some_and(|(_, name)| name == class)
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Lines without comments and without what stands in triple-quoted strings.
fn code_lines(text: &str) -> Vec<&str> {
    let mut within: Option<&str> = None;
    let mut lines = Vec::new();
    for line in text.lines() {
        if let Some(quote) = within {
            if line.contains(quote) {
                within = None;
            }
            continue;
        }
        let trimmed = line.trim_start();
        if trimmed.starts_with('#') {
            continue;
        }
        for quote in ["\"\"\"", "'''"] {
            if line.matches(quote).count() % 2 == 1 {
                within = Some(quote);
                break;
            }
        }
        lines.push(line);
    }
    lines
}

/// Absolute dotted names that `text` imports. `from a import b` gives both `a` and `a.b`.
pub fn imports(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for line in code_lines(text) {
        let line = line.trim_start();
        if let Some(rest) = line.strip_prefix("import ") {
            let modules = rest.split(',').filter_map(|part| part.split_whitespace().next());
            names.extend(modules.map(str::to_owned));
        } else if let Some((module, rest)) =
            line.strip_prefix("from ").and_then(|rest| rest.split_once(" import "))
            && !module.starts_with('.')
        {
            let module = module.trim();
            names.push(module.to_owned());
            let what = rest.trim_start().trim_start_matches('(');
            let what = what.split(',').filter_map(|part| part.split_whitespace().next());
            names.extend(
                what.filter(|name| is_identifier(name)).map(|name| format!("{module}.{name}")),
            );
        }
    }
    names
}

/// The local file or folder below `root` that a dotted name's first part means.
pub fn local(tree: &Tree, root: &str, dotted: &str) -> Option<String> {
    let first = dotted.split('.').next()?;
    let module = join(root, &format!("{first}.py"));
    if tree.has(&module) {
        return Some(module);
    }
    let folder = join(root, first);
    tree.below(&folder).any(|file| file.ends_with(".py")).then_some(folder)
}

/// The folder that Python must start in to import `file` as the sources around it do.
pub fn import_root(tree: &Tree, file: &str) -> String {
    let mut folder = parent(file);
    while !folder.is_empty() && tree.has(&join(folder, "__init__.py")) {
        folder = parent(folder);
    }
    if folder.rsplit('/').next() == Some("src") {
        return folder.to_owned();
    }
    // Folders without __init__.py may be packages all the same: the imports of the files there tell.
    let sources: Vec<Vec<String>> = tree
        .python()
        .filter(|(path, _)| folder.is_empty() || path.starts_with(&format!("{folder}/")))
        .map(|(_, text)| imports(text))
        .collect();
    let resolved = |root: &str| {
        sources.iter().flatten().filter(|name| local(tree, root, name).is_some()).count()
    };
    // No dotted name goes through a folder like `my-api`: Python starts in it, or further down.
    let can_name = |rest: &str| rest.split('/').all(|part| part.is_empty() || is_identifier(part));
    let ends = folder.match_indices('/').map(|(at, _)| at);
    let mut best: Option<(usize, &str)> = None;
    for at in [0].into_iter().chain(ends).chain([folder.len()]) {
        let (root, rest) = folder.split_at(at);
        let count = resolved(root);
        if can_name(rest) && best.is_none_or(|(most, _)| count > most) {
            best = Some((count, root));
        }
    }
    best.map_or(folder, |(_, root)| root).to_owned()
}

/// The dotted name of `file` when Python starts in `root`.
pub fn module_name(root: &str, file: &str) -> String {
    let inside = file.strip_prefix(root).unwrap_or(file).trim_start_matches('/');
    let name = inside.trim_end_matches(".py").replace('/', ".");
    name.strip_suffix(".__init__").map_or(name.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Option<Made> {
        Some(Made { name: name.to_owned(), factory: false })
    }

    #[test]
    fn apps_are_variables_or_factories() {
        assert_eq!(made("app = FastAPI()\n", "FastAPI"), variable("app"));
        assert_eq!(
            made("api: FastAPI = fastapi.FastAPI(\n  title='x')", "FastAPI"),
            variable("api")
        );
        let factory = "def create_app() -> FastAPI:\n    app = FastAPI()\n    return app\n";
        assert_eq!(
            made(factory, "FastAPI"),
            Some(Made { name: "create_app".to_owned(), factory: true })
        );
        let returned = "def create_app():\n    return FastAPI(title='x')\n";
        assert_eq!(made(returned, "FastAPI"), made(factory, "FastAPI"));
        assert_eq!(made(&format!("{factory}\nserver = FastAPI()"), "FastAPI"), variable("server"));
        for none in [
            "# app = FastAPI()",
            "\"\"\"\napp = FastAPI()\n\"\"\"",
            "def create_app(settings):\n    return FastAPI()",
            "class A:\n    app = FastAPI()",
            "x = MyFastAPI()",
            "app.state = FastAPI()",
            "isinstance(app, FastAPI)",
        ] {
            assert_eq!(made(none, "FastAPI"), None, "{none}");
        }
    }

    #[test]
    fn imports_are_absolute_names() {
        let text = "import os, shared.jobs as jobs\nfrom api.models import A, B as C\nfrom . import x\n  import late\n\
            from pkg import (\n    one,\n)\n# import no";
        assert_eq!(
            imports(text),
            ["os", "shared.jobs", "api.models", "api.models.A", "api.models.B", "late", "pkg"]
        );
    }

    #[test]
    fn the_import_root_follows_packages_and_imports() {
        let root = |files: &[(&str, &str)], file| import_root(&Tree::of(files), file);
        assert_eq!(root(&[("api/__init__.py", ""), ("api/main.py", "")], "api/main.py"), "");
        assert_eq!(root(&[("api/main.py", "")], "api/main.py"), "");
        assert_eq!(root(&[("main.py", "import utils"), ("utils.py", "")], "main.py"), "");
        let bare = [("api/main.py", "import models"), ("api/models.py", "")];
        assert_eq!(root(&bare, "api/main.py"), "api");
        let backend =
            [("backend/app/main.py", "from app.core import x"), ("backend/app/core.py", "")];
        assert_eq!(root(&backend, "backend/app/main.py"), "backend");
        let package =
            [("backend/app/__init__.py", ""), ("backend/app/main.py", "from app.core import x")];
        assert_eq!(root(&package, "backend/app/main.py"), "backend");
        assert_eq!(
            root(&[("src/shop/__init__.py", ""), ("src/shop/web.py", "")], "src/shop/web.py"),
            "src"
        );
        assert_eq!(root(&[("my-api/main.py", "")], "my-api/main.py"), "my-api");
        assert_eq!(
            root(&[("the apps/one/web/main.py", "")], "the apps/one/web/main.py"),
            "the apps"
        );
        assert_eq!(module_name("backend", "backend/app/main.py"), "app.main");
        assert_eq!(module_name("", "app/__init__.py"), "app");
    }
}
