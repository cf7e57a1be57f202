//! Which files are found, and what is refused.
#![allow(clippy::unwrap_used)]
use super::*;

fn find(files: &[(&str, &str)], module: &str) -> Option<Requirements> {
    Requirements::find(&Tree::from_files(files), module, &["api", "web"]).unwrap()
}

#[test]
fn files_that_include_each_other_take_no_stack() {
    let name = |number: usize| format!("{number:05}.txt");
    let files: Vec<(String, String)> =
        (0..15_000).map(|number| (name(number), format!("-r {}\n", name(number + 1)))).collect();
    let mut files: Vec<(&str, &str)> =
        files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    files.push(("15000.txt", "-r 00000.txt\nfastapi"));
    let mut seen = BTreeSet::new();
    included(&Tree::from_files(&files), "00000.txt", &mut seen);
    assert_eq!(seen.len(), 15_001);
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
    let tree = Tree::from_files(&files);
    assert!(found.name(&tree, "FastAPI") && !found.name(&tree, "celery"));
}

#[test]
fn a_tools_lock_is_its_own() {
    let tool = |files: &[(&str, &str)], module: &str| match find(files, module) {
        Some(Requirements::Tool { tool, folder, member, .. }) => Some((tool, folder, member)),
        _ => None,
    };
    let of = |tool| Some((tool, String::new(), None));
    let poetry = "[tool.poetry.dependencies]\npython = '^3.12'";
    for (lock, declared, text, wanted) in [
        ("uv.lock", "pyproject.toml", "[project]\ndependencies = []", Tool::Uv),
        ("poetry.lock", "pyproject.toml", poetry, Tool::Poetry),
        ("Pipfile.lock", "Pipfile", "[packages]", Tool::Pipenv),
    ] {
        // What was exported once is less than the lock.
        let files = [(lock, ""), (declared, text), ("requirements.txt", "fastapi")];
        assert_eq!(tool(&files, "main.py"), of(wanted));
    }
    let workspace = [
        ("uv.lock", ""),
        ("pyproject.toml", "[tool.uv.workspace]\nmembers = ['packages/*']"),
        ("packages/api/pyproject.toml", "[project]\nname = 'shop-api'\ndependencies = []"),
    ];
    assert_eq!(
        tool(&workspace, "packages/api/src/main.py"),
        Some((Tool::Uv, String::new(), Some("shop-api".to_owned())))
    );
}

#[test]
fn what_cannot_be_installed_is_refused_with_the_command_that_helps() {
    let refused = |files: &[(&str, &str)]| {
        let refusal = Requirements::find(&Tree::from_files(files), "main.py", &[]).unwrap_err();
        format!("{refusal}: {}", refusal.command)
    };
    let poetry = "  [tool.poetry.dependencies]\n  fastapi = '*'";
    assert_eq!(
        refused(&[("pyproject.toml", poetry)]),
        "pyproject.toml is Poetry's, and there is no poetry.lock: poetry lock"
    );
    assert_eq!(refused(&[("Pipfile", "")]), "Pipfile has no Pipfile.lock: pipenv lock");
    for (path, text) in [
        ("setup.py", "setup(install_requires=['fastapi'])"),
        ("pdm.lock", ""),
        ("setup.cfg", "[options]\ninstall_requires =\n  fastapi"),
        ("environment.yml", "dependencies: [fastapi]"),
        ("pyproject.toml", "[project]\ndynamic = ['dependencies']"),
        ("requirements.txt", "-e .\nfastapi"),
    ] {
        assert!(refused(&[(path, text)]).starts_with(path), "{path}");
    }
    // The project alone: its own files say what it needs.
    let own = [("requirements.txt", "-e .\n"), ("pyproject.toml", "[project]\ndependencies = []")];
    assert_eq!(find(&own, "main.py").unwrap().files(), ["pyproject.toml"]);
    let dynamic = "[project]\ndynamic = ['dependencies']\n\
        [tool.setuptools.dynamic]\ndependencies = { file = ['reqs.txt'] }";
    let own = [("pyproject.toml", dynamic), ("reqs.txt", "fastapi")];
    assert_eq!(find(&own, "main.py").unwrap().files(), ["reqs.txt"]);
}
