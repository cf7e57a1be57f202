//! Every file that `init` writes for what it found, in the order it names them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::init::detect::{Broker, Detection, Service};
use crate::init::dockerfile;
use crate::init::plan::File;
use crate::init::requirements::Requirements;
use crate::init::skeleton;
use crate::init::template::Values;
use crate::init::tree::Tree;

const COMPOSE: &str = include_str!("../../../../templates/docker-compose.yml");
const COMPOSE_DEV: &str = include_str!("../../../../templates/docker-compose.dev.yml");
const IGNORE: &str = include_str!("../../../../templates/dockerignore");
const WORKFLOW: &str = include_str!("../../../../templates/workflow.yml");
/// Files that show which settings there are.
const ENV_EXAMPLES: [&str; 6] =
    [".env.dist", ".env.example", ".env.sample", ".env.template", "env.example", "example.env"];

/// Where the workflow gets this program from: a repository and a full commit hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallFrom {
    /// `https://` address of a git repository.
    pub repository: String,
    /// 40 hexadecimal digits.
    pub revision: String,
}

/// The files for `found`, or a small Doc2MD where there is nothing yet. `project` names the compose
/// project.
pub fn files(
    found: Option<&Detection>,
    tree: &Tree,
    project: &str,
    install: Option<&InstallFrom>,
) -> Vec<File> {
    let services: Vec<&Service> =
        found.into_iter().flat_map(Detection::services).map(|(_, service)| service).collect();
    let has_locks = found.is_none()
        || tree.files.iter().any(|path| {
            let name = path.rsplit('/').next().unwrap_or(path);
            name.starts_with("requirements") && name.ends_with(".in")
        });
    let workflow = File::optional(
        ".github/workflows/images.yml",
        workflow(has_locks, budget(&services, tree), install),
    );
    let Some(found) = found else {
        let mut files = skeleton::files(project);
        files.push(workflow);
        return files;
    };
    if skeleton::is_example(tree) {
        // What runs Doc2MD itself is known better than what its code says.
        let mut files = skeleton::docker_files(project);
        files.push(workflow);
        return files;
    }
    let mut files = Vec::new();
    for (name, service) in found.services() {
        let text = dockerfile::dockerfile(service, tree, project);
        files.push(File::new(format!("Dockerfile.{name}"), text));
    }
    files.push(File::new("docker-compose.yml", compose(found, tree, project)));
    files.push(File::new("docker-compose.dev.yml", compose_dev(found, project)));
    files.push(File::new(".dockerignore", ignore(found, tree)));
    files.extend(requirements(found));
    files.extend(env_example(tree));
    files.push(workflow);
    files
}

/// Without a repository the workflow takes both from variables, and says so when they are not set: no registry has a
/// package of this program, and a name that is free is anybody's.
fn workflow(has_locks: bool, budget: &str, install: Option<&InstallFrom>) -> String {
    let (repository, revision) = install.map_or_else(
        || {
            let variable = |name: &str| format!("${{{{ vars.{name} }}}}");
            (variable("DOC2MD_DOCKER_REPOSITORY"), variable("DOC2MD_DOCKER_REVISION"))
        },
        |from| (from.repository.clone(), from.revision.clone()),
    );
    Values::default()
        .condition("lock", has_locks)
        .value("budget", budget)
        .value("repository", repository)
        .value("revision", revision)
        .fill(WORKFLOW)
}

/// What the images may take together before someone should look.
fn budget(services: &[&Service], tree: &Tree) -> &'static str {
    let is_heavy = |service: &&Service| {
        ["torch", "docling", "tensorflow", "paddlepaddle"]
            .iter()
            .any(|package| service.requirements.name(tree, package))
    };
    if services.iter().any(is_heavy) { "10GB" } else { "2GB" }
}

fn services(found: &Detection) -> Values {
    Values::default()
        .condition("api", found.api.is_some())
        .condition("worker", found.worker.is_some())
        .condition("redis", found.broker == Some(Broker::Redis))
        .condition("rabbitmq", found.broker == Some(Broker::RabbitMq))
}

