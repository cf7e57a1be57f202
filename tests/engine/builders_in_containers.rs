//! Builds on BuildKit in a container, which is reached through the engine that runs it: that of a builder, or one that an
//! address names.

use std::os::unix::net::UnixListener;

use serde_json::Value;

use crate::builds_elsewhere::{
    buildx, built, command, create_unseen, fails, ours, project, ran_nothing,
};
use crate::support::{BUSYBOX, BuildkitStandIn, Engine, Project, engine, on_every_engine, text};

/// A container, removed at the end.
struct Container<'a>(&'a Engine, String);

impl Drop for Container<'_> {
    fn drop(&mut self) {
        drop(self.0.docker(&["rm", "--force", "--volumes", &self.1]).output());
    }
}

#[test]
fn buildkit_in_a_container_is_reached_through_its_engine() {
    let builder = engine("28.5-containerd");
    on_every_engine(|engine| {
        let buildkit = BuildkitStandIn::start(builder.socket());
        let project = project(engine);
        let name = format!("box{}", project.name());
        let build = ["--builder", &name, "build"];
        buildx(&project, &["create", "--name", &name, "--driver", "docker-container"]);
        let missing = ours(&project, &build);
        let node = format!("the builder `{name}`, node `{name}0`");
        fails(&missing, &[&node, "there is no container", "--bootstrap"]);
        let container = container(&project, &format!("buildx_buildkit_{name}0"), &buildkit);
        // Whoever only asks starts nothing.
        for ask in [&["stats"][..], &["clean", "--cache", "--dry-run"]] {
            let asked = ours(&project, &[&["--builder", &name], ask].concat());
            fails(&asked, &[&format!("no node of the builder `{name}` runs")]);
        }
        let format = ["container", "inspect", "--format", "{{.State.Status}}", &container.1];
        assert_eq!(engine.docker_ok(&format).trim(), "created");
        let (said, _) = built(&project, &build);
        let first = format!("building on {node}, in container `{}`", container.1);
        assert!(said.starts_with(&first), "{said}");
        let image = format!("{}-web", project.name());
        let seen = engine.file_of(&image, "/web");
        assert!(seen.starts_with("9\nagent\n"), "{seen}");
        let (said, _) = built(&project, &build);
        ran_nothing(&said);
        let inspect = ours(&project, &["builders", "inspect", &name, "--format", "json"]);
        let told: Value = serde_json::from_slice(&inspect.stdout).unwrap();
        let node = &told["builders"][0]["nodes"][0];
        assert!(node["cache_bytes"].as_u64().is_some(), "{told:#}");
        assert_eq!(node["platforms"][0], "linux/amd64", "{told:#}");
        let sizes = ours(&project, &["--builder", &name, "stats", "--format", "json"]);
        let told: Value = serde_json::from_slice(&sizes.stdout).unwrap();
        assert!(told["cache"]["project_bytes"].as_u64().unwrap() > 0, "{told:#}");
        // Without a program that reaches BuildKit it says what is wrong.
        break_in(&container);
        fails(&ours(&project, &build), &["the builder `", "no buildkitd here"]);
    });
}

/// A container that passes on to BuildKit, and is not up at once when it is started.
fn container<'a>(project: &'a Project, name: &str, buildkit: &BuildkitStandIn) -> Container<'a> {
    let engine = project.engine();
    let container = Container(engine, name.to_owned());
    engine.docker_ok(&["create", "--name", name, "--network=host", BUSYBOX, "sleep", "1000"]);
    let port = buildkit.address().rsplit(':').next().unwrap().to_owned();
    let buildctl = project.home().join("buildctl");
    let script = format!(
        "if [ $1 = debug ]; then [ -e /up ] && exit 0; touch /up; exit 1; fi\n\
         echo a word of warning >&2\nexec nc 127.0.0.1 {port}\n"
    );
    crate::support::program::script(&buildctl, &script);
    engine.docker_ok(&["cp", buildctl.to_str().unwrap(), &format!("{name}:/bin/buildctl")]);
    container
}

/// From now on nothing there reaches BuildKit.
fn break_in(container: &Container<'_>) {
    let broken =
        "printf '#!/bin/sh\\necho error: no buildkitd here >&2\\nexit 1\\n' >/bin/buildctl";
    container.0.docker_ok(&["exec", &container.1, "sh", "-c", broken]);
}

#[test]
fn an_address_names_a_container_of_docker() {
    let builder = engine("28.5-containerd");
    on_every_engine(|engine| {
        let buildkit = BuildkitStandIn::start(builder.socket());
        let project = project(engine);
        let name = format!("box-{}", project.name());
        let address = format!("docker-container://{name}");
        let agent = project.home().join("agent");
        let _agent = UnixListener::bind(&agent).unwrap();
        let build = |address: &str| {
            let mut build = command(&project, &["build", "--progress", "plain"]);
            build.env("BUILDKIT_HOST", address).env("SSH_AUTH_SOCK", &agent);
            build
        };
        let said_of = |address: &str| build(address).output().unwrap();
        let of_host = "BuildKit of BUILDKIT_HOST in container `";
        fails(&said_of(&address), &[of_host, "there is no container", "docker ps --all"]);
        let container = container(&project, &name, &buildkit);
        // buildctl's address starts nothing.
        let started = format!("`docker start {name}`");
        fails(&said_of(&address), &[of_host, "is not running", &started]);
        let state = ["inspect", "--format", "{{.State.Status}}", &name];
        assert_eq!(engine.docker_ok(&state), "created");
        engine.docker_ok(&["start", &name]);
        let output = said_of(&address);
        let said = text(&output);
        assert!(output.status.success(), "{said}");
        assert!(
            said.contains(&format!("building on {of_host}{name}` of the engine at ")),
            "{said}"
        );
        let seen = engine.file_of(&format!("{}-web", project.name()), "/web");
        assert!(seen.starts_with("9\nagent\n"), "{seen}");
        // A context names the engine; images are loaded into that of the user.
        let unknown = said_of(&format!("{address}?context=nowhere"));
        assert_eq!(unknown.status.code(), Some(2), "{}", text(&unknown));
        assert!(
            text(&unknown).contains("docker context `nowhere` does not exist"),
            "{}",
            text(&unknown)
        );
        let docker = |args: &[&str]| {
            let config = project.home().join("docker");
            let output = engine.docker(args).env("DOCKER_CONFIG", config).output().unwrap();
            assert!(output.status.success(), "{}", text(&output));
        };
        docker(&["context", "create", "far", "--docker", &format!("host={}", engine.host)]);
        let output = build(&format!("{address}?context=far"))
            .env("DOCKER_HOST", &builder.host)
            .output()
            .unwrap();
        let said = text(&output);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("(docker context `far`, --context)"), "{said}");
        ran_nothing(&said);
        assert!(builder.image_id(&format!("{}-web", project.name())).is_some());
        // The driver `remote` takes it, too.
        create_unseen(&project, "box", &address, &[]);
        let inspect = ours(&project, &["builders", "inspect", "box", "--format", "json"]);
        let told: Value = serde_json::from_slice(&inspect.stdout).unwrap();
        assert!(told["builders"][0]["nodes"][0]["cache_bytes"].is_u64(), "{told:#}");
        engine.docker_ok(&["pause", &name]);
        fails(&said_of(&address), &[of_host, "paused"]);
        engine.docker_ok(&["unpause", &name]);
        break_in(&container);
        fails(&said_of(&address), &[of_host, "no buildkitd here"]);
    });
}
