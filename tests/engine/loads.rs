//! Images of a builder on their way into an engine: only what is new travels, and whatever is damaged, missing or taken on
//! the way, the engine has the right image at the end.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, OnceLock};

use serde_json::Value;

use crate::builds_elsewhere::{built, command, create_unseen};
use crate::support::{
    BUSYBOX, BuildkitStandIn, CountedSocket, Engine, PrivateEngine, Project, engine, eventually,
    on_every_engine, text, watched_socket,
};

/// Bytes of the layer that stays.
const LARGE: usize = 3 << 20;
/// What everything but that layer has at most, on either way.
const SMALL: u64 = 600 << 10;

/// Bytes that do not compress.
fn noise(seed: &str) -> Vec<u8> {
    let mut state = seed.bytes().fold(0x9e37_79b9_7f4a_7c15_u64, |all, byte| {
        (all ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..LARGE / 8).flat_map(|_| next().to_le_bytes()).collect()
}

/// An image with a large layer, two that are the same, and one that changes with `new`.
fn project(engine: &Engine, buildkit: &BuildkitStandIn) -> Project {
    let project = Project::new(engine);
    project
        .write("compose.yaml", "services: {app: {build: .}}")
        .write(
            "Dockerfile",
            format!(
                "FROM {BUSYBOX}\nCOPY big /big\nRUN true\nRUN true\nCOPY empty /\nCOPY new /new\nCMD [\"sh\"]\n"
            ),
        )
        .write("big", noise(&format!("{} {}", project.name(), engine.name)))
        .write("empty", "")
        .write("new", "1");
    create_unseen(&project, "far", &buildkit.address(), &[]);
    project
}

fn builder() -> BuildkitStandIn {
    BuildkitStandIn::start(engine("28.5-containerd").socket())
}

fn image(project: &Project) -> String {
    format!("{}-app", project.name())
}

/// Builds, and makes sure that the engine has the image that was built, with `new` in it.
#[track_caller]
fn build(project: &Project, new: &str) -> String {
    project.write("new", new);
    let (said, metadata) = built(project, &["--builder", "far", "build"]);
    is_right(project, &metadata["app"], new);
    said
}

#[track_caller]
fn is_right(project: &Project, facts: &Value, new: &str) {
    let (engine, image) = (project.engine(), image(project));
    let id = engine.image_id(&image).unwrap_or_else(|| panic!("{}: no {image}", engine.name));
    let digests = [&facts["containerimage.digest"], &facts["containerimage.config.digest"]];
    assert!(digests.iter().any(|it| it.as_str() == Some(&id)), "{}: {id}: {facts}", engine.name);
    assert_eq!(engine.file_of(&image, "/new"), new, "{}", engine.name);
    if engine.name != "28.5-containerd" {
        return;
    }
    // All of its content is there.
    let saved = project.home().join("saved");
    engine.docker_ok(&["save", "-o", saved.to_str().unwrap(), &image]);
    assert!(std::fs::metadata(saved).unwrap().len() > LARGE as u64 / 2, "{}", engine.name);
}

/// Everything that is kept of builders.
fn kept(project: &Project) -> PathBuf {
    project.home().join(".local/state/doc2md-docker/layers")
}

/// Blobs that are kept, the largest first.
fn blobs(project: &Project) -> Vec<PathBuf> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let mut blobs: Vec<PathBuf> = list(&kept(project))
        .iter()
        .flat_map(|builder| list(&builder.join("blobs/sha256")))
        .collect();
    blobs.sort_by_key(|path| std::cmp::Reverse(std::fs::metadata(path).unwrap().len()));
    blobs
}

fn overwrite(path: &Path, content: &[u8]) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(path, content).unwrap();
}

