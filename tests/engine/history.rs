//! `history` over builds that took place: listed, shown, compared, drawn and forgotten.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::{BUSYBOX, Engine, Project, on_every_engine, text};

fn built_twice(engine: &Engine) -> Project {
    let project = Project::new(engine);
    project
        .write("compose.yaml", "services: {app: {build: {context: ., args: {WORD: '${WORD}'}}}}\n")
        .write(
            "Dockerfile",
            format!(
                "FROM {BUSYBOX}\nRUN echo {} >/kept\nARG WORD\nRUN echo $WORD >/word\n",
                project.name()
            ),
        );
    for word in ["one", "two"] {
        let built = project.command(&["build", "--quiet"]).env("WORD", word).output().unwrap();
        assert!(built.status.success(), "{}: {}", engine.name, text(&built));
    }
    project
}

fn history(project: &Project, args: &[&str]) -> String {
    let mut command = project.command(&["history"]);
    let output = command.args(args).env("WORD", "").output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn document(project: &Project, args: &[&str]) -> Value {
    serde_json::from_str(&history(project, args)).unwrap()
}

#[test]
fn builds_are_listed_shown_and_compared() {
    on_every_engine(|engine| {
        let project = built_twice(engine);
        let listed = document(&project, &["ls", "--format", "json"]);
        let builds = listed["builds"].as_array().unwrap();
        assert_eq!(builds.len(), 2, "{listed}");
        let latest = builds[0]["id"].as_str().unwrap();

        let shown = document(&project, &["show", latest, "--format", "json"]);
        let steps = shown["targets"][0]["steps"].as_array().unwrap();
        let results: Vec<(&str, &str)> = steps
            .iter()
            .map(|step| (step["instruction"].as_str().unwrap(), step["result"].as_str().unwrap()))
            .filter(|(instruction, _)| instruction.starts_with("RUN"))
            .collect();
        let kept = format!("RUN echo {} >/kept", project.name());
        assert_eq!(results, [(kept.as_str(), "cached"), ("RUN echo two >/word", "ran")]);

        let compared = history(&project, &["compare"]);
        let word = compared.lines().find(|line| line.contains(">/word")).unwrap();
        assert!(word.contains("two") && word.contains("(was RUN echo one"), "{compared}");
        let argument = compared.lines().find(|line| line.contains("argument WORD"));
        assert!(argument.is_some_and(|line| line.contains("\"one\" to \"two\"")), "{compared}");
        let cause = "because the build argument WORD changed from \"one\" to \"two\"";
        assert!(compared.lines().last().unwrap().ends_with(cause), "{compared}");
        let compared = document(&project, &["compare", "--format", "json"]);
        let steps = compared["targets"][0]["steps"].as_array().unwrap();
        let causes: Vec<&Value> =
            steps.iter().map(|step| &step["cause"]).filter(|cause| !cause.is_null()).collect();
        let expected = json!(
            {"kind": "argument", "argument": "WORD", "from": "one", "to": "two", "certain": true}
        );
        assert_eq!(causes, [&expected], "{}", engine.name);
    });
}

#[test]
fn files_of_a_copy_are_remembered_and_compared() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        // Named contexts came with 23.0.
        let (contexts, copy, top) = match engine.name.as_str() {
            "20.10" => ("", "COPY lib /lib", "lib/"),
            _ => (", additional_contexts: {lib: ./lib}", "COPY --from=lib . /lib", ""),
        };
        let [util, more] = ["util.py", "more.py"].map(|file| format!("{top}{file}"));
        project
            .write("compose.yaml", format!("services: {{app: {{build: {{context: .{contexts}}}}}}}\n"))
            .write(
                "Dockerfile",
                format!(
                    "FROM {BUSYBOX}\nARG DIR=src\nCOPY $DIR/*.py /app/\nCOPY [\"link\", \"/link/\"]\n{copy}\nRUN echo {}\n",
                    project.name()
                ),
            )
            .write(".dockerignore", "**/ignored.py\n")
            .write("src/main.py", "1")
            .write("src/ignored.py", "1")
            .write("src/touched.py", "1")
            .write("src/deeper/other.py", "1")
            .write("assets/logo.svg", "<svg/>")
            .write("lib/util.py", "1");
        std::os::unix::fs::symlink("assets", project.dir().join("link")).unwrap();
        let build = || project.run(&["build", "--quiet"]).success();
        build();
        build();
        // Another time, the same content; another content of the same length; one more, one less.
        project
            .write("src/main.py", "2")
            .write("src/touched.py", "1")
            .write("src/ignored.py", "2")
            .write("src/new.py", "1")
            .write("lib/more.py", "1");
        std::fs::remove_file(project.dir().join("lib/util.py")).unwrap();
        build();

        let shown = document(&project, &["show", "latest~2", "--format", "json"]);
        let steps = shown["targets"][0]["steps"].as_array().unwrap();
        let files: Vec<(&str, Vec<&str>)> = steps
            .iter()
            .filter_map(|step| {
                Some((step["instruction"].as_str()?, step["files"]["entries"].as_array()?))
            })
            .map(|(copy, entries)| {
                (copy, entries.iter().map(|it| it["path"].as_str().unwrap()).collect())
            })
            .collect();
        let expected = [
            ("COPY src/*.py /app/", vec!["src/main.py", "src/touched.py"]),
            ("COPY [link, /link/]", vec!["assets/logo.svg", "link"]),
            (copy, vec![util.as_str()]),
        ];
        assert_eq!(files, expected, "{}", engine.name);

        // Nothing was sent for the second build: what it copied is known from the first.
        for before in ["latest~1", "latest~2"] {
            let compared = document(&project, &["compare", before, "latest", "--format", "json"]);
            let steps = compared["targets"][0]["steps"].as_array().unwrap();
            let files = |start: &str| {
                let step =
                    steps.iter().find(|it| it["instruction"].as_str().unwrap().starts_with(start));
                &step.unwrap()["files"]
            };
            let src = files("COPY src");
            assert_eq!(src["changed"], json!(["src/main.py"]), "{}: {compared:#}", engine.name);
            assert_eq!(src["new"], json!(["src/new.py"]), "{}", engine.name);
            assert!(files("COPY [link").is_null(), "{}", engine.name);
            let lib = files(copy);
            assert_eq!((&lib["new"], &lib["removed"]), (&json!([more]), &json!([util])));
        }
        let table = history(&project, &["compare"]);
        assert!(table.contains("changed: src/main.py\n"), "{}: {table}", engine.name);
    });
}

