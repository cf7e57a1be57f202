//! `doc2md-docker cache`: cache mounts, as a table and as a document. Pure.

use jiff::Timestamp;
use serde::Serialize;

use crate::cache_mounts::report::{MountReport, SCHEMA, Status, not_kept};
use crate::cache_mounts::value::{Decision, Worth};
use crate::cache_mounts::{Archive, CacheMount};
use crate::counted::counted;
use crate::terminal::{format, wrap};
use crate::view::table::{self, Column, Shape};

/// Only where it is known of a mount.
const WORTH: usize = 6;
const COLUMNS: [Column; 8] = [
    Column::new("ID", Shape::CutStart(16)),
    Column::new("STATUS", Shape::Left),
    Column::new("SIZE", Shape::Right),
    Column::new("FILES", Shape::Right).drop(3),
    Column::new("ARCHIVE", Shape::Right).drop(4),
    Column::new("USED", Shape::Right).drop(2),
    Column::new("SAVES", Shape::Right).drop(5),
    Column::new("USED BY", Shape::CutStart(12)).drop(1),
];

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    command: &'a str,
    mounts: &'a [MountReport],
}

/// What became of the mounts, as a JSON document.
pub fn document(command: &str, mounts: &[MountReport]) -> String {
    super::history::document(&Document { schema: SCHEMA, command, mounts })
}

/// A line for each mount, and below them why some were left alone.
pub fn table(mounts: &[MountReport], columns: usize, now: Timestamp) -> String {
    if mounts.is_empty() {
        return String::new();
    }
    let mut rows: Vec<Vec<String>> = mounts.iter().map(|mount| row(mount, now)).collect();
    let mut shapes = COLUMNS.to_vec();
    if mounts.iter().all(|mount| mount.saves_seconds.is_none()) {
        shapes.remove(WORTH);
        rows.iter_mut().for_each(|row| drop(row.remove(WORTH)));
    }
    let mut text = table::render(&shapes, &rows, columns);
    for mount in mounts {
        if let Some(reason) = &mount.reason {
            text += &wrap::words(&table::cell(&format!("{}: {reason}", mount.id)), columns, 2);
            text.push('\n');
        }
    }
    text
}

fn row(mount: &MountReport, now: Timestamp) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let age =
        |at: Timestamp| format::age(u64::try_from(now.duration_since(at).as_secs()).unwrap_or(0));
    vec![
        table::cell(&mount.id),
        status(mount.status).to_owned(),
        or_dash(mount.bytes.map(format::bytes)),
        or_dash(mount.files.map(|files| files.to_string())),
        or_dash(mount.archive_bytes.map(format::bytes)),
        or_dash(mount.last_used_at.map(age)),
        or_dash(mount.saves_seconds.map(format::seconds)),
        users(mount),
    ]
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Present => "present",
        Status::Empty => "empty",
        Status::Absent => "absent",
        Status::Kept => "kept",
        Status::Saved => "saved",
        Status::Unchanged => "unchanged",
        Status::Restored => "restored",
        Status::Occupied => "occupied",
        Status::NotWorth => "not worth",
        Status::Unsaved => "unsaved",
        Status::Skipped => "skipped",
        Status::Failed => "failed",
    }
}

/// Services with the places of their instructions, each file once.
fn users(mount: &MountReport) -> String {
    let mut text = String::new();
    let none = String::new();
    let mut last = (&none, &none);
    for user in &mount.users {
        if (&user.service, &user.file) == last {
            text += &format!(", {}", user.line);
            continue;
        }
        last = (&user.service, &user.file);
        let comma = if text.is_empty() { "" } else { ", " };
        let place = table::cell(&format!("{} {}:{}", user.service, user.file, user.line));
        text += &format!("{comma}{place}");
    }
    if text.is_empty() { "-".to_owned() } else { text }
}

/// What `--max-size` left out.
pub fn left_out(files: u64, bytes: u64) -> String {
    let (files, bytes) = (counted(files, "file"), format::bytes(bytes));
    format!("left out to fit: {files} of {bytes}")
}

/// Why `--max-size` left out all of a mount.
pub fn too_large(max_bytes: u64) -> String {
    format!(
        "it has more than --max-size {}, and no part that is of use alone",
        format::bytes(max_bytes)
    )
}

/// What was added to earlier archives.
pub fn added(bytes: u64) -> String {
    format!("{} of archive are new", format::bytes(bytes))
}

/// Why a mount is saved, or left, by what it is worth.
pub fn worth(worth: Option<&Worth>) -> String {
    let Some(worth) = worth else {
        return "what it is worth is not known: no recorded build filled it".to_owned();
    };
    let saves = format::seconds(worth.saves_seconds);
    let Some(moving) = worth.moving_seconds.map(format::seconds) else {
        return format!("saves builds up to {saves}; nothing of its size was moved yet");
    };
    match worth.decision() {
        Decision::Save => format!("saves builds {saves}, moving it there and back takes {moving}"),
        Decision::Leave => {
            let most = if worth.is_bound { "at most " } else { "" };
            format!(
                "saves builds {most}{saves}, moving it there and back takes {moving}; --always saves it"
            )
        }
        Decision::Unknown => format!(
            "saves builds at most {saves}, moving it there and back takes {moving}; no recorded build had it filled"
        ),
    }
}

/// What an export wrote.
pub fn exported(mount: &CacheMount, archive: &Archive) -> String {
    let counts = archive.content.counts;
    let files = counted(counts.files, "file");
    let mut text = format!(
        "exported {}: {files} of {}, archive {}, {}",
        mount.id,
        format::bytes(counts.bytes),
        format::bytes(archive.file_bytes),
        archive.digest
    );
    if counts.others > 0 {
        text += &format!("; {}", not_kept(counts.others));
    }
    text
}

