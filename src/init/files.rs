//! Every file that `init` writes for what it found, in the order it names them.

use std::fmt::Write as _;

use crate::init::detect::{Found, Service};
use crate::init::dockerfile::{self, Kind};
use crate::init::plan::File;
use crate::init::requirements::Requirements;
use crate::init::skeleton;
use crate::init::template::Values;
use crate::init::tree::Tree;

const COMPOSE: &str = include_str!("../../templates/docker-compose.yml");
const COMPOSE_DEV: &str = include_str!("../../templates/docker-compose.dev.yml");
const IGNORE: &str = include_str!("../../templates/dockerignore");
const WORKFLOW: &str = include_str!("../../templates/workflow.yml");

/// The files for `found`, or a small Doc2MD where there is nothing yet. `project` names the compose
/// project.
pub fn files(found: Option<&Found>, tree: &Tree, project: &str) -> Vec<File> {
    let workflow = Values::default().value("version", env!("CARGO_PKG_VERSION")).fill(WORKFLOW);
    let workflow = File::new(".github/workflows/images.yml", workflow);
    let Some(found) = found else {
        let mut files = skeleton::files(project);
        files.push(workflow);
        return files;
    };
    let fits = |kind, service: Option<&Service>| {
        service.is_some_and(|service| dockerfile::fits(kind, service, tree))
    };
    if fits(Kind::Api, found.api.as_ref()) && fits(Kind::Worker, found.worker.as_ref()) {
        // Doc2MD itself: what runs it is known better than what can be told from its code.
        let mut files = skeleton::docker_files(project);
        files.push(workflow);
        return files;
    }
    let mut files = Vec::new();
    for (name, service) in found.services() {
        let text = dockerfile::dockerfile(kind(name), service, tree);
        files.push(File::new(format!("Dockerfile.{name}"), text));
    }
    files.push(File::new("docker-compose.yml", compose(found, tree, project)));
    files.push(File::new("docker-compose.dev.yml", compose_dev(found, project)));
    files.push(File::new(".dockerignore", ignore(found, tree)));
    files.extend(requirements(found));
    files.push(workflow);
    files
}

fn kind(name: &str) -> Kind {
    if name == "api" { Kind::Api } else { Kind::Worker }
}

fn services(found: &Found) -> Values {
    Values::default()
        .condition("api", found.api.is_some())
        .condition("worker", found.worker.is_some())
        .condition("redis", found.redis)
}

fn compose(found: &Found, tree: &Tree, project: &str) -> String {
    let environment: Vec<String> =
        found.environment.iter().map(|(name, value)| format!("    {name}: {value}")).collect();
    services(found)
        .value("project", project)
        .condition("env-file", tree.has(".env"))
        .condition("environment", !environment.is_empty())
        .value("environment", environment.join("\n"))
        .fill(COMPOSE)
}

fn compose_dev(found: &Found, project: &str) -> String {
    let code = |service: Option<&Service>| {
        let items = service.iter().flat_map(|service| &service.items);
        let mounts: Vec<String> =
            items.map(|item| format!("      - ./{item}:/app/{item}:ro")).collect();
        mounts.join("\n")
    };
    services(found)
        .value("project", project)
        .value("api-code", code(found.api.as_ref()))
        .value("worker-code", code(found.worker.as_ref()))
        .fill(COMPOSE_DEV)
}

fn ignore(found: &Found, tree: &Tree) -> String {
    let mut named: Vec<String> = found
        .services()
        .flat_map(|(_, service)| service.items.iter().cloned().chain(service.requirements.files()))
        .map(|path| if tree.has_folder(&path) { format!("!{path}/") } else { format!("!{path}") })
        .collect();
    named.sort();
    named.dedup();
    Values::default().value("named", named.join("\n")).fill(IGNORE)
}

/// A requirements file for services that have none.
fn requirements(found: &Found) -> Option<File> {
    let is_written =
        |service: &Service| matches!(service.requirements, Requirements::Written { .. });
    let mut text = String::from("# Written by doc2md-docker init: add what the code imports.\n");
    let mut path = None;
    for (name, service) in found.services().filter(|(_, service)| is_written(service)) {
        let packages: &[&str] =
            if name == "api" { &["fastapi", "uvicorn"] } else { &["celery[redis]"] };
        for package in packages {
            let _ = writeln!(text, "{package}");
        }
        path = service.requirements.files().into_iter().next();
    }
    path.map(|path| File::new(path, text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::init::detect::{Wanted, detect};

    fn text<'a>(files: &'a [File], path: &str) -> &'a str {
        &files.iter().find(|file| file.path == path).unwrap().text
    }

    fn of(sources: &[(&str, &str)]) -> Vec<File> {
        let tree = Tree::of(sources);
        let found = detect(&tree, &Wanted::default()).unwrap();
        files(found.as_ref(), &tree, "shop")
    }

    #[test]
    fn an_api_alone_gets_nothing_of_a_worker() {
        let files = of(&[("main.py", "app = FastAPI()"), (".env", "KEY=1")]);
        let paths: Vec<_> = files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "Dockerfile.api",
                "docker-compose.yml",
                "docker-compose.dev.yml",
                ".dockerignore",
                "requirements.txt",
                ".github/workflows/images.yml",
            ]
        );
        let compose = text(&files, "docker-compose.yml");
        assert!(
            compose.contains("\nname: shop\n") && compose.contains("env_file: .env"),
            "{compose}"
        );
        assert!(!compose.contains("worker") && !compose.contains("redis"), "{compose}");
        let ignored = text(&files, ".dockerignore");
        assert!(ignored.contains("\n*\n!main.py\n!requirements.txt\n"), "{ignored}");
        assert!(text(&files, "requirements.txt").ends_with("\nfastapi\nuvicorn\n"));
    }

    #[test]
    fn an_api_and_a_worker_share_redis() {
        let files = of(&[
            ("app/main.py", "app = FastAPI()\ncelery = Celery(broker=os.environ['BROKER_URL'])"),
            ("requirements.txt", "fastapi"),
        ]);
        insta::assert_snapshot!(text(&files, "docker-compose.yml"), @r#"
        # Written by doc2md-docker init. Build with `doc2md-docker build`, start with `docker compose up --no-build`.
        name: shop

        x-runtime: &runtime
          restart: unless-stopped
          environment:
            BROKER_URL: redis://redis:6379/0
          volumes:
            # The images' only folder that their user may write to, besides /tmp.
            - data:/data
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
                # Any image with Python 3.11 or newer, pip and Debian's or Ubuntu's tools.
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
          data:
          queue:
        "#);
        let dev = text(&files, "docker-compose.dev.yml");
        assert!(dev.contains("    image: ${COMPOSE_PROJECT_NAME:-shop}-worker:dev\n"), "{dev}");
        assert_eq!(dev.matches("      - ./app:/app/app:ro\n").count(), 2, "{dev}");
    }

    #[test]
    fn the_workflow_installs_this_version_and_keeps_githubs_expressions() {
        let workflow = of(&[("main.py", "app = FastAPI()")]).pop().unwrap().text;
        assert!(
            workflow.contains(&format!("--version {} doc2md-docker", env!("CARGO_PKG_VERSION")))
        );
        assert!(workflow.contains("${{ github.ref }}"));
        assert!(!workflow.contains("@version@"));
    }
}
