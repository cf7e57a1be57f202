//! What is found in folders of many shapes.
#![allow(clippy::unwrap_used)]
use super::*;

fn found(files: &[(&str, &str)]) -> Detection {
    detect(&Tree::from_files(files), &UserNames::default()).unwrap().unwrap()
}

fn celery(include: &[&str]) -> Runner {
    Runner::Celery { include: include.iter().map(|&it| it.to_owned()).collect() }
}

const EXAMPLE: &[(&str, &str)] = &[
    (
        "api/main.py",
        "from shared.jobs import queue\napp = FastAPI(title='x')\n@app.get(\"/health\")\ndef health(): ...",
    ),
    ("api/__init__.py", ""),
    ("api/requirements.lock", "fastapi==1 --hash=sha256:1\nuvicorn==1 --hash=sha256:1"),
    (
        "shared/jobs.py",
        "from celery import Celery\nqueue = Celery('x', broker=os.environ['REDIS_URL'])",
    ),
    ("workers/tasks.py", "from shared.jobs import queue\n@queue.task(name='x')\ndef x(): ..."),
    ("workers/requirements.txt", "celery[redis]"),
    ("tests/test_api.py", "app = FastAPI()"),
];

#[test]
fn the_two_apps_of_a_project_with_shared_code() {
    let found = found(EXAMPLE);
    let (api, worker) = (found.api.unwrap(), found.worker.unwrap());
    assert_eq!((api.app.as_str(), api.health.as_deref()), ("api.main:app", Some("/health")));
    assert_eq!(api.items, ["api", "shared"]);
    assert_eq!(
        api.requirements,
        Requirements::Locked { file: "api/requirements.lock".to_owned(), heavy: None }
    );
    assert_eq!(worker.app, "workers.tasks");
    assert_eq!(worker.items, ["shared", "workers"]);
    assert_eq!(worker.requirements.files(), ["workers/requirements.txt"]);
    assert_eq!(found.environment, [("REDIS_URL".to_owned(), "redis://redis:6379/0".to_owned())]);
    assert_eq!(found.notes, [""; 0]);
}

#[test]
fn one_file_with_both_apps() {
    let found = found(&[
        (
            "main.py",
            "import helpers\napp = FastAPI()\ncelery = Celery('x', broker='redis://localhost')\n@celery.task\ndef x(): ...",
        ),
        ("helpers.py", ""),
        ("other.py", ""),
        ("templates/index.html", ""),
        ("requirements.txt", "fastapi\ncelery\n"),
    ]);
    let (api, worker) = (found.api.unwrap(), found.worker.unwrap());
    assert_eq!((api.app.as_str(), worker.app.as_str()), ("main:app", "main"));
    assert_eq!(api.items, ["helpers.py", "main.py", "templates"]);
    assert!(found.notes[0].contains("localhost"), "{:?}", found.notes);
    assert_eq!(
        (found.broker, api.extra, worker.extra),
        (
            Some(Broker::Redis),
            vec!["uvicorn".to_owned(), "redis".to_owned()],
            vec!["redis".to_owned()],
        )
    );
}

#[test]
fn tasks_in_several_modules_are_included() {
    let found = found(&[
        ("app/celery.py", "app = Celery('x')"),
        ("app/a.py", "from app.celery import app\n@app.task\ndef a(): ..."),
        ("app/b.py", "@shared_task\ndef b(): ..."),
    ]);
    let worker = found.worker.unwrap();
    assert_eq!(worker.app, "app.celery");
    assert_eq!(worker.runner, celery(&["app.a", "app.b"]));
    assert!(matches!(worker.requirements, Requirements::Written { .. }));
    assert_eq!(found.environment[0].0, "CELERY_BROKER_URL");
}

#[test]
fn a_backend_folder_and_a_factory() {
    let found = found(&[
        (
            "backend/app/main.py",
            "from app.core import x\ndef create() -> FastAPI:\n    return FastAPI()",
        ),
        ("backend/app/core.py", ""),
        ("backend/requirements.txt", "fastapi"),
        ("frontend/index.js", ""),
    ]);
    assert!(found.notes[0].contains("uvicorn"), "{:?}", found.notes);
    assert!(found.broker.is_none() && found.worker.is_none());
    let api = found.api.unwrap();
    assert_eq!(api.runner, Runner::Web { server: Server::Asgi, is_factory: true });
    assert_eq!((api.app.as_str(), api.root.as_str()), ("app.main:create", "backend"));
    assert_eq!(api.extra, ["uvicorn"]);
    assert_eq!(api.items, ["backend"]);
}

#[test]
fn several_apps_are_told() {
    let found = found(&[
        ("a/main.py", "app = FastAPI()"),
        ("b/main.py", "app = FastAPI()"),
        ("requirements.txt", "fastapi"),
    ]);
    assert_eq!(found.api.unwrap().app, "a.main:app");
    assert!(found.notes[0].contains("b/main.py"), "{:?}", found.notes);
}

#[test]
fn code_without_an_app_is_told_and_names_help() {
    let tree = Tree::from_files(&[
        ("site/settings.py", "DEBUG = 1"),
        ("config/asgi.py", "application = get()"),
        ("requirements.txt", "uvicorn"),
    ]);
    let error = detect(&tree, &UserNames::default()).unwrap_err();
    assert_eq!(error, DetectError::NoApp { sources: 2 });
    let api = |name: &str| {
        detect(&tree, &UserNames { api: Some(name.to_owned()), worker: None })
            .map(|found| found.unwrap().api.unwrap())
    };
    assert_eq!(api("config.asgi:application").unwrap().items, ["config"]);
    assert_eq!(api("none:app").unwrap_err(), DetectError::NoModule { module: "none".to_owned() });
    assert!(matches!(api("config.asgi").unwrap_err(), DetectError::NoVariable { .. }));
    assert_eq!(detect(&Tree::from_files(&[("README.md", "")]), &UserNames::default()), Ok(None));
}
