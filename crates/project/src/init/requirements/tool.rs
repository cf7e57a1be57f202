//! Locks of a project's own tool, and of the workspace around it.

use super::local::has_local_packages;
use super::{Refusal, Requirements, Tool};
use crate::init::tree::{Tree, join, parent};

/// The lock of a project's tool in `folder`, or of the workspace around it.
pub(super) fn locked_by_tool(tree: &Tree, folder: &str) -> Result<Option<Requirements>, Refusal> {
    for tool in Tool::ALL {
        let (lock, declared) = tool.files();
        if tree.has(&join(folder, lock)) && tree.has(&join(folder, declared)) {
            return tool_lock(tree, tool, folder, None).map(Some);
        }
    }
    match workspace(tree, folder) {
        Some((above, member)) => tool_lock(tree, Tool::Uv, above, Some(member)).map(Some),
        None => Ok(None),
    }
}

/// The workspace with a lock of which the project in `folder` is a member, and its name there: it has no lock of its own.
fn workspace<'a>(tree: &Tree, folder: &'a str) -> Option<(&'a str, String)> {
    let project = tree.toml(&join(folder, "pyproject.toml"))?;
    let name = project.get("project")?.get("name")?.as_str()?;
    let mut above = folder;
    while !above.is_empty() {
        above = parent(above);
        let workspace = tree.toml(&join(above, "pyproject.toml"));
        let is_workspace = workspace.is_some_and(|it| {
            it.get("tool").and_then(|it| it.get("uv")?.get("workspace")).is_some()
        });
        if is_workspace && tree.has(&join(above, "uv.lock")) {
            return Some((above, name.to_owned()));
        }
    }
    None
}

fn tool_lock(
    tree: &Tree,
    tool: Tool,
    folder: &str,
    member: Option<String>,
) -> Result<Requirements, Refusal> {
    let (lock, declared) = tool.files();
    let mut files = vec![join(folder, lock), join(folder, declared)];
    if tool == Tool::Uv {
        // Members of the workspace belong to the project.
        let members = tree.below(folder).filter(|file| file.ends_with("/pyproject.toml"));
        files.extend(
            members.map(str::to_owned).filter(|file| *file != files[1]).collect::<Vec<_>>(),
        );
    }
    let has_local = has_local_packages(tree, tool, folder)?;
    Ok(Requirements::Tool { tool, folder: folder.to_owned(), member, files, has_local })
}
