//! The rules for garbage collection that the guide shows: engines take them, and cache mounts go last by them.

use serde_json::Value;

use crate::support::{BUSYBOX, PrivateEngine, Project, side_by_side};

const GUIDES: [&str; 2] =
    [include_str!("../../docs/tasks.md"), include_str!("../../docs/tasks.pt-BR.md")];

/// `builder.gc` as a guide shows it.
fn shown(guide: &str) -> Value {
    let lines = guide.lines().skip_while(|line| line.trim() != "{");
    let text: String = lines.take_while(|line| line.starts_with("    ")).collect();
    serde_json::from_str::<Value>(&text).unwrap()["builder"]["gc"].clone()
}

/// Has the step with the mount have taken 125 s, as the history has it.
fn took_minutes(folder: &std::path::Path) {
    let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let mut build: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let steps = build["targets"][0]["steps"].as_array_mut().unwrap();
    let step = steps.iter_mut().find(|step| !step["cache_mounts"].is_null()).unwrap();
    step["seconds"] = 125.0.into();
    std::fs::write(file, build.to_string()).unwrap();
}

/// Whether `stats` says that a cache mount is due which a build has filled, or the engine has taken it already; and what
/// `doctor` says of garbage collection.
fn told(name: &str, rules: &str) -> (bool, String) {
    let engine = PrivateEngine::with_gc(name, rules);
    engine.import_base("busybox");
    let project = Project::new(engine.engine());
    let dockerfile = format!(
        "FROM {BUSYBOX}\nRUN --mount=type=cache,id=kept,target=/c \
         head -c 9000000 /dev/urandom > /c/x\n"
    );
    project.write("compose.yaml", "services: {app: {build: .}}").write("Dockerfile", dockerfile);
    project.run(&["build"]).success();
    let builds = project.home().join(".local/state/doc2md-docker/builds");
    took_minutes(&builds.join(project.name()));
    let json = |args: &[&str]| -> Value {
        let run = project.run(args).success();
        serde_json::from_slice(&run.get_output().stdout).unwrap()
    };
    let stats = json(&["stats", "-v", "--format", "json"]);
    let mount = &stats["cache"]["mounts"][0];
    assert!(mount.is_null() || mount["id"] == "kept", "{name}: {stats:#}");
    let goes = mount.is_null() || mount["gc"]["due"] == true;
    let doctor = json(&["doctor", "--format", "json"]);
    let findings = doctor["findings"].as_array().unwrap();
    let warned = findings.iter().any(|finding| {
        let message = finding["message"].as_str().unwrap();
        message.contains("garbage collection takes kept") && message.contains("up to 2m05s longer")
    });
    let worth = &mount["worth"];
    assert_eq!(worth.is_null(), mount.is_null() || !goes, "{name}: {stats:#}");
    if !worth.is_null() {
        assert_eq!((&worth["saves_seconds"], &worth["is_bound"]), (&125.0.into(), &true.into()));
    }
    // The engine may take it at any time.
    let now = json(&["stats", "-v", "--format", "json"]);
    let is_there = !now["cache"]["mounts"][0].is_null();
    assert!(warned || !is_there || !goes, "{name}: {doctor:#}");
    assert!(!warned || goes, "{name}: {doctor:#}");
    let finding = findings.iter().find(|it| it["check"] == "garbage-collection").unwrap();
    (goes, finding["message"].as_str().unwrap().to_owned())
}

#[test]
fn the_rules_of_the_guide_take_cache_mounts_last() {
    let [english, portuguese] = GUIDES.map(shown);
    assert_eq!(english, portuguese);
    // The same for a small disk: there is more than layers may take, and less than everything may.
    let small = english.to_string().replace("40GB", "6MB").replace("80GB", "1GB");
    assert!(small.contains("\"6MB\"") && small.contains("\"1GB\""), "{small}");
    // A rule that spares nothing, to know that the mount would be told of.
    let harsh = r#"{"enabled": true, "policy": [{"all": true, "keepStorage": "1MB"}]}"#;
    let run = |name: &'static str, rules: &str, is_due: bool, limit: &str| {
        let (goes, finding) = told(name, rules);
        assert_eq!(goes, is_due, "{name}, {rules}");
        assert!(finding.contains(limit), "{name}, {rules}: {finding}");
    };
    side_by_side(vec![
        (
            "26.1".to_owned(),
            Box::new(|| run("26.1", &small, false, "1.1 GB")) as Box<dyn FnOnce() + Send>,
        ),
        ("28.5".to_owned(), Box::new(|| run("28.5", &small, false, "1.1 GB"))),
        ("28.5, harsh".to_owned(), Box::new(|| run("28.5", harsh, true, "1.0 MB"))),
    ]);
}
