//! The cache of a builder: what `stats --builder` tells of it. Each on an engine of its own behind a proxy: sums are over all
//! of a builder.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Output;

use serde_json::Value;

use crate::builders_in_pods::Cluster;
use crate::builds_elsewhere::{buildx, built, command, create_unseen};
use crate::support::{BUSYBOX, BuildkitStandIn, Engine, PrivateEngine, Project, text};

/// A builder `far` with all of one engine's BuildKit behind it.
pub(crate) struct Far {
    pub(crate) engine: PrivateEngine,
    pub(crate) buildkit: BuildkitStandIn,
}

impl Far {
    pub(crate) fn start() -> Self {
        let engine = PrivateEngine::start("28.5-containerd");
        engine.import_base("busybox");
        let buildkit = BuildkitStandIn::on_socket(engine.engine().socket());
        Self { engine, buildkit }
    }

    /// A project that stands on nothing: no layer of it was unpacked by anybody but BuildKit.
    pub(crate) fn project(&self) -> Project {
        let project = Project::new(self.engine.engine());
        let name = project.name();
        shell(&project);
        project
            .write("compose.yaml", "services: {app: {build: .}}\n")
            .write("own", name.repeat(20_000))
            .write(
                "Dockerfile",
                format!(
                    "FROM scratch\nCOPY sh /bin/sh\nCOPY own /own\n\
                     RUN --mount=type=cache,id={name},target=/c echo {name} >/c/kept; echo {name} >/made\n"
                ),
            );
        create_unseen(&project, "far", &self.buildkit.address(), &[]);
        project
    }

    /// What the builder has, by id, as BuildKit tells buildx.
    pub(crate) fn records(&self, project: &Project) -> BTreeMap<String, Value> {
        let listed = buildx(project, &["du", "--builder", "far", "--format", "json"]);
        let listed = String::from_utf8(listed.stdout).unwrap();
        let lines = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|it| (it["ID"].as_str().unwrap().to_owned(), it)).collect()
    }
}

/// Puts a static shell of the test's base image beside the Dockerfile.
pub(crate) fn shell(project: &Project) {
    let engine: &Engine = project.engine();
    let container = format!("{}-shell", project.name());
    engine.docker_ok(&["create", "--name", &container, BUSYBOX, "true"]);
    let source = format!("{container}:/bin/busybox");
    let to = project.dir().join("sh");
    engine.docker_ok(&["cp", &source, to.to_str().unwrap()]);
    engine.docker_ok(&["rm", &container]);
}

/// As Docker writes sizes (go-units, `HumanSizeWithPrecision`).
fn in_four_digits(bytes: u64) -> String {
    let (mut size, mut unit) = (bytes as f64, 0);
    while size >= 1000.0 {
        (size, unit) = (size / 1000.0, unit + 1);
    }
    let whole = format!("{}", size as u64).len();
    let text = format!("{size:.*}", 4 - whole);
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{}", ["B", "kB", "MB", "GB"][unit])
}

pub(crate) fn run(project: &Project, args: &[&str]) -> Output {
    command(project, args).output().unwrap()
}

