//! The sessions that serve a run. What a session serves, every build that uses it can ask for, whatever its
//! Dockerfile and frontend are: so targets share a session only where they declare the same.
//!
//! The same means everything: directories, secrets and agents with their sources, directories of blobs. Exporters
//! number their files per solve, so a target that exports has a session of its own.
//!
//! A directory that several sessions serve would travel once for each. From BuildKit 0.16 on a solve can name the
//! session that serves a directory: there is then one more session which serves what they have in common and nothing
//! else. Engines that do not know the attribute take the directory from the solve's own session; both have the same
//! shared key, under which the engine keeps what it received.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::try_join_all;

use crate::buildkit::session::auth;
use crate::buildkit::session::content::{self, ContentStores, Directory};
use crate::buildkit::session::file_send::{Destination, ExportReport, FileSend};
use crate::buildkit::session::file_sync::{FileSync, LocalDir, SyncReport};
use crate::buildkit::session::secrets::{self, SecretError, SecretStore};
use crate::buildkit::session::ssh::{self, AgentError, AgentSource, AgentStore};
use crate::buildkit::session::{Opening, Services, Session};
use crate::buildkit::{SolveOptions, TransportError};
use crate::engine::docker_config::DockerConfig;
use crate::progress::TransferProgress;
use crate::registry::logins::CredentialStore;
use crate::solve::request::{Export, SolveRequest};
use crate::solve::stores::EXPORT_STORE;
use crate::targets::spec::{Secret, SecretLocation, SshKey};

/// Attribute that names the session of a directory (BuildKit `dockerui`, `localSessionIDPrefix`).
const LOCAL_SESSION: &str = "local-sessionid:";

/// Contents of secrets' files by path, or why one cannot be read, with its path.
pub type SecretFiles = BTreeMap<PathBuf, Result<Vec<u8>, String>>;

/// What sessions serve besides files.
#[derive(Default)]
pub struct Providers {
    /// Logins.
    pub docker_config: DockerConfig,
    /// What is in the files of secrets, or why it cannot be read.
    pub secret_files: SecretFiles,
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

/// The session of solves that declare the same.
struct OpenSession {
    session: Session,
    sync: Arc<SyncReport>,
    exports: Arc<ExportReport>,
    received: Arc<TransferProgress>,
    /// Directories that another session serves, too, by its place in [`Sessions::common`].
    common: BTreeMap<String, usize>,
}

/// The open sessions of a run.
pub struct Sessions {
    solving: Vec<OpenSession>,
    common: Vec<Session>,
    of_request: Vec<usize>,
}

impl Sessions {
    /// Opens the sessions that `requests` need.
    ///
    /// # Errors
    /// The engine cannot be reached or refused, or a secret or agent is not there.
    pub async fn open(
        at: Opening<'_>,
        requests: &[SolveRequest],
        mut providers: Providers,
    ) -> Result<Self, SessionsError> {
        let of_request = group(requests);
        // One is as good as all of its group: they declare the same.
        let firsts: Vec<&SolveRequest> = (0..)
            .map_while(|index| of_request.iter().position(|of| *of == index))
            .map(|first| &requests[first])
            .collect();
        let common = common(&firsts);
        let reports = reports(&firsts);
        let mut services = Vec::with_capacity(firsts.len());
        let mut written = Vec::with_capacity(firsts.len());
        for request in &firsts {
            let served = serve(request, &reports[&request.shared_key], &mut providers)?;
            services.push((request.shared_key.as_str(), served.services));
            written.push((served.exports, served.received));
        }
        services.extend(common.iter().map(|(key, shared)| {
            let files = files(&shared.directories, &reports[*key]);
            (*key, Services::default().with_diff_copy(files))
        }));
        let open = services.into_iter().map(async |(key, services)| {
            let key = format!("doc2md-docker-{key}");
            Session::open(at, &key, services).await
        });
        let mut sessions = try_join_all(open).await?;
        let common_sessions = sessions.split_off(firsts.len());
        let solving = sessions.into_iter().zip(written).enumerate();
        let solving = solving.map(|(index, (session, (exports, received)))| OpenSession {
            session,
            sync: reports[&firsts[index].shared_key].clone(),
            exports,
            received,
            common: elsewhere(&common, index),
        });
        Ok(Self { solving: solving.collect(), common: common_sessions, of_request })
    }

