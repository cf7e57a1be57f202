//! What the files of the ledger promise, also to readers and writers at the same time.
#![allow(clippy::unwrap_used)]
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::history::testing::{build, epoch};
use crate::history::{Outcome, StepResult, testing::step};

fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("state/ledger"));
    (directory, store)
}

fn some(number: u32) -> Entry {
    build(number, Outcome::Succeeded, vec![step("[2/2] RUN make", StepResult::Ran, 1.5)])
}

fn of(project: &str, number: u32) -> Entry {
    Entry { project: project.to_owned(), ..some(number) }
}

#[test]
fn what_is_written_is_read_newest_first() {
    let (_directory, store) = store();
    assert_eq!(store.entries("p").unwrap(), []);
    assert!(store.all_projects().unwrap().is_empty());
    for number in [2, 1, 3] {
        store.append(&some(number)).unwrap();
    }
    store.append(&of("other", 9)).unwrap();
    let read: Vec<Entry> =
        store.entries("p").unwrap().iter().map(|build| build.read().unwrap()).collect();
    assert_eq!(read, [some(3), some(2), some(1)]);
    assert_eq!(store.all_projects().unwrap(), ["other", "p"]);
    assert_eq!(store.all_entries().unwrap()[0].project, "other");
    assert_eq!(store.newest("p", 2).unwrap().0, [some(3), some(2)]);
}

#[test]
fn builds_are_for_the_users_eyes_only() {
    let (_directory, store) = store();
    store.append(&some(1)).unwrap();
    let path = &store.entries("p").unwrap()[0].path;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(path), mode(path.parent().unwrap())), (0o600, 0o700));
}

#[test]
fn removal_takes_the_folder_with_the_last_build() {
    let (_directory, store) = store();
    store.append(&some(1)).unwrap();
    store.append(&some(2)).unwrap();
    let builds = store.entries("p").unwrap();
    assert!(store.remove(&builds[0]).unwrap());
    assert!(!store.remove(&builds[0]).unwrap());
    assert!(matches!(builds[0].read(), Err(ReadError::Gone(_))));
    assert_eq!(store.newest("p", 9).unwrap().0, [some(1)]);
    assert!(store.remove(&builds[1]).unwrap());
    assert!(store.all_projects().unwrap().is_empty());
    store.append(&some(3)).unwrap();
    assert_eq!(store.entries("p").unwrap().len(), 1);
}

struct Done<'a>(&'a std::sync::atomic::AtomicU32);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn many_runs_at_once_lose_nothing_and_readers_see_whole_builds() {
    let (_directory, store) = store();
    let (writers, each) = (8, 12);
    let writing = std::sync::atomic::AtomicU32::new(writers);
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let (store, writing) = (store.clone(), &writing);
            scope.spawn(move || {
                // Also when this thread panics: the reader must end.
                let _done = Done(writing);
                for number in 0..each {
                    let started = epoch();
                    // All in one millisecond: only the noise tells them apart.
                    let noise = format!("{:04}", writer * each + number);
                    let id = BuildId::new(started, &noise);
                    store.append(&Entry { id, ..some(1) }).unwrap();
                    // A build of its own project, so that its folder comes and goes.
                    store.append(&of("fleeting", writer * each + number)).unwrap();
                    for build in store.entries("fleeting").unwrap() {
                        store.remove(&build).unwrap();
                    }
                }
            });
        }
        scope.spawn(|| {
            while writing.load(std::sync::atomic::Ordering::Relaxed) > 0 {
                let (_, skipped) = store.newest("p", usize::MAX).unwrap();
                assert!(skipped.is_empty(), "{skipped:?}");
            }
        });
    });
    let (entries, skipped) = store.newest("p", usize::MAX).unwrap();
    assert_eq!(entries.len(), (writers * each) as usize);
    assert!(skipped.is_empty());
}

#[test]
fn an_id_is_never_written_twice() {
    let (_directory, store) = store();
    store.append(&some(1)).unwrap();
    let error = store.append(&some(1)).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    assert_eq!(store.entries("p").unwrap().len(), 1);
}

#[test]
fn retention_keeps_the_newest_within_both_limits() {
    let (_directory, store) = store();
    for number in 1..=9 {
        store.append(&some(number)).unwrap();
    }
    store.append(&of("small", 1)).unwrap();
    let size = store.entries("p").unwrap()[0].size();
    let limits = |builds, bytes| Limits { builds, bytes };
    store.retain("p", limits(5, u64::MAX)).unwrap();
    assert_eq!(store.newest("p", 9).unwrap().0, [9, 8, 7, 6, 5].map(some));
    store.retain("p", limits(9, 3 * size + size / 2)).unwrap();
    assert_eq!(store.newest("p", 9).unwrap().0, [9, 8, 7].map(some));
    // The newest of a project stays, whatever it takes.
    store.retain("p", limits(0, 0)).unwrap();
    assert_eq!(store.newest("p", 9).unwrap().0, [some(9)]);
    assert_eq!(store.entries("small").unwrap().len(), 1);
}

