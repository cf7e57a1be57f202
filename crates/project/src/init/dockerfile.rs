//! The Dockerfile of a service: templates/Dockerfile with the project's packages, code and command in its slots.
//!
//! The same template with Doc2MD's values has the instructions of this repository's Dockerfiles, which a test holds;
//! these say at each step why it is as it is.

use crate::init::apps::Server;
use crate::init::detect::{Runner, Service};
use crate::init::requirements::{Requirements, Tool};
use crate::init::template::Values;
use crate::init::tree::{Tree, join, parent};

/// Dockerfile.api of this repository.
pub const API: &str = include_str!("../../../../Dockerfile.api");
/// Dockerfile.worker of this repository.
pub const WORKER: &str = include_str!("../../../../Dockerfile.worker");

const TEMPLATE: &str = include_str!("../../../../templates/Dockerfile");
const UV_VERSION: &str = "0.13.9";
/// Programs that export locks, with what they need for it.
const POETRY: &str = "poetry==2.5.1 poetry-plugin-export==1.10.1";
const PIPENV: &str = "pipenv==2026.10.3";
/// What the template has in every step that downloads.
const SECRETS: &str = "    --mount=type=secret,id=ca,required=false --mount=type=secret,id=netrc,target=/root/.netrc,required=false \\\n    \
    if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca PIP_CERT=/run/secrets/ca; fi \\\n";
/// Where files that name packages are mounted.
const MOUNTED: &str = "/tmp/project";

/// The Dockerfile for a service of the compose project `project`.
pub fn dockerfile(service: &Service, tree: &Tree, project: &str) -> String {
    values(service, tree, project).fill(TEMPLATE)
}

/// The image with the Python that a service needs.
pub fn base_image(service: &Service) -> String {
    format!("python:3.{}-slim", service.python)
}

fn values(service: &Service, tree: &Tree, project: &str) -> Values {
    let is_web = matches!(service.runner, Runner::Web { .. });
    let health = health(service);
    let is_watched = !is_web && !service.requirements.name(tree, "watchfiles");
    let split = match &service.requirements {
        Requirements::Locked { file, heavy: Some(heavy) } => Some((file, heavy)),
        _ => None,
    };
    let source = |file: &String| format!("source={}", word(file));
    let stage = export(&service.requirements, service.python, project);
    let folder = working_folder(service);
    let folders = match (service.writes_beside_code, folder) {
        (false, _) => "/data".to_owned(),
        (true, "") => "/data /app".to_owned(),
        (true, folder) => word(&format!("/data /app/{folder}")),
    };
    let own = (folder != service.root).then_some(&service.root);
    let paths: Vec<String> =
        own.into_iter().chain(&service.libraries).map(|path| format!("/app/{path}")).collect();
    let environment = match paths.as_slice() {
        [] => String::new(),
        paths => format!(" \\\n    PYTHONPATH={}", word(&paths.join(":"))),
    };
    Values::default()
        .value("base", base_image(service))
        .value("uv", UV_VERSION)
        .value("cache", project)
        .value("user", "app")
        .value("folders", folders)
        .value("environment", environment)
        .condition("stage", stage.is_some())
        .value("stage", stage.unwrap_or_default())
        .condition("system", !service.system.is_empty())
        .value("system", service.system.join(" "))
        .condition("split", split.is_some())
        .value("light", split.map(|(light, _)| source(light)).unwrap_or_default())
        .value("heavy", split.map(|(_, heavy)| source(heavy)).unwrap_or_default())
        .condition("whole", split.is_none())
        .value("mounts", mounts(&service.requirements).join("\n"))
        .value("install", install(service))
        .condition("extra", !service.extra.is_empty() && service.requirements.are_complete())
        .value("extra", service.extra.join(" "))
        .condition("web", is_web)
        .condition("health", health.is_some())
        .value("health", health.unwrap_or_default())
        .condition("watcher", is_watched)
        .condition("folder", !folder.is_empty())
        .value("folder", folder)
        .value("dev", command(&start(service, true)))
        .value("copy", copy(service, tree))
        .value("prod", command(&start(service, false)))
}

