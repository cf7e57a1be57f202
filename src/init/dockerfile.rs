//! The Dockerfiles of this repository, fitted to another project's modules and requirement files.
//!
//! There is one source: what a project needs of its own (packages, code, command, health check) replaces the
//! instructions that say it for Doc2MD, everything else and its reasons stay.

use crate::init::detect::Service;
use crate::init::requirements::{Requirements, names_package};
use crate::init::tree::{Tree, join};

/// Dockerfile.api of this repository.
pub const API: &str = include_str!("../../Dockerfile.api");
/// Dockerfile.worker of this repository.
pub const WORKER: &str = include_str!("../../Dockerfile.worker");

/// Where the files that name packages are mounted while they are installed.
const MOUNTED: &str = "/tmp/project";

/// What a service does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Answers requests.
    Api,
    /// Works on tasks.
    Worker,
}

/// The Dockerfile for a service: the repository's own where the project is laid out like Doc2MD.
pub fn dockerfile(kind: Kind, service: &Service, tree: &Tree) -> String {
    if fits(kind, service, tree) {
        return own(kind).to_owned();
    }
    // Both start from the API's, which gives the reasons.
    adapt(API, kind, service, tree)
}

fn stage(line: &str) -> Option<&str> {
    let mut words = line.strip_prefix("FROM ")?.split_whitespace().skip(1);
    words.next().filter(|word| word.eq_ignore_ascii_case("as"))?;
    words.next()
}

/// Whether the repository's own Dockerfile serves as it is: every path that it takes from the
/// context is in the project, and it starts the same app.
pub fn fits(kind: Kind, service: &Service, tree: &Tree) -> bool {
    let text = own(kind);
    let starts = |block: &Block<'_>| {
        block.instruction().starts_with("CMD")
            && block.text().contains(&format!("\"{}\"", service.app))
    };
    let blocks = blocks(text);
    let is_there = |path: &str| {
        let path = path.trim_end_matches('/').replace("${REQUIREMENTS}", "requirements");
        tree.has(&path) || tree.has_folder(&path)
    };
    blocks.iter().any(starts)
        && blocks.iter().flat_map(Block::context_paths).all(|path| is_there(&path))
}

fn own(kind: Kind) -> &'static str {
    match kind {
        Kind::Api => API,
        Kind::Worker => WORKER,
    }
}

/// An instruction with the comments and blank lines above it.
struct Block<'a> {
    lead: Vec<&'a str>,
    lines: Vec<&'a str>,
}

impl Block<'_> {
    fn text(&self) -> String {
        self.lines.join("\n")
    }

    fn instruction(&self) -> &str {
        self.lines.first().copied().unwrap_or_default()
    }

    /// What it copies or mounts from the build context.
    fn context_paths(&self) -> Vec<String> {
        let text = self.text().replace("\\\n", " ");
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.first() {
            Some(&"COPY") if !text.contains("--from=") => {
                let paths: Vec<_> =
                    words[1..].iter().filter(|word| !word.starts_with("--")).collect();
                paths[..paths.len().saturating_sub(1)]
                    .iter()
                    .map(|path| (**path).to_owned())
                    .collect()
            }
            Some(&"RUN") => words
                .iter()
                .filter(|word| word.starts_with("--mount=type=bind") && !word.contains("from="))
                .filter_map(|word| word.split(',').find_map(|part| part.strip_prefix("source=")))
                .map(str::to_owned)
                .collect(),
            _ => Vec::new(),
        }
    }

    fn installs_requirements(&self) -> bool {
        self.instruction().starts_with("RUN")
            && self.context_paths().iter().any(|path| path.contains("requirements"))
    }
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut block = Block { lead: Vec::new(), lines: Vec::new() };
    for line in text.lines() {
        let continues = !block.lines.is_empty();
        if !continues && (line.is_empty() || line.starts_with('#')) {
            block.lead.push(line);
            continue;
        }
        block.lines.push(line);
        if !line.ends_with('\\') && !line.starts_with('#') {
            blocks
                .push(std::mem::replace(&mut block, Block { lead: Vec::new(), lines: Vec::new() }));
        }
    }
    blocks
}

