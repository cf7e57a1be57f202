//! `clean --cache --builder`: of what a builder keeps only the project's goes. Each on engines of its own behind proxies: a
//! prune on the containerd store can cost others theirs.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use boon::{Compiler, Schemas};
use rustix::process::Signal;
use serde_json::Value;

use crate::builder_cache::{Far, refused, run, shell, stats};
use crate::builders_in_pods::Cluster;
use crate::builds_elsewhere::{buildx, built, command, create_unseen};
use crate::interrupt::{runs, signal};
use crate::support::{BUSYBOX, Project, eventually, text};

const SCHEMA: &str = include_str!("../../docs/clean.schema.json");
const CLEAN: [&str; 4] = ["clean", "--cache", "--builder", "far"];

/// Waits until no build holds anything: BuildKit lets go of some of it after it has answered.
fn settled(far: &Far) {
    eventually("no build holds a record", || {
        far.engine.cache_records().iter().all(|record| !record.in_use).then_some(())
    });
}

/// Ids of all records.
fn all(far: &Far) -> BTreeSet<String> {
    far.engine.cache_records().into_iter().map(|record| record.id).collect()
}

/// Ids of the records that `stats` counts as the project's.
#[track_caller]
fn own(project: &Project) -> BTreeSet<String> {
    let report = stats(project);
    let listed = report["nodes"][0]["cache"]["records"].as_array().unwrap().iter();
    let own = listed.filter(|it| it["whose"] == "project");
    own.map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

/// What a run has to say, as its schema has it.
#[track_caller]
fn document(output: &Output) -> Value {
    let json = String::from_utf8(output.stdout.clone()).unwrap();
    let document = serde_json::from_str(&json).unwrap_or_else(|_| panic!("{}", text(output)));
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource("urn:schema", serde_json::from_str(SCHEMA).unwrap()).unwrap();
    let schema = compiler.compile("urn:schema", &mut schemas).unwrap();
    if let Err(faults) = schemas.validate(&document, schema) {
        panic!("{faults:#}");
    }
    document
}

#[track_caller]
fn clean(project: &Project, args: &[&str]) -> Value {
    let fixed = ["clean", "--builder", "far", "--format", "json"];
    let output = run(project, &[&fixed[..], args].concat());
    assert!(output.status.success(), "{args:?}: {}", text(&output));
    document(&output)
}

fn ids(things: &Value) -> BTreeSet<String> {
    let things = things.as_array().unwrap().iter();
    things.map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

/// What stays and is named like this.
fn kept<'a>(document: &'a Value, word: &str) -> Vec<&'a Value> {
    let kept = document["keep"].as_array().unwrap().iter();
    kept.filter(|it| it["name"].as_str().unwrap().contains(word)).collect()
}

/// That a build of the project runs nothing.
#[track_caller]
fn is_cached(project: &Project) {
    let (said, _) = built(project, &["--builder", "far", "build"]);
    assert!(said.contains("cached, 0 run"), "{said}");
}

/// A build of somebody who has no project; returns what it said.
fn plain(project: &Project) -> String {
    text(&buildx(project, &["build", "--builder", "far", "--progress", "plain", "."]))
}

/// `far` with the node `far0` there, and `gone0` at which nobody listens.
fn with_gone_node(project: &Project, address: &str) {
    create_nodes(project, &[("gone0", "unix:///nowhere/buildkit.sock"), ("far0", address)]);
}

/// Writes what `buildx create --append` writes.
fn create_nodes(project: &Project, nodes: &[(&str, &str)]) {
    create_unseen(project, "far", nodes[0].1, &[]);
    let file = project.home().join("buildx/instances/far");
    let mut builder: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let node = builder["Nodes"][0].clone();
    let named = nodes.iter().map(|(name, address)| {
        let mut node = node.clone();
        node["Name"] = (*name).into();
        node["Endpoint"] = (*address).into();
        node
    });
    builder["Nodes"] = named.collect();
    std::fs::write(&file, builder.to_string()).unwrap();
}

