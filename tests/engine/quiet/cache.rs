//! Cache mounts that are saved from one engine and restored on another.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::{BUSYBOX, Engine, Project, engines, on_every_engine, text};

/// Fills a mount with everything that is kept.
pub(super) const ODD: &str = r#"
cd /c
mkdir -p deep/er empty closed
printf hello > deep/er/file
chown 12:34 deep/er/file
chmod 4751 deep/er/file
ln deep/er/file again
ln -s /nowhere/else out
ln -s deep/er in
printf x > "$(printf 'odd\n\377 '"'"'"-name')"
printf x > -dash
printf end | dd of=sparse bs=1 seek=40000000 2>/dev/null
long=$(printf '%0200d' 0)
mkdir $long
printf y > $long/$long
touch -d '2001-02-03 04:05:06' deep/er/file empty deep/er
chown -h 56:78 in
chmod 0 closed
chmod 1777 .
cd /d
i=0
while [ $i -lt 400 ]; do echo $i > file$i; i=$((i+1)); done
"#;

/// Says what a mount holds: names, kinds, modes, owners, sizes, times, links, blocks and contents.
pub(super) const TELL: &str = r#"
for mount in /c /d; do
  cd $mount
  find . | sort | while IFS= read -r name; do
    time=$(stat -c %Y "$name" || true)
    if [ "$name" = . ]; then time=; fi
    echo "state $mount $(stat -c '%n %f %u:%g %s %h' "$name" | tr '\n' '?') $time $(readlink "$name")"
  done
  find . -type f | sort | tr '\n' '\0' | xargs -0 cat | md5sum | sed "s|^|state $mount |"
  echo "state $mount blocks $(stat -c %b sparse 2>/dev/null)"
done
"#;

/// A project whose service runs a script with two mounts.
pub(super) fn project(engine: &Engine) -> Project {
    let project = Project::new(engine);
    let name = project.name();
    let mounts = format!(
        "--mount=type=cache,id={name}-odd,target=/c,sharing=locked --mount=type=cache,id={name}-many,target=/d,uid=7,gid=8,mode=0750"
    );
    project.write("compose.yaml", "services:\n  api: {build: .}\n").write(
        "Dockerfile",
        format!("FROM {BUSYBOX}\nCOPY run.sh /\nRUN {mounts} sh -e /run.sh {name}\n"),
    );
    project
}

/// Runs a script with the mounts; returns the lines of state that it says.
pub(super) fn step(project: &Project, host: &Engine, script: &str) -> Vec<String> {
    // Another one each time: no step is cached.
    let stamp = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    project.write("run.sh", format!("{script}\n: {stamp}\n"));
    let mut command = project.command(&["build", "--progress=plain"]);
    let output = command.env("DOCKER_HOST", &host.host).output().unwrap();
    assert!(output.status.success(), "{}: {}", host.name, text(&output));
    let said = text(&output);
    let lines =
        said.lines().filter_map(|line| line.split_once("| state ").map(|(_, it)| it.to_owned()));
    lines.collect()
}

pub(super) fn cache(project: &Project, host: &Engine, args: &[&str]) -> (i32, Value, String) {
    let mut command = project.command(&[&["cache"], args, &["--format", "json"]].concat());
    let output = command.env("DOCKER_HOST", &host.host).output().unwrap();
    let said = format!("{}: {}", host.name, text(&output));
    let document = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code().unwrap(), document, said)
}

/// What became of each mount, by the end of its id. Tests ask engines at the same time, which are then told old news: what is
/// to be saved is there.
pub(super) fn statuses(project: &Project, host: &Engine, args: &[&str]) -> Vec<String> {
    if args[0] == "save" {
        // Whatever it is worth: that has tests of its own.
        let args = &[args, &["--always"]].concat();
        return crate::support::eventually("the mounts are told of", || {
            let statuses = told(project, host, args);
            (!statuses.iter().any(|it| it.ends_with("absent"))).then_some(statuses)
        });
    }
    told(project, host, args)
}

fn told(project: &Project, host: &Engine, args: &[&str]) -> Vec<String> {
    let (code, document, said) = cache(project, host, args);
    assert_eq!(code, 0, "{said}");
    let mounts = document["mounts"].as_array().unwrap_or_else(|| panic!("{said}"));
    let status = |mount: &Value| {
        let id = mount["id"].as_str().unwrap().rsplit('-').next().unwrap().to_owned();
        format!("{id} {}", mount["status"].as_str().unwrap())
    };
    mounts.iter().map(status).collect()
}

/// Digests of contents by id, as a manifest says.
pub(super) fn digests(project: &Project, folder: &str) -> BTreeMap<String, String> {
    let text = fs::read(project.dir().join(folder).join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&text).unwrap();
    let mounts = manifest["mounts"].as_object().unwrap().values();
    mounts.map(|it| (it["id"].to_string(), it["digest"].to_string())).collect()
}