/// The folder the service starts in: a `src` is on Python's path instead, as for those who work on it.
fn working_folder(service: &Service) -> &str {
    if service.root.rsplit('/').next() == Some("src") {
        parent(&service.root)
    } else {
        &service.root
    }
}

/// The command that writes what a lock installs, and what it needs besides uv. Packages in folders of the project are left
/// out: their code is copied.
fn exporter(tool: &Tool, member: Option<&str>, has_local: bool) -> (Option<&'static str>, String) {
    match tool {
        Tool::Uv => {
            let member = member.map_or_else(String::new, |name| format!(" --package {name}"));
            let command = format!(
                "uv export --quiet --frozen --no-dev --no-emit-local{member} \\\n        \
                 --format pylock.toml --output-file /pylock.toml"
            );
            (None, command)
        }
        Tool::Poetry => {
            let mut command =
                "poetry export --quiet --format requirements.txt --output /requirements.txt"
                    .to_owned();
            if has_local {
                command += " \\\n    && sed -i '/file:\\/\\//d' /requirements.txt";
            }
            (Some(POETRY), command)
        }
        Tool::Pipenv => {
            let mut command = "pipenv requirements --hash > /requirements.txt".to_owned();
            if has_local {
                command += " \\\n    && sed -i -E '/^(-e )?[^ :@]*\\/[^:@]*$/d' /requirements.txt";
            }
            (Some(PIPENV), command)
        }
    }
}

/// The command that writes the dependencies of a `pyproject.toml`.
fn print_dependencies(python: u32) -> String {
    let toml = match python {
        ..11 => "from pip._vendor import tomli as tomllib",
        _ => "import tomllib",
    };
    format!(
        "python3 -c '{toml}; project = tomllib.load(open(\"pyproject.toml\", \"rb\"))[\"project\"]; \\\n        \
         print(*project[\"dependencies\"], sep=\"\\n\")' > /requirements.txt"
    )
}

/// The stage that turns a project's declaration into what is installed.
fn export(requirements: &Requirements, python: u32, project: &str) -> Option<String> {
    let bind = |files: &[String], folder: &str| -> String {
        let mounts = files.iter().map(|file| {
            let inside = file.strip_prefix(folder).unwrap_or(file).trim_start_matches('/');
            let target = word(&format!("/project/{inside}"));
            format!("    --mount=type=bind,source={},target={target} \\\n", word(file))
        });
        mounts.collect()
    };
    let (files, folder, tools, command) = match requirements {
        Requirements::Tool { tool, folder, member, files, has_local } => {
            let (tools, command) = exporter(tool, member.as_deref(), *has_local);
            (files.clone(), folder.as_str(), tools, command)
        }
        Requirements::Project { file } => {
            (vec![file.clone()], parent(file), None, print_dependencies(python))
        }
        _ => return None,
    };
    let mut stage = "# What the project declares, in the form that gets installed: other changes of these files install nothing again.\n\
        FROM ${BASE_IMAGE} AS requirements\n"
        .to_owned();
    if let Some(tools) = tools {
        stage += &format!(
            "RUN --mount=type=cache,id={project}-pip,target=/root/.cache/pip,sharing=locked \\\n\
             {SECRETS}    && pip install --quiet --disable-pip-version-check --root-user-action=ignore {tools}\n"
        );
    }
    let uv = if command.starts_with("uv ") {
        "    --mount=type=bind,from=uv,source=/opt/uv/bin/uv,target=/usr/local/bin/uv \\\n"
    } else {
        ""
    };
    let mounts = format!("{uv}{}", bind(&files, folder));
    stage += &format!("WORKDIR /project\nRUN {}    {command}", mounts.trim_start());
    Some(stage)
}

/// Lines that mount what the step with the packages reads.
fn mounts(requirements: &Requirements) -> Vec<String> {
    let from_stage = |name: &str| {
        vec![format!(
            "    --mount=type=bind,from=requirements,source=/{name},target={MOUNTED}/{name} \\"
        )]
    };
    match requirements {
        Requirements::Tool { tool: Tool::Uv, .. } => from_stage("pylock.toml"),
        Requirements::Tool { .. } | Requirements::Project { .. } => from_stage("requirements.txt"),
        _ => {
            let files = requirements.files().into_iter().map(|file| {
                let target = word(&format!("{MOUNTED}/{file}"));
                format!("    --mount=type=bind,source={},target={target} \\", word(&file))
            });
            files.collect()
        }
    }
}

