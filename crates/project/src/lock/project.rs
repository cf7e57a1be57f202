//! A pyproject.toml as the source of a lock: what its dependencies depend on, and which other files that needs.
//!
//! Beside a uv.lock (of the project or of its workspace) that lock decides; else the `[project]` table is resolved.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::files::read;
use crate::lock::error::SourceError;
use crate::lock::indexes::IndexOptions;
use crate::lock::paths::clean;

/// How many folders up the root of a workspace is looked for.
const MOST_PARENTS: usize = 6;

/// Which of a project's optional dependencies are locked, too; sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selection {
    /// Names in `[project.optional-dependencies]`.
    pub extras: Vec<String>,
    /// Names in `[dependency-groups]`.
    pub groups: Vec<String>,
}

impl Selection {
    /// Sorted, each name once.
    pub fn new(extras: &[String], groups: &[String]) -> Self {
        let sorted = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort();
            names.dedup();
            names
        };
        Self { extras: sorted(extras), groups: sorted(groups) }
    }

    /// Whether nothing optional is selected.
    pub fn is_empty(&self) -> bool {
        self.extras.is_empty() && self.groups.is_empty()
    }

    /// Extras, then groups.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.extras.iter().chain(&self.groups).map(String::as_str)
    }

    /// What the lock's name ends with.
    pub fn suffix(&self) -> String {
        self.names().fold(String::new(), |all, name| all + "-" + name)
    }

    /// The options of uv.
    pub fn options(&self) -> Vec<String> {
        let extras = self.extras.iter().flat_map(|name| ["--extra".to_owned(), name.clone()]);
        let groups = self.groups.iter().flat_map(|name| ["--group".to_owned(), name.clone()]);
        extras.chain(groups).collect()
    }
}

/// A project with what its resolution needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// pyproject.toml, absolute.
    pub path: PathBuf,
    /// What of it is locked.
    pub selection: Selection,
    /// Its pyproject.toml, those of its workspace and of the folders it takes packages from, and uv.lock.
    pub files: BTreeMap<PathBuf, String>,
    /// uv.lock, where there is one.
    pub uv: Option<Uv>,
}

/// A uv.lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uv {
    /// Where it is.
    pub lock: PathBuf,
    /// The project's name in its workspace, where it is not the root.
    pub member: Option<String>,
}

impl Project {
    /// Reads the pyproject.toml `path` (absolute, without `.` and `..`) and what belongs to it.
    ///
    /// # Errors
    /// A file cannot be read, is not TOML, or declares no dependencies.
    pub fn read(path: &Path, selection: Selection) -> Result<Self, SourceError> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let mut files = BTreeMap::new();
        let own = add(&mut files, path)?;
        let name = declared(&own)?;
        for (names, table) in [
            (&selection.extras, ["project", "optional-dependencies"].as_slice()),
            (&selection.groups, ["dependency-groups"].as_slice()),
        ] {
            let known = at(&own, table).and_then(Value::as_table);
            let missing =
                names.iter().find(|name| !known.is_some_and(|it| it.contains_key(name.as_str())));
            if let Some(name) = missing {
                return Err(SourceError::NotDeclared {
                    name: name.clone(),
                    table: table.join("."),
                });
            }
        }
        let root = folder.ancestors().take(MOST_PARENTS).find(|it| it.join("uv.lock").is_file());
        let uv = match root {
            Some(root) if root == folder || is_member(root, folder, &mut files)? => {
                let lock = root.join("uv.lock");
                files.insert(lock.clone(), text(&lock)?);
                Some(Uv { lock, member: (root != folder).then_some(name) })
            }
            _ => None,
        };
        if let Some(uv) = &uv {
            let root = uv.lock.parent().unwrap_or(folder);
            let table = add(&mut files, &root.join("pyproject.toml"))?;
            for member in members(root, &table) {
                add(&mut files, &member.join("pyproject.toml"))?;
            }
        }
        add_folders(&mut files)?;
        Ok(Self { path: path.to_owned(), selection, files, uv })
    }

    /// The options that whoever installs its packages needs.
    pub fn index_options(&self) -> IndexOptions {
        let mut options = IndexOptions::default();
        for (_, table) in self.tables() {
            for line in indexes(&table) {
                options.add(&line);
            }
        }
        options
    }

    /// What the resolution depends on, path by path below `root`: not a tool's settings, nor a version.
    pub fn parts(&self, root: &Path) -> Vec<String> {
        let below = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
        let mut parts = vec![self.selection.suffix(), self.selection.extras.len().to_string()];
        for (path, table) in self.tables() {
            parts.extend([below(&path), relevant(&table)]);
        }
        if let Some(uv) = &self.uv {
            let lock = self.files.get(&uv.lock).map(|text| text.replace("\r\n", "\n"));
            parts.extend([below(&uv.lock), lock.unwrap_or_default()]);
        }
        parts
    }

    fn tables(&self) -> impl Iterator<Item = (PathBuf, Table)> {
        let tables =
            self.files.iter().filter(|(path, _)| path.extension().is_some_and(|it| it == "toml"));
        tables.filter_map(|(path, text)| Some((path.clone(), text.parse().ok()?)))
    }
}

