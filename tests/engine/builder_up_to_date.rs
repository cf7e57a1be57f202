//! Builds on a builder that have nothing to do: said only where the engine has the images, and the builder finds the same base
//! images as before.

use std::process::Command;
use std::time::Duration;

use crate::quiet::up_to_date::{command, make_image, project, says_up_to_date};
use crate::support::{
    BUSYBOX, BuildkitStandIn, Engine, Project, Registry, engine, on_every_engine, text,
};

fn builder() -> Engine {
    engine("28.5-containerd")
}

/// A build as users make it on BuildKit at an address.
fn on(buildkit: &BuildkitStandIn, project: &Project, args: &[&str]) -> Command {
    let mut command = command(project, args);
    command.env("BUILDKIT_HOST", buildkit.address());
    command
}

fn skips(buildkit: &BuildkitStandIn, project: &Project, args: &[&str]) -> bool {
    says_up_to_date(assert_cmd::Command::from_std(on(buildkit, project, args)).assert())
}

/// Lets files become older than a tick of the clock.
fn settle() {
    std::thread::sleep(Duration::from_millis(30));
}

/// A change, and whether builds have something to do after it.
type Change = (&'static str, bool, fn(&Project, &Engine));

const CHANGES: [Change; 8] = [
    ("nothing", false, |_, _| {}),
    ("a file that no step reads", false, |it, _| _ = it.write("README.md", "text")),
    ("a file", true, |it, _| _ = it.write("app/main.py", "niam")),
    ("a file that is mounted", true, |it, _| _ = it.write("bound/f", "other")),
    ("an image that was removed", true, |it, _| {
        it.engine().docker_ok(&["rmi", &format!("{}-worker:1", it.name())]);
    }),
    ("a name that another image took", true, |it, _| {
        make_image(it.engine(), &format!("{}-api", it.name()));
    }),
    ("a base image of another engine that moved", false, |it, builder| {
        if it.engine().socket() != builder.socket() {
            make_image(it.engine(), &format!("{}-base", it.name()));
        }
    }),
    ("a base image that moved", true, |it, builder| {
        make_image(builder, &format!("{}-base", it.name()));
    }),
];

#[test]
fn a_build_there_is_left_out_where_nothing_has_changed_and_nowhere_else() {
    let builder = builder();
    let buildkit = BuildkitStandIn::start(builder.socket());
    on_every_engine(|engine| {
        let project = project(engine);
        make_image(&builder, &format!("{}-base", project.name()));
        assert!(!skips(&buildkit, &project, &[]), "the first build, into {}", engine.name);
        for (name, has_to_build, change) in CHANGES {
            change(&project, &builder);
            settle();
            let skipped = skips(&buildkit, &project, &[]);
            assert_eq!(skipped, !has_to_build, "{name}, into {}", engine.name);
            assert!(skips(&buildkit, &project, &[]), "after {name}, into {}", engine.name);
        }
        // A part of it, and the same whoever asks for images to be loaded.
        assert!(skips(&buildkit, &project, &["worker"]));
        assert!(skips(&buildkit, &project, &["--load"]));
        let forecast = on(&buildkit, &project, &["--dry-run", "--exit-code"]).output().unwrap();
        assert!(text(&forecast).contains("nothing would run"), "{}", text(&forecast));
    });
}

#[test]
fn what_asks_for_work_there_gets_it() {
    let builder = builder();
    let buildkit = BuildkitStandIn::start(builder.socket());
    on_every_engine(|engine| {
        let project = project(engine);
        make_image(&builder, &format!("{}-base", project.name()));
        assert!(!skips(&buildkit, &project, &[]));
        assert!(skips(&buildkit, &project, &[]));
        for args in [
            &["--always-solve"][..],
            &["--build-arg", "VERSION=2"],
            &["--set", "*.output=type=cacheonly"],
            &["--platform", "linux/amd64"],
        ] {
            for _ in 0..2 {
                let (is_told, again) = (args[0] == "--build-arg", skips(&buildkit, &project, args));
                assert!(!again || is_told, "{args:?} into {}", engine.name);
            }
        }
        // By another builder it is another question.
        let other = BuildkitStandIn::on_socket(builder.socket());
        assert!(!skips(&other, &project, &[]), "{}", engine.name);
        assert!(skips(&other, &project, &[]), "{}", engine.name);
    });
}

/// At one address may be another BuildKit than before, which has other base images; or none.
#[test]
fn a_builder_that_is_another_one_is_asked() {
    let builder = builder();
    let buildkit = BuildkitStandIn::start(builder.socket());
    let engine = engine("28.5");
    let project = project(&engine);
    make_image(&builder, &format!("{}-base", project.name()));
    assert!(!skips(&buildkit, &project, &[]));
    assert!(skips(&buildkit, &project, &[]));
    let proofs: Vec<_> = walk(&project, "proofs").collect();
    assert_eq!(proofs.len(), 1, "{proofs:?}");
    let proof = std::fs::read_to_string(&proofs[0]).unwrap();
    let worker = proof.split("\"worker\":\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(!worker.is_empty());
    std::fs::write(&proofs[0], proof.replace(worker, "another")).unwrap();
    assert!(!skips(&buildkit, &project, &[]), "another worker");
    assert!(skips(&buildkit, &project, &[]));
    // Nobody says that nothing has changed where nobody answers.
    let address = buildkit.address();
    buildkit.freeze();
    no_answer(&project, &address);
    drop(buildkit);
    no_answer(&project, &address);
}

fn no_answer(project: &Project, address: &str) {
    let output = command(project, &[]).env("BUILDKIT_HOST", address).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains(address), "{}", text(&output));
}

/// Files of the project's state of one kind.
fn walk<'a>(project: &'a Project, kind: &'a str) -> impl Iterator<Item = std::path::PathBuf> + 'a {
    let mut folders = vec![project.home()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => files.push(entry.path()),
            }
        }
    }
    files.into_iter().filter(move |file| file.parent().is_some_and(|it| it.ends_with(kind)))
}

