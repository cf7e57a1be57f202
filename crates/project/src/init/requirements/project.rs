//! What a project declares without a lock, and what to do where that cannot be installed.

use super::text::normal;
use super::{Refusal, Requirements, requirement_file};
use crate::init::tree::{Tree, join, parent};
use crate::package_name;

pub(super) fn compile(source: &str, folder: &str) -> String {
    let lock = join(folder, "requirements.lock");
    format!(
        "uv pip compile --universal --generate-hashes --no-emit-package YOUR-PACKAGE {source} --output-file {lock}"
    )
}

/// What a project's own declaration is good for without a lock.
pub(super) fn project(tree: &Tree, folder: &str) -> Result<Option<Requirements>, Refusal> {
    let refuse = |name: &str, why: &str, command: &str| Refusal {
        file: join(folder, name),
        why: why.to_owned(),
        command: match folder {
            "" => command.to_owned(),
            folder => format!("cd {folder} && {command}"),
        },
    };
    if tree.has(&join(folder, "pdm.lock")) {
        let command = "pdm export --prod --format requirements --output requirements.lock";
        return Err(refuse("pdm.lock", "is a lock that only PDM reads", command));
    }
    let file = join(folder, "pyproject.toml");
    if let Some(table) = tree.toml(&file) {
        if has_sources(tree, folder, table) {
            let why = "takes packages from [tool.uv.sources], and there is no uv.lock";
            return Err(refuse("pyproject.toml", why, "uv lock"));
        }
        if let Some(requirements) = declared(tree, folder, table) {
            return Ok(Some(requirements));
        }
        if let Some((why, command)) = undeclared(table) {
            return Err(refuse("pyproject.toml", why, &command));
        }
    } else if tree.has(&file) {
        return Err(refuse("pyproject.toml", "cannot be read", "uv lock"));
    }
    if tree.has(&join(folder, "Pipfile")) {
        return Err(refuse("Pipfile", "has no Pipfile.lock", "pipenv lock"));
    }
    for name in ["setup.py", "setup.cfg"] {
        if tree.text(&join(folder, name)).is_some_and(|text| text.contains("install_requires")) {
            let why = "declares the packages, and only a build of the package knows them";
            let command = format!(
                "uv pip compile --universal --generate-hashes {name} --output-file requirements.lock"
            );
            return Err(refuse(name, why, &command));
        }
    }
    for name in ["environment.yml", "environment.yaml"] {
        if tree.has(&join(folder, name)) {
            let why = "is conda's, and images get their packages from a Python index";
            let command = "conda run pip list --format freeze > requirements.txt";
            return Err(refuse(name, why, command));
        }
    }
    Ok(None)
}

/// Whether uv takes a dependency from elsewhere than the package index: a name alone would be somebody else's package.
fn has_sources(tree: &Tree, folder: &str, table: &toml::Table) -> bool {
    let dependencies = table.get("project").and_then(|it| it.get("dependencies")?.as_array());
    let names: Vec<String> = dependencies
        .into_iter()
        .flatten()
        .filter_map(|it| Some(package_name::split(it.as_str()?.trim_start()).0))
        .collect();
    let is_named = |table: &toml::Table| {
        let sources = table.get("tool").and_then(|it| it.get("uv")?.get("sources")?.as_table());
        sources
            .is_some_and(|it| it.keys().any(|name| names.contains(&package_name::normalised(name))))
    };
    // The root of a workspace has sources for its members.
    let (mut above, mut is_found) = (folder, is_named(table));
    while !is_found && !above.is_empty() {
        above = parent(above);
        is_found = tree.toml(&join(above, "pyproject.toml")).is_some_and(is_named);
    }
    is_found
}

/// The packages that a `pyproject.toml` names itself or by files.
fn declared(tree: &Tree, folder: &str, table: &toml::Table) -> Option<Requirements> {
    let project = table.get("project")?;
    if project.get("dependencies").is_some() {
        return Some(Requirements::Project { file: join(folder, "pyproject.toml") });
    }
    is_dynamic(table).then(|| dynamic_files(tree, folder, table)).flatten()
}

/// Why nobody but a tool knows the packages of a `pyproject.toml`, and the tool's command that writes them down.
fn undeclared(table: &toml::Table) -> Option<(&'static str, String)> {
    let tool = |name: &str| table.get("tool").and_then(|tools| tools.get(name));
    if is_dynamic(table) {
        let why = "leaves its dependencies to the build of the package";
        return Some((why, compile("pyproject.toml", "")));
    }
    if tool("poetry").and_then(|poetry| poetry.get("dependencies")).is_some() {
        return Some(("is Poetry's, and there is no poetry.lock", "poetry lock".to_owned()));
    }
    tool("flit").map(|_| ("is of an old Flit", compile("pyproject.toml", "")))
}

fn is_dynamic(table: &toml::Table) -> bool {
    let dynamic = table.get("project").and_then(|project| project.get("dynamic"));
    dynamic
        .and_then(toml::Value::as_array)
        .is_some_and(|names| names.iter().any(|name| name.as_str() == Some("dependencies")))
}

/// Requirement files that setuptools or Hatch take the dependencies from.
fn dynamic_files(tree: &Tree, folder: &str, table: &toml::Table) -> Option<Requirements> {
    let tool = table.get("tool")?;
    let setuptools = || tool.get("setuptools")?.get("dynamic")?.get("dependencies")?.get("file");
    let hatch =
        || tool.get("hatch")?.get("metadata")?.get("hooks")?.get("requirements_txt")?.get("files");
    let named = setuptools().or_else(hatch)?;
    let names: Vec<&str> = match named {
        toml::Value::String(name) => vec![name],
        toml::Value::Array(names) => names.iter().filter_map(toml::Value::as_str).collect(),
        _ => return None,
    };
    let [name] = names.as_slice() else { return None };
    requirement_file(tree, &normal(&join(folder, name))).ok().flatten()
}