    /// Has `options` of request `index` served by its sessions.
    pub fn attach(&self, index: usize, options: &mut SolveOptions) {
        let solving = &self.solving[self.of_request[index]];
        solving.session.id().clone_into(&mut options.session);
        for (name, common) in &solving.common {
            let attribute = format!("{LOCAL_SESSION}{name}");
            options.frontend_attrs.insert(attribute, self.common[*common].id().to_owned());
        }
    }

    /// What was sent for request `index` and those that share directories with it.
    pub fn report(&self, index: usize) -> Arc<SyncReport> {
        self.solving[self.of_request[index]].sync.clone()
    }

    /// What the exporters of request `index` have written: it is the one of its session that has some.
    pub fn exports(&self, index: usize) -> Arc<ExportReport> {
        self.solving[self.of_request[index]].exports.clone()
    }

    /// What the engine sends for request `index` blob by blob.
    pub fn received(&self, index: usize) -> Arc<TransferProgress> {
        self.solving[self.of_request[index]].received.clone()
    }

    /// Bytes sent to the engine by all sessions, content and framing.
    pub fn wire_bytes(&self) -> u64 {
        let mut reports: Vec<_> = self.solving.iter().map(|solving| &solving.sync).collect();
        reports.sort_by_key(|report| Arc::as_ptr(report));
        reports.dedup_by_key(|report| Arc::as_ptr(report));
        reports.into_iter().map(|report| report.wire_bytes()).sum()
    }
}

/// The sessions that serve a solve: by directory, and under the empty name the one that serves all others.
pub(super) fn of_directories(options: &SolveOptions) -> BTreeMap<String, String> {
    let named = options.frontend_attrs.iter().filter_map(|(key, session)| {
        Some((key.strip_prefix(LOCAL_SESSION)?.to_owned(), session.clone()))
    });
    std::iter::once((String::new(), options.session.clone())).chain(named).collect()
}

/// What a session serves, and what will have been written to this machine.
struct SessionContent {
    services: Services,
    exports: Arc<ExportReport>,
    received: Arc<TransferProgress>,
}

/// What the session of `request` serves.
fn serve(
    request: &SolveRequest,
    report: &Arc<SyncReport>,
    providers: &mut Providers,
) -> Result<SessionContent, SessionsError> {
    let logins =
        CredentialStore::new(providers.docker_config.clone(), providers.environment.clone());
    let mut services = Services::default()
        .with_diff_copy(files(&request.directories, report))
        .with(auth::service(logins), auth::METHODS);
    let secrets = secrets(request, providers)?;
    if !secrets.is_empty() {
        services = services.with(secrets.into_service(), secrets::METHODS);
    }
    let agents = agents(request, providers)?;
    if !agents.is_empty() {
        services = services.with(agents.into_service(), ssh::METHODS);
    }
    let mut exports = Arc::default();
    let destinations = destinations(request, providers);
    if !destinations.is_empty() {
        let files = FileSend::new(destinations);
        exports = files.report();
        services = services.with_diff_copy(files);
    }
    let stores = stores(request);
    let received = stores.received();
    if !stores.is_empty() {
        services = services.with(stores.into_service(), content::METHODS);
    }
    Ok(SessionContent { services, exports, received })
}

fn files(directories: &BTreeMap<String, PathBuf>, report: &Arc<SyncReport>) -> FileSync {
    let directories =
        directories.iter().map(|(name, path)| LocalDir { name: name.clone(), path: path.clone() });
    FileSync::reporting_to(directories.collect(), report.clone())
}

/// One report for all sessions of a context, by its key: a transfer of one session may be for solves of another.
fn reports(requests: &[&SolveRequest]) -> BTreeMap<String, Arc<SyncReport>> {
    let mut directories: BTreeMap<&str, BTreeMap<&String, &PathBuf>> = BTreeMap::new();
    for request in requests {
        directories.entry(&request.shared_key).or_default().extend(&request.directories);
    }
    let report = |(key, directories): (&str, BTreeMap<&String, &PathBuf>)| {
        let directories = directories
            .into_iter()
            .map(|(name, path)| LocalDir { name: name.clone(), path: path.clone() });
        (key.to_owned(), Arc::new(SyncReport::new(directories.collect())))
    };
    directories.into_iter().map(report).collect()
}

fn secrets(request: &SolveRequest, providers: &Providers) -> Result<SecretStore, SecretError> {
    let mut store = SecretStore::default();
    for Secret { id, source, .. } in &request.secrets {
        let value = match source {
            SecretLocation::File(path) => match providers.secret_files.get(path) {
                Some(Ok(content)) => content.clone(),
                unread => {
                    let reason = unread.and_then(|unread| unread.as_ref().err().cloned());
                    let reason =
                        reason.unwrap_or_else(|| format!("{} was not read", path.display()));
                    return Err(SecretError::File { id: id.clone(), reason });
                }
            },
            // A variable that is not set is an empty secret, as in buildx.
            SecretLocation::Env(name) => {
                let value = request.secret_env.get(name);
                let value = value.or_else(|| providers.environment.get(name));
                value.cloned().unwrap_or_default().into_bytes()
            }
        };
        store.insert(id, value)?;
    }
    Ok(store)
}

fn agents(request: &SolveRequest, providers: &Providers) -> Result<AgentStore, AgentError> {
    let mut store = AgentStore::new(providers.environment.clone());
    let auth_sock = providers.environment.get("SSH_AUTH_SOCK").map(String::as_str);
    for SshKey { id, paths } in &request.ssh {
        store.insert(id, AgentSource::parse(id, paths, auth_sock)?)?;
    }
    Ok(store)
}

fn stores(request: &SolveRequest) -> ContentStores {
    let mut stores = ContentStores::default();
    for (id, directory) in &request.stores {
        stores.insert(id, directory.clone());
    }
    stores
}

fn destinations(
    request: &SolveRequest,
    providers: &mut Providers,
) -> BTreeMap<String, Destination> {
    let mut destinations = BTreeMap::new();
    for (id, export) in request.exports.clone() {
        let destination = match export {
            Export::File(path) => Some(Destination::File(path)),
            Export::Directory(path) => Some(Destination::Directory(path)),
            Export::Stdout => providers.stdout.take().map(Destination::Stream),
        };
        destinations.extend(destination.map(|destination| (id, destination)));
    }
    destinations
}

/// Which session each request belongs to: the first one that serves exactly what it declares.
fn group(requests: &[SolveRequest]) -> Vec<usize> {
    let mut groups: Vec<Option<Declaration<'_>>> = Vec::new();
    requests
        .iter()
        .map(|request| {
            let declared = Declaration::by(request);
            let same = groups.iter().position(|group| group.is_some() && *group == declared);
            same.unwrap_or_else(|| {
                groups.push(declared);
                groups.len() - 1
            })
        })
        .collect()
}

/// Everything that a session serves for a request.
#[derive(PartialEq)]
struct Declaration<'a> {
    shared_key: &'a str,
    directories: &'a BTreeMap<String, PathBuf>,
    secrets: BTreeSet<(&'a str, &'a SecretLocation)>,
    secret_env: &'a BTreeMap<String, String>,
    ssh: BTreeSet<(&'a str, &'a str)>,
    stores: &'a BTreeMap<String, Directory>,
}

