//! `init`: what it writes, what it refuses to write, and that what it wrote is a valid project.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use assert_cmd::Command;
use predicates::str::contains;
use tempfile::TempDir;

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doc2md-docker"));
    command.current_dir(folder).env_clear().args(args);
    command
}

fn project(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::with_prefix("d2m-init-").unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

/// Every file below `folder` with its text.
fn snapshot(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut queue = vec![folder.to_owned()];
    while let Some(next) = queue.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                queue.push(path);
            } else {
                let content = std::fs::read(&path).unwrap();
                files.push((path.display().to_string(), content));
            }
        }
    }
    files.sort();
    files
}

const API: &[(&str, &str)] = &[
    ("app/main.py", "from fastapi import FastAPI\n\napp = FastAPI()\n"),
    ("requirements.txt", "fastapi\nuvicorn\n"),
];

#[test]
fn an_empty_folder_gets_a_project_that_resolves() {
    let folder = project(&[]);
    command(folder.path(), &["init", "papers", "--dry-run"])
        .assert()
        .success()
        .stdout(contains("create     Dockerfile.worker\n"));
    assert_eq!(snapshot(folder.path()), []);

    command(folder.path(), &["init", "papers"]).assert().success();
    let papers = folder.path().join("papers");
    let printed = command(&papers, &["build", "--print"]).assert().success();
    let printed: serde_json::Value = serde_json::from_slice(&printed.get_output().stdout).unwrap();
    assert_eq!(printed["group"]["default"]["targets"], serde_json::json!(["api", "worker"]));
    assert_eq!(printed["target"]["api"]["tags"], serde_json::json!(["papers-api"]));
    let files = ["-f", "docker-compose.yml", "-f", "docker-compose.dev.yml", "build", "--print"];
    command(&papers, &files).assert().success().stdout(contains("\"papers-worker:dev\""));

    // Once more: everything is as it should be.
    let before = snapshot(&papers);
    let again = command(&papers, &["init"]).assert().success();
    let text = String::from_utf8(again.get_output().stdout.clone()).unwrap();
    assert!(text.lines().all(|line| line.starts_with("unchanged  ")), "{text}");
    assert_eq!(snapshot(&papers), before);
}

#[test]
fn an_existing_app_gets_files_of_its_own() {
    let folder = project(API);
    command(folder.path(), &["-p", "shop", "init"])
        .assert()
        .success()
        .stderr(contains("api: app.main:app in app/main.py, packages from requirements.txt"));
    assert!(!folder.path().join("Dockerfile.worker").exists());
    let dockerfile = std::fs::read_to_string(folder.path().join("Dockerfile.api")).unwrap();
    assert!(dockerfile.contains("COPY app/ app/"), "{dockerfile}");
    command(folder.path(), &["build", "--print"])
        .assert()
        .success()
        .stdout(contains("\"shop-api\""));
}

#[test]
fn what_is_in_the_way_is_named_and_nothing_is_written() {
    let folder = project(API);
    std::fs::write(folder.path().join("Dockerfile.api"), "FROM mine\n").unwrap();
    std::fs::write(folder.path().join(".dockerignore"), "mine\n").unwrap();
    let before = snapshot(folder.path());
    for args in [&["init"][..], &["init", "--dry-run"]] {
        command(folder.path(), args)
            .assert()
            .code(1)
            .stdout(contains("conflict   Dockerfile.api: is there with other content"))
            .stderr(contains("nothing was written: Dockerfile.api, .dockerignore are in the way"))
            .stderr(contains("hint: --force"));
        assert_eq!(snapshot(folder.path()), before);
    }
    command(folder.path(), &["init", "--force", "--dry-run"])
        .assert()
        .success()
        .stdout(contains("overwrite  Dockerfile.api\n"))
        .stdout(contains("\n-FROM mine\n"));
    assert_eq!(snapshot(folder.path()), before);
    command(folder.path(), &["init", "--force"]).assert().success();
    let dockerfile = std::fs::read_to_string(folder.path().join("Dockerfile.api")).unwrap();
    assert!(dockerfile.contains("COPY app/ app/"), "{dockerfile}");
}

