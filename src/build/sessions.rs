//! The sessions that serve a run: one per build context, more only where one cannot do.
//!
//! The engine calls every main context `context` and keeps what it received of it under the
//! session's shared key, so targets share a session exactly where they share a context: it then
//! travels once. A session also has one secret and one SSH agent per id, and exporters number
//! their files per solve, so targets that contradict each other in these are kept apart too.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use crate::build::request::{Export, SolveRequest};
use crate::build::spec::SecretLocation;
use crate::build::stores::EXPORT_STORE;
use crate::buildkit::TransportError;
use crate::buildkit::session::auth::{self, CredentialStore};
use crate::buildkit::session::content::{self, ContentStores};
use crate::buildkit::session::file_send::{Destination, ExportReport, FileSend};
use crate::buildkit::session::file_sync::{FileSync, LocalDir, SyncReport};
use crate::buildkit::session::secrets::{self, SecretError, SecretSource, SecretStore};
use crate::buildkit::session::ssh::{self, AgentError, AgentSource, AgentStore};
use crate::buildkit::session::{Services, Session};
use crate::engine::Connector;
use crate::engine::docker_config::DockerConfig;

/// What sessions serve besides files.
#[derive(Default)]
pub struct Providers {
    /// Logins.
    pub docker_config: DockerConfig,
    /// The process environment: credential helpers and ssh-agent run with it, secrets and
    /// SSH_AUTH_SOCK are looked up in it.
    pub environment: BTreeMap<String, String>,
    /// Where an export to standard output goes; there is one, so a second such export fails.
    pub stdout: Option<Box<dyn Write + Send>>,
}

/// A session that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SessionsError {
    /// The engine cannot be reached or refused.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// A secret cannot be served.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// An SSH agent cannot be forwarded.
    #[error(transparent)]
    Ssh(#[from] AgentError),
}

/// One of them.
struct Open {
    session: Session,
    sync: Arc<SyncReport>,
    exports: Arc<ExportReport>,
}

/// The open sessions of a run.
pub struct Sessions {
    open: Vec<Open>,
    of_request: Vec<usize>,
}

impl Sessions {
    /// Opens the sessions that `requests` need.
    ///
    /// # Errors
    /// The engine cannot be reached or refused, or a secret or agent is not there.
    pub async fn open(
        connector: &Connector,
        requests: &[SolveRequest],
        mut providers: Providers,
    ) -> Result<Self, SessionsError> {
        let of_request = group(requests);
        let groups = of_request.iter().max().map_or(0, |last| last + 1);
        let mut open = Vec::with_capacity(groups);
        for index in 0..groups {
            let members: Vec<&SolveRequest> = requests
                .iter()
                .zip(&of_request)
                .filter_map(|(request, of)| (*of == index).then_some(request))
                .collect();
            let directories: BTreeMap<_, _> =
                members.iter().flat_map(|request| request.directories.clone()).collect();
            let files = FileSync::new(
                directories.into_iter().map(|(name, path)| LocalDir { name, path }).collect(),
            );
            let sync = files.report();
            let logins = CredentialStore::new(
                providers.docker_config.clone(),
                providers.environment.clone(),
            );
            let mut services = Services::default()
                .with_diff_copy(files)
                .with(logins.into_service(), auth::METHODS);
            let secrets = secrets(&members, &providers)?;
            if !secrets.is_empty() {
                services = services.with(secrets.into_service(), secrets::METHODS);
            }
            let agents = agents(&members, &providers)?;
            if !agents.is_empty() {
                services = services.with(agents.into_service(), ssh::METHODS);
            }
            let mut exports = Arc::default();
            let destinations = destinations(&members, &mut providers);
            if !destinations.is_empty() {
                let files = FileSend::new(destinations);
                exports = files.report();
                services = services.with_diff_copy(files);
            }
            let stores = stores(&members);
            if !stores.is_empty() {
                services = services.with(stores.into_service(), content::METHODS);
            }
            let key = members.iter().map(|request| request.shared_key.as_str()).max();
            let key = format!("doc2md-docker-{}", key.unwrap_or_default());
            let session = Session::open(connector, &key, services).await?;
            open.push(Open { session, sync, exports });
        }
        Ok(Self { open, of_request })
    }

    /// Id of the session that serves request `index`.
    pub fn id(&self, index: usize) -> &str {
        self.open[self.of_request[index]].session.id()
    }

    /// What was sent for request `index` and its fellows.
    pub fn report(&self, index: usize) -> Arc<SyncReport> {
        self.open[self.of_request[index]].sync.clone()
    }

    /// What the exporters of request `index` have written: it is the one of its session that has some.
    pub fn exports(&self, index: usize) -> Arc<ExportReport> {
        self.open[self.of_request[index]].exports.clone()
    }

    /// Bytes sent to the engine by all sessions, content and framing.
    pub fn wire_bytes(&self) -> u64 {
        self.open.iter().map(|open| open.sync.wire_bytes()).sum()
    }
}

fn secrets(members: &[&SolveRequest], providers: &Providers) -> Result<SecretStore, SecretError> {
    let mut store = SecretStore::default();
    for request in members {
        for secret in &request.secrets {
            let source = match &secret.source {
                SecretLocation::File(path) => SecretSource::File(path.clone()),
                // A variable that is not set is an empty secret, as in buildx.
                SecretLocation::Env(name) => {
                    let value = request.secret_env.get(name);
                    let value = value.or_else(|| providers.environment.get(name));
                    SecretSource::Value(value.cloned().unwrap_or_default().into_bytes())
                }
            };
            store.insert(&secret.id, source)?;
        }
    }
    Ok(store)
}

fn agents(members: &[&SolveRequest], providers: &Providers) -> Result<AgentStore, AgentError> {
    let mut store = AgentStore::new(providers.environment.clone());
    let auth_sock = providers.environment.get("SSH_AUTH_SOCK").map(String::as_str);
    for (id, paths) in members.iter().flat_map(|request| &request.ssh) {
        store.insert(id, AgentSource::parse(id, paths, auth_sock)?)?;
    }
    Ok(store)
}

fn stores(members: &[&SolveRequest]) -> ContentStores {
    let mut stores = ContentStores::default();
    for (id, directory) in members.iter().flat_map(|request| &request.stores) {
        stores.insert(id, directory.clone());
    }
    stores
}

/// At most one member exports: exporters are numbered per solve.
fn destinations(
    members: &[&SolveRequest],
    providers: &mut Providers,
) -> BTreeMap<String, Destination> {
    let mut destinations = BTreeMap::new();
    for (id, export) in members.iter().flat_map(|request| request.exports.clone()) {
        let destination = match export {
            Export::File(path) => Some(Destination::File(path)),
            Export::Directory(path) => Some(Destination::Directory(path)),
            Export::Stdout => providers.stdout.take().map(Destination::Stream),
        };
        destinations.extend(destination.map(|destination| (id, destination)));
    }
    destinations
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
            exports: !request.exports.is_empty() || request.stores.contains_key(EXPORT_STORE),
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
    use crate::buildkit::session::content::{Access, Directory};

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
        let store = Directory { path: "l".into(), access: Access::Write };
        let stores = BTreeMap::from([(EXPORT_STORE.to_owned(), store)]);
        let layout = SolveRequest { stores, ..SolveRequest::default() };
        assert_eq!(group(&[export(), SolveRequest::default(), export(), layout]), [0, 0, 1, 2]);
    }
}
