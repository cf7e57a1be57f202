//! `lock`: requirement files to lock files, by uv in a build.

use serde_json::{Value, json};

use crate::support::{PYTHON, Project, engine, on_every_engine, text};

fn lock(project: &Project, args: &[&str]) -> (Option<i32>, String) {
    let base = ["lock", "requirements.in", "--base-image", PYTHON];
    let output = project.command(&[&base[..], args].concat()).output().unwrap();
    (output.status.code(), text(&output))
}

fn read(project: &Project, name: &str) -> String {
    std::fs::read_to_string(project.dir().join(name)).unwrap()
}

#[test]
fn packages_are_pinned_split_by_size_and_kept() {
    let project = Project::new(&engine("28.5"));
    // An old version of a small package, and a large one that needs nothing else.
    project.write("requirements.in", "-r more.in\nsix<1.17\n").write("more.in", "pygments\n");
    let (code, told) = lock(&project, &["--threshold", "1MB"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("1 light and 1 heavy packages"), "{told}");
    let (light, heavy) =
        (read(&project, "requirements.lock"), read(&project, "requirements.heavy.lock"));
    assert!(
        light.contains("\nsix==1.16.0 \\\n    --hash=sha256:") && !light.contains("pygments=="),
        "{light}"
    );
    assert!(heavy.contains("\npygments==") && !heavy.contains("six=="), "{heavy}");

    assert_eq!(lock(&project, &["--check"]).0, Some(0));
    project.write("requirements.in", "-r more.in\nsix\n");
    let (code, told) = lock(&project, &["--check"]);
    assert_eq!(code, Some(4), "{told}");
    assert!(told.contains("requirements changed since it was locked"), "{told}");

    // What is locked and still allowed stays; the threshold, too.
    let (code, told) = lock(&project, &[]);
    assert_eq!((code, told.contains("no version changed")), (Some(0), true), "{told}");
    assert!(read(&project, "requirements.lock").contains("\nsix==1.16.0 "));
    assert_eq!(lock(&project, &["--check"]).0, Some(0));
    let (code, told) = lock(&project, &["--upgrade-package", "six"]);
    assert_eq!((code, told.contains("six 1.16.0 -> 1.")), (Some(0), true), "{told}");
}

/// Two layers as in the guide: the heavy part by a stage that chooses the locks, the light one from the context.
const LAYERS: &str = "\
ARG BASE_IMAGE
FROM scratch AS locks
COPY requirements.heavy.lock heavy.lock
COPY requirements.lock light.lock
FROM ${BASE_IMAGE}
RUN --mount=type=bind,from=locks,source=heavy.lock,target=/tmp/heavy.lock \\
    cp /tmp/heavy.lock / && date +%N > /heavy
RUN --mount=type=bind,source=requirements.heavy.lock,target=/tmp/heavy.lock \\
    cp /tmp/heavy.lock /again && date +%N > /heavy-again
RUN --mount=type=bind,from=locks,source=light.lock,target=/tmp/light.lock \\
    cp /tmp/light.lock / && date +%N > /light
";

/// The layers of the project's image above its base, below the light one; and that one.
fn layers(project: &Project) -> (Vec<String>, String) {
    let image = format!("{}-app", project.name());
    let told = project.engine().docker_ok(&[
        "image",
        "inspect",
        "--format",
        "{{json .RootFS.Layers}}",
        &image,
    ]);
    let mut layers: Vec<String> = serde_json::from_str(&told).unwrap();
    let light = layers.pop().unwrap();
    (layers, light)
}

#[test]
fn a_new_light_requirement_leaves_the_heavy_layers_cached() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        project
            .write("Dockerfile", LAYERS)
            .write(
                "compose.yaml",
                format!("services:\n  app:\n    build:\n      context: .\n      args: {{BASE_IMAGE: {PYTHON}}}\n"),
            )
            .write("requirements.in", "pygments\nsix\n");
        project.run(&["lock", "--threshold", "1MB"]).success();
        project.run(&["build"]).success();
        let (heavy, light) = layers(&project);
        let text = read(&project, "requirements.heavy.lock");

        // The second one needs the heavy package, too.
        for more in ["sniffio", "rich"] {
            let requirements = read(&project, "requirements.in");
            project.write("requirements.in", format!("{requirements}{more}\n"));
            project.run(&["lock", "--check"]).code(4);
            project.run(&["lock"]).success();
            project.run(&["lock", "--check"]).success();
            project.run(&["build"]).success();
            assert_eq!(read(&project, "requirements.heavy.lock"), text, "{more}");
            let (heavy_now, light_now) = layers(&project);
            assert_eq!(heavy_now, heavy, "{}: {more}", engine.name);
            assert_ne!(light_now, light, "{}: {more}", engine.name);
        }
    });
}