#[test]
fn folders_and_links_are_never_overwritten() {
    let folder = project(API);
    std::fs::create_dir(folder.path().join("docker-compose.yml")).unwrap();
    std::os::unix::fs::symlink("elsewhere", folder.path().join(".dockerignore")).unwrap();
    command(folder.path(), &["init", "--force"])
        .assert()
        .code(1)
        .stdout(contains("conflict   docker-compose.yml: is a folder"))
        .stdout(contains("conflict   .dockerignore: is a symbolic link"));
    assert!(!folder.path().join("Dockerfile.api").exists());
    assert!(!folder.path().join("elsewhere").exists());
}

#[test]
fn wrong_use_is_told_with_what_to_do() {
    let odd = project(&[("site/asgi.py", "application = build()\n"), ("requirements.txt", "x\n")]);
    command(odd.path(), &["init"])
        .assert()
        .code(2)
        .stderr(contains("found no app and no worker in 1 Python files"))
        .stderr(contains("--api MODULE:VARIABLE"));
    command(odd.path(), &["init", "--api", "site.wsgi:application"])
        .assert()
        .code(2)
        .stderr(contains("there is no module `site.wsgi`"));
    command(odd.path(), &["init", "--api", "site.asgi:application"]).assert().success();
    command(project(API).path(), &["-p", "No Name", "init"])
        .assert()
        .code(2)
        .stderr(contains("invalid project name"));
}

#[test]
fn a_compose_file_that_is_read_first_is_told() {
    let folder = project(API);
    std::fs::write(folder.path().join("compose.yaml"), "services: {}\n").unwrap();
    command(folder.path(), &["init"])
        .assert()
        .success()
        .stderr(contains("warning: compose.yaml is there"));
}

#[test]
fn nothing_is_written_for_packages_that_cannot_be_installed() {
    let app = ("app/main.py", "from fastapi import FastAPI\n\napp = FastAPI()\n");
    let poetry = "[tool.poetry.dependencies]\npython = '^3.12'\nfastapi = '*'\n";
    for (path, text, command) in [
        ("pyproject.toml", poetry, "poetry lock"),
        ("Pipfile", "[packages]\nfastapi = '*'\n", "pipenv lock"),
        ("setup.py", "setup(install_requires=['fastapi'])\n", "uv pip compile"),
    ] {
        let folder = project(&[app, (path, text)]);
        let before = snapshot(folder.path());
        command_fails(folder.path(), path, command);
        assert_eq!(snapshot(folder.path()), before, "{path}");
    }
    let folder =
        project(&[("main.py", "import fastapi, obscure_thing\napp = fastapi.FastAPI()\n")]);
    command_fails(folder.path(), "main.py imports obscure_thing", "requirements.txt");
}

fn command_fails(folder: &Path, why: &str, hint: &str) {
    command(folder, &["init"]).assert().code(2).stderr(contains(why)).stderr(contains(hint));
}

#[test]
fn what_a_project_has_stays() {
    let folder = project(API);
    let workflow = folder.path().join(".github/workflows/images.yml");
    std::fs::create_dir_all(workflow.parent().unwrap()).unwrap();
    std::fs::write(&workflow, "mine\n").unwrap();
    // As Windows writes it.
    let wide: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain("fastapi\r\nuvicorn\r\n".encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let requirements = folder.path().join("requirements.txt");
    std::fs::write(&requirements, &wide).unwrap();
    command(folder.path(), &["init", "--force"])
        .assert()
        .success()
        .stdout(contains("left       .github/workflows/images.yml: is there with other content"));
    assert_eq!(std::fs::read(&workflow).unwrap(), b"mine\n");
    assert_eq!(std::fs::read(&requirements).unwrap(), wide);
}

#[test]
fn a_folder_of_something_else_gets_nothing_unasked() {
    let folder = project(&[("package.json", "{}\n"), ("node_modules/x/index.js", "\n")]);
    let before = snapshot(folder.path());
    command(folder.path(), &["init"])
        .assert()
        .code(2)
        .stderr(contains("there is no Python code"))
        .stderr(contains("--example"));
    assert_eq!(snapshot(folder.path()), before);
    command(folder.path(), &["init", "--example"]).assert().success();
    assert!(folder.path().join("Dockerfile.worker").exists());
}
