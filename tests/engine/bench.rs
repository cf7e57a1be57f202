//! `bench` on engines of its own: what it measures, and that everything else is as it was before.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::SystemTime;

use doc2md_docker::buildkit::Control;
use doc2md_docker::engine::Connector;
use doc2md_docker::inventory::Inventory;
use doc2md_docker::inventory::{CacheKind, Store};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::clean_alone::{inventory, on_private_engines};
use crate::support::{BUSYBOX, PrivateEngine, Project, engine, eventually, text};

/// Two services, Dockerfiles outside of the contexts, a named context, and a cache mount that both use and nobody
/// else. `pip install` is played by a shell.
fn project(engine: &PrivateEngine) -> Project {
    let project = Project::new(engine.engine());
    let name = project.name().to_owned();
    // Named contexts came with BuildKit 0.11.
    let (from, contexts) = match engine.engine().name.as_str() {
        "20.10" => ("more.txt", ""),
        _ => ("--from=docs page.md", "\n  additional_contexts: {docs: docs}"),
    };
    let dockerfile = |service: &str| {
        format!(
            "FROM {BUSYBOX} AS base\nWORKDIR /app\n\
             COPY requirements.txt .\n\
             RUN --mount=type=cache,id={name},target=/cache \\\n    --mount=type=bind,source=more.txt,target=/more \\\n    \
             cat requirements.txt /more >> /cache/log && echo {service} > /installed\n\
             FROM base\nCOPY {from} /page.md\nCOPY . .\n"
        )
    };
    project
        .write("docker/api.Dockerfile", dockerfile("api"))
        .write("docker/worker.Dockerfile", dockerfile("worker"))
        .write("docs/page.md", "hi\n")
        .write("code/requirements.txt", "a==1\n")
        .write("code/more.txt", "more\n")
        .write("code/app.py", "print()\n")
        .write("code/.dockerignore", "secret\n")
        .write("code/secret", "x")
        .write(
            "compose.yaml",
            format!(
                "x-build: &build\n  context: code{contexts}\nservices:\n  api:\n    build: {{<<: *build, dockerfile: \
                 ../docker/api.Dockerfile}}\n  worker:\n    build: {{<<: *build, dockerfile: ../docker/worker.Dockerfile}}\n"
            ),
        );
    project
}

fn bench(project: &Project, args: &[&str]) -> Value {
    let args = [&["bench", "--format", "json"], args].concat();
    serde_json::from_slice(&project.run(&args).success().get_output().stdout).unwrap()
}

fn case<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["cases"].as_array().unwrap().iter().find(|case| case["case"] == name).unwrap()
}

/// Steps that ran, by target.
fn ran(report: &Value, name: &str) -> BTreeMap<String, u64> {
    let targets = case(report, name)["results"][0]["targets"].as_array().unwrap().iter();
    targets
        .map(|it| (it["name"].as_str().unwrap().to_owned(), it["ran"].as_u64().unwrap()))
        .collect()
}

/// Content and modification times of everything below a folder.
fn files(folder: &Path) -> BTreeMap<String, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let modified = entry.metadata().unwrap().modified().unwrap();
        if path.is_dir() {
            found.extend(files(&path));
            found.insert(path.display().to_string(), (Vec::new(), modified));
        } else {
            found.insert(path.display().to_string(), (std::fs::read(&path).unwrap(), modified));
        }
    }
    found
}

fn builds_in_history(engine: &PrivateEngine) -> Option<usize> {
    let connector = Connector::unix(engine.engine().socket());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let past = runtime.block_on(async {
        Control::connect(&connector).await.unwrap().past_builds().await.unwrap()
    });
    past.map(|past| past.without_steps().builds.len())
}

fn remembered(project: &Project) -> usize {
    let listed = project.run(&["history", "ls", "--format", "json"]).success();
    let listed: Value = serde_json::from_slice(&listed.get_output().stdout).unwrap();
    listed["builds"].as_array().unwrap().len()
}

/// Whether a build of the project runs nothing.
fn is_cached(project: &Project) -> bool {
    project.run(&["build"]).success();
    let listed = project.run(&["history", "ls", "--format", "json"]).success();
    let listed: Value = serde_json::from_slice(&listed.get_output().stdout).unwrap();
    listed["builds"][0]["cached"] == listed["builds"][0]["steps"]
}

