//! Cache mounts that are kept in a registry.

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use super::cache::{ODD, TELL, cache, next, project, statuses, step};
use crate::support::{BUSYBOX, Engine, PASSWORD, Project, Registry, engine, on_every_engine, text};

/// What `--to` or `--from` says for a tag.
fn at(registry: &Registry, project: &Project, tag: &str) -> String {
    format!("type=registry,ref={}/{}/mounts:{tag}", registry.address(), project.name())
}

fn digests(registry: &Registry) -> BTreeSet<String> {
    registry.blobs().into_keys().collect()
}

#[test]
fn what_one_engine_filled_another_one_gets_from_a_registry() {
    on_every_engine(|engine| {
        let registry = Registry::with_login();
        let (project, other) = (project(engine), next(engine));
        let main = at(&registry, &project, "main");
        let filled = step(&project, engine, &[ODD, TELL].concat());
        for config in [registry.config("wrong"), "{}".to_owned()] {
            fs::write(project.home().join("docker/config.json"), config).unwrap();
            for args in [["save", "--to", &main], ["restore", "--from", &main]] {
                let (code, _, said) = cache(&project, engine, &args);
                let login = format!("docker login {}", registry.address());
                assert!(code == 1 && said.contains(&login), "{said}");
            }
        }
        fs::write(project.home().join("docker/config.json"), registry.config(PASSWORD)).unwrap();

        // A branch that has nothing yet reads what main has.
        let branch = at(&registry, &project, "branch");
        let restore = ["restore", "--from", &branch, "--from", &main];
        let (code, document, said) = cache(&project, &other, &restore);
        assert_eq!(code, 0, "{said}");
        assert_eq!(document["mounts"][0]["status"], "unsaved", "{said}");
        assert_eq!(said.matches("nothing is saved in").count(), 2, "{said}");

        let save = ["save", "--to", &main];
        assert_eq!(statuses(&project, engine, &save), ["many saved", "odd saved"]);
        let before = digests(&registry);
        assert_eq!(statuses(&project, engine, &save), ["many unchanged", "odd unchanged"]);
        assert_eq!(digests(&registry), before, "nothing is sent where nothing changed");

        assert_eq!(statuses(&project, &other, &restore), ["many restored", "odd restored"]);
        assert_eq!(statuses(&project, &other, &restore), ["many unchanged", "odd unchanged"]);
        assert_eq!(step(&project, &other, TELL), filled, "from {} to {}", engine.name, other.name);

        // The same contents from another engine are the same archives: what is new is what is said of them.
        let copy = at(&registry, &project, "copy");
        let before = digests(&registry);
        assert_eq!(
            statuses(&project, &other, &["save", "--to", &copy]),
            ["many saved", "odd saved"]
        );
        let new: Vec<_> = digests(&registry).difference(&before).cloned().collect();
        let new: Vec<usize> =
            new.iter().map(|it| fs::read(&registry.blobs()[it]).unwrap().len()).collect();
        assert!(new.len() == 2 && new.iter().sum::<usize>() < 8_000, "{new:?}");
    });
}

