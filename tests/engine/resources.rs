//! What steps took of their machine, on an engine that samples it.

use crate::support::{BUSYBOX, Engine, PrivateEngine, Project, engine, text};

const BUSY: &str = "RUN i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo busy > /busy";

/// A project of one image whose second step keeps a processor busy, and whose third waits.
fn project(engine: &Engine) -> Project {
    let project = Project::new(engine);
    project
        .write("compose.yaml", "services:\n  api:\n    build: .\n")
        .write("Dockerfile", format!("FROM {BUSYBOX}\nCOPY f /\n{BUSY}\nRUN sleep 1; cat /f\n"))
        .write("f", project.name());
    project
}

fn json(project: &Project, args: &[&str]) -> serde_json::Value {
    let output = project.run(args).success();
    serde_json::from_slice(&output.get_output().stdout).unwrap()
}

/// Seconds and processor time of the steps that begin so, in a build as `history show` tells it.
fn used<'a>(build: &'a serde_json::Value, start: &str) -> (f64, &'a serde_json::Value) {
    let steps = build["targets"][0]["steps"].as_array().unwrap();
    let is_it =
        |step: &&serde_json::Value| step["instruction"].as_str().unwrap().starts_with(start);
    let step = steps.iter().find(is_it).unwrap_or_else(|| panic!("no {start} in {build:#}"));
    (step["seconds"].as_f64().unwrap(), &step["resources"])
}

fn check(build: &serde_json::Value) {
    let ((seconds, busy), (_, idle)) = (used(build, "RUN i=0"), used(build, "RUN sleep"));
    let cpu = |resources: &serde_json::Value| resources["cpu_seconds"].as_f64().unwrap();
    // One process: no more than the step took, nearly all of it where nothing else runs.
    assert!(cpu(busy) > 0.0 && cpu(busy) <= seconds + 0.1, "{build:#}");
    assert!(cpu(idle) < cpu(busy), "{build:#}");
    assert!(used(build, "COPY").1.is_null(), "{build:#}");
}

#[test]
fn what_a_step_took_is_told_where_the_engine_samples_it() {
    let private = PrivateEngine::with_samples("28.5");
    private.import_base("busybox");
    let project = project(private.engine());
    project.run(&["build", "--timeline", "t.html", "--trace", "t.json"]).success();
    check(&json(&project, &["history", "show", "--format", "json"]));
    let shown = text(project.run(&["history", "show"]).success().get_output());
    assert!(shown.contains(" CPU ") || shown.contains(" CPU\n"), "{shown}");
    let page = std::fs::read_to_string(project.dir().join("t.html")).unwrap();
    assert!(page.contains(" of processor time"), "{page}");
    let trace = std::fs::read_to_string(project.dir().join("t.json")).unwrap();
    assert!(trace.contains("cpu_seconds"), "{trace}");
    // The same of a remembered build.
    project.run(&["history", "show", "--timeline", "again.html"]).success();
    let page = std::fs::read_to_string(project.dir().join("again.html")).unwrap();
    assert!(page.contains(" of processor time"), "{page}");

    // What came from the cache took nothing.
    project.run(&["build", "--always-solve"]).success();
    let cached = json(&project, &["history", "show", "--format", "json"]);
    assert!(used(&cached, "RUN i=0").1.is_null(), "{cached:#}");

    // A build that somebody else asked for has its samples in the engine's history.
    project.write("f", "other");
    let built = project.docker(&["buildx", "build", "--no-cache", "--metadata-file", "m", "."]);
    assert!({ built }.output().unwrap().status.success());
    let told = std::fs::read_to_string(project.dir().join("m")).unwrap();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    let build_ref = told["buildx.build.ref"].as_str().unwrap().rsplit('/').next().unwrap();
    check(&json(&project, &["history", "show", build_ref, "--format", "json"]));
}

#[test]
fn nothing_is_told_where_it_does_not() {
    let project = project(&engine("28.5"));
    project.run(&["build"]).success();
    let build = json(&project, &["history", "show", "--format", "json"]);
    let samples =
        engine("28.5").docker_ok(&["info", "--format", "{{.CgroupVersion}}"]).trim() == "2";
    assert_eq!(used(&build, "RUN i=0").1.is_null(), !samples, "{build:#}");
}
