//! An engine behind ssh: `docker system dial-stdio` on the other machine, its standard streams as
//! the connection. One ssh process per stream; it dies with the stream.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::pin::Pin;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::error::{ConnectError, ConnectErrorKind};
use super::host::Host;

/// Of what ssh writes to its error stream only this many bytes are kept for the message.
const STDERR_LIMIT: usize = 8 * 1024;

/// How long an ssh whose streams have ended may take to end itself. One that shares connections (`ControlPersist`) leaves
/// a process behind that holds its error stream.
const ENDING: Duration = Duration::from_secs(5);
/// The same for what it wrote to be read.
const COMPLAINING: Duration = Duration::from_millis(500);

/// The command line that opens one stream.
pub(crate) fn arguments(
    user: Option<&str>,
    name: &str,
    port: Option<u16>,
    socket: Option<&str>,
) -> Vec<String> {
    let mut arguments: Vec<String> = Vec::new();
    let mut push = |texts: &[&str]| arguments.extend(texts.iter().map(|text| (*text).to_owned()));
    if let Some(user) = user {
        push(&["-l", user]);
    }
    if let Some(port) = port {
        push(&["-p", &port.to_string()]);
    }
    // ssh runs in its own process group (see `open`), where a question on the terminal would stop
    // it for ever: BatchMode turns questions into errors.
    push(&["-o", "ConnectTimeout=30", "-o", "BatchMode=yes", "-T", "--", name]);
    match socket {
        Some(socket) => {
            push(&["docker", &quoted(&format!("--host=unix://{socket}")), "system", "dial-stdio"])
        }
        None => push(&["docker", "system", "dial-stdio"]),
    }
    arguments
}

/// ssh hands its words to the remote shell in one line.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@%+,".contains(c);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Starts ssh. Whether the other side answers shows with the first read.
pub(crate) fn open(
    host: &Host,
    environment: &BTreeMap<String, String>,
    description: &str,
) -> Result<SshStream, ConnectError> {
    let Host::Ssh { user, name, port, socket } = host else {
        return Err(ConnectError::new(
            ConnectErrorKind::Settings,
            format!("{host} is not an ssh address"),
        ));
    };
    let mut command = Command::new("ssh");
    command
        .args(arguments(user.as_deref(), name, *port, socket.as_deref()))
        .envs(environment)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // Ctrl-C in the terminal must reach us alone: the running solve is cancelled through this ssh.
    command.process_group(0);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ConnectError::new(
            ConnectErrorKind::NotThere,
            format!("cannot reach the engine at {description}: no `ssh` program on PATH"),
        )
        .hint("install the OpenSSH client"),
        _ => ConnectError::new(
            ConnectErrorKind::Other,
            format!("cannot reach the engine at {description}: cannot start ssh: {error}"),
        ),
    })?;
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(ConnectError::new(ConnectErrorKind::Other, "ssh started without its streams"));
    };
    let complaint = Complaint::read(stderr);
    Ok(SshStream {
        stdin: Some(stdin),
        stdout,
        state: State::Waiting(child, complaint),
        description: description.to_owned(),
    })
}

/// The last [`STDERR_LIMIT`] bytes of ssh's error stream, which is read to its end.
struct Complaint {
    kept: Arc<Mutex<Vec<u8>>>,
    reading: JoinHandle<()>,
}

impl Complaint {
    fn read(mut stderr: ChildStderr) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let to = Arc::clone(&kept);
        let reading = tokio::spawn(async move {
            let mut buffer = [0; 1024];
            while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
                let mut kept = to.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&buffer[..read]);
                let excess = kept.len().saturating_sub(STDERR_LIMIT);
                kept.drain(..excess);
            }
        });
        Self { kept, reading }
    }

    /// What was written by now, and shortly after.
    async fn text(self) -> String {
        // Another process may hold it open.
        let _ = timeout(COMPLAINING, self.reading).await;
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).trim().to_owned()
    }
}

type Ending = Pin<Box<dyn Future<Output = ConnectError> + Send>>;

enum State {
    /// Nothing has come back yet: an end of the stream is a failure to connect.
    Waiting(Child, Complaint),
    /// Bytes came back: an end of the stream is an end of the stream. The child is held because
    /// dropping it ends ssh.
    Open { _child: Child },
    /// The stream ended before anything came back; finding out why.
    Failing(Ending),
    /// The reason has been told.
    Failed,
}

/// A connection over ssh's standard streams.
pub(crate) struct SshStream {
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    state: State,
    description: String,
}

