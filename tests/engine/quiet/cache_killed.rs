//! Whoever is killed while cache mounts are moved leaves everything as it was, or complete.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::cache::{cache, digests, listing, project, statuses, step};
use crate::support::{Project, eventually_or_why, on_every_engine};

/// Something between nothing and `most`, which differs from call to call.
fn random(most: Duration) -> Duration {
    let bits = SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos() ^ std::process::id();
    most.mul_f64(f64::from(bits.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for (name, ..) in listing(from) {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

fn start(project: &Project, args: &[&str]) -> Child {
    let mut command = project.command(&[&["cache"], args].concat());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn whoever_is_killed_leaves_everything_as_it_was_or_complete() {
    on_every_engine(|engine| {
        let project = project(engine);
        let fill = |mark: &str| {
            step(
                &project,
                engine,
                &format!(
                    "rm -rf /c/* /d/*; i=0; while [ $i -lt 300 ]; do echo {mark} > /d/$i; i=$((i+1)); done; head -c 20000000 /dev/urandom > /c/{mark}"
                ),
            );
        };
        let save = |folder: &str| {
            statuses(&project, engine, &["save", "--to", folder]);
            digests(&project, folder)
        };
        fill("one");
        let one = save("one");
        fill("two");
        let two = save("two");
        copy(&project.dir().join("one"), &project.dir().join("first"));
        // Twenty kills of each: DOC2MD_KILL_ROUNDS=20.
        let rounds = std::env::var("DOC2MD_KILL_ROUNDS").ok().and_then(|it| it.parse().ok());
        for attempt in 0..rounds.unwrap_or(3) {
            let how = if attempt % 3 == 2 { Signal::INT } else { Signal::KILL };
            let end = |mut child: Child| {
                std::thread::sleep(random(Duration::from_millis(1500)));
                let _ = kill_process(Pid::from_child(&child), how);
                child.wait().unwrap();
            };
            let from = if attempt % 2 == 0 { "one" } else { "two" };
            end(start(&project, &["restore", "--force", "--from", from]));
            // The engine may still be ending the step that was killed.
            let now = eventually_or_why("the mounts can be read", || {
                let (code, document, said) =
                    cache(&project, engine, &["save", "--to", "now", "--always"]);
                let mounts = document["mounts"].as_array().cloned().unwrap_or_default();
                let is_read = |it: &Value| it["status"] == "saved" || it["status"] == "unchanged";
                if code == 0 && mounts.len() == 2 && mounts.iter().all(is_read) {
                    return Ok(digests(&project, "now"));
                }
                Err(said)
            });
            for (id, digest) in &now {
                let known = [&one[id], &two[id]];
                assert!(known.contains(&digest), "{} {attempt}: {id} is neither", engine.name);
            }
            // A folder that is written to.
            end(start(&project, &["save", "--to", "one", "--always"]));
            let (code, _, said) = cache(&project, engine, &["restore", "--force", "--from", "one"]);
            assert_eq!(code, 0, "{said}");
            let kept = digests(&project, "one");
            assert!(
                kept.values().all(|it| one.values().chain(two.values()).any(|known| known == it))
            );
            // Whatever it holds now, the next round begins with the same.
            statuses(&project, engine, &["restore", "--force", "--from", "two"]);
            fs::remove_dir_all(project.dir().join("one")).unwrap();
            copy(&project.dir().join("first"), &project.dir().join("one"));
        }
    });
}

/// What a restore that was killed leaves in a mount at each point of its exchange, and what is there after the next run.
const LEFT: [(&str, &str); 7] = [
    // Nothing was exchanged yet.
    ("echo old > file; echo new > $R/new/file", "file=old"),
    // What was there is leaving.
    (
        "touch $R/leaving; echo old > $R/old/file; echo old > other; echo new > $R/new/file",
        "file=old other=old",
    ),
    // And a build has filled the folder since: what it made stays.
    (
        "touch $R/leaving; mkdir $R/old/folder folder; echo old > $R/old/folder/file; echo old > $R/old/folder/gone; echo built > folder/file",
        "folder/file=built folder/gone=old",
    ),
    // It has left, and what came is coming.
    (
        "touch $R/leaving $R/coming; echo old > $R/old/file; echo new > $R/new/file; echo new > other",
        "file=new other=new",
    ),
    (
        "touch $R/leaving $R/coming; mkdir $R/new/folder folder; echo new > $R/new/folder/file; echo new > $R/new/folder/more; echo built > folder/file",
        "folder/file=built folder/more=new",
    ),
    // It has come.
    (
        "touch $R/coming; echo old > $R/old/file; echo old > $R/old/gone; echo new > file",
        "file=new",
    ),
    // What is aside is going.
    ("rmdir $R/new; echo old > $R/old/file; echo new > file", "file=new"),
];

#[test]
fn what_a_dead_restore_left_is_taken_back_or_completed() {
    on_every_engine(|engine| {
        let project = project(engine);
        for (left, expected) in LEFT {
            let plant = "cd /c; rm -rf .[!.]* *; R=.doc2md-docker-restore; mkdir -p $R/new $R/old";
            step(&project, engine, &format!("{plant}; {left}; echo > /d/file"));
            let saved = statuses(&project, engine, &["save", "--to", "saved"]);
            assert!(saved.iter().all(|it| !it.ends_with("failed")), "{left}: {saved:?}");
            let restored = ["restore", "--from", "saved", "--force"];
            let restored = statuses(&project, engine, &restored);
            assert_eq!(restored, ["many unchanged", "odd unchanged"], "{left}");
            let tell = "cd /c; echo state $(find . -type f | sort | sed 's|^./||' | grep -v ^.doc2md | while read name; do echo $name=$(cat $name); done)";
            assert_eq!(step(&project, engine, tell), [expected], "{} {left}", engine.name);
        }
    });
}