fn adapt(text: &str, kind: Kind, service: &Service, tree: &Tree) -> String {
    let mut out = header(kind);
    let mut current = "";
    let mut installed = false;
    let mut copied = false;
    for (index, block) in blocks(text).iter().enumerate() {
        let word = block.instruction().split_whitespace().next().unwrap_or_default();
        if word == "FROM" {
            current = stage(block.instruction()).unwrap_or_default();
            copied = false;
        }
        let mut lead = block.lead.clone();
        if index == 0 {
            // The repository's own title.
            let end =
                lead.iter().position(|line| line.is_empty()).map_or(lead.len(), |end| end + 1);
            lead.drain(..end);
        }
        let replaced = match word {
            "RUN" if block.installs_requirements() => match split(block, &service.requirements) {
                Some(install) => install,
                None if std::mem::replace(&mut installed, true) => continue,
                None => {
                    lead = vec!["", ONE_STEP];
                    install(block, &service.requirements)
                }
            },
            "COPY" if !block.context_paths().is_empty() => {
                if std::mem::replace(&mut copied, true) {
                    continue;
                }
                copy(service, tree)
            }
            "HEALTHCHECK" => health(kind, service),
            "CMD" => {
                let is_dev = current == "dev";
                let mut lines = Vec::new();
                if is_dev && kind == Kind::Worker {
                    lines.extend(watcher(text, service, tree));
                }
                if !service.root.is_empty() {
                    lines.push(format!("WORKDIR /app/{}", service.root));
                }
                lines.push(command(kind, service, is_dev));
                lines.join("\n")
            }
            "EXPOSE" if kind == Kind::Worker => continue,
            _ => block.text(),
        };
        for line in lead {
            out.push_str(line);
            out.push('\n');
        }
        out.push_str(&replaced);
        out.push('\n');
    }
    out
}

/// What stands above a step that installs everything.
const ONE_STEP: &str = "\
# Requirements before code: a change of code leaves this layer cached. The files are mounted, not copied: nobody needs
# them later. `doc2md-docker lock` pins a requirements.in and keeps heavy packages apart; run `doc2md-docker init` again
# after it. The cache mount has one id in all images, so a package downloads once for all.
# compileall: whoever runs the code may not write .pyc files; without them every start compiles again.";

/// Doc2MD's step for one of the two halves of a lock, with the project's lock files.
fn split(block: &Block<'_>, requirements: &Requirements) -> Option<String> {
    let Requirements::Locked { file, heavy: Some(heavy) } = requirements else { return None };
    let own = block.context_paths();
    let own = own.first()?;
    let file = if own.contains(".heavy.") { heavy } else { file };
    Some(block.text().replace(&format!("source={own}"), &format!("source={}", word(file))))
}

/// What restarts a worker in development, where the project's packages do not bring it.
fn watcher(text: &str, service: &Service, tree: &Tree) -> Vec<String> {
    if names_package(tree, &service.requirements.files(), "watchfiles") {
        return Vec::new();
    }
    let blocks = blocks(text);
    let Some(block) = blocks.iter().find(|block| block.installs_requirements()) else {
        return Vec::new();
    };
    let is_file = |line: &&&str| line.contains("type=bind") && !line.contains("from=");
    let mounts = block.lines.iter().filter(|line| line.contains("--mount") && !is_file(line));
    let mut step: Vec<String> = mounts.map(|line| (*line).to_owned()).collect();
    step.push("    uv pip install --quiet watchfiles".to_owned());
    vec!["USER root".to_owned(), step.join("\n"), "USER 10001:10001".to_owned()]
}

fn header(kind: Kind) -> String {
    let what = match kind {
        Kind::Api => "The API",
        Kind::Worker => "The worker",
    };
    format!(
        "# {what} of this project, written by `doc2md-docker init`. Build context: the project's folder.\n\
         # No `# syntax=` line: the frontend inside the engine suffices, and the line would need a registry on every build.\n\n"
    )
}

/// One step that makes the venv and installs the project's files with uv's command for them.
fn install(block: &Block<'_>, requirements: &Requirements) -> String {
    let mut lines = Vec::new();
    let mut mounted = false;
    for line in &block.lines {
        let is_file = line.contains("type=bind") && !line.contains("from=");
        if is_file && !std::mem::replace(&mut mounted, true) {
            lines.extend(requirements.files().iter().map(|file| {
                let file = word(file);
                format!("    --mount=type=bind,source={file},target={MOUNTED}/{file} \\")
            }));
        } else if line.contains("uv pip") {
            lines.push(format!("    && {} \\", uv_command(requirements)));
        } else if !is_file {
            lines.push((*line).to_owned());
        }
    }
    lines.join("\n")
}

