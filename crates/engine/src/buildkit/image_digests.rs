//! Which images names stand for at this moment, as a build that begins with them finds out: BuildKit asks their registries.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;

use super::control::Control;
use super::session::{Opening, Services, Session, auth};
use super::solve::{SolveError, SolveOptions};
use super::subrequest;
use super::transport::TransportError;
use crate::registry::logins::CredentialStore;

/// Why it cannot be found out.
#[derive(Debug, thiserror::Error)]
pub enum DigestsError {
    /// There is no session for logins.
    #[error(transparent)]
    Session(#[from] TransportError),
    /// BuildKit does not find one of them.
    #[error(transparent)]
    Solve(#[from] SolveError),
}

impl Control {
    /// The digests of images by `references`, which are in full. Nothing is fetched but what describes them.
    ///
    /// # Errors
    /// One of them is not found, or the connection was lost.
    pub async fn image_digests(
        &self,
        references: impl Iterator<Item = &str>,
        logins: CredentialStore,
    ) -> Result<BTreeMap<String, String>, DigestsError> {
        let references: Vec<&str> = references.collect();
        if references.is_empty() {
            return Ok(BTreeMap::new());
        }
        let services = Services::default().with(auth::service(logins), auth::METHODS);
        let session = Session::open(Opening::Tunnel(self), "doc2md-docker", services).await?;
        let options = SolveOptions {
            build_ref: super::new_ref(),
            session: session.id().to_owned(),
            ..SolveOptions::default()
        };
        let found = subrequest::open(self.channel(), &options, async |gateway| {
            let asked = references.iter().map(async |reference| {
                let digest = gateway.clone().image_digest(reference).await?;
                Ok(((*reference).to_owned(), digest))
            });
            try_join_all(asked).await
        });
        let found = found.await.map_err(SolveError::from)?;
        Ok(found.into_iter().collect())
    }
}
