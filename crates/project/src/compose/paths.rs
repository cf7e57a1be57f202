//! Relative paths in compose files become absolute.

use std::path::{Component, Path, PathBuf};

use super::node::{Node, Value, entries_mut};
use crate::remote::is_no_path;

/// Resolves paths relative to `base`. `home` replaces a leading `~`.
pub(super) fn resolve(root: &mut Node, base: &Path, home: Option<&str>) {
    for (_, service) in entries_mut(root, "services") {
        if let Some(build) = service.get_mut("build") {
            if let Some(context) = build.get_mut("context") {
                resolve_context(context, base, home);
            }
            for context in values_mut(build, "additional_contexts") {
                resolve_context(context, base, home);
            }
            for key in values_mut(build, "ssh") {
                resolve_local_file(key, base, home);
            }
        }
        for volume in items_mut(service, "volumes") {
            if volume.get("type").and_then(Node::as_str) == Some("bind")
                && let Some(source) = volume.get_mut("source")
            {
                resolve_local_file(source, base, home);
            }
        }
        for file in items_mut(service, "env_file") {
            if let Some(path) = file.get_mut("path") {
                resolve_node(path, base, home);
            }
        }
        match service.get_mut("label_file") {
            Some(file) if file.as_str().is_some() => resolve_node(file, base, home),
            _ => items_mut(service, "label_file").for_each(|file| resolve_node(file, base, home)),
        }
        if let Some(develop) = service.get_mut("develop") {
            for watch in items_mut(develop, "watch") {
                if let Some(path) = watch.get_mut("path") {
                    resolve_node(path, base, home);
                }
            }
        }
        if let Some(extends) = service.get_mut("extends")
            && let Some(file) = extends.get_mut("file")
            && file.as_str().is_some_and(|file| !is_no_path(file))
        {
            resolve_node(file, base, home);
        }
    }
    for section in ["secrets", "configs"] {
        for (_, object) in entries_mut(root, section) {
            if let Some(file) = object.get_mut("file") {
                resolve_local_file(file, base, home);
            }
        }
    }
    for (_, volume) in entries_mut(root, "volumes") {
        // This is a bind mount by another name.
        let text = |key: &str| volume.get("driver_opts")?.get(key)?.as_str();
        if volume.get("driver").and_then(Node::as_str) == Some("local")
            && text("o") == Some("bind")
            && let Some(device) = volume.get_mut("driver_opts").and_then(|it| it.get_mut("device"))
        {
            resolve_local_file(device, base, home);
        }
    }
}

fn values_mut<'a>(node: &'a mut Node, key: &str) -> impl Iterator<Item = &'a mut Node> {
    node.get_mut(key).and_then(Node::as_map_mut).into_iter().flatten().map(|(_, value)| value)
}

fn items_mut<'a>(node: &'a mut Node, key: &str) -> impl Iterator<Item = &'a mut Node> {
    let items = node.get_mut(key).and_then(|list| match &mut list.value {
        Value::List(items) => Some(items),
        _ => None,
    });
    items.into_iter().flatten()
}

fn resolve_context(node: &mut Node, base: &Path, home: Option<&str>) {
    let local = node
        .as_str()
        .is_some_and(|text| !text.is_empty() && !text.starts_with("service:") && !is_no_path(text));
    if local {
        resolve_node(node, base, home);
    }
}

/// Like `resolve_node`, but compose takes paths of Windows for absolute here.
fn resolve_local_file(node: &mut Node, base: &Path, home: Option<&str>) {
    let windows = node.as_str().is_some_and(|text| match text.as_bytes() {
        [_, b':', b'/' | b'\\', ..] => true,
        bytes => bytes.starts_with(br"\\"),
    });
    if !windows {
        resolve_node(node, base, home);
    }
}

fn resolve_node(node: &mut Node, base: &Path, home: Option<&str>) {
    if let Value::Str(text) = &mut node.value {
        *text = absolute(text, base, home).to_string_lossy().into_owned();
    }
}

/// `text` below `base`, without `.` and `..`; an absolute path stays as it is.
pub(super) fn absolute(text: &str, base: &Path, home: Option<&str>) -> PathBuf {
    if let Some(rest) = text.strip_prefix('~')
        && let Some(home) = home
    {
        return clean(&PathBuf::from(format!("{home}/{rest}")));
    }
    if Path::new(text).is_absolute() { PathBuf::from(text) } else { clean(&base.join(text)) }
}

/// Removes `.` and resolves `..` by name, without looking at the file system (Go's path cleaning).
pub(super) fn clean(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => match out.components().next_back() {
                Some(Component::Normal(_)) => {
                    out.pop();
                }
                Some(Component::RootDir | Component::Prefix(_)) => {}
                _ => out.push(".."),
            },
            other => out.push(other),
        }
    }
    if out.as_os_str().is_empty() { PathBuf::from(".") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_as_compose_does() {
        let base = Path::new("/p/q");
        for (text, expected) in [
            (".", "/p/q"),
            ("../x/./y", "/p/x/y"),
            ("../../../..", "/"),
            ("/abs/../kept", "/abs/../kept"),
            ("~/k", "/home/u/k"),
        ] {
            assert_eq!(absolute(text, base, Some("/home/u")), Path::new(expected), "{text}");
        }
    }
}
