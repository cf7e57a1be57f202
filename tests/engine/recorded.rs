//! Builds of other clients: what the engine's history tells of them, and why their steps ran.

use std::process::Command;

use serde_json::Value;

use crate::support::{BUSYBOX, Engine, Project, engine, on_every_engine, text};

/// A client of docker in the project's folder; what buildx remembers of its builds is the project's.
fn client(project: &Project, args: &[&str]) -> Command {
    let mut command = project.docker(args);
    command.env("BUILDX_CONFIG", project.home().join("buildx"));
    command
}

/// The program under test, which finds that.
fn ours(project: &Project, args: &[&str]) -> Command {
    let mut command = project.command(args);
    command.env("BUILDX_CONFIG", project.home().join("buildx"));
    command
}

/// Builds with a client that writes metadata; returns what buildx calls the build.
#[track_caller]
fn built(project: &Project, args: &[&str]) -> String {
    let file = project.home().join("metadata.json");
    let metadata = ["--metadata-file", file.to_str().unwrap()];
    let output = client(project, &[args, &metadata].concat()).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", text(&output));
    let metadata: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let all = std::iter::once(&metadata).chain(metadata.as_object().unwrap().values());
    let mut refs = all.filter_map(|it| it["buildx.build.ref"].as_str());
    refs.next().unwrap_or_else(|| panic!("{metadata:#}")).to_owned()
}