/// Names, sizes and times of the files in a folder.
pub(super) fn listing(folder: &Path) -> Vec<(String, u64, SystemTime)> {
    let entry = |entry: fs::DirEntry| {
        let about = entry.metadata().unwrap();
        (entry.file_name().to_string_lossy().into_owned(), about.len(), about.modified().unwrap())
    };
    let mut all: Vec<_> = fs::read_dir(folder).unwrap().map(|it| entry(it.unwrap())).collect();
    all.sort();
    all
}

/// The engine after this one.
pub(super) fn next(engine: &Engine) -> Engine {
    let all = engines();
    let at = all.iter().position(|it| it.name == engine.name).unwrap();
    all[(at + 1) % all.len()].clone()
}

#[test]
fn what_one_engine_filled_another_one_gets() {
    on_every_engine(|engine| {
        let (project, other) = (project(engine), next(engine));
        let filled = step(&project, engine, &[ODD, TELL].concat());
        assert!(filled.len() > 400, "{filled:#?}");
        assert_eq!(
            statuses(&project, engine, &["save", "--to", "saved"]),
            ["many saved", "odd saved"]
        );
        // Nothing changed: nothing is written.
        let before = listing(&project.dir().join("saved"));
        let again = ["save", "--to", "type=local,dest=saved"];
        assert_eq!(statuses(&project, engine, &again), ["many unchanged", "odd unchanged"]);
        assert_eq!(listing(&project.dir().join("saved")), before);

        let ls = statuses(&project, &other, &["ls"]);
        assert_eq!(ls, ["many absent", "odd absent"], "another engine has them");
        let restore = ["restore", "--from", "type=local,src=saved"];
        assert_eq!(statuses(&project, &other, &restore), ["many restored", "odd restored"]);
        assert_eq!(statuses(&project, &other, &restore), ["many unchanged", "odd unchanged"]);
        // To the nanosecond, and with nothing of ours.
        statuses(&project, &other, &["save", "--to", "copy"]);
        assert_eq!(digests(&project, "saved"), digests(&project, "copy"), "{}", other.name);
        assert_eq!(step(&project, &other, TELL), filled, "from {} to {}", engine.name, other.name);
        let present = crate::support::eventually("the mounts are told of", || {
            let ls = statuses(&project, &other, &["ls"]);
            (ls == ["many present", "odd present"]).then_some(ls)
        });
        assert_eq!(present.len(), 2);

        // Only what changed is written again.
        step(&project, &other, "echo more > /d/more");
        assert_eq!(
            statuses(&project, &other, &["save", "--to", "copy"]),
            ["many saved", "odd unchanged"]
        );
        // Two archives, the larger mount's index, and what is said of them.
        let archives = listing(&project.dir().join("copy"));
        assert_eq!(archives.len(), 4, "{archives:?}");
    });
}

#[test]
fn a_mount_that_holds_something_is_left_alone() {
    on_every_engine(|engine| {
        let project = project(engine);
        step(&project, engine, "echo 1 > /c/one; echo 1 > /c/both; echo 1 > /d/one");
        let saved = statuses(&project, engine, &["save", "--to", "saved"]);
        assert_eq!(saved, ["many saved", "odd saved"], "{}", engine.name);
        step(&project, engine, "rm /c/one /d/one; echo other > /c/both; echo 2 > /c/two");
        let restore = ["restore", "--from", "saved"];
        // A mount that a build emptied is as good as a new one.
        assert_eq!(statuses(&project, engine, &restore), ["many restored", "odd occupied"]);
        let tell = "echo state $(cat /c/both) $(ls -A /c /d)";
        let told = step(&project, engine, tell);
        assert_eq!(told, ["other /c: both two /d: one"], "{}", engine.name);
        let merge = [&restore[..], &["--merge"]].concat();
        assert_eq!(statuses(&project, engine, &merge), ["many unchanged", "odd restored"]);
        assert_eq!(step(&project, engine, tell), ["other /c: both one two /d: one"]);
        let force = [&restore[..], &["--force"]].concat();
        assert_eq!(statuses(&project, engine, &force), ["many unchanged", "odd restored"]);
        assert_eq!(step(&project, engine, tell), ["1 /c: both one /d: one"]);
    });
}

/// Replaces the archive of a mount by another one, digests and all.
fn plant(folder: &Path, id: &str, tar: &[u8]) {
    let path = folder.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let mounts = manifest["mounts"].as_object_mut().unwrap().values_mut();
    let mount = mounts.into_iter().find(|it| it["id"].as_str().unwrap().ends_with(id)).unwrap();
    let archive = zstd::encode_all(tar, 1).unwrap();
    let digest = |bytes: &[u8]| format!("sha256:{}", hex::encode(Sha256::digest(bytes)));
    fs::write(folder.join(mount["archive"].as_str().unwrap()), &archive).unwrap();
    mount["archive_digest"] = digest(&archive).into();
    mount["digest"] = digest(tar).into();
    mount["summary"] = "other".into();
    fs::write(&path, manifest.to_string()).unwrap();
}

