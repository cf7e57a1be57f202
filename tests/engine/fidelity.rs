//! The context arrives exactly as buildx sends it: what one of the two has built is cached for the
//! other, on every engine. And what cannot be sent as it was listed fails the build by name.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::{BUSYBOX, Engine, Project, on_every_engine, program, watched_socket};

/// The RUN tells the two apart: it runs again exactly when something above it is not cached.
const DOCKERFILE: &str = "\
FROM doc2md/base:busybox
COPY . /all
RUN cat /proc/sys/kernel/random/uuid > /stamp
";

const COMPOSE: &str = "\
services:
  app:
    build:
      context: tree
";

const IGNORE: &str = "\
# Not sent, with exceptions.
ignored
!ignored/deep/kept.txt
**/*.log
!keep.log
/rooted
docs/*
!docs/ünï*.md
";

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A tree with everything that is easily lost.
fn write_tree(project: &Project) {
    assert!(DOCKERFILE.contains(BUSYBOX));
    project
        .write("compose.yaml", COMPOSE)
        .write("tree/Dockerfile", DOCKERFILE)
        .write("tree/.dockerignore", IGNORE)
        .write("tree/name", project.name())
        .write("tree/setuid", "s")
        .write("tree/odd", "o")
        .write("tree/a.b/x", "sorted after a-b, before a/x as text")
        .write("tree/a/x", "")
        .write("tree/a-b/x", "")
        .write("tree/sticky/x", "")
        .write("tree/ignored/x", "")
        .write("tree/ignored/deep/kept.txt", "kept")
        .write("tree/ignored/deep/x", "")
        .write("tree/dir/lost.log", "")
        .write("tree/keep.log", "kept")
        .write("tree/rooted", "")
        .write("tree/dir/rooted", "kept")
        .write("tree/docs/plain.md", "")
        .write("tree/docs/ünïcode.md", "kept")
        .write("tree/日本/ファイル", "kept")
        .write("tree/with space and \"quotes\"", "kept")
        .write("tree/linked", "several names")
        .write("tree/large", vec![7_u8; 100_000]);
    let tree = project.dir().join("tree");
    let at = |name: &str| tree.join(name);
    set_mode(&at("setuid"), 0o6755);
    set_mode(&at("odd"), 0o017);
    set_mode(&at("sticky"), 0o1770);
    fs::create_dir_all(at("empty/also")).unwrap();
    set_mode(&at("empty"), 0o2711);
    for (target, name) in [
        ("linked", "to-file"),
        ("../../outside", "dir/up"),
        ("/etc/passwd", "absolute"),
        ("nowhere", "dangling"),
        ("dir", "to-dir"),
        ("loop", "loop"),
    ] {
        symlink(target, at(name)).unwrap();
    }
    for name in ["dir/linked-too", "a/linked-three"] {
        fs::hard_link(at("linked"), at(name)).unwrap();
    }
    // Its first name is not sent.
    fs::hard_link(at("ignored/x"), at("zz1")).unwrap();
    fs::hard_link(at("ignored/x"), at("zz2")).unwrap();
    drop(UnixListener::bind(at("socket")).unwrap());
    let old = std::time::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    fs::File::open(at("odd")).unwrap().set_modified(old).unwrap();
}

/// Builds with Debian's buildx; answers the layers.
fn with_buildx(project: &Project, engine: &Engine, options: &[&str]) -> String {
    let tag = format!("{}-buildx", project.name());
    let args = ["buildx", "build", "-t", &tag, "tree"];
    let output = project.docker(&[&args, options].concat()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    layers(engine, &tag)
}

/// Builds with the binary under test; answers the layers.
fn with_ours(project: &Project, engine: &Engine) -> String {
    project.run(&["build", "--progress", "plain"]).success();
    layers(engine, &format!("{}-app", project.name()))
}

fn layers(engine: &Engine, image: &str) -> String {
    engine.docker_ok(&["image", "inspect", "--format", "{{json .RootFS.Layers}}", image])
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[test]
fn what_buildx_built_is_cached_for_us() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        write_tree(&project);
        let first = with_buildx(&project, engine, &[]);
        assert_eq!(with_ours(&project, engine), first, "{}", engine.name);
        // The comparison does notice: one bit more is another image.
        set_mode(&project.dir().join("tree/odd"), 0o117);
        assert_ne!(with_ours(&project, engine), first, "{}", engine.name);
    });
}

#[test]
fn what_we_built_is_cached_for_buildx() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        write_tree(&project);
        let first = with_ours(&project, engine);
        assert_eq!(with_ours(&project, engine), first, "{}: ourselves", engine.name);
        assert_eq!(with_buildx(&project, engine, &[]), first, "{}", engine.name);
    });
}

#[test]
fn named_contexts_are_cached_both_ways() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let dockerfile = "\
FROM doc2md/base:busybox
COPY --from=extra sub link/g /extra/
COPY name /
RUN cat /proc/sys/kernel/random/uuid > /stamp
";
        let compose =
            "services: {app: {build: {context: tree, additional_contexts: {extra: other}}}}";
        project
            .write("compose.yaml", compose)
            .write("tree/Dockerfile", dockerfile)
            .write("tree/name", project.name())
            .write("other/.dockerignore", "**/*.log")
            .write("other/sub/f", "f")
            .write("other/sub/hidden.log", "")
            .write("other/real/g", "g");
        symlink("real", project.dir().join("other/link")).unwrap();
        if engine.name == "20.10" {
            // Its frontend does not know them yet.
            let output = project.command(&["build"]).output().unwrap();
            assert_eq!(output.status.code(), Some(5), "{}", text(&output));
            assert!(text(&output).contains("additional_contexts"), "{}", text(&output));
            return;
        }
        let first = with_ours(&project, engine);
        let options = ["--build-context", "extra=other"];
        assert_eq!(with_buildx(&project, engine, &options), first, "{}", engine.name);
        project.write("other/sub/f", "changed");
        let second = with_buildx(&project, engine, &options);
        assert_ne!(second, first);
        assert_eq!(with_ours(&project, engine), second, "{}", engine.name);
    });
}

