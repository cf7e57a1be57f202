//! `extends`: a service takes over another one, of the same file or of another. How another file is loaded is the
//! caller's business: what it extends itself is loaded the same way.

use std::path::{Path, PathBuf};

use super::error::{ComposeError, Place};
use super::merge;
use super::node::{Map, Node, Value};
use super::paths;
use super::scope::Scope;
use crate::nearest::did_you_mean;
use crate::remote::is_no_path;

/// Services in one chain of `extends`.
const MAX_CHAIN: usize = 100;

/// The file whose services are extended.
pub(super) struct File<'a> {
    pub(super) path: &'a Path,
    pub(super) scope: Scope<'a>,
    /// Paths that `!reset` and `!override` of this document clear.
    pub(super) cleared: &'a [Vec<String>],
}

/// Another file whose services are extended, in long form and with absolute paths.
pub(super) struct Base {
    pub(super) root: Node,
    /// Paths that its `!reset` and `!override` clear.
    pub(super) cleared: Vec<Vec<String>>,
}

/// Loads the file at a path for the `extends` at a place.
pub(super) type LoadBase<'a> = dyn FnMut(&Path, &Place) -> Result<Base, ComposeError> + 'a;

/// Replaces every service that extends another one by the merged service.
pub(super) fn apply(
    root: &mut Node,
    file: &File<'_>,
    load: &mut LoadBase<'_>,
) -> Result<(), ComposeError> {
    let Some(services) = root.get_mut("services").and_then(Node::as_map_mut) else {
        return Ok(());
    };
    let names: Vec<String> = services.keys().cloned().collect();
    for name in names {
        extended(&name, services, file, load, &mut Vec::new())?;
    }
    Ok(())
}

/// Resolves `extends` of the service `name` in place.
fn extended(
    name: &str,
    services: &mut Map,
    file: &File<'_>,
    load: &mut LoadBase<'_>,
    chain: &mut Vec<(PathBuf, String)>,
) -> Result<(), ComposeError> {
    let Some(service) = services.get(name) else { return Ok(()) };
    let Some(extends) = service.get("extends") else { return Ok(()) };
    let place = extends.start().clone();
    let (reference, other) = reference(extends)?;
    let base = if let Some(other) = other {
        let path = paths::absolute(&other, file.scope.directory, file.scope.home);
        follow(chain, &path, name, &place)?;
        let Base { mut root, cleared } = load(&path, &place)?;
        let services = services_of(&mut root, &reference, &place, &path)?;
        // What the other file itself extends is relative to that file; its paths are absolute.
        let inner = File { path: &path, scope: file.scope, cleared: &cleared };
        extended(&reference, services, &inner, load, chain)?;
        services.get(&reference).cloned()
    } else {
        if !services.contains_key(&reference) {
            return Err(missing(&reference, services, &place));
        }
        follow(chain, file.path, name, &place)?;
        extended(&reference, services, file, load, chain)?;
        services.get(&reference).cloned()
    };
    let Some(base) = base.filter(|base| !base.is_null()) else { return Ok(()) };
    let base = cleared_base(name, base, file.cleared);
    let Some(service) = services.get(name).cloned() else { return Ok(()) };
    let mut merged = merge::extend_service(base, service)?;
    if let Some(merged) = merged.as_map_mut() {
        merged.shift_remove("extends");
    }
    services.insert(name.to_owned(), merged);
    Ok(())
}

/// The service's name and the file it stands in, if that is another one.
fn reference(extends: &Node) -> Result<(String, Option<String>), ComposeError> {
    if let Some(name) = extends.as_str() {
        return Ok((name.to_owned(), None));
    }
    let Some(name) = extends.get("service").and_then(Node::as_str) else {
        return Err(ComposeError::at(extends.start(), "extends needs the name of a service")
            .hint("write `extends: NAME`, or `service:` and `file:`"));
    };
    let file = extends.get("file").filter(|file| !file.is_null());
    match file {
        None => Ok((name.to_owned(), None)),
        Some(file) => match file.as_str() {
            Some(path) if !is_no_path(path) => Ok((name.to_owned(), Some(path.to_owned()))),
            Some(path) => {
                let message =
                    format!("cannot extend a service of {path}: only local files are read");
                Err(ComposeError::at(&file.place, message))
            }
            None => Err(ComposeError::at(&file.place, "extends.file must be a string")),
        },
    }
}

fn follow(
    chain: &mut Vec<(PathBuf, String)>,
    path: &Path,
    service: &str,
    place: &Place,
) -> Result<(), ComposeError> {
    let link = (path.to_owned(), service.to_owned());
    if chain.contains(&link) {
        let names: Vec<&str> = chain.iter().map(|(_, service)| service.as_str()).collect();
        let message = format!("circular extends: {} -> {service}", names.join(" -> "));
        return Err(ComposeError::at(place, message));
    }
    if chain.len() >= MAX_CHAIN {
        return Err(ComposeError::at(
            place,
            format!("more than {MAX_CHAIN} services extend each other"),
        ));
    }
    chain.push(link);
    Ok(())
}

fn services_of<'a>(
    base: &'a mut Node,
    reference: &str,
    place: &Place,
    path: &Path,
) -> Result<&'a mut Map, ComposeError> {
    let Some(services) = base.get_mut("services").and_then(Node::as_map_mut) else {
        let message = format!("{} has no services to extend", path.display());
        return Err(ComposeError::at(place, message));
    };
    if !services.contains_key(reference) {
        return Err(missing(reference, services, place));
    }
    Ok(services)
}

fn missing(reference: &str, services: &Map, place: &Place) -> ComposeError {
    let error =
        ComposeError::at(place, format!("cannot extend service `{reference}`: no such service"));
    match did_you_mean(reference, services.keys().map(String::as_str)) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Removes from the base what the extending service resets.
fn cleared_base(name: &str, base: Node, cleared: &[Vec<String>]) -> Node {
    let place = base.place.clone();
    let wrap = |key: &str, node: Node| {
        Node::new(Value::Map(Map::from_iter([(key.to_owned(), node)])), place.clone())
    };
    let mut wrapped = wrap("services", wrap(name, base));
    merge::clear(&mut wrapped, cleared);
    let service = wrapped
        .get_mut("services")
        .and_then(Node::as_map_mut)
        .and_then(|services| services.shift_remove(name));
    service.unwrap_or_else(|| Node::new(Value::Map(Map::new()), place))
}
