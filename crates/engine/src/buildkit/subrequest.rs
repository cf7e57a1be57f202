//! Questions to the frontend, such as `frontend.lint`: a solve whose answer is metadata, or a build graph that is not built.
//!
//! The engine hands a frontend's metadata only to a frontend, so we act as one for a moment: a Solve without a frontend
//! opens the build, its gateway asks, and dropping the Solve ends it.

use std::collections::BTreeMap;

use bollard_buildkit_proto::moby::buildkit::v1 as pb;
use tonic::Status;
use tonic::transport::Channel;

use super::gateway::Gateway;
use super::linked::{self, LinkedResult};
use super::solve::SolveOptions;

/// Attribute that makes a solve a question to the frontend (BuildKit `frontend/dockerui`).
const ATTRIBUTE: &str = "requestid";

/// Whether `options` ask the frontend instead of building.
pub(super) fn is_one(options: &SolveOptions) -> bool {
    options.frontend_attrs.contains_key(ATTRIBUTE)
}

/// Asks `options.frontend` and answers its metadata as text (`result.json`, `result.txt`, ...).
pub(super) async fn ask(
    channel: Channel,
    options: SolveOptions,
) -> Result<BTreeMap<String, String>, Status> {
    let in_build = async |mut gateway: Gateway| gateway.ask(options.clone(), false).await;
    Ok(text(open(channel, &options, in_build).await?))
}

/// Asks, and also for what others can be asked on top of. Where that cannot be had, the answer says why.
pub(super) async fn ask_linked(
    channel: Channel,
    options: SolveOptions,
) -> Result<(BTreeMap<String, String>, LinkedResult), Status> {
    let in_build = async |mut gateway: Gateway| {
        let answer = gateway.ask(options.clone(), false).await?;
        let mut build = options.clone();
        build.frontend_attrs.remove(ATTRIBUTE);
        let states = gateway.ask(build, false).await.map(|result| linked::states(&result));
        Ok((answer, states.unwrap_or_default()))
    };
    let (answer, states) = open(channel, &options, in_build).await?;
    Ok((text(answer), LinkedResult::not_kept(states)))
}

/// What a build would be made of, without building: nothing runs but what the frontend itself reads.
pub(super) async fn graph(channel: Channel, options: SolveOptions) -> Result<LinkedResult, Status> {
    let in_build = async |mut gateway: Gateway| gateway.ask(options.clone(), false).await;
    let answer = open(channel, &options, in_build).await?;
    Ok(LinkedResult::not_kept(linked::states(&answer)))
}

/// Opens a build of nothing, and asks `in_build` through its gateway.
pub(super) async fn open<T>(
    channel: Channel,
    options: &SolveOptions,
    in_build: impl AsyncFnOnce(Gateway) -> Result<T, Status>,
) -> Result<T, Status> {
    let mut control = pb::control_client::ControlClient::new(channel.clone());
    let holder = control.solve(pb::SolveRequest {
        r#ref: options.build_ref.clone(),
        session: options.session.clone(),
        internal: true,
        ..Default::default()
    });
    let answer = async { in_build(Gateway::open(channel, &options.build_ref).await?).await };
    tokio::select! {
        // The holder lasts until it is dropped; if it ends before, it failed.
        ended = holder => Err(linked::ended_early(ended)),
        answer = answer => answer,
    }
}

fn text(answer: pb::frontend::Result) -> BTreeMap<String, String> {
    let text =
        |(key, value): (String, Vec<u8>)| (key, String::from_utf8_lossy(&value).into_owned());
    answer.metadata.into_iter().map(text).collect()
}