#[test]
fn a_remembered_build_is_drawn() {
    on_every_engine(|engine| {
        let project = built_twice(engine);
        history(
            &project,
            &["show", "latest~1", "--timeline", "first.html", "--trace", "first.json"],
        );
        let page = std::fs::read_to_string(project.dir().join("first.html")).unwrap();
        assert!(page.contains("&gt;/word") && !page.contains("http://"), "{page}");
        let trace = std::fs::read(project.dir().join("first.json")).unwrap();
        let trace: Value = serde_json::from_slice(&trace).unwrap();
        let names = trace["traceEvents"].as_array().unwrap().iter();
        let word =
            names.filter_map(|event| event["name"].as_str()).any(|name| name.contains("/word"));
        assert!(word, "{trace}");
        history(&project, &["show", "--timeline", "second.html"]);
        let page = std::fs::read_to_string(project.dir().join("second.html")).unwrap();
        assert!(page.contains("<p>ran because the build argument WORD changed from"), "{page}");
    });
}

#[test]
fn builds_are_forgotten_by_name_and_all_at_once() {
    on_every_engine(|engine| {
        let project = built_twice(engine);
        let listed = document(&project, &["ls", "--format", "json"]);
        let first = listed["builds"][1]["id"].as_str().unwrap().to_owned();
        // One name that is not there, and nothing goes.
        let mut command = project.command(&["history", "rm", &first, "zzzzzz"]);
        let output = command.env("WORD", "").output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(text(&output).contains("history ls"), "{}", text(&output));

        assert_eq!(history(&project, &["rm", &first]).trim(), first);
        let listed = document(&project, &["ls", "--format", "json"]);
        let builds = listed["builds"].as_array().unwrap();
        assert_eq!(builds.len(), 1);
        assert_ne!(builds[0]["id"], first.as_str());

        // The files gone, the name is enough.
        std::fs::remove_file(project.dir().join("compose.yaml")).unwrap();
        history(&project, &["rm", "--all", "-p", project.name()]);
        let output = project.command(&["history", "-p", project.name()]).output().unwrap();
        assert!(output.status.success() && output.stdout.is_empty(), "{}", text(&output));
        assert!(text(&output).contains("no builds of"), "{}", text(&output));
        // The image stays: a memory is forgotten, nothing is removed.
        assert!(engine.image_id(&format!("{}-app", project.name())).is_some());
    });
}

/// Two services, of which the first one, `b`, fails after it has said a secret.
fn half_built(engine: &Engine) -> Project {
    let project = Project::new(engine);
    let name = project.name().to_owned();
    project
        .write(
            "compose.yaml",
            "services: {b: {build: {context: ., target: b, secrets: [word]}}, c: {build: {context: ., target: c}}}\n\
             secrets: {word: {environment: SECRET_WORD}}\n",
        )
        .write(
            "Dockerfile",
            format!(
                "FROM {BUSYBOX} AS c\nRUN for i in $(seq 200); do echo {name} line $i; done\n\
                 FROM {BUSYBOX} AS b\nRUN --mount=type=secret,id=word echo {name} $(cat /run/secrets/word); false\n"
            ),
        );
    project
}

