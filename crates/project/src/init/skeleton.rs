//! The small Doc2MD of examples/doc2md, for a folder that has nothing yet.

use crate::init::dockerfile;
use crate::init::plan::File;
use crate::init::tree::Tree;

macro_rules! example {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../examples/doc2md/", $path)))),*]
    };
}

/// Files of the example that are taken as they are, compose files excepted.
const EXAMPLE: &[(&str, &str)] = example![
    ".dockerignore",
    ".gitignore",
    "api/__init__.py",
    "api/main.py",
    "api/requirements.heavy.lock",
    "api/requirements.in",
    "api/requirements.lock",
    "build/bytecode.py",
    "docker-compose.dev.yml",
    "docker-compose.yml",
    "shared/__init__.py",
    "shared/jobs.py",
    "workers/__init__.py",
    "workers/convert.py",
    "workers/requirements-full.heavy.lock",
    "workers/requirements-full.in",
    "workers/requirements-full.lock",
    "workers/requirements.heavy.lock",
    "workers/requirements.in",
    "workers/requirements.lock",
    "workers/tasks.py",
];

/// The example as a project of its own called `project`.
pub fn files(project: &str) -> Vec<File> {
    let dockerfiles =
        [("Dockerfile.api", dockerfile::API), ("Dockerfile.worker", dockerfile::WORKER)];
    dockerfiles
        .iter()
        .chain(EXAMPLE)
        .map(|(path, text)| {
            let text = match *path {
                path if path.ends_with(".yml") => compose(text, project),
                _ => (*text).to_owned(),
            };
            File::new(*path, text)
        })
        .collect()
}

/// Whether a folder is laid out as the example: it has every file of its code.
pub fn is_example(tree: &Tree) -> bool {
    EXAMPLE
        .iter()
        .map(|(path, _)| *path)
        .filter(|path| !is_docker_file(path))
        .all(|path| path.starts_with('.') || tree.has(path))
}

fn is_docker_file(path: &str) -> bool {
    let is_its_own = path.starts_with("Dockerfile.") || path.starts_with("build/");
    is_its_own || path.ends_with(".yml") || path == ".dockerignore"
}

/// The parts of the example that are not code: Dockerfiles and what they run, compose files, the ignore file.
pub fn docker_files(project: &str) -> Vec<File> {
    files(project).into_iter().filter(|file| is_docker_file(&file.path)).collect()
}

/// In the repository the Dockerfiles lie two folders above the example.
fn compose(text: &str, project: &str) -> String {
    text.replace("../../Dockerfile.", "Dockerfile.")
        .replace("name: doc2md\n", &format!("name: {project}\n"))
        .replace("COMPOSE_PROJECT_NAME:-doc2md}", &format!("COMPOSE_PROJECT_NAME:-{project}}}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_example_stands_alone() {
        let files = files("papers");
        for file in &files {
            assert!(!file.text.contains("../"), "{} reaches outside", file.path);
            assert!(!file.text.contains("make lock"), "{} names the repository", file.path);
        }
        let compose = files.iter().find(|file| file.path == "docker-compose.yml").unwrap();
        assert!(compose.text.contains("\nname: papers\n"), "{}", compose.text);
    }

    #[test]
    fn nothing_of_the_example_is_forgotten() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/doc2md");
        let mut tree = Tree::read(std::path::Path::new(root)).unwrap();
        let is_written = |path: &str| EXAMPLE.iter().any(|(own, _)| *own == path);
        let missing: Vec<_> = tree.files.iter().filter(|path| !is_written(path)).collect();
        assert!(missing.is_empty(), "init does not write {missing:?}");
        assert!(is_example(&tree));
        tree.files.remove("shared/jobs.py");
        assert!(!is_example(&tree));
    }
}
