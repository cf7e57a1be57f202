//! Exports with the generated client for an engine.

#![allow(clippy::unwrap_used)]
use super::*;
use crate::buildkit::session::diff_copy::Server;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use bollard_buildkit_proto::moby::filesync::packet::file_send_client::FileSendClient as TreeClient;
use bollard_buildkit_proto::moby::filesync::v1::BytesMessage;
use bollard_buildkit_proto::moby::filesync::v1::file_send_client::FileSendClient as BytesClient;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use tokio_stream::wrappers::ReceiverStream;

const REQ: i32 = 1;
const DATA: i32 = 2;
const FIN: i32 = 3;
const ERR: i32 = 4;
const DIR: u32 = 1 << 31;
const SYMLINK: u32 = 1 << 27;

fn service(id: &str, destination: Destination) -> FileSend {
    FileSend::new(BTreeMap::from([(id.to_owned(), destination)]))
}

async fn send_bytes(service: &FileSend, id: Option<&str>, chunks: &[&str]) -> Result<(), Status> {
    let messages: Vec<_> =
        chunks.iter().map(|c| BytesMessage { data: c.as_bytes().to_vec() }).collect();
    let mut request = tonic::Request::new(tokio_stream::iter(messages));
    if let Some(id) = id {
        request.metadata_mut().insert("buildkit-attachable-exporter-id", id.parse().unwrap());
    }
    let mut answer =
        BytesClient::new(Server(service.clone())).diff_copy(request).await?.into_inner();
    while answer.message().await?.is_some() {}
    Ok(())
}

#[tokio::test]
async fn a_file_takes_its_name_when_it_is_complete() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/out.tar");
    let service = service("1", Destination::File(path.clone()));
    let error = send_bytes(&service, Some("0"), &["x"]).await.unwrap_err();
    assert!(error.message().contains("exporter 0"), "{}", error.message());
    send_bytes(&service, Some("1"), &["of a build that fails"]).await.unwrap();
    assert!(!path.exists());
    send_bytes(&service, Some("1"), &["ab", "", "c"]).await.unwrap();
    service.report().name_files().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"abc");
    assert_eq!(fs::read_dir(dir.path().join("new")).unwrap().count(), 1);
    assert_eq!(service.report().finished()[1], ExportResult { id: "1".into(), bytes: 3 });
}

#[tokio::test]
async fn a_file_that_is_cut_off_leaves_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.tar");
    fs::write(&path, "old").unwrap();
    let service = service("0", Destination::File(path.clone()));
    let (to, messages) = mpsc::channel(1);
    let mut client = BytesClient::new(Server(service.clone()));
    let request = tonic::Request::new(ReceiverStream::new(messages));
    let mut answer = client.diff_copy(request).await.unwrap().into_inner();
    to.send(BytesMessage { data: b"ne".to_vec() }).await.unwrap();
    // The engine's call is cancelled: both directions go at once.
    let cancelled = tokio::spawn(async move { answer.message().await });
    tokio::task::yield_now().await;
    cancelled.abort();
    let _ = cancelled.await;
    tokio::time::timeout(std::time::Duration::from_secs(10), to.closed()).await.unwrap();
    let one_file = || fs::read_dir(dir.path()).unwrap().count() == 1;
    tokio::time::timeout(std::time::Duration::from_secs(10), async {
        while !one_file() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old");
}

#[tokio::test]
async fn a_stream_gets_the_bytes_of_an_unnumbered_exporter() {
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);
    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let shared = Shared::default();
    let service = service("3", Destination::Stream(Box::new(shared.clone())));
    send_bytes(&service, None, &["a", "b"]).await.unwrap();
    assert_eq!(*shared.0.lock().unwrap(), b"ab");
    assert!(send_bytes(&service, Some("3"), &["again"]).await.is_err());
}

fn entry(path: &str, mode: u32, link: &str) -> Stat {
    let mod_time = 1_000_000_000_000_000_123;
    Stat { path: path.into(), mode, linkname: link.into(), mod_time, ..Stat::default() }
}

