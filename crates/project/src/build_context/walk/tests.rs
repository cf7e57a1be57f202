//! Walks over trees on disk.

#![allow(clippy::unwrap_used)]
use super::*;
use crate::build_context::filter::FilterRequest;
use crate::build_context::stat::go_mode;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

struct Entry {
    path: Vec<u8>,
    stat: Stat,
    link: Vec<u8>,
}

fn seen(root: &Path, request: &FilterRequest) -> Vec<Entry> {
    let root = Root::open(root).unwrap();
    let filter = Filter::new(&root, request).unwrap();
    let mut out = Vec::new();
    walk(&root, &filter, &mut |entry| {
        let (path, link) = (entry.path.to_vec(), entry.link.to_vec());
        out.push(Entry { path, stat: entry.stat.clone(), link });
        Ok(())
    })
    .unwrap();
    out
}

fn paths(root: &Path, include: &[&str], exclude: &[&str], follow: &[&str]) -> Vec<String> {
    let bytes = |list: &[&str]| list.iter().map(|p| p.as_bytes().to_vec()).collect();
    let request =
        FilterRequest { include: bytes(include), exclude: bytes(exclude), follow: bytes(follow) };
    seen(root, &request).into_iter().map(|e| String::from_utf8(e.path).unwrap()).collect()
}

fn tree(files: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if file.ends_with('/') {
            fs::create_dir_all(path).unwrap();
        } else {
            fs::write(path, file).unwrap();
        }
    }
    dir
}

#[test]
fn depth_first_and_sorted_by_bytes_within_a_directory() {
    // Sorted as whole strings, "a-b" and "a.txt" would come between "a" and "a/z".
    let dir = tree(&["a/z", "a.txt", "a-b/x", "B", "é", "empty/", "_"]);
    assert_eq!(
        paths(dir.path(), &[], &[], &[]),
        ["B", "_", "a", "a/z", "a-b", "a-b/x", "a.txt", "empty", "é"]
    );
}

#[test]
fn excludes_with_exceptions_send_parents_only_when_needed() {
    let dir = tree(&["docs/a/keep.md", "docs/a/x", "docs/b/y", "src/m.rs", "target/o"]);
    assert_eq!(
        paths(dir.path(), &[], &["docs", "!docs/a/keep.md", "target"], &[]),
        ["docs", "docs/a", "docs/a/keep.md", "src", "src/m.rs"]
    );
    assert_eq!(
        paths(dir.path(), &[], &["*", "!**/*.md"], &[]),
        ["docs", "docs/a", "docs/a/keep.md"]
    );
    assert_eq!(paths(dir.path(), &[], &["**"], &[]), Vec::<String>::new());
}

#[test]
fn includes_bring_their_parents() {
    let dir = tree(&["a/b/c", "a/b/d", "a/x", "e"]);
    assert_eq!(paths(dir.path(), &["a/b/c"], &[], &[]), ["a", "a/b", "a/b/c"]);
    assert_eq!(paths(dir.path(), &["a/*/d", "e"], &[], &[]), ["a", "a/b", "a/b/d", "e"]);
    assert_eq!(paths(dir.path(), &["missing"], &[], &[]), Vec::<String>::new());
    assert_eq!(paths(dir.path(), &["a"], &["a/b"], &[]), ["a", "a/x"]);
}

#[test]
fn wanted_paths_come_with_their_links() {
    let dir = tree(&["real/f", "real/g", "other"]);
    symlink("real", dir.path().join("link")).unwrap();
    symlink("/etc", dir.path().join("out")).unwrap();
    assert_eq!(paths(dir.path(), &[], &[], &["link/f"]), ["link", "real", "real/f"]);
    assert_eq!(paths(dir.path(), &[], &[], &["out/passwd"]), ["out"]);
    assert_eq!(paths(dir.path(), &[], &[], &["."]).len(), 6);
    assert_eq!(paths(dir.path(), &[], &["real/g"], &["real"]), ["real", "real/f"]);
}

