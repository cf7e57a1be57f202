//! The sessions that serve a run: one per build context, more only where one cannot do.
//!
//! The engine calls every main context `context` and keeps what it received of it under the
//! session's shared key, so targets share a session exactly where they share a context: it then
//! travels once. A session also has one secret and one SSH agent per id, and exporters number
//! their files per solve, so targets that contradict each other in these part too.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use crate::build::request::{Export, SolveRequest};
use crate::build::spec::SecretLocation;
use crate::buildkit::TransportError;
use crate::buildkit::session::file_send::{Destination, FileSend};
use crate::buildkit::session::file_sync::{FileSync, LocalDir, SyncReport};
use crate::buildkit::session::{Services, Session};
use crate::engine::Connector;

/// The open sessions of a run.
pub struct Sessions {
    open: Vec<(Session, Arc<SyncReport>)>,
    of_request: Vec<usize>,
}

impl Sessions {
    /// Opens the sessions that `requests` need; an export to standard output fails.
    ///
    /// # Errors
    /// The engine cannot be reached or refused.
    pub async fn open(
        connector: &Connector,
        requests: &[SolveRequest],
    ) -> Result<Self, TransportError> {
        Self::open_with_stdout(connector, requests, None).await
    }

    /// Opens the sessions that `requests` need. An export to standard output is written to
    /// `stdout`; there is one, so a second such export fails.
    ///
    /// # Errors
    /// The engine cannot be reached or refused.
    pub async fn open_with_stdout(
        connector: &Connector,
        requests: &[SolveRequest],
        mut stdout: Option<Box<dyn Write + Send>>,
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
            let mut destinations = BTreeMap::new();
            for (id, export) in members().flat_map(|request| request.exports.clone()) {
                let destination = match export {
                    Export::File(path) => Some(Destination::File(path)),
                    Export::Directory(path) => Some(Destination::Directory(path)),
                    Export::Stdout => stdout.take().map(Destination::Stream),
                };
                destinations.extend(destination.map(|destination| (id, destination)));
            }
            if !destinations.is_empty() {
                services = services.with(FileSend::new(destinations), &["DiffCopy"]);
            }
            let key =
                members().map(|request| request.shared_key.as_str()).max().unwrap_or_default();
            let key = format!("doc2md-docker-{key}");
            open.push((Session::open(connector, &key, services).await?, report));
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
    shared_key: String,
    secrets: BTreeMap<String, SecretLocation>,
    ssh: BTreeMap<String, String>,
    exports: bool,
}

impl Claims {
    fn of(request: &SolveRequest) -> Self {
        Self {
            shared_key: request.shared_key.clone(),
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
        let context = self.shared_key.is_empty()
            || other.shared_key.is_empty()
            || self.shared_key == other.shared_key;
        context && secrets && ssh && !(self.exports && other.exports)
    }

    fn add(&mut self, other: Self) {
        if self.shared_key.is_empty() {
            self.shared_key = other.shared_key;
        }
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
    fn contexts_part() {
        let of = |key: &str| SolveRequest { shared_key: key.into(), ..SolveRequest::default() };
        assert_eq!(group(&[of("a"), of("b"), of(""), of("a")]), [0, 1, 0, 0]);
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