/// Standard output of the program under test.
#[track_caller]
fn said(project: &Project, args: &[&str]) -> String {
    let output = ours(project, args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn document(project: &Project, args: &[&str]) -> Value {
    serde_json::from_str(&said(project, &[args, &["--format", "json"]].concat())).unwrap()
}

/// What of a build ran by itself: the beginning of its instruction, the kind of its cause, what that names, and whether it
/// is certain.
#[track_caller]
fn roots(project: &Project, build: &str) -> Vec<(String, String, String, bool)> {
    let report = document(project, &["why", "--build", build]);
    let steps = report["targets"][0]["steps"].as_array().unwrap();
    let ran = steps.iter().filter(|step| step["cached"] == false);
    let root = |step: &Value| {
        let cause = &step["cause"];
        let kind = cause["kind"].as_str().unwrap_or_else(|| panic!("{step:#}")).to_owned();
        let words = step["instruction"].as_str().unwrap().split(' ').take(2);
        let text = |name: &str| cause[name].as_str().unwrap_or_default().to_owned();
        let names = match kind.as_str() {
            "argument" => text("argument"),
            "instruction" if cause["above"] == true => text("to"),
            "files" => cause["among"].to_string(),
            "base" => text("reference"),
            "earlier-step" | "stage" => return None,
            _ => String::new(),
        };
        Some((words.collect::<Vec<_>>().join(" "), kind, names, cause["certain"] == true))
    };
    ran.filter_map(root).collect()
}

#[track_caller]
fn assert_roots(project: &Project, build: &str, what: &str, expected: &[(&str, &str, &str, bool)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(step, kind, names, certain)| {
            ((*step).to_owned(), (*kind).to_owned(), (*names).to_owned(), *certain)
        })
        .collect();
    assert_eq!(roots(project, build), expected, "{what}");
}

fn dockerfile(project: &Project, env: &str, end: &str) -> String {
    let name = project.name();
    format!(
        "FROM {name}-base\nARG MODE=none\nENV X={env}\nCOPY reqs.txt /\nRUN echo {name} $MODE\n\
         COPY --link app /app\nRUN echo {end} {name}\n"
    )
}

fn base(project: &Project, content: &str) {
    let tag = format!("{}-base", project.name());
    project.write("base.Dockerfile", format!("FROM {BUSYBOX}\nRUN echo {content} {tag}\n"));
    let build = ["buildx", "build", "-q", "-t", &tag, "-f", "base.Dockerfile", "."];
    let output = client(project, &build).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn each_change_of_a_build_by_buildx_is_named() {
    let engine = engine("28.5");
    let project = Project::new(&engine);
    let tag = project.name().to_owned();
    project.write("reqs.txt", "a").write("app/main.py", &tag);
    project.write("Dockerfile", dockerfile(&project, "1", "end"));
    base(&project, "one");
    let build =
        |args: &[&str]| built(&project, &[&["buildx", "build", "-t", &tag], args, &["."]].concat());

    let first = build(&[]);
    let kinds: Vec<String> = roots(&project, &first).into_iter().map(|it| it.1).collect();
    assert!(!kinds.is_empty() && kinds.iter().all(|it| it == "first-build"), "{kinds:?}");
    assert_roots(&project, &build(&[]), "nothing", &[]);

    let argument = build(&["--build-arg", "MODE=b"]);
    assert_roots(&project, &argument, "an argument", &[("RUN echo", "argument", "MODE", true)]);

    project.write("app/main.py", "another");
    let files = build(&["--build-arg", "MODE=b"]);
    assert_roots(&project, &files, "a file", &[("COPY --link", "files", "[\"app\"]", false)]);

    project.write("Dockerfile", dockerfile(&project, "1", "finis"));
    let text = build(&["--build-arg", "MODE=b"]);
    assert_roots(&project, &text, "an instruction", &[("RUN echo", "instruction", "", true)]);

    project.write("Dockerfile", dockerfile(&project, "2", "finis"));
    let above = build(&["--build-arg", "MODE=b"]);
    assert_roots(&project, &above, "a setting", &[("RUN echo", "instruction", "X=2", true)]);

    base(&project, "two");
    let moved = build(&["--build-arg", "MODE=b"]);
    let found = roots(&project, &moved);
    let reference = format!("docker.io/library/{tag}-base:latest");
    assert!(found.iter().all(|it| it.1 == "base" && it.2 == reference && it.3), "{found:?}");
    assert!(found.iter().any(|it| it.0 == "COPY reqs.txt"), "{found:?}");

    let again = roots(&project, &build(&["--no-cache"]));
    assert!(again.iter().all(|it| it.1 == "requested" && it.3), "{again:?}");

    // The beginning of its name is enough, without the builder.
    let short = argument.rsplit('/').next().unwrap();
    assert_eq!(roots(&project, &short[..12]), roots(&project, &argument));
    let words = said(&project, &["why", "--build", short]);
    assert!(
        words.contains("because the build argument MODE changed from not set to \"b\""),
        "{words}"
    );
    let shown = said(&project, &["history", "show", short]);
    assert!(shown.contains(&format!("RUN echo {tag} b")) && shown.contains("CACHED"), "{shown}");
    let logged = said(&project, &["history", "logs", short]);
    assert!(logged.contains(&format!("{tag} b")), "{logged}");
    engine.docker_ok(&["image", "rm", "-f", &format!("{tag}-base")]);
}

#[test]
fn builds_of_compose_and_bake_are_of_one_target() {
    let engine = engine("28.5");
    let project = Project::new(&engine);
    let name = project.name().to_owned();
    let write = |end: &str| {
        project.write(
            "Dockerfile",
            format!("FROM {BUSYBOX}\nRUN echo {name}\nRUN echo {end} {name}\n"),
        );
    };
    project.write(
        "compose.yaml",
        "services: {api: {build: .}, other: {build: {context: ., dockerfile: o.D}}}\n",
    );
    project.write("o.D", format!("FROM {BUSYBOX}\nRUN echo other {name}\n"));
    write("one");
    let compose = client(&project, &["compose", "build", "api"]).output().unwrap();
    assert!(compose.status.success(), "{}", text(&compose));
    write("two");
    let baked = built(&project, &["buildx", "bake", "-f", "compose.yaml", "api"]);
    assert_roots(&project, &baked, "bake", &[("RUN echo", "instruction", "", true)]);
    // One of another directory, and one of this program.
    let other = Project::new(&engine);
    other.write("Dockerfile", format!("FROM {BUSYBOX}\nRUN echo elsewhere {}\n", other.name()));
    built(&other, &["buildx", "build", "."]);
    let by_us = ours(&project, &["build", "--quiet", "other"]).output().unwrap();
    assert!(by_us.status.success(), "{}", text(&by_us));

    let listed = document(&project, &["history", "ls", "--engine"]);
    let builds = listed["builds"].as_array().unwrap();
    let targets: Vec<(&str, bool)> = builds
        .iter()
        .map(|build| (build["target"].as_str().unwrap(), build["own"].is_string()))
        .collect();
    assert_eq!(targets.len(), 3, "{listed:#}");
    assert_eq!(targets[0], ("other", true), "{listed:#}");
    assert!(targets[1..].iter().all(|(_, own)| !own), "{listed:#}");
    let all = document(&project, &["history", "ls", "--engine", "--all", "-n", "1000"]);
    assert!(all["builds"].as_array().unwrap().len() > 3, "{all:#}");
    assert!(all["project"].is_null());

    // Of one of its own this program tells what it remembers itself.
    let own = builds[0]["id"].as_str().unwrap();
    let report = document(&project, &["why", "--build", own]);
    assert_eq!(report["build"], builds[0]["own"], "{report:#}");
}

#[test]
fn an_engine_without_a_history_is_told_of() {
    on_every_engine(|engine: &Engine| {
        let project = Project::new(engine);
        let name = project.name().to_owned();
        project.write("compose.yaml", "services: {api: {build: .}}\n");
        let write = |word: &str| {
            project.write("Dockerfile", format!("FROM {BUSYBOX}\nRUN echo {word} {name}\n"));
        };
        let mut last = String::new();
        for word in ["one", "two"] {
            write(word);
            last = built(&project, &["buildx", "build", "-t", &format!("{name}-api"), "."]);
        }
        if engine.name != "20.10" {
            assert_roots(&project, &last, &engine.name, &[("RUN echo", "instruction", "", true)]);
            let listed = document(&project, &["history", "ls", "--engine"]);
            assert_eq!(
                listed["builds"].as_array().unwrap().len(),
                2,
                "{}: {listed:#}",
                engine.name
            );
            return;
        }
        for args in [&["why", "--build", &last][..], &["history", "ls", "--engine"]] {
            let output = ours(&project, args).output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{}", text(&output));
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            let told: Vec<&str> =
                errors.lines().filter(|line| line.starts_with("error:")).collect();
            assert!(
                told.len() == 1 && told[0].ends_with("keeps no history of builds"),
                "{args:?}: {errors}"
            );
        }
    });
}

#[test]
fn what_nobody_remembers_is_told_so() {
    let engine = engine("28.5");
    let project = Project::new(&engine);
    project.write("compose.yaml", "services: {api: {build: .}}\n");
    let output = ours(&project, &["why", "--build", "zzzzzzzzzzzzzzzzzzzzzzzzz"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    let errors = text(&output);
    assert!(errors.contains("neither this program nor the engine remembers a build"), "{errors}");
    let output = ours(&project, &["why", "--build", "latest"]).output().unwrap();
    assert!(
        text(&output).contains("no builds of this project are remembered"),
        "{}",
        text(&output)
    );
}
