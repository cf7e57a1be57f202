//! Files to one merged tree: each document is interpolated, extended, included and merged in the
//! order compose 2.40 does it, then defaults and paths are settled. Files that are extended or included are loaded by
//! the same functions: the recursion is here alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexSet;

use super::error::{ComposeError, Place};
use super::node::{self, Map, Node, Value};
use super::scope::Scope;
use super::yaml::{self, Document};
use super::{canonical, dotenv, extends, include, interpolate, merge, paths, schema};
use crate::files::read;
use crate::remote::is_no_path;

/// Files included by one project: two that each include the next twice double with every level.
const MAX_INCLUDES: usize = 2000;
/// Files that include each other in one chain.
const MAX_DEPTH: usize = 100;

/// A compose file, read and parsed.
#[derive(Debug)]
pub(super) struct Source {
    /// Absolute; `-` for the standard input.
    pub(super) path: PathBuf,
    /// As shown in places.
    pub(super) shown: Arc<str>,
    pub(super) documents: Vec<Document>,
}

/// State of one load.
#[derive(Debug)]
pub(super) struct Loader {
    /// Paths below this directory are shown relative to it.
    pub(super) current_dir: PathBuf,
    pub(super) warnings: IndexSet<String>,
    /// How many entries of `include` were loaded.
    pub(super) included: usize,
}

/// What is done with a file besides merging it.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    /// A file of the project, or an included one.
    Main,
    /// A file another one extends: only its services are wanted, and not checked on their own.
    ExtendsBase,
}

impl Loader {
    pub(super) fn read(&self, path: &Path) -> Result<Source, ComposeError> {
        let bytes = read::bytes(path, read::TEXT).map_err(|error| {
            let shown = self.shown(path);
            match error.kind() {
                std::io::ErrorKind::NotFound => {
                    ComposeError::new(format!("compose file {shown} does not exist"))
                }
                _ => ComposeError::new(error.to_string()),
            }
        })?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let before = String::from_utf8_lossy(&error.as_bytes()[..valid]);
            let place = Place::after(&before, &self.shown(path).into());
            ComposeError::at(&place, "the compose file is not UTF-8")
        })?;
        self.parse(path, &text)
    }

    pub(super) fn parse(&self, path: &Path, text: &str) -> Result<Source, ComposeError> {
        let shown: Arc<str> = self.shown(path).into();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let documents = yaml::parse(text, &shown).map_err(|error| or_template(error, text))?;
        Ok(Source { path: path.to_owned(), shown, documents })
    }

    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.current_dir).unwrap_or(path).to_string_lossy().into_owned()
    }

    /// Loads `sources` as one model with resolved paths.
    pub(super) fn model(
        &mut self,
        sources: Vec<Source>,
        scope: Scope<'_>,
        included: &[PathBuf],
    ) -> Result<Node, ComposeError> {
        let place = Place { file: "-".into(), line: 1, column: 1 };
        let mut model = Node::new(Value::Map(Map::new()), place);
        let mut included = included.to_vec();
        for source in sources {
            model = self.add(model, source, scope, Role::Main, &mut included)?;
        }
        for (_, service) in node::entries_mut(&mut model, "services") {
            if let Some(build) = service.get_mut("build") {
                let dot = build.text(".");
                if let Some(build) = build.as_map_mut() {
                    build.entry("context".to_owned()).or_insert(dot);
                }
            }
        }
        check_file_objects(&model)?;
        paths::resolve(&mut model, scope.directory, scope.home);
        Ok(model)
    }

    /// Merges the documents of `source` into `model`.
    fn add(
        &mut self,
        mut model: Node,
        source: Source,
        scope: Scope<'_>,
        role: Role,
        included: &mut Vec<PathBuf>,
    ) -> Result<Node, ComposeError> {
        let main = role == Role::Main;
        for Document { mut root, cleared } in source.documents {
            if root.as_map().is_none() {
                let message = "the top level of a compose file must be a mapping";
                return Err(ComposeError::at(&root.place, message));
            }
            interpolate::interpolate(&mut root, scope, &mut self.warnings)?;
            if main {
                let file = extends::File { path: &source.path, scope, cleared: &cleared };
                extends::apply(&mut root, &file, &mut |path, place| self.base(path, place, scope))?;
            }
            merge::clear(&mut model, &cleared);
            if main {
                included.push(source.path.clone());
                for entry in include::take(&mut root)? {
                    let imported = self.include(&entry, scope, included)?;
                    include::import(&mut root, &imported)?;
                }
            }
            model = merge::merge(model, root)?;
            merge::enforce_unique(&mut model);
            if main {
                schema::validate(&model)?;
                if model.as_map_mut().is_some_and(|map| map.shift_remove("version").is_some()) {
                    self.warnings.insert(format!(
                        "{}: the attribute `version` is obsolete, it will be ignored, please \
                         remove it to avoid potential confusion",
                        source.shown
                    ));
                }
            }
            canonical::canonical(&mut model)?;
            merge::enforce_unique(&mut model);
        }
        Ok(model)
    }

    /// A file whose services another one extends at `place`.
    fn base(
        &mut self,
        path: &Path,
        place: &Place,
        scope: Scope<'_>,
    ) -> Result<extends::Base, ComposeError> {
        let source = self.read(path).map_err(|error| located(error, place))?;
        let cleared =
            source.documents.iter().flat_map(|document| document.cleared.clone()).collect();
        let empty = Node::new(Value::Map(Map::new()), Place::start(&source.shown));
        let mut root = self.add(empty, source, scope, Role::ExtendsBase, &mut Vec::new())?;
        paths::resolve(&mut root, path.parent().unwrap_or(path), scope.home);
        Ok(extends::Base { root, cleared })
    }

    /// Loads what an entry of `include` names; `included` are the files that led to it.
    fn include(
        &mut self,
        entry: &include::Entry,
        scope: Scope<'_>,
        included: &[PathBuf],
    ) -> Result<Node, ComposeError> {
        let absolute = |text: &str| paths::absolute(text, scope.directory, scope.home);
        if let Some(remote) = entry.files.iter().find(|file| is_no_path(file)) {
            let message = format!("cannot include {remote}: only local files are read");
            return Err(ComposeError::at(&entry.place, message));
        }
        let files: Vec<PathBuf> = entry.files.iter().map(|file| absolute(file)).collect();
        if included.contains(&files[0]) {
            let chain: Vec<String> =
                included.iter().chain(&files[..1]).map(|file| file.display().to_string()).collect();
            let message = format!("include cycle: {}", chain.join(" -> "));
            return Err(ComposeError::at(&entry.place, message));
        }
        self.included += 1;
        if self.included > MAX_INCLUDES || included.len() > MAX_DEPTH {
            let message = format!(
                "more than {MAX_INCLUDES} files are included, or more than {MAX_DEPTH} by each other"
            );
            return Err(ComposeError::at(&entry.place, message));
        }
        let directory = match &entry.project_directory {
            Some(directory) => absolute(directory),
            None => files[0].parent().unwrap_or(Path::new("/")).to_owned(),
        };
        let mut env_files: Vec<PathBuf> =
            entry.env_files.iter().map(|file| absolute(file)).collect();
        if env_files.is_empty() {
            env_files.extend(Some(directory.join(".env")).filter(|file| file.is_file()));
        }
        let own = dotenv::read_files(&env_files, scope.environment, &mut self.warnings)
            .map_err(|error| located(error, &entry.place))?;
        let mut environment = scope.environment.clone();
        for (name, value) in own {
            environment.entry(name).or_insert(value);
        }
        let sources = files
            .iter()
            .map(|file| self.read(file).map_err(|error| located(error, &entry.place)))
            .collect::<Result<Vec<_>, _>>()?;
        let scope = Scope { directory: &directory, environment: &environment, ..scope };
        self.model(sources, scope, included)
    }
}

