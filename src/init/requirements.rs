//! Which files name the packages of a service, and how uv installs them.

use std::collections::BTreeSet;

use crate::init::tree::{Tree, join, parent};

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
    /// A requirements file and those it includes.
    Files {
        /// The file to install from.
        file: String,
        /// Files that it or they name with `-r` or `-c`.
        includes: Vec<String>,
    },
    /// `[project] dependencies` of a pyproject.toml.
    Project {
        /// The pyproject.toml.
        file: String,
    },
    /// uv's own project lock.
    UvLock {
        /// The folder with uv.lock and pyproject.toml.
        folder: String,
    },
    /// There is none: one is written for the user to complete.
    Written {
        /// The file.
        file: String,
    },
}

impl Requirements {
    /// Every file that the installation reads.
    pub fn files(&self) -> Vec<String> {
        match self {
            Self::Locked { file, heavy } => {
                std::iter::once(file.clone()).chain(heavy.clone()).collect()
            }
            Self::Project { file } | Self::Written { file } => vec![file.clone()],
            Self::Files { file, includes } => {
                std::iter::once(file.clone()).chain(includes.iter().cloned()).collect()
            }
            Self::UvLock { folder } => {
                vec![join(folder, "pyproject.toml"), join(folder, "uv.lock")]
            }
        }
    }

    /// The names a service's own requirements can go by, best first.
    fn names(words: &[&str]) -> Vec<String> {
        let mut names = Vec::new();
        for word in words {
            names.extend([
                format!("requirements/{word}.lock"),
                format!("requirements/{word}.txt"),
                format!("requirements-{word}.txt"),
                format!("requirements.{word}.txt"),
                format!("requirements_{word}.txt"),
                format!("{word}-requirements.txt"),
                format!("{word}_requirements.txt"),
                format!("requirements-{word}.in"),
            ]);
        }
        for name in [
            "requirements.lock",
            "uv.lock",
            "requirements.txt",
            "requirements/prod.txt",
            "requirements/production.txt",
            "requirements/base.txt",
            "requirements.in",
            "pyproject.toml",
        ] {
            names.push(name.to_owned());
        }
        names
    }

    /// The requirements nearest to `file`, the module a service starts with; `words` are names the
    /// service goes by.
    pub fn find(tree: &Tree, file: &str, words: &[&str]) -> Option<Self> {
        let names = Self::names(words);
        let mut folder = parent(file);
        loop {
            let found = names.iter().find_map(|name| Self::of(tree, &join(folder, name)));
            if found.is_some() || folder.is_empty() {
                return found;
            }
            folder = parent(folder);
        }
    }

    fn of(tree: &Tree, path: &str) -> Option<Self> {
        let text = tree.text(path)?;
        let folder = parent(path).to_owned();
        match path.rsplit('/').next()? {
            "uv.lock" => {
                tree.has(&join(&folder, "pyproject.toml")).then_some(Self::UvLock { folder })
            }
            "pyproject.toml" => text
                .lines()
                .any(|line| line.starts_with("dependencies") && line.contains('='))
                .then(|| Self::Project { file: path.to_owned() }),
            _ if is_locked(text) => {
                let heavy = path.strip_suffix(".lock").map(|path| format!("{path}.heavy.lock"));
                let heavy = heavy.filter(|heavy| tree.has(heavy));
                Some(Self::Locked { file: path.to_owned(), heavy })
            }
            _ => {
                let mut includes = BTreeSet::new();
                included(tree, path, &mut includes);
                includes.remove(path);
                Some(Self::Files {
                    file: path.to_owned(),
                    includes: includes.into_iter().collect(),
                })
            }
        }
    }
}

/// Requirements of a file, continued lines joined, without comments and options.
fn entries(text: &str) -> impl Iterator<Item = String> {
    text.replace("\\\n", " ")
        .lines()
        .map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned())
        .filter(|line| !line.is_empty() && !line.starts_with(['#', '-']))
        .collect::<Vec<_>>()
        .into_iter()
}

/// Every requirement has a hash, as `--require-hashes` wants it.
fn is_locked(text: &str) -> bool {
    let mut entries = entries(text).peekable();
    entries.peek().is_some() && entries.all(|entry| entry.contains("--hash="))
}

fn included(tree: &Tree, path: &str, seen: &mut BTreeSet<String>) {
    let Some(text) = tree.text(path) else { return };
    if !seen.insert(path.to_owned()) {
        return;
    }
    for line in text.lines() {
        let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
        let option = words.next().unwrap_or_default();
        let named = match option {
            "-r" | "-c" | "--requirement" | "--constraint" => words.next(),
            _ => option.strip_prefix("-r").or_else(|| option.strip_prefix("-c")),
        };
        if let Some(named) = named {
            included(tree, &normal(&join(parent(path), named)), seen);
        }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn find(files: &[(&str, &str)], module: &str) -> Option<Requirements> {
        Requirements::find(&Tree::of(files), module, &["api", "web"])
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
        assert!(names_package(&tree, &found.files(), "FastAPI"));
        assert!(!names_package(&tree, &found.files(), "celery"));

        let uv = [("uv.lock", ""), ("pyproject.toml", "[project]\ndependencies = []")];
        assert_eq!(find(&uv, "main.py"), Some(Requirements::UvLock { folder: String::new() }));
        assert_eq!(find(&[("pyproject.toml", "[tool.poetry]")], "main.py"), None);
    }
}