impl SshStream {
    /// Turns "ended before it began" into the reason ssh gives. `None` when the stream had
    /// already carried data.
    fn poll_failure(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Error>> {
        if let State::Waiting(..) = self.state
            && let State::Waiting(mut child, complaint) =
                std::mem::replace(&mut self.state, State::Failed)
        {
            // Without its input ssh ends by itself even if it still waits for us.
            self.stdin = None;
            let description = self.description.clone();
            self.state = State::Failing(Box::pin(async move {
                let status = match timeout(ENDING, child.wait()).await {
                    Ok(status) => status.map_err(|error| error.to_string()),
                    Err(_) => {
                        let _ = child.start_kill();
                        Err("it closed its output and did not end".to_owned())
                    }
                };
                explain(status, &complaint.text().await, &description)
            }));
        }
        match &mut self.state {
            State::Failing(ending) => ending.as_mut().poll(cx).map(|error| {
                self.state = State::Failed;
                Some(error.into())
            }),
            _ => Poll::Ready(None),
        }
    }
}

/// What ssh's end before the first byte means.
fn explain(status: Result<ExitStatus, String>, stderr: &str, description: &str) -> ConnectError {
    let mut message = format!("cannot reach the engine at {description}: ");
    let code = status.as_ref().ok().and_then(ExitStatus::code);
    let _ = match &status {
        Ok(status) => match status.code() {
            Some(code) => write!(message, "ssh ended with status {code}"),
            None => write!(message, "ssh was killed ({status})"),
        },
        Err(error) => write!(message, "ssh: {error}"),
    };
    if !stderr.is_empty() {
        let _ =
            write!(message, ": {}", stderr.lines().map(str::trim).collect::<Vec<_>>().join("; "));
    }
    let says = |text: &str| stderr.contains(text);
    let (kind, hint) = if code == Some(127) {
        (
            ConnectErrorKind::NotThere,
            "the docker CLI must be on PATH on that machine: `docker system dial-stdio` is the other end",
        )
    } else if says("Host key verification failed") {
        (ConnectErrorKind::Ssh, "connect once by hand with ssh to accept the host's key")
    } else if says("permission denied while trying to connect")
        || says("docker.sock: connect: permission denied")
    {
        (ConnectErrorKind::PermissionDenied, "the user on that machine must be in its group docker")
    } else if says("Permission denied") {
        (
            ConnectErrorKind::PermissionDenied,
            "ssh must log in without asking: load the key into ssh-agent or name it in ~/.ssh/config",
        )
    } else if says("Connection refused") {
        (ConnectErrorKind::Refused, "is sshd running on that machine, and is the port right?")
    } else if says("Could not resolve hostname") {
        (ConnectErrorKind::NotThere, "check the host's name, or add it to ~/.ssh/config")
    } else if says("timed out") {
        (ConnectErrorKind::TimedOut, "is the machine up, and may this one reach it?")
    } else {
        (ConnectErrorKind::Ssh, "try the same by hand: ssh HOST docker system dial-stdio")
    };
    ConnectError::new(kind, message).hint(hint)
}

impl AsyncRead for SshStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !matches!(self.state, State::Failing(_)) {
            let before = buf.filled().len();
            std::task::ready!(Pin::new(&mut self.stdout).poll_read(cx, buf))?;
            if buf.filled().len() > before {
                if let State::Waiting(..) = self.state
                    && let State::Waiting(child, _) =
                        std::mem::replace(&mut self.state, State::Failed)
                {
                    self.state = State::Open { _child: child };
                }
                return Poll::Ready(Ok(()));
            }
        }
        match std::task::ready!(self.poll_failure(cx)) {
            Some(error) => Poll::Ready(Err(error)),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for SshStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(stdin) = &mut self.stdin else {
            // A stream that failed says why to whoever asks first, reader or writer.
            let failure = std::task::ready!(self.poll_failure(cx));
            return Poll::Ready(Err(failure.unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())));
        };
        match std::task::ready!(Pin::new(stdin).poll_write(cx, buf)) {
            Ok(written) => Poll::Ready(Ok(written)),
            Err(error) => {
                let failure = std::task::ready!(self.poll_failure(cx));
                Poll::Ready(Err(failure.unwrap_or(error)))
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stdin {
            Some(stdin) => Pin::new(stdin).poll_flush(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(stdin) = &mut self.stdin {
            // The pipe is already broken where ssh is gone; closing is all that is left to do.
            let _ = std::task::ready!(Pin::new(stdin).poll_shutdown(cx));
        }
        self.stdin = None;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_dial_stdio_behind_a_double_dash() {
        assert_eq!(
            arguments(Some("me"), "build", Some(2222), None).join(" "),
            "-l me -p 2222 -o ConnectTimeout=30 -o BatchMode=yes -T -- build docker system dial-stdio"
        );
        assert_eq!(
            arguments(None, "build", None, Some("/run/my docker.sock")).join(" "),
            "-o ConnectTimeout=30 -o BatchMode=yes -T -- build docker '--host=unix:///run/my docker.sock' system dial-stdio"
        );
    }
}
