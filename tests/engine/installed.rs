//! A release on a machine without Rust: from the archive to the first image, and the program as an image.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{BUSYBOX, PYTHON, Project, engine, text};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[track_caller]
fn ok(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", text(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The program under test, such that it runs in the base image: that is Debian 12, and a release is static.
fn portable(folder: &Path) -> PathBuf {
    let system = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let built = match system.contains("VERSION_CODENAME=bookworm") {
        true => PathBuf::from(env!("CARGO_BIN_EXE_doc2md-docker")),
        false => {
            let target = Path::new(ROOT).join("target/static");
            ok(Command::new(env!("CARGO"))
                .current_dir(ROOT)
                .env("RUSTFLAGS", "-C target-feature=+crt-static")
                .args(["build", "--locked", "--target-dir"])
                .arg(&target));
            target.join("debug/doc2md-docker")
        }
    };
    let stripped = folder.join("program");
    ok(Command::new("strip").arg("-o").arg(&stripped).arg(built));
    stripped
}

/// A folder with the archives of a release.
fn release(project: &Project) -> PathBuf {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let folder = project.home().join("release");
    ok(Command::new(Path::new(ROOT).join("scripts/package"))
        .arg(portable(&project.home()))
        .arg(target)
        .arg(&folder));
    folder
}

fn write_app(project: &Project) {
    project
        .write("app/compose.yaml", "services:\n  api: {build: api}\n  worker: {build: worker}\n");
    for service in ["api", "worker"] {
        let dockerfile = format!("FROM {BUSYBOX}\nRUN echo {service} > /made\n");
        project.write(format!("app/{service}/Dockerfile"), dockerfile);
    }
}

/// `docker run` with the engine's socket and the project's folders where they are on the machine.
fn run(project: &Project, image: &str, options: &[&str], command: &[&str]) -> std::process::Output {
    let engine = project.engine();
    let socket = format!("{}:/var/run/docker.sock", engine.socket().display());
    let app = project.dir().join("app").display().to_string();
    let (same_app, releases) = (
        format!("{app}:{app}"),
        format!("{}:/release:ro", project.home().join("release").display()),
    );
    let name = format!("COMPOSE_PROJECT_NAME={}", project.name());
    let fixed = ["run", "--rm", "--network=none", "-v", &socket, "-v", &same_app, "-v", &releases];
    let rest = ["-e", &name, "-w", &app];
    engine.docker(&[&fixed[..], &rest, options, &[image], command].concat()).output().unwrap()
}

#[test]
fn a_release_builds_after_three_commands_and_is_an_image() {
    let project = Project::new(&engine("28.5"));
    write_app(&project);
    let folder = release(&project);
    let script = "set -e\n\
        if command -v cargo || command -v docker; then exit 9; fi\n\
        tar -xzf /release/doc2md-docker-*.tar.gz -C /opt\n\
        ln -s /opt/doc2md-docker-*/doc2md-docker /usr/local/bin/\n\
        doc2md-docker build";
    let output = run(&project, PYTHON, &[], &["sh", "-c", script]);
    assert!(output.status.success(), "{}", text(&output));
    let images: Vec<String> =
        ["api", "worker"].iter().map(|it| format!("{}-{it}", project.name())).collect();
    for (image, said) in images.iter().zip(["api", "worker"]) {
        assert_eq!(project.engine().file_of(image, "/made"), said, "{}", text(&output));
    }

    // The same as an image, built as the workflow builds it.
    let context = project.dir().join("cli");
    ok(Command::new(Path::new(ROOT).join("scripts/image/unpack")).arg(&folder).arg(&context));
    let dockerfile = Path::new(ROOT).join("scripts/image/Dockerfile");
    project.write(
        "compose.yaml",
        format!(
            "services:\n  cli:\n    build:\n      context: cli\n      dockerfile: {}\n      args: {{BASE: \"{PYTHON}\"}}\n",
            dockerfile.display()
        ),
    );
    project.run(&["build"]).success();
    let cli = format!("{}-cli", project.name());
    let state = project.home().join("state").display().to_string();
    let kept = format!("{state}:/var/lib/doc2md-docker");
    let built = run(&project, &cli, &["-v", &kept], &["build"]);
    assert!(built.status.success(), "{}", text(&built));
    let again = run(&project, &cli, &["-v", &kept], &["build"]);
    assert!(text(&again).contains("up to date"), "{}", text(&again));
    let history = run(&project, &cli, &["-v", &kept], &["history", "ls", "--format", "json"]);
    let builds: serde_json::Value = serde_json::from_slice(&history.stdout).unwrap();
    assert!(builds["builds"].as_array().is_some_and(|builds| !builds.is_empty()), "{builds}");
    let version = run(&project, &cli, &[], &["--version"]);
    assert!(text(&version).contains(env!("CARGO_PKG_VERSION")), "{}", text(&version));
    let empty = project.home().join("empty");
    std::fs::create_dir_all(&empty).unwrap();
    let refused = Command::new(Path::new(ROOT).join("scripts/image/unpack"))
        .args([&empty, &context])
        .output();
    assert_eq!(refused.unwrap().status.code(), Some(1));
}