#[test]
fn retention_keeps_the_last_build_in_which_a_step_ran() {
    let (_directory, store) = store();
    let torch = |number| {
        build(
            number,
            Outcome::Succeeded,
            vec![step("[2/2] RUN pip install torch", StepResult::Ran, 300.0)],
        )
    };
    let cached = |number| {
        build(
            number,
            Outcome::Succeeded,
            vec![step("[2/2] RUN pip install torch", StepResult::Cached, 0.1)],
        )
    };
    for entry in [torch(1), torch(2), cached(3), cached(4), cached(5)] {
        store.append(&entry).unwrap();
    }
    store.retain("p", Limits { builds: 2, bytes: u64::MAX }).unwrap();
    assert_eq!(store.newest("p", 9).unwrap().0, [cached(5), cached(4), torch(2)]);
}

#[test]
fn what_a_killed_process_left_is_invisible_and_goes_with_the_next_build() {
    let (_directory, store) = store();
    store.append(&some(1)).unwrap();
    let folder = store.directory().join("p");
    let left = folder.join(".doc2md-docker-killed.partial");
    fs::write(&left, &serde_json::to_vec(&some(2)).unwrap()[..40]).unwrap();
    assert_eq!(store.entries("p").unwrap().len(), 1);
    let live = unfinished(&folder).unwrap();
    store.append(&some(3)).unwrap();
    assert!(!left.exists());
    assert!(live.path().exists(), "another run writes it");
    assert_eq!(store.entries("p").unwrap().len(), 2);
}

#[test]
fn damaged_and_newer_builds_are_told_and_do_not_hide_others() {
    let (_directory, store) = store();
    for number in 1..=5 {
        store.append(&some(number)).unwrap();
    }
    let paths: Vec<PathBuf> =
        store.entries("p").unwrap().into_iter().map(|build| build.path).collect();
    let newer = fs::read_to_string(&paths[0]).unwrap().replace("ledger/v1", "ledger/v7");
    fs::write(&paths[0], newer).unwrap();
    fs::write(&paths[1], r#"{"schema":"doc2md-docker/ledger/v2","all":"different"}"#).unwrap();
    let whole = fs::read(&paths[2]).unwrap();
    fs::write(&paths[2], &whole[..whole.len() / 2]).unwrap();
    fs::write(&paths[3], "").unwrap();
    let (entries, skipped) = store.newest("p", 9).unwrap();
    assert_eq!(entries, [some(1)]);
    assert!(matches!(&skipped[0], ReadError::Newer { schema, .. } if schema.ends_with("/v7")));
    assert!(matches!(&skipped[1], ReadError::Newer { schema, .. } if schema.ends_with("/v2")));
    assert!(matches!(&skipped[2], ReadError::Broken { .. }));
    assert!(skipped[3].to_string().ends_with("is damaged: the file is empty"), "{}", skipped[3]);
    // Reading removes nothing.
    assert!(paths.iter().all(|path| path.exists()));
}

#[test]
fn fields_of_a_later_program_with_the_same_schema_are_ignored() {
    let (_directory, store) = store();
    store.append(&some(1)).unwrap();
    let build = &store.entries("p").unwrap()[0];
    let text = fs::read_to_string(&build.path).unwrap();
    fs::write(&build.path, text.replacen('{', "{\"invented\":[1],", 1)).unwrap();
    assert_eq!(build.read().unwrap(), some(1));
}

#[test]
fn names_that_lead_elsewhere_are_no_projects() {
    let (_directory, store) = store();
    for name in ["", ".", "..", "../p", "a/b", "/etc", "A", "a b", "-a", &"a".repeat(256)] {
        assert!(matches!(store.entries(name), Err(StoreError::Project(_))), "{name}");
        assert!(matches!(store.append(&of(name, 1)), Err(StoreError::Project(_))), "{name}");
    }
    assert!(!store.directory().exists());
}

#[test]
fn a_directory_that_cannot_be_used_is_an_error_and_no_panic() {
    let (directory, _) = store();
    // Root may read everything, so a file stands where the directory should be.
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let store = Store::open(file.join("ledger"));
    assert!(store.append(&some(1)).is_err());
    assert!(store.entries("p").is_err());
    assert!(store.all_projects().is_err());
    assert!(store.retain("p", Limits::default()).is_err());
}

proptest::proptest! {
    /// Whatever stands in a file: an entry or an error, never a panic.
    #[test]
    fn any_content_is_read_or_refused(cut in 0_usize..2000, at in 0_usize..2000, byte: u8) {
        let (_directory, store) = store();
        store.append(&some(1)).unwrap();
        let build = &store.entries("p").unwrap()[0];
        let mut text = fs::read(&build.path).unwrap();
        if let Some(place) = text.get_mut(at) {
            *place = byte;
        }
        text.truncate(cut);
        fs::write(&build.path, &text).unwrap();
        let _ = build.read();
    }
}
