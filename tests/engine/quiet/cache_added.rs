//! What little changed in a cache mount is added to what was saved of it.

use std::fs;
use std::path::Path;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::cache::{TELL, cache, next, project, statuses, step};
use crate::support::{Engine, Project, Registry, eventually, on_every_engine};

/// Some megabytes in files, links and folders of every kind.
const FILL: &str = r#"
cd /c
for d in a b a-b c; do
  mkdir $d
  for i in 1 2 3 4 5 6 7 8 9; do head -c 100000 /dev/urandom > $d/$i; done
done
for i in 1 2 3 4 5 6 7 8 9; do for j in 1 2 3 4 5 6 7 8; do head -c 100000 /dev/urandom > a-b/1$i$j; done; done
ln c/1 c/also
ln -s ../a/1 c/link
printf end | dd of=sparse bs=1 seek=3000000 2>/dev/null
head -c 100000 /dev/urandom > /d/one
"#;

/// One change of each kind, each in a step of its own.
const CHANGES: &[&str] = &[
    // Contents, a new file, a folder that goes with all in it, a name that goes, one that comes before the first one.
    "cd /c; echo new > a/1; echo more > a/more; rm -r b; rm c/also; ln a/2 a/0",
    // Kinds, permissions, owners and times.
    "cd /c; rm a-b/1; mkdir a-b/1; echo in > a-b/1/in; rm -r c; echo file > c; chmod 700 a; chown 12:34 a/3; touch -d '2001-02-03 04:05:06' a/4 a-b",
    // Nothing but less.
    "cd /c; rm a/5 a-b/2",
    // What has gone comes back as something else.
    "cd /c; mkdir b; echo again > b/1; rm c; mkdir c; ln -s nowhere c/1; printf x | dd of=sparse bs=1 seek=1000 conv=notrunc 2>/dev/null",
];

/// What a manifest in a folder says of the larger mount.
fn saved(folder: &Path) -> Value {
    let manifest: Value =
        serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let mounts = manifest["mounts"].as_object().unwrap();
    let odd = mounts.values().find(|it| it["id"].as_str().unwrap().ends_with("odd"));
    odd.unwrap().clone()
}

fn archives(saved: &Value) -> usize {
    1 + saved["below"].as_array().map_or(0, Vec::len)
}

/// The same contents, saved from nothing.
fn whole(project: &Project, host: &Engine) -> Value {
    let folder = project.dir().join("whole");
    let _ = fs::remove_dir_all(&folder);
    statuses(project, host, &["save", "--to", "whole"]);
    saved(&folder)
}

#[test]
fn what_is_new_is_added_and_comes_back_with_the_rest() {
    on_every_engine(|engine| {
        let (project, other) = (project(engine), next(engine));
        let registry = Registry::open();
        let tag = format!("type=registry,ref={}/mounts", registry.address());
        step(&project, engine, FILL);
        let places = ["saved", &tag];
        for place in places {
            let first = statuses(&project, engine, &["save", "--to", place]);
            assert_eq!(first, ["many saved", "odd saved"], "{}", engine.name);
        }
        let folder = project.dir().join("saved");
        let all = saved(&folder)["archive_bytes"].as_u64().unwrap();
        for (number, change) in CHANGES.iter().enumerate() {
            let now = step(&project, engine, &[change, TELL].concat());
            for place in places {
                let again = statuses(&project, engine, &["save", "--to", place]);
                assert_eq!(again, ["many unchanged", "odd saved"], "{number} {}", engine.name);
            }
            let added = saved(&folder);
            assert_eq!(archives(&added), number + 2, "{number} {}: {added}", engine.name);
            assert!(added["archive_bytes"].as_u64().unwrap() < all / 10, "{added}");
            // From the registry once, with all that has been added.
            let is_last = number + 1 == CHANGES.len();
            for place in &places[..1 + usize::from(is_last)] {
                // While tests beside this one ask for sizes, an engine may give a step a second mount, empty already.
                eventually("emptied mounts are restored", || {
                    step(&project, &other, "rm -rf /c/* /d/*");
                    let restored = statuses(&project, &other, &["restore", "--from", place]);
                    (restored == ["many restored", "odd restored"]).then_some(())
                });
                assert_eq!(step(&project, &other, TELL), now, "{number} {place} {}", other.name);
            }
        }
        let whole = [engine, &other].map(|host| whole(&project, host)["digest"].clone());
        assert_eq!(whole[0], whole[1], "to the nanosecond");
        // Where most is new, all of it is written again, and what it stood on goes.
        step(
            &project,
            engine,
            "cd /c; for i in a/* a-b/*; do test -f $i && head -c 100000 /dev/urandom > $i; done; true",
        );
        statuses(&project, engine, &["save", "--to", "saved"]);
        assert_eq!(archives(&saved(&folder)), 1);
        let left = fs::read_dir(&folder).unwrap().count();
        assert_eq!(left, 4, "two archives, an index and what is said of them");
    });
}

