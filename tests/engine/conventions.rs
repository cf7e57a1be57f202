//! Conventions of docker, buildx and compose, and what is said where a build cannot follow them.

use crate::support::{BUSYBOX, Engine, Project, on_every_engine};

fn stderr(assert: assert_cmd::assert::Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

/// Builds with `variables` and returns what the image's `/made` holds.
fn made(project: &Project, engine: &Engine, variables: &[(&str, &str)]) -> String {
    let mut command = project.command(&["build"]);
    command.envs(variables.iter().copied());
    assert_cmd::Command::from_std(command).assert().success();
    let image = format!("{}-app", project.name());
    engine.docker_ok(&["run", "--rm", &image, "cat", "/made"])
}

#[test]
fn the_epoch_of_the_environment_is_a_default_argument() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let dockerfile = format!(
            "FROM {BUSYBOX}\nARG SOURCE_DATE_EPOCH=none\nRUN echo ${{SOURCE_DATE_EPOCH:-empty}} {} > /made\n",
            project.name()
        );
        project
            .write("Dockerfile", dockerfile)
            .write("compose.yaml", "services: {app: {build: .}}");
        let epoch = |value: &'static str| [("SOURCE_DATE_EPOCH", value)];
        let name = project.name();
        assert_eq!(made(&project, engine, &epoch("86400")), format!("86400 {name}"));
        assert_eq!(made(&project, engine, &epoch("")), format!("none {name}"));
        assert_eq!(made(&project, engine, &[]), format!("none {name}"));
        let own = "services: {app: {build: {context: ., args: {SOURCE_DATE_EPOCH: 7}}}}";
        project.write("compose.yaml", own);
        assert_eq!(made(&project, engine, &epoch("86400")), format!("7 {name}"));
    });
}

#[test]
fn a_dockerfile_in_lower_case_is_built() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let dockerfile = format!("FROM {BUSYBOX}\nCOPY . /all\nRUN echo lower > /made\n");
        project
            .write("compose.yaml", "services: {app: {build: context}}")
            .write("context/dockerfile", dockerfile)
            .write("context/dockerfile.dockerignore", "ignored\n")
            .write("context/ignored", "");
        assert_eq!(made(&project, engine, &[]), "lower");
        let image = format!("{}-app", project.name());
        let all = engine.docker_ok(&["run", "--rm", &image, "ls", "/all"]);
        assert!(!all.contains("ignored\n") && !all.ends_with("ignored"), "{all}");
    });
}

#[test]
fn a_damaged_docker_configuration_does_not_stop_a_build() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        project
            .write("compose.yaml", "services: {app: {build: .}}")
            .write("Dockerfile", format!("FROM {BUSYBOX}\n"));
        for config in ["{\"auths\": null, \"currentContext\": null}", "{\"auths\""] {
            std::fs::write(project.home().join("docker/config.json"), config).unwrap();
            let said = stderr(project.run(&["build"]).success());
            assert_eq!(said.contains("config.json is ignored"), !config.ends_with('}'), "{said}");
        }
    });
}
