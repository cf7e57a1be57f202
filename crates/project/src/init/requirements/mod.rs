//! Which files name the packages of a service, and what installs them.
//!
//! A project's own lock is installed by its own tool, which exports it in a stage of its own: what the step with the
//! packages mounts is the export, so a new version of the project or a setting of its linter installs nothing again.

mod local;
mod modules;
mod project;
mod text;
mod tool;

use std::collections::BTreeSet;

use crate::init::tree::{Tree, join, parent};

pub use modules::package_of;
use project::{compile, project};
use text::{entries, included, is_local, is_locked, names_package};
use tool::locked_by_tool;

/// A program that locks the packages of a project, and exports what it locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// uv.lock.
    Uv,
    /// poetry.lock.
    Poetry,
    /// Pipfile.lock.
    Pipenv,
}

impl Tool {
    const ALL: [Self; 3] = [Self::Uv, Self::Poetry, Self::Pipenv];

    /// Its lock and the file with what is locked.
    pub fn files(self) -> (&'static str, &'static str) {
        match self {
            Self::Uv => ("uv.lock", "pyproject.toml"),
            Self::Poetry => ("poetry.lock", "pyproject.toml"),
            Self::Pipenv => ("Pipfile.lock", "Pipfile"),
        }
    }
}

/// The requirements of one service. Paths are relative to the folder of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Requirements {
    /// A complete lock file with hashes: nothing else gets installed.
    Locked {
        /// The file.
        file: String,
        /// The heavy part of it, which `doc2md-docker lock` keeps in a file of its own.
        heavy: Option<String>,
    },
    /// A lock in the format of PEP 751.
    Pylock {
        /// The file.
        file: String,
    },
    /// A requirements file and those it includes.
    Files {
        /// The file to install from.
        file: String,
        /// Files that it or they name with `-r` or `-c`.
        includes: Vec<String>,
    },
    /// `[project] dependencies` of a pyproject.toml without a lock.
    Project {
        /// The pyproject.toml.
        file: String,
    },
    /// The lock of a project's own tool.
    Tool {
        /// The tool.
        tool: Tool,
        /// The folder with the lock.
        folder: String,
        /// The member of a workspace whose packages are wanted.
        member: Option<String>,
        /// Files that the tool reads, the lock first.
        files: Vec<String>,
        /// Whether packages of it are folders of the project.
        has_local: bool,
    },
    /// There is none: one is written with what the code imports.
    Written {
        /// The file.
        file: String,
        /// Its packages.
        packages: Vec<String>,
    },
}

/// Packages are declared in a way that cannot be installed from as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file} {why}")]
pub struct Refusal {
    /// The file with the declaration.
    pub file: String,
    /// What is missing.
    pub why: String,
    /// The command that makes what can be installed.
    pub command: String,
}

impl Requirements {
    /// Every file that the installation reads.
    pub fn files(&self) -> Vec<String> {
        match self {
            Self::Locked { file, heavy } => {
                std::iter::once(file.clone()).chain(heavy.clone()).collect()
            }
            Self::Project { file } | Self::Pylock { file } | Self::Written { file, .. } => {
                vec![file.clone()]
            }
            Self::Files { file, includes } => {
                std::iter::once(file.clone()).chain(includes.iter().cloned()).collect()
            }
            Self::Tool { files, .. } => files.clone(),
        }
    }

    /// The folder they lie in.
    pub fn folder(&self) -> String {
        match self {
            Self::Tool { folder, .. } => folder.clone(),
            _ => parent(&self.files()[0]).to_owned(),
        }
    }

    /// Whether the files name every package that gets installed, those that packages need included.
    pub fn are_complete(&self) -> bool {
        matches!(self, Self::Locked { .. } | Self::Pylock { .. } | Self::Tool { .. })
    }

    /// Whether a package is named.
    pub fn name(&self, tree: &Tree, package: &str) -> bool {
        match self {
            Self::Written { packages, .. } => {
                packages.iter().any(|known| known.split('[').next() == Some(package))
            }
            _ => names_package(tree, &self.files(), package),
        }
    }

    /// The requirements nearest to `file`, the module a service starts with; `words` are names the
    /// service goes by.
    ///
    /// # Errors
    /// The nearest are declared in a way that cannot be installed from.
    pub fn find(tree: &Tree, file: &str, words: &[&str]) -> Result<Option<Self>, Refusal> {
        let mut folder = parent(file);
        loop {
            let found = in_folder(tree, folder, words)?;
            if found.is_some() || folder.is_empty() {
                return Ok(found);
            }
            folder = parent(folder);
        }
    }
}

fn in_folder(tree: &Tree, folder: &str, words: &[&str]) -> Result<Option<Requirements>, Refusal> {
    let first = |names: &[String]| -> Result<Option<Requirements>, Refusal> {
        for name in names {
            if let Some(found) = requirement_file(tree, &join(folder, name))? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    };
    let own: Vec<String> = words
        .iter()
        .flat_map(|word| {
            [
                format!("requirements/{word}.lock"),
                format!("requirements/{word}.txt"),
                format!("requirements-{word}.lock"),
                format!("requirements-{word}.txt"),
                format!("requirements.{word}.txt"),
                format!("requirements_{word}.txt"),
                format!("{word}-requirements.txt"),
                format!("{word}_requirements.txt"),
                format!("requirements-{word}.in"),
            ]
        })
        .chain(["requirements.lock".to_owned()])
        .collect();
    if let Some(found) = first(&own)? {
        return Ok(Some(found));
    }
    let pylock = join(folder, "pylock.toml");
    if tree.has(&pylock) {
        return Ok(Some(Requirements::Pylock { file: pylock }));
    }
    if let Some(found) = locked_by_tool(tree, folder)? {
        return Ok(Some(found));
    }
    let usual = [
        "requirements.txt",
        "requirements/prod.txt",
        "requirements/production.txt",
        "requirements/base.txt",
        "requirements.in",
    ];
    if let Some(found) = first(&usual.map(str::to_owned))? {
        return Ok(Some(found));
    }
    project(tree, folder)
}

/// What a file of requirements is.
fn requirement_file(tree: &Tree, path: &str) -> Result<Option<Requirements>, Refusal> {
    let Some(text) = tree.text(path) else { return Ok(None) };
    if is_locked(text) {
        let heavy = path.strip_suffix(".lock").map(|path| format!("{path}.heavy.lock"));
        let heavy = heavy.filter(|heavy| tree.has(heavy));
        return Ok(Some(Requirements::Locked { file: path.to_owned(), heavy }));
    }
    let mut files = BTreeSet::new();
    included(tree, path, &mut files);
    let entries: Vec<String> =
        files.iter().filter_map(|file| tree.text(file)).flat_map(entries).collect();
    let (local, others): (Vec<&String>, Vec<&String>) =
        entries.iter().partition(|entry| is_local(entry));
    match (local.first(), others.is_empty()) {
        // The project itself: its own files say what it needs.
        (Some(_), true) => return Ok(None),
        (Some(entry), false) => {
            return Err(Refusal {
                file: path.to_owned(),
                why: format!("names `{entry}`, a package in a folder of the project"),
                command: compile(path, parent(path)),
            });
        }
        (None, _) => {}
    }
    files.remove(path);
    let includes = files.into_iter().collect();
    Ok(Some(Requirements::Files { file: path.to_owned(), includes }))
}

#[cfg(test)]
mod tests;
