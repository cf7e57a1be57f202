//! Questions to the frontend, such as `frontend.lint`: a solve whose answer is metadata.
//!
//! The engine hands a frontend's metadata only to a frontend, so we act as one for a moment: a
//! Solve without a frontend opens the build, the gateway (`LLBBridge`, addressed by the build's
//! ref) asks, and dropping the Solve ends it. Source: BuildKit `client/build.go`.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1 as pb;
use bollard_buildkit_proto::moby::buildkit::v1::frontend as gateway;
use bollard_buildkit_proto::moby::buildkit::v1::frontend::llb_bridge_client::LlbBridgeClient;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::solve::SolveOptions;

/// Metadata key that tells the gateway which build is meant (BuildKit `client/buildid`).
const BUILD_ID: &str = "buildkit-controlapi-buildid";
/// How often the gateway is asked whether it knows the build yet.
const RETRY: Duration = Duration::from_millis(15);

/// Asks `options.frontend` and answers its metadata as text (`result.json`, `result.txt`, ...).
pub(super) async fn ask(
    channel: Channel,
    options: SolveOptions,
) -> Result<BTreeMap<String, String>, Status> {
    let mut control = pb::control_client::ControlClient::new(channel.clone());
    let holder = control.solve(pb::SolveRequest {
        r#ref: options.build_ref.clone(),
        session: options.session.clone(),
        internal: true,
        ..Default::default()
    });
    tokio::select! {
        // The holder lasts until it is dropped; if it ends before, it failed.
        ended = holder => Err(ended.err().unwrap_or_else(|| Status::internal("the engine ended the request"))),
        answer = through_gateway(channel, options) => answer,
    }
}

async fn through_gateway(
    channel: Channel,
    options: SolveOptions,
) -> Result<BTreeMap<String, String>, Status> {
    let mut bridge = LlbBridgeClient::new(channel);
    let build = AsciiMetadataValue::try_from(options.build_ref.as_str())
        .map_err(|_| Status::internal("a build ref is ASCII"))?;
    let mut ping = Request::new(gateway::PingRequest {});
    ping.metadata_mut().insert(BUILD_ID, build.clone());
    while let Err(status) = bridge.ping(copy(&ping)).await {
        // Until the Solve is registered, the gateway knows no such build.
        if !matches!(status.code(), Code::NotFound | Code::Unknown) {
            return Err(status);
        }
        tokio::time::sleep(RETRY).await;
    }
    let mut request = Request::new(gateway::SolveRequest {
        frontend: options.frontend,
        frontend_opt: options.frontend_attrs.into_iter().collect(),
        allow_result_return: true,
        allow_result_array_ref: true,
        ..Default::default()
    });
    request.metadata_mut().insert(BUILD_ID, build);
    let answer = bridge.solve(request).await?.into_inner();
    let metadata = answer.result.map(|result| result.metadata).unwrap_or_default();
    Ok(metadata
        .into_iter()
        .map(|(key, value)| (key, String::from_utf8_lossy(&value).into_owned()))
        .collect())
}

fn copy(ping: &Request<gateway::PingRequest>) -> Request<gateway::PingRequest> {
    let mut copy = Request::new(gateway::PingRequest {});
    copy.metadata_mut().clone_from(ping.metadata());
    copy
}
