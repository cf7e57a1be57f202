//! The Auth service: the engine asks for registry logins, the docker CLI's configuration answers.
//!
//! Only `Credentials` is served. Token authorities, with which a client fetches tokens in the
//! engine's place, are declined as "unavailable"; the engine then logs in by itself.

use bollard_buildkit_proto::moby::filesync::v1::auth_server::{Auth, AuthServer};
use bollard_buildkit_proto::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse,
    GetTokenAuthorityRequest, GetTokenAuthorityResponse, VerifyTokenAuthorityRequest,
    VerifyTokenAuthorityResponse,
};
use tonic::{Request, Response, Status};

use crate::registry::logins::{CredentialStore, Credentials};

/// Methods of the service to announce.
pub const METHODS: &[&str] =
    &["Credentials", "FetchToken", "GetTokenAuthority", "VerifyTokenAuthority"];

/// The service for a session.
pub fn service(logins: CredentialStore) -> AuthServer<CredentialStore> {
    AuthServer::new(logins)
}

fn declined() -> Status {
    Status::unavailable("tokens are fetched by the engine")
}

#[tonic::async_trait]
impl Auth for CredentialStore {
    async fn credentials(
        &self,
        request: Request<CredentialsRequest>,
    ) -> Result<Response<CredentialsResponse>, Status> {
        match Self::credentials(self, &request.get_ref().host).await {
            Ok(Credentials { username, secret }) => {
                Ok(Response::new(CredentialsResponse { username, secret }))
            }
            Err(error) => Err(Status::failed_precondition(error.to_string())),
        }
    }

    async fn fetch_token(
        &self,
        _request: Request<FetchTokenRequest>,
    ) -> Result<Response<FetchTokenResponse>, Status> {
        Err(declined())
    }

    async fn get_token_authority(
        &self,
        _request: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        Err(declined())
    }

    async fn verify_token_authority(
        &self,
        _request: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        Err(declined())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;
    use crate::engine::docker_config::DockerConfig;

    #[tokio::test]
    async fn the_service_hands_out_logins_and_declines_tokens() {
        let home = tempfile::tempdir().unwrap();
        let config = r#"{"auths": {"r.example": {"auth": "bWU6eA=="}}}"#;
        fs_err::write(home.path().join("config.json"), config).unwrap();
        let store = CredentialStore::new(DockerConfig::load(home.path()), BTreeMap::new());
        let request = Request::new(CredentialsRequest { host: "r.example".into() });
        let answer = Auth::credentials(&store, request).await.unwrap().into_inner();
        assert_eq!((answer.username.as_str(), answer.secret.as_str()), ("me", "x"));
        let request = Request::new(GetTokenAuthorityRequest::default());
        let declined = store.get_token_authority(request).await.unwrap_err();
        assert_eq!(declined.code(), tonic::Code::Unavailable);
    }
}