/// Whether a pyproject.toml declares dependencies that a lock of ours may hold: another tool's lock is that tool's.
pub fn can_be_locked(path: &Path) -> bool {
    let others = ["poetry.lock", "pdm.lock"];
    let is_others = others.iter().any(|name| path.with_file_name(name).exists());
    !is_others
        && text(path)
            .ok()
            .and_then(|it| it.parse::<Table>().ok())
            .is_some_and(|it| declared(&it).is_ok())
}

/// The name of a project that declares its dependencies.
fn declared(table: &Table) -> Result<String, SourceError> {
    let project = table.get("project").and_then(Value::as_table).ok_or(SourceError::NoProject)?;
    let is_dynamic = strings(project.get("dynamic")).any(|it| it == "dependencies");
    if is_dynamic {
        return Err(SourceError::Dynamic);
    }
    Ok(project.get("name").and_then(Value::as_str).unwrap_or_default().to_owned())
}

fn text(path: &Path) -> Result<String, SourceError> {
    read::text(path, read::DOCUMENT)
        .map_err(|source| SourceError::Read { path: path.to_owned(), source })
}

fn add(files: &mut BTreeMap<PathBuf, String>, path: &Path) -> Result<Table, SourceError> {
    let text = match files.get(path) {
        Some(text) => text.clone(),
        None => text(path)?,
    };
    let table = text
        .parse()
        .map_err(|source| SourceError::Toml { path: path.to_owned(), source: Box::new(source) })?;
    files.insert(path.to_owned(), text);
    Ok(table)
}

/// Whether the workspace in `root` has `folder` in it.
fn is_member(
    root: &Path,
    folder: &Path,
    files: &mut BTreeMap<PathBuf, String>,
) -> Result<bool, SourceError> {
    let table = add(files, &root.join("pyproject.toml"))?;
    Ok(members(root, &table).iter().any(|member| member == folder))
}

/// The folders of a workspace, its root left out.
fn members(root: &Path, table: &Table) -> Vec<PathBuf> {
    let workspace = at(table, &["tool", "uv", "workspace"]).and_then(Value::as_table);
    let folders = |key: &str| -> Vec<PathBuf> {
        let patterns = strings(workspace.and_then(|it| it.get(key)));
        patterns.flat_map(|pattern| expand(root, pattern)).collect()
    };
    let excluded = folders("exclude");
    let mut members = folders("members");
    members.retain(|it| !excluded.contains(it) && it.join("pyproject.toml").is_file());
    members.sort();
    members.dedup();
    members
}

/// The folders below `root` that a pattern such as `packages/*` names.
fn expand(root: &Path, pattern: &str) -> Vec<PathBuf> {
    let parts = pattern.split('/').filter(|part| !part.is_empty() && *part != ".");
    parts.fold(vec![root.to_owned()], |folders, part| {
        let next = folders.into_iter().flat_map(|folder| {
            if part.contains('*') {
                let listed = std::fs::read_dir(&folder).into_iter().flatten().flatten();
                let found = listed.map(|entry| entry.path()).filter(|path| {
                    path.is_dir()
                        && path.file_name().is_some_and(|it| fits(part, &it.to_string_lossy()))
                });
                found.collect()
            } else {
                vec![clean(&folder.join(part))]
            }
        });
        next.collect()
    })
}

