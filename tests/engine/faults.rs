//! Everything that goes wrong says one clear thing and ends with the documented code.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{
    BUSYBOX, Engine, PrivateEngine, Project, engine, eventually, on_every_engine, program,
};

const COMPOSE: &str = "services:\n  api:\n    build: .\n";

/// A project of one service with this Dockerfile, `{BASE}` standing for the base image.
fn project(engine: &Engine, dockerfile: &str) -> Project {
    let project = Project::new(engine);
    project
        .write("compose.yaml", COMPOSE)
        .write("Dockerfile", dockerfile.replace("{BASE}", BUSYBOX))
        .write("main.py", "print('hi')\n");
    project
}

/// Runs the command, which must fail with `code` and one error in plain words; answers stderr.
#[track_caller]
fn fails(mut command: Command, code: i32) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("error:")).count(), 1, "{text}");
    for noise in ["panicked", "backtrace", "rpc error", "code = Unknown", "failed to solve"] {
        assert!(!text.contains(noise), "{noise}: {text}");
    }
    text
}

#[track_caller]
fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in:\n{text}");
    }
}

/// Builds `dockerfile` on every engine: `code`, and all of `parts` said.
fn on_all(dockerfile: &str, args: &[&str], code: i32, parts: &[&str]) {
    on_every_engine(|engine| {
        let project = project(engine, dockerfile);
        let command = project.command(&[&["build"], args].concat());
        says(&fails(command, code), parts);
    });
}

#[test]
fn an_engine_that_is_not_there() {
    let project = project(&engine("28.5"), "FROM {BASE}\n");
    let mut command = project.command(&["build"]);
    command.env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let text = fails(command, 3);
    says(&text, &["/nowhere/docker.sock", "there is no such socket", "hint: start the engine"]);

    let socket = project.home().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let mut command = project.command(&["build"]);
    command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
    says(&fails(command, 3), &["no engine listens on it", "hint: start the engine"]);
}

#[test]
fn a_socket_this_user_may_not_open() {
    let project = project(&engine("28.5"), "FROM {BASE}\n");
    let home = project.home();
    let socket = home.join("closed.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    // Group 1 is `daemon` on every Debian; `nobody` is not in it.
    std::os::unix::fs::chown(&socket, Some(0), Some(1)).unwrap();
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&socket, 0o660);
    mode(home.parent().unwrap(), 0o755);
    // The build directory may be closed to others.
    let copied = home.join("doc2md-docker");
    program::copy(Path::new(env!("CARGO_BIN_EXE_doc2md-docker")), &copied);
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&copied)
        .arg("build")
        .current_dir(project.dir())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", &home)
        .env("DOCKER_HOST", format!("unix://{}", socket.display()));
    let text = fails(command, 3);
    says(&text, &["permission denied on the socket", "hint: add yourself to group daemon"]);
}

#[test]
fn a_wrong_dockerfile() {
    on_all(
        "FROM {BASE}\nRUUN true\n",
        &[],
        5,
        &["line 2", "unknown instruction: RUUN", "Dockerfile:2:1", "2 | RUUN true\n  | ^^^^"],
    );
    on_all(
        "FROM {BASE}\nCOPY main.py\n",
        &[],
        5,
        &["COPY requires at least two arguments", "Dockerfile:2", "  | ^^^^^^^^^^^^"],
    );
    on_all(
        "FROM {BASE} AS builder\nRUN true\n",
        &["--target", "bulder"],
        5,
        &["has no stage `bulder`", "did you mean `builder`?"],
    );
}

#[test]
fn a_missing_file_in_copy() {
    let parts =
        ["`mian.py` is not in the build context", "Dockerfile:2:6", "^^^^^^^", "mean `main.py`?"];
    on_all("FROM {BASE}\nCOPY mian.py /\n", &[], 1, &parts);
}

