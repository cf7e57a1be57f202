//! What is written is read, GNU tar agrees, and nothing hostile gets through.
#![allow(clippy::unwrap_used)]

use std::io::{Cursor, Read as _};
use std::process::Command;

use super::*;
use crate::sight::{Entry, EntryKind};

fn entry(kind: EntryKind, path: &[u8], size: u64) -> Entry {
    Entry {
        kind,
        mode: 0o4751,
        uid: 1234,
        gid: 7,
        modified: (1_700_000_000, 123_456_789),
        accessed: 0,
        size,
        disk_bytes: 0,
        path: path.to_vec(),
        target: Vec::new(),
    }
}

fn link(kind: EntryKind, path: &[u8], target: &[u8]) -> Entry {
    Entry { target: target.to_vec(), ..entry(kind, path, 0) }
}

type Parts = Vec<(u64, u64)>;

/// Everything that is kept, odd things included.
fn all() -> Vec<(Entry, Parts)> {
    let plain = |entry| (entry, Vec::new());
    let file = |entry: Entry| {
        let size = entry.size;
        (entry, vec![(0, size)])
    };
    let long = [b"d".repeat(200), b"/".to_vec(), b"f".repeat(200)].concat();
    vec![
        plain(entry(EntryKind::Folder, b"", 0)),
        plain(entry(EntryKind::File, b"empty", 0)),
        file(entry(EntryKind::File, b"odd\n \xff\xfe'\"-name", 3)),
        plain(entry(EntryKind::Folder, &b"d".repeat(200), 0)),
        file(entry(EntryKind::File, &long, 512)),
        plain(link(EntryKind::HardLink, b"again", &long)),
        plain(link(EntryKind::Link, b"link", b"/somewhere/else")),
        plain(link(EntryKind::Link, b"bad", b"\xff\xfe")),
        file(Entry {
            modified: (-2, 500_000_000),
            uid: 4_000_000_000,
            ..entry(EntryKind::File, b"old", 5)
        }),
        file(Entry { modified: (-2, 0), ..entry(EntryKind::File, b"older", 5) }),
        file(Entry { modified: (0, 0), ..entry(EntryKind::File, b"epoch", 5) }),
        (entry(EntryKind::File, b"sub/hole", 1 << 40), vec![(4096, 4096), (1 << 30, 10)]),
        (entry(EntryKind::File, b"sub/end", 8192), vec![(4096, 4096)]),
        (entry(EntryKind::File, b"sub/nothing", 1 << 20), vec![]),
    ]
}

fn written(entries: &[(Entry, Parts)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (entry, parts) in entries {
        writer.entry(entry, parts).unwrap();
        for (_, length) in parts {
            writer.data(&vec![b'x'; *length as usize]).unwrap();
        }
    }
    writer.finish().unwrap()
}

fn read(archive: &[u8]) -> Result<Vec<(Entry, Parts)>, Fault> {
    let mut reader = Reader::new(Cursor::new(archive));
    let mut found = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let parts = reader.parts().to_vec();
        let mut data = Vec::new();
        let mut buffer = [0; 100];
        loop {
            match reader.data(&mut buffer)? {
                0 => break,
                read => data.extend_from_slice(&buffer[..read]),
            }
        }
        assert_eq!(data.len() as u64, parts.iter().map(|(_, length)| length).sum::<u64>());
        assert!(data.iter().all(|byte| *byte == b'x'));
        found.push((entry, parts));
    }
    Ok(found)
}

#[test]
fn what_is_written_is_read() {
    let archive = written(&all());
    assert_eq!(archive.len() % BLOCK, 0);
    let mut expected = all();
    expected[0].0.modified = (0, 0);
    for (entry, _) in &mut expected {
        if entry.kind != EntryKind::File {
            entry.size = 0;
        }
    }
    assert_eq!(read(&archive).unwrap(), expected);
    assert_eq!(archive, written(&all()), "the same bytes");
    // What is not kept leaves no trace.
    let mut more = all();
    more.insert(3, (entry(EntryKind::Other, b"socket", 0), Vec::new()));
    more.insert(3, (entry(EntryKind::LeftOut, b"unused", 9), Vec::new()));
    assert_eq!(archive, written(&more));
}

