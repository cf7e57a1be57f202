//! Blobs that the engine asks for: how large they are, and parts of them.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::messages::{Info, InfoRequest, InfoResponse, ReadContentRequest, ReadContentResponse};
use super::{Digest, Directory};
use crate::files::read;

/// Bytes per message: what containerd's own server sends.
const CHUNK: usize = 1 << 20;

/// How many messages may wait for the engine.
const WAITING_CHUNKS: usize = 2;

pub(super) type Chunks = ReceiverStream<Result<ReadContentResponse, Status>>;

pub(super) fn digest(text: &str) -> Result<Digest, Status> {
    Digest::parse(text).ok_or_else(|| Status::invalid_argument(format!("{text:?} is no digest")))
}

/// Opens a blob and tells its size.
pub(super) fn open(layout: &Path, digest: &Digest) -> Result<(File, u64), Status> {
    let path = digest.path_in(layout);
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => {
            Status::not_found(format!("{digest} is not in {}", layout.display()))
        }
        _ => Status::internal(format!("cannot read {}: {error}", path.display())),
    };
    let file = read::open(&path).map_err(failed)?;
    let size = file.metadata().map_err(failed)?.len();
    Ok((file, size))
}

pub(super) async fn info(
    directory: Directory,
    request: InfoRequest,
) -> Result<InfoResponse, Status> {
    let digest = digest(&request.digest)?;
    blocking(move || {
        let (_, size) = open(&directory.path, &digest)?;
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        Ok(InfoResponse { info: Some(Info { digest: digest.to_string(), size }) })
    })
    .await
}

pub(super) async fn read(
    directory: Directory,
    request: ReadContentRequest,
) -> Result<Chunks, Status> {
    let digest = digest(&request.digest)?;
    // A negative number means nothing; containerd takes it for zero.
    let start = u64::try_from(request.offset).unwrap_or(0);
    let wanted = u64::try_from(request.size).unwrap_or(0);
    let path = digest.path_in(&directory.path);
    let (file, rest) = blocking(move || {
        let (mut file, size) = open(&directory.path, &digest)?;
        let rest = size.checked_sub(start).ok_or_else(|| {
            Status::out_of_range(format!("{digest} has {size} bytes, not {start}"))
        })?;
        file.seek(SeekFrom::Start(start)).map_err(|error| Status::internal(error.to_string()))?;
        Ok((file, if wanted == 0 { rest } else { rest.min(wanted) }))
    })
    .await?;
    let (out, chunks) = mpsc::channel(WAITING_CHUNKS);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = send(file, start, rest, &out) {
            let status = Status::internal(format!("cannot read {}: {error}", path.display()));
            // Nobody waits for it when the engine has gone.
            let _ = out.blocking_send(Err(status));
        }
    });
    Ok(ReceiverStream::new(chunks))
}

/// Sends `rest` bytes of `file`, which stands at `offset`; ends early when nobody listens.
fn send(
    mut file: File,
    mut offset: u64,
    mut rest: u64,
    out: &mpsc::Sender<Result<ReadContentResponse, Status>>,
) -> io::Result<()> {
    while rest > 0 {
        let length = usize::try_from(rest).map_or(CHUNK, |rest| rest.min(CHUNK));
        let mut data = vec![0; length];
        file.read_exact(&mut data)?;
        let chunk = ReadContentResponse { offset: i64::try_from(offset).unwrap_or(i64::MAX), data };
        if out.blocking_send(Ok(chunk)).is_err() {
            break;
        }
        offset += length as u64;
        rest -= length as u64;
    }
    Ok(())
}

/// Runs what waits for the disk beside the runtime, which has to answer health checks.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Status::internal(error.to_string())))
}
