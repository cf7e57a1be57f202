//! `doctor` on real engines.

use std::net::UdpSocket;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::support::{
    BUSYBOX, PrivateEngine, Project, altered_socket, engine, eventually, on_every_engine,
    side_by_side,
};

fn findings(project: &Project, code: i32) -> Vec<(String, String, String)> {
    let run = project.run(&["doctor", "--format", "json"]).code(code);
    read(&run.get_output().stdout)
}

fn read(document: &[u8]) -> Vec<(String, String, String)> {
    let document: Value = serde_json::from_slice(document).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings = document["findings"].as_array().unwrap().iter();
    findings.map(|it| (text(&it["check"]), text(&it["verdict"]), text(&it["message"]))).collect()
}

fn found<'a>(
    findings: &'a [(String, String, String)],
    check: &str,
) -> Vec<&'a (String, String, String)> {
    findings.iter().filter(|it| it.0 == check).collect()
}

#[test]
fn each_engine_is_told_as_it_is() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let output = project.command(&["doctor", "--format", "json"]).output().unwrap();
        let all = read(&output.stdout);
        let engine_told = found(&all, "engine")[0];
        let release = engine.name.trim_end_matches("-containerd");
        assert!(engine_told.2.contains(&format!("Docker {release}")), "{engine_told:?}");
        let is_old = engine.name == "20.10";
        assert_eq!(engine_told.1, if is_old { "warning" } else { "fine" }, "{engine_told:?}");
        let store = found(&all, "store")[0];
        let has_containerd = engine.name == "28.5-containerd";
        assert_eq!(store.2.contains("containerd store"), has_containerd, "{store:?}");
        assert_eq!(found(&all, "buildkit")[0].1, "fine");
        assert_eq!(found(&all, "clock")[0].1, "fine", "{all:#?}");
        assert_eq!(found(&all, "disk").len(), 1, "{all:#?}");
        let version = engine.docker_ok(&["info", "--format", "{{.CgroupVersion}}"]);
        let cgroups: Vec<&str> = found(&all, "cgroups").iter().map(|it| it.1.as_str()).collect();
        assert_eq!(cgroups, if version == "1" { vec!["note"] } else { vec![] }, "{all:#?}");
        // Other tests fill the disk and the cache: what is said of them differs.
        assert!(!found(&all, "garbage-collection").is_empty() || is_old, "{all:#?}");
        assert!(found(&all, "registry").is_empty(), "nothing was built");
        // Whether builds here resolve names is up to the machine: they are asked, and that is found out.
        let dns = found(&all, "dns")[0];
        assert!(dns.2.contains("resolve pypi.org"), "{dns:?}");
        let is_problem = all.iter().any(|it| it.1 == "problem");
        assert_eq!(output.status.code(), Some(i32::from(is_problem)), "{all:#?}");
    });
}

/// Replies to questions for names with this code while `work` is done, on port 53 of this machine as an engine's containers
/// see it.
fn answering<T>(socket: &UdpSocket, code: u8, work: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    let answer = || {
        let mut packet = [0_u8; 512];
        while !is_over.load(Ordering::Relaxed) {
            let Ok((length, client)) = socket.recv_from(&mut packet) else { continue };
            let mut answer = packet[..length].to_vec();
            assert!(answer.ends_with(b"\x04pypi\x03org\x00\x00\x01\x00\x01"), "{answer:?}");
            (answer[2], answer[3]) = (0x81, 0x80 | code);
            if code == 0 {
                answer[7] = 1;
                // The name of the question, an address, of the internet, for a minute.
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
            }
            socket.send_to(&answer, client).unwrap();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(answer);
        let done = catch_unwind(AssertUnwindSafe(work));
        is_over.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|why| resume_unwind(why))
    })
}

