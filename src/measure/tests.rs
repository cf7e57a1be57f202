//! Plans and memories, on records made here.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::dockerfile::{Beginning, CacheMountSpec, cache_mounts};
use crate::inventory::CacheKind;
use crate::sight::{Mount, Sharing};

fn record(id: &str, uses: u64) -> CacheRecord {
    CacheRecord {
        id: id.into(),
        parents: Vec::new(),
        kind: CacheKind::CacheMount,
        description: String::new(),
        size_bytes: 10,
        in_use: false,
        shared: false,
        created_at: None,
        last_used_at: Timestamp::from_second(i64::try_from(uses).unwrap()).ok(),
        usage_count: uses,
    }
}

fn spec(options: &str) -> CacheMountSpec {
    cache_mounts(&format!("RUN --mount=type=cache,target=/c{options} make")).remove(0)
}

fn planned(record: &CacheRecord, options: &[&str], effort: Effort) -> Result<Mount, String> {
    let ways = options.iter().map(|it| spec(it)).map(|it| (format!("/{}", it.id), it)).collect();
    let asked = [MountRequest { record, ways }];
    let mut plan = plan(&asked, std::slice::from_ref(record), &Memory::default(), effort);
    match plan.looks.pop() {
        Some((mount, _)) => Ok(mount),
        None => Err(plan.why_not.remove(&record.id).unwrap()),
    }
}

#[test]
fn a_mount_is_asked_for_as_its_services_ask_or_not_at_all() {
    let free = record("r", 1);
    let mut owned = record("r", 1);
    owned.parents = vec!["directory".into()];
    let shared = planned(&free, &["", ""], Effort::Changed).unwrap();
    assert_eq!((shared.id.as_str(), shared.sharing), ("//c", Sharing::Shared));
    let beginning = Beginning::Directory { uid: 1000, gid: 0, mode: 0o755 };
    assert_eq!(planned(&owned, &[",uid=1000"], Effort::Changed).unwrap().beginning, beginning);
    // One service's mount has an owner, the other's none: these are two mounts, and two records.
    let ways = ["", ",uid=1000"];
    assert_eq!(planned(&owned, &ways, Effort::Changed).unwrap().beginning, beginning);
    assert_eq!(planned(&free, &ways, Effort::Changed).unwrap().beginning, Beginning::Empty);
    for (record, options, why) in [
        (&free, vec![",uid=1000"], "in another way"),
        (&owned, vec![",uid=1", ",uid=2"], "in different ways"),
        (&free, vec!["", ",sharing=locked"], "in different ways"),
        (&free, vec![",sharing=$MODE"], "a variable says how"),
        (&free, vec![",from=deps"], "files of a stage"),
        (&free, vec![",id=a-$X"], "a variable is in its id"),
    ] {
        let refused = planned(record, &options, Effort::All).unwrap_err();
        assert!(refused.contains(why), "{options:?}: {refused}");
    }
    assert_eq!(planned(&free, &[""], Effort::None).unwrap_err(), "not asked for");
}

#[test]
fn a_build_at_work_is_left_alone() {
    let mut used = record("r", 1);
    used.in_use = true;
    assert!(planned(&used, &[""], Effort::Changed).is_ok());
    for sharing in [",sharing=locked", ",sharing=private"] {
        let why = planned(&used, &[sharing], Effort::All).unwrap_err();
        assert!(why.contains("a build is"), "{why}");
    }
    let free = record("free", 1);
    let ways = vec![("//c".to_owned(), spec(",sharing=private"))];
    let asked = [MountRequest { record: &free, ways }];
    let plan = plan(&asked, &[used, free.clone()], &Memory::default(), Effort::All);
    assert!(plan.looks.is_empty() && plan.why_not.contains_key("free"));
}

