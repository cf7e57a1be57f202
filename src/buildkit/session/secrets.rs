//! The Secrets service: values for `RUN --mount=type=secret`.
//!
//! The engine asks by id alone, so within one session an id has one source. Targets that give one
//! id two sources need two sessions; [`SecretStore::insert`] tells.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;

use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::{Secrets, SecretsServer};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use tonic::{Request, Response, Status};

/// Methods of the service to announce.
pub const METHODS: &[&str] = &["GetSecret"];

/// Largest secret in bytes (BuildKit `secretsprovider.MaxSecretSize`).
pub const MAX_SECRET_BYTES: u64 = 500 * 1024;

/// Where a secret's value is.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file, read when the engine asks.
    File(PathBuf),
    /// The value itself, taken from an environment variable by the caller.
    Value(Vec<u8>),
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Value(_) => f.write_str("Value(redacted)"),
        }
    }
}

/// A secret that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Two targets give one id two sources.
    #[error("secret `{id}` has two different sources in one session")]
    Conflict {
        /// The id.
        id: String,
    },
    /// The file is missing or unreadable.
    #[error("cannot read secret `{id}` from {}: {source}", path.display())]
    File {
        /// The id.
        id: String,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// More than [`MAX_SECRET_BYTES`].
    #[error(
        "secret `{id}` is too large: {bytes} bytes, and BuildKit takes at most {MAX_SECRET_BYTES}"
    )]
    TooLarge {
        /// The id.
        id: String,
        /// Its size.
        bytes: u64,
    },
}

/// The secrets of a session.
#[derive(Debug, Default)]
pub struct SecretStore {
    sources: BTreeMap<String, SecretSource>,
}

impl SecretStore {
    /// Adds a secret. The same id with the same source may be added again.
    ///
    /// # Errors
    /// When the id already has another source, or the source can be seen not to work: better
    /// before the build than minutes into it.
    pub fn insert(&mut self, id: &str, source: SecretSource) -> Result<(), SecretError> {
        match self.sources.get(id) {
            Some(known) if *known == source => return Ok(()),
            Some(_) => return Err(SecretError::Conflict { id: id.to_owned() }),
            None => {}
        }
        let bytes = match &source {
            SecretSource::Value(value) => value.len() as u64,
            SecretSource::File(path) => {
                let file =
                    |source| SecretError::File { id: id.to_owned(), path: path.clone(), source };
                let meta =
                    std::fs::File::open(path).and_then(|file| file.metadata()).map_err(file)?;
                if meta.is_dir() {
                    return Err(file(io::ErrorKind::IsADirectory.into()));
                }
                meta.len()
            }
        };
        check_size(id, bytes)?;
        self.sources.insert(id.to_owned(), source);
        Ok(())
    }

    /// Whether there is nothing to serve.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// The service for a session.
    pub fn into_service(self) -> SecretsServer<Self> {
        SecretsServer::new(self)
    }

    async fn value(&self, id: &str) -> Result<Option<Vec<u8>>, SecretError> {
        let value = match self.sources.get(id) {
            None => return Ok(None),
            Some(SecretSource::Value(value)) => value.clone(),
            Some(SecretSource::File(path)) => tokio::fs::read(path).await.map_err(|source| {
                SecretError::File { id: id.to_owned(), path: path.clone(), source }
            })?,
        };
        check_size(id, value.len() as u64)?;
        Ok(Some(value))
    }
}

fn check_size(id: &str, bytes: u64) -> Result<(), SecretError> {
    if bytes > MAX_SECRET_BYTES {
        return Err(SecretError::TooLarge { id: id.to_owned(), bytes });
    }
    Ok(())
}

#[tonic::async_trait]
impl Secrets for SecretStore {
    async fn get_secret(
        &self,
        request: Request<GetSecretRequest>,
    ) -> Result<Response<GetSecretResponse>, Status> {
        let id = &request.get_ref().id;
        match self.value(id).await {
            Ok(Some(data)) => Ok(Response::new(GetSecretResponse { data })),
            // The engine reads this code as "not given", which is fine unless `required=true`.
            Ok(None) => Err(Status::not_found(format!("no secret `{id}` was given"))),
            Err(error) => Err(Status::failed_precondition(error.to_string())),
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
    async fn serves_values_and_the_files_as_they_are_now() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs_err::write(&path, "old").unwrap();
        let mut store = SecretStore::default();
        assert!(store.is_empty());
        store.insert("file", SecretSource::File(path.clone())).unwrap();
        store.insert("value", SecretSource::Value(b"v\0".to_vec())).unwrap();
        fs_err::write(&path, "new").unwrap();
        assert_eq!(get(&store, "file").await.unwrap(), b"new");
        assert_eq!(get(&store, "value").await.unwrap(), b"v\0");
        assert_eq!(get(&store, "other").await.unwrap_err().code(), tonic::Code::NotFound);

        fs_err::remove_file(&path).unwrap();
        let gone = get(&store, "file").await.unwrap_err();
        assert!(gone.message().contains("cannot read secret `file`"), "{gone}");
        assert!(gone.message().contains("token"), "{gone}");
    }

    #[test]
    fn one_id_has_one_source() {
        let mut store = SecretStore::default();
        let one = SecretSource::Value(b"hunter2".to_vec());
        store.insert("id", one.clone()).unwrap();
        store.insert("id", one).unwrap();
        let error = store.insert("id", SecretSource::Value(b"other".to_vec())).unwrap_err();
        assert_eq!(error.to_string(), "secret `id` has two different sources in one session");
        assert!(!format!("{store:?}").contains("104"), "{store:?}");
        assert!(format!("{store:?}").contains("redacted"), "{store:?}");
    }

    #[test]
    fn what_cannot_be_served_is_told_before_the_build() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SecretStore::default();
        let missing = folder.path().join("missing.txt");
        let error = store.insert("a", SecretSource::File(missing)).unwrap_err().to_string();
        assert!(error.starts_with("cannot read secret `a` from "), "{error}");
        assert!(error.contains("missing.txt: No such file"), "{error}");
        let error = store.insert("a", SecretSource::File(folder.path().into())).unwrap_err();
        assert!(error.to_string().ends_with("is a directory"), "{error}");

        let large = folder.path().join("large");
        fs_err::write(&large, vec![0; 512_001]).unwrap();
        let error = store.insert("a", SecretSource::File(large)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "secret `a` is too large: 512001 bytes, and BuildKit takes at most 512000"
        );
        store.insert("a", SecretSource::Value(vec![0; 512_000])).unwrap();
    }
}
