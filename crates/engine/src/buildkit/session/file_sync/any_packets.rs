//! Any packets, in any order and cut anywhere: a transfer answers what the protocol says, or ends.
//!
//! The engine's side is raw bytes here, so that frames can be truncated, split and damaged, and a
//! small model says what must come back.

#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use proptest::prelude::*;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;

use super::{FileSync, LocalDir};
use crate::buildkit::session::diff_copy::DiffCopy;
use crate::buildkit::session::packet::{FRAME_HEADER, Packet, WireStat, kind, put_frame};

/// Entries as they are listed, with their content where they have one; the index is the id.
fn entries() -> [(&'static str, Option<Vec<u8>>); 6] {
    [
        ("a", Some(b"first".to_vec())),
        ("d", None),
        ("d/big", Some((0..100_000_u32).map(|i| (i % 253) as u8).collect())),
        ("d/empty", Some(Vec::new())),
        ("link", None),
        ("z", Some(b"last".to_vec())),
    ]
}

fn framed(packet: &Packet) -> Vec<u8> {
    let mut out = Vec::new();
    put_frame(&mut out, |out| packet.encode(out).unwrap());
    out
}

fn packet() -> impl Strategy<Value = Packet> {
    let id = prop_oneof![8 => 0..6_u32, 1 => 6..8_u32, 1 => any::<u32>()];
    let data = prop::collection::vec(any::<u8>(), 0..6).prop_map(Bytes::from);
    let stat = prop::option::weighted(0.2, "[a-z/]{0,5}")
        .prop_map(|path| path.map(|path| WireStat { path: path.into(), ..WireStat::default() }));
    let kinds = prop_oneof![
        12 => Just(kind::REQ),
        2 => Just(kind::DATA),
        2 => Just(kind::STAT),
        1 => Just(kind::FIN),
        1 => Just(kind::ERR),
        1 => any::<i32>(),
    ];
    (kinds, id, data, stat).prop_map(|(kind, id, data, stat)| Packet { kind, stat, id, data })
}

/// How a transfer must end.
#[derive(Debug, PartialEq)]
enum End {
    /// It goes on until the engine closes the call.
    Open,
    /// The engine said FIN, and hears FIN.
    Finished,
    /// The engine said ERR or nothing more.
    Left,
    /// The engine asked for what it cannot ask for.
    Refused(String),
}

/// What the packets ask for, and how they end the transfer.
fn model(packets: &[Packet]) -> (Vec<u32>, End) {
    let mut asked = Vec::new();
    for packet in packets {
        match packet.kind {
            kind::REQ => {
                let entry = entries().get(packet.id as usize).cloned();
                let known = entry.is_some_and(|(_, content)| content.is_some());
                if !known || asked.contains(&packet.id) {
                    let text = format!("the engine asked for the unknown file {}", packet.id);
                    return (asked, End::Refused(text));
                }
                asked.push(packet.id);
            }
            kind::FIN => return (asked, End::Finished),
            kind::ERR => return (asked, End::Left),
            _ => {}
        }
    }
    (asked, End::Open)
}

/// What came back.
#[derive(Debug, Default)]
struct Answer {
    paths: Vec<String>,
    files: BTreeMap<u32, Vec<u8>>,
    ended: Vec<u32>,
    errors: Vec<String>,
    finished: bool,
    status: Option<i32>,
}

impl Answer {
    fn take(&mut self, packet: Packet) {
        // Readers that were at work when the end came may still deliver: the engine listens no more.
        let over = self.finished || !self.errors.is_empty();
        assert!(!over || packet.kind == kind::DATA, "more after the end: {packet:?}");
        match packet.kind {
            kind::STAT => {
                self.paths.extend(packet.stat.map(|stat| String::from_utf8(stat.path).unwrap()))
            }
            kind::DATA => {
                assert!(!self.ended.contains(&packet.id), "more of a file that has ended");
                self.files.entry(packet.id).or_default().extend_from_slice(&packet.data);
                if packet.data.is_empty() {
                    self.ended.push(packet.id);
                }
            }
            kind::FIN => self.finished = true,
            kind::ERR => self.errors.push(String::from_utf8(packet.data.to_vec()).unwrap()),
            other => panic!("a packet of kind {other}"),
        }
    }
}

/// Sends `chunks` once the list is complete, and closes the call when `files` files have come.
async fn transfer(chunks: Vec<Vec<u8>>, files: usize) -> Answer {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("d")).unwrap();
    for (path, content) in entries() {
        if let Some(content) = content {
            fs::write(dir.path().join(path), content).unwrap();
        }
    }
    std::os::unix::fs::symlink("a", dir.path().join("link")).unwrap();
    let service = FileSync::new(vec![LocalDir { name: "x".into(), path: dir.path().into() }]);
    let (to, stream) = mpsc::channel::<Vec<u8>>(1);
    let frames = ReceiverStream::new(stream)
        .map(|chunk| Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from(chunk))));
    let request = http::Request::builder()
        .header("dir-name", "x")
        .body(Body::new(StreamBody::new(frames)))
        .unwrap();
    let mut body = service.diff_copy(request).unwrap().into_body();
    let mut answer = Answer::default();
    let mut received: Vec<u8> = Vec::new();
    let mut sender = Some(to);
    let mut chunks = Some(chunks);
    while let Some(frame) = body.frame().await {
        match frame.unwrap().into_data() {
            Ok(data) => received.extend_from_slice(&data),
            Err(trailers) => {
                let trailers = trailers.into_trailers().unwrap();
                answer.status = trailers["grpc-status"].to_str().unwrap().parse().ok();
            }
        }
        while let Some(header) = received.get(..FRAME_HEADER) {
            let length = u32::from_be_bytes(header[1..].try_into().unwrap()) as usize;
            let Some(message) = received.get(FRAME_HEADER..FRAME_HEADER + length) else { break };
            answer.take(Packet::decode(message).unwrap());
            received.drain(..FRAME_HEADER + length);
        }
        if answer.paths.len() == entries().len()
            && let Some(chunks) = chunks.take()
        {
            let to = sender.clone();
            tokio::spawn(async move {
                for chunk in chunks {
                    if to.as_ref().unwrap().send(chunk).await.is_err() {
                        return;
                    }
                }
                // The clone goes, the original keeps the call open.
            });
        }
        if answer.ended.len() == files && chunks.is_none() {
            sender = None;
        }
    }
    assert!(received.is_empty(), "half a frame at the end");
    answer
}

