//! Locks of a project's own tool, and of the workspace around it.

use super::{Requirements, Tool};
use crate::init::tree::{Tree, join, parent};

/// The lock of a project's tool in `folder`, or of the workspace around it.
pub(super) fn locked_by_tool(tree: &Tree, folder: &str) -> Option<Requirements> {
    for tool in Tool::ALL {
        let (lock, declared) = tool.files();
        if tree.has(&join(folder, lock)) && tree.has(&join(folder, declared)) {
            return Some(tool_lock(tree, tool, folder, None));
        }
    }
    // A member of a workspace has no lock of its own.
    let name = tree.toml(&join(folder, "pyproject.toml"))?;
    let name = name.get("project")?.get("name")?.as_str()?.to_owned();
    let mut above = folder;
    while !above.is_empty() {
        above = parent(above);
        let workspace = tree.toml(&join(above, "pyproject.toml"));
        let is_workspace = workspace.is_some_and(|it| {
            it.get("tool").and_then(|it| it.get("uv")?.get("workspace")).is_some()
        });
        if is_workspace && tree.has(&join(above, "uv.lock")) {
            return Some(tool_lock(tree, Tool::Uv, above, Some(name)));
        }
    }
    None
}

fn tool_lock(tree: &Tree, tool: Tool, folder: &str, member: Option<String>) -> Requirements {
    let (lock, declared) = tool.files();
    let mut files = vec![join(folder, lock), join(folder, declared)];
    if tool == Tool::Uv {
        // Members of the workspace belong to the project.
        let members = tree.below(folder).filter(|file| file.ends_with("/pyproject.toml"));
        files.extend(
            members.map(str::to_owned).filter(|file| *file != files[1]).collect::<Vec<_>>(),
        );
    }
    Requirements::Tool { tool, folder: folder.to_owned(), member, files }
}
