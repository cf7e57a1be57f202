//! The sessions that serve a run: one for all its solves, more only where one cannot.
//!
//! A session has one secret and one SSH agent per id, and numbers the files that exporters write
//! per solve, so targets that contradict each other in these cannot share it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::build::request::{Export, SolveRequest};
use crate::build::spec::SecretLocation;
use crate::buildkit::TransportError;
use crate::buildkit::session::file_send::{Destination, FileSend};
use crate::buildkit::session::file_sync::{FileSync, LocalDir, SyncReport};
use crate::buildkit::session::{Services, Session};
use crate::engine::Connector;

/// What the engine keeps of synced directories between runs is found again under this key and the
/// directory's name, which holds a digest of its path.
const SHARED_KEY: &str = "doc2md-docker";

/// The open sessions of a run.
pub struct Sessions {
    open: Vec<(Session, Arc<SyncReport>)>,
    of_request: Vec<usize>,
}

impl Sessions {
    /// Opens the sessions that `requests` need.
    ///
    /// # Errors
    /// The engine cannot be reached or refused.
    pub async fn open(
        connector: &Connector,
        requests: &[SolveRequest],
    ) -> Result<Self, TransportError> {
        let of_request = group(requests);
        let groups = of_request.iter().max().map_or(0, |last| last + 1);
        let mut open = Vec::with_capacity(groups);
        for index in 0..groups {
            let members =
                || requests.iter().zip(&of_request).filter(|(_, of)| **of == index).map(|(r, _)| r);
            let directories: BTreeMap<_, _> =
                members().flat_map(|request| request.directories.clone()).collect();
            let files = FileSync::new(
                directories.into_iter().map(|(name, path)| LocalDir { name, path }).collect(),
            );
            let report = files.report();
            let mut services = Services::default().with(files, &["DiffCopy"]);
            // At most one of them exports: exporters are numbered per solve.
            let destinations: BTreeMap<_, _> =
                members().flat_map(|request| request.exports.clone()).map(destination).collect();
            if !destinations.is_empty() {
                services = services.with(FileSend::new(destinations), &["DiffCopy"]);
            }
            open.push((Session::open(connector, SHARED_KEY, services).await?, report));
        }
        Ok(Self { open, of_request })
    }

    /// Id of the session that serves request `index`.
    pub fn id(&self, index: usize) -> &str {
        self.open[self.of_request[index]].0.id()
    }

    /// What was sent for request `index` and its fellows.
    pub fn report(&self, index: usize) -> Arc<SyncReport> {
        self.open[self.of_request[index]].1.clone()
    }

    /// Bytes sent to the engine by all sessions, content and framing.
    pub fn wire_bytes(&self) -> u64 {
        self.open.iter().map(|(_, report)| report.wire_bytes()).sum()
    }
}

/// Where the session writes what exporter `id` sends.
fn destination((id, export): (String, Export)) -> (String, Destination) {
    let destination = match export {
        Export::File(path) => Destination::File(path),
        Export::Directory(path) => Destination::Directory(path),
        Export::Stdout => Destination::Stream(Box::new(std::io::stdout())),
    };
    (id, destination)
}

/// Which session each request belongs to: the first one it does not contradict.
fn group(requests: &[SolveRequest]) -> Vec<usize> {
    let mut groups: Vec<Claims> = Vec::new();
    requests
        .iter()
        .map(|request| {
            let claims = Claims::of(request);
            match groups.iter().position(|group| group.agrees(&claims)) {
                Some(index) => {
                    groups[index].add(claims);
                    index
                }
                None => {
                    groups.push(claims);
                    groups.len() - 1
                }
            }
        })
        .collect()
}

/// What a request wants to be the only one to define.
#[derive(Default)]
struct Claims {
    secrets: BTreeMap<String, SecretLocation>,
    ssh: BTreeMap<String, String>,
    exports: bool,
}

impl Claims {
    fn of(request: &SolveRequest) -> Self {
        Self {
            secrets: request
                .secrets
                .iter()
                .map(|secret| (secret.id.clone(), secret.source.clone()))
                .collect(),
            ssh: request.ssh.iter().cloned().collect(),
            exports: !request.exports.is_empty(),
        }
    }

    fn agrees(&self, other: &Self) -> bool {
        let secrets = other
            .secrets
            .iter()
            .all(|(id, source)| self.secrets.get(id).is_none_or(|mine| mine == source));
        let ssh =
            other.ssh.iter().all(|(id, path)| self.ssh.get(id).is_none_or(|mine| mine == path));
        secrets && ssh && !(self.exports && other.exports)
    }

    fn add(&mut self, other: Self) {
        self.secrets.extend(other.secrets);
        self.ssh.extend(other.ssh);
        self.exports |= other.exports;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::spec::SecretSpec;

    fn with_secret(path: &str) -> SolveRequest {
        let source = SecretLocation::File(path.into());
        let secrets = vec![SecretSpec { id: "token".into(), source }];
        SolveRequest { secrets, ..SolveRequest::default() }
    }

    #[test]
    fn one_session_where_nothing_contradicts() {
        let requests = [SolveRequest::default(), with_secret("/a"), with_secret("/a")];
        assert_eq!(group(&requests), [0, 0, 0]);
    }

    #[test]
    fn contradicting_secrets_part() {
        assert_eq!(group(&[with_secret("/a"), with_secret("/b"), with_secret("/a")]), [0, 1, 0]);
    }

    #[test]
    fn exported_files_part() {
        let export = || SolveRequest {
            exports: BTreeMap::from([("0".to_owned(), Export::Stdout)]),
            ..SolveRequest::default()
        };
        assert_eq!(group(&[export(), SolveRequest::default(), export()]), [0, 0, 1]);
    }
}
