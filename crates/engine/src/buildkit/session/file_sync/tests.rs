//! Transfers with the generated client for an engine.

#![allow(clippy::unwrap_used)]
use super::*;
use crate::buildkit::session::diff_copy::Server;
use bollard_buildkit_proto::fsutil::types::Packet;
use bollard_buildkit_proto::moby::filesync::packet::file_sync_client::FileSyncClient;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};

const STAT: i32 = 0;
const REQ: i32 = 1;
const DATA: i32 = 2;
const FIN: i32 = 3;
const ERR: i32 = 4;

fn packet(kind: i32, id: u32) -> Packet {
    Packet { r#type: kind, id, ..Packet::default() }
}

fn service(dir: &Path) -> FileSync {
    FileSync::new(vec![LocalDir { name: "context".into(), path: dir.into() }])
}

struct Call {
    to: mpsc::Sender<Packet>,
    from: Streaming<Packet>,
}

/// Calls as the engine does, with the generated client for a peer.
async fn call(
    service: &FileSync,
    metadata: &[(&'static str, &str)],
) -> Result<Call, tonic::Status> {
    let (to, packets) = mpsc::channel(64);
    let mut request = tonic::Request::new(ReceiverStream::new(packets));
    for (key, value) in metadata {
        request.metadata_mut().append(*key, value.parse().unwrap());
    }
    let from = FileSyncClient::new(Server(service.clone())).diff_copy(request).await?.into_inner();
    Ok(Call { to, from })
}

impl Call {
    async fn list(&mut self) -> Vec<String> {
        let mut paths = Vec::new();
        loop {
            let packet = self.from.message().await.unwrap().unwrap();
            assert_eq!(packet.r#type, STAT, "{:?}", String::from_utf8_lossy(&packet.data));
            match packet.stat {
                Some(stat) => paths.push(stat.path),
                None => return paths,
            }
        }
    }

    /// Asks for `ids` and answers their contents.
    async fn fetch(&mut self, ids: &[u32]) -> Result<BTreeMap<u32, Vec<u8>>, String> {
        for id in ids {
            self.to.send(packet(REQ, *id)).await.unwrap();
        }
        let mut files: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        let mut ended = 0;
        while ended < ids.len() {
            let packet = self.from.message().await.unwrap().unwrap();
            match packet.r#type {
                DATA if packet.data.is_empty() => {
                    files.entry(packet.id).or_default();
                    ended += 1;
                }
                DATA => {
                    assert!(packet.data.len() <= 32 << 10);
                    files.entry(packet.id).or_default().extend(packet.data);
                }
                ERR => return Err(String::from_utf8(packet.data).unwrap()),
                other => panic!("unexpected packet {other}"),
            }
        }
        Ok(files)
    }

    async fn finish(mut self) {
        self.to.send(packet(FIN, 0)).await.unwrap();
        assert_eq!(self.from.message().await.unwrap().unwrap().r#type, FIN);
        assert_eq!(self.from.message().await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_transfer_from_list_to_fin() {
    let dir = tempfile::tempdir().unwrap();
    let large: Vec<u8> = (0..300_000_u32).map(|i| (i % 251) as u8).collect();
    fs::create_dir(dir.path().join("d")).unwrap();
    fs::write(dir.path().join("d/large"), &large).unwrap();
    fs::write(dir.path().join("empty"), "").unwrap();
    fs::write(dir.path().join("small"), "small").unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("sock")).unwrap();
    let service = service(dir.path());
    let mut call = call(&service, &[("dir-name", "context")]).await.unwrap();
    assert_eq!(call.list().await, ["d", "d/large", "empty", "small", "sock"]);
    let files = call.fetch(&[4, 3, 2, 1]).await.unwrap();
    assert_eq!(files[&1], large);
    assert_eq!((files[&2].as_slice(), files[&3].as_slice()), (&b""[..], &b"small"[..]));
    assert_eq!(files[&4], b"");
    call.finish().await;
    let report = service.report();
    let transfer = &report.transfers()[0];
    assert_eq!((transfer.entries, transfer.files, transfer.file_bytes), (5, 4, 300_005));
    assert!(transfer.complete && transfer.wire_bytes > 300_005);
    assert_eq!(transfer.wire_bytes, report.wire_bytes());
    assert_eq!(report.failures(), []);
}

#[tokio::test]
async fn patterns_come_in_the_metadata() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a é", "b", "c+d", "e"] {
        fs::write(dir.path().join(name), "").unwrap();
    }
    let service = service(dir.path());
    let metadata = [
        ("dir-name", "context"),
        ("exclude-patterns", "e"),
        ("followpaths", "a+%C3%A9"),
        ("followpaths", "c%2Bd"),
        ("followpaths", "e"),
        ("followpaths-encoded", "1"),
    ];
    let mut call = call(&service, &metadata).await.unwrap();
    assert_eq!(call.list().await, ["a é", "c+d"]);
    call.finish().await;
}

#[tokio::test]
async fn only_declared_directories_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(dir.path());
    let error = call(&service, &[("dir-name", "../etc")]).await.err().unwrap();
    assert_eq!(error.code(), Code::NotFound);
    assert!(error.message().contains("\"../etc\""), "{}", error.message());
    assert!(call(&service, &[]).await.is_err());
    let missing =
        FileSync::new(vec![LocalDir { name: "x".into(), path: "/nowhere/at/all".into() }]);
    let mut call = call(&missing, &[("dir-name", "x")]).await.unwrap();
    let packet = call.from.message().await.unwrap().unwrap();
    let text = String::from_utf8(packet.data).unwrap();
    assert_eq!(packet.r#type, ERR);
    assert!(text.contains("/nowhere/at/all"), "{text}");
    assert!(call.from.message().await.is_err());
}

#[tokio::test]
async fn bad_patterns_fail_the_transfer() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(dir.path());
    let metadata = [("dir-name", "context"), ("exclude-patterns", "[")];
    let mut call = call(&service, &metadata).await.unwrap();
    let packet = call.from.message().await.unwrap().unwrap();
    let text = String::from_utf8(packet.data).unwrap();
    assert_eq!(text, "invalid exclude patterns: syntax error in pattern \"[\"");
}

/// What a transfer says when `spoil` runs between the list and the request.
async fn spoiled(spoil: impl FnOnce(&Path)) -> String {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("sub")).unwrap();
    fs::write(dir.path().join("sub/f"), vec![b'x'; 100_000]).unwrap();
    let service = service(dir.path());
    let mut call = call(&service, &[("dir-name", "context")]).await.unwrap();
    call.list().await;
    spoil(dir.path());
    let text = call.fetch(&[1]).await.unwrap_err();
    assert!(call.from.message().await.is_err());
    let failures = service.report().failures();
    assert_eq!(failures[0].reason, text);
    assert_eq!(failures[0].path.as_deref(), Some("sub/f"));
    text
}

#[tokio::test]
async fn a_file_that_is_not_what_was_listed_fails_by_name() {
    let vanished = "\"sub/f\" vanished while it was being sent";
    let changed = "\"sub/f\" changed while it was being sent";
    let set = |dir: &Path, bytes: usize| fs::write(dir.join("sub/f"), vec![b'y'; bytes]).unwrap();
    assert_eq!(spoiled(|dir| fs::remove_file(dir.join("sub/f")).unwrap()).await, vanished);
    assert_eq!(spoiled(|dir| set(dir, 99_999)).await, changed);
    assert_eq!(spoiled(|dir| set(dir, 100_001)).await, changed);
    let touch = |dir: &Path| {
        let file = fs::File::options().write(true).open(dir.join("sub/f")).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    };
    assert_eq!(spoiled(touch).await, changed);
    let fifo = |dir: &Path| {
        fs::remove_file(dir.join("sub/f")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, dir.join("sub/f"), 0o600.into()).unwrap();
    };
    assert_eq!(spoiled(fifo).await, changed);
    // The directory on the way becomes a link to an equal file outside.
    let outside = tempfile::tempdir().unwrap();
    let escape = |dir: &Path| {
        fs::rename(dir.join("sub"), outside.path().join("sub")).unwrap();
        std::os::unix::fs::symlink(outside.path().join("sub"), dir.join("sub")).unwrap();
    };
    assert_eq!(spoiled(escape).await, changed);
}

#[tokio::test]
async fn a_file_can_be_asked_for_once() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), "1").unwrap();
    for ids in [&[0_u32, 0][..], &[1], &[u32::MAX]] {
        let service = service(dir.path());
        let mut call = call(&service, &[("dir-name", "context")]).await.unwrap();
        call.list().await;
        let text = call.fetch(ids).await.unwrap_err();
        assert_eq!(text, format!("the engine asked for the unknown file {}", ids.last().unwrap()));
    }
}

