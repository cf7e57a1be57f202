//! What a project declares without a lock, and what to do where that cannot be installed.

use super::text::normal;
use super::{Refusal, Requirements, requirement_file};
use crate::init::tree::{Tree, join};

pub(super) fn compile(source: &str, folder: &str) -> String {
    let lock = join(folder, "requirements.lock");
    format!(
        "uv pip compile --universal --generate-hashes --no-emit-package YOUR-PACKAGE {source} --output-file {lock}"
    )
}

/// What a project's own declaration is good for without a lock.
pub(super) fn project(tree: &Tree, folder: &str) -> Result<Option<Requirements>, Refusal> {
    let refuse = |name: &str, why: &str, command: String| {
        let command = if folder.is_empty() { command } else { format!("cd {folder} && {command}") };
        Err(Refusal { file: join(folder, name), why: why.to_owned(), command })
    };
    if tree.has(&join(folder, "pdm.lock")) {
        return refuse(
            "pdm.lock",
            "is a lock that only PDM reads",
            "pdm export --prod --format requirements --output requirements.lock".to_owned(),
        );
    }
    let file = join(folder, "pyproject.toml");
    if let Some(table) = tree.toml(&file) {
        let project = table.get("project");
        let tool = |name: &str| table.get("tool").and_then(|tools| tools.get(name));
        let dynamic = project.and_then(|project| project.get("dynamic"));
        let is_dynamic = dynamic
            .and_then(toml::Value::as_array)
            .is_some_and(|names| names.iter().any(|name| name.as_str() == Some("dependencies")));
        if project.is_some_and(|project| project.get("dependencies").is_some()) {
            return Ok(Some(Requirements::Project { file }));
        }
        if is_dynamic {
            if let Some(found) = dynamic_files(tree, folder, table) {
                return Ok(Some(found));
            }
            return refuse(
                "pyproject.toml",
                "leaves its dependencies to the build of the package",
                compile("pyproject.toml", ""),
            );
        }
        if tool("poetry").and_then(|poetry| poetry.get("dependencies")).is_some() {
            return refuse(
                "pyproject.toml",
                "is Poetry's, and there is no poetry.lock",
                "poetry lock".to_owned(),
            );
        }
        if tool("flit").is_some() {
            return refuse("pyproject.toml", "is of an old Flit", compile("pyproject.toml", ""));
        }
    } else if tree.has(&file) {
        return refuse("pyproject.toml", "cannot be read", "uv lock".to_owned());
    }
    if tree.has(&join(folder, "Pipfile")) {
        return refuse("Pipfile", "has no Pipfile.lock", "pipenv lock".to_owned());
    }
    for name in ["setup.py", "setup.cfg"] {
        if tree.text(&join(folder, name)).is_some_and(|text| text.contains("install_requires")) {
            return refuse(
                name,
                "declares the packages, and only a build of the package knows them",
                "uv pip compile --universal --generate-hashes setup.py --output-file requirements.lock"
                    .replace("setup.py", name),
            );
        }
    }
    for name in ["environment.yml", "environment.yaml"] {
        if tree.has(&join(folder, name)) {
            return refuse(
                name,
                "is conda's, and images get their packages from a Python index",
                "conda run pip list --format freeze > requirements.txt".to_owned(),
            );
        }
    }
    Ok(None)
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
