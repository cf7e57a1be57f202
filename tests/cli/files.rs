//! Files that are not plain files, and places that cannot be written: told before an engine is asked.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use predicates::str::contains;
use tempfile::TempDir;

/// A project whose engine does not exist.
fn project() -> TempDir {
    let folder = TempDir::with_prefix("d2m-files-").unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("compose.yaml", "services: {api: {build: .}}\n");
    write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n");
    folder
}

fn command(folder: &Path, args: &[&str]) -> assert_cmd::Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doc2md-docker"));
    command
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", folder)
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .args(args);
    assert_cmd::Command::from_std(command)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    let mut names: Vec<_> = entries.map(|it| it.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_place_that_cannot_be_written_is_told_before_the_engine_is_asked() {
    let folder = project();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    symlink("round", folder.path().join("round")).unwrap();
    symlink("none/x", folder.path().join("dangling")).unwrap();
    let before = names(folder.path());
    let long = "x".repeat(300);
    for (option, what) in [
        ("--metadata-file", "the metadata"),
        ("--iidfile", "the image id"),
        ("--timeline", "the timeline"),
        ("--trace", "the trace"),
    ] {
        for (path, why) in [
            ("none/x", "there is no folder none"),
            ("sub", "it is a folder"),
            ("sub/", "it names a folder"),
            ("compose.yaml/x", "Not a directory"),
            ("round", "Too many levels of symbolic links"),
            ("dangling", "there is no folder none"),
            (&long, "File name too long"),
        ] {
            command(folder.path(), &["build", option, path])
                .assert()
                .code(2)
                .stderr(contains(format!("error: {what} cannot be written to {path}")))
                .stderr(contains(why));
        }
        // All is well with the place: the engine is what is missing.
        for path in ["new", "-", "/dev/stdout"] {
            command(folder.path(), &["build", option, path]).assert().code(3).stdout("");
        }
    }
    for (path, why) in [("none/x", "there is no folder none"), ("sub", "it is a folder")] {
        let message = format!("error: the page cannot be written to {path}");
        let told = command(folder.path(), &["stats", "--html", path]).assert().code(2);
        told.stdout("").stderr(contains(message)).stderr(contains(why));
    }
    for path in ["-", "/dev/stdout"] {
        // There is one standard output: the table gives way, a document does not.
        for format in ["json", "markdown", "prometheus"] {
            let args = ["stats", "--html", path, "--format", format];
            let told = command(folder.path(), &args).assert().code(2).stdout("");
            told.stderr(contains("error: --html and --format both ask for standard output"));
        }
        command(folder.path(), &["stats", "--html", path]).assert().code(3).stdout("");
    }
    command(folder.path(), &["stats", "--html", "new", "--format", "json"]).assert().code(3);
    // Nothing was made, and nothing was left.
    let mut after = names(folder.path());
    after.retain(|name| !name.starts_with(".local"));
    assert_eq!(after, before);
}

/// What is not a file, and never ends or never begins.
#[test]
fn what_is_not_a_plain_file_is_an_error_that_names_it() {
    let folder = project();
    let at = |name: &str| folder.path().join(name);
    let fifo = Command::new("mkfifo").arg(at("fifo")).status().unwrap();
    assert!(fifo.success());
    let zero = Command::new("mknod").arg(at("zero")).args(["c", "1", "5"]).status().unwrap();
    assert!(zero.success());
    let compose = |build: &str| {
        let text = format!("services: {{api: {{build: {{context: .{build}}}}}}}\n");
        std::fs::write(at("compose.yaml"), text).unwrap();
    };
    for (special, kind) in [("fifo", "is a FIFO, not a file"), ("zero", "is a device, not a file")]
    {
        let fails = |args: &[&str], code: i32| {
            let text = command(folder.path(), args)
                .timeout(std::time::Duration::from_secs(300))
                .assert()
                .code(code)
                .get_output()
                .stderr
                .clone();
            let text = String::from_utf8(text).unwrap();
            assert!(text.contains(special) && text.contains(kind), "{special} {args:?}: {text}");
        };
        compose("");
        fails(&["-f", special, "build"], 5);
        fails(&["--env-file", special, "build"], 5);
        fails(&["lock", special, "--base-image=x"], 2);
        compose(&format!(", dockerfile: {special}"));
        fails(&["build"], 5);
        compose("");
        std::fs::create_dir_all(at("docker")).unwrap();
        let linked = [("docker/config.json", 2), ("doc2md-docker.toml", 2)];
        for (name, code) in linked {
            symlink(at(special), at(name)).unwrap();
            let mut command = command(folder.path(), &["stats"]);
            command.env("DOCKER_CONFIG", at("docker"));
            let text = command.timeout(std::time::Duration::from_secs(300)).assert();
            let output = text.get_output().clone();
            let text = String::from_utf8(output.stderr).unwrap();
            // `stats` needs no login, so it may get as far as the engine.
            let named = text.contains(name) && text.contains(kind);
            assert!(
                (output.status.code() == Some(code) && named) || output.status.code() == Some(3),
                "{name}: {text}"
            );
            std::fs::remove_file(at(name)).unwrap();
        }
    }
    // What a shell hands over is read, and the null device is an empty file.
    let print = format!(
        "{} -f <(echo 'services: {{api: {{build: .}}}}') --env-file <(echo A=1) build --print",
        env!("CARGO_BIN_EXE_doc2md-docker")
    );
    let printed = Command::new("bash").args(["-c", &print]).current_dir(folder.path()).output();
    let printed = printed.unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    command(folder.path(), &["--env-file", "/dev/null", "build", "--print"]).assert().success();
}

#[test]
fn what_is_not_there_is_told_at_the_key_that_names_it() {
    let folder = project();
    let write = |text: &str| std::fs::write(folder.path().join("compose.yaml"), text).unwrap();
    let named = "services:\n  api:\n    build:\n      context: .\n      dockerfile: none\n";
    let contexts = "services:\n  api:\n    build:\n      context: .\n      additional_contexts:\n        lib: none\n";
    let merged =
        "x-build: &build\n  context: none\nservices:\n  api:\n    build:\n      <<: *build\n";
    for (text, args, place) in [
        ("services:\n  api:\n    build: none\n", &[][..], "compose.yaml:3:12: "),
        ("services:\n  api:\n    build:\n      context: none\n", &[], "compose.yaml:4:7: "),
        (merged, &[], "compose.yaml:2:3: "),
        (named, &[], "compose.yaml:5:7: "),
        (contexts, &[], "compose.yaml:5:7: "),
        // What the command line says has no place in the file.
        (named, &["--set", "api.context=gone"], ""),
        (named, &["--set", "*.dockerfile=gone"], ""),
        (named, &["--set", "api.context=compose.yaml"], ""),
    ] {
        write(text);
        let args = [&["build"], args].concat();
        let said = format!("error: {place}failed to build api: ");
        command(folder.path(), &args).assert().code(5).stderr(contains(said));
    }
}

#[test]
fn the_dockerfile_is_found_as_buildkit_finds_it() {
    let folder = project();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("sub")).unwrap();
    std::fs::write(at("sub/real"), "FROM scratch\n").unwrap();
    std::fs::create_dir(at("folder")).unwrap();
    for (name, to) in [("absolute", "/sub/real"), ("out", "../elsewhere"), ("loop", "loop")] {
        symlink(to, at(name)).unwrap();
    }
    let long = "x".repeat(300);
    std::fs::write(at("utf16"), b"\xff\xfeF\0R\0O\0M\0").unwrap();
    for (dockerfile, code, said) in [
        ("absolute", 3, "start the engine"),
        ("out", 5, "is a link to ../elsewhere, and that is not in its folder"),
        ("loop", 5, "Too many levels of symbolic links"),
        ("folder", 5, "is a directory"),
        ("utf16", 5, "is UTF-16"),
        ("none", 5, "there is no Dockerfile at"),
        (&long, 5, "File name too long"),
    ] {
        let text =
            format!("services: {{api: {{build: {{context: ., dockerfile: {dockerfile}}}}}}}\n");
        std::fs::write(at("compose.yaml"), text).unwrap();
        command(folder.path(), &["build"]).assert().code(code).stderr(contains(said));
    }
}
