//! The Secrets service: values for `RUN --mount=type=secret`.
//!
//! The engine asks by id alone, so within one session an id has one source. Targets that give one
//! id two sources need two sessions; [`SecretStore::insert`] tells.

use std::collections::BTreeMap;
use std::fmt;

use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::{Secrets, SecretsServer};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use tonic::{Request, Response, Status};

/// Methods of the service to announce.
pub const METHODS: &[&str] = &["GetSecret"];

/// Largest secret in bytes (BuildKit `secretsprovider.MaxSecretSize`).
pub const MAX_SECRET_BYTES: u64 = 500 * 1024;

/// A secret that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Two targets give one id two sources.
    #[error("secret `{id}` has two different sources in one session")]
    Conflict {
        /// The id.
        id: String,
    },
    /// Its file is missing, unreadable or not a file.
    #[error("cannot read secret `{id}`: {reason}")]
    File {
        /// The id.
        id: String,
        /// What the system said, with the path.
        reason: String,
    },
    /// More than [`MAX_SECRET_BYTES`].
    #[error("secret `{id}` is too large: BuildKit takes at most {MAX_SECRET_BYTES} bytes")]
    TooLarge {
        /// The id.
        id: String,
    },
}

/// The secrets of a session: values, read before the build. What is served is then what is taken out of its output.
#[derive(Default)]
pub struct SecretStore {
    values: BTreeMap<String, Vec<u8>>,
}

impl fmt::Debug for SecretStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretStore({:?}, values redacted)", self.values.keys())
    }
}

impl SecretStore {
    /// Adds a secret. The same id with the same value may be added again.
    ///
    /// # Errors
    /// When the id already has another value, or it is too large.
    pub fn insert(&mut self, id: &str, value: Vec<u8>) -> Result<(), SecretError> {
        if value.len() as u64 > MAX_SECRET_BYTES {
            return Err(SecretError::TooLarge { id: id.to_owned() });
        }
        match self.values.insert(id.to_owned(), value) {
            Some(known) if known != self.values[id] => {
                Err(SecretError::Conflict { id: id.to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// Whether there is nothing to serve.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The service for a session.
    pub fn into_service(self) -> SecretsServer<Self> {
        SecretsServer::new(self)
    }
}

#[tonic::async_trait]
impl Secrets for SecretStore {
    async fn get_secret(
        &self,
        request: Request<GetSecretRequest>,
    ) -> Result<Response<GetSecretResponse>, Status> {
        let id = &request.get_ref().id;
        match self.values.get(id) {
            Some(data) => Ok(Response::new(GetSecretResponse { data: data.clone() })),
            // The engine reads this code as "not given", which is fine unless `required=true`.
            None => Err(Status::not_found(format!("no secret `{id}` was given"))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    async fn get(store: &SecretStore, id: &str) -> Result<Vec<u8>, Status> {
        let request = Request::new(GetSecretRequest { id: id.to_owned(), ..Default::default() });
        store.get_secret(request).await.map(|response| response.into_inner().data)
    }

    #[tokio::test]
    async fn values_are_served_by_id() {
        let mut store = SecretStore::default();
        assert!(store.is_empty());
        store.insert("value", b"v\0".to_vec()).unwrap();
        assert_eq!(get(&store, "value").await.unwrap(), b"v\0");
        assert_eq!(get(&store, "other").await.unwrap_err().code(), tonic::Code::NotFound);
    }

    #[test]
    fn one_id_has_one_value() {
        let mut store = SecretStore::default();
        store.insert("id", b"hunter2".to_vec()).unwrap();
        store.insert("id", b"hunter2".to_vec()).unwrap();
        let error = store.insert("id", b"other".to_vec()).unwrap_err();
        assert_eq!(error.to_string(), "secret `id` has two different sources in one session");
        assert!(!format!("{store:?}").contains("104"), "{store:?}");
        assert!(format!("{store:?}").contains("redacted"), "{store:?}");
    }

    #[test]
    fn a_secret_has_a_bound() {
        let mut store = SecretStore::default();
        store.insert("a", vec![0; 512_000]).unwrap();
        let error = store.insert("b", vec![0; 512_001]).unwrap_err().to_string();
        assert_eq!(error, "secret `b` is too large: BuildKit takes at most 512000 bytes");
    }
}
