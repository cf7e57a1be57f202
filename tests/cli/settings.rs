//! `doc2md-docker.toml`: defaults of commands beside the compose file.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

struct Folder {
    root: TempDir,
}

impl Folder {
    fn new(settings: &str) -> Self {
        let folder = Self { root: TempDir::with_prefix("d2m-set-").unwrap() };
        for (path, text) in [
            ("app/compose.yaml", "services: {a: {build: .}}"),
            ("app/Dockerfile", "FROM scratch\n"),
            ("app/doc2md-docker.toml", settings),
            ("app/deep/er/file", ""),
            ("other/file", ""),
        ] {
            let path = folder.path(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(path)
    }

    fn run(&self, directory: &str, args: &[&str], variables: &[(&str, &str)]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_doc2md-docker"))
            .current_dir(self.path(directory))
            .env_clear()
            .env("HOME", self.path("home"))
            .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
            .envs(variables.iter().copied())
            .args(args)
            .output()
            .unwrap()
    }

    fn platforms(&self, directory: &str, args: &[&str], variables: &[(&str, &str)]) -> Value {
        let output = self.run(directory, args, variables);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {said}");
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        printed["target"]["a"]["platforms"][0].clone()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_setting_counts_where_nothing_else_is_said() {
    let folder = Folder::new("[build]\nplatform = \"linux/arm64\"\n\n[budgets]\na = \"1GB\"\n");
    let print = ["build", "--print"];
    for directory in ["app", "app/deep/er"] {
        assert_eq!(folder.platforms(directory, &print, &[]), "linux/arm64", "{directory}");
    }
    let elsewhere = ["-f", "../app/compose.yaml", "build", "--print"];
    assert_eq!(folder.platforms("other", &elsewhere, &[]), "linux/arm64");
    let variable = [("DOCKER_DEFAULT_PLATFORM", "linux/s390x")];
    assert_eq!(folder.platforms("app", &print, &variable), "linux/s390x");
    let line = ["build", "--print", "--platform", "linux/amd64"];
    assert_eq!(folder.platforms("app", &line, &variable), "linux/amd64");
}

#[test]
fn settings_say_where_they_come_from() {
    let folder = Folder::new("[build]\nparallel = 2\nkeep-going = true\n");
    let output =
        folder.run("app", &["config", "--settings"], &[("DOCKER_DEFAULT_PLATFORM", "linux/s390x")]);
    let text = String::from_utf8(output.stdout).unwrap();
    let row = |name: &str| -> Vec<String> {
        let line = text.lines().find(|line| line.split_whitespace().next() == Some(name));
        line.unwrap_or_else(|| panic!("{name}: {text}"))
            .split_whitespace()
            .skip(1)
            .map(str::to_owned)
            .collect()
    };
    let file = folder.path("app/doc2md-docker.toml").display().to_string();
    assert_eq!(row("build.parallel"), ["2", &format!("{file}:2")]);
    assert_eq!(row("build.keep-going"), ["true", &format!("{file}:3")]);
    assert_eq!(row("build.platform"), ["linux/s390x", "DOCKER_DEFAULT_PLATFORM"]);
    assert_eq!(row("stats.timeout"), ["20s", "default"]);
    assert_eq!(row("build.timeout"), ["-", "default"]);
    let output = folder.run("app", &["config", "--settings"], &[("COMPOSE_PARALLEL_LIMIT", "7")]);
    assert!(String::from_utf8(output.stdout).unwrap().contains("COMPOSE_PARALLEL_LIMIT"));
}

#[test]
fn what_is_wrong_in_the_file_is_told_with_its_place() {
    for (text, said) in [
        (
            "[build]\nparalel = 2\n",
            "doc2md-docker.toml:2:1: `paralel` is not a setting of build\nhint: did you mean `parallel`?",
        ),
        ("[clean]\nforce = true\n", "doc2md-docker.toml:2:1: `force` is not a setting of clean"),
        (
            "[build]\nhost = \"tcp://evil\"\n",
            "doc2md-docker.toml:2:1: `host` is not a setting of build",
        ),
        ("[build]\ntimeout = \"soon\"\n", "doc2md-docker.toml:2:11: invalid value 'soon'"),
        ("[build\n", "doc2md-docker.toml:1:"),
    ] {
        let folder = Folder::new(text);
        for args in [
            &["build", "--print"][..],
            &["clean", "--dry-run"],
            &["stats"],
            &["config", "--settings"],
        ] {
            let output = folder.run("app", args, &[]);
            assert_eq!(output.status.code(), Some(2), "{args:?}: {}", stderr(&output));
            assert!(stderr(&output).contains(said), "{args:?}: {}", stderr(&output));
        }
        // What helps somebody to mend it works.
        for args in [&["build", "--help"][..], &["completions", "bash"], &["man"], &["--version"]] {
            assert!(folder.run("app", args, &[]).status.success(), "{args:?}");
        }
    }
}

#[test]
fn a_variable_wins_over_the_file_and_the_command_line_over_it() {
    let folder = Folder::new("[build]\nplatform = \"linux/arm64\"\n");
    let print = ["build", "--print"];
    let own = ("DOC2MD_DOCKER_BUILD_PLATFORM", "linux/riscv64");
    assert_eq!(folder.platforms("app", &print, &[own]), "linux/riscv64");
    assert_eq!(
        folder.platforms("other", &["-f", "../app/compose.yaml", "build", "--print"], &[own]),
        "linux/riscv64"
    );
    let both = [own, ("DOCKER_DEFAULT_PLATFORM", "linux/s390x")];
    assert_eq!(folder.platforms("app", &print, &both), "linux/riscv64");
    let line = ["build", "--print", "--platform", "linux/amd64"];
    assert_eq!(folder.platforms("app", &line, &both), "linux/amd64");
    assert_eq!(
        folder.platforms("app", &print, &[("DOC2MD_DOCKER_BUILD_PLATFORM", "")]),
        "linux/arm64"
    );

    let output = folder.run("app", &["config", "--settings"], &both);
    let text = String::from_utf8(output.stdout).unwrap();
    let row = text.lines().find(|line| line.starts_with("build.platform ")).unwrap();
    let words: Vec<&str> = row.split_whitespace().skip(1).collect();
    assert_eq!(words, ["linux/riscv64", "DOC2MD_DOCKER_BUILD_PLATFORM"]);
    assert!(text.contains("\ncache.save.max-size "), "{text}");

    for (name, value, said) in [
        ("DOC2MD_DOCKER_BUILD_PLATFROM", "x", "hint: did you mean DOC2MD_DOCKER_BUILD_PLATFORM?"),
        (
            "DOC2MD_DOCKER_STATS_TIMEOUT",
            "soon",
            "DOC2MD_DOCKER_STATS_TIMEOUT: invalid value 'soon'",
        ),
    ] {
        let output = folder.run("app", &print, &[(name, value)]);
        assert_eq!(output.status.code(), Some(2), "{name}: {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{name}: {}", stderr(&output));
        assert!(folder.run("app", &["--help"], &[(name, value)]).status.success());
    }
}
