//! The SSH service: the user's ssh agent for `RUN --mount=type=ssh` and git contexts.
//!
//! A build step talks to the agent itself, so only what a login needs is let through: listing keys
//! and signing. Adding, removing and locking keys, and extensions, are answered with a failure, as
//! buildx does.

mod agent;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use bollard_buildkit_proto::moby::sshforward::v1::ssh_server::{Ssh, SshServer};
use bollard_buildkit_proto::moby::sshforward::v1::{
    BytesMessage, CheckAgentRequest, CheckAgentResponse,
};
use futures_util::Stream;
use tokio::sync::{OnceCell, mpsc};
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::files::read;
use agent::KeyAgent;

/// Methods of the service to announce.
pub const METHODS: &[&str] = &["CheckAgent", "ForwardAgent"];

/// The id of `--mount=type=ssh` without an id.
pub const DEFAULT_ID: &str = "default";

/// Metadata key that names the id of a stream (BuildKit `sshforward.KeySSHID`).
const ID_METADATA: &str = "buildkit.ssh.id";

/// Bytes per message towards the engine, as buildx sends them.
const CHUNK: usize = 32 * 1024;

/// What one id forwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentSource {
    /// The socket of a running agent.
    Socket(PathBuf),
    /// Private keys, served by an agent started for the session.
    Keys(Vec<PathBuf>),
}

/// An ssh mount that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Neither a path nor SSH_AUTH_SOCK.
    #[error("ssh `{id}` names no agent or key, and SSH_AUTH_SOCK is not set")]
    NoAgent {
        /// The id.
        id: String,
    },
    /// The socket or key is not there, or not readable.
    #[error("cannot use {} for ssh `{id}`: {source}", path.display())]
    Path {
        /// The id.
        id: String,
        /// The socket or key.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A socket together with anything else.
    #[error("ssh `{id}` mixes an agent's socket with other paths; give one socket, or only keys")]
    Mixed {
        /// The id.
        id: String,
    },
    /// Two targets give one id two sources.
    #[error("ssh `{id}` has two different sources in one session")]
    Conflict {
        /// The id.
        id: String,
    },
    /// ssh-agent or ssh-add, which serve key files, failed.
    #[error("cannot load key {} for ssh: {reason}", path.display())]
    Key {
        /// The key.
        path: PathBuf,
        /// What the program or the system said.
        reason: String,
    },
}

impl AgentSource {
    /// Reads the paths of `ID=PATH[,PATH...]`; no path means the agent of SSH_AUTH_SOCK, given as
    /// `auth_sock`. `id` is for messages.
    ///
    /// # Errors
    /// When there is nothing to forward, or what is named is not there.
    pub fn parse(id: &str, paths: &str, auth_sock: Option<&str>) -> Result<Self, AgentError> {
        let paths = if paths.is_empty() { auth_sock.unwrap_or_default() } else { paths };
        if paths.is_empty() {
            return Err(AgentError::NoAgent { id: id.to_owned() });
        }
        let paths: Vec<PathBuf> = paths.split(',').map(PathBuf::from).collect();
        let mut sockets = 0;
        for path in &paths {
            let unusable =
                |source| AgentError::Path { id: id.to_owned(), path: path.clone(), source };
            if is_socket(path).map_err(unusable)? {
                sockets += 1;
            } else {
                read::open(path).map_err(unusable)?;
            }
        }
        match (sockets, paths.len()) {
            (0, _) => Ok(Self::Keys(paths)),
            (1, 1) => Ok(Self::Socket(paths.into_iter().next().unwrap_or_default())),
            _ => Err(AgentError::Mixed { id: id.to_owned() }),
        }
    }
}

fn is_socket(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::FileTypeExt as _;
    Ok(std::fs::metadata(path)?.file_type().is_socket())
}