impl<'a> Declaration<'a> {
    /// What `request` declares; `None` where it cannot share a session, because it exports.
    fn by(request: &'a SolveRequest) -> Option<Self> {
        let exports = !request.exports.is_empty() || request.stores.contains_key(EXPORT_STORE);
        let secrets = request.secrets.iter().map(|secret| (secret.id.as_str(), &secret.source));
        let ssh = request.ssh.iter().map(|key| (key.id.as_str(), key.paths.as_str()));
        (!exports).then(|| Self {
            shared_key: &request.shared_key,
            directories: &request.directories,
            secrets: secrets.collect(),
            secret_env: &request.secret_env,
            ssh: ssh.collect(),
            stores: &request.stores,
        })
    }
}

/// Directories that several sessions serve.
#[derive(Debug, PartialEq)]
struct Common {
    /// The sessions, in ascending order: each of them serves all of these.
    users: Vec<usize>,
    directories: BTreeMap<String, PathBuf>,
}

/// What the sessions of `requests` have in common, with the key of the context. A session that served a directory
/// which one of its users does not declare would give away what separate sessions keep.
fn common<'a>(requests: &[&'a SolveRequest]) -> Vec<(&'a str, Common)> {
    let mut users: BTreeMap<(&str, &String, &PathBuf), Vec<usize>> = BTreeMap::new();
    for (index, request) in requests.iter().enumerate() {
        for (name, path) in &request.directories {
            users.entry((&request.shared_key, name, path)).or_default().push(index);
        }
    }
    let mut common: BTreeMap<(&str, Vec<usize>), BTreeMap<String, PathBuf>> = BTreeMap::new();
    for ((key, name, path), users) in users {
        if users.len() > 1 {
            common.entry((key, users)).or_default().insert(name.clone(), path.clone());
        }
    }
    common
        .into_iter()
        .map(|((key, users), directories)| (key, Common { users, directories }))
        .collect()
}

