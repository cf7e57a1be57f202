//! Which blobs the image store of an engine has: its content service stands beside the Control API where it keeps images
//! in containerd's store.

use http::uri::PathAndQuery;
use tonic::Code;
use tonic::client::Grpc;
use tonic_prost::ProstCodec;

use super::Control;
use crate::buildkit::session::content::Digest;
use crate::buildkit::session::content::messages::{InfoRequest, InfoResponse};

/// The question for one blob.
const INFO: &str = "/containerd.services.content.v1.Content/Info";

impl Control {
    /// Those of `blobs` that are not in the store. An engine with a graph driver has another store there, which does not
    /// hold its images.
    ///
    /// # Errors
    /// It has no such service, or the connection was lost.
    pub async fn lacks(&self, blobs: &[Digest]) -> Result<Vec<Digest>, tonic::Status> {
        let mut grpc = Grpc::new(self.channel());
        let mut lacking = Vec::new();
        for blob in blobs {
            let closed =
                |error: tonic::transport::Error| tonic::Status::unavailable(error.to_string());
            grpc.ready().await.map_err(closed)?;
            let request = tonic::Request::new(InfoRequest { digest: blob.to_string() });
            let codec = ProstCodec::<InfoRequest, InfoResponse>::default();
            match grpc.unary(request, PathAndQuery::from_static(INFO), codec).await {
                Ok(_) => {}
                Err(status) if status.code() == Code::NotFound => lacking.push(blob.clone()),
                Err(status) => return Err(status),
            }
        }
        Ok(lacking)
    }
}