fn compose(found: &Detection, tree: &Tree, project: &str) -> String {
    let environment: Vec<String> =
        found.environment.iter().map(|(name, value)| format!("    {name}: {value}")).collect();
    let has_env = ENV_EXAMPLES.iter().chain(&[".env"]).any(|name| tree.has(name));
    let has_data = tree.python().any(|(_, source)| source.text.contains("/data"));
    let broker = match found.broker {
        Some(Broker::Redis) => "redis",
        Some(Broker::RabbitMq) => "rabbitmq",
        None => "",
    };
    let writes = |service: &Option<Service>| {
        service.as_ref().is_some_and(|service| service.writes_beside_code)
    };
    let base = |service: &Option<Service>| {
        service.as_ref().map(dockerfile::base_image).unwrap_or_default()
    };
    services(found)
        .value("project", project)
        .condition("env-file", has_env || found.reads_environment)
        .condition("environment", !environment.is_empty())
        .value("environment", environment.join("\n"))
        .condition("data", has_data)
        .condition("broker", found.broker.is_some())
        .condition("volumes", has_data || found.broker.is_some())
        .value("broker", broker)
        .value("api-base", base(&found.api))
        .value("worker-base", base(&found.worker))
        .condition("api-writes", writes(&found.api))
        .condition("worker-writes", writes(&found.worker))
        .fill(COMPOSE)
}

fn compose_dev(found: &Detection, project: &str) -> String {
    let code = |service: Option<&Service>| {
        let items = service.iter().flat_map(|service| &service.items);
        let mounts: Vec<String> = items
            .map(|item| {
                let mount = format!("./{item}:/app/{item}:ro");
                let quote = if mount.contains(char::is_whitespace) { "\"" } else { "" };
                format!("      - {quote}{mount}{quote}")
            })
            .collect();
        mounts.join("\n")
    };
    services(found)
        .value("project", project)
        .value("api-code", code(found.api.as_ref()))
        .value("worker-code", code(found.worker.as_ref()))
        .fill(COMPOSE_DEV)
}

fn ignore(found: &Detection, tree: &Tree) -> String {
    let mut named: Vec<String> = found
        .services()
        .flat_map(|(_, service)| service.items.iter().cloned().chain(service.requirements.files()))
        .map(|path| if tree.has_folder(&path) { format!("!{path}/") } else { format!("!{path}") })
        .collect();
    named.sort();
    named.dedup();
    Values::default().value("named", named.join("\n")).fill(IGNORE)
}

/// A requirements file for services that have none. One that is there meanwhile stays.
fn requirements(found: &Detection) -> Option<File> {
    let mut all: BTreeSet<&String> = BTreeSet::new();
    let mut path = None;
    for (_, service) in found.services() {
        if let Requirements::Written { file, packages } = &service.requirements {
            all.extend(packages);
            path = Some(file.clone());
        }
    }
    let mut text = String::new();
    for package in all {
        let _ = writeln!(text, "{package}");
    }
    path.map(|path| File::optional(path, text))
}