#[test]
fn clean_takes_the_projects_records_of_a_builder_and_no_others() {
    let far = Far::start();
    let (ours, theirs, other) = (far.project(), far.project(), far.project());
    for project in [&ours, &theirs] {
        built(project, &["--builder", "far", "build"]);
    }
    plain(&other);
    settled(&far);
    let before = all(&far);
    let (mine, others) = (own(&ours), own(&theirs));
    assert!(mine.is_disjoint(&others) && !mine.is_empty() && !others.is_empty());
    let planned = clean(&ours, &["--cache", "--dry-run"]);
    assert_eq!((&planned["builder"], &planned["freed_bytes"]), (&"far".into(), &Value::Null));
    assert_eq!(ids(&planned["remove"]), mine, "{planned:#}");
    assert!(planned["remove"].as_array().unwrap().iter().all(|it| it["node"] == "far0"));
    // What all have in common stays for a reason.
    assert_eq!(kept(&planned, "COPY sh /bin/sh").len(), 1, "{planned:#}");
    let unasked = refused(&ours, &CLEAN, 2);
    assert!(unasked.contains("--force removes without asking"), "{unasked}");
    assert_eq!(all(&far), before);

    let image = format!("{}-app", ours.name());
    let done = clean(&ours, &["--cache", "--force"]);
    assert_eq!(done["remove"], planned["remove"]);
    assert_eq!(done["remaining"].as_array().unwrap().len(), 0);
    assert_eq!(done["freed_bytes"], done["estimated_bytes"]);
    assert!(done["freed_bytes"].as_u64().unwrap() > 0);
    assert_eq!(all(&far), before.difference(&mine).cloned().collect());
    // Nothing but cache went, and the builds of the others stand as they did.
    assert!(ours.engine().image_id(&image).is_some());
    assert_eq!(own(&theirs), others);
    is_cached(&theirs);
    let again = plain(&other);
    assert_eq!(again.matches(" CACHED").count(), 3, "{again}");
    settled(&far);
    let nothing = clean(&ours, &["--cache", "--force"]);
    assert_eq!(nothing["remove"].as_array().unwrap().len(), 0, "{nothing:#}");
    // It is remembered why the next build runs.
    built(&ours, &["--builder", "far", "build"]);
    let why = text(&run(&ours, &["why"]));
    assert!(why.contains("clean"), "{why}");
}

#[test]
fn what_nobody_remembers_to_have_made_stays() {
    let far = Far::start();
    let (ours, other) = (far.project(), far.project());
    let mount =
        format!("RUN --mount=type=cache,target=/nobodys echo {0} >/nobodys/{0}\n", other.name());
    let dockerfile = std::fs::read_to_string(other.dir().join("Dockerfile")).unwrap();
    other.write("Dockerfile", dockerfile + &mount);
    plain(&other);
    // A build under the project's name, too, of a ledger that is gone.
    built(&ours, &["--builder", "far", "build"]);
    std::fs::remove_dir_all(ours.home().join(".local/state/doc2md-docker")).unwrap();
    buildx(&ours, &["history", "rm", "--all", "--builder", "far"]);
    settled(&far);
    let before = all(&far);
    let nothing = clean(&ours, &["--cache", "--force"]);
    assert_eq!(nothing["remove"].as_array().unwrap().len(), 0, "{nothing:#}");
    assert_eq!(all(&far), before);

    let own_file = std::fs::read_to_string(ours.dir().join("own")).unwrap();
    ours.write("own", own_file + "more");
    built(&ours, &["--builder", "far", "build"]);
    settled(&far);
    let planned = clean(&ours, &["--cache", "--dry-run"]);
    let mounts: Vec<_> = kept(&planned, "/nobodys");
    assert!(mounts.iter().any(|it| it["name"].as_str().unwrap().contains("cached mount")));
    let done = clean(&ours, &["--cache", "--force"]);
    assert_eq!(done["remove"], planned["remove"]);
    assert!(
        !ids(&done["remove"]).is_empty() && ids(&done["remove"]).is_disjoint(&before),
        "{done:#}"
    );
    assert!(all(&far).is_superset(&before), "{done:#}");
    let again = plain(&other);
    assert_eq!(again.matches(" CACHED").count(), 4, "{again}");
}

