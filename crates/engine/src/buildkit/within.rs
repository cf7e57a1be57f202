//! BuildKit within a docker engine: by the upgrades of `/grpc` and `/session`, and where an engine has these routes no longer,
//! by gRPC on its own socket, with the session within `Control.Session`.
//!
//! The upgrade goes first wherever it is there: engines before API 1.53 have nothing else, and a large file takes 1.8 times as
//! long within `Control.Session`. Which it is goes by the status of the refusal, is found out once, and the connector
//! remembers it. Source: moby `daemon/command/httphandler.go`, `daemon/server/router/{grpc,session}`.

use bollard_buildkit_proto::moby::buildkit::v1 as pb;
use http::HeaderMap;
use hyper::upgrade::Upgraded;
use tonic::transport::Channel;

use super::transport::{self, FIRST_ANSWER, TransportError};
use crate::engine::Connector;

const GRPC: &str = "/grpc";
const SESSION: &str = "/session";

/// A gRPC channel to BuildKit's Control API inside the engine.
///
/// Opened at once, so that an unreachable engine is an error here and not at the first call.
pub(super) async fn channel(connector: &Connector) -> Result<Channel, TransportError> {
    if connector.lacks(GRPC) {
        return transport::native_engine(connector).await;
    }
    match transport::upgraded(connector, GRPC).await {
        Err(refusal) if refusal.is_missing_route() => {
            let channel = without_upgrade(connector).await.ok_or(refusal)?;
            connector.note_missing(GRPC);
            Ok(channel)
        }
        opened => opened,
    }
}

/// The same without the upgrade; `None` unless BuildKit answers. Why it does not is not told: the refusal of the upgrade is.
async fn without_upgrade(connector: &Connector) -> Option<Channel> {
    let opened = async {
        let channel = transport::native_engine(connector).await.ok()?;
        // HTTP/2 sends without waiting for the other side's consent: only an answer shows that it is there.
        let mut client = pb::control_client::ControlClient::new(channel.clone());
        client.list_workers(pb::ListWorkersRequest::default()).await.ok()?;
        Some(channel)
    };
    tokio::time::timeout(FIRST_ANSWER, opened).await.ok().flatten()
}

/// What a session is served on.
pub(super) enum SessionStream {
    /// The session's own, on which the engine is the client.
    Upgraded(Upgraded),
    /// One to the Control API for this session alone, since a docker engine has one BuildKit.
    Control(Channel),
}

/// Opens it for a session with these `headers`.
pub(super) async fn session_stream(
    connector: &Connector,
    headers: &HeaderMap,
) -> Result<SessionStream, TransportError> {
    if !connector.lacks(SESSION) {
        match transport::upgrade(connector, SESSION, headers.clone()).await {
            Err(refusal) if refusal.is_missing_route() => {}
            opened => return opened.map(SessionStream::Upgraded),
        }
    }
    let channel = channel(connector).await?;
    connector.note_missing(SESSION);
    Ok(SessionStream::Control(channel))
}
