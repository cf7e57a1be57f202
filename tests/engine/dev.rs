//! `doc2md-docker dev`: our build, then the real docker compose, with one idea of project and engine.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{
    BUSYBOX, Project, engine, eventually, install_compose, on_every_engine, text,
};

/// A project whose service says another thing in development.
fn project(engine: &crate::support::Engine) -> Project {
    let project = Project::new(engine);
    install_compose(&project);
    project
        .write(
            "compose.yaml",
            "services: {app: {build: {context: ., target: prod}, network_mode: none}}",
        )
        .write(
            "compose.dev.yaml",
            "services: {app: {image: \"${COMPOSE_PROJECT_NAME}-app:dev\", build: {target: dev}}}",
        )
        .write(
            "Dockerfile",
            format!(
                "FROM {BUSYBOX} AS dev\nCMD [\"sh\", \"-c\", \"echo in development; sleep 1000\"]\n\
                 FROM {BUSYBOX} AS prod\nCMD [\"sh\", \"-c\", \"echo in production\"]\n"
            ),
        );
    project
}

fn containers(project: &Project) -> String {
    let label = format!("label=com.docker.compose.project={}", project.name());
    project.engine().docker_ok(&["ps", "--all", "--quiet", "--filter", &label])
}

/// `command` as a person would run it whose engine is given on the command line only.
fn by_host(project: &Project, args: &[&str]) -> Command {
    let mut command = project.command(args);
    command.env("DOCKER_HOST", "unix:///nowhere.sock").args(["--host", &project.engine().host]);
    command
}

#[test]
fn up_logs_and_down() {
    on_every_engine(|engine| {
        let project = project(engine);
        let up = by_host(&project, &["dev", "-d"]).output().unwrap();
        assert!(up.status.success(), "{}: {}", engine.name, text(&up));
        assert!(!containers(&project).is_empty(), "{}", engine.name);
        assert!(engine.image_id(&format!("{}-app:dev", project.name())).is_some());
        // The production image was not built along the way.
        assert!(engine.image_id(&format!("{}-app", project.name())).is_none());

        eventually("the service has spoken", Duration::from_secs(60), || {
            let logs = by_host(&project, &["dev", "logs", "app"]).output().unwrap();
            text(&logs).contains("in development").then_some(())
        });

        let down =
            project.command(&["dev", "down", "-v", "--", "--timeout", "0"]).output().unwrap();
        assert!(down.status.success(), "{}: {}", engine.name, text(&down));
        assert_eq!(containers(&project), "", "{}", engine.name);
    });
}

#[test]
fn the_exit_code_is_that_of_compose_and_a_failed_build_starts_nothing() {
    on_every_engine(|engine| {
        let project = project(engine);
        project.write(
            "compose.dev.yaml",
            "services: {app: {build: {target: dev}, command: [sh, -c, exit 7]}}",
        );
        let options = ["dev", "up", "app", "--", "--exit-code-from", "app"];
        let up = project.command(&options).output().unwrap();
        assert_eq!(up.status.code(), Some(7), "{}: {}", engine.name, text(&up));
        project.run(&["dev", "down"]).success();

        project.write("Dockerfile", format!("FROM {BUSYBOX} AS dev\nRUN exit 9\n"));
        let up = project.command(&["dev", "up", "-d"]).output().unwrap();
        assert_eq!(up.status.code(), Some(1), "{}: {}", engine.name, text(&up));
        assert_eq!(containers(&project), "", "{}", engine.name);
    });
}

#[test]
fn in_the_foreground_an_interrupt_stops_what_was_started() {
    let project = project(&engine("28.5"));
    project.write(
        "compose.dev.yaml",
        "services: {app: {build: {target: dev}, stop_grace_period: 0s}}",
    );
    let mut dev =
        project.command(&["dev"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let logs = ["dev", "logs", "app"];
    eventually("the service has spoken", Duration::from_secs(60), || {
        text(&project.command(&logs).output().unwrap()).contains("in development").then_some(())
    });
    // Compose has taken the program's place, so this reaches it.
    let pid = rustix::process::Pid::from_child(&dev);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    eventually("the program has ended", Duration::from_secs(60), || dev.try_wait().unwrap());
    let label = format!("label=com.docker.compose.project={}", project.name());
    let running = project.engine().docker_ok(&["ps", "--quiet", "--filter", &label]);
    assert_eq!(running, "");
    assert!(!containers(&project).is_empty(), "stopped, not removed");
    project.run(&["dev", "down"]).success();
}