/// What must not change: ids, names and, of cache mounts, the uses.
fn essence(seen: &Inventory) -> (Vec<String>, Vec<String>) {
    let images = seen.images.iter().map(|it| format!("{} {:?}", it.id, it.references)).collect();
    let record = |it: &doc2md_docker::inventory::CacheRecord| match it.kind {
        CacheKind::CacheMount => format!("{} {} {:?}", it.id, it.usage_count, it.last_used_at),
        _ => it.id.clone(),
    };
    (images, seen.cache.iter().map(record).collect())
}

#[track_caller]
fn nothing_changed(before: &Inventory, after: &Inventory, what: &str) {
    let (before_images, before_cache) = essence(before);
    let (images, cache) = essence(after);
    assert_eq!(images, before_images, "{what}");
    assert_eq!(after.containers, before.containers, "{what}");
    assert_eq!(after.volumes, before.volumes, "{what}");
    assert_eq!(after.networks, before.networks, "{what}");
    if before.engine.store == Store::Containerd {
        // Nothing of the cache can be removed there without harm for the rest (docs/design/clean.md).
        let missing: Vec<_> = before_cache.iter().filter(|it| !cache.contains(it)).collect();
        assert!(missing.is_empty(), "{what}: {missing:?}");
    } else {
        let more: Vec<_> = after
            .cache
            .iter()
            .filter(|it| !before.cache.iter().any(|old| old.id == it.id))
            .collect();
        assert_eq!(cache, before_cache, "{what}: {more:#?}");
    }
}

#[test]
fn a_benchmark_leaves_nothing_and_touches_nothing() {
    on_private_engines(|engine| {
        engine.import_base("busybox");
        let (own, other) = (project(engine), project(engine));
        for project in [&own, &other] {
            project.run(&["build"]).success();
        }
        // The first look at a cache mount counts as a use.
        inventory(&own);
        let (before, builds, memory) =
            (inventory(&own), builds_in_history(engine), remembered(&own));
        let files_before = files(&own.dir());

        let report =
            bench(&own, &["--runs", "2", "--case", "first,warm,unchanged,code,requirement"]);
        let both = |count: u64| {
            BTreeMap::from(["api".to_owned(), "worker".to_owned()].map(|it| (it, count)))
        };
        for name in ["first", "warm", "unchanged", "code", "requirement"] {
            let seconds = &case(&report, name)["results"][0]["seconds"];
            assert_eq!(seconds["all"].as_array().unwrap().len(), 2, "{name}: {report:#}");
        }
        // The RUN and all that is built on it; before it stand WORKDIR and a COPY.
        // The COPY of requirements is a step of both: whoever comes to it late finds it done, or shares the run.
        let ran_with_shared = |name: &str| {
            let counts = ran(&report, name);
            assert!(counts.values().all(|count| (3..=4).contains(count)), "{name}: {report:#}");
            assert!(counts.values().any(|count| *count == 4), "{name}: {report:#}");
        };
        let first = ran(&report, "first");
        assert!(first.values().all(|count| *count >= 3), "{report:#}");
        assert!(first.values().any(|count| *count >= 4), "{report:#}");
        assert_eq!(ran(&report, "warm"), both(3), "{report:#}");
        assert_eq!(ran(&report, "unchanged"), both(0), "{report:#}");
        assert_eq!(ran(&report, "code"), both(1), "{report:#}");
        ran_with_shared("requirement");
        let changes = &case(&report, "requirement")["results"][0]["changes"];
        // Of the two files that the Dockerfile reads before the code, the bind mount comes last, but is no file of requirements.
        assert_eq!(changes[0]["file"], "requirements.txt", "{report:#}");
        assert_eq!(case(&report, "code")["results"][0]["changes"][0]["file"], "app.py");
        assert_eq!(case(&report, "first")["results"][0]["changes"].as_array().unwrap().len(), 0);

        let after = inventory(&own);
        nothing_changed(
            &before,
            &after,
            &format!("{}: {:#}", engine.engine().name, report["left"]),
        );
        if before.engine.store == Store::GraphDriver {
            assert_eq!(report["left"].as_array().unwrap().len(), 0, "{report:#}");
        }
        assert_eq!(files(&own.dir()), files_before);
        assert_eq!((builds_in_history(engine), remembered(&own)), (builds, memory));
        for project in [&own, &other] {
            assert!(is_cached(project), "{}: {report:#}", engine.engine().name);
        }
        interrupted(engine, &own);
    });
}

