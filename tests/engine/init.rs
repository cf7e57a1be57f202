//! `init`, then `build`, without editing anything in between.

use crate::support::{PYTHON, Project, engine, eventually, own_python, text};

/// Runs `init` and `build` in the project.
fn init_and_build(project: &Project) {
    init_and_build_on(project, PYTHON);
}

fn init_and_build_on(project: &Project, base: &str) {
    project.run(&["init"]).success();
    build(project, base);
}

/// Builds the project; returns what was said of it.
fn build(project: &Project, base: &str) -> String {
    let base = format!("BASE_IMAGE={base}");
    let output = project.command(&["build", "--build-arg", &base]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
}

/// Runs a command in an image of the project, without network.
fn in_image(project: &Project, service: &str, command: &[&str]) -> String {
    let image = format!("{}-{service}", project.name());
    project.engine().said_in(&["--read-only", "--tmpfs=/tmp"], &image, command)
}

#[test]
fn an_empty_folder_becomes_two_images() {
    let project = Project::new(&engine("28.5"));
    init_and_build(&project);
    let import = "import api.main; print(api.main.app.title)";
    assert_eq!(in_image(&project, "api", &["python", "-c", import]), "Doc2MD");
    assert_eq!(in_image(&project, "worker", &["id", "-u"]), "10001");
}

#[test]
fn a_folder_with_an_app_in_a_sub_folder_becomes_images_that_import_it() {
    let project = Project::new(&engine("28.5"));
    project
        .write(
            "backend/app/main.py",
            "from fastapi import FastAPI\nfrom app.core import NAME\n\n\
             def create_app():\n    return FastAPI(title=NAME)\n",
        )
        .write("backend/app/core.py", "NAME = 'shop'\n")
        .write(
            "backend/app/jobs.py",
            "from celery import Celery\nfrom app.core import NAME\n\ncelery = Celery(NAME)\n\n\
             @celery.task\ndef work(): ...\n",
        )
        .write("backend/requirements.txt", "-r base.txt\nuvicorn\n")
        .write("backend/base.txt", "fastapi\ncelery[redis]\n")
        .write("venv/pyvenv.cfg", "")
        .write("notes.txt", "private\n");
    init_and_build(&project);
    let import = "import app.main; print(app.main.create_app().title)";
    assert_eq!(in_image(&project, "api", &["python", "-c", import]), "shop");
    let import = "import app.jobs; print(app.jobs.celery.main)";
    assert_eq!(in_image(&project, "worker", &["python", "-c", import]), "shop");
    assert_eq!(in_image(&project, "api", &["ls", "/app"]), "backend");
}

#[test]
fn blanks_in_names_and_a_src_layout_need_no_editing() {
    let project = Project::new(&engine("28.5"));
    project
        .write("web site/main.py", "from fastapi import FastAPI\n\napp = FastAPI(title='site')\n")
        .write("web site/requirements.txt", "fastapi\nuvicorn\n")
        .write("src/jobs/__init__.py", "")
        .write("src/jobs/queue.py", "from celery import Celery\n\nqueue = Celery('jobs')\n")
        .write(
            "pyproject.toml",
            "[project]\nname = 'jobs'\nversion = '1'\ndependencies = ['celery[redis]']\n",
        );
    init_and_build(&project);
    let import = "import main; print(main.app.title)";
    assert_eq!(in_image(&project, "api", &["python", "-c", import]), "site");
    let import = "import jobs.queue; print(jobs.queue.queue.main)";
    assert_eq!(in_image(&project, "worker", &["python", "-c", import]), "jobs");
}

/// Copies a project that a tool locked.
fn locked_by(tool: &str) -> Project {
    let project = Project::new(&engine("28.5"));
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/projects");
    for entry in std::fs::read_dir(folder.join(tool)).unwrap() {
        let path = entry.unwrap().path();
        project.write(path.file_name().unwrap(), std::fs::read(&path).unwrap());
    }
    project
}

/// Starts the image `api` as compose would, without network, and waits until it is well.
fn start(project: &Project) {
    let image = format!("{}-api", project.name());
    let id = project.engine().docker_ok(&[
        "run",
        "--detach",
        "--network=none",
        "--read-only",
        "--tmpfs=/tmp",
        "--cap-drop=ALL",
        &image,
    ]);
    let id = id.trim();
    eventually("the app answers", || {
        let format = "--format={{.State.Health.Status}}";
        (project.engine().docker_ok(&["inspect", format, id]).trim() == "healthy").then_some(())
    });
    project.engine().docker_ok(&["rm", "--force", id]);
}

/// The layer with the packages: the largest of the image.
fn packages(project: &Project) -> Vec<String> {
    let image = format!("{}-api", project.name());
    let format = "{{json .RootFS.Layers}}";
    let told = project.engine().docker_ok(&["image", "inspect", "--format", format, &image]);
    let mut layers: Vec<String> = serde_json::from_str(&told).unwrap();
    // What is below the code.
    layers.pop();
    layers
}

#[test]
fn a_project_locked_by_its_own_tool_starts_and_a_new_version_installs_nothing() {
    std::thread::scope(|scope| {
        for tool in ["uv", "pipenv", "poetry"] {
            scope.spawn(move || {
                let project = locked_by(tool);
                let base = own_python(&project);
                init_and_build_on(&project, &base);
                start(&project);
                let before = packages(&project);
                let declared = if tool == "pipenv" { "Pipfile" } else { "pyproject.toml" };
                let path = project.dir().join(declared);
                let text = std::fs::read_to_string(&path).unwrap();
                let text = text.replace("version = '1'", "version = '2'")
                    + "\n[tool.ruff]\nline-length = 99\n";
                std::fs::write(&path, text).unwrap();
                let told = build(&project, &base);
                assert_eq!(packages(&project), before, "{tool}: {told}");
            });
        }
    });
}

#[test]
fn flask_by_a_factory_and_a_plain_pyproject_start() {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let project = Project::new(&engine("28.5"));
            project
                .write(
                    "shop/__init__.py",
                    "from flask import Flask\n\ndef create_app():\n    return Flask('shop')\n",
                )
                .write("requirements.txt", "flask\n");
            init_and_build(&project);
            start(&project);
        });
        scope.spawn(|| {
            let project = Project::new(&engine("28.5"));
            project
                .write("src/shop/__init__.py", "")
                .write("src/shop/web.py", "from starlette.applications import Starlette\n\napp = Starlette()\n")
                .write(
                    "pyproject.toml",
                    "[project]\nname = 'shop'\nversion = '1'\ndependencies = ['starlette', 'uvicorn']\n",
                );
            let base = own_python(&project);
            init_and_build_on(&project, &base);
            start(&project);
            let before = packages(&project);
            project.write(
                "pyproject.toml",
                "[project]\nname = 'shop'\nversion = '2'\ndependencies = ['starlette', 'uvicorn']\n[tool.ruff]\n",
            );
            let told = build(&project, &base);
            assert_eq!(packages(&project), before, "{told}");
        });
    });
}
