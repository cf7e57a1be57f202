//! The bare gRPC streams under FileSync and FileSend.
//!
//! The generated services encode message by message; here whole batches of frames go out as they
//! were written, and the same method can carry packets or plain bytes.

use std::convert::Infallible;
use std::future::Ready;

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::body::Body;
use tonic::codec::Streaming;
use tonic::{Code, Status};

use super::packet::RawDecoder;

/// The answer of a call of these services.
pub(crate) type Answer = Ready<Result<Response<Body>, Infallible>>;

/// What goes out on a stream.
pub(crate) enum Outgoing {
    /// Complete frames.
    Frames(Bytes),
    /// The end: `Ok` or why not.
    End(Status),
}

/// Where a stream's output goes. What is not taken by the engine makes the sender wait.
pub(crate) type Out = mpsc::Sender<Outgoing>;

/// How many batches may wait for the engine.
const WAITING_BATCHES: usize = 4;

/// Engines send messages of up to 3 MiB on exports.
const MAX_MESSAGE: usize = 16 << 20;

/// Runs `serve` on the messages of `request`; its output is the body of the answer. The task ends
/// with the stream.
pub(crate) fn stream<F>(
    request: http::Request<Body>,
    serve: impl FnOnce(http::HeaderMap, Streaming<Bytes>, Out) -> F,
) -> Response<Body>
where
    F: Future<Output = Status> + Send + 'static,
{
    let (parts, body) = request.into_parts();
    let incoming = Streaming::new_request(RawDecoder, body, None, Some(MAX_MESSAGE));
    let (out, batches) = mpsc::channel(WAITING_BATCHES);
    let serving = serve(parts.headers, incoming, out.clone());
    let task = AbortOnDropHandle::new(tokio::spawn(async move {
        let end = serving.await;
        // The engine may have gone; then nobody waits for the end.
        let _ = out.send(Outgoing::End(end)).await;
    }));
    let frames = ReceiverStream::new(batches).map(move |outgoing| {
        let _task = &task;
        Ok::<_, Status>(match outgoing {
            Outgoing::Frames(frames) => Frame::data(frames),
            Outgoing::End(status) => Frame::trailers(trailers(&status)),
        })
    });
    let mut response = Response::new(Body::new(StreamBody::new(frames)));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

fn trailers(status: &Status) -> http::HeaderMap {
    let mut trailers = http::HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        // A message that cannot be a header: the code still says that it failed.
        trailers.clear();
        trailers.insert("grpc-status", HeaderValue::from(status.code() as i32));
    }
    trailers
}

/// The successful end.
pub(crate) fn ok() -> Status {
    Status::new(Code::Ok, "")
}

/// The answer to a method that is not offered.
pub(crate) fn unimplemented(path: &str) -> Response<Body> {
    Status::unimplemented(format!("{path} is not offered")).into_http()
}
