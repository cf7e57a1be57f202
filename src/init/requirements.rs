//! Which files name the packages of a service, and what installs them.
//!
//! A project's own lock is installed by its own tool, which exports it in a stage of its own: what the step with the
//! packages mounts is the export, so a new version of the project or a setting of its linter installs nothing again.

use std::collections::BTreeSet;

use crate::init::tree::{Tree, join, parent};

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
    if let Some(found) = locked_by_tool(tree, folder) {
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

/// The lock of a project's tool in `folder`, or of the workspace around it.
fn locked_by_tool(tree: &Tree, folder: &str) -> Option<Requirements> {
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

fn compile(source: &str, folder: &str) -> String {
    let lock = join(folder, "requirements.lock");
    format!(
        "uv pip compile --universal --generate-hashes --no-emit-package YOUR-PACKAGE {source} --output-file {lock}"
    )
}

/// What a project's own declaration is good for without a lock.
fn project(tree: &Tree, folder: &str) -> Result<Option<Requirements>, Refusal> {
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

/// Requirements of a file, continued lines joined, without comments and options that name no package.
fn entries(text: &str) -> Vec<String> {
    text.replace("\\\r\n", " ")
        .replace("\\\n", " ")
        .lines()
        .map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned())
        .filter(|line| {
            !line.is_empty()
                && (!line.starts_with(['#', '-'])
                    || line.starts_with("-e")
                    || line.starts_with("--editable"))
        })
        .collect()
}

/// Whether a requirement is a path.
fn is_local(entry: &str) -> bool {
    let entry = ["--editable", "-e"]
        .iter()
        .find_map(|option| entry.strip_prefix(option))
        .map_or(entry, |rest| rest.trim_start_matches(['=', ' ']));
    entry.starts_with('.')
        || entry.starts_with('/')
        || entry.starts_with("file:")
        || entry.contains("@ file:")
        || entry.ends_with(".whl") && !entry.contains("://")
}

/// Every requirement has a hash, as `--require-hashes` wants it.
fn is_locked(text: &str) -> bool {
    let entries = entries(text);
    !entries.is_empty() && entries.iter().all(|entry| entry.contains("--hash="))
}

fn included(tree: &Tree, path: &str, seen: &mut BTreeSet<String>) {
    let mut open = vec![path.to_owned()];
    while let Some(path) = open.pop() {
        let Some(text) = tree.text(&path) else { continue };
        if seen.contains(&path) {
            continue;
        }
        for line in text.lines() {
            let mut words = line.split([' ', '=', '\t']).filter(|word| !word.is_empty());
            let option = words.next().unwrap_or_default();
            let named = match option {
                "-r" | "-c" | "--requirement" | "--constraint" => words.next(),
                _ => option.strip_prefix("-r").or_else(|| option.strip_prefix("-c")),
            };
            open.extend(named.map(|named| normal(&join(parent(&path), named))));
        }
        seen.insert(path);
    }
}

/// The path without `.` and `..`.
fn normal(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Whether the requirements name a package, in any of the files.
pub fn names_package(tree: &Tree, files: &[String], package: &str) -> bool {
    files.iter().filter_map(|file| tree.text(file)).any(|text| {
        text.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'))
            .any(|word| word.eq_ignore_ascii_case(package))
    })
}

/// The package that brings a module, of those that are well known. Others are not guessed: anyone may own a name.
pub fn package_of(module: &str) -> Option<&'static str> {
    const PACKAGES: &[(&str, &str)] = &[
        ("PIL", "pillow"),
        ("aiofiles", "aiofiles"),
        ("aiohttp", "aiohttp"),
        ("alembic", "alembic"),
        ("anyio", "anyio"),
        ("asyncpg", "asyncpg"),
        ("boto3", "boto3"),
        ("bs4", "beautifulsoup4"),
        ("celery", "celery"),
        ("cryptography", "cryptography"),
        ("django", "django"),
        ("docling", "docling"),
        ("dotenv", "python-dotenv"),
        ("dramatiq", "dramatiq"),
        ("fastapi", "fastapi"),
        ("flask", "flask"),
        ("flask_cors", "flask-cors"),
        ("flask_sqlalchemy", "flask-sqlalchemy"),
        ("httpx", "httpx"),
        ("jinja2", "jinja2"),
        ("jwt", "pyjwt"),
        ("kombu", "kombu"),
        ("litestar", "litestar"),
        ("loguru", "loguru"),
        ("numpy", "numpy"),
        ("openai", "openai"),
        ("pandas", "pandas"),
        ("pika", "pika"),
        ("psycopg2", "psycopg2-binary"),
        ("pydantic", "pydantic"),
        ("pydantic_settings", "pydantic-settings"),
        ("pymongo", "pymongo"),
        ("redis", "redis"),
        ("requests", "requests"),
        ("rest_framework", "djangorestframework"),
        ("rq", "rq"),
        ("scipy", "scipy"),
        ("sklearn", "scikit-learn"),
        ("sqlalchemy", "sqlalchemy"),
        ("sqlmodel", "sqlmodel"),
        ("starlette", "starlette"),
        ("structlog", "structlog"),
        ("torch", "torch"),
        ("transformers", "transformers"),
        ("uvicorn", "uvicorn"),
        ("yaml", "pyyaml"),
    ];
    PACKAGES.iter().find(|(known, _)| *known == module).map(|(_, package)| *package)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn find(files: &[(&str, &str)], module: &str) -> Option<Requirements> {
        Requirements::find(&Tree::of(files), module, &["api", "web"]).unwrap()
    }

    #[test]
    fn files_that_include_each_other_take_no_stack() {
        let name = |number: usize| format!("{number:05}.txt");
        let files: Vec<(String, String)> = (0..15_000)
            .map(|number| (name(number), format!("-r {}\n", name(number + 1))))
            .collect();
        let mut files: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        files.push(("15000.txt", "-r 00000.txt\nfastapi"));
        let mut seen = BTreeSet::new();
        included(&Tree::of(&files), "00000.txt", &mut seen);
        assert_eq!(seen.len(), 15_001);
    }

    #[test]
    fn the_nearest_and_most_particular_file_wins() {
        let all = [
            ("api/main.py", ""),
            ("pyproject.toml", "[project]\ndependencies = []"),
            ("requirements.txt", "fastapi"),
            ("requirements-web.txt", "fastapi"),
            ("api/requirements.txt", "fastapi"),
        ];
        let file = |count: usize| find(&all[..count], "api/main.py").unwrap().files().join(" ");
        assert_eq!(file(2), "pyproject.toml");
        assert_eq!(file(3), "requirements.txt");
        assert_eq!(file(4), "requirements-web.txt");
        assert_eq!(file(5), "api/requirements.txt");
        assert_eq!(find(&all[..1], "api/main.py"), None);
    }

    #[test]
    fn locks_includes_and_projects_are_told_apart() {
        let locked = "a==1 \\\n    --hash=sha256:1\nb==2 --hash=sha256:2\n    # via a\n";
        let found = find(&[("requirements.txt", locked)], "main.py");
        assert_eq!(
            found,
            Some(Requirements::Locked { file: "requirements.txt".to_owned(), heavy: None })
        );
        let pair = [("requirements.lock", locked), ("requirements.heavy.lock", "# none")];
        assert_eq!(find(&pair, "main.py").unwrap().files().len(), 2);

        let files = [
            ("requirements.txt", "-r requirements/base.txt\n-c limits.txt\nuvicorn\n"),
            ("requirements/base.txt", "-r ../requirements.txt\n--requirement=more.txt"),
            ("requirements/more.txt", "fastapi"),
            ("limits.txt", ""),
        ];
        let found = find(&files, "main.py").unwrap();
        assert_eq!(
            found.files(),
            ["requirements.txt", "limits.txt", "requirements/base.txt", "requirements/more.txt"]
        );
        let tree = Tree::of(&files);
        assert!(found.name(&tree, "FastAPI") && !found.name(&tree, "celery"));
    }

    #[test]
    fn a_tools_lock_is_its_own() {
        let tool = |files: &[(&str, &str)], module: &str| match find(files, module) {
            Some(Requirements::Tool { tool, folder, member, .. }) => Some((tool, folder, member)),
            _ => None,
        };
        let of = |tool| Some((tool, String::new(), None));
        let poetry = "[tool.poetry.dependencies]\npython = '^3.12'";
        for (lock, declared, text, wanted) in [
            ("uv.lock", "pyproject.toml", "[project]\ndependencies = []", Tool::Uv),
            ("poetry.lock", "pyproject.toml", poetry, Tool::Poetry),
            ("Pipfile.lock", "Pipfile", "[packages]", Tool::Pipenv),
        ] {
            // What was exported once is less than the lock.
            let files = [(lock, ""), (declared, text), ("requirements.txt", "fastapi")];
            assert_eq!(tool(&files, "main.py"), of(wanted));
        }
        let workspace = [
            ("uv.lock", ""),
            ("pyproject.toml", "[tool.uv.workspace]\nmembers = ['packages/*']"),
            ("packages/api/pyproject.toml", "[project]\nname = 'shop-api'\ndependencies = []"),
        ];
        assert_eq!(
            tool(&workspace, "packages/api/src/main.py"),
            Some((Tool::Uv, String::new(), Some("shop-api".to_owned())))
        );
    }

    #[test]
    fn what_cannot_be_installed_is_refused_with_the_command_that_helps() {
        let refused = |files: &[(&str, &str)]| {
            let refusal = Requirements::find(&Tree::of(files), "main.py", &[]).unwrap_err();
            format!("{refusal}: {}", refusal.command)
        };
        let poetry = "  [tool.poetry.dependencies]\n  fastapi = '*'";
        assert_eq!(
            refused(&[("pyproject.toml", poetry)]),
            "pyproject.toml is Poetry's, and there is no poetry.lock: poetry lock"
        );
        assert_eq!(refused(&[("Pipfile", "")]), "Pipfile has no Pipfile.lock: pipenv lock");
        for (path, text) in [
            ("setup.py", "setup(install_requires=['fastapi'])"),
            ("pdm.lock", ""),
            ("setup.cfg", "[options]\ninstall_requires =\n  fastapi"),
            ("environment.yml", "dependencies: [fastapi]"),
            ("pyproject.toml", "[project]\ndynamic = ['dependencies']"),
            ("requirements.txt", "-e .\nfastapi"),
        ] {
            assert!(refused(&[(path, text)]).starts_with(path), "{path}");
        }
        // The project alone: its own files say what it needs.
        let own =
            [("requirements.txt", "-e .\n"), ("pyproject.toml", "[project]\ndependencies = []")];
        assert_eq!(find(&own, "main.py").unwrap().files(), ["pyproject.toml"]);
        let dynamic = "[project]\ndynamic = ['dependencies']\n\
            [tool.setuptools.dynamic]\ndependencies = { file = ['reqs.txt'] }";
        let own = [("pyproject.toml", dynamic), ("reqs.txt", "fastapi")];
        assert_eq!(find(&own, "main.py").unwrap().files(), ["reqs.txt"]);
    }
}
