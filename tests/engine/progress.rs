//! How builds are shown where a CI reads along, on real engines: the example's failing case, files that GitHub Actions
//! reads, and output that an interrupt must not lose.

use std::io::Read as _;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Project, engine, eventually, on_every_engine};

/// Two services as in the example; the worker wants a package that does not exist.
fn failing(project: &Project) {
    project
        .write(
            "compose.yaml",
            "services:\n  api: {build: {context: ., dockerfile: Dockerfile.api}}\n  \
             worker: {build: {context: ., dockerfile: Dockerfile.worker}}\n",
        )
        .write(
            "Dockerfile.api",
            "FROM doc2md/base:busybox\nRUN for i in $(seq 1 60); do echo \"api line $i\"; done; sleep 1\n",
        )
        .write(
            "Dockerfile.worker",
            "FROM doc2md/base:busybox\nWORKDIR /app\nCOPY requirements.txt ./\n\
             # Requirements first.\n\
             RUN for i in $(seq 1 60); do echo \"Collecting package-$i\"; done; \\\n    \
             echo 'ERROR: No matching distribution found for fastapii' >&2; exit 1\n",
        )
        .write("requirements.txt", "fastapii\n");
}

#[test]
fn the_last_thirty_lines_of_a_ci_log_tell_what_failed() {
    on_every_engine(|engine| {
        for variables in [&["CI"][..], &["CI", "GITHUB_ACTIONS"], &["CI", "GITLAB_CI"]] {
            let project = Project::new(engine);
            failing(&project);
            let mut command = project.command(&["build", "--no-cache"]);
            command.envs(variables.iter().map(|name| (name, "true")));
            let output = command.output().unwrap();
            assert_eq!(output.status.code(), Some(1));
            let log = String::from_utf8(output.stderr).unwrap();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(30)..].join("\n");
            for word in [
                "worker [4/4] RUN for i in",
                "ERROR: No matching distribution found for fastapii",
                "error: failed to build worker",
                "Dockerfile.worker:5",
                "5 | RUN for i in $(seq 1 60)",
                "exit code 1",
            ] {
                assert!(
                    last.contains(word),
                    "{} {variables:?}: no {word:?} in\n{last}",
                    engine.name
                );
            }
            // Where groups fold, each target's lines are in one piece.
            if variables.contains(&"GITHUB_ACTIONS") {
                assert_eq!(log.matches("::group::worker\n").count(), 1, "{log}");
                assert_eq!(log.matches("::group::").count(), log.matches("::endgroup::").count());
            }
        }
    });
}

#[test]
fn github_actions_gets_annotations_a_summary_and_outputs() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        failing(&project);
        let file = |name: &str| project.home().join(name);
        std::fs::write(file("summary"), "before\n").unwrap();
        let build = |args: &[&str]| {
            let mut command = project.command(args);
            command
                .env("GITHUB_ACTIONS", "true")
                .env("GITHUB_WORKSPACE", project.dir().canonicalize().unwrap())
                .env("GITHUB_STEP_SUMMARY", file("summary"))
                .env("GITHUB_OUTPUT", file("output"));
            String::from_utf8(command.output().unwrap().stderr).unwrap()
        };
        let log = build(&["build", "--keep-going"]);
        let annotation = log.lines().find(|line| line.starts_with("::error ")).expect(&log);
        assert!(
            annotation.starts_with(
                "::error file=Dockerfile.worker,line=5,endLine=6,title=failed to build worker::[4/4] RUN for i in"
            ),
            "{annotation}"
        );
        let summary = std::fs::read_to_string(file("summary")).unwrap();
        assert!(
            summary.starts_with("before\n### doc2md-docker build: 1 of 2 targets built in "),
            "{summary}"
        );
        assert!(summary.contains("| <code>worker</code> | **failed** |"), "{summary}");
        let outputs = std::fs::read_to_string(file("output")).unwrap();
        let value = |name: &str| {
            let (_, rest) = outputs.split_once(&format!("{name}<<")).expect(&outputs);
            let (delimiter, rest) = rest.split_once('\n').unwrap();
            rest.split_once(&format!("\n{delimiter}\n")).unwrap().0.to_owned()
        };
        assert_eq!(value("outcome"), "failed");
        assert_eq!(value("failed"), "worker");
        assert_eq!(value("images"), format!("{}-api", project.name()));
        let id = engine.image_id(&format!("{}-api", project.name())).unwrap();
        assert_eq!(value("ids"), format!("{{\"api\":\"{id}\"}}"));
        assert!(value("duration").parse::<f64>().unwrap() > 0.0);

        // A first build needs no reason, another one has it.
        assert!(!summary.contains("Why steps ran again"), "{summary}");
        project.write("requirements.txt", "fastapi\n");
        build(&["build"]);
        let summary = std::fs::read_to_string(file("summary")).unwrap();
        let why = "<code>COPY requirements.txt ./</code> | ";
        let (_, why) = summary.split_once(why).expect(&summary);
        assert!(
            why.contains("| <code>because requirements.txt changed</code>; 1 step followed, "),
            "{summary}"
        );
    });
}

#[test]
fn files_that_cannot_be_written_are_a_warning() {
    let project = Project::new(&engine("28.5"));
    project
        .write("compose.yaml", "services: {api: {build: .}}")
        .write("Dockerfile", "FROM doc2md/base:busybox\n");
    let mut command = project.command(&["build"]);
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_OUTPUT", "/proc/nowhere/output");
    let output = command.output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{log}");
    let warning = "warning: cannot write /proc/nowhere/output, which GITHUB_OUTPUT names: ";
    assert!(log.contains(warning), "{log}");
}

#[test]
fn an_interrupt_loses_no_line() {
    let project = Project::new(&engine("28.5"));
    let step = |name: &str| {
        format!(
            "FROM doc2md/base:busybox\nRUN for i in $(seq 1 20); do echo {name}-{}-$i; done; printf {name}-begun; sleep 60\n",
            project.name()
        )
    };
    project
        .write(
            "compose.yaml",
            "services:\n  api: {build: {context: ., dockerfile: Dockerfile.api}}\n  \
             worker: {build: {context: ., dockerfile: Dockerfile.worker}}\n",
        )
        .write("Dockerfile.api", step("api"))
        .write("Dockerfile.worker", step("worker"));
    let log = project.home().join("log");
    let mut child = project
        .command(&["build", "--progress", "plain"])
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let read = || {
        let mut text = String::new();
        std::fs::File::open(&log).unwrap().read_to_string(&mut text).unwrap();
        text
    };
    // The lines of one wait for the other: both have begun when both had the floor.
    eventually("both write", || {
        let text = read();
        (text.contains("| api-") && text.contains("| worker-")).then_some(())
    });
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let text = read();
    for name in ["api", "worker"] {
        for number in 1..=20 {
            let line = format!("| {name}-{}-{number}\n", project.name());
            assert!(text.contains(&line), "no {line:?} in\n{text}");
        }
        assert!(text.contains(&format!("| {name}-begun\n")), "{text}");
    }
}
