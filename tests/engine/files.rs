//! What a build writes for scripts: whole or not at all, through links, into devices and pipes.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink};
use std::path::Path;
use std::process::Command;

use crate::support::{BUSYBOX, Engine, Project, engine, on_every_engine, watched_socket};

fn project(engine: &Engine) -> Project {
    let project = Project::new(engine);
    project
        .write("compose.yaml", "services: {app: {build: .}}")
        .write("Dockerfile", format!("FROM {BUSYBOX}\nCOPY compose.yaml /\n"));
    project
}

#[track_caller]
fn run(program: &str, args: &[&str]) {
    let status = Command::new(program).args(args).status().unwrap();
    assert!(status.success(), "{program} {args:?}: {status}");
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn devices_pipes_and_links_are_written_through() {
    on_every_engine(|engine| {
        let project = project(engine);
        let at = |name: &str| project.dir().join(name);
        // A null device of the test's own: the real one would not survive a fault here.
        run("mknod", &["-m", "666", path(&at("null")), "c", "1", "3"]);
        run("mkfifo", &[path(&at("fifo"))]);
        project.write("sub/real", "old");
        run("chmod", &["640", path(&at("sub/real"))]);
        symlink("sub/real", at("link")).unwrap();
        let reader = {
            let fifo = at("fifo");
            std::thread::spawn(move || fs::read_to_string(fifo).unwrap())
        };
        let built = project
            .run(&[
                "build",
                "--metadata-file=null",
                "--iidfile=link",
                "--timeline=fifo",
                "--trace=-",
            ])
            .success();
        assert!(fs::symlink_metadata(at("null")).unwrap().file_type().is_char_device());
        assert!(fs::symlink_metadata(at("fifo")).unwrap().file_type().is_fifo());
        assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
        assert!(reader.join().unwrap().contains("</html>"), "{}", engine.name);
        assert!(fs::read_to_string(at("sub/real")).unwrap().starts_with("sha256:"));
        assert_eq!(fs::metadata(at("sub/real")).unwrap().mode() & 0o7777, 0o640);
        let trace: serde_json::Value = serde_json::from_slice(&built.get_output().stdout).unwrap();
        assert!(trace["traceEvents"].is_array(), "{trace}");

        project.run(&["build", "--metadata-file=new", "--trace=trace"]).success();
        project.write("reference", "");
        let mode = |name: &str| fs::metadata(at(name)).unwrap().mode();
        assert_eq!((mode("new"), mode("trace")), (mode("reference"), mode("reference")));
        // A build that is remembered is drawn under the same rules.
        let shown = project.run(&["history", "show", "--timeline=null", "--trace=/dev/stdout"]);
        let shown = shown.success();
        let text = String::from_utf8_lossy(&shown.get_output().stdout);
        assert!(text.contains("traceEvents"), "{text}");
        assert!(fs::symlink_metadata(at("null")).unwrap().file_type().is_char_device());
        project.run(&["history", "show", "--timeline=none/x"]).code(2);
        let left = fs::read_dir(project.dir()).unwrap().flatten();
        assert!(!left.into_iter().any(|it| path(&it.path()).contains(".partial")));
    });
}

/// A full disk, and a folder that goes away while the build runs.
#[test]
fn what_cannot_be_written_in_the_end_leaves_the_old_file() {
    let engine = engine("28.5");
    let project = project(&engine);
    let small = project.dir().join("small");
    fs::create_dir(&small).unwrap();
    run("mount", &["-t", "tmpfs", "-o", "size=16k", "none", path(&small)]);
    project.write("small/trace", "old").write("small/full", vec![0; 8192]);
    let full = project.command(&["build", "--trace=small/trace", "--iidfile=id"]).output().unwrap();
    let old = fs::read_to_string(small.join("trace")).unwrap();
    let left = fs::read_dir(&small).unwrap().count();
    run("umount", &[path(&small)]);
    let text = String::from_utf8_lossy(&full.stderr);
    assert_eq!(full.status.code(), Some(1), "{text}");
    assert!(text.contains("error: failed to write the trace to small/trace"), "{text}");
    assert!(text.contains("No space left on device"), "{text}");
    assert_eq!((old.as_str(), left), ("old", 2));
    assert!(fs::read_to_string(project.dir().join("id")).unwrap().starts_with("sha256:"));

    let out = project.dir().join("out");
    fs::create_dir(&out).unwrap();
    let socket = project.home().join("watched.sock");
    let gone = out.clone();
    watched_socket(engine.socket(), &socket, "/session", move || fs::remove_dir(gone).unwrap());
    let host = format!("unix://{}", path(&socket));
    let failed = project.command(&["-H", &host, "build", "--metadata-file=out/m.json"]).output();
    let failed = failed.unwrap();
    let text = String::from_utf8_lossy(&failed.stderr);
    assert_eq!(failed.status.code(), Some(1), "{text}");
    assert!(text.contains("failed to write the metadata to out/m.json"), "{text}");
    assert!(text.contains("there is no folder out"), "{text}");
}

#[test]
fn a_later_run_removes_what_a_killed_one_left_and_nothing_else() {
    on_every_engine(|engine| {
        let project = project(engine);
        let dead = "out/.doc2md-docker-abc123.partial";
        project.write(dead, "cut off").write("out/.doc2md-docker-folder.partial/sub/f", "x");
        let live_path = project.dir().join("out/.doc2md-docker-live01.partial");
        let live = fs::File::create(&live_path).unwrap();
        live.lock().unwrap();
        project.run(&["build", "--set=app.output=type=local,dest=out"]).success();
        let left = |name: &str| project.dir().join(name).exists();
        assert!(!left(dead) && !left("out/.doc2md-docker-folder.partial"), "{}", engine.name);
        assert!(live_path.exists() && left("out/compose.yaml"), "{}", engine.name);
        // A killed process has no lock any more.
        drop(live);
        project.run(&["build", "--set=app.output=type=tar,dest=out/app.tar"]).success();
        assert!(!live_path.exists() && left("out/app.tar"), "{}", engine.name);
    });
}

/// Links and byte order marks: what this program reads is what the engine builds.
#[test]
fn a_dockerfile_behind_a_link_and_with_a_mark_is_built_and_its_places_are_right() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let at = |name: &str| project.dir().join(name);
        let dockerfile = format!("\u{feff}\r\nFROM {BUSYBOX}\r\nCOPY compose.yaml /\r\n");
        project
            .write("compose.yaml", "services: {app: {build: {context: ., dockerfile: linked}}}")
            .write("sub/real", &dockerfile)
            .write(".dockerignore", "\u{feff}unwanted\r\n")
            .write("unwanted", "x");
        symlink("/sub/real", at("linked")).unwrap();
        project.run(&["build", "--timeline=page.html"]).success();
        let stats = project.run(&["stats", "-v", "--format=json"]).success();
        let stats: serde_json::Value = serde_json::from_slice(&stats.get_output().stdout).unwrap();
        assert!(stats.to_string().contains("linked"), "{}: {stats}", engine.name);

        project.write("sub/real", dockerfile.replace("compose.yaml", "unwanted"));
        let failed = project.command(&["build"]).output().unwrap();
        let text = String::from_utf8_lossy(&failed.stderr);
        assert_eq!(failed.status.code(), Some(1), "{}: {text}", engine.name);
        assert!(text.contains("linked:3"), "{}: {text}", engine.name);
    });
}

/// A context may hold anything; none of it is waited for.
#[test]
fn special_files_in_a_context_do_not_hang() {
    on_every_engine(|engine| {
        let project = project(engine);
        project.write("Dockerfile", format!("FROM {BUSYBOX}\nCOPY . /c\n"));
        run("mkfifo", &[path(&project.dir().join("fifo"))]);
        let _socket = std::os::unix::net::UnixListener::bind(project.dir().join("socket")).unwrap();
        let ended = project.run(&["build", "--timeout=60s"]);
        let text = String::from_utf8_lossy(&ended.get_output().stderr).into_owned();
        assert!(!text.contains("ran out of time"), "{}: {text}", engine.name);
    });
}
