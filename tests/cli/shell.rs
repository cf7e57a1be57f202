//! At home in the shell: completion, man pages, `docker doc2md`.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A home, a folder `bin` in PATH with the program, and a project.
struct Home {
    root: TempDir,
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_doc2md-docker");
const SHELLS: [&str; 5] = ["bash", "zsh", "fish", "powershell", "elvish"];

impl Home {
    fn new() -> Self {
        let home = Self { root: TempDir::with_prefix("d2m-shell-").unwrap() };
        for folder in ["bin", "app", "state/builds/app", "other"] {
            std::fs::create_dir_all(home.path(folder)).unwrap();
        }
        symlink(PROGRAM, home.path("bin/doc2md-docker")).unwrap();
        let text =
            "services: {api: {build: .}, worker: {build: ., profiles: [big]}, web: {image: x}}";
        std::fs::write(home.path("app/compose.yaml"), text).unwrap();
        std::fs::write(home.path("other/compose.yaml"), "services: {elsewhere: {build: .}}")
            .unwrap();
        home
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(path)
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.path("app"))
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()))
            .env("HOME", self.root.path())
            .env("DOC2MD_DOCKER_STATE_DIR", self.path("state"))
            .env("DOCKER_HOST", "unix:///nowhere/docker.sock");
        command
    }

    fn run(&self, line: &[&str]) -> Output {
        self.command("doc2md-docker").args(line).output().unwrap()
    }

    /// What is offered behind the words of `line`, of which the last one is begun.
    fn offered(&self, line: &str) -> Vec<String> {
        let words: Vec<&str> = line.split(' ').collect();
        let mut command = self.command("doc2md-docker");
        command.env("_DOC2MD_DOCKER_COMPLETE", "zsh");
        command.env("_CLAP_COMPLETE_INDEX", words.len().to_string()).env("_CLAP_IFS", "\n");
        let output = command.args(["--", "doc2md-docker"]).args(words).output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines()
            .map(|line| line.split_once(':').map_or(line, |(word, _)| word).to_owned())
            .collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn names_of_the_project_are_offered() {
    let home = Home::new();
    for (line, offered) in [
        ("bui", &["build", "builders"][..]),
        ("build a", &["api"]),
        ("build ", &["api", "web", "worker"]),
        ("-f ../other/compose.yaml build e", &["elsewhere"]),
        ("build --project-directory ../other -f ../other/compose.yaml e", &["elsewhere"]),
        ("why wor", &["worker"]),
        ("dev up ap", &["api"]),
        ("--profile b", &["big"]),
        ("history show l", &["latest"]),
        ("-p a", &["app"]),
        ("builders inspect def", &["default"]),
        ("--progress p", &["plain"]),
        ("build --no-cache-", &["--no-cache-filter"]),
    ] {
        let found = home.offered(line);
        let found: Vec<&str> = found
            .iter()
            .map(String::as_str)
            .filter(|it| !it.starts_with("--") || line.contains("--no"))
            .collect();
        assert_eq!(found, offered, "{line}");
    }
    // A file that cannot be read offers nothing, and says nothing.
    std::fs::write(home.path("app/compose.yaml"), "services: [").unwrap();
    assert!(home.offered("build a").is_empty());
}

#[test]
fn every_shell_gets_a_script_that_asks() {
    let home = Home::new();
    for shell in SHELLS {
        let output = home.run(&["completions", shell]);
        assert!(output.status.success());
        let script = text(&output.stdout);
        assert!(script.contains("_DOC2MD_DOCKER_COMPLETE"), "{shell}: {script}");
        assert!(script.contains("doc2md-docker"), "{shell}: {script}");
    }
    assert_eq!(home.run(&["completions", "tcsh"]).status.code(), Some(2));
}

#[test]
fn bash_completes() {
    let home = Home::new();
    let script = r#"
        source <(doc2md-docker completions bash)
        COMP_WORDS=(doc2md-docker build wo); COMP_CWORD=2; COMP_TYPE=9
        _clap_complete_doc2md_docker doc2md-docker wo build
        printf '<%s>' "${COMPREPLY[@]}"
        complete -p doc2md-docker"#;
    let output = home.command("bash").args(["--norc", "-c", script]).output().unwrap();
    let said = text(&output.stdout);
    assert!(said.starts_with("<worker>"), "{said}{}", text(&output.stderr));
    assert!(said.contains("-F _clap_complete_doc2md_docker"), "{said}");
}

#[test]
fn fish_completes() {
    let home = Home::new();
    let script = "doc2md-docker completions fish | source; complete -C 'doc2md-docker build wo'";
    let output = home.command("fish").args(["--no-config", "-c", script]).output().unwrap();
    assert_eq!(text(&output.stdout), "worker\n", "{}", text(&output.stderr));
}

/// zsh completes in its line editor alone: a terminal of its own, in which Tab is typed.
#[test]
fn zsh_completes() {
    let home = Home::new();
    let script = r#"
        zmodload zsh/zpty
        zpty inner zsh -f -i
        zpty -w inner 'autoload -Uz compinit && compinit -u -d "$HOME/dump"; source <(doc2md-docker completions zsh); print -r -- is-$((40 + 2))'
        zpty -r inner said '*is-42*'
        zpty -w -n inner $'doc2md-docker build wo\t'
        zpty -r inner said '*build wor*'
        print -r -- $said
        zpty -d inner"#;
    let output = home.command("timeout").args(["60", "zsh", "-f", "-c", script]).output().unwrap();
    let said = text(&output.stdout);
    assert!(said.contains("build wor"), "{said}{}", text(&output.stderr));
}

#[test]
fn manual_pages_are_printed_and_written() {
    let home = Home::new();
    let page = text(&home.run(&["man", "history", "show"]).stdout);
    assert!(page.contains(".TH doc2md-docker-history-show 1"), "{page}");
    assert_eq!(home.run(&["man", "nothing"]).status.code(), Some(2));
    assert!(home.run(&["man", "--output", "pages/man1"]).status.success());
    let pages = std::fs::read_dir(home.path("app/pages/man1")).unwrap().count();
    assert!(pages > 15, "{pages}");
    assert!(home.path("app/pages/man1/doc2md-docker-build.1").is_file());
}

/// The real docker CLI. `make test` and CI set the variable.
fn docker() -> PathBuf {
    std::env::var_os("DOC2MD_TEST_DOCKER").map(PathBuf::from).expect(
        "DOC2MD_TEST_DOCKER must name a docker CLI; `make test` sets it, `scripts/engine env` prints it",
    )
}

#[test]
fn the_docker_cli_runs_it_as_a_plugin() {
    let home = Home::new();
    let installed = home.run(&["plugin", "install"]);
    assert!(installed.status.success(), "{}", text(&installed.stderr));
    let link = home.path(".docker/cli-plugins/docker-doc2md");
    assert_eq!(std::fs::read_link(&link).unwrap(), Path::new(PROGRAM).canonicalize().unwrap());
    let run = |line: &[&str]| home.command(docker()).args(line).output().unwrap();

    let help = run(&["--help"]);
    assert!(text(&help.stdout).contains("doc2md*"), "{}", text(&help.stdout));
    assert!(text(&help.stdout).contains("Build, explain, measure and clean"));
    let version = run(&["doc2md", "--version"]);
    assert_eq!(text(&version.stdout), text(&home.run(&["--version"]).stdout));
    let printed = run(&["doc2md", "build", "--print"]);
    assert_eq!(text(&printed.stdout), text(&home.run(&["build", "--print"]).stdout));
    assert!(text(&printed.stdout).contains("\"api\""), "{}", text(&printed.stderr));
    for line in [&["help", "doc2md"][..], &["doc2md", "help"], &["doc2md", "-h"]] {
        let usage = text(&run(line).stdout);
        assert!(usage.contains("Usage: docker doc2md [OPTIONS] <COMMAND>"), "{line:?}: {usage}");
    }
    let usage = text(&run(&["doc2md", "build", "-h"]).stdout);
    assert!(usage.contains("Usage: docker doc2md build"), "{usage}");

    // Exit codes and docker's own options come through.
    let none = run(&["-H", "unix:///no/such.sock", "doc2md", "stats"]);
    assert_eq!(none.status.code(), Some(3), "{}", text(&none.stderr));
    assert!(text(&none.stderr).contains("/no/such.sock"), "{}", text(&none.stderr));
    let context = run(&["--context", "missing", "doc2md", "stats"]);
    assert!(!context.status.success());
    assert!(text(&context.stderr).contains("missing"), "{}", text(&context.stderr));

    let words = run(&["__complete", "doc2md", "build", "wor"]);
    assert!(text(&words.stdout).starts_with("worker\t"), "{}", text(&words.stdout));
    let words = run(&["__complete", "doc2md", "sta"]);
    assert!(text(&words.stdout).starts_with("stats\tShow what"), "{}", text(&words.stdout));

    assert!(home.run(&["plugin", "install"]).status.success(), "again");
    assert!(home.run(&["plugin", "remove"]).status.success());
    assert!(link.symlink_metadata().is_err());
    assert!(home.run(&["plugin", "remove"]).status.success(), "there is nothing left to remove");
}

#[test]
fn what_is_not_the_programs_own_link_stays() {
    let home = Home::new();
    let folder = home.path("config/cli-plugins");
    std::fs::create_dir_all(&folder).unwrap();
    let run = |line: &[&str]| {
        home.command("doc2md-docker")
            .args(line)
            .env("DOCKER_CONFIG", home.path("config"))
            .output()
            .unwrap()
    };
    std::fs::write(folder.join("docker-doc2md"), "mine").unwrap();
    for line in [&["plugin", "install"][..], &["plugin", "remove"]] {
        let output = run(line);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        assert_eq!(std::fs::read_to_string(folder.join("docker-doc2md")).unwrap(), "mine");
    }
    assert!(run(&["plugin", "install", "--force"]).status.success());
    assert!(folder.join("docker-doc2md").is_symlink());
    // A link to a release that is gone is one of its own.
    std::fs::remove_file(folder.join("docker-doc2md")).unwrap();
    symlink("/gone/doc2md-docker", folder.join("docker-doc2md")).unwrap();
    assert!(run(&["plugin", "install"]).status.success());
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
}