#[test]
fn only_what_is_new_travels() {
    on_every_engine(|engine| {
        let buildkit = builder();
        let counted = CountedSocket::new(engine.socket());
        let behind =
            Engine { host: format!("unix://{}", counted.path().display()), ..engine.clone() };
        let project = project(&behind, &buildkit);
        let run = |new: &str| {
            project.write("new", new);
            buildkit.sent();
            counted.since("");
            let (_, metadata) = built(&project, &["--builder", "far", "build"]);
            let sent = buildkit.sent();
            let (loaded, loads) = counted.since("/images/load");
            is_right(&project, &metadata["app"], new);
            (sent, loaded, loads)
        };
        let name = &engine.name;
        let (sent, loaded, loads) = run("1");
        assert!(sent > LARGE as u64, "{name}: {sent}");
        // The builder's own engine has its content already.
        assert_eq!(loaded > LARGE as u64, *name != "28.5-containerd", "{name}: {loaded}");
        assert_eq!(loads, 1, "{name}");
        let (sent, loaded, loads) = run("2");
        assert!(sent < SMALL && loaded < SMALL, "{name}: {sent} {loaded}");
        assert_eq!(loads, 1, "{name}");
        // Nothing is new.
        let (sent, loaded, loads) = run("2");
        assert!(sent < SMALL && loaded < 50_000, "{name}: {sent} {loaded}");
        assert_eq!(loads, 0, "{name}");
        // Another image has taken the name.
        let image = image(&project);
        engine.docker_ok(&["tag", BUSYBOX, &image]);
        let (sent, loaded, loads) = run("2");
        assert!(sent < SMALL && loaded < SMALL, "{name}: {sent} {loaded}");
        assert_eq!(loads, 1, "{name}");
        // The engine has lost it.
        for id in project.images() {
            engine.docker_ok(&["image", "rm", "--force", &id]);
        }
        let (sent, _, loads) = run("2");
        assert!(sent < SMALL, "{name}: {sent}");
        assert_eq!(loads, 1, "{name}");
        // Another service has the same layers below.
        project.write(
            "compose.yaml",
            "services: {app: {build: .}, two: {build: ., image: $COMPOSE_PROJECT_NAME-two}}",
        );
        let (sent, loaded, _) = run("3");
        assert!(sent < SMALL && loaded < SMALL, "{name}: {sent} {loaded}");
    });
}

