//! Services whose one method, `DiffCopy`, is a bare gRPC stream: FileSync and FileSend.
//!
//! The generated services encode message by message; here whole batches of frames go out as they
//! were written, and the same method can carry packets or plain bytes.

use std::convert::Infallible;
use std::future::Ready;
use std::task::{Context, Poll};

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
use tonic::server::NamedService;
use tonic::{Code, Status};

use super::packet::RawDecoder;

/// A service that offers `DiffCopy` and nothing else.
pub trait DiffCopy: Clone + Send + Sync + 'static {
    /// Its full name.
    const NAME: &'static str;

    /// Returns the response to one call, usually made by [`stream`].
    ///
    /// # Errors
    /// The call names something that is not offered.
    fn diff_copy(&self, request: http::Request<Body>) -> Result<Response<Body>, Status>;
}

/// Such a service as the server wants it.
#[derive(Clone)]
pub(super) struct Server<S>(pub(super) S);

impl<S: DiffCopy> NamedService for Server<S> {
    const NAME: &'static str = S::NAME;
}

impl<S: DiffCopy> tower_service::Service<http::Request<Body>> for Server<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let method = path.strip_prefix('/').and_then(|path| path.strip_prefix(S::NAME));
        let answer = if method == Some("/DiffCopy") {
            self.0.diff_copy(request)
        } else {
            Err(Status::unimplemented(format!("{path} is not offered")))
        };
        std::future::ready(Ok(answer.unwrap_or_else(|status| status.into_http())))
    }
}

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
