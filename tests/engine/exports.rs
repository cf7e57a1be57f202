//! What exporters write on this machine arrives whole, on every engine, and nothing else is left.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Project, eventually, on_every_engine};

fn project(engine: &crate::support::Engine) -> Project {
    let project = Project::new(engine);
    project
        .write("compose.yaml", "services: {app: {build: .}}")
        .write("Dockerfile", "FROM scratch\nCOPY d /d\n")
        .write("d/f", "content")
        .write("d/large", vec![3; 1_000_000]);
    let at = |name: &str| project.dir().join(name);
    fs::set_permissions(at("d/f"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::hard_link(at("d/f"), at("d/hard")).unwrap();
    symlink("f", at("d/link")).unwrap();
    project
}

fn names(dir: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_directory() {
    on_every_engine(|engine| {
        let project = project(engine);
        let out = project.dir().join("out");
        // Twice: into nothing, and over what is there.
        for _ in 0..2 {
            project.run(&["build", "--set", "app.output=type=local,dest=out"]).success();
            assert_eq!(names(&out), ["d"], "{}", engine.name);
            assert_eq!(names(&out.join("d")), ["f", "hard", "large", "link"]);
        }
        let metadata = |name: &str| fs::symlink_metadata(out.join("d").join(name)).unwrap();
        assert_eq!(metadata("f").permissions().mode() & 0o7777, 0o4755);
        assert_eq!(metadata("f").ino(), metadata("hard").ino());
        assert_eq!(metadata("large").len(), 1_000_000);
        assert!(metadata("link").is_symlink());
    });
}

#[test]
fn a_tar_as_file_and_on_stdout() {
    on_every_engine(|engine| {
        let project = project(engine);
        project.run(&["build", "--set", "app.output=type=tar,dest=new/out.tar"]).success();
        assert_eq!(names(&project.dir().join("new")), ["out.tar"], "{}", engine.name);
        let listed = |tar: &std::path::Path| {
            let listed = Command::new("tar").arg("tf").arg(tar).output().unwrap();
            assert!(listed.status.success());
            String::from_utf8(listed.stdout).unwrap()
        };
        let names = listed(&project.dir().join("new/out.tar"));
        for name in ["d/f", "d/hard", "d/large", "d/link"] {
            assert!(names.lines().any(|line| line == name), "{}: {names}", engine.name);
        }
        let piped = project.run(&["build", "--set", "app.output=type=tar,dest=-"]).success();
        let copy = project.dir().join("piped.tar");
        fs::write(&copy, &piped.get_output().stdout).unwrap();
        assert_eq!(listed(&copy), names, "{}", engine.name);
    });
}

#[test]
fn an_oci_archive_or_a_refusal_by_key() {
    on_every_engine(|engine| {
        let project = project(engine);
        for kind in ["oci", "docker"] {
            let output = format!("app.output=type={kind},dest=image.tar");
            let run = project.run(&["build", "--set", &output]);
            let archive = project.dir().join("image.tar");
            if engine.name != "28.5-containerd" {
                let said = run.code(5).get_output().stderr.clone();
                let said = String::from_utf8(said).unwrap();
                let key = format!("output is not supported: type={kind}");
                assert!(said.contains(&key), "{}: {said}", engine.name);
                assert!(said.contains("containerd image store") && !archive.exists(), "{said}");
                continue;
            }
            run.success();
            let listed = Command::new("tar").arg("tf").arg(&archive).output().unwrap();
            let listed = String::from_utf8(listed.stdout).unwrap();
            assert!(listed.lines().any(|line| line == "index.json"), "{listed}");
            assert_eq!(
                listed.lines().any(|line| line == "manifest.json"),
                kind == "docker",
                "{listed}"
            );
            fs::remove_file(archive).unwrap();
        }
    });
}

#[test]
fn what_cannot_be_written_fails_by_name() {
    on_every_engine(|engine| {
        let project = project(engine);
        for (output, reason) in [
            ("type=local,dest=Dockerfile", "cannot write to Dockerfile: File exists"),
            ("type=tar,dest=/dev/full", "cannot write /dev/full: "),
            ("type=tar,dest=compose.yaml/x", "cannot write compose.yaml/x: "),
        ] {
            let set = format!("app.output={output}");
            let said = project.run(&["build", "--progress", "plain", "--set", &set]).code(1);
            let said = String::from_utf8(said.get_output().stderr.clone()).unwrap();
            let line = format!("error: failed to build app: {reason}");
            assert!(said.contains(&line), "{}: {said}", engine.name);
        }
        assert_eq!(names(&project.dir()), ["Dockerfile", "compose.yaml", "d"], "{}", engine.name);
    });
}

#[test]
fn an_interrupted_export_leaves_nothing() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        project
            .write("compose.yaml", "services: {app: {build: .}}")
            .write("Dockerfile", "FROM scratch\nCOPY d /d\n");
        // Files that take a while, and are all there is to do.
        for number in 0..40 {
            project.write(format!("d/{number}"), vec![number; 8_000_000]);
        }
        project.run(&["build"]).success();
        for output in ["type=local,dest=out", "type=tar,dest=out/tar"] {
            let out = project.dir().join("out");
            fs::create_dir(&out).unwrap();
            let args = ["build", "--set", &format!("app.output={output}")];
            let mut run =
                project.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            eventually("the export begins", || {
                names(&out).iter().any(|name| name.ends_with(".partial")).then_some(())
            });
            kill_process(Pid::from_child(&run), Signal::INT).unwrap();
            let code = run.wait().unwrap().code();
            assert_eq!(code, Some(130), "{} {output}", engine.name);
            assert_eq!(names(&out), [""; 0], "{} {output}", engine.name);
            fs::remove_dir(&out).unwrap();
        }
    });
}
