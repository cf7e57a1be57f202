//! Conventions of docker, buildx and compose, and what is said where a build cannot follow them.

use crate::support::{BUSYBOX, Engine, GitServer, Project, on_every_engine};

fn stderr(assert: assert_cmd::assert::Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

/// Builds with `variables` and returns what the image's `/made` holds.
fn made(project: &Project, engine: &Engine, variables: &[(&str, &str)]) -> String {
    let mut command = project.command(&["build"]);
    command.envs(variables.iter().copied());
    assert_cmd::Command::from_std(command).assert().success();
    let image = format!("{}-app", project.name());
    engine.file_of(&image, "/made")
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
        let all = engine.said_in(&[], &image, &["ls", "/all"]);
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

/// Builds and returns what is said; the build has to end with `code`.
fn said(project: &Project, args: &[&str], code: i32) -> String {
    stderr(project.run(&[&["--progress", "plain", "build"], args].concat()).code(code))
}

#[test]
fn what_a_git_context_lacks_is_said_of_the_context() {
    let server = GitServer::start();
    let url = server.add("r", &[("Dockerfile".to_owned(), format!("FROM {BUSYBOX}\n"))]);
    let repository = url.split('#').next().unwrap().to_owned();
    on_every_engine(|engine| {
        let project = Project::new(engine);
        for (context, what) in [
            (format!("{repository}#nosuch"), "`context:` names `nosuch`"),
            ("git@127.0.0.1:x/y.git".to_owned(), "`context:` is fetched over ssh"),
        ] {
            project.write("compose.yaml", format!("services: {{app: {{build: '{context}'}}}}"));
            let text = said(&project, &[], 1);
            let placed = format!("compose.yaml:1:25: {what}");
            assert!(text.contains(&placed), "{}: {text}", engine.name);
            // What the command line says instead has no place in the file.
            project.write("compose.yaml", "services: {app: {build: .}}");
            let text = said(&project, &["--set", &format!("app.context={context}")], 1);
            assert!(
                text.contains(what) && !text.contains("compose.yaml"),
                "{}: {text}",
                engine.name
            );
        }
    });
}

#[test]
fn a_step_that_lacks_a_secret_or_an_agent_says_which() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let with = |mount: &str| {
            let text =
                format!("FROM {BUSYBOX}\nRUN --mount=type={mount} test -s /run/secrets/tok\n");
            project.write("Dockerfile", text);
        };
        project.write("compose.yaml", "services: {app: {build: .}}");
        with("secret,id=tok");
        assert!(said(&project, &[], 1).contains("mounts secret `tok`, which was not given"));
        let empty = ["--secret", "id=tok,env=NOT_SET"];
        let text = said(&project, &empty, 1);
        assert!(text.contains("the variable NOT_SET is not set"), "{}: {text}", engine.name);
        with("ssh");
        assert!(said(&project, &[], 1).contains("mounts ssh `default`, which was not given"));
        with("ssh,required=true");
        let text = said(&project, &[], 1);
        assert!(text.contains("requires ssh `default`"), "{}: {text}", engine.name);
    });
}

#[test]
fn registries_that_cannot_be_asked_need_no_login() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        project
            .write("compose.yaml", "services: {app: {image: 'nosuch.invalid/x:1', build: .}}")
            .write("Dockerfile", format!("FROM {BUSYBOX}\nRUN echo {} > /x\n", project.name()));
        let text = said(&project, &["--push"], 1);
        assert!(!text.contains("docker login") && text.contains("network"), "{text}");
        let cache = ["--cache-from", "nosuch.invalid/cache:1", "--set", "app.tags=d2m-conv-cache"];
        let text = said(&project, &cache, 0);
        assert!(text.contains("the cache nosuch.invalid/cache:1 is not used: "), "{text}");
        let images = ["image", "rm", "--force", "nosuch.invalid/x:1", "d2m-conv-cache"];
        drop(engine.docker(&images).output());
    });
}
