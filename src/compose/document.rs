//! Files to one merged tree: each document is interpolated, extended, included and merged in the
//! order compose 2.40 does it, then defaults and paths are settled.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexSet;

use super::error::{ComposeError, Place};
use super::node::{Map, Node, Value};
use super::scope::Scope;
use super::yaml::{self, Document};
use super::{canonical, extends, include, interpolate, merge, paths, schema};
use crate::files::read;

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
pub(super) struct Loading {
    /// Paths below this directory are shown relative to it.
    pub(super) current_dir: PathBuf,
    pub(super) home: Option<String>,
    pub(super) warnings: IndexSet<String>,
    /// How many entries of `include` were loaded.
    pub(super) included: usize,
}

/// What is done with a file besides merging it.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Role {
    /// A file of the project, or an included one.
    Main,
    /// A file another one extends: only its services are wanted, and not checked on their own.
    ExtendsBase,
}

impl Loading {
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
        for (_, service) in canonical::entries_mut(&mut model, "services") {
            if let Some(build) = service.get_mut("build") {
                let dot = build.text(".");
                if let Some(build) = build.as_map_mut() {
                    build.entry("context".to_owned()).or_insert(dot);
                }
            }
        }
        check_file_objects(&model)?;
        paths::resolve(&mut model, scope.directory, self.home.as_deref());
        Ok(model)
    }

    /// Merges the documents of `source` into `model`.
    pub(super) fn add(
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
                extends::apply(self, &mut root, &file)?;
            }
            merge::clear(&mut model, &cleared);
            if main {
                included.push(source.path.clone());
                include::apply(self, &mut root, scope, included)?;
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
}

/// Says of a file that is no YAML yet what it is.
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