/// The directories of session `index` that one of `common` serves, too.
fn elsewhere(common: &[(&str, Common)], index: usize) -> BTreeMap<String, usize> {
    let serving =
        common.iter().enumerate().filter(|(_, (_, common))| common.users.contains(&index));
    serving
        .flat_map(|(place, (_, common))| common.directories.keys().map(move |name| (name, place)))
        .map(|(name, place)| (name.clone(), place))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buildkit::session::content::Access;

    fn with_secret(path: &str) -> SolveRequest {
        let secrets = vec![Secret::of_file("token", path)];
        SolveRequest { secrets, ..SolveRequest::default() }
    }

    fn with_directories(key: &str, directories: &[&str]) -> SolveRequest {
        let directories = directories.iter().map(|name| ((*name).to_owned(), name.into()));
        SolveRequest {
            shared_key: key.into(),
            directories: directories.collect(),
            ..SolveRequest::default()
        }
    }

    #[test]
    fn one_session_where_the_same_is_declared() {
        let none = SolveRequest::default;
        let requests = [none(), with_secret("/a"), with_secret("/b"), with_secret("/a"), none()];
        assert_eq!(group(&requests), [0, 1, 2, 1, 0]);
    }

    #[test]
    fn whatever_differs_parts() {
        let same = || with_directories("a", &["context"]);
        let store = Directory { path: "c".into(), access: Access::Read };
        let stores = BTreeMap::from([("local:c".to_owned(), store)]);
        let ssh = |paths: &str| vec![SshKey::read(&format!("default={paths}"))];
        let secret_env = BTreeMap::from([("T".to_owned(), "v".to_owned())]);
        let requests = [
            same(),
            with_directories("b", &["context"]),
            with_directories("a", &["context", "context-1"]),
            with_directories("", &[]),
            SolveRequest { stores, ..same() },
            SolveRequest { ssh: ssh(""), ..same() },
            SolveRequest { ssh: ssh("/key"), ..same() },
            SolveRequest { secret_env, ..same() },
            SolveRequest { secrets: with_secret("/a").secrets, ..same() },
            same(),
        ];
        assert_eq!(group(&requests), [0, 1, 2, 3, 4, 5, 6, 7, 8, 0]);
    }

    #[test]
    fn who_exports_is_alone() {
        let export = || SolveRequest {
            exports: BTreeMap::from([("0".to_owned(), Export::Stdout)]),
            ..SolveRequest::default()
        };
        let store = Directory { path: "l".into(), access: Access::Write };
        let stores = BTreeMap::from([(EXPORT_STORE.to_owned(), store)]);
        let layout = || SolveRequest { stores: stores.clone(), ..SolveRequest::default() };
        let none = SolveRequest::default;
        assert_eq!(
            group(&[export(), none(), export(), layout(), layout(), none()]),
            [0, 1, 2, 3, 4, 1]
        );
    }

    #[test]
    fn what_is_in_common_is_served_by_those_who_declare_it_alone() {
        let requests = [
            with_directories("a", &["context", "x", "y"]),
            with_directories("a", &["context", "x"]),
            with_directories("a", &["context", "z"]),
            with_directories("b", &["context", "y", "z"]),
        ];
        let requests: Vec<&SolveRequest> = requests.iter().collect();
        let of = |users: &[usize], name: &str| Common {
            users: users.to_vec(),
            directories: BTreeMap::from([(name.to_owned(), name.into())]),
        };
        let common = common(&requests);
        assert_eq!(common, [("a", of(&[0, 1], "x")), ("a", of(&[0, 1, 2], "context"))]);
        let places = |index| elsewhere(&common, index).into_iter().collect::<Vec<_>>();
        assert_eq!(places(0), [("context".to_owned(), 1), ("x".to_owned(), 0)]);
        assert_eq!(places(2), [("context".to_owned(), 1)]);
        assert_eq!(places(3), []);
    }
}
