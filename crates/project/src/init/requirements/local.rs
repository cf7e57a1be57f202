//! Packages of a lock that come from a folder or a file of this machine. Folders of the project are code, which images
//! copy; everything else no image would have.

use super::text::normal;
use super::{Refusal, Tool};
use crate::init::tree::{Tree, join};

/// Such a package of a lock.
struct LocalPackage {
    name: String,
    /// As the lock has it: relative to its own folder.
    path: String,
}

/// Whether the lock of `tool` in `folder` has packages in folders of the project.
pub(super) fn has_local_packages(tree: &Tree, tool: Tool, folder: &str) -> Result<bool, Refusal> {
    let lock = join(folder, tool.files().0);
    let text = tree.text(&lock).unwrap_or_default();
    let packages = match tool {
        Tool::Uv => of_uv(text),
        Tool::Poetry => of_poetry(text),
        Tool::Pipenv => of_pipenv(text),
    };
    // The project itself is one for uv.
    let packages = packages.into_iter().filter(|package| !normal(&package.path).is_empty());
    let mut is_any = false;
    for LocalPackage { name, path } in packages {
        let inside = inside(folder, &path);
        if !inside.is_some_and(|path| tree.has_folder(&path)) {
            let add = match tool {
                Tool::Uv => "uv add",
                Tool::Poetry => "poetry add",
                Tool::Pipenv => "pipenv install",
            };
            return Err(Refusal {
                file: lock,
                why: format!("takes `{name}` from {path}, which is not a folder of the project"),
                command: format!("{add} {name}"),
            });
        }
        is_any = true;
    }
    Ok(is_any)
}

/// The path within the project; `None` where it leads out of it.
fn inside(folder: &str, path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    let whole = join(folder, path);
    let mut depth = 0_i32;
    for part in whole.split('/') {
        depth += match part {
            "" | "." => 0,
            ".." => -1,
            _ => 1,
        };
        if depth < 0 {
            return None;
        }
    }
    Some(normal(&whole))
}

fn packages(text: &str) -> Vec<toml::Value> {
    let table: Option<toml::Table> = toml::from_str(text).ok();
    let packages = table.and_then(|mut table| table.remove("package"));
    match packages {
        Some(toml::Value::Array(packages)) => packages,
        _ => Vec::new(),
    }
}

fn of_uv(text: &str) -> Vec<LocalPackage> {
    let path = |source: &toml::Value| {
        let keys = ["editable", "directory", "path", "virtual"];
        keys.iter().find_map(|key| Some(source.get(key)?.as_str()?.to_owned()))
    };
    let local = |package: &toml::Value| {
        let name = package.get("name")?.as_str()?.to_owned();
        Some(LocalPackage { name, path: path(package.get("source")?)? })
    };
    packages(text).iter().filter_map(local).collect()
}

fn of_poetry(text: &str) -> Vec<LocalPackage> {
    let local = |package: &toml::Value| {
        let source = package.get("source")?;
        let is_local = ["directory", "file"].contains(&source.get("type")?.as_str()?);
        let name = package.get("name")?.as_str()?.to_owned();
        let path = source.get("url")?.as_str()?.to_owned();
        is_local.then_some(LocalPackage { name, path })
    };
    packages(text).iter().filter_map(local).collect()
}

fn of_pipenv(text: &str) -> Vec<LocalPackage> {
    let lock: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let packages = lock.get("default").and_then(|it| it.as_object());
    let local = |(name, package): (&String, &serde_json::Value)| {
        let path = package.get("path").or_else(|| package.get("file"))?.as_str()?;
        let is_local = !path.contains("://");
        is_local.then(|| LocalPackage { name: name.clone(), path: path.to_owned() })
    };
    packages.into_iter().flatten().filter_map(local).collect()
}
