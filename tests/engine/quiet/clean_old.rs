//! `clean --old`: what is left of earlier builds goes, and what is current stays cached.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::clean_alone::{apart_from_looks, inventory, json, on_private_engines};
use crate::clean_by_chance::base;
use crate::support::{BUSYBOX, Chance, Engine, PrivateEngine, Project, Registry, on_every_engine};

/// A stage that is in the image by one file, a step before the file that changes, and one after it. What is its own
/// says `name`, what two projects of the same `shared` have in common says that.
fn project(engine: &Engine, base: &str, shared: &str) -> Project {
    let project = Project::new(engine);
    let name = project.name().to_owned();
    project
        .write(
            "Dockerfile",
            format!(
                "FROM {base} AS base\nRUN echo {shared} > /shared\n\
                 FROM base AS tools\nCOPY tool /tool\n\
                 RUN --mount=type=cache,id={name},target=/c cp /tool /c/tool && cp /tool /built && echo {name}\n\
                 FROM base\nRUN head -c 300000 /dev/urandom > /deps && echo {name}\n\
                 COPY file /file\nRUN head -c 400000 /dev/urandom > /made && echo {name}\n\
                 COPY --from=tools /built /built\n"
            ),
        )
        .write("compose.yaml", "services:\n  app:\n    build: .\n");
    version(&project, "one", "one");
    project
}

fn version(project: &Project, tool: &str, file: &str) {
    let name = project.name();
    project.write("tool", format!("{name} {tool}")).write("file", format!("{name} {file}"));
}

/// Ids of images and records.
fn ids(project: &Project) -> BTreeSet<String> {
    let inventory = apart_from_looks(inventory(project));
    let images = inventory.images.iter().map(|image| image.id.clone());
    images.chain(inventory.cache.iter().map(|record| record.id.clone())).collect()
}

