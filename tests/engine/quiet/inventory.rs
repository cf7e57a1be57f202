//! What an engine holds, against the docker CLI on every release.

use std::path::Path;
use std::time::Duration;

use doc2md_docker::engine::{Connector, Engine};
use doc2md_docker::inventory::Inventory;
use doc2md_docker::inventory::{CacheKind, CacheRecord, Lost, Part, Store};

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::stats::get;
use crate::support::{
    self, BUSYBOX, Project, eventually_or_why, on_engines_where_prunes_matter, on_every_engine,
};

const LIMIT: Duration = Duration::from_secs(300);

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn inventory(socket: &Path, limit: Duration) -> Inventory {
    let engine = Engine::new(&Connector::unix(socket));
    block_on(engine.inventory(limit)).unwrap()
}

/// A project with an image on the shared base, a cache mount, and a container on a volume and a network.
fn project(engine: &support::Engine) -> Project {
    let project = Project::new(engine);
    let name = project.name();
    project
        .write("compose.yaml", "services:\n  app:\n    build: .\n")
        .write("f.txt", "hello\n")
        .write(
            "Dockerfile",
            format!(
                "FROM {BUSYBOX}\nCOPY f.txt /f.txt\nENV A=1\nWORKDIR /app\nRUN --mount=type=cache,id={name},target=/c \
                 echo {name} | tee /c/x > y\nCMD [\"sh\"]\n"
            ),
        )
        .run(&["build"])
        .success();
    project
}

#[test]
fn an_inventory_holds_what_the_docker_cli_shows() {
    on_engines_where_prunes_matter(|engine| {
        let project = project(engine);
        let name = project.name();
        let image = format!("{name}-app:latest");
        engine.docker_ok(&["volume", "create", "--label", "a=b", name]);
        engine.docker_ok(&["network", "create", "--internal", name]);
        let mount = format!("{name}:/data");
        let script = "echo 12345678 > /written; echo 123 > /data/v";
        engine.docker_ok(&[
            "create",
            "--name",
            name,
            "--network",
            name,
            "-v",
            &mount,
            &image,
            "sh",
            "-c",
            script,
        ]);
        let mine = |seen: &Inventory, kind: &CacheKind| {
            let is_mine = |it: &&CacheRecord| it.kind == *kind && it.description.contains(name);
            seen.cache.iter().find(is_mine).cloned().unwrap()
        };
        // While a build has a mount, or somebody's question for its size has, the engine says that it is empty. Whether a
        // layer is in an image is what the engine says: on the containerd store that is at times wrong for the last one.
        let what = "the engine has the mount to itself and says the same of the layer as before";
        let seen = eventually_or_why(what, || {
            let seen = inventory(engine.socket(), LIMIT);
            let (held, layer) =
                (mine(&seen, &CacheKind::CacheMount), mine(&seen, &CacheKind::Regular));
            let df = get(engine, "/system/df");
            let row = df["BuildCache"].as_array().unwrap().iter().find(|it| it["ID"] == layer.id);
            let is_told = row.is_some_and(|row| row["Shared"] == layer.shared);
            let is_settled = !held.in_use && is_told;
            if is_settled { Ok(seen) } else { Err(format!("{held:#?}\n{layer:#?}\n{row:#?}")) }
        });
        let container_id = engine.docker_ok(&["inspect", "--format", "{{.Id}}", name]);
        engine.docker_ok(&["rm", name]);
        engine.docker_ok(&["network", "rm", name]);
        engine.docker_ok(&["volume", "rm", name]);
        let engine_name = &engine.name;

        assert!(seen.gaps.is_empty(), "{engine_name}: {:?}", seen.gaps);
        assert!(engine_name.starts_with(&seen.engine.version[..4]), "{:?}", seen.engine);
        let containerd = engine_name.ends_with("containerd");
        assert_eq!(seen.engine.store == Store::Containerd, containerd, "{:?}", seen.engine);
        let id = engine.image_id(&image).unwrap();
        let app = seen.image(&id).unwrap_or_else(|| panic!("{engine_name}: no {id}"));
        assert_eq!(app.references.join(" "), image, "{engine_name}");
        assert_eq!(app.containers.join(" "), container_id, "{engine_name}");
        let container = seen.containers.iter().find(|it| it.name == name).unwrap();
        assert_eq!(container.id, container_id, "{engine_name}");
        assert!(!container.is_running() && container.size_rw_bytes.is_some(), "{container:?}");
        let volume = seen.volumes.iter().find(|it| it.name == name).unwrap();
        assert_eq!(volume.labels["a"], "b", "{engine_name}");
        assert_eq!(volume.containers.join(" "), container_id, "{engine_name}");
        let network = seen.networks.iter().find(|it| it.name == name).unwrap();
        assert_eq!(network.containers.join(" "), container_id, "{engine_name}");
        let mount = mine(&seen, &CacheKind::CacheMount);
        assert!(mount.size_bytes > 0, "{engine_name}: {mount:?}");
        let layer = mine(&seen, &CacheKind::Regular);
        assert_eq!(layer.parents.len(), 1, "{engine_name}: {layer:?}");
        assert!(seen.cache.iter().any(|it| it.id == layer.parents[0]), "{engine_name}");
    });
}