#[test]
fn gnu_tar_reads_it_and_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (folder.path().join("a.tar"), folder.path().join("out"));
    std::fs::create_dir(&out).unwrap();
    let mut entries = all();
    entries.retain(|(entry, _)| entry.size < 1 << 30);
    std::fs::write(&file, written(&entries)).unwrap();
    let tar = |args: &[&str]| {
        let output = Command::new("tar").args(args).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    tar(&["--no-same-owner", "-xf", "a.tar", "-C", "out"]);
    use std::os::unix::fs::MetadataExt as _;
    let hole = std::fs::metadata(out.join("sub/end")).unwrap();
    assert_eq!((hole.len(), hole.mtime(), hole.mtime_nsec()), (8192, 1_700_000_000, 123_456_789));
    assert_eq!(std::fs::metadata(out.join("again")).unwrap().nlink(), 2);
    let mut text = String::new();
    std::fs::File::open(out.join("epoch")).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "xxxxx");
    // Files of zeros, which `read` does not expect.
    std::fs::remove_dir_all(out.join("sub")).unwrap();
    for form in ["pax", "gnu", "ustar"] {
        if form == "ustar" {
            // Its names are shorter, and its owners and times are smaller.
            std::fs::remove_dir_all(out.join("d".repeat(200))).unwrap();
            std::fs::remove_file(out.join("again")).unwrap();
            std::fs::remove_file(out.join("old")).unwrap();
            std::fs::remove_file(out.join("older")).unwrap();
        }
        tar(&["--format", form, "-cf", "b.tar", "-C", "out", "."]);
        let found = read(&std::fs::read(folder.path().join("b.tar")).unwrap()).unwrap();
        assert_eq!(found[0].0.path, b"");
        assert!(found.iter().any(|(entry, _)| entry.path == b"odd\n \xff\xfe'\"-name"), "{form}");
    }
    std::fs::write(out.join("sparse"), "").unwrap();
    std::fs::File::options()
        .write(true)
        .open(out.join("sparse"))
        .unwrap()
        .set_len(1 << 30)
        .unwrap();
    tar(&["--format=pax", "--sparse", "-cf", "c.tar", "-C", "out", "sparse"]);
    let found = read(&std::fs::read(folder.path().join("c.tar")).unwrap()).unwrap();
    assert_eq!((found[0].0.size, found[0].1.len()), (1 << 30, 0));
    tar(&["--format=gnu", "--sparse", "-cf", "c.tar", "-C", "out", "sparse"]);
    let refused = read(&std::fs::read(folder.path().join("c.tar")).unwrap()).unwrap_err();
    assert!(refused.to_string().contains("--format=pax"), "{refused}");
}

/// An archive of one entry that another program might have written.
fn hostile(path: &[u8], kind: u8, target: &[u8]) -> Vec<u8> {
    let header = header::Header {
        name: path.to_vec(),
        mode: 0o644,
        kind,
        target: target.to_vec(),
        ..header::Header::default()
    };
    [&header.block()[..], &[0; 2 * BLOCK]].concat()
}

#[test]
fn what_could_reach_out_of_a_mount_is_refused() {
    for (path, kind, target, why) in [
        (&b"/etc/passwd"[..], b'0', &b""[..], "is an absolute path"),
        (b"../x", b'0', b"", "leads out of the mount"),
        (b"a/../../x", b'5', b"", "leads out of the mount"),
        (b"a/..", b'5', b"", "leads out of the mount"),
        (b"x", b'1', b"/etc/passwd", "is a link out of the mount"),
        (b"x", b'1', b"../../x", "is a link out of the mount"),
        (b"x", b'1', b"", "is a link out of the mount"),
        (b"x", b'2', b"", "is a link to nothing"),
        (b"x", b'3', b"", "is a device"),
        (b"x", b'4', b"", "is a device"),
        (b"x", b'6', b"", "is a pipe"),
        (b"x", b'V', b"", "is of a kind that nobody knows"),
        (b".doc2md-docker-restore/new", b'5', b"", "has the name of a restore"),
        (b"./.doc2md-docker-restore", b'0', b"", "has the name of a restore"),
        (b"", b'0', b"", "has no name"),
        (b".", b'2', b"x", "has no name"),
    ] {
        let refused = read(&hostile(path, kind, target)).unwrap_err().to_string();
        assert!(refused.contains(why), "{path:?}: {refused}");
    }
    // Data of a link: what a cache keeps of a program elsewhere. Nothing is ever unpacked through it.
    assert!(read(&hostile(b"python", b'2', b"/usr/bin/python3")).is_ok());
}

