//! One cache mount: to an archive, from an archive, and removed.

use std::fs;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::quiet::cache::{ODD, TELL, next, project, statuses, step, tar};
use crate::support::{BUSYBOX, Engine, Project, on_every_engine, text};

/// Runs a command on the engine; returns its exit code and all that it says.
fn plain(project: &Project, host: &Engine, args: &[&str]) -> (i32, String) {
    let mut command = project.command(args);
    let output = command.env("DOCKER_HOST", &host.host).output().unwrap();
    (output.status.code().unwrap(), format!("{}: {}", host.name, text(&output)))
}

#[test]
fn one_mount_goes_to_an_archive_and_comes_back() {
    on_every_engine(|engine| {
        let (project, other) = (project(engine), next(engine));
        let name = project.name();
        let (odd, many) = (format!("{name}-odd"), format!("{name}-many"));
        let filled = step(&project, engine, &[ODD, TELL].concat());
        let export = |id: &str, file: &str| {
            crate::support::eventually("the mount is told of", || {
                let (code, said) = plain(&project, engine, &["cache", "export", id, "-o", file]);
                (code == 0).then_some(said)
            })
        };
        let said = export(&odd, "odd.tar.zst");
        assert!(said.contains(&format!("exported {odd}: ")), "{said}");
        export(&many, "many.tar");
        let plain_tar = fs::read(project.dir().join("many.tar")).unwrap();
        assert_eq!(&plain_tar[257..262], b"ustar");
        // A link stays one, and what is no file is written to, not replaced.
        let link = project.dir().join("link.tar.zst");
        std::os::unix::fs::symlink("linked.tar.zst", &link).unwrap();
        export(&odd, "link.tar.zst");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        let written = fs::read(project.dir().join("odd.tar.zst")).unwrap();
        assert_eq!(fs::read(project.dir().join("linked.tar.zst")).unwrap(), written);
        let output = project
            .command(&["cache", "export", &odd, "-o", "/dev/stdout"])
            .env("DOCKER_HOST", &engine.host)
            .output()
            .unwrap();
        assert_eq!(output.stdout, written);
        export(&odd, "/dev/null");
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        // Through a pipe the same bytes come.
        let output = project
            .command(&["cache", "export", &odd])
            .env("DOCKER_HOST", &engine.host)
            .output()
            .unwrap();
        assert_eq!(output.stdout, fs::read(project.dir().join("odd.tar.zst")).unwrap());

        // Nothing of it is on the other engine, before and after what is refused.
        let import =
            |args: &[&str]| plain(&project, &other, &[&["cache", "import"], args].concat());
        fs::write(project.dir().join("half.tar"), &plain_tar[..3000]).unwrap();
        fs::write(project.dir().join("other.tar.gz"), [0x1f, 0x8b, 8, 0]).unwrap();
        fs::write(project.dir().join("evil.tar"), tar("../x", b'0', "")).unwrap();
        for (file, words) in [
            ("half.tar", "ends in the middle"),
            ("other.tar.gz", "compressed with gzip"),
            ("evil.tar", "leads out of the mount"),
        ] {
            let (code, said) = import(&[&many, file]);
            assert!(code == 1 && said.contains(words), "{said}");
        }
        let (code, said) = import(&[&odd, "odd.tar.zst"]);
        assert!(code == 0 && said.contains("restored"), "{said}");
        let (code, said) = import(&[&many, "many.tar"]);
        assert!(code == 0 && said.contains("restored"), "{said}");
        assert_eq!(step(&project, &other, TELL), filled, "from {} to {}", engine.name, other.name);
        // It holds something now.
        let (code, said) = import(&[&many, "many.tar"]);
        assert!(code == 1 && said.contains("occupied") && said.contains("--merge"), "{said}");
        let (code, said) = import(&["nothing", "many.tar"]);
        assert!(code == 2 && said.contains("no service of the project"), "{said}");
    });
}

#[test]
fn a_named_mount_is_removed_and_no_other_one() {
    on_every_engine(|engine| {
        let project = project(engine);
        let (odd, many) = (format!("{}-odd", project.name()), format!("{}-many", project.name()));
        step(&project, engine, "echo 1 > /c/one; echo 1 > /d/one");
        let present = |expected: [&str; 2]| {
            crate::support::eventually("the mounts are told of", || {
                (statuses(&project, engine, &["ls"]) == expected).then_some(())
            });
        };
        present(["many present", "odd present"]);
        let rm = |args: &[&str]| plain(&project, engine, &[&["cache", "rm"], args].concat());
        let (code, said) = rm(&[&odd]);
        if engine.name.ends_with("containerd") && code == 1 {
            // Images that others loaded there: a prune would cost them their steps.
            assert!(said.contains("makes BuildKit forget what stays"), "{said}");
            return present(["many present", "odd present"]);
        }
        assert!(code == 2 && said.contains("--force removes without asking"), "{said}");
        let (code, said) = rm(&[&odd, "--dry-run"]);
        assert!(code == 0 && said.contains(&odd) && !said.contains(&many), "{said}");
        let (code, said) = rm(&["nothing", "--force"]);
        assert!(code == 2 && said.contains("no service of the project"), "{said}");
        present(["many present", "odd present"]);
        // An engine that is asked by others at the same time tells old news.
        crate::support::eventually("the mount is removed", || {
            let (code, said) = rm(&[&odd, "--force"]);
            assert_eq!(code, 0, "{said}");
            (!said.contains("has no cache mount")).then_some(())
        });
        present(["many present", "odd absent"]);
        let (code, said) = rm(&[&odd, "--force"]);
        assert!(code == 0 && said.contains("has no cache mount"), "{said}");
    });
}

