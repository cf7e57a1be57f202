//! `clean` on every engine: what goes, and that nothing of anybody else does.

use std::collections::BTreeSet;
use std::process::Stdio;

use doc2md_docker::engine::{Connector, Engine as Client};
use doc2md_docker::inventory::CacheRecord;
use serde_json::Value;

use crate::clean_alone::{inventory, on_private_engines};
use crate::clean_by_chance::base;
use crate::support::{
    BUSYBOX, Engine, PrivateEngine, Project, Registry, engine, on_every_engine, text,
};

/// A project whose containers, networks and volumes go when the test ends, however it does.
struct Owned(Project);

impl std::ops::Deref for Owned {
    type Target = Project;

    fn deref(&self) -> &Project {
        &self.0
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let mut down =
            self.0.engine().docker(&["compose", "-p", self.0.name(), "down", "-v", "-t0"]);
        drop(down.current_dir("/").output());
    }
}

/// A project with an image on a layer that all of these share, one of its own, a cache mount, a
/// volume and a network; `mark` makes its own steps its own.
fn project(engine: &Engine, shared: &str) -> Owned {
    project_on(engine, BUSYBOX, shared)
}

fn project_on(engine: &Engine, base: &str, shared: &str) -> Owned {
    let project = Project::new(engine);
    let name = project.name().to_owned();
    project
        .write(
            "Dockerfile",
            format!(
                "FROM {base} AS base\n\
                 RUN head -c 300000 /dev/urandom > /shared && echo {shared}\n\
                 FROM base AS made\n\
                 RUN --mount=type=cache,id={name},target=/c echo {name} > /c/kept && cp /c/kept /made\n\
                 FROM base\n\
                 COPY file /file\n\
                 RUN head -c 500000 /dev/urandom > /own && echo {name}\n\
                 COPY --from=made /made /made\n"
            ),
        )
        .write("file", &name)
        .write(
            "compose.yaml",
            "services:\n  app:\n    build: .\n    command: [sh, -c, 'echo kept > /data/file; sleep 600']\n    \
             volumes: [data:/data, /anonymous]\nvolumes:\n  data: {}\n",
        );
    Owned(project)
}

/// The same without a network: every one of them takes of the few address ranges of this machine.
fn without_network(engine: &Engine, base: &str, shared: &str) -> Owned {
    let project = project_on(engine, base, shared);
    let compose = std::fs::read_to_string(project.dir().join("compose.yaml")).unwrap();
    let compose = compose.replace("    build: .\n", "    build: .\n    network_mode: none\n");
    project.write("compose.yaml", compose);
    project
}

/// Containers, networks and volumes, not started.
fn create(project: &Project) {
    let created = project.docker(&["compose", "create", "--no-build"]).output().unwrap();
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
}

/// What the engine has of a project by its label and its names: one line each.
fn things(project: &Project) -> BTreeSet<String> {
    let label = format!("label=com.docker.compose.project={}", project.name());
    let list = |kind: &str, format: &str, options: &[&str]| {
        let mut args = vec![kind, "ls", "--filter", &label, "--format", format];
        args.extend(options);
        let listed = project.engine().docker_ok(&args);
        listed.lines().map(|line| format!("{kind} {line}")).collect::<Vec<_>>()
    };
    let mut all = BTreeSet::new();
    all.extend(list("container", "{{.Names}} {{.State}}", &["--all"]));
    all.extend(list("network", "{{.Name}}", &[]));
    all.extend(list("volume", "{{.Name}}", &[]));
    all.extend(list("image", "{{.Repository}}:{{.Tag}} {{.ID}}", &[]));
    all
}

