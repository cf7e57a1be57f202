//! A session within a call of the Control API: its bytes are the messages of a stream in both directions, for BuildKit that
//! has no HTTP API in front of it. What the headers of `/session` say are metadata of the call.
//!
//! Source: BuildKit `session/grpchijack`.

use bollard_buildkit_proto::moby::buildkit::v1::BytesMessage;
use futures_util::StreamExt as _;
use http::HeaderMap;
use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio::task::JoinHandle;
use tokio_util::io::ReaderStream;
use tonic::metadata::MetadataMap;
use tonic::transport::Channel;
use tonic::{Extensions, Request};

use crate::buildkit::solve;

/// Bytes of one message, and of those that wait in one direction.
const PIECE: usize = 256 << 10;

/// Opens the call. Returns the end at which the session is served, and the task that passes its bytes on: when that ends,
/// so does the call. Nobody waits for the answer, because BuildKit begins to ask before it gives one; a call that is
/// refused ends the session, and with it the solve that needs it.
pub(super) fn open(channel: Channel, headers: HeaderMap) -> (DuplexStream, JoinHandle<()>) {
    let (ours, theirs) = tokio::io::duplex(PIECE);
    let (from_session, mut to_session) = tokio::io::split(theirs);
    let pieces = ReaderStream::with_capacity(from_session, PIECE);
    let messages = pieces
        .take_while(|piece| std::future::ready(piece.is_ok()))
        .filter_map(|piece| std::future::ready(piece.ok()))
        .map(|piece| BytesMessage { data: piece.into() });
    let metadata = MetadataMap::from_headers(headers);
    let request = Request::from_parts(metadata, Extensions::default(), messages);
    let passing = tokio::spawn(async move {
        let Ok(answer) = solve::client(channel).session(request).await else { return };
        let mut answer = answer.into_inner();
        while let Ok(Some(message)) = answer.message().await {
            if to_session.write_all(&message.data).await.is_err() {
                return;
            }
        }
    });
    (ours, passing)
}