/// A path as one word: the frontend's flags and the shell both take quotes off.
fn word(path: &str) -> String {
    if path.contains(char::is_whitespace) { format!("\"{path}\"") } else { path.to_owned() }
}

fn uv_command(requirements: &Requirements) -> String {
    match requirements {
        Requirements::Locked { file, .. } => {
            let file = word(file);
            format!(
                "uv pip install --quiet --no-deps --require-hashes --requirement {MOUNTED}/{file}"
            )
        }
        Requirements::Files { file, .. }
        | Requirements::Project { file }
        | Requirements::Written { file } => {
            let file = word(file);
            format!("uv pip install --quiet --requirement {MOUNTED}/{file}")
        }
        Requirements::UvLock { folder } => {
            let folder = join(MOUNTED, folder);
            let folder = word(folder.trim_end_matches('/'));
            format!(
                "UV_PROJECT_ENVIRONMENT=/opt/venv uv sync --quiet --frozen --no-dev --no-install-project \
                 --project {folder}"
            )
        }
    }
}

fn copy(service: &Service, tree: &Tree) -> String {
    let (files, folders): (Vec<&String>, Vec<&String>) =
        service.items.iter().partition(|item| tree.has(item));
    let mut lines: Vec<String> = folders
        .iter()
        .map(|folder| copy_words(&[&format!("{folder}/"), &format!("{folder}/")]))
        .collect();
    if !files.is_empty() {
        let words: Vec<&str> = files.iter().map(|file| file.as_str()).chain(["./"]).collect();
        lines.push(copy_words(&words));
    }
    lines.join("\n")
}

/// Sources and destination; blanks are possible in the form of a list only.
fn copy_words(words: &[&str]) -> String {
    if words.iter().any(|word| word.contains(char::is_whitespace)) {
        let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        format!("COPY [{}]", words.join(", "))
    } else {
        format!("COPY {}", words.join(" "))
    }
}

fn health(kind: Kind, service: &Service) -> String {
    match (kind, &service.health) {
        (Kind::Api, Some(path)) => format!(
            "HEALTHCHECK --interval=10s --timeout=3s --start-period=15s \\\n    \
             CMD [\"python\", \"-c\", \"import urllib.request as r; r.urlopen('http://127.0.0.1:8000{path}', timeout=2)\"]"
        ),
        (Kind::Api, None) => "# Better: a route that says whether the app is well. This only asks whether it listens.\n\
            HEALTHCHECK --interval=10s --timeout=3s --start-period=15s \\\n    \
            CMD [\"python\", \"-c\", \"import socket; socket.create_connection(('127.0.0.1', 8000), 2)\"]"
            .to_owned(),
        (Kind::Worker, _) => format!(
            "# Asks the worker over its queue, which costs a second of CPU: not often.\n\
             HEALTHCHECK --interval=60s --timeout=20s --start-period=30s \\\n    \
             CMD celery --app {} inspect ping --destination \"celery@$HOSTNAME\"",
            service.app
        ),
    }
}

/// The words that start a service; in development it starts again when its code changes.
fn start(kind: Kind, service: &Service, dev: bool) -> Vec<String> {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    match kind {
        Kind::Api => {
            let mut all = words(&["uvicorn", &service.app, "--host", "0.0.0.0", "--port", "8000"]);
            if service.factory {
                all.push("--factory".to_owned());
            }
            if dev {
                all.extend(words(&["--reload", "--reload-dir", "/app"]));
            }
            all
        }
        Kind::Worker => {
            let mut all = words(&["celery", "--app", &service.app, "worker", "--loglevel", "INFO"]);
            if !service.include.is_empty() {
                all.extend(words(&["--include", &service.include.join(",")]));
            }
            if dev {
                // A pool of processes would not end with its parent when watchfiles stops it.
                all.extend(words(&["--pool", "solo", "--without-mingle"]));
                let command = all.join(" ");
                let options = ["--filter", "python", "--sigkill-timeout", "30"];
                return words(&[&["watchfiles"], &options[..], &[&command, "/app"]].concat());
            }
            all
        }
    }
}