#[test]
fn another_checkout_of_the_project_keeps_its_records() {
    let far = Far::start();
    let ours = far.project();
    let other = ours.dir().join("other");
    std::fs::create_dir(&other).unwrap();
    for file in ["compose.yaml", "Dockerfile", "sh"] {
        std::fs::copy(ours.dir().join(file), other.join(file)).unwrap();
    }
    std::fs::write(other.join("own"), "of the other one".repeat(20_000)).unwrap();
    let in_other = |args: &[&str]| {
        let output = command(&ours, args).current_dir(&other).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        output
    };
    ours.write(".dockerignore", "other\n");
    built(&ours, &["--builder", "far", "build"]);
    settled(&far);
    let mine = all(&far);
    in_other(&["--builder", "far", "build"]);
    settled(&far);
    let before = all(&far);
    let theirs: BTreeSet<String> = before.difference(&mine).cloned().collect();
    let done = clean(&ours, &["--cache", "--force"]);
    let gone = ids(&done["remove"]);
    assert!(!gone.is_empty() && gone.is_disjoint(&theirs), "{done:#}");
    assert_eq!(all(&far), before.difference(&gone).cloned().collect());
    let again = in_other(&["--builder", "far", "build", "--progress", "plain"]);
    assert!(text(&again).contains("3 cached, 0 run"), "{}", text(&again));
}

#[test]
fn a_build_that_has_cached_what_is_ours_keeps_it() {
    let far = Far::start();
    let (ours, theirs) = (far.project(), far.project());
    built(&ours, &["--builder", "far", "build"]);
    // The same files and the same steps, under another name and from another machine's ledger.
    for file in ["Dockerfile", "own"] {
        theirs.write(file, std::fs::read(ours.dir().join(file)).unwrap());
    }
    plain(&theirs);
    settled(&far);
    let planned = clean(&ours, &["--cache", "--dry-run"]);
    assert!(!kept(&planned, ">/made").is_empty(), "{planned:#}");
    clean(&ours, &["--cache", "--force"]);
    let again = plain(&theirs);
    assert_eq!(again.matches(" CACHED").count(), 3, "{again}");
}

#[test]
fn the_projects_name_on_another_machine_is_somebody_elses() {
    let far = Far::start();
    let (ours, theirs) = (far.project(), far.project());
    built(&ours, &["--builder", "far", "build"]);
    let build = || {
        let mut build = command(&theirs, &["--builder", "far", "build", "--progress", "plain"]);
        let output = build.env("COMPOSE_PROJECT_NAME", ours.name()).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    };
    build();
    settled(&far);
    let (before, mine) = (all(&far), own(&ours));
    let done = clean(&ours, &["--cache", "--force"]);
    assert!(!mine.is_empty());
    assert_eq!(ids(&done["remove"]), mine);
    assert_eq!(all(&far), before.difference(&mine).cloned().collect());
    let again = build();
    assert!(again.contains("3 cached, 0 run"), "{again}");
}

#[test]
fn what_a_build_uses_stays_and_limits_count() {
    let far = Far::start();
    let ours = far.project();
    let nap = format!("5000{}", ours.name().replace(|it: char| !it.is_ascii_digit(), ""));
    built(&ours, &["--builder", "far", "build"]);
    settled(&far);
    let size = |request: &[&str]| {
        clean(&ours, &[request, &["--dry-run"]].concat())["estimated_bytes"].as_u64().unwrap()
    };
    let whole = size(&["--cache"]);
    assert!(whole > 0);
    assert_eq!(size(&["--max-used-space", "1GB"]), 0);
    assert_eq!(size(&["--max-used-space", "0B"]), whole);
    assert_eq!(size(&["--cache", "--filter", "until=1h"]), 0);
    // A step that holds the mount and stands on the copied file.
    let dockerfile = std::fs::read_to_string(ours.dir().join("Dockerfile")).unwrap();
    let longer = dockerfile.replace("/c echo", &format!("/c sleep {nap}; echo"));
    assert_ne!(longer, dockerfile);
    ours.write("Dockerfile", longer);
    let mut build = command(&ours, &["--builder", "far", "build"]);
    let mut running = build.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    eventually("the step runs", || runs(&nap).then_some(()));
    let done = clean(&ours, &["--cache", "--force"]);
    let used: Vec<_> = done["keep"].as_array().unwrap().iter().collect();
    let used = used.into_iter().filter(|it| it["reason"] == "a build uses it now");
    let used: BTreeSet<String> = used.map(|it| it["id"].as_str().unwrap().to_owned()).collect();
    assert!(!used.is_empty(), "{done:#}");
    assert!(runs(&nap), "the step was not disturbed");
    assert!(all(&far).is_superset(&used), "{done:#}");
    let table = text(&run(&ours, &[&CLEAN[..], &["--dry-run"]].concat()));
    assert!(table.contains("a build uses it now"), "{table}");
    signal(&running, Signal::INT);
    running.wait().unwrap();
    // What it stood upon is there.
    ours.write("Dockerfile", dockerfile);
    let (said, _) = built(&ours, &["--builder", "far", "build"]);
    assert!(said.contains("built, 2 cached, 1 run"), "{said}");
}