#[test]
fn our_looks_are_no_uses_and_a_strangers_use_stays_one() {
    let time = |second| Timestamp::from_second(second).unwrap();
    let mut memory = Memory::default();
    // The look and the questions before and after it.
    let (before, after) = (record("r", 3), record("r", 6));
    memory.add(&before, &after, Some(500), time(100));
    let mut settled = vec![record("r", 6)];
    let sizes = Sizes::new(&mut settled, &memory, BTreeMap::new());
    assert_eq!((settled[0].size_bytes, settled[0].last_used_at), (500, before.last_used_at));
    assert_eq!(settled[0].usage_count, 3);
    assert_eq!(sizes.as_engine_sees(&settled), [record("r", 6)]);
    assert_eq!(sizes.mounts["r"].measured, Some(time(100)));
    let asked = |record| vec![MountRequest { record, ways: vec![("//c".to_owned(), spec(""))] }];
    let now = record("r", 6);
    let looks = |record, effort| plan(&asked(record), &[], &memory, effort).looks.len();
    assert_eq!((looks(&now, Effort::Changed), looks(&now, Effort::All)), (0, 1));
    // A build used it: its use and its time show, and the size is the last one measured.
    let mut used = vec![record("r", 7)];
    assert_eq!(looks(&used[0], Effort::Changed), 1);
    Sizes::new(&mut used, &memory, BTreeMap::new());
    assert_eq!((used[0].usage_count, used[0].last_used_at), (4, record("", 7).last_used_at));
    assert_eq!(used[0].size_bytes, 500);
    // Something used it while we looked: nothing settles.
    memory.add(&record("r", 6), &record("r", 10), Some(600), time(200));
    assert_eq!(memory.mounts["r"].own_uses, 6);
    assert!(!memory.mounts["r"].is_current(&record("r", 10)));
    // A look that saw nothing is a use of ours all the same, and leaves the size as it was measured.
    memory.add(&record("r", 10), &record("r", 11), None, time(300));
    assert_eq!(memory.mounts["r"].own_uses, 7);
    assert_eq!((memory.mounts["r"].bytes, memory.mounts["r"].measured), (600, Some(time(200))));
    assert!(!memory.mounts["r"].is_current(&record("r", 11)));
    memory.retain(&[]);
    assert!(memory.mounts.is_empty());
}

#[test]
fn a_disk_is_short_where_little_is_left_of_it_and_at_all() {
    let short = |size_bytes, free_bytes, available_bytes| {
        Disk { size_bytes, free_bytes, available_bytes }.is_short()
    };
    assert!(short(100, 6, 6));
    assert!(short(100, 20, 20) && !short(100, 21, 21));
    // What is free for root alone is not free.
    assert!(short(100, 30, 10));
    assert!(!short(2_000_000_000_000, 60_000_000_000, 60_000_000_000), "60 GB are plenty");
    assert_eq!(Disk { size_bytes: 100, free_bytes: 30, available_bytes: 10 }.used_bytes(), 70);
}

#[test]
fn a_mount_that_shrank_is_as_large_as_it_is() {
    let mut memory = Memory::default();
    memory.add(&record("r", 1), &record("r", 3), Some(4), Timestamp::UNIX_EPOCH);
    let mut records = vec![record("r", 3)];
    Sizes::new(&mut records, &memory, BTreeMap::new());
    assert_eq!(records[0].size_bytes, 4);
    assert_eq!(records[0].usage_count, 1);
}

#[test]
fn a_look_is_counted_when_two_questions_in_a_row_say_so() {
    let mut used = record("r", 3);
    used.in_use = true;
    let looked = ["r".to_owned()];
    let settled = |earlier: &CacheRecord, now: &CacheRecord| {
        has_settled(
            &looked,
            &[record("r", 1)],
            std::slice::from_ref(earlier),
            std::slice::from_ref(now),
        )
    };
    let (one, two, three) = (record("r", 1), record("r", 2), record("r", 3));
    assert!(!settled(&one, &one), "the engine has not let go of it yet");
    assert!(!settled(&two, &three), "the question counted");
    assert!(!settled(&used, &used), "a build uses it");
    assert!(settled(&three, &three));
    assert!(has_settled(&looked, &[one], &[], &[]), "it is gone");
    // Two records that may be the mount: the look was into one of them.
    let (both, other) = (["r".to_owned(), "s".to_owned()], record("s", 1));
    let after = [three.clone(), other.clone()];
    assert!(has_settled(&both, &[record("r", 1), other], &after, &after));
}

#[test]
fn what_an_engine_may_be_counting_is_not_counted() {
    let sized = |size_bytes, in_use| [CacheRecord { size_bytes, in_use, ..record("r", 1) }];
    for (earlier, now, expected) in [
        (None, sized(7, false), false),
        (Some(sized(0, false)), sized(7, false), false),
        (Some(sized(7, false)), sized(7, false), true),
        // A build uses it: what is known stays known.
        (Some(sized(7, false)), sized(7, true), true),
        (None, sized(0, false), false),
        (Some(sized(0, true)), sized(0, false), false),
        (Some(sized(0, false)), sized(0, true), false),
        // Empty, and it was so before.
        (Some(sized(0, false)), sized(0, false), true),
        (Some(sized(7, false)), sized(0, false), false),
    ] {
        let earlier = earlier.as_ref().map(<[_; 1]>::as_slice);
        assert_eq!(is_counted("r", earlier, &now), expected, "{earlier:?} {now:?}");
    }
    assert!(is_counted("gone", None, &sized(0, true)));
    let told = |sizes: &[u64]| {
        let records: Vec<CacheRecord> =
            sizes.iter().map(|size| CacheRecord { size_bytes: *size, ..record("r", 1) }).collect();
        is_told_empty(records.iter())
    };
    assert!(told(&[0]) && told(&[0, 0]));
    assert!(!told(&[]) && !told(&[7]) && !told(&[0, 7]) && !told(&[7, 0]));
}