/// A base image whose folder /index has two indexes as PyTorch's are: a build each, without sizes, and an old version of a
/// package that PyPI has, too.
fn base_with_torch(project: &Project) -> String {
    const MAKE: &str = r##"
import hashlib, os, zipfile
def wheel(index, name, version, *needs):
    folder = f"/index/{index}/{name}"
    os.makedirs(folder, exist_ok=True)
    file, info = f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(f"{folder}/{file}", "w") as wheel:
        wheel.writestr(f"{name}.py", f"version = {version!r}\n")
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        wheel.writestr(f"{info}/METADATA", "\n".join(lines + [f"Requires-Dist: {it}" for it in needs]) + "\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(open(f"{folder}/{file}", "rb").read()).hexdigest()
    open(f"{folder}/index.html", "a").write(f'<a href="{file}#sha256={digest}">{file}</a>\n')
wheel("cpu", "torch", "99.0+cpu")
wheel("cpu", "pygments", "1.0")
wheel("cu128", "torch", "99.0+cu128", "sniffio")
"##;
    let name = format!("{}-torch", project.name());
    let dockerfile = format!("FROM {PYTHON}\nRUN python3 - <<'EOF'\n{MAKE}EOF\n");
    let folder = project.home().join("torch");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("Dockerfile"), dockerfile).unwrap();
    let path = folder.display().to_string();
    project.engine().docker_ok(&["buildx", "build", "--quiet", "--tag", &name, "--load", &path]);
    name
}

#[test]
fn torch_is_of_the_build_that_is_asked_for_and_installs_from_there() {
    let project = Project::new(&engine("28.5"));
    let base = base_with_torch(&project);
    project.write("requirements.in", "torch\npygments\n").write(
        "Dockerfile",
        format!(
            "FROM {base} AS uv\nRUN pip install --disable-pip-version-check --target /opt/uv uv==0.13.9\n\
             FROM {base}\n\
             RUN --mount=type=bind,from=uv,source=/opt/uv/bin/uv,target=/usr/local/bin/uv \\\n\
             --mount=type=bind,source=.,target=/in \\\n\
             uv venv -q /venv && for lock in heavy.lock lock; do VIRTUAL_ENV=/venv uv pip install --no-deps \\\n\
             --require-hashes --index-strategy unsafe-best-match -r /in/requirements.$lock; done\n"
        ),
    );
    project.write("compose.yaml", "services: {app: {build: .}}\n");
    let lock = |args: &[&str]| {
        let base = ["lock", "requirements.in", "--base-image", &base];
        let output = project.command(&[&base[..], args].concat()).output().unwrap();
        (output.status.code(), text(&output))
    };
    let heavy = || read(&project, "requirements.heavy.lock");
    let asked = ["--torch", "cpu", "--torch-index", "file:///index/cpu"];
    let (code, told) = lock(&asked);
    assert_eq!(code, Some(0), "{told}");
    assert!(
        heavy().contains("\n--extra-index-url file:///index/cpu\ntorch==99.0+cpu "),
        "{}",
        heavy()
    );
    let light = read(&project, "requirements.lock");
    assert!(light.contains("\npygments==2") && !light.contains("index-url"), "{light}");
    project.run(&["build"]).success();
    let image = format!("{}-app", project.name());
    let version = "import torch, pygments; print(torch.version)";
    assert_eq!(
        project.engine().said_in(&[], &image, &["/venv/bin/python", "-c", version]),
        "99.0+cpu"
    );

    // It stays, and another one is another resolution.
    assert_eq!(lock(&["--check"]).0, Some(0));
    let (code, told) = lock(&[]);
    assert_eq!((code, told.contains("no version changed")), (Some(0), true), "{told}");
    let asked = ["--torch", "cu128", "--torch-index", "file:///index/cu128"];
    assert_eq!(lock(&[&asked[..], &["--check"]].concat()).0, Some(4));
    let (code, told) = lock(&asked);
    assert_eq!(code, Some(0), "{told}");
    assert!(heavy().contains("torch==99.0+cu128 "), "{}", heavy());
    assert!(read(&project, "requirements.lock").contains("\nsniffio=="));
    let (code, told) = lock(&["--torch", "cu999", "--torch-index", "file:///index/cpu"]);
    assert_eq!((code, told.contains("no torch of the build cu999")), (Some(1), true), "{told}");
}