/// The arguments of `uv pip install`.
fn install(service: &Service) -> String {
    let path = |file: &str| word(&join(MOUNTED, file));
    let pylock = |file: &str| format!("--preview-features pylock --requirement {}", path(file));
    match &service.requirements {
        Requirements::Tool { tool: Tool::Uv, .. } => pylock("pylock.toml"),
        Requirements::Pylock { file } => pylock(file),
        Requirements::Tool { .. } => {
            format!("--no-deps --requirement {}", path("requirements.txt"))
        }
        Requirements::Locked { file, .. } => {
            format!("--no-deps --require-hashes --requirement {}", path(file))
        }
        Requirements::Project { .. } => with_extra("requirements.txt", service),
        Requirements::Files { file, .. } | Requirements::Written { file, .. } => {
            with_extra(file, service)
        }
    }
}

/// A file that leaves open what its packages need, and what it does not name, are resolved together.
fn with_extra(file: &str, service: &Service) -> String {
    let mut words = vec![format!("--requirement {}", word(&join(MOUNTED, file)))];
    words.extend(service.extra.iter().cloned());
    words.join(" ")
}

/// A path as one word: the frontend's flags and the shell both take quotes off.
fn word(path: &str) -> String {
    if path.contains(char::is_whitespace) { format!("\"{path}\"") } else { path.to_owned() }
}

fn copy(service: &Service, tree: &Tree) -> String {
    let (files, folders): (Vec<&String>, Vec<&String>) =
        service.items.iter().partition(|item| tree.has(item));
    let owner = if service.writes_beside_code { "--chown=10001:10001 " } else { "" };
    let mut lines: Vec<String> = folders
        .iter()
        .map(|folder| copy_words(owner, &[&format!("{folder}/"), &format!("{folder}/")]))
        .collect();
    if !files.is_empty() {
        let words: Vec<&str> = files.iter().map(|file| file.as_str()).chain(["./"]).collect();
        lines.push(copy_words(owner, &words));
    }
    lines.join("\n")
}

/// Sources and destination; blanks are possible in the form of a list only.
fn copy_words(options: &str, words: &[&str]) -> String {
    if words.iter().any(|word| word.contains(char::is_whitespace)) {
        let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        format!("COPY {options}[{}]", words.join(", "))
    } else {
        format!("COPY {options}{}", words.join(" "))
    }
}