/// Records of the build cache that speak of a project.
fn records(project: &Project) -> Vec<CacheRecord> {
    let client = Client::new(&Connector::unix(project.engine().socket()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut records = runtime.block_on(client.cache_records()).unwrap();
    records.retain(|record| record.description.contains(project.name()));
    records
}

fn json(assert: assert_cmd::assert::Assert) -> Value {
    serde_json::from_slice(&assert.get_output().stdout).unwrap()
}

#[test]
fn one_project_goes_and_the_other_stays() {
    on_every_engine(|engine| {
        let shared = format!("{}-{}", engine.name, std::process::id());
        let (ours, theirs) = (project(engine, &shared), project(engine, &shared));
        for project in [&ours, &theirs] {
            project.run(&["build"]).success();
            create(project);
        }
        let (before, others) = (things(&ours), things(&theirs));
        assert_eq!(before.len(), 4, "{before:?}");

        let shown = ours.run(&["clean", "--dry-run"]).success();
        let text = String::from_utf8_lossy(&shown.get_output().stdout).into_owned();
        for kind in ["container", "network", "image", "volume"] {
            assert!(text.contains(kind), "{}: {text}", engine.name);
        }
        assert!(!text.contains(theirs.name()), "{}: {text}", engine.name);
        let refused = ours.run(&["clean"]).code(2);
        let said = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
        assert!(said.contains("hint: --force removes without asking"), "{said}");
        assert_eq!(things(&ours), before, "{}: nobody agreed", engine.name);

        let done = json(ours.run(&["clean", "--force", "--format", "json"]).success());
        assert_eq!(done["schema"], "doc2md-docker/clean/v1");
        // Container, network, image, a named volume and one that nobody named.
        assert_eq!(done["remove"].as_array().unwrap().len(), 5, "{}: {done:#}", engine.name);
        assert_eq!(things(&ours), BTreeSet::new(), "{}", engine.name);
        assert_eq!(things(&theirs), others, "{}", engine.name);
        ours.run(&["clean", "--force"]).success();

        theirs.run(&["clean", "--volumes=false", "--images=false", "-f"]).success();
        let left: Vec<String> = things(&theirs).into_iter().collect();
        assert_eq!(left.len(), 2, "{}: {left:?}", engine.name);
        theirs.run(&["clean", "--force", "--quiet"]).success().stdout("").stderr("");
        assert_eq!(things(&theirs), BTreeSet::new(), "{}", engine.name);
    });
}

#[test]
fn what_runs_stays_unless_it_may_be_stopped() {
    on_every_engine(|engine| {
        let project = project(engine, "runs");
        project.run(&["build"]).success();
        create(&project);
        let started = project.docker(&["compose", "start"]).output().unwrap();
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        let before = things(&project);
        let kept = json(project.run(&["clean", "--force", "--format", "json"]).success());
        assert_eq!(kept["remove"].as_array().unwrap().len(), 0, "{}: {kept:#}", engine.name);
        assert_eq!(kept["keep"].as_array().unwrap().len(), 5, "{}: {kept:#}", engine.name);
        assert_eq!(things(&project), before, "{}", engine.name);
        // Its files are gone: the labels say what is its.
        std::fs::remove_file(project.dir().join("compose.yaml")).unwrap();
        let gone = project.run(&["clean", "--stop", "--force", "-p", project.name()]).success();
        let said = String::from_utf8_lossy(&gone.get_output().stderr).into_owned();
        assert!(said.contains("no compose file here"), "{said}");
        assert_eq!(things(&project), BTreeSet::new(), "{}", engine.name);
    });
}

#[test]
fn an_image_that_the_files_no_longer_name_goes_by_the_ledger() {
    on_every_engine(|engine| {
        let project = Owned(Project::new(engine));
        let (old, tagged) = (format!("{}/old", project.name()), format!("{}/mine", project.name()));
        project
            .write("Dockerfile", format!("FROM {BUSYBOX}\nRUN echo {} > /f\n", project.name()))
            .write("compose.yaml", format!("services:\n  app:\n    build: .\n    image: {old}\n"));
        project.run(&["build"]).success();
        project.write("compose.yaml", "services:\n  app:\n    build: .\n");
        engine.docker_ok(&["tag", &old, &tagged]);
        let done = json(project.run(&["clean", "--force", "--format", "json"]).success());
        let names: Vec<&str> = done["remove"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|it| it["name"].as_str())
            .collect();
        assert_eq!(names, [format!("{old}:latest")], "{}: {done:#}", engine.name);
        // A name that somebody gave it is not the program's to take.
        engine.docker_ok(&["image", "rm", &tagged]);
    });
}

/// Two projects side by side on the same base and layer, one of them cleaned: what the document of that says, and
/// what the next build of it ran.
fn clean_one_of_two(engine: &Engine, base: &str) -> (Value, BTreeSet<String>) {
    let shared = format!("cache-{}-{}", engine.name, std::process::id());
    let ours = without_network(engine, base, &shared);
    let theirs = without_network(engine, base, &shared);
    for project in [&ours, &theirs] {
        project.run(&["build"]).success();
        create(project);
    }
    let (others, mounts) = (things(&theirs), records(&theirs).len());
    assert!(mounts > 0, "{}", engine.name);
    let shown = json(ours.run(&["clean", "--cache", "--dry-run", "--format", "json"]).success());
    assert_eq!(shown["freed_bytes"], Value::Null);
    let done = json(ours.run(&["clean", "--cache", "--force", "--format", "json"]).success());
    assert_eq!(done["remaining"].as_array().unwrap().len(), 0, "{}: {done:#}", engine.name);
    assert_eq!(things(&theirs), others, "{}", engine.name);
    assert_eq!(records(&theirs).len(), mounts, "{}", engine.name);
    assert_eq!(theirs.ran(), BTreeSet::new(), "{}: theirs is cached", engine.name);
    let again = ours.ran();
    (done, again)
}

/// What became of each record of the cache: one line each, those that stay last.
fn cache_of(done: &Value) -> String {
    let all = ["remove", "keep"].iter().flat_map(|list| {
        let items = done[list].as_array().unwrap().iter().filter(|it| it["kind"] == "cache");
        items.map(move |it| format!("{list} {} ({})", it["name"], it["reason"]))
    });
    all.collect::<Vec<_>>().join("\n")
}

/// Not on an engine that others build on: where a COPY of theirs runs at the same moment, nobody can tell on 20.10 which
/// record is whose, and both stay.
#[test]
fn the_cache_of_one_goes_and_the_other_builds_from_its_own() {
    let registry = Registry::open();
    on_private_engines(|own| {
        let name = &own.engine().name;
        let (done, again) = clean_one_of_two(own.engine(), &base(own, &registry));
        let made = again.iter().any(|name| name.contains("/own && echo"));
        assert!(made, "{name}: {again:?}\n{}", cache_of(&done));
        let shared_ran = again.iter().any(|name| name.contains("/shared"));
        assert!(!shared_ran, "{name}: {again:?}");
    });
}

/// Engines run a step once for all builds that need it at that moment.
#[test]
fn what_a_build_made_beside_one_that_shares_a_step_is_still_its_own() {
    let registry = Registry::open();
    on_private_engines(|own| {
        let (engine, base) = (own.engine(), base(own, &registry));
        let (ours, theirs) = (Project::new(engine), Project::new(engine));
        for project in [&ours, &theirs] {
            let name = project.name();
            let steps = format!("RUN sleep 4 && echo > /shared\nRUN echo {name} > /own\n");
            project
                .write("Dockerfile", format!("FROM {base}\n{steps}"))
                .write("compose.yaml", "services:\n  app:\n    build: .\n");
        }
        let tag = format!("{}-app", theirs.name());
        let mut beside = theirs.docker(&["buildx", "build", "--quiet", "--tag", &tag, "."]);
        let beside = beside.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        ours.run(&["build"]).success();
        let beside = beside.wait_with_output().unwrap();
        assert!(beside.status.success(), "{}: {}", engine.name, text(&beside));
        let done = json(ours.run(&["clean", "--cache", "--force", "--format", "json"]).success());
        let removed = done["remove"].as_array().unwrap().iter();
        let records: Vec<&str> = removed
            .filter(|it| it["kind"] == "cache")
            .filter_map(|it| it["name"].as_str())
            .filter(|name| name.contains(" RUN ") || name.contains("/bin/sh"))
            .collect();
        let own = format!("echo {} > /own", ours.name());
        assert!(records.len() == 1 && records[0].ends_with(&own), "{}: {done:#}", engine.name);
        let again = theirs.docker(&["buildx", "build", "--progress", "plain", "."]).output();
        let said = String::from_utf8_lossy(&again.unwrap().stderr).into_owned();
        let cached = said.lines().filter(|line| line.ends_with(" CACHED")).count();
        assert!(cached >= 2, "{}: {said}", engine.name);
    });
}

/// There one record less costs everybody what is built on a base that BuildKit did not unpack.
#[test]
fn on_the_containerd_store_cache_on_an_imported_base_stays_and_that_is_said() {
    let (done, again) = clean_one_of_two(&engine("28.5-containerd"), BUSYBOX);
    assert_eq!(again, BTreeSet::new(), "{done:#}");
    let kept = done["keep"].as_array().unwrap().iter();
    let reasons = kept.filter(|it| {
        let reason = it["reason"].as_str().unwrap();
        reason.contains("docker pull, load or import")
    });
    assert!(reasons.count() > 0, "{done:#}");
}

/// What comes with a cache are blobs; the engine unpacks them itself when it stores the image that has them, the base
/// as well.
#[test]
fn on_the_containerd_store_cache_stays_where_somebody_built_on_an_imported_one() {
    let (registry, own) = (Registry::open(), PrivateEngine::start("28.5-containerd"));
    let (base, cache) = (registry.base(), format!("{}/cache:1", registry.address()));
    let project = |engine: &Engine, dockerfile: &str, build: &str| {
        let project = Project::new(engine);
        project.write("Dockerfile", dockerfile.replace("NAME", project.name())).write(
            "compose.yaml",
            format!("services: {{app: {{build: {{context: ., {build}}}}}}}"),
        );
        project.run(&["build"]).success();
        project
    };
    let steps = format!("FROM {base}\nRUN echo step > /step\n");
    let writer = engine("28.5-containerd");
    project(&writer, &steps, &format!("cache_to: ['type=registry,ref={cache},mode=max']"));
    project(own.engine(), &steps, &format!("cache_from: ['type=registry,ref={cache}']"));
    let theirs = project(own.engine(), &format!("FROM {base}\nRUN echo NAME > /a\n"), "");
    // No image tells the sizes of these layers.
    own.engine().docker_ok(&["image", "rm", &format!("{}-app", theirs.name())]);
    let ours = project(own.engine(), "FROM scratch\nCOPY compose.yaml /\n", "");
    let done = json(ours.run(&["clean", "--cache", "--force", "--format", "json"]).success());
    let cache = inventory(&theirs).cache;
    assert!(cache.iter().any(|it| it.description.starts_with("imported ")), "{cache:#?}");
    assert_eq!(theirs.ran(), BTreeSet::new(), "{done:#}");
}