/// Ctrl-C in the middle of a step.
fn interrupted(engine: &PrivateEngine, own: &Project) {
    own.write(
        "slow.yaml",
        format!(
            "services:\n  slow:\n    build:\n      context: code\n      dockerfile_inline: |\n        FROM {BUSYBOX}\n        \
             RUN echo first\n        COPY app.py /\n        RUN echo sleeping; sleep 3333\n"
        ),
    );
    std::fs::create_dir(own.home().join("tmp")).unwrap();
    let before = inventory(own);
    let child = own
        .command(&["-f", "slow.yaml", "bench", "--progress", "plain"])
        .env("TMPDIR", own.home().join("tmp"))
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(own.home().join("log")).unwrap())
        .spawn()
        .unwrap();
    eventually("the step runs", || {
        let log = std::fs::read_to_string(own.home().join("log")).unwrap();
        log.lines().any(|line| line.ends_with("sleeping") && !line.contains("RUN")).then_some(())
    });
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let log = std::fs::read_to_string(own.home().join("log")).unwrap();
    assert_eq!(output.status.code(), Some(130), "{}{log}", text(&output));
    let name = &engine.engine().name;
    nothing_changed(&before, &inventory(own), &format!("{name}, interrupted: {log}"));
    assert_eq!(std::fs::read_dir(own.home().join("tmp")).unwrap().count(), 0);
}

#[test]
fn projects_are_compared_and_what_is_missing_is_told() {
    let project = Project::new(&engine("28.5"));
    let compose = "services: {app: {build: .}}\n";
    project
        .write("compose.yaml", compose)
        .write(
            "Dockerfile",
            format!("FROM {BUSYBOX}\nRUN echo {}\nCOPY app.py /\n", project.name()),
        )
        .write("app.py", "")
        .write("naive/compose.yaml", "services: {app: {build: ..}}\n")
        .write(
            "naive/naive.yaml",
            "services: {app: {build: {context: .., dockerfile: naive/Dockerfile}}}\n",
        )
        .write(
            "naive/Dockerfile",
            format!("FROM {BUSYBOX}\nCOPY . /\nRUN echo {}\n", project.name()),
        )
        .write(
            "broken/compose.yaml",
            "services: {app: {build: {dockerfile_inline: 'FROM busybox:no\n'}}}\n",
        );
    let args = ["--runs", "1", "--case", "code,requirement", "--against", "naive/naive.yaml"];
    let report = bench(&project, &args);
    let code = case(&report, "code");
    assert_eq!(code["results"][0]["targets"][0]["ran"], 1, "{report:#}");
    assert_eq!(code["results"][1]["targets"][0]["ran"], 2, "{report:#}");
    assert!(code["ratio"].as_f64().unwrap() > 0.0, "{report:#}");
    let requirement = case(&report, "requirement");
    let why = "no Dockerfile reads a file of requirements; --requirement names one";
    assert_eq!(requirement["results"][0]["not_measured"], why, "{report:#}");
    assert_eq!(requirement["ratio"], Value::Null);

    let missing = bench(&project, &["--runs", "1", "--case", "code", "--code", "no.py"]);
    let why = &case(&missing, "code")["results"][0]["not_measured"];
    assert_eq!(*why, "no Dockerfile reads no.py from a build context");
    let named = bench(
        &project,
        &["--runs", "1", "--case", "code", "--against", "naive", "--code", "./app.py"],
    );
    assert_eq!(case(&named, "code")["results"][1]["changes"][0]["file"], "app.py");

    let no_such = project.run(&["bench", "--against", "nowhere"]).code(2);
    assert!(
        String::from_utf8_lossy(&no_such.get_output().stderr)
            .contains("there is no such file or directory")
    );
    let broken = project.run(&["bench", "--against", "broken", "--case", "unchanged"]).code(1);
    assert!(broken.get_output().stdout.is_empty());
    assert_eq!(project.images(), Vec::<String>::new());
}
