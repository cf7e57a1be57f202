//! Pushes, pulls and caches through a real registry, with and without a login.

use crate::support::{
    BUSYBOX, Engine, PASSWORD, Project, Registry, USER, on_engines_where_prunes_matter,
    on_every_engine, program,
};

/// A project whose image belongs into `registry`, with a step nobody else has cached.
fn project(engine: &Engine, registry: &Registry) -> (Project, String) {
    let project = Project::new(engine);
    let image = format!("{}/{}/app:1", registry.address(), project.name());
    let name = project.name();
    project
        .write("compose.yaml", format!("services: {{app: {{image: '{image}', build: .}}}}"))
        .write("Dockerfile", format!("FROM {BUSYBOX}\nRUN echo {name} > /made\n"));
    (project, image)
}

fn log_in(project: &Project, config: &str) {
    std::fs::write(project.home().join("docker/config.json"), config).unwrap();
}

fn stderr(assert: assert_cmd::assert::Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

#[test]
fn a_push_without_a_login_arrives() {
    let registry = Registry::open();
    on_every_engine(|engine| {
        let (project, image) = project(engine, &registry);
        project.run(&["build", "--push"]).success();
        engine.docker_ok(&["image", "rm", "--force", &image]);
        engine.docker_ok(&["pull", "--quiet", &image]);
        let made = engine.file_of(&image, "/made");
        assert_eq!(made, project.name());
        engine.docker_ok(&["image", "rm", "--force", &image]);
    });
}

#[test]
fn a_push_needs_the_right_password() {
    let registry = Registry::with_login();
    on_every_engine(|engine| {
        let (project, image) = project(engine, &registry);
        for config in [registry.config("wrong"), "{}".to_owned()] {
            log_in(&project, &config);
            let said = stderr(project.run(&["--progress", "plain", "build", "--push"]).code(1));
            let login = format!("docker login {}", registry.address());
            assert!(
                said.contains(&login) && said.contains("error: failed to build app"),
                "{}: {said}",
                engine.name
            );
        }
        log_in(&project, &registry.config(PASSWORD));
        project.run(&["build", "--push"]).success();
        engine.docker_ok(&["image", "rm", "--force", &image]);
    });
}

#[test]
fn base_images_come_with_logins_of_the_file_or_a_helper() {
    let registry = Registry::with_login();
    on_every_engine(|engine| {
        let (project, image) = project(engine, &registry);
        log_in(&project, &registry.config(PASSWORD));
        project.run(&["build", "--push"]).success();
        engine.docker_ok(&["image", "rm", "--force", &image]);

        // A second project builds on it: with the file, then through a helper program.
        let second = Project::new(engine);
        second
            .write("compose.yaml", "services: {app: {build: {context: ., pull: true}}}")
            .write("Dockerfile", format!("FROM {image}\nRUN cat /made\n"));
        log_in(&second, &registry.config("wrong"));
        let said = stderr(second.run(&["--progress", "plain", "build"]).code(1));
        assert!(said.contains("docker login"), "{}: {said}", engine.name);
        log_in(&second, &registry.config(PASSWORD));
        second.run(&["build"]).success();

        let helper = second.home().join("docker-credential-d2mtest");
        let asked = second.home().join("asked");
        let answer = format!(r#"{{"ServerURL":"","Username":"{USER}","Secret":"{PASSWORD}"}}"#);
        let script = format!("cat > {}\necho '{answer}'", asked.display());
        program::script(&helper, &script);
        let config = serde_json::json!({"credHelpers": {registry.address(): "d2mtest"}});
        log_in(&second, &config.to_string());
        let path = format!("{}:{}", second.home().display(), std::env::var("PATH").unwrap());
        let mut command = second.command(&["build", "--no-cache"]);
        command.env("PATH", path);
        assert_cmd::Command::from_std(command).assert().success();
        assert_eq!(std::fs::read_to_string(asked).unwrap().trim(), registry.address());
    });
}

/// Removes the cache records whose description has `text`. By id: engines take unknown filters for none.
fn forget(engine: &Engine, text: &str) {
    let records = engine.docker_ok(&["buildx", "du", "--verbose"]);
    let of_text: Vec<&str> = records
        .split("\n\n")
        .filter(|record| record.contains(text))
        .filter_map(|record| record.lines().find_map(|line| line.strip_prefix("ID:")))
        .map(str::trim)
        .collect();
    assert!(!of_text.is_empty(), "{}: no record of {text}", engine.name);
    let ids = format!("id={}", of_text.join("|"));
    engine.docker_ok(&["builder", "prune", "--all", "--force", "--filter", &ids]);
    let records = engine.docker_ok(&["buildx", "du", "--verbose"]);
    assert!(!records.contains(text), "{}: {text} is still cached", engine.name);
}

/// Pushes an image with its cache, forgets both here, builds again: what the two builds said, and whether the
/// second took the step from the registry.
fn inline_cache_round(engine: &Engine, registry: &Registry) -> (String, bool) {
    let (project, image) = project(engine, registry);
    project.write(
        "compose.yaml",
        format!(
            "services: {{app: {{image: '{image}', build: {{context: ., cache_from: ['{image}'], \
             cache_to: [type=inline]}}}}}}"
        ),
    );
    // The step's output differs each time it runs: the same file again means the cache was used.
    project.write(
        "Dockerfile",
        format!("FROM {BUSYBOX}\nRUN echo {}; head -c 9 /dev/urandom > /made\n", project.name()),
    );
    let build = || stderr(project.run(&["--progress", "plain", "build", "--push"]).success());
    let made = || engine.said_in(&[], &image, &["md5sum", "/made"]);
    let first = build();
    let before = made();
    engine.docker_ok(&["image", "rm", "--force", &image]);
    forget(engine, project.name());
    let second = build();
    let found = before == made();
    engine.docker_ok(&["image", "rm", "--force", &image]);
    (format!("{first}\n{second}"), found)
}

#[test]
fn an_inline_cache_is_found_again() {
    let registry = Registry::open();
    on_engines_where_prunes_matter(|engine| {
        // The containerd store may collect a forgotten blob at the very moment the import finds it there, and then
        // runs the step (seen once in some sixty rounds): twice in a row is our fault.
        let (said, found) = inline_cache_round(engine, &registry);
        if !found {
            let (again, found) = inline_cache_round(engine, &registry);
            assert!(found, "{}:\n{said}\n{again}", engine.name);
        }
    });
}
