//! The agent protocol as far as it must be understood (draft-ietf-sshm-ssh-agent): frames, which
//! requests may pass, and an agent of OpenSSH for key files.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::process::{Child, Command};

use super::AgentError;

/// Largest message OpenSSH's agent takes, in bytes (`AGENT_MAX_LEN`).
const MAX_FRAME: usize = 256 * 1024;
/// SSH_AGENTC_REQUEST_IDENTITIES
const LIST: u8 = 11;
/// SSH_AGENTC_SIGN_REQUEST
const SIGN: u8 = 13;
/// SSH_AGENT_FAILURE, framed.
pub(super) const FAILURE: [u8; 5] = [0, 0, 0, 1, 5];

/// Cuts a byte stream into messages of four bytes length and a body.
#[derive(Debug, Default)]
pub(super) struct Frames {
    buffer: Vec<u8>,
}

impl Frames {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message, with its length in front.
    pub(super) fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(&length) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let length = checked(u32::from_be_bytes(length))?;
        if self.buffer.len() < 4 + length {
            return Ok(None);
        }
        let rest = self.buffer.split_off(4 + length);
        Ok(Some(std::mem::replace(&mut self.buffer, rest)))
    }
}

fn checked(length: u32) -> io::Result<usize> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length == 0 || length > MAX_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "message of an impossible length"));
    }
    Ok(length)
}

/// The agent's answer to a framed request, or a failure in its name.
pub(super) async fn answer(
    agent: &mut (impl AsyncRead + AsyncWrite + Unpin),
    request: &[u8],
) -> io::Result<Vec<u8>> {
    if !matches!(request.get(4), Some(&(LIST | SIGN))) {
        return Ok(FAILURE.to_vec());
    }
    agent.write_all(request).await?;
    agent.flush().await?;
    let mut length = [0; 4];
    agent.read_exact(&mut length).await?;
    let mut answer = length.to_vec();
    answer.resize(4 + checked(u32::from_be_bytes(length))?, 0);
    agent.read_exact(&mut answer[4..]).await?;
    Ok(answer)
}

pub(super) async fn connect(socket: &Path) -> io::Result<tokio::net::UnixStream> {
    tokio::net::UnixStream::connect(socket).await
}

/// An `ssh-agent` of our own that holds the named keys. It ends when dropped.
///
/// OpenSSH reads every kind of key there is; a crate that did would bring an RSA implementation
/// with it.
#[derive(Debug)]
pub(super) struct KeyAgent {
    _agent: Child,
    folder: tempfile::TempDir,
}

impl KeyAgent {
    pub(super) fn socket(&self) -> PathBuf {
        self.folder.path().join("agent")
    }

    /// Starts an agent and loads `keys`, none of which may need a passphrase.
    pub(super) async fn start(
        keys: &[PathBuf],
        environment: &BTreeMap<String, String>,
    ) -> Result<Self, AgentError> {
        let first = keys.first().cloned().unwrap_or_default();
        let failed = |reason: String| AgentError::Key { path: first.clone(), reason };
        let folder = tempfile::Builder::new()
            .prefix("doc2md-ssh-")
            .tempdir()
            .map_err(|error| failed(error.to_string()))?;
        let socket = folder.path().join("agent");
        let mut agent = Command::new("ssh-agent");
        agent
            .args(["-D", "-a"])
            .arg(&socket)
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        // Ctrl-C must not take the agent from a step that is being cancelled in order.
        agent.process_group(0);
        let mut agent = agent.spawn().map_err(|error| failed(not_started("ssh-agent", &error)))?;
        // It prints its address once the socket is there.
        if let Some(stdout) = agent.stdout.take() {
            let mut line = String::new();
            let read = BufReader::new(stdout).read_line(&mut line).await;
            if !matches!(read, Ok(1..)) {
                return Err(failed("ssh-agent ended at once".to_owned()));
            }
        }
        for key in keys {
            add(key, &socket, environment).await?;
        }
        Ok(Self { _agent: agent, folder })
    }
}

async fn add(
    key: &Path,
    socket: &Path,
    environment: &BTreeMap<String, String>,
) -> Result<(), AgentError> {
    let failed = |reason: String| AgentError::Key { path: key.to_owned(), reason };
    let mut command = Command::new("ssh-add");
    command
        .arg("-q")
        .arg("--")
        .arg(key)
        .envs(environment)
        .env("SSH_AUTH_SOCK", socket)
        // No question may reach the terminal in the middle of a build's output: a passphrase is
        // asked of a program that has none.
        .env("SSH_ASKPASS", "false")
        .env("SSH_ASKPASS_REQUIRE", "force")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let output = command.output().await.map_err(|error| failed(not_started("ssh-add", &error)))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(failed(if said.is_empty() {
        "it needs a passphrase; load it with ssh-add and forward the agent instead".to_owned()
    } else {
        // Permissions that are too open come with a banner of @ signs.
        said.lines().map(str::trim).filter(|l| !l.starts_with('@')).collect::<Vec<_>>().join(" ")
    }))
}

fn not_started(program: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            format!("no `{program}` program on PATH; install OpenSSH, or forward a running agent")
        }
        _ => format!("cannot start {program}: {error}"),
    }
}
