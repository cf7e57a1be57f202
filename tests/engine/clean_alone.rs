//! `clean` on engines of its own: figures against what the engine holds, crashes, and chance.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};
use std::time::Duration;

use doc2md_docker::engine::{Connector, Engine as Client};
use doc2md_docker::inventory::{CacheKind, CacheRecord, Inventory};
use serde_json::Value;

use crate::support::{BUSYBOX, PrivateEngine, Project, eventually, side_by_side};

/// The matrix.
pub(crate) const ENGINES: [&str; 4] = ["20.10", "26.1", "28.5", "28.5-containerd"];

/// The releases, each a fresh engine; all at the same time.
pub(crate) fn on_private_engines(test: impl Fn(&PrivateEngine) + Sync) {
    let runs = ENGINES.map(|name| {
        let test = &test;
        (name.to_owned(), move || test(&PrivateEngine::start(name)))
    });
    side_by_side(runs.into());
}

pub(crate) fn inventory(project: &Project) -> Inventory {
    let client = Client::new(&Connector::unix(project.engine().socket()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut seen = runtime.block_on(client.inventory(Duration::from_secs(60))).unwrap();
    // Engines list in any order.
    seen.images.sort_by(|a, b| a.id.cmp(&b.id));
    seen.containers.sort_by(|a, b| a.id.cmp(&b.id));
    seen.networks.sort_by(|a, b| a.id.cmp(&b.id));
    seen.volumes.sort_by(|a, b| a.name.cmp(&b.name));
    seen.cache.sort_by(|a, b| a.id.cmp(&b.id));
    seen
}

/// The same without what a look into cache mounts leaves: its program, and uses of the mounts.
pub(crate) fn apart_from_looks(mut seen: Inventory) -> Inventory {
    // 20.10 tells no names of files.
    let is_program = |record: &CacheRecord| match record.description.as_str() {
        "fileop target" => record.parents.is_empty(),
        text => text.ends_with("/doc2md-docker-measure"),
    };
    seen.cache.retain(|record| !is_program(record));
    for mount in seen.cache.iter_mut().filter(|it| it.kind == CacheKind::CacheMount) {
        (mount.usage_count, mount.last_used_at) = (0, None);
    }
    seen
}

pub(crate) fn json(project: &Project, args: &[&str]) -> Value {
    let args = [&["clean", "--format", "json"], args].concat();
    serde_json::from_slice(&project.run(&args).success().get_output().stdout).unwrap()
}

/// Two services on one layer of 4 MB, 2 MB each for themselves, 1 MB in a stage that is in no image.
fn project(engine: &PrivateEngine) -> Project {
    let project = Project::new(engine.engine());
    let name = project.name().to_owned();
    let dockerfile = |service: &str| {
        format!(
            "FROM {BUSYBOX} AS base\n\
             RUN head -c 4000000 /dev/urandom > /shared\n\
             FROM base AS made\n\
             RUN --mount=type=cache,id={name},target=/c head -c 1000000 /dev/urandom > /made && cp /made /c\n\
             FROM base\n\
             COPY file /file\n\
             RUN head -c 2000000 /dev/urandom > /own && echo {service}\n\
             COPY --from=made /made /made\n"
        )
    };
    project
        .write("api.Dockerfile", dockerfile("api"))
        .write("worker.Dockerfile", dockerfile("worker"))
        .write("file", vec![7; 300_000])
        .write(
            "compose.yaml",
            "services:\n  api:\n    build: {context: ., dockerfile: api.Dockerfile}\n    network_mode: none\n    \
             volumes: [data:/data]\n  worker:\n    build: {context: ., dockerfile: worker.Dockerfile}\n    \
             network_mode: none\nvolumes:\n  data: {}\n",
        );
    project
}

fn build_and_create(project: &Project) {
    project.run(&["build"]).success();
    let created = project.docker(&["compose", "create", "--no-build"]).output().unwrap();
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
}

#[test]
fn a_dry_run_changes_nothing_and_the_estimate_holds() {
    on_private_engines(|engine| {
        let name = &engine.engine().name;
        engine.import_base("busybox");
        let project = project(engine);
        build_and_create(&project);
        // The first question after a build counts as a use of a cache mount, and until the engine has let go of a
        // build, it may list another of two records that hold the same files.
        let before = eventually("the engine is at rest", || {
            let seen = inventory(&project);
            (inventory(&project) == seen).then_some(seen)
        });
        for args in
            [&["--dry-run"][..], &["--dry-run", "--cache"], &["--dry-run", "--cache=all", "--stop"]]
        {
            json(&project, args);
        }
        let after = apart_from_looks(inventory(&project));
        assert_eq!(after, apart_from_looks(before), "{name}");

        for args in [
            &["--force"][..],
            &["--force", "--cache"],
            &["--force", "--only", "cache"],
            &["--force", "--cache=all"],
        ] {
            build_and_create(&project);
            let done = json(&project, args);
            let bytes = |key: &str| done[key].as_u64().unwrap();
            let (estimated, freed) = (bytes("estimated_bytes"), bytes("freed_bytes"));
            assert!(
                estimated.abs_diff(freed) <= (freed / 20).max(10_000),
                "{name} {args:?}: {estimated} estimated, {freed} freed: {done:#}"
            );
        }
    });
}

/// A clean in the middle of its work: it waits for a container that does not want to stop.
fn half_way(project: &Project) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut child = project
        .command(&["clean", "--stop", "--force", "-v", "--cache"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("removing container") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0, "it ended before it removed anything");
    }
    (child, said)
}

fn stubborn(engine: &PrivateEngine) -> Project {
    let project = Project::new(engine.engine());
    project
        .write("Dockerfile", format!("FROM {BUSYBOX}\nRUN echo {} > /own\n", project.name()))
        .write(
            "compose.yaml",
            "services:\n  app:\n    build: .\n    network_mode: none\n    stop_grace_period: 5m\n    \
             command: [sh, -c, 'trap true TERM; while true; do sleep 1; done']\n    volumes: [data:/data]\n\
             volumes:\n  data: {}\n",
        );
    project.run(&["build"]).success();
    start(&project);
    project
}

fn start(project: &Project) {
    let up = project.docker(&["compose", "up", "--no-build", "--detach"]).output().unwrap();
    assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
}

/// What of the project is left, whatever it is.
fn left(project: &Project) -> Vec<String> {
    let seen = inventory(project);
    let name = project.name();
    let containers = seen.containers.iter().map(|it| &it.name);
    let volumes = seen.volumes.iter().map(|it| &it.name);
    let images = seen.images.iter().flat_map(|it| &it.references);
    let records = seen.cache.iter().map(|it| &it.description);
    let all = containers.chain(volumes).chain(images).chain(records);
    all.filter(|text| text.contains(name)).cloned().collect()
}

#[test]
fn what_is_cut_off_half_way_ends_clean_the_next_time() {
    let engine = PrivateEngine::start("28.5");
    engine.import_base("busybox");
    let project = stubborn(&engine);
    // A minute of the container's grace is not worth waiting for.
    let give_up = || engine.engine().docker_ok(&["kill", &format!("{}-app-1", project.name())]);

    // The program is interrupted: it says what remains.
    let (mut child, mut said) = half_way(&project);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    assert!(text.contains("error: interrupted: ") && text.contains(" remain\n"), "{text}");
    assert!(text.contains("hint: run clean again"), "{text}");

    // The program is killed.
    give_up();
    start(&project);
    let (mut child, _) = half_way(&project);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(left(&project).len() >= 4, "{:?}", left(&project));

    // The engine goes and comes back.
    give_up();
    start(&project);
    let (mut child, mut said) = half_way(&project);
    engine.kill();
    assert_eq!(child.wait().unwrap().code(), Some(3));
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    assert!(
        text.contains("removed 0 things\n") && text.contains("hint: run clean again"),
        "{text}"
    );
    engine.start_again();
    project.run(&["clean", "--stop", "--force", "--cache"]).success();
    assert_eq!(left(&project), [""; 0]);
}