/// Whether a name fits a pattern with `*`: its parts follow each other, the first at the start and the last at the end.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(name) = name.strip_prefix(first).and_then(|name| name.strip_suffix(last)) else {
        return false;
    };
    middle
        .split('*')
        .try_fold(name, |name, part| name.find(part).map(|at| &name[at + part.len()..]))
        .is_some()
}

/// Adds the pyproject.toml of every folder that packages come from, and of those that these take packages from.
fn add_folders(files: &mut BTreeMap<PathBuf, String>) -> Result<(), SourceError> {
    let mut waiting: Vec<PathBuf> = files.keys().cloned().collect();
    while let Some(path) = waiting.pop() {
        let Some(table) = files.get(&path).and_then(|text| text.parse::<Table>().ok()) else {
            continue;
        };
        let Some(sources) = at(&table, &["tool", "uv", "sources"]).and_then(Value::as_table) else {
            continue;
        };
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        let all = sources
            .values()
            .flat_map(|it| it.as_array().map_or(std::slice::from_ref(it), Vec::as_slice));
        for named in all.filter_map(|it| it.get("path").and_then(Value::as_str)) {
            let next = clean(&folder.join(named)).join("pyproject.toml");
            if next.is_file() && !files.contains_key(&next) {
                add(files, &next)?;
                waiting.push(next);
            }
        }
    }
    Ok(())
}

/// Lines for a requirement file that name the indexes of a project.
fn indexes(table: &Table) -> Vec<String> {
    let Some(uv) = at(table, &["tool", "uv"]).and_then(Value::as_table) else { return Vec::new() };
    let mut lines = Vec::new();
    let named = uv.get("index").and_then(Value::as_array);
    for index in named.into_iter().flatten() {
        let Some(url) = index.get("url").and_then(Value::as_str) else { continue };
        let is_default = index.get("default").and_then(Value::as_bool).unwrap_or_default();
        let is_flat = index.get("format").and_then(Value::as_str) == Some("flat");
        let option = match (is_default, is_flat) {
            (_, true) => "--find-links",
            (true, false) => "--index-url",
            (false, false) => "--extra-index-url",
        };
        lines.push(format!("{option} {url}"));
    }
    for (key, option) in [
        ("index-url", "--index-url"),
        ("extra-index-url", "--extra-index-url"),
        ("find-links", "--find-links"),
    ] {
        let one = uv.get(key).and_then(Value::as_str);
        lines.extend(
            one.into_iter().chain(strings(uv.get(key))).map(|url| format!("{option} {url}")),
        );
    }
    lines
}

/// The parts of a pyproject.toml that dependencies depend on.
fn relevant(table: &Table) -> String {
    let mut kept = Table::new();
    if let Some(project) = table.get("project").and_then(Value::as_table) {
        let keys = ["name", "dependencies", "optional-dependencies", "requires-python", "dynamic"];
        let values =
            keys.iter().filter_map(|key| Some(((*key).to_owned(), project.get(*key)?.clone())));
        kept.insert("project".to_owned(), Value::Table(values.collect()));
    }
    for (name, value) in
        [("groups", table.get("dependency-groups")), ("uv", at(table, &["tool", "uv"]))]
    {
        if let Some(value) = value {
            kept.insert(name.to_owned(), value.clone());
        }
    }
    serde_json::to_string(&kept).unwrap_or_default()
}

fn at<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (last, first) = path.split_last()?;
    first.iter().try_fold(table, |table, key| table.get(*key)?.as_table())?.get(*last)
}

