//! Changes that a seal has to tell, and random ones with the contents as the judge.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{AtFlags, Timespec, Timestamps};

use super::*;
use crate::build_context::walk::walk;

/// As long as a clock of files may stand still, and a little more.
fn pass_a_tick() {
    std::thread::sleep(Duration::from_nanos(FINE.unsigned_abs()) + Duration::from_millis(2));
}

/// As a build seals what it sends.
fn seal(folder: &Path, request: &FilterRequest) -> Option<SealedWalk> {
    let root = Root::open(folder).unwrap();
    let filter = Filter::new(&root, request).unwrap();
    let mut sealer = Sealer::new(&root, SystemTime::now());
    walk(&root, &filter, &mut |entry| {
        sealer.add(entry);
        Ok(())
    })
    .unwrap();
    SealedWalk::new(folder.to_owned(), request, sealer.seal()?)
}

fn holds(walk: &SealedWalk) -> bool {
    walk.holds(SystemTime::now(), &|| false)
}

/// Content and times of `path` as a tool restores them that hides a change.
fn write_in_secret(path: &Path, content: &str) {
    let stat = rustix::fs::stat(path).unwrap();
    fs::write(path, content).unwrap();
    let time = |seconds, nanoseconds| Timespec { tv_sec: seconds as _, tv_nsec: nanoseconds as _ };
    let times = Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, AtFlags::empty()).unwrap();
}

type Change = (&'static str, fn(&Path));

const CHANGES: &[Change] = &[
    ("content", |it| fs::write(it.join("a/f"), "2").unwrap()),
    ("content of the same length and time", |it| write_in_secret(&it.join("a/f"), "3")),
    ("content through another name", |it| fs::write(it.join("other"), "4").unwrap()),
    ("another file by its name", |it| {
        fs::write(it.join("new"), "5").unwrap();
        fs::rename(it.join("new"), it.join("a/f")).unwrap();
    }),
    ("a mode", |it| {
        fs::set_permissions(it.join("a/f"), fs::Permissions::from_mode(0o600)).unwrap()
    }),
    ("a mode of a directory", |it| {
        fs::set_permissions(it.join("a"), fs::Permissions::from_mode(0o700)).unwrap();
    }),
    ("a new file", |it| fs::write(it.join("a/g"), "").unwrap()),
    ("a file less", |it| fs::remove_file(it.join("a/g")).unwrap()),
    ("a new directory", |it| fs::create_dir(it.join("a/d")).unwrap()),
    ("a link", |it| {
        fs::remove_file(it.join("a/link")).unwrap();
        symlink("g", it.join("a/link")).unwrap();
    }),
    ("a file where a directory was", |it| {
        fs::remove_dir(it.join("a/d")).unwrap();
        fs::write(it.join("a/d"), "").unwrap();
    }),
    ("an attribute of a directory", |it| {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(it.join("a"), "user.x", b"1", flags).unwrap();
    }),
];

fn tree() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("a")).unwrap();
    for file in ["a/f", "a/h", "ignored"] {
        fs::write(folder.path().join(file), "1").unwrap();
    }
    fs::hard_link(folder.path().join("a/f"), folder.path().join("other")).unwrap();
    symlink("f", folder.path().join("a/link")).unwrap();
    folder
}

#[test]
fn every_change_breaks_the_seal_and_nothing_else_does() {
    let folder = tree();
    let request = FilterRequest { follow: vec![b"a".to_vec()], ..FilterRequest::default() };
    for (name, change) in CHANGES {
        pass_a_tick();
        let sealed = seal(folder.path(), &request).unwrap();
        fs::write(folder.path().join("ignored"), name).unwrap();
        let _ = fs::read(folder.path().join("a/h")).unwrap();
        assert!(holds(&sealed), "before {name}");
        // A fresh name of the same directory is a change of `other`, if at all.
        fs::write(folder.path().join("unrelated"), name).unwrap();
        assert!(holds(&sealed), "before {name}");
        if *name == "content through another name" {
            fs::remove_file(folder.path().join("other")).unwrap();
            fs::hard_link(folder.path().join("a/f"), folder.path().join("other")).unwrap();
            pass_a_tick();
        }
        let sealed = seal(folder.path(), &request).unwrap();
        change(folder.path());
        assert!(!holds(&sealed), "{name}");
    }
}