#[track_caller]
pub(crate) fn stats(project: &Project) -> Value {
    let output = run(project, &["stats", "--builder", "far", "--format", "json", "-v"]);
    assert!(output.status.success(), "{}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
pub(crate) fn refused(project: &Project, args: &[&str], code: i32) -> String {
    let output = run(project, args);
    let said = text(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    assert_eq!(said.matches("error: ").count(), 1, "{args:?}: {said}");
    said
}

#[test]
fn stats_tells_of_a_builder_what_buildx_does_and_whose_it_is() {
    let far = Far::start();
    let (ours, theirs) = (far.project(), far.project());
    for project in [&ours, &theirs] {
        built(project, &["--builder", "far", "build"]);
    }
    // Somebody without a project.
    let plain = far.project();
    buildx(&plain, &["build", "--builder", "far", "."]);
    let report = stats(&ours);
    let records = far.records(&ours);
    let node = &report["nodes"][0];
    assert_eq!(report["builder"]["driver"], "remote");
    assert_eq!((&node["name"], &node["status"]), (&"far0".into(), &"running".into()));
    let listed = node["cache"]["records"].as_array().unwrap();
    let ids: BTreeSet<&str> = listed.iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(ids, records.keys().map(String::as_str).collect());
    for record in listed {
        let told = &records[record["id"].as_str().unwrap()];
        let size = in_four_digits(record["size_bytes"].as_u64().unwrap());
        assert_eq!(told["Size"], size, "{record:#} {told:#}");
    }
    // buildx has four digits, the engine in front of the same BuildKit all of them.
    let total: u64 = far.engine.cache_records().iter().map(|it| it.size_bytes).sum();
    assert_eq!(report["cache"]["total_bytes"], total);
    assert_eq!(report["cache"]["records"], records.len());
    // Every byte is counted on one side.
    let of = |report: &Value, name: &str| report["cache"][name].as_u64().unwrap();
    let sides = ["project_bytes", "others_bytes", "unknown_bytes"];
    assert_eq!(sides.map(|name| of(&report, name)).iter().sum::<u64>(), total);
    let whose = |report: &Value, of_whom: &str| -> BTreeSet<String> {
        let listed = report["nodes"][0]["cache"]["records"].as_array().unwrap().iter();
        let steps = listed.filter(|it| it["whose"] == of_whom);
        steps.map(|it| it["description"].as_str().unwrap().to_owned()).collect()
    };
    let own = whose(&report, "project");
    assert!(own.iter().any(|step| step.contains(ours.name())), "{report:#}");
    let foreign = whose(&report, "others");
    for other in [&theirs, &plain] {
        assert!(foreign.iter().any(|step| step.contains(other.name())), "{report:#}");
        assert!(!own.iter().any(|step| step.contains(other.name())), "{report:#}");
    }
    // The other side of it sees the same bytes the other way round.
    let other = stats(&theirs);
    assert_eq!(of(&other, "total_bytes"), total);
    assert!(whose(&other, "project").iter().any(|step| step.contains(theirs.name())));
    let mounts = node["cache"]["mounts"].as_array().unwrap();
    let mount = mounts.iter().find(|it| it["id"] == ours.name()).unwrap();
    assert_eq!((&mount["whose"], &mount["services"][0]), (&"project".into(), &"app".into()));
    // The table says the same in words.
    let table = text(&run(&ours, &["stats", "--builder", "far"]));
    assert!(table.contains("Build cache of node far0"), "{table}");
    assert!(table.contains("2 other cache mounts"), "{table}");
}

#[test]
fn every_pod_is_asked_and_two_ways_to_one_count_once() {
    let (first, second) = (Far::start(), Far::start());
    let cluster = Cluster::new(first.engine.engine());
    cluster.pods(&["b-0", "b-1", "b-2"]);
    for (pod, far) in [("b-0", &first), ("b-1", &second), ("b-2", &first)] {
        cluster.reaches(pod, &far.buildkit);
    }
    let project = &cluster.project;
    shell(project);
    let name = project.name();
    project.write("Dockerfile", format!("FROM scratch\nCOPY sh /bin/sh\nRUN echo {name} >/made\n"));
    // The keys lead to b-1 and b-2 (`builders::ring`).
    for key in ["/src/app", "/src"] {
        let mut build = cluster.command(&["--builder", "kube", "build"]);
        let build = build.env("DOC2MD_DOCKER_POD_KEY", key).output().unwrap();
        assert!(build.status.success(), "{}", text(&build));
    }
    let asked = |args: &[&str]| -> Value {
        let args = [args, &["--builder", "kube", "--format", "json"]].concat();
        let output = cluster.command(&args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", text(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let report = asked(&["stats"]);
    let nodes = report["nodes"].as_array().unwrap();
    let pods: Vec<&str> = nodes.iter().map(|it| it["pod"].as_str().unwrap()).collect();
    assert_eq!(pods, ["b-0", "b-1", "b-2"]);
    let bytes = |it: &Value, name: &str| it["cache"][name].as_u64().unwrap();
    assert_eq!(bytes(&nodes[0], "total_bytes"), bytes(&nodes[2], "total_bytes"));
    let sum = bytes(&nodes[0], "total_bytes") + bytes(&nodes[1], "total_bytes");
    assert_eq!(bytes(&report, "total_bytes"), sum);
    assert!(report["notes"].to_string().contains("the sum has it once"), "{report:#}");
    // A pod that is gone is told of by itself.
    cluster.gone("b-1");
    let args = ["stats", "--builder", "kube", "--format", "json"];
    let lost = cluster.command(&args).output().unwrap();
    assert_eq!(lost.status.code(), Some(3), "{}", text(&lost));
    let report: Value = serde_json::from_slice(&lost.stdout).unwrap();
    let nodes = report["nodes"].as_array().unwrap().iter();
    let states: Vec<_> = nodes.map(|it| (it["pod"].clone(), it["status"].clone())).collect();
    let expected = [("b-0", "running"), ("b-1", "unreachable"), ("b-2", "running")];
    assert_eq!(states, expected.map(|(pod, state)| (pod.into(), state.into())), "{report:#}");
    assert_eq!(bytes(&report, "total_bytes"), bytes(&report["nodes"][0], "total_bytes"));
    cluster.nothing_is_left();
}

#[test]
fn without_the_option_stats_is_about_the_engine_and_says_so() {
    let far = Far::start();
    let ours = far.project();
    let with_builder = |args: &[&str]| {
        let mut command = command(&ours, args);
        command.env("BUILDX_BUILDER", "far").output().unwrap()
    };
    let said = text(&with_builder(&["stats"]));
    assert!(said.contains("`stats --builder far` shows it"), "{said}");
    assert!(!text(&run(&ours, &["stats"])).contains("--builder"));
    // BUILDKIT_HOST names a builder without a name.
    let mut command = command(&ours, &["stats", "--builder", "-", "--format", "json"]);
    let output = command.env("BUILDKIT_HOST", far.buildkit.address()).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["builder"]["name"], "-");
    assert!(report["nodes"][0]["worker"].is_string(), "{report:#}");
}

#[test]
fn what_a_builder_does_not_have_or_that_is_not_there_is_one_error() {
    let engine = crate::support::engine("28.5-containerd");
    let project = Project::new(&engine);
    project.write("compose.yaml", "services: {app: {build: .}}\n");
    create_unseen(&project, "gone", "unix:///nowhere/buildkit.sock", &[]);
    let gone = ["stats", "--builder", "gone"];
    for (options, word) in [
        (&["--budget", "total=1GB"][..], "--budget"),
        (&["--max-growth", "5%"], "--max-growth"),
        (&["--html", "-"], "--html"),
        (&["--measure"], "--measure"),
        (&["--format", "prometheus"], "--format prometheus"),
    ] {
        let said = refused(&project, &[&gone[..], options].concat(), 2);
        assert!(said.contains(&format!("error: {word} works on docker engines")), "{said}");
    }
    let said = refused(&project, &gone, 3);
    assert!(said.contains("`gone`") && said.contains("/nowhere/buildkit.sock"), "{said}");
    let said = refused(&project, &["stats", "--builder", "nobody"], 2);
    assert!(said.contains("builders are: default, gone"), "{said}");
}