/// What an engine is told whose builds have one name server: nobody, one that is silent, and one that answers.
fn names_are_looked_up(name: &str) {
    let engine = PrivateEngine::with_dns(name, "bridge");
    let project = Project::new(engine.engine());
    let server = engine.bridge();
    let told = |code: i32| {
        let all = findings(&project, code);
        let [(_, verdict, message)] = found(&all, "dns")[..] else { panic!("{all:#?}") };
        (verdict.clone(), message.clone())
    };
    let problem =
        |what: &str| ("problem".to_owned(), format!("builds do not resolve pypi.org: {what}"));
    assert_eq!(engine.cache_records(), [], "{name}");
    assert_eq!(told(1), problem(&format!("nothing listens at {server}")), "{name}");
    let socket = UdpSocket::bind((server.as_str(), 53)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    assert_eq!(told(1), problem(&format!("{server} does not answer")), "{name}");
    for (code, verdict, says) in [
        (2, "warning", format!("builds do not resolve pypi.org: {server} answers SERVFAIL")),
        (3, "warning", format!("builds do not resolve pypi.org: {server} answers NXDOMAIN")),
        (0, "fine", "builds resolve pypi.org".to_owned()),
    ] {
        let said = answering(&socket, code, || told(0));
        assert_eq!(said, (verdict.to_owned(), says), "{name}");
    }
    // A service whose builds have a proxy need not resolve anything.
    drop(socket);
    project
        .write(
            "compose.yaml",
            "services: {api: {build: {context: ., args: {https_proxy: 'http://p:1'}}}}\n",
        )
        .write("Dockerfile", "FROM scratch\n");
    let (verdict, message) = told(0);
    assert!(verdict == "note" && message.contains("with a proxy"), "{name}: {verdict} {message}");
    // The program of the step, once; 20.10 calls everything that makes files the same.
    let left: Vec<String> = engine.cache_records().into_iter().map(|it| it.description).collect();
    let program = if name == "20.10" { "fileop target" } else { "mkfile /doc2md-docker-resolve" };
    assert_eq!(left, [program], "{name}");
    assert_eq!(events(engine.engine()), "", "{name}");
}

/// Prunes of the build cache that the engine remembers: `why` would tell of them.
fn events(engine: &crate::support::Engine) -> String {
    engine.docker_ok(&["events", "--since=1h", "--until=0s", "--filter=event=prune"])
}

#[test]
fn builds_that_resolve_nothing_are_told_of() {
    let runs = ["20.10", "26.1", "28.5", "28.5-containerd"].map(|name| {
        (name.to_owned(), Box::new(|| names_are_looked_up(name)) as Box<dyn FnOnce() + Send>)
    });
    side_by_side(runs.into());
}

#[test]
fn a_registry_that_is_not_there_is_named() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let image = format!("127.0.0.1:1/{}", project.name());
        engine.docker_ok(&["tag", BUSYBOX, &image]);
        project
            .write("compose.yaml", "services:\n  api: {build: .}\n")
            .write("Dockerfile", format!("FROM {image}\nRUN echo {}\n", project.name()));
        // The containerd store asks the registry of every base.
        if engine.name != "28.5-containerd" {
            project.run(&["build"]).success();
            let all = findings(&project, 0);
            let registry = found(&all, "registry");
            let [(_, verdict, message)] = registry.as_slice() else { panic!("{all:#?}") };
            assert_eq!(verdict, "warning");
            assert!(message.contains("127.0.0.1:1") && message.contains("refused"), "{message}");
        }
        engine.docker_ok(&["rmi", &image]);
    });
}

#[test]
fn without_the_right_to_ask_the_engine_that_is_said() {
    let engine = engine("28.5");
    let project = Project::new(&engine);
    let socket = engine.host.strip_prefix("unix://").unwrap();
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.arg(env!("CARGO_BIN_EXE_doc2md-docker")).args(["doctor", "-H", &engine.host]);
    command.current_dir("/").env_clear().env("HOME", "/nonexistent").env("PATH", "/usr/bin:/bin");
    let output = eventually("it runs", || command.output().ok());
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(told.contains("problem  engine") && told.contains(socket), "{told}");
    assert!(told.to_lowercase().contains("permission"), "{told}");
    drop(project);
}

#[test]
fn a_full_disk_is_the_problem_and_not_the_names() {
    let engine = PrivateEngine::with_visible_disk("28.5", "100M");
    let project = Project::new(engine.engine());
    let before = findings(&project, 0);
    assert_eq!(found(&before, "disk")[0].1, "fine", "{before:#?}");
    let all = std::io::copy(
        &mut std::io::repeat(7),
        &mut std::fs::File::create(engine.state().join("data/all")).unwrap(),
    );
    assert_eq!(all.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    let full = findings(&project, 1);
    let disk = found(&full, "disk")[0];
    assert_eq!(disk.1, "problem", "{full:#?}");
    let problems = full.iter().filter(|it| it.1 == "problem").count();
    assert_eq!(problems, 1, "{full:#?}");
    let dns = found(&full, "dns")[0];
    assert!(dns.1 == "note" && dns.2.contains("cannot be found out"), "{full:#?}");
    assert!(dns.2.contains("no space left on device"), "{full:#?}");
}

#[test]
fn clock_and_rights_of_an_engine_are_told_by_what_it_says() {
    let engine = engine("28.5");
    let project = Project::new(&engine);
    for (name, word, instead, check, verdict, says) in [
        ("old", "\"SystemTime\":\"", "2020", "clock", "problem", "behind this machine's"),
        ("new", "\"SystemTime\":\"", "2099", "clock", "problem", "ahead of this machine's"),
        (
            "rootless",
            "\"SecurityOptions\":[\"",
            "name=rootless\",\"",
            "engine",
            "fine",
            ", rootless) answers",
        ),
    ] {
        let socket = project.home().join(name);
        altered_socket(engine.socket(), &socket, word, instead);
        let host = format!("unix://{}", socket.display());
        let output =
            project.command(&["doctor", "-H", &host, "--format", "json"]).output().unwrap();
        let all = read(&output.stdout);
        let told = found(&all, check)[0];
        assert!(told.1 == verdict && told.2.contains(says), "{name}: {all:#?}");
    }
}