#[test]
fn metadata_is_in_go_terms() {
    let dir = tree(&["plain", "setuid", "sticky/"]);
    let at = |name: &str| dir.path().join(name);
    fs::set_permissions(at("plain"), fs::Permissions::from_mode(0o604)).unwrap();
    fs::set_permissions(at("setuid"), fs::Permissions::from_mode(0o6711)).unwrap();
    fs::set_permissions(at("sticky"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::hard_link(at("plain"), at("plain2")).unwrap();
    symlink("../nowhere", at("symlink")).unwrap();
    let fifo = at("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, 0o600.into()).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(at("socket")).unwrap();
    let raw = OsStr::from_bytes(b"latin\xe9");
    fs::write(dir.path().join(raw), "").unwrap();
    let seen = seen(dir.path(), &FilterRequest::default());
    let get = |name: &[u8]| seen.iter().find(|e| e.path == name).unwrap();
    assert_eq!(get(b"plain").stat.mode, 0o604);
    assert_eq!(get(b"plain").stat.size, 5);
    assert!(get(b"plain").link.is_empty());
    assert_eq!(get(b"plain2").link, b"plain");
    assert_eq!(get(b"plain2").stat.size, 5);
    assert_eq!(get(b"setuid").stat.mode, go_mode::SETUID | go_mode::SETGID | 0o711);
    assert_eq!(get(b"sticky").stat.mode, go_mode::DIR | go_mode::STICKY | 0o777);
    assert_eq!(get(b"symlink").stat.mode & go_mode::TYPE, go_mode::SYMLINK);
    assert_eq!(get(b"symlink").link, b"../nowhere");
    assert_eq!(get(b"fifo").stat.mode, go_mode::NAMED_PIPE | 0o600);
    assert_eq!(get(b"socket").stat.mode & go_mode::TYPE, 0);
    let modified = fs::metadata(at("plain")).unwrap().modified().unwrap();
    let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    assert_eq!(get(b"plain").stat.mtime as u128, since);
    assert!(seen.iter().any(|e| e.path == b"latin\xe9"));
}

#[test]
fn the_first_link_sent_is_the_file() {
    let dir = tree(&["a", "z/y"]);
    fs::hard_link(dir.path().join("a"), dir.path().join("b")).unwrap();
    fs::hard_link(dir.path().join("a"), dir.path().join("c")).unwrap();
    let request = FilterRequest { exclude: vec![b"a".to_vec()], ..Default::default() };
    let links: Vec<_> =
        seen(dir.path(), &request).into_iter().map(|e| (e.path, e.link)).take(2).collect();
    assert_eq!(links, [(b"b".to_vec(), b"".to_vec()), (b"c".to_vec(), b"b".to_vec())]);
}

#[test]
fn extended_attributes_travel() {
    let dir = tree(&["f", "d/"]);
    for name in ["f", "d"] {
        let path = dir.path().join(name);
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(&path, "user.colour", name.as_bytes(), flags).unwrap();
    }
    let seen = seen(dir.path(), &FilterRequest::default());
    for (entry, value) in seen.iter().zip([b"d", b"f"]) {
        let want = (b"user.colour".to_vec(), value.to_vec());
        assert!(entry.stat.xattrs.contains(&want), "{:?}", entry.stat.xattrs);
    }
}

#[test]
fn deep_trees_need_few_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    let depth = MAX_OPEN + 60;
    let mut path = dir.path().to_path_buf();
    for _ in 0..depth {
        path.push("d");
        fs::create_dir(&path).unwrap();
    }
    // Something to come back for on the way up.
    let mut up = dir.path().to_path_buf();
    for _ in 0..depth {
        fs::write(up.join("z"), "").unwrap();
        up.push("d");
    }
    assert_eq!(paths(dir.path(), &[], &[], &[]).len(), 2 * depth);
}

#[test]
fn a_stopped_sink_ends_the_walk() {
    let dir = tree(&["a", "b"]);
    let root = Root::open(dir.path()).unwrap();
    let mut count = 0;
    let end = walk(&root, &Filter::default(), &mut |_| {
        count += 1;
        Err(Stop)
    });
    assert!(matches!(end, Err(WalkError::Stopped)));
    assert_eq!(count, 1);
}
