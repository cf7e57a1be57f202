//! A docker engine that takes gRPC on its own socket alone: neither `/grpc` nor `/session` is there.

use std::process::{Command, Output};

use serde_json::Value;

use crate::support::{
    Authority, BUSYBOX, Engine, NativeEngine, Project, engine, program, side_by_side, text,
};

/// A service with a secret, a cache mount and many files, and one that stands on it.
fn project(engine: &Engine) -> Project {
    let project = Project::new(engine);
    let name = project.name();
    project
        .write(
            "compose.yaml",
            "services:\n  \
               app: {build: {context: ., secrets: [{source: tok, target: tok}]}}\n  \
               web: {build: {context: ., dockerfile: web.Dockerfile, additional_contexts: {base: 'service:app'}}}\n\
             secrets: {tok: {file: ./tok}}\n",
        )
        .write(
            "Dockerfile",
            format!(
                "FROM {BUSYBOX}\nCOPY files /files\nCOPY big /big\n\
                 RUN --mount=type=secret,id=tok wc -c </run/secrets/tok >/seen; ls /files | wc -l >>/seen; date +%s%N >/stamp\n\
                 RUN --mount=type=cache,id={name},target=/cache echo kept >/cache/file\n"
            ),
        )
        .write("web.Dockerfile", "FROM base\nCOPY big /again\nRUN cat /seen /stamp >/web\n")
        .write("tok", "the-token")
        .write(".dockerignore", "tok\n")
        .write("big", name.repeat((3 << 20) / name.len()));
    for number in 0..1500 {
        project.write(format!("files/{number}"), format!("{name} {number}"));
    }
    project
}

/// A command at `host`, with the certificates of `tls` where there is one.
fn command(project: &Project, host: &str, tls: Option<&str>, args: &[&str]) -> Command {
    let mut command = project.command(args);
    command.env("DOCKER_HOST", host);
    if let Some(folder) = tls {
        command.env("DOCKER_TLS_VERIFY", "1").env("DOCKER_CERT_PATH", folder);
    }
    command
}

#[track_caller]
fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn ids(project: &Project) -> [Option<String>; 2] {
    ["app", "web"].map(|it| project.engine().image_id(&format!("{}-{it}", project.name())))
}

#[test]
fn every_command_works_without_the_upgrades() {
    let runs = ["28.5", "28.5-containerd"].map(|name| {
        (name.to_owned(), move || {
            let engine = engine(name);
            let native = NativeEngine::on_socket(engine.socket());
            let project = project(&engine);
            let there =
                |args: &[&str]| command(&project, native.host(), None, args).output().unwrap();
            let first = there(&["build", "--progress", "plain"]);
            assert!(first.status.success(), "{}", text(&first));
            // Each connection of the first moment is refused once, and no other one asks again.
            let (refused, grpc) = native.since();
            assert!((1..=8).contains(&refused) && grpc > 0, "{refused} refused, {grpc} with gRPC");
            let built = ids(&project);
            assert!(built.iter().all(Option::is_some), "{built:?}");
            let seen = engine.file_of(&format!("{}-web", project.name()), "/web");
            assert!(seen.starts_with("9\n1500\n"), "{seen}");

            // The engine's own connections lead to the same.
            let direct = project.run(&["build", "--progress", "plain"]).success();
            assert!(
                text(direct.get_output()).contains("cached, 0 run"),
                "{}",
                text(direct.get_output())
            );
            assert_eq!(ids(&project), built);
            assert_eq!(native.since(), (0, 0));
            let again = there(&["build", "--progress", "plain"]);
            assert_eq!(text(&again).matches("cached, 0 run").count(), 2, "{}", text(&again));
            assert_eq!(ids(&project), built);
            // What is up to date is not solved, which the engine's own history shows.
            let quick = command(&project, native.host(), None, &["build"])
                .env_remove("DOC2MD_DOCKER_ALWAYS_SOLVE")
                .output()
                .unwrap();
            assert!(text(&quick).contains("up to date"), "{}", text(&quick));
            reports(&project, &native);
            mounts_move(&project, &native);
        })
    });
    side_by_side(runs.into());
}