#[test]
fn a_mount_that_a_build_has_is_not_removed() {
    let engine = crate::support::engine("28.5");
    let project = project(&engine);
    let odd = format!("{}-odd", project.name());
    step(&project, &engine, "echo 1 > /c/one");
    project.write("run.sh", "echo state begun; sleep 300\n");
    let mut build = project.command(&["build", "--progress=plain"]);
    let build = build.stdout(Stdio::null()).stderr(Stdio::null());
    let mut build = build.env("DOCKER_HOST", &engine.host).spawn().unwrap();
    let said = crate::support::eventually("the build has the mount", || {
        let (code, said) = plain(&project, &engine, &["cache", "rm", &odd, "--dry-run"]);
        (code == 0 && said.contains("a build uses it now")).then_some(said)
    });
    let (code, told) = plain(&project, &engine, &["cache", "rm", &odd, "--force"]);
    let _ = kill_process(Pid::from_child(&build), Signal::INT);
    build.wait().unwrap();
    assert!(code == 1 && told.contains("1 thing not removed"), "{said}{told}");
}

#[test]
fn a_mount_that_is_kept_counts_as_used() {
    on_every_engine(|engine| {
        let project = project(engine);
        step(&project, engine, "echo 1 > /c/one; echo 1 > /d/one");
        // An engine refuses to say it to two at once.
        let uses = || {
            crate::support::eventually("the engine tells what it has", || {
                let args = ["system", "df", "-v", "--format", "{{json .BuildCache}}"];
                let output = engine.docker(&args).output().unwrap();
                let records: Vec<Value> = serde_json::from_slice(&output.stdout).ok()?;
                let own = records.iter().filter(|record| {
                    let about = record["Description"].as_str().unwrap_or_default();
                    record["CacheType"] == "exec.cachemount" && about.contains(project.name())
                });
                let count = |record: &Value| {
                    record["UsageCount"].to_string().trim_matches('"').parse::<u64>().unwrap()
                };
                Some(own.map(count).collect::<Vec<u64>>())
            })
        };
        crate::support::eventually("the mounts are told of", || {
            (statuses(&project, engine, &["ls"]) == ["many present", "odd present"]).then_some(())
        });
        let before = uses();
        assert_eq!(statuses(&project, engine, &["keep"]), ["many kept", "odd kept"]);
        // 20.10 does not tell the ids of mounts.
        if engine.name != "20.10" {
            assert_eq!(before.len(), 2, "{}", engine.name);
            crate::support::eventually("the engine counts the uses", || {
                let now = uses();
                now.iter().zip(&before).all(|(now, before)| now > before).then_some(())
            });
        }
    });
}

#[test]
fn what_another_project_mounts_in_the_same_way_is_none_of_ours() {
    on_every_engine(|engine| {
        let fresh = next(engine);
        let projects = [Project::new(engine), Project::new(engine)];
        for project in &projects {
            let name = project.name();
            project.write("compose.yaml", "services:\n  a: {build: .}\n").write(
                "Dockerfile",
                format!("FROM {BUSYBOX}\nARG NAME={name}\nRUN --mount=type=cache,id={name}-c,target=/c ls /c; echo $NAME > /c/file\n"),
            );
        }
        let [ours, others] = &projects;
        let build = |project: &Project, host: &Engine| {
            let mut command = project.command(&["build", "--progress=plain"]);
            let output = command.env("DOCKER_HOST", &host.host).output().unwrap();
            assert!(output.status.success(), "{}", text(&output));
            text(&output)
        };
        build(ours, &fresh);
        assert_eq!(statuses(ours, &fresh, &["save", "--to", "saved"]), ["c saved"]);
        build(others, engine);
        assert_eq!(statuses(ours, engine, &["restore", "--from", "saved"]), ["c restored"]);
        // To the end, the first time: it holds what was restored.
        assert!(build(ours, engine).contains("| file"), "{}", engine.name);
        assert_eq!(statuses(others, engine, &["ls"]), ["c present"]);
    });
}
