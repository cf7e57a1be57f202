//! Builds that have nothing to do: said only where a solve would find everything cached.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::Duration;

use assert_cmd::assert::Assert;

use crate::support::{BUSYBOX, Engine, Project, on_every_engine, text};

const SAYING: &str = "up to date, nothing has changed since the build";

/// A build as users make it: other tests ask for a solve each time.
pub(crate) fn build(project: &Project, args: &[&str]) -> Assert {
    assert_cmd::Command::from_std(command(project, args)).assert()
}

/// The same, to be changed before it runs.
pub(crate) fn command(project: &Project, args: &[&str]) -> std::process::Command {
    let mut command = project.command(&[&["build"], args].concat());
    command.env_remove("DOC2MD_DOCKER_ALWAYS_SOLVE");
    command
}

/// Whether it said that there is nothing to do.
fn skips(project: &Project, args: &[&str]) -> bool {
    says_up_to_date(build(project, args))
}

/// The same of a build that has been made.
pub(crate) fn says_up_to_date(build: Assert) -> bool {
    let output = build.success();
    let said = text(output.get_output());
    assert_eq!(said.contains(SAYING), !said.contains(" built, "), "{said}");
    said.contains(SAYING)
}

fn id(project: &Project, image: &str) -> String {
    project.engine().image_id(image).unwrap()
}

/// Has `name` be an image that no other name has.
pub(crate) fn make_image(engine: &Engine, name: &str) {
    let made = engine.docker_ok(&["create", BUSYBOX, "true"]);
    engine.docker_ok(&["commit", made.trim(), name]);
    engine.docker_ok(&["rm", made.trim()]);
}

/// A project of two images, one of several stages. Its files are older than a tick of the clock.
pub(crate) fn project(engine: &Engine) -> Project {
    let project = Project::new(engine);
    let name = project.name().to_owned();
    make_image(engine, &format!("{name}-base"));
    project
        .write(
            "compose.yaml",
            format!(
                "services:\n  api:\n    build:\n      context: .\n      dockerfile: api.Dockerfile\n      args: {{BASE: {name}-base, VERSION: '${{LEVEL:-1}}'}}\n    \
                 image: {name}-api\n  worker:\n    build: {{context: worker, labels: {{a: b}}}}\n    image: {name}-worker:1\n"
            ),
        )
        .write(
            "api.Dockerfile",
            "ARG BASE\nFROM $BASE AS one\nRUN --mount=type=bind,source=bound,target=/b cp /b/f /g\n\
             FROM $BASE\nARG VERSION=1\nCOPY --from=one /g /\nCOPY app /app\nRUN cat /app/* > /all\n",
        )
        .write("api.Dockerfile.dockerignore", "**/*.log\n")
        .write("app/main.py", "main")
        .write("app/a.log", "log")
        .write("bound/f", "bound")
        .write("worker/Dockerfile", format!("FROM {BUSYBOX}\nCOPY --chmod=644 . /w\nRUN true\n"))
        .write("worker/w.py", "w");
    symlink("main.py", project.dir().join("app/link")).unwrap();
    std::thread::sleep(Duration::from_millis(30));
    project
}