fn run_with_secret(project: &Project, args: &[&str]) -> Output {
    project.command(args).env("SECRET_WORD", "hunter2-of-the-test").output().unwrap()
}

/// Exit code, and what was said besides.
#[track_caller]
fn assert_refused(output: &Output, code: i32, words: &str) {
    assert_eq!(output.status.code(), Some(code), "{}", text(output));
    assert!(text(output).contains(words), "{}", text(output));
}

#[test]
fn logs_of_builds_are_printed_as_long_as_the_engine_keeps_them() {
    on_every_engine(|engine| {
        let project = half_built(engine);
        let name = project.name().to_owned();
        let run = |args: &[&str]| run_with_secret(&project, args);
        let built = run(&["build", "--keep-going", "--quiet"]);
        assert_eq!(built.status.code(), Some(1), "{}: {}", engine.name, text(&built));

        // What the failed step said last is remembered, whatever the engine keeps.
        let shown = document(&project, &["show", "--format", "json"]);
        let steps = shown["targets"][0]["steps"].as_array().unwrap().iter();
        let outputs: Vec<&Value> = steps.filter_map(|step| step.get("output")).collect();
        assert_eq!(outputs, [&json!({"lines": [format!("{name} ***")]})], "{}", engine.name);
        let table = history(&project, &["show"]);
        assert!(table.contains(&format!("\n  | {name} ***\nerror: ")), "{}: {table}", engine.name);

        let logs = run(&["history", "logs"]);
        if engine.name == "20.10" {
            assert_refused(&logs, 1, "does not keep the log of c's build");
            let one = run(&["history", "logs", "latest", "b"]);
            assert_refused(&one, 0, "only the last output is remembered");
            let said = String::from_utf8(one.stdout).unwrap();
            assert!(said.contains(&format!("{name} ***\n")) && said.contains("FAILED"), "{said}");
            return;
        }
        assert!(logs.status.success(), "{}: {}", engine.name, text(&logs));
        let all = String::from_utf8(logs.stdout).unwrap();
        for line in ["line 1\n", "line 100\n", "line 200\n"] {
            assert!(all.contains(&format!("{name} {line}")), "{}: {all}", engine.name);
        }
        // What the failed one said is there, too, but for its secret.
        assert!(all.contains(&format!("{name} ***")), "{}: {all}", engine.name);
        assert!(!all.contains("hunter2"), "{}: {all}", engine.name);
        assert!(String::from_utf8(logs.stderr).unwrap().is_empty());

        let one = String::from_utf8(run(&["history", "logs", "latest", "b"]).stdout).unwrap();
        assert!(one.contains("***") && !one.contains("line 100"), "{}: {one}", engine.name);
    });
}

#[test]
fn logs_that_cannot_be_had_are_told_apart() {
    on_every_engine(|engine| {
        let project = half_built(engine);
        let run = |args: &[&str]| run_with_secret(&project, args);
        assert_eq!(run(&["build", "--parallel", "1", "--quiet"]).status.code(), Some(1));
        assert_refused(&run(&["history", "logs", "latest", "bb"]), 2, "did you mean `b`?");
        assert_refused(&run(&["history", "logs", "zzzz"]), 2, "`doc2md-docker history ls` lists");
        assert_refused(
            &run(&["history", "logs", "latest~9"]),
            2,
            "`doc2md-docker history ls` lists",
        );
        let unbuilt = run(&["history", "logs", "latest", "c"]);
        assert_refused(&unbuilt, 1, "has no log of c: nothing was built for it");
        assert!(text(&unbuilt).contains("history show"), "{}", text(&unbuilt));

        // As if the engine had forgotten it, and as if another engine had built it.
        let states = project.home().join(".local/state/doc2md-docker/builds").join(project.name());
        let file = std::fs::read_dir(states).unwrap().next().unwrap().unwrap().path();
        let mut entry: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        entry["targets"][0]["build_ref"] = json!("aaaaaaaaaaaaaaaaaaaaaaaaa");
        std::fs::write(&file, entry.to_string()).unwrap();
        let forgotten = run(&["history", "logs", "latest", "b"]);
        assert_refused(&forgotten, 0, "does not keep the log of b's build: only the last output");
        assert!(String::from_utf8_lossy(&forgotten.stdout).contains(" ***\n"));
        entry["engine"]["id"] = json!("another");
        std::fs::write(&file, entry.to_string()).unwrap();
        let other = run(&["history", "logs"]);
        assert_refused(&other, 1, "ran on another engine, which has its log");
        assert!(text(&other).contains("has its last output"), "{}", text(&other));
    });
}