#[test]
fn what_may_change_within_the_same_tick_is_not_sealed() {
    let folder = tree();
    pass_a_tick();
    let request = FilterRequest::default();
    assert!(seal(folder.path(), &request).is_some());
    fs::write(folder.path().join("a/f"), "2").unwrap();
    assert!(seal(folder.path(), &request).is_none());
    pass_a_tick();
    let sealed = seal(folder.path(), &request).unwrap();
    // A clock that was set back: nothing can be told.
    let earlier = SystemTime::now() - Duration::from_secs(3600);
    assert!(!sealed.holds(earlier, &|| false));
    assert!(!sealed.holds(SystemTime::now(), &|| true));
    assert!(holds(&sealed));
}

/// In random states, with the contents themselves as the judge. DOC2MD_SEAL_ROUNDS makes it longer.
#[test]
fn a_seal_that_holds_is_never_wrong() {
    let rounds = std::env::var("DOC2MD_SEAL_ROUNDS").ok().and_then(|it| it.parse().ok());
    let folder = tree();
    let request = FilterRequest { exclude: vec![b"ignored".to_vec()], ..FilterRequest::default() };
    let contents = || -> Vec<(std::path::PathBuf, Option<Vec<u8>>)> {
        let mut found: Vec<_> = ["a", "."]
            .iter()
            .flat_map(|it| fs::read_dir(folder.path().join(it)).unwrap())
            .map(|it| it.unwrap().path())
            .filter(|path| !path.ends_with("ignored"))
            .map(|path| (path.clone(), fs::read(&path).ok()))
            .collect();
        found.sort();
        found
    };
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let (mut sealed, mut held) = (0, 0);
    for round in 0..rounds.unwrap_or(200_u32) {
        let file = folder.path().join(["a/f", "a/h", "other", "ignored"][random(4) as usize]);
        fs::write(&file, format!("{}", random(3))).unwrap();
        if random(3) != 0 {
            std::thread::sleep(Duration::from_millis(random(30)));
        }
        // Before, so that what is sealed is at least as new.
        let before = contents();
        let Some(walk) = seal(folder.path(), &request) else { continue };
        sealed += 1;
        for _ in 0..random(3) {
            let content = format!("{}", random(3));
            match random(4) {
                0 => write_in_secret(&file, &content),
                1 => fs::write(&file, content).unwrap(),
                2 => {
                    fs::write(folder.path().join("ignored"), &content).unwrap();
                    fs::rename(folder.path().join("ignored"), &file).unwrap();
                    fs::write(folder.path().join("ignored"), &content).unwrap();
                }
                _ => fs::write(folder.path().join("ignored"), content).unwrap(),
            }
        }
        if holds(&walk) {
            held += 1;
            assert_eq!(before, contents(), "round {round}");
        }
    }
    // Neither of them is a test of nothing.
    assert!(sealed > 0 && held > 0 && held < sealed, "{held} of {sealed}");
}

#[test]
fn a_file_system_with_times_of_its_own_is_not_sealed() {
    let request =
        FilterRequest { follow: vec![b"self/status".to_vec()], ..FilterRequest::default() };
    assert!(seal(Path::new("/proc"), &request).is_none());
}

#[test]
fn a_walk_ends_at_the_first_mark_that_differs() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..3 * MARKED {
        fs::write(folder.path().join(format!("{number:05}")), "").unwrap();
    }
    pass_a_tick();
    let sealed = seal(folder.path(), &FilterRequest::default()).unwrap();
    assert_eq!(sealed.seal.marks.len(), 3);
    fs::write(folder.path().join("00000"), "1").unwrap();
    pass_a_tick();
    let looked = std::cell::Cell::new(0);
    let count = || {
        looked.set(looked.get() + 1);
        false
    };
    assert!(!sealed.holds(SystemTime::now(), &count));
    assert_eq!(looked.get(), MARKED - 1);
}