#[test]
fn projects_of_uv_and_plain_ones_are_locked_with_extras_and_groups() {
    let project = Project::new(&engine("28.5"));
    project
        .write(
            "plain/pyproject.toml",
            "[project]\nname = 'plain'\nversion = '1'\ndependencies = ['six<1.17']\n\
             [project.optional-dependencies]\nweb = ['sniffio']\n[dependency-groups]\nml = ['pygments']\n",
        )
        .write(
            "pyproject.toml",
            "[project]\nname = 'root'\nversion = '1'\nrequires-python = '>=3.11'\ndependencies = ['part']\n\
             [dependency-groups]\ndev = ['iniconfig']\nml = ['pygments']\n\
             [tool.uv.workspace]\nmembers = ['parts/*']\n[tool.uv.sources]\npart = { workspace = true }\n",
        )
        .write(
            "parts/part/pyproject.toml",
            "[project]\nname = 'part'\nversion = '1'\nrequires-python = '>=3.11'\ndependencies = ['six']\n\
             [build-system]\nrequires = ['hatchling']\nbuild-backend = 'hatchling.build'\n",
        )
        // uv brings it up to date.
        .write("uv.lock", "version = 1\nrevision = 3\nrequires-python = \">=3.11\"\n");
    let lock = |args: &[&str]| {
        let base = ["lock", "--base-image", PYTHON, "--threshold", "1MB"];
        let output = project.command(&[&base[..], args].concat()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", text(&output));
        text(&output)
    };
    lock(&["plain/pyproject.toml"]);
    lock(&["plain/pyproject.toml", "--extra", "web", "--group", "ml"]);
    lock(&["pyproject.toml", "--group", "ml"]);
    lock(&["parts/part/pyproject.toml"]);
    let pins = |name: &str| {
        let text = read(&project, name);
        let names = text.lines().filter_map(|line| Some(line.split_once("==")?.0.to_owned()));
        names.collect::<Vec<_>>().join(" ")
    };
    for (file, light, heavy) in [
        ("plain/requirements", "six", ""),
        ("plain/requirements-web-ml", "six sniffio", "pygments"),
        ("requirements-ml", "six", "pygments"),
        ("parts/part/requirements", "six", ""),
    ] {
        assert_eq!(pins(&format!("{file}.lock")), light, "{file}");
        assert_eq!(pins(&format!("{file}.heavy.lock")), heavy, "{file}");
    }
    assert!(read(&project, "plain/requirements.lock").contains("six==1.16.0"));
    let own = read(&project, "uv.lock");
    assert!(own.contains("name = \"iniconfig\"") && own.contains("name = \"part\""), "{own}");

    // A light requirement more, the way of each: the heavy part stays byte for byte.
    let heavy = ["plain/requirements-web-ml.heavy.lock", "requirements-ml.heavy.lock"]
        .map(|name| (name, read(&project, name)));
    for path in ["plain/pyproject.toml", "pyproject.toml"] {
        let text = read(&project, path);
        project.write(path, text.replace("dependencies = ['", "dependencies = ['idna', '"));
    }
    project.write(
        "compose.yaml",
        format!("services: {{app: {{build: {{context: ., args: {{BASE_IMAGE: {PYTHON}}}}}}}}}\n"),
    );
    project.run(&["lock", "--check"]).code(4);
    project.run(&["lock"]).success();
    project.run(&["lock", "--check"]).success();
    assert_eq!(pins("requirements-ml.lock"), "idna six");
    assert_eq!(pins("plain/requirements-web-ml.lock"), "idna six sniffio");
    for (name, text) in heavy {
        assert_eq!(read(&project, name), text, "{name}");
    }
}

#[test]
fn bench_measures_a_new_requirement_after_lock() {
    let project = Project::new(&engine("28.5"));
    let service =
        format!("services:\n  app:\n    build: {{context: ., args: {{BASE_IMAGE: {PYTHON}}}}}\n");
    let install = |list: &str| {
        format!(
            "RUN --mount=type=bind,source={list},target=/tmp/{list} cp /tmp/{list} / && date +%N > /at\n"
        )
    };
    let base = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n";
    let [heavy, light] = ["requirements.heavy.lock", "requirements.lock"].map(install);
    project
        .write("requirements.in", "six<1.17\npygments")
        .write("compose.yaml", &service)
        .write("Dockerfile", format!("{base}{heavy}{light}"))
        .write("pip/compose.yaml", &service)
        .write("pip/requirements.txt", "six<1.17\npygments\n")
        .write("pip/Dockerfile", format!("{base}{}", install("requirements.txt")));
    assert_eq!(lock(&project, &["--threshold", "1MB"]).0, Some(0));
    let files = ["requirements.in", "requirements.lock", "requirements.heavy.lock"];
    let before = files.map(|name| read(&project, name));

    project.run(&["bench", "--case", "lock"]).code(2);
    let added = ["--case", "lock", "--add", "toml==0.10.2", "--runs", "2", "--against", "pip"];
    let args = [&["bench", "--format", "json"], &added[..]].concat();
    let run = project.run(&args).success();
    let report: Value = serde_json::from_slice(&run.get_output().stdout).unwrap();
    assert_eq!(report["cases"][0]["case"], "lock");
    let [own, pip] = [0, 1].map(|index| &report["cases"][0]["results"][index]);
    let change = |file: &str, what: &str| json!([{"targets": ["app"], "file": file, "what": what}]);
    let what = "locked again with `toml==0.10.2`, and a comment line at its end";
    assert_eq!(own["changes"], change("requirements.lock", what), "the heavy one is as it was");
    let what = "`toml==0.10.2` and a comment line at its end";
    assert_eq!(pip["changes"], change("requirements.txt", what));
    for result in [own, pip] {
        assert_eq!(result["targets"][0]["ran"], 1, "one installation: {result:#}");
    }
    let cached = [own, pip].map(|result| result["targets"][0]["cached"].as_u64().unwrap());
    assert_eq!(cached[0], cached[1] + 1, "the heavy one: {own:#}");
    assert_eq!(files.map(|name| read(&project, name)), before);
}