#[test]
fn both_halves_tell_of_their_bytes() {
    on_every_engine(|engine| {
        let buildkit = builder();
        let project = project(engine, &buildkit);
        let output = command(&project, &["--builder", "far", "build", "--progress", "rawjson"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let said = String::from_utf8(output.stderr).unwrap();
        let all: Vec<Value> =
            said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let list = |key: &str| -> Vec<&Value> {
            all.iter().filter_map(|it| it[key].as_array()).flatten().collect()
        };
        for name in ["receiving layers", "loading into the engine"] {
            let vertexes = list("vertexes");
            let last = vertexes.iter().rfind(|it| it["name"] == name).unwrap();
            assert!(last["completed"].is_string() && last["error"].is_null(), "{last}");
            let statuses = list("statuses");
            let bytes = statuses.iter().rfind(|it| it["vertex"] == last["digest"]).unwrap();
            let done = bytes["current"].as_u64().unwrap();
            assert_eq!(Some(done), bytes["total"].as_u64(), "{name}");
            let is_there = engine.name == "28.5-containerd" && name.starts_with("loading");
            assert_eq!(done > LARGE as u64, !is_there, "{}: {name}: {bytes}", engine.name);
        }
    });
}

#[test]
fn what_is_kept_may_be_damaged_or_gone() {
    on_every_engine(|engine| {
        let buildkit = builder();
        let project = project(engine, &buildkit);
        build(&project, "1");
        let damage: [fn(&Project); 4] = [
            |project| {
                let large = &blobs(project)[0];
                let mut content = std::fs::read(large).unwrap();
                content[LARGE / 2] ^= 1;
                overwrite(large, &content);
            },
            |project| std::fs::remove_file(&blobs(project)[0]).unwrap(),
            |project| {
                for blob in blobs(project) {
                    std::fs::remove_file(&blob).unwrap();
                    std::fs::create_dir(&blob).unwrap();
                }
            },
            |project| {
                for blob in blobs(project) {
                    let length = std::fs::metadata(&blob).unwrap().len();
                    overwrite(&blob, &vec![b'x'; usize::try_from(length).unwrap()]);
                }
            },
        ];
        for (number, damage) in damage.iter().enumerate() {
            for id in project.images() {
                engine.docker_ok(&["image", "rm", "--force", &id]);
            }
            damage(&project);
            let said = build(&project, &(number + 2).to_string());
            assert!(!said.contains("warning") && !said.contains("error"), "{number}: {said}");
        }
        // What was wrong is in nobody's way.
        build(&project, "last but one");
        buildkit.sent();
        build(&project, "last");
        assert!(buildkit.sent() < SMALL, "{}", engine.name);
    });
}

#[test]
fn without_a_place_for_layers_images_travel_whole() {
    on_every_engine(|engine| {
        let buildkit = builder();
        let project = project(engine, &buildkit);
        std::fs::create_dir_all(kept(&project).parent().unwrap()).unwrap();
        std::fs::write(kept(&project), "not a folder").unwrap();
        let said = build(&project, "1");
        assert!(
            said.contains("warning: images travel whole, since no layers can be kept"),
            "{said}"
        );
        assert_eq!(std::fs::read_to_string(kept(&project)).unwrap(), "not a folder");
        std::fs::remove_file(kept(&project)).unwrap();
        // A disk that is full: the image leaves the builder in another way, and nobody is told of a failed step.
        std::fs::create_dir(kept(&project)).unwrap();
        let mount = |args: &[&str]| {
            let output = Command::new("mount").args(args).arg(kept(&project)).output().unwrap();
            assert!(output.status.success(), "{}", text(&output));
        };
        mount(&["-t", "tmpfs", "-o", "size=256k", "none"]);
        let _unmount = Unmount(kept(&project));
        let said = build(&project, "2");
        assert!(!said.contains("failed") && !said.contains("error"), "{said}");
    });
}

struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn two_builds_use_one_place_at_once() {
    on_every_engine(|engine| {
        let buildkit = builder();
        let project = project(engine, &buildkit);
        project.write(
            "compose.yaml",
            "services: {app: {build: .}, two: {build: {context: ., dockerfile: two}}}",
        );
        project.write("two", format!("FROM {BUSYBOX}\nCOPY big /big\nRUN echo two >/new\n"));
        let start = |service: &str| {
            command(&project, &["--builder", "far", "build", service, "--metadata-file", "-"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        };
        for new in ["1", "2"] {
            project.write("new", new);
            let both = [start("app"), start("two")];
            let ended: Vec<Output> =
                both.into_iter().map(|build| build.wait_with_output().unwrap()).collect();
            for output in &ended {
                assert!(output.status.success(), "{}: {}", engine.name, text(output));
                assert!(!text(output).contains("warning"), "{}: {}", engine.name, text(output));
            }
            let metadata: Value = serde_json::from_slice(&ended[0].stdout).unwrap();
            is_right(&project, &metadata["app"], new);
            assert_eq!(engine.file_of(&format!("{}-two", project.name()), "/new"), "two");
        }
    });
}

#[test]
fn what_the_engine_loses_meanwhile_is_sent_after_all() {
    on_every_engine(|engine| {
        let buildkit = builder();
        let project = project(engine, &buildkit);
        build(&project, "1");
        project.write("new", "2");
        let socket = project.home().join("s");
        let (own, ids) = (engine.clone(), project.images());
        watched_socket(engine.socket(), &socket, "/images/load", move || {
            for id in ids {
                own.docker_ok(&["image", "rm", "--force", &id]);
            }
        });
        let output = command(&project, &["--builder", "far", "build", "--metadata-file", "-"])
            .env("DOCKER_HOST", format!("unix://{}", socket.display()))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}: {}", engine.name, text(&output));
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        is_right(&project, &metadata["app"], "2");
    });
}

#[test]
fn a_build_that_is_killed_while_it_loads_is_in_nobodys_way() {
    on_every_engine(|engine| {
        let buildkit = builder();
        let project = project(engine, &buildkit);
        // Before the engine hears of the image, and while it reads it.
        for (new, word) in [("1", "/images/load"), ("2", "manifest.json")] {
            project.write("new", new);
            let socket = project.home().join(format!("s{new}"));
            let pid = Arc::new(OnceLock::new());
            let killed = pid.clone();
            watched_socket(engine.socket(), &socket, word, move || {
                let pid = eventually("the build has started", || killed.get().copied());
                rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            });
            let mut build = command(&project, &["--builder", "far", "build"])
                .env("DOCKER_HOST", format!("unix://{}", socket.display()))
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            pid.set(rustix::process::Pid::from_child(&build)).unwrap();
            assert_eq!(build.wait().unwrap().code(), None, "{}", engine.name);
            self::build(&project, new);
        }
    });
}

/// What stands under the name looks like the image, and lacks its content.
#[test]
fn an_image_without_its_content_is_loaded_again() {
    let target = PrivateEngine::start("28.5-containerd");
    let engine = target.engine();
    let buildkit = builder();
    let project = project(engine, &buildkit);
    project.write("compose.yaml", "services: {app: {build: .}}");
    build(&project, "1");
    let (image, tar) = (image(&project), project.home().join("gap"));
    engine.docker_ok(&["save", "-o", project.home().join("whole").to_str().unwrap(), &image]);
    engine.docker_ok(&["image", "rm", "--force", &image]);
    std::fs::create_dir(&tar).unwrap();
    let shell = |script: &str| {
        let output = Command::new("sh").args(["-ec", script]).current_dir(project.home()).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", text(&output));
    };
    shell(
        "tar -xf whole -C gap; rm gap/manifest.json; \
         find gap/blobs -size +1000k -delete; tar -cf gap.tar -C gap .",
    );
    drop(engine.docker(&["load", "-i", project.home().join("gap.tar").to_str().unwrap()]).output());
    let id = engine.image_id(&image).expect("a broken image stays under its name");
    buildkit.sent();
    let (_, metadata) = built(&project, &["--builder", "far", "build"]);
    assert_eq!(metadata["app"]["containerimage.digest"].as_str(), Some(&*id));
    is_right(&project, &metadata["app"], "1");
    assert!(buildkit.sent() < SMALL);
    // Layers that are new travel alone to an engine that is not the builder's.
    build(&project, "2");
}