/// Sends a tree as the engine does: `content` for every file asked for.
async fn send_tree(dest: &Path, entries: Vec<Stat>, content: &[u8]) -> Result<FileSend, String> {
    let service = service("0", Destination::Directory(dest.to_owned()));
    let last = entries.last().unwrap().path.split('/').next().unwrap().to_owned();
    let (to, packets) = mpsc::channel(1024);
    let mut client = TreeClient::new(Server(service.clone()));
    let request = tonic::Request::new(ReceiverStream::new(packets));
    let mut from = client.diff_copy(request).await.unwrap().into_inner();
    // A service that refuses the tree hangs up while we still send; its reason follows.
    for stat in entries {
        let _ = to.send(Packet { stat: Some(stat), ..Packet::default() }).await;
    }
    let _ = to.send(Packet::default()).await;
    loop {
        let Some(packet) = from.message().await.map_err(|e| e.message().to_owned())? else {
            return Ok(service);
        };
        let data =
            |data: &[u8]| Packet { r#type: DATA, id: packet.id, data: data.to_vec(), stat: None };
        match packet.r#type {
            REQ => {
                let _ = to.send(data(content)).await;
                let _ = to.send(data(&[])).await;
            }
            FIN => {
                // All is in place before the engine may take the build for finished.
                assert!(!names(dest).iter().any(|name| name.ends_with(".partial")));
                assert!(names(dest).contains(&last));
                to.send(Packet { r#type: FIN, ..Packet::default() }).await.unwrap();
            }
            ERR => return Err(String::from_utf8(packet.data).unwrap()),
            other => panic!("unexpected packet {other}"),
        }
    }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_tree_is_merged_into_the_destination() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("out");
    fs::create_dir_all(dest.join("d")).unwrap();
    fs::write(dest.join("d/kept"), "old").unwrap();
    fs::write(dest.join("f"), "old").unwrap();
    fs::create_dir_all(dest.join("was-dir/x")).unwrap();
    let entries = vec![
        entry("d", DIR | 0o555, ""),
        entry("d/new", 0o640, ""),
        entry("f", 1 << 23 | 0o755, ""),
        entry("hard", 1 << 23 | 0o755, "f"),
        entry("link", SYMLINK | 0o777, "/etc"),
        entry("was-dir", 0o600, ""),
    ];
    let service = send_tree(&dest, entries, b"new").await.unwrap();
    assert_eq!(names(&dest), ["d", "f", "hard", "link", "was-dir"]);
    assert_eq!(names(&dest.join("d")), ["kept", "new"]);
    assert_eq!(fs::read(dest.join("f")).unwrap(), b"new");
    let metadata = |name: &str| fs::symlink_metadata(dest.join(name)).unwrap();
    assert_eq!(metadata("f").permissions().mode() & 0o7777, 0o4755);
    assert_eq!(metadata("f").ino(), metadata("hard").ino());
    assert_eq!(metadata("d").permissions().mode() & 0o777, 0o555);
    for name in ["d", "d/new", "link", "was-dir"] {
        assert_eq!((metadata(name).mtime(), metadata(name).mtime_nsec()), (1_000_000_000, 123));
    }
    assert_eq!(fs::read_link(dest.join("link")).unwrap(), Path::new("/etc"));
    assert_eq!(service.report().finished()[0].bytes, 9);
}

#[tokio::test]
async fn more_files_than_may_be_asked_for_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let entries = (0..500).map(|i| entry(&format!("f{i:03}"), 0o644, "")).collect();
    send_tree(dir.path(), entries, b"x").await.unwrap();
    assert_eq!(names(dir.path()).len(), 500);
}

#[tokio::test]
async fn nothing_is_written_outside() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap();
    for entries in [
        vec![entry("../x", 0o644, "")],
        vec![entry("/x", 0o644, "")],
        vec![entry("a/../../x", 0o644, "")],
        vec![entry("", 0o644, "")],
        vec![entry("l", SYMLINK | 0o777, target), entry("l/x", 0o644, "")],
        vec![entry("x", 0o644, "../../etc/passwd")],
        vec![entry("l", SYMLINK | 0o777, target), entry("x", 0o644, "l/secret")],
        vec![entry("f", 0o644, ""), entry("f", 0o644, "")],
    ] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "s").unwrap();
        let error = send_tree(dir.path(), entries, b"x").await.err().unwrap();
        assert!(error.contains("cannot write") || error.contains("invalid path"), "{error}");
        assert_eq!(names(dir.path()), Vec::<String>::new());
        assert_eq!(names(outside.path()), ["secret"]);
    }
}

#[tokio::test]
async fn a_link_at_the_destination_is_replaced_not_followed() {
    let outside = tempfile::tempdir().unwrap();
    let dir = tempfile::tempdir().unwrap();
    symlink(outside.path(), dir.path().join("d")).unwrap();
    symlink(outside.path().join("f"), dir.path().join("f")).unwrap();
    let entries = vec![entry("d", DIR | 0o755, ""), entry("d/x", 0o644, ""), entry("f", 0o644, "")];
    send_tree(dir.path(), entries, b"x").await.unwrap();
    assert_eq!(names(outside.path()), Vec::<String>::new());
    assert!(fs::symlink_metadata(dir.path().join("d")).unwrap().is_dir());
    assert_eq!(fs::read(dir.path().join("f")).unwrap(), b"x");
}

#[tokio::test]
async fn a_tree_that_is_cut_off_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let service = service("0", Destination::Directory(dir.path().to_owned()));
    let packets = vec![
        Packet { stat: Some(entry("f", 0o644, "")), ..Packet::default() },
        Packet { r#type: DATA, id: 0, data: b"half".to_vec(), stat: None },
    ];
    let request = tonic::Request::new(tokio_stream::iter(packets));
    let mut answer =
        TreeClient::new(Server(service.clone())).diff_copy(request).await.unwrap().into_inner();
    while let Ok(Some(_)) = answer.message().await {}
    assert_eq!(names(dir.path()), Vec::<String>::new());
    assert!(service.report().failures()[0].contains("was cut off"));
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(64))]
    #[test]
    fn any_sequence_of_packets_ends(
        packets in proptest::collection::vec(
            (0..6_i32, 0..4_u32, "[a./]{0,4}", proptest::sample::select(vec![0, DIR, SYMLINK, 1 << 25, 1 << 19])), 0..10)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let service = service("0", Destination::Directory(dir.path().join("out")));
            let packets: Vec<_> = packets.into_iter().map(|(kind, id, text, mode)| Packet {
                r#type: kind,
                stat: (kind == 0 && id > 0).then(|| entry(&text, mode | 0o700, "")),
                id,
                data: text.into_bytes(),
            }).collect();
            let request = tonic::Request::new(tokio_stream::iter(packets));
            let mut answer = TreeClient::new(Server(service)).diff_copy(request).await.unwrap().into_inner();
            let drain = async { while let Ok(Some(_)) = answer.message().await {} };
            tokio::time::timeout(std::time::Duration::from_secs(10), drain).await.unwrap();
        });
    }
}