fn extended(records: &[u8], size: u64) -> Vec<u8> {
    let header = header::Header {
        name: b"PaxHeader".to_vec(),
        size,
        kind: b'x',
        ..header::Header::default()
    };
    let mut archive = header.block().to_vec();
    archive.extend_from_slice(records);
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    archive.extend(hostile(b"x", b'0', b""));
    archive
}

#[test]
fn headers_that_lie_are_refused() {
    assert!(matches!(read(&extended(b"", u64::MAX >> 31)), Err(Fault::Header(_))));
    assert!(matches!(read(&extended(b"", LONGEST_HEADER + 1)), Err(Fault::Header(_))));
    for records in [
        &b"9 path=x"[..],
        b"99 path=x\n",
        b"0 path=x\n",
        b" path=x\n",
        b"x path=x\n",
        b"10 pathxxx\n",
        b"12 mtime=x\n",
        b"13 size=-1\n",
        b"99999999999999999999999 path=x\n",
    ] {
        let refused = read(&extended(records, records.len() as u64));
        assert!(matches!(refused, Err(Fault::Damaged)), "{records:?}: {refused:?}");
    }
    let absolute = extended(b"12 path=/etc\n", 13);
    assert!(read(&absolute).is_err());
    // A map that promises more than there is, overlaps, or lies beyond the end.
    let sparse = |map: &str, real: u64, stored: u64| {
        let mut archive = written(&[(entry(EntryKind::File, b"s", 8192), vec![(0, 512)])]);
        let text = String::from_utf8_lossy(&archive[..4 * BLOCK]).into_owned();
        let at = text.find("realsize=8192").unwrap() + "realsize=".len();
        archive[at..at + 4].copy_from_slice(format!("{real:04}").as_bytes());
        let start = 3 * BLOCK;
        archive[start..start + BLOCK].fill(0);
        archive[start..start + map.len()].copy_from_slice(map.as_bytes());
        let _ = stored;
        read(&archive)
    };
    assert!(sparse("2\n0\n512\n8192\n0\n", 8192, 0).is_ok());
    for map in [
        "9\n0\n512\n",
        "1\n0\n513\n",
        "1\n8000\n512\n",
        "2\n0\n512\n0\n512\n",
        "x\n",
        "1\n-1\n512\n",
        "99999999\n",
    ] {
        assert!(sparse(map, 8192, 0).is_err(), "{map:?}");
    }
}

#[test]
fn an_archive_that_is_cut_ends_in_an_error() {
    let mut entries = all();
    entries.retain(|(entry, _)| entry.size < 1 << 21);
    let archive = written(&entries);
    for length in (0..archive.len() - 2 * BLOCK + 1).step_by(97) {
        assert!(read(&archive[..length]).is_err(), "{length}");
    }
    assert!(read(&vec![b'x'; 1024]).is_err());
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_an_error_or_entries(noise in proptest::collection::vec(0_u8.., 0..1500), at in 0_usize..4096, byte: u8) {
        let _ = read_any(&noise);
        let mut archive = written(&[all()[2].clone(), all()[4].clone(), all()[12].clone()]);
        let at = at % archive.len();
        archive[at] = byte;
        let _ = read_any(&archive);
    }
}

fn read_any(archive: &[u8]) -> Result<usize, Fault> {
    let mut reader = Reader::new(Cursor::new(archive));
    let mut count = 0;
    while let Some(entry) = reader.next_entry()? {
        assert!(!entry.path.starts_with(b"/") && !entry.path.contains(&0));
        count += 1;
    }
    Ok(count)
}