#[test]
fn on_an_imported_base_nothing_goes_that_costs_others_theirs() {
    let far = Far::start();
    let (ours, theirs) = (far.project(), far.project());
    let upon = |project: &Project| {
        let name = project.name();
        project.write("Dockerfile", format!("FROM {BUSYBOX}\nRUN echo {name} >/made\n"));
        built(project, &["--builder", "far", "build"]);
    };
    upon(&ours);
    settled(&far);
    // Alone on it the project's goes, and the base stays.
    let alone = clean(&ours, &["--cache", "--dry-run"]);
    assert!(!ids(&alone["remove"]).is_empty(), "{alone:#}");
    let base = alone["keep"].as_array().unwrap().iter();
    let base = base.filter(|it| it["reason"].as_str().unwrap().contains("base image"));
    let base: BTreeSet<String> = base.map(|it| it["id"].as_str().unwrap().to_owned()).collect();
    assert!(!base.is_empty(), "{alone:#}");

    upon(&theirs);
    settled(&far);
    let before = all(&far);
    let done = clean(&ours, &["--cache", "--force"]);
    assert_eq!(done["remove"].as_array().unwrap().len(), 0, "{done:#}");
    let held = done["keep"].as_array().unwrap().iter();
    let held = held.filter(|it| it["reason"].as_str().unwrap().contains("BuildKit forget"));
    assert!(held.count() > 0, "{done:#}");
    assert_eq!(all(&far), before);
    is_cached(&theirs);
    settled(&far);
    // Of theirs nothing is left to be forgotten once it goes, too.
    let everything = run(&ours, &["clean", "--builder", "far", "--cache=all", "--force"]);
    let said = text(&everything);
    assert!(everything.status.success(), "{said}");
    assert!(said.contains("the build cache of everybody on this builder"), "{said}");
    assert_eq!(all(&far).len(), 0);
}

#[test]
fn a_node_that_is_gone_is_told_and_the_others_are_cleaned() {
    let far = Far::start();
    let (ours, theirs) = (far.project(), far.project());
    for project in [&ours, &theirs] {
        built(project, &["--builder", "far", "build"]);
    }
    settled(&far);
    let (before, mine) = (all(&far), own(&ours));
    with_gone_node(&ours, &far.buildkit.address());
    for args in [&["--dry-run"][..], &["--force"]] {
        let output = run(&ours, &[&CLEAN[..], &["--format", "json"], args].concat());
        let said = text(&output);
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(
            said.contains("left alone: cannot reach the builder `far`, node `gone0`"),
            "{said}"
        );
        assert!(said.contains("error: cannot reach the builder `far`, node `gone0`"), "{said}");
        let told = document(&output);
        assert_eq!(ids(&told["remove"]), mine, "{told:#}");
        assert!(told["remove"].as_array().unwrap().iter().all(|it| it["node"] == "far0"));
        assert!(told["notes"].to_string().contains("node `gone0`"), "{told:#}");
        assert_eq!(told["remaining"].as_array().unwrap().len(), 0, "{told:#}");
        match args {
            ["--force"] => assert_eq!(all(&far), before.difference(&mine).cloned().collect()),
            _ => assert_eq!(all(&far), before),
        }
    }
    is_cached(&theirs);
}