/// The agents of a session.
#[derive(Debug, Default)]
pub struct AgentStore {
    sources: BTreeMap<String, Agent>,
    environment: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Agent {
    source: AgentSource,
    /// The agent for key files, once a step has asked for it.
    keys: OnceCell<KeyAgent>,
}

impl AgentStore {
    /// No agents yet. ssh-agent and ssh-add, which serve key files, run with `environment`.
    pub fn new(environment: BTreeMap<String, String>) -> Self {
        Self { sources: BTreeMap::new(), environment }
    }

    /// Adds what `id` forwards; an empty id is [`DEFAULT_ID`]. The same source may be added again.
    ///
    /// # Errors
    /// When the id already has another source.
    pub fn insert(&mut self, id: &str, source: AgentSource) -> Result<(), AgentError> {
        let id = or_default(id);
        match self.sources.get(id) {
            Some(known) if known.source == source => Ok(()),
            Some(_) => Err(AgentError::Conflict { id: id.to_owned() }),
            None => {
                self.sources.insert(id.to_owned(), Agent { source, keys: OnceCell::new() });
                Ok(())
            }
        }
    }

    /// Whether there is nothing to serve.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// The service for a session.
    pub fn into_service(self) -> SshServer<Self> {
        SshServer::new(self)
    }

    fn get(&self, id: &str) -> Result<&Agent, Status> {
        let unknown = || Status::not_found(format!("no ssh agent or key was given for id `{id}`"));
        self.sources.get(id).ok_or_else(unknown)
    }

    /// The socket behind an id; starts the agent for key files if need be.
    async fn socket(&self, id: &str) -> Result<PathBuf, Status> {
        let forwarded = self.get(id)?;
        match &forwarded.source {
            AgentSource::Socket(path) => Ok(path.clone()),
            AgentSource::Keys(keys) => {
                let start = || KeyAgent::start(keys, &self.environment);
                let agent = forwarded.keys.get_or_try_init(start).await;
                let refused = |error: AgentError| Status::failed_precondition(error.to_string());
                agent.map(|agent| agent.socket().to_owned()).map_err(refused)
            }
        }
    }
}

fn or_default(id: &str) -> &str {
    if id.is_empty() { DEFAULT_ID } else { id }
}

#[tonic::async_trait]
impl Ssh for AgentStore {
    async fn check_agent(
        &self,
        request: Request<CheckAgentRequest>,
    ) -> Result<Response<CheckAgentResponse>, Status> {
        self.socket(or_default(&request.get_ref().id)).await?;
        Ok(Response::new(CheckAgentResponse {}))
    }

    type ForwardAgentStream = Pin<Box<dyn Stream<Item = Result<BytesMessage, Status>> + Send>>;

    async fn forward_agent(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Self::ForwardAgentStream>, Status> {
        let id = request.metadata().get(ID_METADATA).and_then(|id| id.to_str().ok());
        let id = or_default(id.unwrap_or_default()).to_owned();
        let socket = self.socket(&id).await?;
        let mut connection = agent::connect(&socket).await.map_err(|error| {
            Status::failed_precondition(format!(
                "cannot reach the ssh agent at {} for id `{id}`: {error}",
                socket.display()
            ))
        })?;
        let mut incoming = request.into_inner();
        let (answers, outgoing) = mpsc::channel(4);
        // Ends when the step closes its side, or with the stream: then sending fails.
        tokio::spawn(async move {
            let mut requests = agent::Frames::default();
            while let Some(Ok(message)) = incoming.next().await {
                requests.push(&message.data);
                loop {
                    let answer = match requests.next() {
                        Ok(None) => break,
                        Ok(Some(request)) => agent::answer(&mut connection, &request).await,
                        Err(error) => Err(error),
                    };
                    let failed = answer.is_err();
                    let messages = match answer {
                        Ok(answer) => answer
                            .chunks(CHUNK)
                            .map(|data| Ok(BytesMessage { data: data.to_vec() }))
                            .collect(),
                        Err(error) => vec![Err(Status::unavailable(format!("ssh agent: {error}")))],
                    };
                    for message in messages {
                        if answers.send(message).await.is_err() {
                            return;
                        }
                    }
                    if failed {
                        return;
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }
}

#[cfg(all(test, unix))]
mod tests;
