//! Long inputs: what BuildKit's own client takes is taken, and beyond that the message names the file.

use std::fmt::Write as _;

use crate::support::{BUSYBOX, Engine, Project, on_every_engine};

/// A project of the given services, each with a folder of its name, and of `ok`, which must be built
/// whatever becomes of them.
fn project(engine: &Engine, services: &[&str]) -> Project {
    let project = Project::new(engine);
    let mut compose = "services:\n".to_owned();
    for service in services.iter().chain(&["ok"]) {
        let _ = writeln!(compose, "  {service}: {{build: {service}}}");
    }
    project
        .write("compose.yaml", compose)
        .write("ok/Dockerfile", format!("FROM {BUSYBOX}\nRUN echo {} > /ok\n", project.name()));
    project
}

/// Builds everything and returns the exit code and what was said; `ok` is always built.
#[track_caller]
fn run(project: &Project) -> (Option<i32>, String) {
    let engine = project.engine();
    let run = project.run(&["--progress", "plain", "build", "--keep-going"]);
    let said = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
    assert!(engine.image_id(&format!("{}-ok", project.name())).is_some(), "{}", engine.name);
    (run.get_output().status.code(), said)
}

/// As [`run`], where the exit code is known.
#[track_caller]
fn built(project: &Project, code: i32) -> String {
    let (ended, said) = run(project);
    assert_eq!(ended, Some(code), "{}: {said:.4000}", project.engine().name);
    said
}

#[track_caller]
fn says(engine: &Engine, said: &str, parts: &[&str]) {
    let end = said.lines().rev().take(40).collect::<Vec<_>>();
    for part in parts {
        assert!(said.contains(part), "{}: no {part:?} in {end:#?}", engine.name);
    }
}

/// Lines of about 40 bytes, `bytes` in all.
fn lines(bytes: usize, line: impl Fn(usize) -> String) -> String {
    let mut text = String::with_capacity(bytes + 64);
    for number in 0.. {
        if text.len() >= bytes {
            break;
        }
        text.push_str(&line(number));
        text.push('\n');
    }
    text
}

#[test]
fn a_long_ignore_file_counts_line_by_line() {
    on_every_engine(|engine| {
        let project = project(engine, &["ignore"]);
        let mut ignored = lines(1 << 20, |number| format!("directory-{number}/**/file-*.tmp"));
        ignored.push_str("*.txt\n!kept.txt\n");
        project
            .write("ignore/.dockerignore", ignored)
            .write("ignore/kept.txt", "")
            .write("ignore/left-out.txt", "")
            .write("ignore/Dockerfile", format!("FROM {BUSYBOX}\nCOPY . /c\nRUN test \"$(ls /c | tr '\\n' ' ')\" = 'Dockerfile kept.txt '\n"));
        built(&project, 0);
    });
}

#[test]
fn a_copy_may_name_thousands_of_files() {
    on_every_engine(|engine| {
        let project = project(engine, &["names"]);
        let count = if engine.name == "20.10" { 300 } else { 2000 };
        let names: Vec<String> =
            (0..count).map(|number| format!("a-file-with-a-name-{number:0>40}.txt")).collect();
        for name in &names {
            project.write(format!("names/{name}"), "");
        }
        project.write(
            "names/Dockerfile",
            format!(
                "FROM {BUSYBOX}\nCOPY {} \\\n /c/\nRUN test $(ls /c | wc -l) = {count}\n",
                names.join(" \\\n ")
            ),
        );
        let (code, said) = run(&project);
        // BuildKit 0.8 gives up on a COPY of many names where it takes a few seconds, for `docker build`, too: on a
        // slow machine that limit of the engine is what has to be named, and nothing else.
        if engine.name == "20.10" && code == Some(1) {
            says(engine, &said, &["the engine gave up on the files of a step"]);
        } else {
            assert_eq!(code, Some(0), "{}: {said:.4000}", engine.name);
        }
    });
}

#[test]
fn failures_in_long_files_have_their_place() {
    on_every_engine(|engine| {
        let project = project(engine, &["script", "last", "spelt", "line"]);
        let long = lines(1 << 20, |number| format!("# line {number} of a file that is generated"));
        // 20.10 has no heredocs without another frontend.
        let script = if engine.name == "20.10" {
            let commands = lines(100_000, |number| format!("echo {number:>060} > /dev/null && \\"));
            format!("RUN {commands}exit 3\n")
        } else {
            let commands = lines(100_000, |number| format!("echo {number:>060} > /dev/null"));
            format!("RUN <<EOF\n{commands}exit 3\nEOF\n")
        };
        project
            .write("script/Dockerfile", format!("FROM {BUSYBOX}\nWORKDIR /w\n{script}"))
            .write("last/Dockerfile", format!("FROM {BUSYBOX}\n{long}RUN exit 4\n"))
            .write("spelt/Dockerfile", format!("FROM {BUSYBOX}\n{long}COPPY a b\n"))
            .write(
                "line/Dockerfile",
                format!("FROM {BUSYBOX}\nWORKDIR /w\nRUN true {}\n", "x".repeat(70_000)),
            );
        let number = long.lines().count() + 2;
        let at = |service: &str, line: usize| format!("{service}/Dockerfile:{line}");
        let said = built(&project, 1);
        says(
            engine,
            &said,
            &[
                "script: ",
                "ended with exit code 3",
                &at("script", 3),
                "last: `exit 4` ended with exit code 4",
                &at("last", number),
                &format!("invalid in line {number}: unknown instruction: COPPY"),
                &format!("{}:1", at("spelt", number)),
                "a line of more than 65535 bytes",
                &at("line", 3),
            ],
        );
        assert!(!said.contains("connection to the engine"), "{}", engine.name);
        // Each alone: a step that failed, or an invalid file.
        for (service, code) in [("script", 1), ("last", 1), ("spelt", 5), ("line", 5)] {
            project.run(&["build", service]).code(code);
        }
    });
}

#[test]
fn what_is_too_long_is_named() {
    on_every_engine(|engine| {
        let project = project(engine, &["ignore", "large"]);
        project
            .write("ignore/.dockerignore", lines(4 << 20, |number| format!("{number:07}")))
            .write("ignore/Dockerfile", format!("FROM {BUSYBOX}\nCOPY . /c\n"))
            .write(
                "large/Dockerfile",
                format!(
                    "FROM {BUSYBOX}\n{}RUN exit 4\n",
                    lines(14 << 20, |number| format!("# {number:>090}"))
                ),
            );
        let said = built(&project, 1);
        says(
            engine,
            &said,
            &[
                "ignore/.dockerignore has 524288 patterns",
                "hint: use fewer and wider patterns",
                "`exit 4` ended with exit code 4",
            ],
        );
        assert!(!said.contains("connection to the engine"), "{}", engine.name);
        // The engine remembers the failure with its Dockerfile, and what is asked of its memory is answered.
        let stats = project.run(&["stats", "--format", "json", "--timeout", "2m"]).code(0);
        let said = [&stats.get_output().stdout[..], &stats.get_output().stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(!said.contains("history cannot be read"), "{}: {said:.4000}", engine.name);
    });
}