#[tokio::test]
async fn many_files_and_more_than_the_channel_holds() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..3000 {
        fs::write(dir.path().join(format!("f{i:04}")), format!("{i}").repeat(500)).unwrap();
    }
    let service = service(dir.path());
    let mut call = call(&service, &[("dir-name", "context")]).await.unwrap();
    let paths = call.list().await;
    assert_eq!(paths.len(), 3000);
    let to = call.to.clone();
    let asking = tokio::spawn(async move {
        for id in 0..3000 {
            to.send(packet(REQ, id)).await.unwrap();
        }
    });
    let mut sizes = vec![0; 3000];
    let mut ended = 0;
    while ended < 3000 {
        let packet = call.from.message().await.unwrap().unwrap();
        assert_eq!(packet.r#type, DATA);
        sizes[packet.id as usize] += packet.data.len();
        ended += usize::from(packet.data.is_empty());
    }
    asking.await.unwrap();
    assert!(sizes.iter().enumerate().all(|(i, size)| *size == i.to_string().len() * 500));
    call.finish().await;
}

#[tokio::test]
async fn an_engine_that_hangs_up_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..2000 {
        fs::write(dir.path().join(format!("{i:0200}")), "x").unwrap();
    }
    let service = service(dir.path());
    let Call { to, mut from } = call(&service, &[("dir-name", "context")]).await.unwrap();
    from.message().await.unwrap().unwrap();
    drop(from);
    tokio::time::timeout(Duration::from_secs(10), to.closed()).await.unwrap();
    assert!(!service.report().transfers()[0].complete);
}

#[tokio::test]
async fn a_name_that_is_not_utf8_is_remembered() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(std::ffi::OsStr::from_bytes(b"latin\xe9")), "").unwrap();
    let service = service(dir.path());
    let mut call = call(&service, &[("dir-name", "context")]).await.unwrap();
    // The generated types stumble over it as the engine does.
    assert!(call.from.message().await.is_err());
    let report = service.report();
    assert_eq!(report.not_utf8(&["context".into()]).unwrap(), "latin\u{fffd}");
    assert_eq!(report.not_utf8(&["other".into()]), None);
}

proptest! {
    #[test]
    fn unescaping_never_panics(value in proptest::collection::vec(any::<u8>(), 0..20)) {
        unescape(&value);
    }
}