fn health(service: &Service) -> Option<String> {
    let often = "HEALTHCHECK --interval=10s --timeout=3s --start-period=15s";
    match (&service.runner, &service.health) {
        (Runner::Web { .. }, Some(path)) => Some(format!(
            "{often} \\\n    \
             CMD [\"python\", \"-c\", \"import urllib.request as r; r.urlopen('http://127.0.0.1:8000{path}', timeout=2)\"]"
        )),
        (Runner::Web { .. }, None) => Some(format!(
            "{often} \\\n    \
             CMD [\"python\", \"-c\", \"import socket; socket.create_connection(('127.0.0.1', 8000), 2)\"]"
        )),
        // It costs a second of CPU: not often.
        (Runner::Celery { .. }, _) => Some(format!(
            "HEALTHCHECK --interval=60s --timeout=20s --start-period=30s \\\n    \
             CMD celery --app {} inspect ping --destination \"celery@$HOSTNAME\"",
            service.app
        )),
        (Runner::Rq { .. } | Runner::Dramatiq { .. } | Runner::Module, _) => None,
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// The words that start a server for an app; in development it watches the code itself.
fn serve(app: &str, server: Server, is_factory: bool, dev: bool) -> Vec<String> {
    match server {
        Server::Asgi => {
            let mut all = words("uvicorn");
            all.push(app.to_owned());
            all.extend(words("--host 0.0.0.0 --port 8000"));
            if is_factory {
                all.push("--factory".to_owned());
            }
            if dev {
                all.extend(words("--reload --reload-dir /app"));
            }
            all
        }
        Server::Wsgi => {
            let call = if is_factory { "()" } else { "" };
            let mut all =
                words("gunicorn --bind 0.0.0.0:8000 --workers 2 --worker-tmp-dir /dev/shm");
            if dev {
                all.push("--reload".to_owned());
            }
            all.push(format!("{app}{call}"));
            all
        }
    }
}

/// The words that start a service; in development it starts again when its code changes.
fn start(service: &Service, dev: bool) -> Vec<String> {
    let app = service.app.as_str();
    let mut all = match &service.runner {
        Runner::Web { server, is_factory } => return serve(app, *server, *is_factory, dev),
        Runner::Celery { include } => {
            let mut all = words("celery --app");
            all.push(app.to_owned());
            all.extend(words("worker --loglevel INFO"));
            if !include.is_empty() {
                all.extend(["--include".to_owned(), include.join(",")]);
            }
            if dev {
                // A pool of processes would not end with its parent when watchfiles stops it.
                all.extend(words("--pool solo --without-mingle"));
            }
            all
        }
        Runner::Rq { queues } => {
            let mut all = words("rq worker");
            all.extend(queues.iter().cloned());
            all
        }
        Runner::Dramatiq { include } => {
            let mut all = words("dramatiq");
            all.push(app.to_owned());
            all.extend(include.iter().cloned());
            all
        }
        Runner::Module => {
            let mut all = words("python -m");
            all.push(app.trim_end_matches(".__main__").to_owned());
            all
        }
    };
    if dev {
        let command = all.join(" ");
        all = words("watchfiles --filter python --sigkill-timeout 30");
        all.extend([command, "/app".to_owned()]);
    }
    all
}

fn command(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    format!("[{}]", words.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::init::detect::{UserNames, detect};

    fn render(name: &str, files: &[(&str, &str)]) -> String {
        let tree = Tree::from_files(files);
        let found = detect(&tree, &UserNames::default()).unwrap().unwrap();
        let service = found.services().find(|(known, _)| *known == name).unwrap().1.clone();
        dockerfile(&service, &tree, "shop")
    }

    /// Instructions only, one a line.
    fn instructions(text: &str) -> String {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ")
    }

    fn holds(text: &str, wanted: &[&str]) {
        for wanted in wanted {
            assert!(instructions(text).contains(wanted), "{wanted} is not in\n{text}");
        }
    }

    #[test]
    fn a_projects_own_values_are_filled_in() {
        let text = render(
            "api",
            &[
                ("app/main.py", "import tools\ndef make():\n    return FastAPI()"),
                ("tools.py", ""),
                ("requirements.txt", "-c limits.txt\nfastapi"),
                ("limits.txt", ""),
                (".python-version", "3.13"),
            ],
        );
        holds(
            &text,
            &[
                "ARG BASE_IMAGE=python:3.13-slim",
                "source=requirements.txt,target=/tmp/project/requirements.txt",
                "source=limits.txt,target=/tmp/project/limits.txt",
                "uv pip install --quiet --requirement /tmp/project/requirements.txt uvicorn",
                "COPY app/ app/\nCOPY tools.py ./",
                "socket.create_connection",
                "\"app.main:make\", \"--host\", \"0.0.0.0\", \"--port\", \"8000\", \"--factory\"]",
                "USER 10001:10001",
                "type=cache,id=shop-uv",
            ],
        );
        assert!(!text.to_lowercase().contains("doc2md"), "{text}");
        assert!(!text.contains('@') || !text.replace("\"@$start\"", "").contains('@'), "{text}");
    }

    #[test]
    fn a_worker_in_a_folder_of_its_own_starts_there() {
        let text = render(
            "worker",
            &[
                (
                    "backend/app/jobs.py",
                    "from app.core import x\ncelery = Celery('x')\n@celery.task\ndef f(): ...",
                ),
                ("backend/app/core.py", ""),
                ("backend/uv.lock", "requires-python = '>=3.11'\n[[package]]\nname = 'celery'"),
                ("backend/pyproject.toml", "[project]\ndependencies = []"),
            ],
        );
        holds(
            &text,
            &[
                "FROM ${BASE_IMAGE} AS requirements",
                "source=backend/uv.lock,target=/project/uv.lock",
                "uv export --quiet --frozen --no-dev --no-emit-local",
                "from=requirements,source=/pylock.toml,target=/tmp/project/pylock.toml",
                "uv pip install --quiet --preview-features pylock --requirement /tmp/project/pylock.toml",
                "COPY backend/ backend/",
                "WORKDIR /app/backend",
                "CMD [\"celery\", \"--app\", \"app.jobs\", \"worker\"",
                "uv pip install --quiet watchfiles",
                "inspect ping",
            ],
        );
        assert!(!text.contains("EXPOSE"), "{text}");
    }

    #[test]
    fn other_runners_have_commands_of_their_own() {
        let flask = [
            (
                "src/shop/__init__.py",
                "from flask import Flask\ndef create_app():\n    return Flask('a')",
            ),
            ("requirements.txt", "flask\npsycopg2"),
        ];
        holds(
            &render("api", &flask),
            &[
                "\"gunicorn\", \"--bind\", \"0.0.0.0:8000\", \"--workers\", \"2\"",
                "\"shop:create_app()\"]",
                "PYTHONPATH=/app/src",
                "install --yes --no-install-recommends gcc libc6-dev libpq-dev",
                "--requirement /tmp/project/requirements.txt gunicorn",
                "COPY src/ src/",
            ],
        );
        let rq = [
            ("jobs.py", "from rq import Queue\nq = Queue('mail', connection=c)"),
            ("requirements.txt", "rq"),
        ];
        holds(&render("worker", &rq), &["CMD [\"rq\", \"worker\", \"mail\"]"]);
        let actors = [
            ("jobs.py", "import dramatiq\n@dramatiq.actor\ndef f(): ..."),
            ("requirements.txt", "dramatiq[rabbitmq]"),
        ];
        holds(&render("worker", &actors), &["CMD [\"dramatiq\", \"jobs\"]"]);
        let plain =
            [("worker.py", "if __name__ == '__main__':\n  run()"), ("requirements.txt", "x")];
        holds(&render("worker", &plain), &["CMD [\"python\", \"-m\", \"worker\"]"]);
    }

    #[test]
    fn doc2mds_values_give_doc2mds_dockerfiles() {
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/doc2md");
        let tree = Tree::read(std::path::Path::new(example)).unwrap();
        let found = detect(&tree, &UserNames::default()).unwrap().unwrap();
        let own = |service: &Service| {
            values(service, &tree, "doc2md").value("user", "doc2md").condition("watcher", false)
        };
        let api =
            own(found.api.as_ref().unwrap()).value("copy", "COPY shared/ shared/\nCOPY api/ api/");
        assert_eq!(instructions(&api.fill(TEMPLATE)), instructions(API));

        let worker = found.worker.as_ref().unwrap();
        let one = command(&start(worker, false)).replace(']', ", \"--concurrency\", \"1\"]");
        let worker = own(worker)
            .value("folders", "/data /models")
            .condition("stage", true)
            .value(
                "stage",
                "FROM scratch AS locks\nARG REQUIREMENTS=requirements\n\
                 COPY workers/${REQUIREMENTS}.heavy.lock heavy.lock\n\
                 COPY workers/${REQUIREMENTS}.lock light.lock",
            )
            .value("heavy", "from=locks,source=heavy.lock")
            .value("light", "from=locks,source=light.lock")
            .value(
                "health",
                "HEALTHCHECK --interval=15s --timeout=3s --start-period=30s \\\n    \
                 CMD test -n \"$(find /tmp/worker-alive -mmin -1 2>/dev/null)\"",
            )
            .value("prod", one);
        // The example keeps bytecode between builds, with a script of its own.
        let light = "source=light.lock,target=/tmp/light.lock \\\n";
        let mounts = "    --mount=type=bind,source=build/bytecode.py,target=/tmp/bytecode.py \\\n    \
                      --mount=type=cache,id=doc2md-bytecode,target=/root/.cache/bytecode \\\n";
        let kept = worker.fill(TEMPLATE).replacen(light, &format!("{light}{mounts}"), 1).replace(
            "python -m compileall -qq || true)",
            "python -I -S /tmp/bytecode.py /root/.cache/bytecode)",
        );
        assert_eq!(instructions(&kept), instructions(WORKER));
    }
}
