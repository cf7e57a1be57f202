//! The gRPC service: which store a call is for, and which method.
//!
//! Written by hand: the generated crate knows BuildKit's services but not containerd's, and three methods
//! on a handful of messages do not earn a dependency on containerd's whole API.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::HeaderMap;
use tonic::body::Body;
use tonic::codec::Streaming;
use tonic::server::{Grpc, NamedService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::messages::{InfoRequest, InfoResponse, ReadContentRequest, ReadContentResponse};
use super::messages::{WriteContentRequest, WriteContentResponse};
use super::{Access, Directory, reading, writing};
use crate::buildkit::transport::MESSAGE_LIMIT;
use crate::progress::TransferProgress;

/// Methods of the service to announce. The engine uses no other: nothing is deleted, listed or
/// labelled in a directory of the user's, and no write outlives its call.
pub const METHODS: &[&str] = &["Info", "Read", "Write"];

/// Header that names the store (BuildKit `session/content`, `GRPCHeaderID`).
const STORE_ID: &str = "buildkit-attachable-store-id";

/// The service.
#[derive(Clone)]
pub struct ContentService {
    directories: Arc<BTreeMap<String, Directory>>,
    received: Arc<TransferProgress>,
}

impl ContentService {
    pub(super) fn new(
        directories: Arc<BTreeMap<String, Directory>>,
        received: Arc<TransferProgress>,
    ) -> Self {
        Self { directories, received }
    }

    fn choose(&self, headers: &HeaderMap) -> Result<Directory, Status> {
        let id = headers.get(STORE_ID);
        let id = id.ok_or_else(|| Status::invalid_argument(format!("there is no {STORE_ID}")))?;
        let id = String::from_utf8_lossy(id.as_bytes());
        let directory = self.directories.get(id.as_ref());
        directory.cloned().ok_or_else(|| Status::not_found(format!("there is no store {id}")))
    }

    async fn answer(self, request: http::Request<Body>) -> Result<http::Response<Body>, Status> {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
        let directory = self.choose(request.headers())?;
        match method.as_str() {
            "Info" => {
                let info = tower::service_fn(move |request: Request<InfoRequest>| {
                    let directory = directory.clone();
                    async move {
                        reading::info(directory, request.into_inner()).await.map(Response::new)
                    }
                });
                Ok(grpc::<InfoResponse, InfoRequest>().unary(info, request).await)
            }
            "Read" => {
                let read = tower::service_fn(move |request: Request<ReadContentRequest>| {
                    let directory = directory.clone();
                    async move {
                        reading::read(directory, request.into_inner()).await.map(Response::new)
                    }
                });
                let mut grpc = grpc::<ReadContentResponse, ReadContentRequest>();
                Ok(grpc.server_streaming(read, request).await)
            }
            "Write" if directory.access < Access::Write => {
                let path = directory.path.display();
                Err(Status::permission_denied(format!("{path} is not there to be written to")))
            }
            "Write" => {
                let received = self.received.clone();
                let write =
                    tower::service_fn(move |request: Request<Streaming<WriteContentRequest>>| {
                        let (directory, received) = (directory.clone(), received.clone());
                        let written = writing::write(directory, received, request.into_inner());
                        std::future::ready(Ok(Response::new(written)))
                    });
                let mut grpc = grpc::<WriteContentResponse, WriteContentRequest>();
                Ok(grpc.streaming(write, request).await)
            }
            other => Err(Status::unimplemented(format!("{other} of a content store"))),
        }
    }
}

fn grpc<Out, In>() -> Grpc<ProstCodec<Out, In>>
where
    Out: prost::Message + Send + 'static,
    In: prost::Message + Default + Send + 'static,
{
    Grpc::new(ProstCodec::default()).max_decoding_message_size(MESSAGE_LIMIT)
}

impl NamedService for ContentService {
    const NAME: &'static str = "containerd.services.content.v1.Content";
}

impl tower_service::Service<http::Request<Body>> for ContentService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answer = self.clone().answer(request);
        Box::pin(async move { Ok(answer.await.unwrap_or_else(|status| status.into_http())) })
    }
}
