//! Acting as a frontend: a build without one (see [`open`](Gateway::open)) is asked through its gateway.
//!
//! The gateway (`LLBBridge`) is addressed by the build's ref. Source: BuildKit `client/build.go`.

use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1::frontend as pb;
use bollard_buildkit_proto::moby::buildkit::v1::frontend::llb_bridge_client::LlbBridgeClient;
use prost::Message as _;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::definition::Definition;
use super::solve::{self, SolveOptions};
use super::transport::MESSAGE_LIMIT;

/// Metadata key that tells the gateway which build is meant (BuildKit `client/buildid`).
const BUILD_ID: &str = "buildkit-controlapi-buildid";
/// How often the gateway is asked whether it knows the build yet.
const RETRY: Duration = Duration::from_millis(15);

/// How an image is looked for that may be on this machine already (BuildKit `ResolveModePreferLocal`), as by every build that does
/// not say `--pull`.
const PREFER_LOCAL: &str = "local";

/// The gateway of one build.
#[derive(Debug, Clone)]
pub(super) struct Gateway {
    bridge: LlbBridgeClient<Channel>,
    build: AsciiMetadataValue,
}

impl Gateway {
    /// The gateway of the build that a Solve without a frontend opens under `build_ref`. Returns once the engine knows it.
    pub(super) async fn open(channel: Channel, build_ref: &str) -> Result<Self, Status> {
        let bridge = LlbBridgeClient::new(channel)
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT);
        let build = AsciiMetadataValue::try_from(build_ref)
            .map_err(|_| Status::internal("a build ref is ASCII"))?;
        let mut gateway = Self { bridge, build };
        loop {
            let ping = gateway.request(pb::PingRequest {});
            match gateway.bridge.ping(ping).await {
                Ok(_) => return Ok(gateway),
                // Until the Solve is registered, the gateway knows no such build.
                Err(status) if matches!(status.code(), Code::NotFound | Code::Unknown) => {
                    tokio::time::sleep(RETRY).await;
                }
                Err(status) => return Err(status),
            }
        }
    }

    /// Asks the frontend of `options`. Nothing is built unless `evaluate` says so: the result is a definition.
    pub(super) async fn ask(
        &mut self,
        options: SolveOptions,
        evaluate: bool,
    ) -> Result<pb::Result, Status> {
        self.solve(pb::SolveRequest {
            frontend: options.frontend,
            frontend_opt: options.frontend_attrs.into_iter().collect(),
            frontend_inputs: solve::inputs(options.inputs),
            evaluate,
            ..Default::default()
        })
        .await
    }

    /// Builds `definition`.
    pub(super) async fn build(&mut self, definition: Definition) -> Result<pb::Result, Status> {
        self.solve(pb::SolveRequest {
            definition: Some(definition.into_wire()),
            evaluate: true,
            ..Default::default()
        })
        .await
    }

    /// The digest of the image that `reference` stands for.
    pub(super) async fn image_digest(&mut self, reference: &str) -> Result<String, Status> {
        let request = self.request(pb::ResolveImageConfigRequest {
            r#ref: reference.to_owned(),
            resolve_mode: PREFER_LOCAL.to_owned(),
            log_name: format!("load metadata for {reference}"),
            ..Default::default()
        });
        Ok(self.bridge.resolve_image_config(request).await?.into_inner().digest)
    }

    async fn solve(&mut self, request: pb::SolveRequest) -> Result<pb::Result, Status> {
        let request = self.request(pb::SolveRequest {
            allow_result_return: true,
            allow_result_array_ref: true,
            ..request
        });
        Ok(self.bridge.solve(request).await?.into_inner().result.unwrap_or_default())
    }

    /// Ends the build with a result, which goes to its exporters, or with an error.
    pub(super) async fn end(&mut self, with: Result<pb::Result, Status>) -> Result<(), Status> {
        let answer = match with {
            Ok(result) => {
                pb::ReturnRequest { result: Some(known_by_id(result)), ..Default::default() }
            }
            Err(status) => {
                pb::ReturnRequest { error: Some(details(&status)), ..Default::default() }
            }
        };
        let request = self.request(answer);
        self.bridge.r#return(request).await.map(drop)
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert(BUILD_ID, self.build.clone());
        request
    }
}

/// A status with the details that the engine sent beside its message.
fn details(status: &Status) -> bollard_buildkit_proto::google::rpc::Status {
    use bollard_buildkit_proto::google::rpc;
    let plain = rpc::Status {
        code: status.code() as i32,
        message: status.message().to_owned(),
        details: Vec::new(),
    };
    if status.details().is_empty() {
        return plain;
    }
    rpc::Status::decode(status.details()).unwrap_or(plain)
}

/// The result with references by id alone: the engine has their definitions. Nor may a map have an entry without a value,
/// see [`super::definition`].
fn known_by_id(mut result: pb::Result) -> pb::Result {
    match &mut result.result {
        Some(pb::result::Result::Ref(reference)) => reference.def = None,
        Some(pb::result::Result::Refs(map)) => map.refs.values_mut().for_each(|reference| {
            // A platform without any step has no id: an empty definition is a value on the wire.
            reference.def = reference.id.is_empty().then(Default::default);
        }),
        _ => {}
    }
    result.attestations.retain(|_, all| !all.attestation.is_empty());
    let all = result.attestations.values_mut().flat_map(|all| &mut all.attestation);
    for reference in all.filter_map(|attestation| attestation.r#ref.as_mut()) {
        reference.def = None;
    }
    result
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_result_goes_back_by_its_ids() {
        let reference = |id: &str| pb::Ref { id: id.to_owned(), def: Some(Default::default()) };
        let refs = [
            ("linux/amd64".to_owned(), reference("r")),
            ("scratch".to_owned(), pb::Ref::default()),
        ];
        let attested = pb::Attestation { r#ref: Some(reference("a")), ..Default::default() };
        let result = known_by_id(pb::Result {
            attestations: [
                ("some".to_owned(), pb::Attestations { attestation: vec![attested] }),
                ("none".to_owned(), pb::Attestations::default()),
            ]
            .into(),
            result: Some(pb::result::Result::Refs(pb::RefMap { refs: refs.into() })),
            ..Default::default()
        });
        let Some(pb::result::Result::Refs(map)) = &result.result else { unreachable!() };
        assert_eq!(map.refs["linux/amd64"], pb::Ref { id: "r".to_owned(), def: None });
        assert!(!map.refs["scratch"].encode_to_vec().is_empty(), "an entry without a value");
        assert_eq!(result.attestations.len(), 1);
        assert_eq!(result.attestations["some"].attestation[0].r#ref.as_ref().unwrap().def, None);
    }

    #[test]
    fn an_error_goes_back_with_its_details() {
        use bollard_buildkit_proto::google::rpc;
        let told = rpc::Status {
            code: 2,
            message: "exit code: 3".to_owned(),
            details: vec![Default::default()],
        };
        let status =
            Status::with_details(Code::Unknown, "exit code: 3", told.encode_to_vec().into());
        assert_eq!(details(&status), told);
        let bare = details(&Status::new(Code::NotFound, "gone"));
        assert_eq!((bare.code, bare.message.as_str()), (5, "gone"));
    }
}