fn strings(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        }
        folder
    }

    fn read(folder: &tempfile::TempDir, name: &str) -> Result<Project, SourceError> {
        Project::read(&folder.path().join(name), Selection::default())
    }

    const ROOT: &str = "[project]\nname = 'root'\ndependencies = ['a', 'vend']\n\
        [tool.uv.workspace]\nmembers = ['packages/*']\nexclude = ['packages/old']\n\
        [tool.uv.sources]\na = { workspace = true }\nvend = [{ path = 'vend', marker = \"sys_platform == 'linux'\" }]\n\
        torch = { index = 'cpu' }\n\
        [[tool.uv.index]]\nname = 'cpu'\nurl = 'https://example.org/cpu'\nexplicit = true\n";

    #[test]
    fn a_workspace_and_local_folders_belong_to_it() {
        let member = "[project]\nname = 'a'\ndependencies = []\n";
        let tree = folder(&[
            ("uv.lock", ""),
            ("pyproject.toml", ROOT),
            ("packages/a/pyproject.toml", member),
            ("packages/old/pyproject.toml", member),
            ("packages/none/x", ""),
            ("vend/pyproject.toml", "[tool.uv.sources]\nmore = { path = '../more' }\n"),
            ("more/pyproject.toml", ""),
        ]);
        let root = read(&tree, "pyproject.toml").unwrap();
        let names = |project: &Project| -> Vec<String> {
            let below =
                |path: &PathBuf| path.strip_prefix(tree.path()).unwrap().display().to_string();
            project.files.keys().map(below).collect()
        };
        let all = [
            "more/pyproject.toml",
            "packages/a/pyproject.toml",
            "pyproject.toml",
            "uv.lock",
            "vend/pyproject.toml",
        ];
        assert_eq!(names(&root), all);
        assert_eq!(root.uv.as_ref().unwrap().member, None);
        assert_eq!(root.index_options().text(), "--extra-index-url https://example.org/cpu\n");
        let member = read(&tree, "packages/a/pyproject.toml").unwrap();
        assert_eq!(member.uv.as_ref().unwrap().member.as_deref(), Some("a"));
        assert_eq!(names(&member), all);
        // What is not of the workspace has no lock there.
        let other = read(&tree, "packages/old/pyproject.toml").unwrap();
        assert_eq!(other.uv, None);
    }

    #[test]
    fn only_what_dependencies_depend_on_counts() {
        let parts = |text: &str| {
            let tree = folder(&[("pyproject.toml", text)]);
            read(&tree, "pyproject.toml").unwrap().parts(tree.path())
        };
        let base = "[project]\nname = 'x'\nversion = '1'\ndependencies = ['a']\n";
        let before = parts(base);
        for same in [
            base.replace("'1'", "'2'"),
            format!("{base}[tool.ruff]\nline-length = 9\n"),
            format!("# why\n{}", base.replace('\n', "\r\n")),
        ] {
            assert_eq!(parts(&same), before, "{same}");
        }
        for other in [
            base.replace("'a'", "'a', 'b'"),
            format!("{base}requires-python = '>=3.12'\n"),
            format!("{base}[dependency-groups]\ndev = ['x']\n"),
            format!("{base}[tool.uv]\nconstraint-dependencies = ['a<2']\n"),
        ] {
            assert_ne!(parts(&other), before, "{other}");
        }
    }

    #[test]
    fn what_declares_no_dependencies_is_refused() {
        for (text, wanted) in [
            ("[tool.ruff]\n", "no [project] table"),
            ("[project]\nname = 'x'\ndynamic = ['dependencies']\n", "dynamic"),
            ("[project\n", "is not TOML"),
        ] {
            let tree = folder(&[("pyproject.toml", text)]);
            let error = read(&tree, "pyproject.toml").unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
            assert!(!can_be_locked(&tree.path().join("pyproject.toml")));
        }
        let tree = folder(&[
            ("pyproject.toml", "[project]\nname = 'x'\ndependencies = []\n"),
            ("poetry.lock", ""),
        ]);
        assert!(!can_be_locked(&tree.path().join("pyproject.toml")));
        let path = tree.path().join("pyproject.toml");
        let selection = Selection::new(&["web".to_owned()], &[]);
        let error = Project::read(&path, selection).unwrap_err().to_string();
        assert!(
            error.contains("`web`") && error.contains("[project.optional-dependencies]"),
            "{error}"
        );
    }

    #[test]
    fn stars_in_members() {
        assert!(fits("*", "a") && fits("lib-*", "lib-x") && fits("*-x*", "a-xy"));
        assert!(!fits("lib-*", "x") && !fits("a", "ab") && !fits("a*a", "a"));
    }
}
