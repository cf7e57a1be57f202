//! Builders as the real buildx writes them down: which one is chosen, what its nodes tell, and that none is ignored in
//! silence.

use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{BUSYBOX, BuildkitStandIn, Engine, Project, on_every_engine, text};

/// Runs the real buildx on the files of this project.
fn buildx(engine: &Engine, project: &Project, args: &[&str]) -> Output {
    let output = Command::new(std::env::var("DOC2MD_TEST_BUILDX").unwrap())
        .args(args)
        .env("DOCKER_HOST", &engine.host)
        .env("DOCKER_CONFIG", project.home().join("docker"))
        .env("BUILDX_CONFIG", project.home().join("buildx"))
        .output()
        .unwrap();
    assert!(output.status.success(), "buildx {args:?}: {}", text(&output));
    output
}

fn ours(project: &Project, args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = project.command(args);
    command
        .env("DOCKER_CONFIG", project.home().join("docker"))
        .env("BUILDX_CONFIG", project.home().join("buildx"))
        .envs(variables.iter().copied());
    command.output().unwrap()
}

fn listed(project: &Project, args: &[&str], variables: &[(&str, &str)]) -> Vec<Value> {
    let output = ours(project, &[&["builders"], args, &["--format", "json"]].concat(), variables);
    assert!(output.status.success(), "{}", text(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    document["builders"].as_array().unwrap().clone()
}

fn builder<'a>(all: &'a [Value], name: &str) -> &'a Value {
    all.iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("no {name} in {all:#?}"))
}

#[test]
fn builders_of_buildx_are_listed_and_asked() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let buildkit = BuildkitStandIn::start(engine.socket());
        let address = buildkit.address();
        buildx(engine, &project, &["create", "--name", "far", "--driver", "remote", &address]);
        let gone = ["create", "--name", "far", "--append", "--node", "gone", "tcp://127.0.0.1:9"];
        buildx(engine, &project, &[&gone[..], &["--driver", "remote"]].concat());
        buildx(engine, &project, &["create", "--name", "box", "--driver", "docker-container"]);

        let all = listed(&project, &["ls"], &[]);
        assert_eq!(builder(&all, "default")["chosen"], true, "{all:#?}");
        let own = &builder(&all, "default")["nodes"][0];
        assert_eq!(own["status"], "running", "{all:#?}");
        let far = builder(&all, "far");
        assert_eq!((&far["driver"], &far["chosen"]), (&"remote".into(), &false.into()));
        let [near, gone] = &far["nodes"].as_array().unwrap()[..] else { panic!("{far:#}") };
        assert_eq!(near["status"], "running", "{far:#}");
        // It is the same BuildKit, reached in two ways.
        assert_eq!(near["platforms"], own["platforms"]);
        assert!(near["platforms"].as_array().unwrap().contains(&"linux/amd64".into()), "{far:#}");
        assert_eq!(near["buildkit_version"], own["buildkit_version"]);
        assert_eq!(near["buildkit_version"].is_null(), engine.name == "20.10", "{far:#}");
        assert_eq!(gone["status"], "unreachable");
        let refused = "cannot reach BuildKit at tcp://127.0.0.1:9: connection refused";
        assert_eq!(gone["reason"], refused, "{far:#}");
        assert_eq!(builder(&all, "box")["nodes"][0]["reason"], "no container");

        buildx(engine, &project, &["use", "far"]);
        let all = listed(&project, &[], &[]);
        let chosen: Vec<&Value> = all.iter().filter(|it| it["chosen"] == true).collect();
        assert_eq!(chosen, [builder(&all, "far")]);
        let inspected = listed(&project, &["inspect"], &[]);
        assert_eq!(inspected[0]["name"], "far");
        assert!(inspected[0]["nodes"][0]["cache_bytes"].as_u64().is_some(), "{inspected:#?}");
        let inspected = listed(&project, &["inspect"], &[("BUILDX_BUILDER", "box")]);
        assert_eq!(inspected[0]["name"], "box");
        let named = listed(&project, &["inspect", "default"], &[("BUILDX_BUILDER", "box")]);
        assert_eq!(named[0]["driver"], "docker");
        let behind = listed(&project, &["inspect"], &[("BUILDKIT_HOST", &address)]);
        assert_eq!(behind[0]["nodes"][0]["status"], "running");
        let table = ours(&project, &["builders"], &[]);
        assert!(text(&table).contains("far*"), "{}", text(&table));
    });
}

#[test]
fn another_builder_is_refused_or_told_of() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        project
            .write("compose.yaml", "services: {app: {build: .}}")
            .write("Dockerfile", format!("FROM {BUSYBOX}\nLABEL of={}\n", project.name()));
        let folder = project.home().join("buildx/instances");
        std::fs::create_dir_all(&folder).unwrap();
        let file = r#"{"Name":"pods","Driver":"cloud","Nodes":[{"Name":"pods0","Endpoint":"cloud://acme/pods"}]}"#;
        std::fs::write(folder.join("pods"), file).unwrap();
        let used = ours(&project, &["build"], &[("BUILDX_BUILDER", "pods")]);
        let notice =
            "not used: the builder `pods` (cloud), which BUILDX_BUILDER names; the build goes to";
        assert!(used.status.success() && text(&used).contains(notice), "{}", text(&used));
        for args in [&["build"][..], &["stats"], &["clean", "--dry-run"], &["bench"]] {
            let refused = ours(&project, &[&["--builder", "pods"], args].concat(), &[]);
            assert_eq!(refused.status.code(), Some(2), "{args:?}: {}", text(&refused));
            let said = "the builder `pods` (cloud), which --builder names";
            assert!(text(&refused).contains(said), "{}", text(&refused));
        }
        let unknown = ours(&project, &["--builder", "pdos", "build"], &[]);
        assert_eq!(unknown.status.code(), Some(2), "{}", text(&unknown));
        assert!(text(&unknown).contains("builders are: default, pods"), "{}", text(&unknown));
        let own = ours(&project, &["--builder", "default", "build"], &[("BUILDX_BUILDER", "pods")]);
        assert!(own.status.success() && !text(&own).contains("not used"), "{}", text(&own));
    });
}
