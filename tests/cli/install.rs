//! From a release to a program in PATH: `scripts/package` and `scripts/install.sh`.
#![allow(clippy::unwrap_used)]

#[path = "../support/program.rs"]
mod program;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name)
}

fn target() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

fn ok(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {said}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A release as it would lie at an address. The program of the tests is large: a script that runs it stands for it.
struct Release {
    root: TempDir,
}

impl Release {
    fn new() -> Self {
        let release = Self { root: TempDir::with_prefix("d2m-release-").unwrap() };
        let program = release.path("program");
        let lines = format!("exec {} \"$@\"", env!("CARGO_BIN_EXE_doc2md-docker"));
        program::script(&program, &lines);
        let folder = release.folder();
        ok(&Command::new(script("package"))
            .arg(program)
            .arg(target())
            .arg(&folder)
            .output()
            .unwrap());
        let line = "sha256sum -- * > ../SHA256SUMS && mv ../SHA256SUMS .";
        ok(&Command::new("sh").args(["-c", line]).current_dir(&folder).output().unwrap());
        std::fs::create_dir_all(release.path("repository/releases/latest")).unwrap();
        std::os::unix::fs::symlink(&folder, release.path("repository/releases/latest/download"))
            .unwrap();
        release
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn folder(&self) -> PathBuf {
        self.path(&format!("repository/releases/download/v{VERSION}"))
    }

    fn install(&self, args: &[&str]) -> Output {
        Command::new("sh")
            .arg(script("install.sh"))
            .args(args)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.path("home"))
            .env(
                "DOC2MD_DOCKER_REPOSITORY",
                format!("file://{}", self.path("repository").display()),
            )
            .output()
            .unwrap()
    }
}

#[test]
fn a_release_is_installed_and_checked() {
    let release = Release::new();
    let archive = release.folder().join(format!("doc2md-docker-{VERSION}-{}.tar.gz", target()));
    let listed = ok(&Command::new("tar").arg("-tzf").arg(&archive).output().unwrap());
    for file in [
        "doc2md-docker",
        "LICENSE-MIT",
        "completions/doc2md-docker.fish",
        "man/doc2md-docker-build.1",
    ] {
        assert!(
            listed.lines().any(|line| line.ends_with(&format!("{}/{file}", target()))),
            "{file}:\n{listed}"
        );
    }

    let program = release.path("home/.local/bin/doc2md-docker");
    let said = ok(&release.install(&[]));
    assert!(said.contains(&format!("installed doc2md-docker {VERSION}")), "{said}");
    assert!(said.contains("is not in PATH"), "{said}");
    assert!(ok(&Command::new(&program).arg("--version").output().unwrap()).contains(VERSION));
    ok(&release.install(&[VERSION]));
    let beside = std::fs::read_dir(program.parent().unwrap()).unwrap().count();
    assert_eq!(beside, 1, "nothing is left over");

    assert!(!release.install(&["9.9.9"]).status.success());
    // Another content, of a valid archive.
    std::fs::remove_file(&program).unwrap();
    let mut bytes = std::fs::read(&archive).unwrap();
    bytes.push(0);
    std::fs::write(&archive, bytes).unwrap();
    let output = release.install(&[]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("is not what SHA256SUMS says"), "{said}");
    assert!(!program.exists());
}

#[test]
fn the_package_for_debian_brings_everything() {
    let release = Release::new();
    let machine = if std::env::consts::ARCH == "x86_64" { "amd64" } else { "arm64" };
    let package = release.folder().join(format!("doc2md-docker_{VERSION}_{machine}.deb"));
    let root = release.path("root");
    ok(&Command::new("dpkg-deb").arg("-x").arg(&package).arg(&root).output().unwrap());
    let fields = ok(&Command::new("dpkg-deb").arg("-f").arg(&package).output().unwrap());
    assert!(fields.contains(&format!("Version: {VERSION}")), "{fields}");
    for file in [
        "usr/bin/doc2md-docker",
        "usr/share/man/man1/doc2md-docker-clean.1.gz",
        "usr/share/bash-completion/completions/doc2md-docker",
        "usr/share/zsh/vendor-completions/_doc2md-docker",
        "usr/share/doc/doc2md-docker/copyright",
    ] {
        assert!(root.join(file).is_file(), "{file}");
    }
    let plugin = root.join("usr/libexec/docker/cli-plugins/docker-doc2md");
    assert_eq!(
        plugin.canonicalize().unwrap(),
        root.join("usr/bin/doc2md-docker").canonicalize().unwrap()
    );
}

#[test]
fn actions_of_the_release_are_pinned() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows/release.yml");
    let text = std::fs::read_to_string(path).unwrap();
    let workflow: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
    assert!(workflow["jobs"]["publish"]["needs"] == "build", "{workflow:?}");
    let used: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim_start_matches([' ', '-']).strip_prefix("uses: "))
        .collect();
    assert!(used.len() > 5, "{used:?}");
    for action in used {
        let commit = action.split_once('@').unwrap().1.split(' ').next().unwrap();
        let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(is_commit, "{action} is not pinned by its commit");
    }
}