#[test]
fn what_is_missing_or_damaged_below_is_told_and_written_again() {
    on_every_engine(|engine| {
        let project = project(engine);
        step(&project, engine, FILL);
        let folder = project.dir().join("saved");
        statuses(&project, engine, &["save", "--to", "saved"]);
        let now = step(&project, engine, &[CHANGES[0], TELL].concat());
        statuses(&project, engine, &["save", "--to", "saved"]);
        let added = saved(&folder);
        let name = |it: &Value| folder.join(it.as_str().unwrap());
        let files = [&added["archive"], &added["below"][0]["archive"], &added["index"]["file"]];
        let files = files.map(|it| (name(it), fs::read(name(it)).unwrap()));
        let odd = |args: &[&str]| {
            let (code, document, said) = cache(&project, engine, args);
            (code, document["mounts"][1]["status"].as_str().unwrap().to_owned(), said)
        };
        let force = ["restore", "--from", "saved", "--force"];
        for (number, (path, bytes)) in files.iter().enumerate() {
            let damaged = match number {
                0 => bytes[..bytes.len() - 1].to_vec(),
                1 => [bytes, &b"x"[..]].concat(),
                _ => Vec::new(),
            };
            fs::write(path, damaged).unwrap();
            // What the mount holds already needs none of it.
            let (code, status, said) = odd(&force);
            assert!(code == 0 && status == "unchanged", "{said}");
            step(&project, engine, "echo other > /c/other");
            let (code, status, said) = odd(&force);
            assert!(code == 1 && status == "failed", "{said}");
            step(&project, engine, "rm /c/other");
            fs::write(path, bytes).unwrap();
        }
        assert_eq!(step(&project, engine, TELL), now, "{}", engine.name);
        // An index that somebody shortened, with the right digest: what comes out is not what was saved.
        let text = fs::read_to_string(folder.join("manifest.json")).unwrap();
        let short = &files[2].1[..files[2].1.len() - 8];
        let digest = format!("sha256:{}", hex::encode(Sha256::digest(short)));
        let mut manifest: Value = serde_json::from_str(&text).unwrap();
        for mount in manifest["mounts"].as_object_mut().unwrap().values_mut() {
            if mount["below"].is_array() {
                mount["index"]["digest"] = digest.clone().into();
                mount["index"]["bytes"] = short.len().into();
            }
        }
        fs::write(&files[2].0, short).unwrap();
        fs::write(folder.join("manifest.json"), manifest.to_string()).unwrap();
        step(&project, engine, "echo other > /c/other");
        let (code, _, said) = odd(&force);
        assert!(code == 1 && said.contains("is damaged"), "{said}");
        fs::write(&files[2].0, &files[2].1).unwrap();
        // A lower archive that is gone: nothing is added to what is not there.
        fs::write(folder.join("manifest.json"), &text).unwrap();
        fs::remove_file(&files[1].0).unwrap();
        step(&project, engine, "echo one > /c/one");
        let again = statuses(&project, engine, &["save", "--to", "saved"]);
        assert_eq!(again, ["many unchanged", "odd saved"]);
        assert_eq!(archives(&saved(&folder)), 1);
    });
}