/// A change, and whether builds have something to do after it.
type Change = (&'static str, bool, fn(&Project));

const CHANGES: &[Change] = &[
    ("nothing", false, |_| {}),
    ("a file that is ignored", false, |it| _ = it.write("app/b.log", "log")),
    ("a file that no step reads", false, |it| _ = it.write("README.md", "text")),
    ("a file", true, |it| _ = it.write("app/main.py", "niam")),
    ("a file of the other image", true, |it| _ = it.write("worker/w.py", "v")),
    ("a file that is mounted", true, |it| _ = it.write("bound/f", "other")),
    ("a new file", true, |it| _ = it.write("worker/sub/new", "")),
    ("a file less", true, |it| std::fs::remove_file(it.dir().join("worker/sub/new")).unwrap()),
    ("a mode", true, |it| {
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(it.dir().join("app/main.py"), mode).unwrap();
    }),
    ("a link", true, |it| {
        std::fs::remove_file(it.dir().join("app/link")).unwrap();
        symlink("./main.py", it.dir().join("app/link")).unwrap();
    }),
    ("content of the same length and time", true, |it| {
        let path = it.dir().join("app/main.py");
        let before = std::fs::metadata(&path).unwrap().modified().unwrap();
        std::fs::write(&path, "iman").unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
    }),
    ("the ignore file", true, |it| _ = it.write("api.Dockerfile.dockerignore", "**/*.txt\n")),
    ("an ignore file where none was", true, |it| _ = it.write("worker/.dockerignore", "none\n")),
    ("a Dockerfile", true, |it| {
        let path = it.dir().join("worker/Dockerfile");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, text.replace("true", "echo true")).unwrap();
    }),
    ("the compose file", true, |it| {
        let path = it.dir().join("compose.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, text.replace("a: b", "a: c")).unwrap();
    }),
    ("an image that was removed", true, |it| {
        it.engine().docker_ok(&["rmi", &format!("{}-worker:1", it.name())]);
    }),
    ("a name that another image took", true, |it| {
        make_image(it.engine(), &format!("{}-api", it.name()));
    }),
    ("a base image that moved", true, |it| {
        make_image(it.engine(), &format!("{}-base", it.name()));
    }),
    ("the cache that is gone", false, |it| {
        let kinds = ["--images=false", "--containers=false", "--networks=false", "--volumes=false"];
        it.clean(&[&["--cache"], &kinds[..]].concat());
    }),
];

#[test]
fn a_build_is_left_out_where_nothing_has_changed_and_nowhere_else() {
    on_every_engine(|engine| {
        let project = project(engine);
        assert!(!skips(&project, &[]), "the first build");
        for (name, has_to_build, change) in CHANGES {
            change(&project);
            std::thread::sleep(Duration::from_millis(30));
            assert_eq!(skips(&project, &[]), !has_to_build, "{name} on {}", engine.name);
            assert!(skips(&project, &[]), "after {name} on {}", engine.name);
        }
        let forecast = build(&project, &["--dry-run", "--exit-code"]).success();
        assert!(text(forecast.get_output()).contains("nothing would run"));
        project.write("worker/w.py", "again");
        build(&project, &["--dry-run", "--exit-code"]).code(4);
    });
}

#[test]
fn what_asks_for_work_gets_it() {
    on_every_engine(|engine| {
        let project = project(engine);
        assert!(!skips(&project, &[]));
        assert!(skips(&project, &[]));
        // A part of it.
        assert!(skips(&project, &["worker"]));
        let file = project.dir().join("out");
        let file = file.to_str().unwrap();
        for args in [
            &["--always-solve"][..],
            &["--build-arg", "VERSION=2"],
            &["--metadata-file", file],
            &["--timeline", file],
            &["--no-cache-filter", "one"],
            &["--set", "worker.tags=other:1"],
            &["--platform", "linux/amd64"],
            &["--set", "*.cache-to=type=inline"],
        ] {
            assert!(!skips(&project, args), "{args:?} on {}", engine.name);
        }
        // The name has another image since.
        assert!(!skips(&project, &[]), "{}", engine.name);
        assert!(skips(&project, &[]), "{}", engine.name);
        // What was built by another name above is still that, and neither takes the other's place.
        assert!(skips(&project, &["--set", "worker.tags=other:1", "worker"]), "{}", engine.name);
        assert!(skips(&project, &[]), "{}", engine.name);
        let always = project.run(&["build"]).success();
        assert!(!text(always.get_output()).contains(SAYING));
        // Ids on standard output, as after a build.
        let quiet = build(&project, &["--quiet"]).success();
        let name = project.name();
        let ids: Vec<String> =
            ["-api", "-worker:1"].iter().map(|it| id(&project, &format!("{name}{it}"))).collect();
        let said = String::from_utf8(quiet.get_output().stdout.clone()).unwrap();
        assert_eq!(said.lines().collect::<Vec<_>>(), ids);
    });
}

/// What depends on more than can be looked at is asked for each time.
#[test]
fn what_cannot_be_looked_at_is_solved() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let image = format!("{}-it", project.name());
        let compose = |rest: &str| {
            format!("services:\n  it:\n    image: {image}\n    build:\n      context: .\n{rest}")
        };
        project.write("Dockerfile", format!("FROM {BUSYBOX}\nRUN true\n"));
        project
            .write("compose.yaml", compose("      dockerfile_inline: |\n        FROM scratch\n"));
        std::thread::sleep(Duration::from_millis(30));
        assert!(!skips(&project, &[]));
        assert!(skips(&project, &[]), "an inline Dockerfile");
        project.write(
            "compose.yaml",
            compose("      dockerfile_inline: |\n        FROM scratch\n        LABEL a=b\n"),
        );
        assert!(!skips(&project, &[]), "another one");
        for rest in [
            "      cache_to: [type=inline]\n",
            "      no_cache: true\n",
            "      provenance: true\n",
        ] {
            let is_refused = rest.contains("provenance") && !engine.name.contains("containerd");
            if is_refused {
                continue;
            }
            project.write("compose.yaml", compose(rest));
            std::thread::sleep(Duration::from_millis(30));
            for _ in 0..2 {
                assert!(!skips(&project, &[]), "{rest} on {}", engine.name);
            }
        }
    });
}

/// Of a target that stands on another one, and on a directory of its own.
#[test]
fn linked_targets_and_named_contexts_are_looked_at() {
    on_every_engine(|engine| {
        // Docker 20.10 has no named contexts.
        if engine.name.starts_with("20.") {
            return;
        }
        let project = Project::new(engine);
        let name = project.name();
        project
            .write(
                "compose.yaml",
                format!(
                    "services:\n  base:\n    build: base\n    image: {name}-base\n  app:\n    image: {name}-app\n    build:\n      \
                     context: app\n      additional_contexts: [parent=service:base, extra=./extra]\n"
                ),
            )
            .write("base/Dockerfile", format!("FROM {BUSYBOX}\nCOPY b /\n"))
            .write("base/b", "b")
            .write("app/Dockerfile", "FROM parent\nCOPY --from=extra x /\nRUN cat /b /x\n")
            .write("extra/x", "x");
        std::thread::sleep(Duration::from_millis(30));
        assert!(!skips(&project, &[]));
        assert!(skips(&project, &[]), "{}", engine.name);
        assert!(skips(&project, &["app"]), "{}", engine.name);
        for file in ["base/b", "extra/x"] {
            project.write(file, "another");
            std::thread::sleep(Duration::from_millis(30));
            assert!(!skips(&project, &["app"]), "{file} on {}", engine.name);
            assert!(skips(&project, &["app"]), "{file} on {}", engine.name);
        }
    });
}