#[test]
fn a_path_is_missed_where_the_step_takes_it_from() {
    let in_context = |steps: &str, missing: &str, place: &str, hint: &str| {
        let said = "is not in the build context";
        let dockerfile = format!("FROM {{BASE}}\n{steps}\n");
        on_all(&dockerfile, &[], 1, &[&format!("`{missing}"), said, place, hint]);
    };
    in_context("COPY nofolder/*.txt /", "nofolder` ", "Dockerfile:2:6", "paths of COPY");
    in_context("COPY nofolder/deep/x.py /", "nofolder/deep", "Dockerfile:2:6", "paths of COPY");
    in_context("COPY main.p/*.txt /", "main.p` ", "Dockerfile:2:6", "mean `main.py`?");

    let in_stage = |made: &str, copied: &str, missing: &str| {
        let dockerfile = format!(
            "FROM {{BASE}} AS deps\nRUN {made}\nFROM {{BASE}}\nCOPY --from=deps {copied} /\n"
        );
        let said = "is not in stage `deps`, where the step takes it from";
        on_all(&dockerfile, &[], 1, &[&format!("`{missing}"), said, "Dockerfile:4:18"]);
    };
    in_stage("true", "/app/lock.txt", "/app");
    in_stage("true", "/app/*.txt", "/app` ");
    in_stage("mkdir /app", "/app/deep/*.txt", "/app/deep` ");
    in_stage("touch /app", "/app/lock.txt", "/app/lock.txt` ");
}

/// What an engine says of a Dockerfile that it has read, but cannot build: no line of it is parsed wrong.
#[test]
fn what_a_dockerfile_must_not_say_is_wrong_input() {
    let wrong = |steps: &str, said: &str| {
        let dockerfile = format!("FROM {{BASE}}\n{steps}\n");
        on_all(&dockerfile, &[], 5, &["the Dockerfile is invalid", said]);
    };
    wrong("RUN --mount=type=cache,target=/x,sharing=all true", "unsupported sharing value");
    wrong("RUN --mount=type=cache,target=/x,foo=bar true", "unexpected key 'foo'");
    wrong("RUN --mount=type=cache true", "invalid mount target");
    wrong("EXPOSE abc", "nvalid containerPort: abc");
    wrong("STOPSIGNAL FOO", "nvalid signal: FOO");
    on_all("\n", &[], 5, &["the Dockerfile is invalid"]);
    on_all("# escape=x\nFROM {BASE}\n", &[], 5, &["invalid escape token"]);
    let late = "FROM late AS early\nRUN true\nFROM early AS late\nRUN true\n";
    on_all(late, &[], 1, &["Dockerfile:1:6", "stage `late` begins below"]);
}

#[test]
fn a_file_where_a_step_needs_a_directory_is_named() {
    let cannot = |steps: &str, said: &str| {
        let dockerfile = format!("FROM {{BASE}}\nRUN touch /f\n{steps}\n");
        on_all(&dockerfile, &[], 1, &[said, "Dockerfile:3"]);
    };
    cannot("WORKDIR /f\nRUN true", "the directory `/f` cannot be made");
    cannot("WORKDIR /f/x\nRUN true", "the directory `/f/x` cannot be made");
    cannot("COPY main.py /f/x", "the directory `/f` cannot be made");
    cannot("COPY . /f", "`/f` is a file, over which no directory can be copied");
}

#[test]
fn what_a_step_cannot_start_is_not_in_the_image() {
    for dockerfile in ["FROM scratch\nRUN echo hello\n", "FROM {BASE}\nRUN [\"/nope\", \"x\"]\n"] {
        on_all(dockerfile, &[], 1, &["Dockerfile:2", "hint: the program that the step starts"]);
    }
}

#[test]
fn a_failing_step_in_every_kind_of_progress() {
    let dockerfile = "FROM {BASE}\nRUN echo one; echo last words >&2; exit 3\n";
    let error = ["ended with exit code 3", "Dockerfile:2", "2 | RUN echo one", "  | ^^^^"];
    for progress in ["plain", "quiet"] {
        let parts = [&error[..], &["last words"]].concat();
        on_all(dockerfile, &["--progress", progress], 1, &parts);
    }
    // The words of the step are in the statuses on stdout or stderr, in base64.
    on_all(dockerfile, &["--progress", "rawjson"], 1, &error);
}

