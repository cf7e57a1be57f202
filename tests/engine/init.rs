//! `init`, then `build`, without editing anything in between.

use crate::support::{PYTHON, Project, engine};

/// Runs `init` and `build` in the project; answers what the image `api` runs.
fn init_and_build(project: &Project) {
    project.run(&["init"]).success();
    let base = format!("BASE_IMAGE={PYTHON}");
    assert_cmd::Command::from_std(project.command(&["build", "--build-arg", &base]))
        .assert()
        .success();
}

/// Runs a command in an image of the project, without network.
fn in_image(project: &Project, service: &str, command: &[&str]) -> String {
    let image = format!("{}-{service}", project.name());
    let mut args = vec!["run", "--rm", "--network=none", "--read-only", "--tmpfs=/tmp", &image];
    args.extend(command);
    project.engine().docker_ok(&args)
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