/// Runs the command in a terminal, and goes on once it has asked.
fn asked(project: &Project, between: impl FnOnce(), keys: &[u8]) -> (Option<i32>, String) {
    let program = Path::new(env!("CARGO_BIN_EXE_doc2md-docker"));
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command"])
        .arg(format!("{} {}", program.display(), CLEAN.join(" ")))
        .arg("/dev/null")
        .current_dir(project.dir())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("SHELL", "/bin/bash")
        .env("TERM", "xterm")
        .env("HOME", project.home())
        .env("BUILDX_CONFIG", project.home().join("buildx"))
        .env("DOCKER_CONFIG", project.home().join("docker"))
        .env("DOCKER_HOST", &project.engine().host)
        .env("COMPOSE_PROJECT_NAME", project.name())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut screen = child.stdout.take().unwrap();
    let mut said = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&said).contains("[y/N]") {
        assert_eq!(screen.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&said));
        said.extend(byte);
    }
    between();
    let mut typed = child.stdin.take().unwrap();
    for key in keys {
        typed.write_all(&[*key]).unwrap();
    }
    screen.read_to_end(&mut said).unwrap();
    (child.wait().unwrap().code(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_node_that_is_lost_before_its_turn_leaves_the_others_theirs() {
    let (first, second) = (Far::start(), Far::start());
    let ours = first.project();
    // Each has a build of it.
    for far in [&second, &first] {
        create_unseen(&ours, "far", &far.buildkit.address(), &[]);
        built(&ours, &["--builder", "far", "build"]);
        settled(far);
    }
    let addresses = [first.buildkit.address(), second.buildkit.address()];
    create_nodes(&ours, &[("far0", &addresses[0]), ("far1", &addresses[1])]);
    let before = [&first, &second].map(all);
    // Who says no leaves all of it.
    let (code, said) = asked(&ours, || {}, b"n\n");
    assert_eq!(code, Some(1), "{said}");
    assert_eq!([&first, &second].map(all), before);

    let (code, said) = asked(&ours, || first.buildkit.cut(), b"y\n");
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("the builder `far`, node `far0`"), "{said}");
    assert_eq!(said.matches("error:").count(), 1, "{said}");
    assert!(!said.contains("not reached"), "{said}");
    assert_eq!(all(&first), before[0]);
    let left = all(&second);
    assert!(left.is_subset(&before[1]) && left != before[1], "{said}");
}

#[test]
fn what_is_used_once_the_plan_is_made_stays_and_is_told() {
    let far = Far::start();
    let ours = far.project();
    built(&ours, &["--builder", "far", "build"]);
    settled(&far);
    let (code, said) = asked(
        &ours,
        || {
            is_cached(&ours);
            settled(&far);
        },
        b"y\n",
    );
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("a build has used it since the plan was made"), "{said}");
    assert!(said.contains(" things remain"), "{said}");
    is_cached(&ours);
}

#[test]
fn whoever_stops_it_need_not_wait_for_a_silent_builder() {
    let far = Far::start();
    let ours = far.project();
    built(&ours, &["--builder", "far", "build"]);
    settled(&far);
    let before = all(&far);
    let (code, said) = asked(&ours, || far.buildkit.freeze(), b"y\n\x03");
    assert_eq!(code, Some(130), "{said}");
    assert_eq!(all(&far), before);
}