/// What is read off BuildKit is the same as by the upgrades.
fn reports(project: &Project, native: &NativeEngine) {
    let there =
        |args: &[&str]| said(&command(project, native.host(), None, args).output().unwrap());
    let json = |args: &[&str]| -> Value { serde_json::from_str(&there(args)).unwrap() };
    // The rules of garbage collection come by gRPC.
    native.since();
    let stats = json(&["stats", "--format", "json"]);
    let collection = &stats["cache"]["mounts"][0]["gc"]["due"];
    assert_eq!(collection, false, "{stats}");
    assert!(native.since().1 > 0);
    let of_engine = |host: &str| {
        let mut list =
            command(project, host, None, &["history", "ls", "--engine", "--format", "json"]);
        let listed: Value = serde_json::from_str(&said(&list.output().unwrap())).unwrap();
        listed["builds"].as_array().unwrap_or_else(|| panic!("{listed}")).len()
    };
    let listed = of_engine(native.host());
    assert!(listed > 0, "nothing is listed");
    assert!(native.since().1 > 0);
    assert_eq!(listed, of_engine(&project.engine().host));
    let why = there(&["why"]);
    assert!(why.contains("no step ran"), "{why}");
}

/// A cache mount comes out of the engine and goes back into it, within a session.
fn mounts_move(project: &Project, native: &NativeEngine) {
    let there = |args: &[&str]| command(project, native.host(), None, args).output().unwrap();
    let saved = there(&["cache", "save", "--always", "--to", "saved"]);
    assert!(saved.status.success(), "{}", text(&saved));
    let restored = there(&["cache", "restore", "--from", "saved"]);
    assert!(restored.status.success(), "{}", text(&restored));
}

#[test]
fn over_tls_http2_is_named_in_the_handshake() {
    let engine = engine("28.5-containerd");
    let authority = Authority::new();
    let native = NativeEngine::with_tls(engine.socket(), &authority);
    let project = project(&engine);
    let folder = project.home().join("certificates");
    std::fs::create_dir(&folder).unwrap();
    let (certificate, key) = authority.issue("client");
    for (name, content) in
        [("ca.pem", authority.pem()), ("cert.pem", certificate), ("key.pem", key)]
    {
        std::fs::write(folder.join(name), content).unwrap();
    }
    let there = command(&project, native.host(), folder.to_str(), &["build"]).output().unwrap();
    assert!(there.status.success(), "{}", text(&there));
    let (refused, grpc) = native.since();
    assert!(refused > 0 && grpc > 0, "{refused} refused, {grpc} with gRPC");
    let built = ids(&project);
    project.run(&["build"]).success();
    assert_eq!(ids(&project), built);
}

#[test]
fn an_engine_with_neither_is_one_error() {
    let engine = engine("28.5");
    let native = NativeEngine::without_grpc(engine.socket());
    let project = project(&engine);
    let output = command(&project, native.host(), None, &["build"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let refusal = "the engine refused /grpc with status 404 Not Found: page not found";
    assert!(stderr.contains(refusal), "{stderr}");
    assert_eq!(stderr.matches("error").count(), 1, "{stderr}");
}

#[test]
fn over_ssh_it_is_the_same() {
    let engine = engine("28.5");
    let native = NativeEngine::on_socket(engine.socket());
    let project = project(&engine);
    let docker = std::env::var("DOC2MD_TEST_DOCKER").unwrap();
    let folder = project.home().join("bin");
    std::fs::create_dir(&folder).unwrap();
    // Everything up to `-- HOST docker` is ssh's; the rest runs on "the other machine".
    let script = format!(
        "while [ \"$1\" != -- ]; do shift; done\nshift 3\nDOCKER_HOST={} exec {docker} \"$@\"",
        native.host()
    );
    program::script(&folder.join("ssh"), &script);
    let mut build = command(&project, "ssh://me@build", None, &["build"]);
    build.env("PATH", format!("{}:/usr/bin:/bin", folder.display()));
    let output = build.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let (refused, grpc) = native.since();
    assert!(refused > 0 && grpc > 0, "{refused} refused, {grpc} with gRPC");
    let built = ids(&project);
    project.run(&["build"]).success();
    assert_eq!(ids(&project), built);
}
