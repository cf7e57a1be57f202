//! `check`: known faults in small projects, each with its rule and line, and nothing else; formats, exit codes, `--fix`.
//!
//! A project of tests/checks is a text: the findings that are expected, then its files one after the other.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

const CHECKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/checks");
const PROJECTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/projects");

fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_doc2md-docker"));
    // No engine: nothing of it may matter.
    command
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("DOCKER_HOST", "unix:///d2m-none.sock");
    command.args(args).output().unwrap()
}

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::with_prefix("d2m-check-").unwrap();
    for (path, text) in files {
        write(folder.path(), path, text);
    }
    if !folder.path().join("compose.yaml").exists() {
        write(folder.path(), "compose.yaml", "services: {app: {build: .}}\n");
    }
    folder
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn document(folder: &Path, args: &[&str]) -> Value {
    let output = run(folder, &[&["check", "--format", "json"], args].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)))
}

/// `rule file:line` of each finding, in order.
fn found(folder: &Path) -> Vec<String> {
    let document = document(folder, &[]);
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    let one = |it: &Value| format!("{} {}:{}", text(it, "rule"), text(it, "file"), it["line"]);
    let mut all: Vec<String> = document["findings"].as_array().unwrap().iter().map(one).collect();
    all.sort();
    all
}

/// What is expected, and the files of a project.
fn project(text: &str) -> (Vec<&str>, Vec<(&str, &str)>) {
    let mut parts = text.split("=== ");
    let expected = parts.next().unwrap().lines().collect();
    (expected, parts.map(|part| part.split_once('\n').unwrap()).collect())
}

fn every(folder: &str, mut see: impl FnMut(&str, &str)) -> usize {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    names.sort();
    for path in &names {
        see(&path.file_name().unwrap().to_string_lossy(), &fs::read_to_string(path).unwrap());
    }
    names.len()
}

/// The same file as others write it.
fn written(path: &str, text: &str, how: &str) -> String {
    match how {
        "CRLF" if path.contains("ocker") => text.replace('\n', "\r\n"),
        "mark" if path.contains("ocker") => format!("\u{feff}{text}"),
        _ => text.to_owned(),
    }
}

#[test]
fn every_known_fault_is_found_at_its_line_and_nothing_else() {
    let mut wrong = String::new();
    let count = every(CHECKS, |name, text| {
        let (expected, files) = project(text);
        for how in ["as it is", "CRLF", "mark"] {
            let texts: Vec<(&str, String)> =
                files.iter().map(|(path, text)| (*path, written(path, text, how))).collect();
            let files: Vec<(&str, &str)> =
                texts.iter().map(|(path, text)| (*path, text.as_str())).collect();
            let folder = folder(&files);
            let found = found(folder.path());
            if found != expected {
                wrong += &format!("## {name}, {how}\nfound {found:?}\nnot   {expected:?}\n");
            }
        }
    });
    assert!(wrong.is_empty(), "{wrong}");
    assert!(count >= 60, "{count} projects");
}

#[test]
fn what_is_fixed_once_stays_and_everything_else_is_untouched() {
    let mut fixed = 0;
    every(CHECKS, |name, text| {
        for how in ["CRLF", "mark"] {
            let (_, files) = project(text);
            let texts: Vec<(&str, String)> =
                files.iter().map(|(path, text)| (*path, written(path, text, how))).collect();
            let files: Vec<(&str, &str)> =
                texts.iter().map(|(path, text)| (*path, text.as_str())).collect();
            let folder = folder(&files);
            let shown = stdout(&run(folder.path(), &["check", "--fix", "--dry-run"]));
            for (path, text) in &files {
                assert_eq!(fs::read_to_string(folder.path().join(path)).unwrap(), *text, "{name}");
            }
            let made = stdout(&run(folder.path(), &["check", "--fix"]));
            let hunks = |text: &str| text.lines().filter(|line| line.starts_with("@@")).count();
            assert_eq!(hunks(&shown), hunks(&made), "{name}, {how}: {shown}\n{made}");
            fixed += hunks(&made);
            for (path, text) in &files {
                let now = fs::read_to_string(folder.path().join(path)).unwrap();
                let gone = made.lines().any(|line| line.starts_with("+++") && line.ends_with(path));
                assert!(gone || now == *text, "{name}, {how}, {path}");
                // Marks and line ends stay as they were.
                assert_eq!(
                    now.starts_with('\u{feff}'),
                    text.starts_with('\u{feff}'),
                    "{name}, {how}"
                );
                let bare = |text: &str| text.matches('\n').count() - text.matches("\r\n").count();
                assert!(how != "CRLF" || bare(text) > 0 || bare(&now) == 0, "{name}, {path}");
            }
            let again = stdout(&run(folder.path(), &["check", "--fix"]));
            assert_eq!(hunks(&again), 0, "{name}, {how}: {again}");
        }
    });
    assert!(fixed > 20, "{fixed} changes");
}

#[test]
fn what_init_writes_is_as_it_should_be() {
    let mut count = 0;
    every(PROJECTS, |name, text| {
        let (_, files) = project(text);
        let folder = TempDir::with_prefix("d2m-check-").unwrap();
        files.iter().for_each(|(path, text)| write(folder.path(), path, text));
        if !run(folder.path(), &["init"]).status.success() {
            assert!(name.starts_with("refused"), "{name}");
            return;
        }
        count += 1;
        assert_eq!(found(folder.path()), [""; 0], "{name}");
        let dev = [
            "-f",
            "docker-compose.yml",
            "-f",
            "docker-compose.dev.yml",
            "check",
            "--severity",
            "advice",
        ];
        let output = run(folder.path(), &dev);
        assert!(output.status.success(), "{name}: {}", stdout(&output));
    });
    assert!(count >= 30, "{count} projects");
    let folder = TempDir::with_prefix("d2m-check-").unwrap();
    assert!(run(folder.path(), &["init", "demo"]).status.success());
    assert_eq!(found(&folder.path().join("demo")), [""; 0]);
}