/// The names of the settings in `.env`, for those who get the project without it.
fn env_example(tree: &Tree) -> Option<File> {
    if ENV_EXAMPLES.iter().any(|name| tree.has(name)) {
        return None;
    }
    let names: Vec<String> = tree
        .text(".env")?
        .lines()
        .map(|line| line.trim().trim_start_matches("export "))
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, _)| format!("{}=\n", name.trim()))
        .collect();
    (!names.is_empty()).then(|| File::optional(".env.example", names.concat()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::init::detect::{UserNames, detect};

    fn text<'a>(files: &'a [File], path: &str) -> &'a str {
        &files.iter().find(|file| file.path == path).unwrap().text
    }

    fn made(sources: &[(&str, &str)]) -> Vec<File> {
        let tree = Tree::from_files(sources);
        let found = detect(&tree, &UserNames::default()).unwrap();
        files(found.as_ref(), &tree, "shop", None)
    }

    #[test]
    fn an_api_alone_gets_nothing_of_a_worker() {
        let files = made(&[
            ("main.py", "from fastapi import FastAPI\napp = FastAPI()"),
            (".env", "KEY=hunter2\n"),
        ]);
        let paths: Vec<_> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "Dockerfile.api",
                "docker-compose.yml",
                "docker-compose.dev.yml",
                ".dockerignore",
                "requirements.txt",
                ".env.example",
                ".github/workflows/images.yml",
            ]
        );
        let compose = text(&files, "docker-compose.yml");
        assert!(
            compose.contains("name: shop\n")
                && compose.contains("    - path: .env\n      required: false\n"),
            "{compose}"
        );
        for word in ["worker", "redis", "volumes", "depends_on"] {
            assert!(!compose.contains(word), "{compose}");
        }
        let ignored = text(&files, ".dockerignore");
        assert!(ignored.contains("\n*\n!main.py\n!requirements.txt\n"), "{ignored}");
        assert_eq!(text(&files, "requirements.txt"), "fastapi\nuvicorn\n");
        assert_eq!(text(&files, ".env.example"), "KEY=\n");
        for file in &files {
            assert!(!file.text.contains("hunter2"), "{}", file.path);
        }
    }

    #[test]
    fn an_api_and_a_worker_share_a_broker() {
        let files = made(&[
            ("app/main.py", "app = FastAPI()\ncelery = Celery(broker=os.environ['BROKER_URL'])"),
            ("requirements.txt", "fastapi\nredis\ncelery"),
        ]);
        insta::assert_snapshot!(text(&files, "docker-compose.yml"), @r#"
        name: shop

        x-runtime: &runtime
          restart: unless-stopped
          env_file:
            - path: .env
              required: false
          environment:
            BROKER_URL: redis://redis:6379/0
          read_only: true
          tmpfs: [/tmp]
          cap_drop: [ALL]
          security_opt: ["no-new-privileges:true"]
          depends_on:
            redis:
              condition: service_healthy

        services:
          api:
            <<: *runtime
            build:
              context: .
              dockerfile: Dockerfile.api
              target: prod
              args:
                BASE_IMAGE: ${BASE_IMAGE:-python:3.12-slim}
            ports: ["127.0.0.1:${API_PORT:-8000}:8000"]

          worker:
            <<: *runtime
            build:
              context: .
              dockerfile: Dockerfile.worker
              target: prod
              args:
                BASE_IMAGE: ${BASE_IMAGE:-python:3.12-slim}

          redis:
            image: redis:7-alpine
            restart: unless-stopped
            healthcheck:
              test: [CMD, redis-cli, ping]
              interval: 5s
              timeout: 2s
              retries: 5
            volumes:
              - queue:/data

        volumes:
          queue:
        "#);
        let dev = text(&files, "docker-compose.dev.yml");
        assert!(dev.contains("    image: ${COMPOSE_PROJECT_NAME:-shop}-worker:dev\n"), "{dev}");
        assert_eq!(dev.matches("      - ./app:/app/app:ro\n").count(), 2, "{dev}");

        let files = made(&[
            ("jobs.py", "celery = Celery(broker=os.environ.get('BROKER_URL', 'amqp://localhost'))"),
            ("requirements.txt", "celery"),
        ]);
        let compose = text(&files, "docker-compose.yml");
        assert!(compose.contains("BROKER_URL: amqp://guest:guest@rabbitmq:5672//"), "{compose}");
        assert!(
            compose.contains("rabbitmq-diagnostics") && !compose.contains("redis"),
            "{compose}"
        );
    }

    #[test]
    fn the_workflow_installs_nothing_by_a_name_that_anyone_may_take() {
        let workflow = made(&[("main.py", "app = FastAPI()")]).pop().unwrap().text;
        for line in workflow.lines().filter(|line| line.contains("cargo install")) {
            assert!(line.contains("--git \"$DOC2MD_DOCKER_REPOSITORY\" --rev"), "{line}");
        }
        // Actions by their commits.
        for line in workflow.lines().filter(|line| line.contains("uses:")) {
            let commit = line.split('@').nth(1).unwrap().split(' ').next().unwrap();
            assert!(
                commit.len() == 40 && commit.bytes().all(|it| it.is_ascii_hexdigit()),
                "{line}"
            );
        }
        for wanted in [
            "REPOSITORY: ${{ vars.DOC2MD_DOCKER_REPOSITORY }}",
            "REVISION: ${{ vars.DOC2MD_DOCKER_REVISION }}",
            "${{ github.ref }}",
            "build --timeout 30m",
            "stats --budget total=2GB",
        ] {
            assert!(workflow.contains(wanted), "{wanted} is not in\n{workflow}");
        }
        assert!(!workflow.contains("lock --check"), "{workflow}");

        let from = InstallFrom {
            repository: "https://example.org/it.git".to_owned(),
            revision: "0".repeat(40),
        };
        let own = workflow_of(&from);
        assert!(own.contains("DOC2MD_DOCKER_REPOSITORY: https://example.org/it.git\n"), "{own}");
        assert!(own.contains("lock --check") && !own.contains("vars."), "{own}");
    }

    fn workflow_of(from: &InstallFrom) -> String {
        files(None, &Tree::default(), "shop", Some(from)).pop().unwrap().text
    }
}