/// An error about a file that has no place in itself: it is that of what names the file.
fn located(mut error: ComposeError, place: &Place) -> ComposeError {
    error.place.get_or_insert_with(|| place.clone());
    error
}

/// Says of a file that is not YAML yet what it is.
fn or_template(error: ComposeError, text: &str) -> ComposeError {
    let at = error.place.as_ref().map_or(0, |place| place.line as usize);
    let near = text.lines().skip(at.saturating_sub(2)).take(3);
    let sign =
        near.flat_map(|line| TEMPLATE_SIGNS.iter().filter(|sign| line.contains(**sign))).next();
    match sign {
        Some(sign) => error.hint(format!(
            "`{sign}` looks like a template that is not rendered yet: give the file that it makes"
        )),
        None => error,
    }
}

/// How Jinja, Go's templates, Helm and ERB mark what they replace.
pub(super) const TEMPLATE_SIGNS: [&str; 3] = ["{{", "{%", "<%"];

/// A secret or config comes from one place.
fn check_file_objects(model: &Node) -> Result<(), ComposeError> {
    for (section, keys) in [
        ("secrets", &["file", "environment"][..]),
        ("configs", &["file", "environment", "content"]),
    ] {
        for (name, object) in model.get(section).and_then(Node::as_map).into_iter().flatten() {
            let given: Vec<&str> =
                keys.iter().copied().filter(|key| object.get(key).is_some()).collect();
            let elsewhere = object.get("driver").or(object.get("external")).is_some();
            let message = match given.len() {
                0 if !elsewhere => format!("{section}.{name} needs one of {}", keys.join(", ")),
                0 | 1 => continue,
                _ => format!("{section}.{name}: {} exclude each other", given.join(" and ")),
            };
            return Err(ComposeError::at(object.start(), message));
        }
    }
    Ok(())
}
