//! Which files and folders of a project a service needs in its image, and whether it writes beside them.

use std::collections::BTreeSet;

use super::Runner;
use super::start::Start;
use crate::init::apps;
use crate::init::python;
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

/// What of the project a service imports, directly or through other files of the project.
pub(super) fn items(tree: &Tree, start: &Start) -> Vec<String> {
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

/// The folders from which the code in `items` imports what other projects of the repository hold, as the members of a
/// workspace do. What it needs of them becomes items, too.
pub(super) fn libraries(tree: &Tree, start: &Start, items: &mut Vec<String>) -> Vec<String> {
    let projects = tree.files.iter().filter_map(|file| file.strip_suffix("/pyproject.toml"));
    let roots: Vec<String> = projects
        .flat_map(|folder| [join(folder, "src"), folder.to_owned()])
        .filter(|root| *root != start.root && !is_within(&start.root, root))
        .collect();
    let mut libraries = BTreeSet::new();
    let mut open = items.clone();
    while let Some(item) = open.pop() {
        let sources = tree.python().filter(|(path, _)| !apps::is_test(path));
        for (path, source) in sources.filter(|(path, _)| is_within(path, &item)) {
            for module in &source.imports.modules {
                let is_own = |root: &str| python::local(tree, root, module).is_some();
                if python::is_standard(module) || is_own(&start.root) || is_own(parent(path)) {
                    continue;
                }
                let found =
                    roots.iter().find_map(|it| Some((it, python::local(tree, it, module)?)));
                let Some((root, part)) = found else { continue };
                libraries.insert(root.clone());
                // A `src` goes as a whole, as that of the service does.
                let needed = if root.ends_with("/src") { root.clone() } else { part };
                if !items.iter().any(|item| is_within(&needed, item)) {
                    items.push(needed.clone());
                    open.push(needed);
                }
            }
        }
    }
    libraries.into_iter().collect()
}

/// Sources of these files and folders, with their text.
pub(super) fn code<'a>(
    tree: &'a Tree,
    items: &'a [String],
) -> impl Iterator<Item = (&'a str, &'a str)> {
    tree.python()
        .filter(|(path, _)| !apps::is_test(path))
        .filter(|(path, _)| items.iter().any(|item| is_within(path, item)))
        .map(|(path, source)| (path, source.text.as_str()))
}

pub(super) fn is_within(path: &str, item: &str) -> bool {
    path == item || path.strip_prefix(item).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether code makes files or folders where it is started.
pub(super) fn writes_relative(text: &str) -> bool {
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