#[test]
fn a_tag_that_holds_something_else_or_is_damaged_is_left_alone() {
    let registry = Registry::open();
    let (host, project) = (engine("28.5"), project(&engine("28.5")));
    let before = step(&project, &host, &["echo old > /c/old; echo old > /d/old", TELL].concat());
    // An image of somebody's.
    let image = format!("{}/{}/mounts:main", registry.address(), project.name());
    host.docker_ok(&["tag", BUSYBOX, &image]);
    host.docker_ok(&["push", "--quiet", &image]);
    host.docker_ok(&["image", "rm", &image]);
    let main = at(&registry, &project, "main");
    let blobs = digests(&registry);
    for args in [["save", "--to", &main], ["restore", "--from", &main]] {
        let (code, _, said) = cache(&project, &host, &args);
        assert!(code == 1 && said.contains("something else than saved cache mounts"), "{said}");
    }
    assert_eq!(digests(&registry), blobs);

    let kept = at(&registry, &project, "kept");
    let digest = format!("{kept}@sha256:{}", "0".repeat(64));
    let (code, _, said) = cache(&project, &host, &["save", "--to", &digest]);
    assert!(code == 1 && said.contains("has a digest"), "{said}");
    assert_eq!(statuses(&project, &host, &["save", "--to", &kept]), ["many saved", "odd saved"]);
    // A byte of an archive turned.
    let new = digests(&registry).difference(&blobs).cloned().collect::<Vec<_>>();
    let archives = new.iter().map(|digest| registry.blobs()[digest].clone());
    let is_zstd = |bytes: &[u8]| bytes.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    for path in archives.filter(|path| is_zstd(&fs::read(path).unwrap())) {
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    step(&project, &host, "echo new > /c/old; echo new > /d/old");
    let changed = step(&project, &host, TELL);
    assert_ne!(changed, before);
    let (code, document, said) = cache(&project, &host, &["restore", "--from", &kept, "--force"]);
    assert_eq!(code, 1, "{said}");
    let mounts = document["mounts"].as_array().unwrap();
    assert!(mounts.iter().all(|mount| mount["status"] == "failed"), "{said}");
    assert_eq!(step(&project, &host, TELL), changed);
}

/// Two services with a mount each.
fn two(engine: &Engine) -> Project {
    let project = Project::new(engine);
    let name = project.name();
    let run = |id: &str| {
        format!(
            "FROM {BUSYBOX}\nRUN --mount=type=cache,id={name}-{id},target=/c head -c 9000000 /dev/urandom > /c/{id} # {name}\n"
        )
    };
    let services = "services:\n  a: {build: {context: ., dockerfile: a}}\n  b: {build: {context: ., dockerfile: b}}\n";
    project.write("compose.yaml", services).write("a", run("a")).write("b", run("b"));
    project.run(&["build"]).success();
    project
}

#[test]
fn who_saves_at_once_or_is_killed_leaves_nothing_half() {
    let registry = Registry::open();
    on_every_engine(|engine| {
        let project = two(engine);
        let main = at(&registry, &project, "main");
        let save = |service: &str| {
            let mut command = project.command(&["cache", "save", "--always", "--to", &main]);
            command.arg(service).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        };
        for delay in [30, 150, 400] {
            let mut killed = save("a");
            std::thread::sleep(Duration::from_millis(delay));
            killed.kill().unwrap();
            killed.wait().unwrap();
            let (code, document, said) = cache(&project, engine, &["restore", "--from", &main]);
            assert_eq!(code, 0, "{said}");
            let status = &document["mounts"][0]["status"];
            assert!(status == "unsaved" || status == "unchanged", "{said}");
        }
        // Each reads what is there before it writes; whoever comes second keeps what the first one saved.
        assert_eq!(statuses(&project, engine, &["save", "--to", &main, "a"]).len(), 1);
        assert_eq!(statuses(&project, engine, &["save", "--to", &main, "b"]), ["b saved"]);
        let restore = ["restore", "--from", &main];
        assert_eq!(statuses(&project, engine, &restore), ["a unchanged", "b unchanged"]);
        // Without anything that is worth it the tag stays, and says so.
        let never = project.run(&["cache", "save", "--to", &main, "--never", "*"]).success();
        assert!(text(never.get_output()).contains("--never"));
        assert_eq!(statuses(&project, engine, &restore), ["a unsaved", "b unsaved"]);
    });
}

#[test]
fn a_registry_that_does_not_answer_is_one_error() {
    let host = engine("28.5");
    let project = two(&host);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    for (place, words) in [
        (format!("type=registry,ref={address}/x"), "refused"),
        (format!("type=registry,ref={address}/x,registry.insecure=true"), "refused"),
        ("type=registry,ref=a b".to_owned(), "is not a reference of an image"),
        ("type=s3,bucket=x".to_owned(), "type=registry,ref=REF"),
    ] {
        for args in [["save", "--to", &place], ["restore", "--from", &place]] {
            let (code, document, said) = cache(&project, &host, &args);
            let expected = if place.contains("s3") { 2 } else { 1 };
            assert_eq!(code, expected, "{said}");
            assert!(said.contains(words) && said.matches("error: ").count() == 1, "{said}");
            assert_eq!(document, Value::Null, "{said}");
        }
    }
}