/// A number of mounts.
pub fn mounts(count: usize) -> String {
    counted(count, "cache mount")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::cache_mounts::manifest::{IndexFile, Lower, Manifest, SavedMount};
    use crate::cache_mounts::mount::{Frontend, Service, Use, mounts};
    use crate::cache_mounts::value::StepCost;
    use crate::view::schema_check::faults;

    const SCHEMA: &str = include_str!("../../docs/cache-mounts.schema.json");
    const MANIFEST: &str = include_str!("../../docs/cache.schema.json");

    fn mount() -> CacheMount {
        let text = "FROM x\nRUN --mount=type=cache,target=/root/.cache/pip make\n";
        let service = |name: &str| Service {
            name: name.to_owned(),
            file: "Dockerfile".to_owned(),
            text: text.to_owned(),
            ..Service::default()
        };
        let frontend = Frontend { architecture: "amd64", expands: true };
        mounts(&[service("api"), service("worker")], frontend).remove(0)
    }

    #[test]
    fn mounts_are_told_with_what_they_hold_and_who_uses_them() {
        let present = MountReport {
            bytes: Some(1_200_000_000),
            disk_bytes: Some(1_300_000_000),
            files: Some(12_000),
            last_used_at: Timestamp::from_second(1_000_000).ok(),
            archive_bytes: Some(400_000_000),
            ..MountReport::new(&mount(), Status::Saved)
        };
        let mut odd = MountReport::new(&mount(), Status::Skipped).because("a build is using it");
        odd.id = "go-\u{1b}[31mred\n".to_owned();
        odd.users = vec![Use { service: "a".into(), file: "b/Dockerfile".into(), line: 3 }];
        let now = Timestamp::from_second(1_007_200).unwrap();
        insta::assert_snapshot!(table(&[present.clone(), odd.clone()], 100, now), @r"
        ID                STATUS     SIZE  FILES   ARCHIVE  USED  USED BY
        /root/.cache/pip  saved    1.2 GB  12000  400.0 MB    2h  api Dockerfile:2, worker Dockerfile:2
        go-red            skipped       -      -         -     -  a b/Dockerfile:3
        go-red : a build is using it
        ");
        let worth = MountReport { saves_seconds: Some(41.0), ..present.clone() };
        assert!(table(&[worth, odd.clone()], 200, now).contains("  USED  SAVES  USED BY\n"));
        assert_eq!(table(&[], 100, now), "");
        assert_eq!(faults(SCHEMA, &document("save", &[present, odd])), None);
        assert_eq!(
            (mounts_text(1), left_out(1, 5)),
            ("1 cache mount".to_owned(), "left out to fit: 1 file of 5 B".to_owned())
        );
    }

    fn mounts_text(count: usize) -> String {
        super::mounts(count)
    }

    #[test]
    fn what_a_mount_is_worth_is_said_with_its_numbers() {
        let say = |saves_seconds, is_bound, moving_seconds| {
            worth(Some(&Worth { saves_seconds, is_bound, moving_seconds }))
        };
        insta::assert_snapshot!([
            worth(None),
            say(41.0, false, Some(3.0)),
            say(1.5, false, Some(3.0)),
            say(1.5, true, Some(3.0)),
            say(41.0, true, Some(3.0)),
            say(41.0, false, None),
        ].join("\n"), @r"
        what it is worth is not known: no recorded build filled it
        saves builds 41.0s, moving it there and back takes 3.0s
        saves builds 1.5s, moving it there and back takes 3.0s; --always saves it
        saves builds at most 1.5s, moving it there and back takes 3.0s; --always saves it
        saves builds at most 41.0s, moving it there and back takes 3.0s; no recorded build had it filled
        saves builds up to 41.0s; nothing of its size was moved yet
        ");
    }

    #[test]
    fn a_manifest_is_as_its_schema_says() {
        let saved = SavedMount {
            id: "/c".into(),
            target: "/c".into(),
            archive: "c-01234567.0123456789ab.tar.zst".into(),
            archive_digest: "sha256:0".into(),
            archive_bytes: 1,
            digest: "sha256:1".into(),
            below: vec![Lower {
                archive: "c-01234567.1123456789ab.tar.zst".into(),
                archive_digest: "sha256:2".into(),
                archive_bytes: 2,
                digest: "sha256:3".into(),
            }],
            index: Some(IndexFile {
                file: "c-01234567.2123456789ab.index".into(),
                digest: "sha256:4".into(),
                bytes: 8,
            }),
            bytes: 10,
            files: 1,
            summary: "s".into(),
            untrimmed_summary: Some("t".into()),
            max_bytes: Some(10),
            saved_at: Timestamp::UNIX_EPOCH,
            engine: "28.5.2".into(),
            architecture: "x86_64".into(),
            locks: [("uv.lock".to_owned(), "sha256:2".to_owned())].into(),
        };
        let cost =
            StepCost { cold_seconds: 9.0, warm_seconds: Some(1.5), mounts: vec!["//c".to_owned()] };
        let costs = [("0123456789abcdef".to_owned(), cost)].into();
        let manifest = Manifest {
            mounts: [("c".to_owned(), saved)].into(),
            costs: [("c".to_owned(), costs)].into(),
            bytes_per_second: Some(1e8),
            ..Manifest::default()
        };
        assert_eq!(faults(MANIFEST, &String::from_utf8(manifest.text()).unwrap()), None);
    }
}
