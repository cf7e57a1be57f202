//! The READMEs, followed to the letter: each command line of this program on the pages, typed in a terminal.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::error::ErrorKind;
use doc2md_docker::cli;

use crate::support::{BUSYBOX, Project, engine, install_compose};

/// Pages, and the folder that each calls the reader's own.
const PAGES: [(&str, &str); 2] =
    [("README.md", "your-project"), ("README.pt-BR.md", "seu-projeto")];

/// Lines of a page that run this program, in the order of the page, such as `clean --old`: those up to the list of other
/// pages, which tells of commands instead of calling for them. One word is a line where the page says when to type it.
fn lines(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let root = cli::command();
    let names: BTreeSet<&str> = root.get_subcommands().map(clap::Command::get_name).collect();
    let (mut found, mut section) = (Vec::new(), "");
    for line in text.lines() {
        section = line.strip_prefix("## ").unwrap_or(section);
        if ["Where the rest is", "Onde está o resto"].contains(&section) {
            break;
        }
        let codes: Vec<&str> = match line.strip_prefix("    ") {
            Some(code) => vec![code],
            None => line.split('`').skip(1).step_by(2).collect(),
        };
        for code in codes {
            let code = code.split(" #").next().unwrap().trim();
            let own = code.strip_prefix("doc2md-docker ");
            let mut words = own.unwrap_or(code).split(' ');
            let is_command = names.contains(words.next().unwrap());
            let is_called_for = words.next().is_some() || ["When", "Quando"].contains(&section);
            if code.starts_with("source <(") || is_command && (own.is_some() || is_called_for) {
                found.push(own.unwrap_or(code).to_owned());
            }
        }
    }
    found
}

/// Whether a line is whole: some only name what needs more.
fn is_whole(line: &str) -> bool {
    let words = ["doc2md-docker"].into_iter().chain(line.split_whitespace());
    match cli::parse(words.map(OsString::from)) {
        Ok(_) => true,
        Err(error) => error.kind() != ErrorKind::MissingRequiredArgument,
    }
}

fn write_project(project: &Project) {
    project
        .write(
            "your-project/compose.yaml",
            "services:\n  base: {build: base}\n  worker: {build: worker, depends_on: [base], network_mode: none}\n",
        )
        .write(
            "your-project/compose.dev.yaml",
            "services: {base: {command: [\"true\"], network_mode: none}, worker: {stop_grace_period: 0s}}\n",
        )
        .write("your-project/base/Dockerfile", format!("FROM {BUSYBOX}\nCOPY code /\n"))
        .write("your-project/base/code", "1")
        .write(
            "your-project/worker/Dockerfile",
            format!("FROM {BUSYBOX}\nCOPY needs.txt /\nRUN cat /needs.txt\nCOPY code /\nCMD [\"sleep\", \"1000\"]\n"),
        )
        .write("your-project/worker/needs.txt", "1")
        .write("your-project/worker/code", "1")
        .write("fresh/requirements.txt", "fastapi\nuvicorn\n")
        .write("fresh/main.py", "from fastapi import FastAPI\napp = FastAPI()\n");
}

/// Types `line` in a terminal, in `folder`, and says yes to a question. What goes on until it is stopped is stopped.
fn typed(project: &Project, folder: &str, line: &str) -> (Option<i32>, String) {
    let program = Path::new(env!("CARGO_BIN_EXE_doc2md-docker")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let is_own = !line.starts_with("source ");
    let whole = if is_own { format!("doc2md-docker {line}") } else { line.to_owned() };
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command"])
        .arg(format!("cd {folder} && {whole}"))
        .arg("/dev/null")
        .current_dir(project.dir())
        .env_clear()
        .env("PATH", path)
        .env("SHELL", "/bin/bash")
        .env("TERM", "xterm")
        .env("HOME", project.home())
        .env("DOCKER_CONFIG", project.home().join("docker"))
        .env("DOCKER_HOST", &project.engine().host)
        .env("COMPOSE_PROJECT_NAME", project.name())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keys = child.stdin.take().unwrap();
    let goes_on = ["dev", "dev logs -f"].contains(&line);
    if goes_on {
        std::thread::sleep(Duration::from_secs(6));
    }
    // It may have ended by itself.
    let _ = keys.write_all(if goes_on { b"\x03" } else { b"y\n" });
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What the engine calls a build of the project.
fn reference(project: &Project, folder: &str) -> String {
    let mut list = project.command(&["history", "ls", "--engine", "--format", "json"]);
    let output = list.current_dir(project.dir().join(folder)).output().unwrap();
    let builds: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    builds["builds"][0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn every_line_works_as_it_stands() {
    let project = Project::new(&engine("28.5"));
    install_compose(&project);
    write_project(&project);
    let [(_, own), (_, other)] = PAGES;
    std::os::unix::fs::symlink(project.dir().join(own), project.dir().join(other)).unwrap();
    let gone = format!("{}-gone", project.name());
    let (code, said) = typed(&project, own, &format!("build -p {gone}"));
    assert_eq!(code, Some(0), "{said}");
    let mut done = BTreeSet::new();
    for (page, folder) in PAGES {
        let lines = lines(page);
        assert!(lines.len() > 20, "{page}: {lines:?}");
        for line in lines {
            let word = |word: &str| match word {
                "NAME" | "NOME" => gone.clone(),
                "PATH" | "CAMINHO" => "worker/code".to_owned(),
                "REF" => reference(&project, own),
                other => other.to_owned(),
            };
            let line = line.split(' ').map(word).collect::<Vec<_>>().join(" ");
            if !is_whole(&line) || !done.insert(line.clone()) {
                continue;
            }
            let folder = if line.starts_with("init") { "fresh" } else { folder };
            let (code, said) = typed(&project, folder, &line);
            let is_right = match line.as_str() {
                // It may find something, and Ctrl-C is how these end.
                "check" => matches!(code, Some(0 | 4)),
                "dev" | "dev logs -f" => matches!(code, Some(0 | 130)),
                _ => code == Some(0),
            };
            assert!(is_right, "{page}: {line}: {code:?}\n{said}");
        }
    }
    assert!(project.engine().image_id(&format!("{gone}-worker")).is_none(), "{done:?}");
    assert!(project.engine().image_id(&format!("{}-worker", project.name())).is_some(), "{done:?}");
}