#[test]
fn every_pod_is_cleaned_and_one_that_is_gone_is_told() {
    let (first, second) = (Far::start(), Far::start());
    let cluster = Cluster::new(first.engine.engine());
    cluster.pods(&["b-0", "b-1", "b-2"]);
    for (pod, far) in [("b-0", &first), ("b-1", &second), ("b-2", &first)] {
        cluster.reaches(pod, &far.buildkit);
    }
    let project = &cluster.project;
    shell(project);
    let build = || {
        // The keys lead to b-1 and b-2 (`builders::ring`).
        for key in ["/src/app", "/src"] {
            let mut build = cluster.command(&["--builder", "kube", "build"]);
            let build = build.env("DOC2MD_DOCKER_POD_KEY", key).output().unwrap();
            assert!(build.status.success(), "{}", text(&build));
        }
        settled(&first);
        settled(&second);
    };
    let of = |name: &str| {
        let step = format!("RUN echo {name}{} >/made\n", project.name());
        project.write("Dockerfile", format!("FROM scratch\nCOPY sh /bin/sh\n{step}"));
    };
    let clean = |code: i32| {
        let args = ["clean", "--cache", "--builder", "kube", "--force", "--format", "json"];
        let output = cluster.command(&args).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
        let document = document(&output);
        // With several it is told what goes of each.
        let is_told = document["notes"].to_string().contains("kube0/b-0: ");
        assert_eq!(is_told, code == 0, "{document:#}");
        let removed = document["remove"].as_array().unwrap().iter();
        let places: BTreeSet<String> =
            removed.map(|it| it["node"].as_str().unwrap().to_owned()).collect();
        (places, text(&output))
    };
    of("a");
    build();
    // The project's of both, each where it is; two pods are one BuildKit.
    assert_eq!(clean(0).0, ["kube0/b-0", "kube0/b-1"].map(str::to_owned).into());
    assert_eq!(clean(0).0.len(), 0);
    of("b");
    build();
    let before = all(&second);
    cluster.gone("b-1");
    let (places, said) = clean(3);
    assert_eq!(places, ["kube0/b-0".to_owned()].into(), "{said}");
    assert!(
        said.contains("error: cannot reach the builder `kube`, node `kube0`, in the pod `b-1`"),
        "{said}"
    );
    assert_eq!(all(&second), before);
    cluster.nothing_is_left();
}

#[test]
fn the_engines_own_builder_is_the_engine() {
    let far = Far::start();
    let ours = far.project();
    built(&ours, &["build"]);
    settled(&far);
    let plan = |args: &[&str]| {
        let fixed = ["clean", "--cache", "--dry-run", "--format", "json"];
        let output = run(&ours, &[&fixed[..], args].concat());
        assert!(output.status.success(), "{}", text(&output));
        document(&output)
    };
    // The first question looks into cache mounts, which leaves a record.
    plan(&[]);
    let (without, named) = (plan(&[]), plan(&["--builder", "default"]));
    assert_eq!(without, named);
    let removed = without["remove"].as_array().unwrap();
    let of_kind = |kind: &str| removed.iter().filter(|it| it["kind"] == kind).count();
    assert!(of_kind("image") == 1 && of_kind("cache") > 0, "{without:#}");
    assert!(without.get("builder").is_none() && removed[0].get("node").is_none(), "{without:#}");
    // Whoever builds elsewhere by a variable cleans here, and hears of it.
    let mut command = command(&ours, &["clean", "--cache", "--dry-run"]);
    let said = text(&command.env("BUILDX_BUILDER", "far").output().unwrap());
    assert!(said.contains("`clean --cache --builder far` removes the project's"), "{said}");
}

#[test]
fn what_a_builder_does_not_have_or_that_is_not_there_is_one_error() {
    let engine = crate::support::engine("28.5-containerd");
    let project = Project::new(&engine);
    project.write("compose.yaml", "services: {app: {build: .}}\n");
    create_unseen(&project, "gone", "unix:///nowhere/buildkit.sock", &[]);
    let clean = ["clean", "--builder", "gone"];
    for (options, words) in [
        (&[][..], "goes only where that is asked for"),
        (&["--cache", "--volumes"], "--volumes works on docker engines"),
        (&["--cache", "--images=true"], "--images works on docker engines"),
        (&["--cache", "--networks=true"], "--networks works on docker engines"),
        (&["--cache", "--containers=true"], "--containers works on docker engines"),
        (&["--cache", "--include", "undeclared"], "--include works on docker engines"),
        (&["--cache", "--stop"], "--stop works on docker engines"),
        (&["--all"], "--all works on docker engines"),
        (&["--old"], "--old works on docker engines"),
        (&["--only", "images"], "--only works on docker engines"),
        (&["--min-free-space", "1GB"], "--min-free-space works on docker engines"),
    ] {
        let said = refused(&project, &[&clean[..], options].concat(), 2);
        assert!(said.contains(words), "{said}");
    }
    let said = refused(&project, &[&clean[..], &["--cache", "--force"]].concat(), 3);
    assert!(said.contains("`gone`") && said.contains("/nowhere/buildkit.sock"), "{said}");
    let said = refused(&project, &["clean", "--cache", "--builder", "nobody"], 2);
    assert!(said.contains("builders are: default, gone"), "{said}");
}