fn example(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(path)
}

#[test]
fn the_example_has_no_fault_and_what_it_was_before_has_its_own() {
    assert_eq!(found(&example("doc2md")), [""; 0]);
    assert_eq!(
        found(&example("doc2md-before/naive")),
        [
            "code-before-requirements Dockerfile:6",
            "heavy-with-light Dockerfile:8",
            "no-cache-mount Dockerfile:8"
        ]
    );
    assert_eq!(found(&example("doc2md-before/pip")), ["heavy-with-light Dockerfile:9"]);
}

#[test]
fn the_exit_code_goes_by_the_severity() {
    let advice = folder(&[(
        "Dockerfile",
        "FROM python:3.12-slim\nRUN --mount=type=cache,target=/root/.cache/pip pip install flask\n",
    )]);
    for (args, code) in [
        (&["check"][..], 0),
        (&["check", "--severity", "advice"], 4),
        (&["check", "--severity", "error"], 0),
        (&["check", "--dry-run"], 2),
        (&["check", "nobody"], 2),
    ] {
        let output = run(advice.path(), args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", stderr(&output));
    }
    let output = run(advice.path(), &["check"]);
    assert!(
        stderr(&output).contains("note: BuildKit's own checks are left out: "),
        "{}",
        stderr(&output)
    );
    insta::assert_snapshot!(stdout(&output), @"
    Dockerfile:2:60: advice unpinned-package [app]
      flask has no version, so the image depends on the day on which this step last ran
      change: name versions, or install from a lock file

    1 piece of advice
    ");
    let error = folder(&[("Dockerfile", "FROM python:3.12-slim\nARG API_TOKEN\n")]);
    let output = run(error.path(), &["check", "--severity", "error"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(stderr(&output).contains("error: check found 1 error"), "{}", stderr(&output));
    let none = folder(&[]);
    assert_eq!(run(none.path(), &["check"]).status.code(), Some(5));
}

const FAULTY: &str = "FROM python:3.12-slim\n# why\nCOPY . .\nRUN  pip install --no-cache-dir -r requirements.txt   # 100%\n";

#[test]
fn a_fix_is_shown_as_a_difference() {
    let folder = folder(&[("Dockerfile", FAULTY), ("requirements.txt", "flask==3.1.0\n")]);
    let output = run(folder.path(), &["check", "--fix"]);
    assert_eq!(output.status.code(), Some(4), "code stands before requirements all the same");
    let shown = stdout(&output);
    let diff: String = shown
        .lines()
        .take_while(|line| !line.starts_with("Dockerfile:"))
        .map(|line| format!("{line}\n"))
        .collect();
    insta::assert_snapshot!(diff, @"
    --- a/Dockerfile
    +++ b/Dockerfile
    @@ -2,3 +2,3 @@
     # why
     COPY . .
    -RUN  pip install --no-cache-dir -r requirements.txt   # 100%
    +RUN --mount=type=cache,target=/root/.cache/pip  pip install -r requirements.txt   # 100%
    ");
    assert!(
        shown.contains("code-before-requirements") && !shown.contains("no-cache-mount"),
        "{shown}"
    );
}

#[test]
fn annotations_are_escaped_and_name_files_from_the_workspace() {
    let folder = folder(&[("a,b%/Dockerfile", "FROM python:3.12-slim\nARG API_TOKEN\n")]);
    write(folder.path(), "compose.yaml", "services: {app: {build: './a,b%'}}\n");
    let output = run(folder.path(), &["check", "--format", "github"]);
    let line = stdout(&output);
    assert!(
        line.starts_with("::error file=a%2Cb%25/Dockerfile,line=2,endLine=2,col=5,title=secret-in-argument::the value of API_TOKEN"),
        "{line}"
    );
    assert!(line.contains("%0Achange: use a build secret") && line.lines().count() == 1, "{line}");
}

#[test]
fn the_sarif_log_has_the_shape_that_readers_want() {
    let folder = folder(&[("a b/Dockerfile", FAULTY), ("a b/requirements.txt", "flask==3.1.0\n")]);
    write(folder.path(), "compose.yaml", "services: {app: {build: './a b'}}\n");
    let output = run(folder.path(), &["check", "--format", "sarif"]);
    let log: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (log["version"].as_str(), log["runs"].as_array().unwrap().len()),
        (Some("2.1.0"), 1)
    );
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(run["tool"]["driver"]["name"], "doc2md-docker");
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 2, "{log:#}");
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%20b/Dockerfile");
        for key in ["startLine", "startColumn", "endLine"] {
            assert!(place["region"][key].as_u64().unwrap() >= 1, "{log:#}");
        }
    }
}

#[test]
fn no_secret_is_printed() {
    let text = "FROM python:3.12-slim\nENV DB_PASSWORD=hunter2\nRUN --mount=type=cache,target=/root/.cache/pip pip install --no-cache-dir a==1 -i https://me:hunter2@h/simple\n";
    let folder = folder(&[("Dockerfile", text)]);
    for format in ["table", "json", "sarif", "github"] {
        let output = run(folder.path(), &["check", "--fix", "--dry-run", "--format", format]);
        let all = stdout(&output) + &stderr(&output);
        assert!(all.contains("secret-in-url") && !all.contains("hunter2"), "{all}");
    }
}
