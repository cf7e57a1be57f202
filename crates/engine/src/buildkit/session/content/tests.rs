//! Content stores with a plain gRPC client for an engine.

#![allow(clippy::unwrap_used)]
use std::path::Path;
use std::time::Duration;

use http::uri::PathAndQuery;
use tonic::codec::Streaming;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use super::messages::{
    InfoRequest, InfoResponse, ReadContentRequest, ReadContentResponse, WriteAction,
    WriteContentRequest, WriteContentResponse,
};
use super::*;

const ABC: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn service(layout: &Path, access: Access) -> ContentService {
    let mut stores = ContentStores::default();
    stores.insert("local:x", Directory { path: layout.to_owned(), access });
    stores.into_service()
}

fn put(layout: &Path, digest: &str, content: &[u8]) {
    let path = Digest::parse(digest).unwrap().path_in(layout);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn request<T>(message: T, store: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("buildkit-attachable-store-id", store.parse().unwrap());
    request
}

fn path(method: &str) -> PathAndQuery {
    format!("/containerd.services.content.v1.Content/{method}").parse().unwrap()
}

async fn info(service: &ContentService, store: &str, digest: &str) -> Result<i64, Status> {
    let codec = ProstCodec::<InfoRequest, InfoResponse>::default();
    let message = request(InfoRequest { digest: digest.to_owned() }, store);
    let mut client = tonic::client::Grpc::new(service.clone());
    let answer = client.unary(message, path("Info"), codec).await?.into_inner();
    Ok(answer.info.unwrap().size)
}

async fn read(
    service: &ContentService,
    digest: &str,
    offset: i64,
    size: i64,
) -> Result<Vec<u8>, Status> {
    let codec = ProstCodec::<ReadContentRequest, ReadContentResponse>::default();
    let message = ReadContentRequest { digest: digest.to_owned(), offset, size };
    let mut client = tonic::client::Grpc::new(service.clone());
    let answer = client.server_streaming(request(message, "local:x"), path("Read"), codec).await?;
    let mut chunks: Streaming<ReadContentResponse> = answer.into_inner();
    let mut content = Vec::new();
    while let Some(chunk) = chunks.message().await? {
        assert_eq!(chunk.offset, offset + i64::try_from(content.len()).unwrap());
        content.extend(chunk.data);
    }
    Ok(content)
}

async fn write(
    service: &ContentService,
    messages: Vec<WriteContentRequest>,
) -> Result<Vec<WriteContentResponse>, Status> {
    let codec = ProstCodec::<WriteContentRequest, WriteContentResponse>::default();
    let messages = request(tokio_stream::iter(messages), "local:x");
    let mut client = tonic::client::Grpc::new(service.clone());
    let mut answers = client.streaming(messages, path("Write"), codec).await?.into_inner();
    let mut all = Vec::new();
    while let Some(answer) = answers.message().await? {
        all.push(answer);
    }
    Ok(all)
}

fn message(action: WriteAction, offset: i64, data: &'static str) -> WriteContentRequest {
    WriteContentRequest {
        action: action as i32,
        reference: "layer".to_owned(),
        offset,
        data: data.as_bytes().into(),
        ..WriteContentRequest::default()
    }
}

fn promise(action: WriteAction, offset: i64, expected: &str, total: i64) -> WriteContentRequest {
    WriteContentRequest { expected: expected.to_owned(), total, ..message(action, offset, "") }
}

/// Every file below `layout`.
fn files(layout: &Path) -> usize {
    let entries = std::fs::read_dir(layout).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

#[tokio::test]
async fn blobs_are_served_whole_and_in_parts() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(dir.path(), Access::Read);
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    put(dir.path(), ABC, &large);
    assert_eq!(info(&service, "local:x", ABC).await.unwrap(), 3_000_000);
    assert_eq!(read(&service, ABC, 0, 0).await.unwrap(), large);
    assert_eq!(
        read(&service, ABC, 1_000_001, 1_500_000).await.unwrap(),
        large[1_000_001..2_500_001]
    );
    assert_eq!(read(&service, ABC, 2_999_999, 10).await.unwrap(), large[2_999_999..]);
    assert_eq!(read(&service, ABC, 3_000_000, 0).await.unwrap(), b"");
    assert_eq!(read(&service, ABC, 3_000_001, 0).await.unwrap_err().code(), Code::OutOfRange);
}

#[tokio::test]
async fn only_declared_directories_and_digests_are_served() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("secret"), "s").unwrap();
    let service = service(dir.path(), Access::Read);
    let code =
        async |store: &str, digest: &str| info(&service, store, digest).await.unwrap_err().code();
    assert_eq!(code("local:y", ABC).await, Code::NotFound);
    assert_eq!(code("local:x", ABC).await, Code::NotFound);
    for digest in ["", "sha256:../../secret", "../secret:x", "secret"] {
        assert_eq!(code("local:x", digest).await, Code::InvalidArgument, "{digest}");
        let status = read(&service, digest, 0, 0).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{digest}");
    }
    put(dir.path(), ABC, b"");
    let blob = Digest::parse(ABC).unwrap().path_in(dir.path());
    std::fs::remove_file(&blob).unwrap();
    std::fs::create_dir(&blob).unwrap();
    assert_eq!(code("local:x", ABC).await, Code::Internal);
    let status = write(&service, vec![message(WriteAction::Stat, 0, "")]).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_blob_takes_its_name_when_its_digest_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(dir.path(), Access::Write);
    let answers = write(
        &service,
        vec![
            promise(WriteAction::Stat, 0, ABC, 3),
            message(WriteAction::Write, 0, "a"),
            message(WriteAction::Write, 1, "bc"),
            promise(WriteAction::Commit, 3, ABC, 3),
        ],
    )
    .await
    .unwrap();
    assert_eq!(answers.iter().map(|answer| answer.offset).collect::<Vec<_>>(), [0, 1, 3, 3]);
    assert_eq!(answers[3].digest, ABC);
    assert_eq!(read(&service, ABC, 0, 0).await.unwrap(), b"abc");
    assert_eq!(files(dir.path()), 1);
    // It is not sent again, unless what is there has another size.
    let again = vec![promise(WriteAction::Stat, 0, ABC, 3)];
    assert_eq!(write(&service, again.clone()).await.unwrap_err().code(), Code::AlreadyExists);
    put(dir.path(), ABC, b"a");
    assert_eq!(write(&service, again).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_not_what_was_promised_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(dir.path(), Access::Write);
    let start = || promise(WriteAction::Stat, 0, ABC, 3);
    let commit = |offset, total| promise(WriteAction::Commit, offset, ABC, total);
    for (messages, code) in [
        (
            vec![start(), message(WriteAction::Write, 0, "xyz"), commit(3, 3)],
            Code::FailedPrecondition,
        ),
        (
            vec![start(), message(WriteAction::Write, 0, "ab"), commit(2, 3)],
            Code::FailedPrecondition,
        ),
        (vec![start(), message(WriteAction::Write, 2, "c")], Code::OutOfRange),
        (vec![promise(WriteAction::Stat, 0, "sha256:x", 3)], Code::InvalidArgument),
        (vec![WriteContentRequest::default()], Code::InvalidArgument),
    ] {
        assert_eq!(write(&service, messages).await.unwrap_err().code(), code);
    }
    // Cut off before the commit.
    write(&service, vec![start(), message(WriteAction::Write, 0, "abc")]).await.unwrap();
    // The thread that wrote it removes it after the call has ended.
    let gone = async {
        while files(dir.path()) > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(5), gone).await.unwrap();
}

#[tokio::test]
async fn a_write_may_start_again_and_need_not_announce_anything() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(dir.path(), Access::Write);
    let answers = write(
        &service,
        vec![
            message(WriteAction::Write, 0, "wrong"),
            message(WriteAction::Write, 0, "abc"),
            message(WriteAction::Commit, 3, ""),
        ],
    )
    .await
    .unwrap();
    assert_eq!(answers[2].digest, ABC);
    assert_eq!(read(&service, ABC, 0, 0).await.unwrap(), b"abc");
}

#[tokio::test]
async fn a_directory_that_is_gone_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let service = service(&dir.path().join("gone"), Access::Write);
    let status = write(&service, vec![promise(WriteAction::Stat, 0, ABC, 3)]).await.unwrap_err();
    assert!(status.message().contains("gone"), "{}", status.message());
}