#[test]
fn details_of_an_image_are_those_of_inspect_and_history() {
    on_every_engine(|engine| {
        let project = project(engine);
        let image = format!("{}-app:latest", project.name());
        let id = engine.image_id(&image).unwrap();
        let client = Engine::new(&Connector::unix(engine.socket()));
        let gone = format!("sha256:{}", "0".repeat(64));
        let details = block_on(client.image_details(&[gone, id.clone()])).unwrap();
        let [details] = details.as_slice() else { panic!("{}: {details:?}", engine.name) };
        assert_eq!(details.id, id);
        let inspect =
            |format: &str| engine.docker_ok(&["image", "inspect", "--format", format, &image]);
        assert_eq!(details.size_bytes.unwrap().to_string(), inspect("{{.Size}}"));
        let layers: Vec<&str> = details.layers.iter().map(|it| it.diff_id.as_str()).collect();
        assert_eq!(layers.join(" "), inspect("{{join .RootFS.Layers \" \"}}"));
        let history = engine.docker_ok(&[
            "history",
            "--no-trunc",
            "--human=false",
            "--format",
            "{{.Size}} {{.CreatedBy}}",
            &image,
        ]);
        let shown: Vec<String> = details
            .history
            .iter()
            .rev()
            .map(|step| format!("{} {}", step.size_bytes, step.created_by).trim_end().to_owned())
            .collect();
        let expected: Vec<&str> = history.lines().map(str::trim_end).collect();
        assert_eq!(shown, expected, "{}", engine.name);
        let copy = details.layers.iter().find(|it| {
            it.step.is_some_and(|step| details.history[step].created_by.starts_with("COPY"))
        });
        assert!(copy.unwrap().size_bytes.unwrap() >= 6, "{}: {:?}", engine.name, details.layers);
    });
}

/// Builders other than BuildKit may write none. The containerd store then answers `null`.
#[test]
fn an_image_without_a_history_keeps_nobody_from_cleaning() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let image = format!("{}-plain:1", project.name());
        let layer = super::cache::tar(project.name(), b'0', "");
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(&layer)));
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest]},
        });
        let manifest =
            json!([{"Config": "config.json", "RepoTags": [image], "Layers": ["layer.tar"]}]);
        project
            .write("compose.yaml", "services:\n  app: {build: .}\n")
            .write("Dockerfile", format!("FROM {BUSYBOX}\nRUN echo {}\n", project.name()))
            .write("image/config.json", config.to_string())
            .write("image/manifest.json", manifest.to_string())
            .write("image/layer.tar", layer);
        let archive = project.dir().join("image.tar");
        let mut tar = std::process::Command::new("tar");
        tar.arg("-cf").arg(&archive).arg("-C").arg(project.dir().join("image"));
        let status = tar.args(["config.json", "manifest.json", "layer.tar"]).status().unwrap();
        assert!(status.success());
        engine.docker_ok(&["load", "-q", "-i", archive.to_str().unwrap()]);
        let id = engine.image_id(&image).unwrap();
        let client = Engine::new(&Connector::unix(engine.socket()));
        let details = block_on(client.image_details(std::slice::from_ref(&id))).unwrap();
        let [details] = details.as_slice() else { panic!("{}: {details:?}", engine.name) };
        assert!(details.history.is_empty() && details.layers.len() == 1, "{details:?}");

        project.run(&["build"]).success();
        project.run(&["stats", "-v"]).success();
        project.run(&["clean", "--force"]).success();
        assert_eq!(engine.image_id(&format!("{}-app", project.name())), None);
        assert_eq!(engine.image_id(&image), Some(id), "it is not ours");
        engine.docker_ok(&["image", "rm", &image]);
    });
}

#[test]
fn an_engine_that_measures_slowly_still_gives_its_lists() {
    on_every_engine(|engine| {
        let project = project(engine);
        let image = format!("{}-app:latest", project.name());
        let slow =
            support::SlowSocket::new(engine.socket(), support::MEASURING, Duration::from_secs(600));
        let seen = inventory(slow.path(), Duration::from_secs(20));
        for part in [Part::Containers, Part::Volumes] {
            assert_eq!(seen.gap(part).unwrap().lost, Lost::Sizes, "{}: {part}", engine.name);
        }
        // 20.10 has one question for everything.
        let images = seen.gap(Part::Images).map(|gap| gap.lost);
        assert_eq!(images, (engine.name == "20.10").then_some(Lost::Sizes), "{}", engine.name);
        assert_eq!(seen.gap(Part::Cache).unwrap().lost, Lost::Everything, "{}", engine.name);
        assert!(seen.gap(Part::Networks).is_none() && !seen.networks.is_empty());
        assert!(seen.images.iter().any(|it| it.references.contains(&image)), "{}", engine.name);
    });
}

#[test]
fn an_engine_that_says_nothing_but_its_version_is_an_error() {
    let engine = support::engine("28.5");
    let slow = support::SlowSocket::new(engine.socket(), &["/v1."], Duration::from_secs(600));
    let client = Engine::new(&Connector::unix(slow.path()));
    let error = block_on(client.inventory(Duration::from_secs(1))).unwrap_err();
    assert!(error.to_string().contains("no answer within 1s"), "{error}");
}