fn command(kind: Kind, service: &Service, dev: bool) -> String {
    let words: Vec<String> =
        start(kind, service, dev).iter().map(|word| format!("\"{word}\"")).collect();
    format!("CMD [{}]", words.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::init::detect::{Wanted, detect};

    fn render(kind: Kind, files: &[(&str, &str)]) -> String {
        let tree = Tree::of(files);
        let found = detect(&tree, &Wanted::default()).unwrap().unwrap();
        let service = match kind {
            Kind::Api => found.api,
            Kind::Worker => found.worker,
        };
        dockerfile(kind, &service.unwrap(), &tree)
    }

    /// Instructions only, for what must not depend on comments.
    fn instructions(text: &str) -> Vec<String> {
        blocks(text).iter().map(|block| block.text().replace("\\\n", " ")).collect()
    }

    #[test]
    fn a_projects_own_files_replace_those_of_doc2md() {
        let text = render(
            Kind::Api,
            &[
                ("app/main.py", "import tools\ndef make():\n    return FastAPI()"),
                ("tools.py", ""),
                ("requirements.txt", "-c limits.txt\nfastapi"),
                ("limits.txt", ""),
            ],
        );
        let all = instructions(&text).join("\n");
        for wanted in [
            "source=requirements.txt,target=/tmp/project/requirements.txt",
            "source=limits.txt,target=/tmp/project/limits.txt",
            "uv pip install --quiet --requirement /tmp/project/requirements.txt",
            "COPY app/ app/\nCOPY tools.py ./",
            "socket.create_connection",
            "\"app.main:make\", \"--host\", \"0.0.0.0\", \"--port\", \"8000\", \"--factory\"]",
            "USER 10001:10001",
            "type=cache,id=doc2md-uv",
        ] {
            assert!(all.contains(wanted), "{wanted} is not in\n{text}");
        }
        for gone in ["shared/", "api/", "requirements.lock", "api.main", "Doc2MD: FastAPI"] {
            assert!(!text.contains(gone), "{gone} is still in\n{text}");
        }
    }

    #[test]
    fn a_worker_in_a_folder_of_its_own_starts_there() {
        let text = render(
            Kind::Worker,
            &[
                (
                    "backend/app/jobs.py",
                    "from app.core import x\ncelery = Celery('x')\n@celery.task\ndef f(): ...",
                ),
                ("backend/app/core.py", ""),
                ("backend/uv.lock", ""),
                ("backend/pyproject.toml", "[project]\ndependencies = []"),
            ],
        );
        let all = instructions(&text).join("\n");
        for wanted in [
            "source=backend/uv.lock,target=/tmp/project/backend/uv.lock",
            "uv sync --quiet --frozen --no-dev --no-install-project --project /tmp/project/backend",
            "COPY backend/ backend/",
            "WORKDIR /app/backend",
            "CMD [\"celery\", \"--app\", \"app.jobs\", \"worker\"",
            "uv pip install --quiet watchfiles",
            "inspect ping",
        ] {
            assert!(all.contains(wanted), "{wanted} is not in\n{text}");
        }
        assert!(!all.contains("EXPOSE"));
        assert_eq!(all.matches("uv pip").count(), 1, "{text}");
    }

    #[test]
    fn a_lock_in_two_parts_stays_in_two_layers() {
        let locked = "fastapi==1 --hash=sha256:1\n";
        let files = [
            ("main.py", "app = FastAPI()"),
            ("requirements.lock", locked),
            ("requirements.heavy.lock", locked),
        ];
        let all = instructions(&render(Kind::Api, &files)).join("\n");
        let heavy = all.find("source=requirements.heavy.lock,target=/tmp/heavy.lock").unwrap();
        let light = all.find("source=requirements.lock,target=/tmp/light.lock").unwrap();
        assert!(heavy < light);
    }

    #[test]
    fn doc2mds_own_layout_gets_doc2mds_own_files() {
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/doc2md");
        let tree = Tree::read(std::path::Path::new(example)).unwrap();
        let found = detect(&tree, &Wanted::default()).unwrap().unwrap();
        assert_eq!(dockerfile(Kind::Api, found.api.as_ref().unwrap(), &tree), API);
        assert_eq!(dockerfile(Kind::Worker, found.worker.as_ref().unwrap(), &tree), WORKER);
    }
}