#[test]
fn a_name_that_is_not_utf8_arrives_or_is_named() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        project
            .write("compose.yaml", "services: {app: {build: .}}")
            .write("Dockerfile", "FROM doc2md/base:busybox\nCOPY . /all\nRUN ls /all/latin*\n");
        fs::write(project.dir().join(OsStr::from_bytes(b"latin\xe9")), "not UTF-8").unwrap();
        let output = project.command(&["build"]).output().unwrap();
        if engine.name.starts_with("28.5") {
            // Since protobuf checks, no client can send it.
            let message = "the name `latin\u{fffd}` is not UTF-8";
            assert_fails_with(&output, engine, message);
        } else {
            assert!(output.status.success(), "{}", text(&output));
        }
    });
}

#[test]
fn copies_over_links_find_what_they_lead_to() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let dockerfile = "\
FROM doc2md/base:busybox
COPY link/f abs/g real/*/h /to/
RUN test \"$(cat /to/f /to/g /to/h)\" = fgh
";
        project
            .write("compose.yaml", "services: {app: {build: .}}")
            .write("Dockerfile", dockerfile)
            .write("real/f", "f")
            .write("real/deep/g", "g")
            .write("real/other/h", "h");
        symlink("real", project.dir().join("link")).unwrap();
        symlink("/real/deep", project.dir().join("abs")).unwrap();
        project.run(&["build"]).success();
    });
}

#[test]
fn nothing_outside_is_reached_through_a_link() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        project
            .write("compose.yaml", "services: {app: {build: tree}}")
            .write("secret/f", "secret")
            .write("tree/Dockerfile", "FROM doc2md/base:busybox\nCOPY out/f /\n");
        symlink("../secret", project.dir().join("tree/out")).unwrap();
        project.run(&["build"]).failure().code(1);
        // Absolute targets start at the context, where there is no such directory.
        fs::remove_file(project.dir().join("tree/out")).unwrap();
        symlink(project.dir().join("secret"), project.dir().join("tree/out")).unwrap();
        project.run(&["build"]).failure().code(1);
    });
}

/// Builds a context and runs `spoil` on it between the listing of `sub/z` and the engine's asking for it.
fn spoiled(
    project: &Project,
    mut command: Command,
    spoil: impl FnOnce(&Path) + Send + 'static,
) -> Output {
    project
        .write("compose.yaml", "services: {app: {build: .}}")
        .write("Dockerfile", "FROM doc2md/base:busybox\nCOPY . /\n")
        .write("sub/z", project.name());
    let sockets = TempDir::with_prefix("d2m-watched-").unwrap();
    set_mode(sockets.path(), 0o755);
    let socket = sockets.path().join("s");
    let dir = project.dir();
    watched_socket(project.engine().socket(), &socket, "sub/z", move || spoil(&dir));
    set_mode(&socket, 0o777);
    command.env("DOCKER_HOST", format!("unix://{}", socket.display())).output().unwrap()
}

fn assert_fails_with(output: &Output, engine: &Engine, message: &str) {
    let said = text(output);
    assert_eq!(output.status.code(), Some(1), "{}: {said}", engine.name);
    assert!(said.contains(message), "{}: {said}", engine.name);
}

#[test]
fn a_file_that_vanishes_fails_the_build_by_name() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let output = spoiled(&project, project.command(&["build"]), |dir| {
            fs::remove_file(dir.join("sub/z")).unwrap();
        });
        assert_fails_with(&output, engine, "\"sub/z\" vanished while it was being sent");
    });
}

#[test]
fn a_file_that_changes_fails_the_build_by_name() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let output = spoiled(&project, project.command(&["build"]), |dir| {
            fs::write(dir.join("sub/z"), "longer than it was when it was listed").unwrap();
        });
        assert_fails_with(&output, engine, "\"sub/z\" changed while it was being sent");
    });
}

#[test]
fn a_directory_that_becomes_a_link_fails_the_build_by_name() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let output = spoiled(&project, project.command(&["build"]), |dir| {
            let outside = dir.with_file_name("outside");
            fs::rename(dir.join("sub"), &outside).unwrap();
            symlink(&outside, dir.join("sub")).unwrap();
        });
        assert_fails_with(&output, engine, "\"sub/z\" changed while it was being sent");
    });
}

#[test]
fn a_file_that_cannot_be_read_fails_the_build_by_name() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let folder = project.home().parent().unwrap().to_owned();
        set_mode(&folder, 0o755);
        // The tests may run as root, who can read everything.
        let binary = folder.join("doc2md-docker");
        program::copy(Path::new(env!("CARGO_BIN_EXE_doc2md-docker")), &binary);
        let as_nobody = || {
            let mut command = Command::new(&binary);
            command
                .current_dir(project.dir())
                .env_clear()
                .env("COMPOSE_PROJECT_NAME", project.name())
                .env("HOME", &folder)
                .args(["build"])
                .uid(65534)
                .gid(65534);
            command
        };
        let output = spoiled(&project, as_nobody(), |dir| set_mode(&dir.join("sub/z"), 0));
        assert_fails_with(&output, engine, "\"sub/z\" cannot be read: Permission denied");
        set_mode(&project.dir().join("sub/z"), 0o644);
        let output = spoiled(&project, as_nobody(), |dir| set_mode(&dir.join("sub"), 0));
        assert_fails_with(&output, engine, "\"sub/z\" cannot be read: Permission denied");
        // Now a directory that cannot be listed: the walk finds it.
        let output = spoiled(&project, as_nobody(), |_| {});
        assert_fails_with(&output, engine, "\"sub\" cannot be read: Permission denied");
    });
}