fn removed(plan: &Value) -> BTreeSet<String> {
    let items = plan["remove"].as_array().unwrap().iter();
    items.map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

/// Builds, cleans what is old, and finds all of it cached. Returns what went.
fn keeps_what_is_current(project: &Project) -> Value {
    let before = ids(project);
    let planned = json(project, &["--old", "--dry-run"]);
    assert_eq!(ids(project), before, "a dry run removes nothing");
    let done = json(project, &["--old", "--force"]);
    assert_eq!(removed(&planned), removed(&done), "{planned:#} {done:#}");
    let after = ids(project);
    let gone: BTreeSet<String> = before.difference(&after).cloned().collect();
    assert!(gone.is_subset(&removed(&done)), "what is not in the plan went: {gone:?} {done:#}");
    assert!(removed(&done).is_disjoint(&after), "{done:#}");
    assert_eq!(project.ran(), BTreeSet::new(), "{}: {done:#}", project.engine().name);
    done
}

/// Records of the cache whose step speaks of the project.
fn steps(project: &Project) -> usize {
    let name = project.name();
    inventory(project)
        .cache
        .iter()
        .filter(|it| it.description.contains(name) && it.description.starts_with("mount / "))
        .count()
}

#[test]
fn what_an_edit_left_goes_and_the_build_after_it_is_cached() {
    on_private_engines(|own| {
        let registry = Registry::open();
        let base = base(own, &registry);
        let (ours, theirs) =
            (project(own.engine(), &base, "both"), project(own.engine(), &base, "both"));
        for project in [&ours, &theirs] {
            project.run(&["build"]).success();
        }
        let first = own.engine().image_id(&format!("{}-app", ours.name())).unwrap();
        assert_eq!(steps(&ours), 3);
        for (tool, file) in [("one", "two"), ("two", "two")] {
            version(&ours, tool, file);
            ours.run(&["build"]).success();
        }
        // The stage's RUN, and the one behind the file, ran twice; what is before the file did not.
        assert_eq!(steps(&ours), 5);
        let theirs_before =
            own.engine().docker_ok(&["image", "inspect", &format!("{}-app", theirs.name())]);
        let done = keeps_what_is_current(&ours);
        assert_eq!(steps(&ours), 3, "{}: {done:#}", own.engine().name);
        assert_eq!(own.engine().image_id(&first), None);
        assert!(done["freed_bytes"].as_u64() >= Some(400_000), "{}: {done:#}", own.engine().name);
        assert_eq!(
            own.engine().docker_ok(&["image", "inspect", &format!("{}-app", theirs.name())]),
            theirs_before
        );
        assert_eq!(theirs.ran(), BTreeSet::new(), "{}", own.engine().name);
        // Nothing is left to do, and what is kept says why.
        let again = json(&ours, &["--old", "--force"]);
        assert_eq!(removed(&again), BTreeSet::new(), "{again:#}");
        let kept = again["keep"].as_array().unwrap();
        assert!(kept.iter().any(|item| item["reason"] == "current: it has a name"), "{again:#}");
        // What was current before comes back: the engine has no choice but to run it.
        version(&ours, "one", "one");
        assert!(!ours.ran().is_empty(), "{}", own.engine().name);
        keeps_what_is_current(&ours);
    });
}

#[test]
fn containers_of_an_earlier_build_keep_its_image() {
    on_every_engine(|engine| {
        if engine.name.ends_with("containerd") {
            // An image that loses its name is gone at once there.
            return;
        }
        let project = project(engine, BUSYBOX, "container");
        project.run(&["build"]).success();
        let image = format!("{}-app", project.name());
        let first = engine.image_id(&image).unwrap();
        let container = format!("{}-mine", project.name());
        engine.docker_ok(&["create", "--name", &container, &image]);
        version(&project, "one", "two");
        project.run(&["build"]).success();
        let second = engine.image_id(&image).unwrap();
        let done = json(&project, &["--old", "--force"]);
        let still = (engine.image_id(&first).is_some(), engine.image_id(&second).is_some());
        engine.docker_ok(&["rm", &container]);
        assert_eq!(still, (true, true), "{}: {done:#}", engine.name);
        assert!(!removed(&done).contains(&first), "{}: {done:#}", engine.name);
        json(&project, &["--old", "--force"]);
        let gone = engine.image_id(&first).is_none();
        assert!(gone, "{}: nothing has it any more", engine.name);
    });
}

/// Edits at random, there and back, of files and of the Dockerfile's text, on two services: whatever is current stays
/// cached. `DOC2MD_OLD_ROUNDS=50` edits that often.
#[test]
fn whatever_was_edited_before_the_current_builds_stay_cached() {
    let rounds = std::env::var("DOC2MD_OLD_ROUNDS").ok().and_then(|text| text.parse().ok());
    on_private_engines(|own| {
        let registry = Registry::open();
        let base = base(own, &registry);
        let project = project(own.engine(), &base, "chance");
        let dockerfile = std::fs::read_to_string(project.dir().join("Dockerfile")).unwrap();
        let compose =
            "services:\n  app:\n    build: .\n  tools:\n    build: {context: ., target: tools}\n";
        project.write("compose.yaml", compose);
        let mut chance = Chance(own.engine().name.bytes().map(u64::from).sum());
        for round in 0..rounds.unwrap_or(4) {
            for _ in 0..1 + chance.next() % 3 {
                let versions = ["one", "two", "three"];
                let mut choose = || versions[(chance.next() % 3) as usize];
                version(&project, choose(), choose());
                let text = match chance.next() % 4 {
                    // Another name for a stage, another number for a step.
                    0 => dockerfile
                        .replace(" AS base", " AS ground")
                        .replace("FROM base", "FROM ground"),
                    1 => dockerfile.replace("COPY file", "WORKDIR /work\nCOPY file"),
                    _ => dockerfile.clone(),
                };
                project.write("Dockerfile", text);
                let service = ["app", "tools"][(chance.next() % 2) as usize];
                let services: &[&str] =
                    if chance.one_in(2) { &["build"] } else { &["build", service] };
                project.run(services).success();
            }
            project.run(&["build"]).success();
            let done = keeps_what_is_current(&project);
            assert!(done["remaining"].as_array().unwrap().is_empty(), "round {round}: {done:#}");
        }
    });
}

/// An engine whose disk the project has filled.
fn full(own: &PrivateEngine) -> Project {
    let project = Project::new(own.engine());
    let name = project.name();
    project
        .write(
            "Dockerfile",
            format!(
                "FROM {BUSYBOX}\nRUN --mount=type=cache,id={name},target=/c \
                 head -c 80000000 /dev/zero > /c/big && echo {name} > /f\nRUN head -c 20000000 /dev/urandom > /own\n"
            ),
        )
        .write("compose.yaml", "services:\n  app:\n    build: .\n");
    project.run(&["build"]).success();
    project
}

#[test]
fn a_full_disk_says_what_helps() {
    for name in ["20.10", "28.5"] {
        let own = PrivateEngine::with_disk(name, "130M");
        own.import_base("busybox");
        let project = full(&own);
        let text = |args: &[&str]| {
            let output = project.run(args).success().get_output().clone();
            String::from_utf8(output.stdout).unwrap()
        };
        // A glance sees that the disk is short, and takes its time.
        let shown = text(&["stats"]);
        let line = shown.lines().find(|line| line.contains("clean --only cache frees"));
        let line = line.unwrap_or_else(|| panic!("{name}: {shown}"));
        let report: Value = serde_json::from_str(&text(&["stats", "--format", "json"])).unwrap();
        let (disk, remedies) = (&report["disk"], report["remedies"].as_array().unwrap());
        let all = disk["size_bytes"].as_u64().unwrap();
        assert!((100_000_000..140_000_000).contains(&all), "{name}: {disk}");
        assert!(disk["used_bytes"].as_u64() > Some(100_000_000), "{name}: {disk}");
        assert!(disk["free_bytes"].as_u64() < Some(all / 5), "{name}: {disk}");
        let own_sum = &report["projects"][0];
        assert_eq!(own_sum["project"], project.name(), "{report:#}");
        // As the dry run has it: the cache mount by its true size.
        let plan = json(&project, &["--only", "cache", "--dry-run"]);
        let frees = plan["estimated_bytes"].as_u64().unwrap();
        assert!(frees > 80_000_000, "{name}: {plan:#}");
        let [remedy] = &remedies[..] else { panic!("{name}: {report:#}") };
        assert_eq!(remedy["command"], "doc2md-docker clean --only cache", "{name}");
        assert_eq!(remedy["frees_bytes"].as_u64(), Some(frees), "{name}: {line}");
        // Without `--cache` little goes, and that is said; so it is of a goal that is far away.
        let offered = text(&["clean", "--volumes=false", "--dry-run"]);
        assert!(offered.contains("\n--cache would free "), "{name}: {offered}");
        let limited = text(&["clean", "--max-used-space", "5GB", "--dry-run"]);
        assert!(
            limited.contains("nothing to remove\nclean --only cache would free "),
            "{name}: {limited}"
        );
        // A step that finds the disk full is told what helps.
        project.write(
            "Dockerfile.fill",
            format!("FROM {BUSYBOX}\nRUN dd if=/dev/zero of=/fill bs=1M count=200\n"),
        );
        let failed = project.run(&["build", "--set", "app.dockerfile=Dockerfile.fill"]).code(1);
        let said = String::from_utf8_lossy(&failed.get_output().stderr).into_owned();
        assert!(said.contains("No space left on device"), "{name}: {said}");
        assert!(said.contains("`doc2md-docker clean --old`"), "{name}: {said}");
        let done = json(&project, &["--only", "cache", "--force"]);
        let freed = done["freed_bytes"].as_u64().unwrap();
        assert!(freed.abs_diff(frees) < 2_000_000, "{name}: {frees} {done:#}");
    }
}