/// A tar archive of one entry.
pub(super) fn tar(name: &str, kind: u8, target: &str) -> Vec<u8> {
    let mut block = [0_u8; 512];
    let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000644\x000000000\x000000000\x0000000000000\x0000000000000\0        ");
    put(156, &[kind]);
    put(157, target.as_bytes());
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    [&block[..], &[0; 1024]].concat()
}

#[test]
fn a_damaged_or_hostile_archive_leaves_the_mount_as_it_was() {
    on_every_engine(|engine| {
        let project = project(engine);
        let before =
            step(&project, engine, &["echo old > /c/old; echo old > /d/old", TELL].concat());
        let saved = statuses(&project, engine, &["save", "--to", "saved"]);
        assert_eq!(saved, ["many saved", "odd saved"], "{}", engine.name);
        let folder = project.dir().join("saved");
        let refused = |words: &str| {
            let (code, document, said) =
                cache(&project, engine, &["restore", "--from", "saved", "--force"]);
            assert_eq!(code, 1, "{said}");
            let mounts = document["mounts"].as_array().unwrap();
            let odd = mounts.iter().find(|it| it["id"].as_str().unwrap().ends_with("odd")).unwrap();
            assert_eq!(odd["status"], "failed", "{said}");
            assert!(odd["reason"].as_str().unwrap().contains(words), "{words}: {said}");
        };
        for (name, kind, target, words) in [
            ("/etc/passwd", b'0', "", "is an absolute path"),
            ("../../evil", b'0', "", "leads out of the mount"),
            ("link", b'1', "/etc/passwd", "is a link out of the mount"),
            ("device", b'3', "", "is a device"),
        ] {
            plant(&folder, "odd", &tar(name, kind, target));
            refused(words);
        }
        // Through a link of the archive: the step itself refuses.
        let through = [&tar("out", b'2', "/mounts/1")[..512], &tar("out/evil", b'0', "")].concat();
        plant(&folder, "odd", &through);
        refused("out/evil");
        let twice = [&tar("one", b'0', "")[..512], &tar("one", b'0', "")].concat();
        plant(&folder, "odd", &twice);
        refused("one");
        plant(&folder, "odd", b"no archive at all");
        refused("ends in the middle");
        // A byte that turned, and a file that is gone.
        plant(&folder, "odd", &tar("good", b'0', ""));
        let archive = listing(&folder).into_iter().find(|it| it.0.contains("odd")).unwrap().0;
        let mut bytes = fs::read(folder.join(&archive)).unwrap();
        bytes[20] ^= 1;
        fs::write(folder.join(&archive), &bytes).unwrap();
        refused("is damaged");
        fs::remove_file(folder.join(&archive)).unwrap();
        refused(&archive);
        assert_eq!(step(&project, engine, TELL), before, "{}", engine.name);
    });
}

#[test]
fn only_what_is_asked_for_is_moved_and_the_least_used_goes() {
    on_every_engine(|engine| {
        let project = Project::new(engine);
        let name = project.name();
        let run = |id: &str, command: &str| {
            format!(
                "FROM {BUSYBOX}\nRUN --mount=type=cache,id={name}-{id},target=/c {command} # {name}\n"
            )
        };
        // Two packages as uv keeps them.
        let sizes = "mkdir -p /c/archive-v0/new /c/archive-v0/old; cd /c/archive-v0; head -c 5000000 /dev/urandom > new/f; \
                     head -c 5000000 /dev/urandom > old/f; touch -d '2001-02-03 04:05:06' old/f";
        project
            .write("compose.yaml", "services:\n  a: {build: {context: ., dockerfile: a}}\n  b: {build: {context: ., dockerfile: b}}\n")
            .write("a", run("a", sizes))
            .write("b", run("b", "touch /c/b"));
        project.run(&["build"]).success();
        // 20.10 has no O_NOATIME where the mount is somebody else's: whatever was read counts as used.
        let args = ["save", "--to", "saved", "--max-size", "6MB", "a"];
        assert_eq!(statuses(&project, engine, &args), ["a saved"]);
        assert_eq!(statuses(&project, engine, &args), ["a unchanged"]);
        let manifest = fs::read_to_string(project.dir().join("saved/manifest.json")).unwrap();
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        let mounts: Vec<&Value> = manifest["mounts"].as_object().unwrap().values().collect();
        assert_eq!(mounts.len(), 1);
        assert_eq!(
            (&mounts[0]["bytes"], &mounts[0]["files"]),
            (&5_000_000.into(), &1.into()),
            "{}",
            engine.name
        );
        assert_eq!(statuses(&project, engine, &["save", "--to", "saved"]), ["a saved", "b saved"]);
        let restored = ["restore", "--from", "saved", "--force", "b"];
        assert_eq!(statuses(&project, engine, &restored), ["b unchanged"]);
    });
}