fn run(chunks: Vec<Vec<u8>>, files: usize) -> Answer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(60), transfer(chunks, files)).await
    });
    answer.expect("the transfer hangs")
}

/// `bytes` in pieces that end at `cuts`.
fn pieces(bytes: &[u8], cuts: &[prop::sample::Index]) -> Vec<Vec<u8>> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut start = 0;
    let mut pieces: Vec<Vec<u8>> = Vec::new();
    for end in ends {
        pieces.push(bytes[start..end].to_vec());
        start = end;
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

fn check(answer: &Answer, asked: &[u32], end: &End) -> Result<(), TestCaseError> {
    let entries = entries();
    prop_assert_eq!(&answer.paths, &entries.clone().map(|(path, _)| path.to_owned()));
    for (id, got) in &answer.files {
        prop_assert!(asked.contains(id), "file {} was not asked for", id);
        let content = entries[*id as usize].1.as_deref().unwrap();
        prop_assert!(content.starts_with(got), "file {} has other content", id);
        prop_assert!(!answer.ended.contains(id) || content == got, "file {} is cut off", id);
    }
    match end {
        End::Refused(text) => {
            prop_assert_eq!(&answer.errors, std::slice::from_ref(text));
            prop_assert!(!answer.finished && answer.status == Some(10), "{:?}", answer.status);
        }
        End::Finished | End::Left | End::Open => {
            prop_assert!(answer.errors.is_empty(), "{:?}", answer.errors);
            prop_assert_eq!(answer.finished, *end == End::Finished);
            prop_assert_eq!(answer.status, Some(0));
        }
    }
    Ok(())
}

/// A quarter of the usual cases, which PROPTEST_CASES sets: each makes files and threads.
fn cases() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases / 4, ..usual }
}

proptest! {
    #![proptest_config(cases())]

    /// Whole packets in any order, however the bytes arrive.
    #[test]
    fn packets_are_answered_as_the_protocol_says(
        packets in prop::collection::vec(packet(), 0..10),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let (asked, end) = model(&packets);
        let bytes: Vec<u8> = packets.iter().flat_map(framed).collect();
        let answer = run(pieces(&bytes, &cuts), asked.len());
        check(&answer, &asked, &end)?;
        if end == End::Open {
            prop_assert_eq!(answer.ended.len(), asked.len());
        }
    }

    /// A call that ends within a frame is a call that ends: what came before counts.
    #[test]
    fn a_truncated_frame_ends_the_transfer(
        packets in prop::collection::vec(packet(), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let last = framed(packets.last().unwrap());
        let whole = &packets[..packets.len() - 1];
        let (asked, end) = model(whole);
        let mut bytes: Vec<u8> = whole.iter().flat_map(framed).collect();
        bytes.extend_from_slice(&last[..cut.index(last.len())]);
        let answer = run(vec![bytes], asked.len());
        check(&answer, &asked, &end)?;
    }

    /// Damaged bytes end it somehow, with a status.
    #[test]
    fn any_bytes_end_the_transfer(
        packets in prop::collection::vec(packet(), 0..6),
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        tail in prop::collection::vec(any::<u8>(), 0..20),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let mut bytes: Vec<u8> = packets.iter().flat_map(framed).collect();
        bytes.extend(tail);
        let length = bytes.len();
        for (at, byte) in damages.iter().filter(|_| length > 0) {
            bytes[at.index(length)] = *byte;
        }
        let answer = run(pieces(&bytes, &cuts), 0);
        prop_assert!(answer.status.is_some());
    }
}
