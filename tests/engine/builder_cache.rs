//! The cache of a builder: what `stats --builder` tells of it, and what `clean --cache --builder` removes. Each on an engine of
//! its own behind a proxy: sums are over all of a builder, and a prune on the containerd store can cost others theirs.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Output;

use serde_json::Value;

use crate::builds_elsewhere::{buildx, built, command, create_unseen};
use crate::support::{BUSYBOX, BuildkitStandIn, Engine, PrivateEngine, Project, text};

/// A builder `far` with all of one engine's BuildKit behind it.
struct Far {
    engine: PrivateEngine,
    buildkit: BuildkitStandIn,
}

impl Far {
    fn start() -> Self {
        let engine = PrivateEngine::start("28.5-containerd");
        engine.import_base("busybox");
        let buildkit = BuildkitStandIn::on_socket(engine.engine().socket());
        Self { engine, buildkit }
    }

    /// A project that stands on nothing: no layer of it was unpacked by anybody but BuildKit.
    fn project(&self) -> Project {
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
    fn records(&self, project: &Project) -> BTreeMap<String, Value> {
        let listed = buildx(project, &["du", "--builder", "far", "--format", "json"]);
        let listed = String::from_utf8(listed.stdout).unwrap();
        let lines = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|it| (it["ID"].as_str().unwrap().to_owned(), it)).collect()
    }
}

/// Puts a static shell of the test's base image beside the Dockerfile.
fn shell(project: &Project) {
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

fn run(project: &Project, args: &[&str]) -> Output {
    command(project, args).output().unwrap()
}

#[track_caller]
fn stats(project: &Project) -> Value {
    let output = run(project, &["stats", "--builder", "far", "--format", "json", "-v"]);
    assert!(output.status.success(), "{}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn refused(project: &Project, args: &[&str], code: i32) -> String {
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