/// A base image that only a registry has is asked for there each time, with a login where one is wanted.
#[test]
fn a_base_image_at_a_registry_is_asked_for() {
    let buildkit = BuildkitStandIn::start(builder().socket());
    let engine = engine("28.5");
    for registry in [Registry::open(), Registry::with_login()] {
        let project = Project::new(&engine);
        std::fs::create_dir_all(project.home().join("docker")).unwrap();
        let login = registry.config("right");
        std::fs::write(project.home().join("docker/config.json"), login).unwrap();
        let base = format!("{}/{}:1", registry.address(), project.name());
        let push = |image: &str| {
            engine.docker_ok(&["tag", image, &base]);
            let mut push = project.docker(&["push", &base]);
            push.env("DOCKER_CONFIG", project.home().join("docker"));
            let pushed = push.output().unwrap();
            assert!(pushed.status.success(), "{}", text(&pushed));
            engine.docker_ok(&["image", "rm", &base]);
        };
        push(BUSYBOX);
        let image = format!("{}-it", project.name());
        project
            .write("compose.yaml", format!("services: {{it: {{build: ., image: {image}}}}}\n"))
            .write("Dockerfile", format!("FROM {base}\nCOPY f /\n"))
            .write("f", "f");
        settle();
        assert!(!skips(&buildkit, &project, &[]));
        assert!(skips(&buildkit, &project, &[]), "{base}");
        let other = format!("{}-base", project.name());
        make_image(&engine, &other);
        push(&other);
        assert!(!skips(&buildkit, &project, &[]), "{base} has moved");
        assert!(skips(&buildkit, &project, &[]), "{base}");
        // Without an answer of the registry nothing is certain, and the build says what is wrong.
        drop(registry);
        let output = on(&buildkit, &project, &[]).output().unwrap();
        assert!(!output.status.success() && text(&output).contains(&base), "{}", text(&output));
    }
}