#[test]
fn registries_that_cannot_be_reached() {
    let unreachable =
        ["127.0.0.1:9", "the registry cannot be reached (connection refused)", "hint:"];
    on_all("FROM 127.0.0.1:9/base:1\nRUN true\n", &[], 1, &unreachable);
    on_all("# syntax=127.0.0.1:9/front:1\nFROM {BASE}\n", &[], 1, &unreachable);
}

#[test]
fn sources_that_are_not_there() {
    let missing = project(&engine("28.5"), "FROM {BASE}\n");
    std::fs::remove_file(missing.dir().join("Dockerfile")).unwrap();
    let path = missing.dir().join("Dockerfile").display().to_string();
    let text = fails(missing.command(&["build"]), 5);
    says(&text, &["there is no Dockerfile at ", &path]);

    let gone = Project::new(&engine("28.5"));
    gone.write("compose.yaml", "services:\n  api:\n    build: ./gone\n");
    let path = gone.dir().join("gone").display().to_string();
    says(&fails(gone.command(&["build"]), 5), &["build context", &path, "is not there"]);
}

#[test]
fn wrong_projects() {
    let engine = engine("28.5");
    let with = |compose: &str, args: &[&str], parts: &[&str]| {
        let project = project(&engine, "FROM {BASE}\n");
        project.write("compose.yaml", compose);
        let code = if args.is_empty() { 5 } else { 2 };
        says(&fails(project.command(&[&["build"], args].concat()), code), parts);
    };
    with("services:\n  api:\n    build: [\n", &[], &["compose.yaml:3:12: invalid YAML"]);
    with(COMPOSE, &["apo"], &["no such service: apo", "did you mean `api`?"]);
    with(
        "services:\n  api:\n    image: ${X:?give X}\n    build: .\n",
        &[],
        &["compose.yaml:3:12", "required variable X", "give X"],
    );
    let empty = Project::new(&engine);
    says(&fails(empty.command(&["build"]), 5), &["no compose file found", "hint: name one"]);
}

#[test]
fn an_engine_that_dies_in_mid_build() {
    let seconds = 2_000_000 + std::process::id();
    for name in ["20.10", "28.5"] {
        let private = PrivateEngine::start(name);
        private.import_base("busybox");
        let project = project(
            private.engine(),
            &format!("FROM {{BASE}}\nRUN echo made >/made\nARG NAP={seconds}\nRUN sleep $NAP\n"),
        );
        let text = std::thread::scope(|scope| {
            let command = project.command(&["build", "--progress", "plain"]);
            let build = scope.spawn(move || fails(command, 3));
            eventually("the second step runs", || {
                let found = Command::new("pgrep")
                    .args(["-f", &format!("^sleep {seconds}$")])
                    .output()
                    .unwrap();
                found.status.success().then_some(())
            });
            private.kill();
            build.join().unwrap()
        });
        says(&text, &["the connection to the engine was lost", "hint: check that the engine is"]);
        private.start_again();
        let again = project.command(&["build", "--progress", "plain", "--build-arg", "NAP=0"]);
        let output = { again }.output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{text}");
        // What it had finished is still there: of three steps only the one that was cut off runs.
        says(&text, &["CACHED 2 steps: [1-2/3]", "built, 2 cached, 1 run"]);
    }
}

#[test]
fn a_full_disk() {
    for name in ["20.10", "28.5"] {
        let private = PrivateEngine::with_disk(name, "100M");
        private.import_base("busybox");
        let project = project(private.engine(), "FROM {BASE}\nCOPY big /\n");
        let big = std::fs::File::create(project.dir().join("big")).unwrap();
        // Sparse here, written out in full over there.
        big.set_len(150 << 20).unwrap();
        let text = fails(project.command(&["build"]), 1);
        says(&text, &["the engine's disk is full", "hint: free space", "clean"]);
    }
}

#[test]
fn a_build_the_engine_refuses_at_once_is_reported_at_once() {
    // A solve that is refused before it is registered has no statuses to wait for: the error comes
    // first, the engine's own wait for a status stream (seconds) does not.
    on_every_engine(|engine| {
        let project = project(engine, "FROM {BASE}\n");
        project.write(
            "compose.yaml",
            "services:\n  api:\n    build: {context: ., entitlements: [nonsense]}\n",
        );
        says(&fails(project.command(&["build"]), 1), &["nonsense"]);
    });
}
