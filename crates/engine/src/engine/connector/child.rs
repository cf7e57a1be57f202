//! A connection over the standard streams of a program that reaches the other side: ssh, kubectl, podman, nerdctl. One
//! process per stream; it dies with the stream.

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

/// Of what the program writes to its error stream only this many bytes are kept for the message.
const STDERR_LIMIT: usize = 8 * 1024;

/// How long a program whose streams have ended may take to end itself. An ssh that shares connections (`ControlPersist`) leaves
/// a process behind that holds its error stream.
const ENDING: Duration = Duration::from_secs(5);
/// The same for what it wrote to be read.
const COMPLAINING: Duration = Duration::from_millis(500);

/// Most of an answer: a pod is told of in some 10 KiB.
const OUTPUT_LIMIT: u64 = 16 << 20;
/// How long a program may take that answers once.
const OUTPUT_PATIENCE: Duration = Duration::from_secs(30);

/// A program that reaches the other side.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// Its name on PATH.
    pub(crate) name: &'static str,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// What to do where there is none.
    pub(crate) install: &'static str,
    /// What its end before the first byte means, by its exit code and what it wrote.
    pub(crate) hint: Hint,
}

/// See [`Program::hint`].
pub(crate) type Hint = fn(Option<i32>, &str) -> (ConnectErrorKind, &'static str);

/// Starts `program`. Whether the other side, which messages call `peer`, answers shows with the first read.
pub(crate) fn open(
    program: Program,
    environment: &BTreeMap<String, String>,
    peer: &str,
) -> Result<ChildStream, ConnectError> {
    let (child, stdin, stdout, complaint) = start(&program, environment, Stdio::piped(), peer)?;
    Ok(ChildStream {
        stdin,
        stdout,
        state: State::Waiting(child, complaint),
        program,
        peer: peer.to_owned(),
    })
}

/// What `program` writes until it ends by itself, which is to succeed. Messages call the other side `peer`.
pub(crate) async fn output(
    program: Program,
    environment: &BTreeMap<String, String>,
    peer: &str,
) -> Result<Vec<u8>, ConnectError> {
    let (mut child, _, stdout, complaint) = start(&program, environment, Stdio::null(), peer)?;
    let failed = |kind, why: String| {
        ConnectError::new(kind, format!("cannot reach {peer}: {}: {why}", program.name))
    };
    let mut written = Vec::new();
    let ended = async {
        stdout.take(OUTPUT_LIMIT + 1).read_to_end(&mut written).await?;
        child.wait().await
    };
    let status = match timeout(OUTPUT_PATIENCE, ended).await {
        Ok(status) => status.map_err(|error| failed(ConnectErrorKind::Other, error.to_string()))?,
        Err(_) => {
            let why = format!("no answer within {} s", OUTPUT_PATIENCE.as_secs());
            return Err(failed(ConnectErrorKind::TimedOut, why));
        }
    };
    if written.len() as u64 > OUTPUT_LIMIT {
        let why = format!("it wrote more than {} MiB", OUTPUT_LIMIT >> 20);
        return Err(failed(ConnectErrorKind::Other, why));
    }
    match status.success() {
        true => Ok(written),
        false => Err(explain(Ok(status), &complaint.text().await, &program, peer)),
    }
}

type ChildIo = (Child, Option<ChildStdin>, ChildStdout, Complaint);

fn start(
    program: &Program,
    environment: &BTreeMap<String, String>,
    stdin: Stdio,
    peer: &str,
) -> Result<ChildIo, ConnectError> {
    let mut command = Command::new(program.name);
    command
        .args(&program.arguments)
        .envs(environment)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // Ctrl-C in the terminal must reach us alone: the running solve is cancelled through this program.
    command.process_group(0);
    let name = program.name;
    let mut child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ConnectError::new(
            ConnectErrorKind::NotThere,
            format!("cannot reach {peer}: no `{name}` program on PATH"),
        )
        .hint(program.install),
        _ => ConnectError::new(
            ConnectErrorKind::Other,
            format!("cannot reach {peer}: cannot start {name}: {error}"),
        ),
    })?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        let message = format!("{name} started without its streams");
        return Err(ConnectError::new(ConnectErrorKind::Other, message));
    };
    let stdin = child.stdin.take();
    Ok((child, stdin, stdout, Complaint::read(stderr)))
}

/// The last [`STDERR_LIMIT`] bytes of its error stream, which is read to its end.
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
    /// dropping it ends the program.
    Open { _child: Child },
    /// The stream ended before anything came back; finding out why.
    Failing(Ending),
    /// The reason has been told.
    Failed,
}

/// A connection over a program's standard streams.
pub(crate) struct ChildStream {
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    state: State,
    program: Program,
    peer: String,
}

impl ChildStream {
    /// Turns "ended before it began" into the reason the program gives. `None` when the stream had
    /// already carried data.
    fn poll_failure(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Error>> {
        if let State::Waiting(..) = self.state
            && let State::Waiting(mut child, complaint) =
                std::mem::replace(&mut self.state, State::Failed)
        {
            // Without its input it ends by itself even if it still waits for us.
            self.stdin = None;
            let (program, peer) = (self.program.clone(), self.peer.clone());
            self.state = State::Failing(Box::pin(async move {
                let status = match timeout(ENDING, child.wait()).await {
                    Ok(status) => status.map_err(|error| error.to_string()),
                    Err(_) => {
                        let _ = child.start_kill();
                        Err("it closed its output and did not end".to_owned())
                    }
                };
                explain(status, &complaint.text().await, &program, &peer)
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

/// What the program's end before the first byte means.
fn explain(
    status: Result<ExitStatus, String>,
    stderr: &str,
    program: &Program,
    peer: &str,
) -> ConnectError {
    let name = program.name;
    let mut message = format!("cannot reach {peer}: ");
    let code = status.as_ref().ok().and_then(ExitStatus::code);
    let _ = match &status {
        Ok(status) => match status.code() {
            Some(code) => write!(message, "{name} ended with status {code}"),
            None => write!(message, "{name} was killed ({status})"),
        },
        Err(error) => write!(message, "{name}: {error}"),
    };
    let told: Vec<_> = stderr.lines().map(str::trim).filter(|line| !is_log(line)).collect();
    if !told.is_empty() {
        let _ = write!(message, ": {}", told.join("; "));
    }
    let (kind, hint) = (program.hint)(code, stderr);
    ConnectError::new(kind, message).hint(hint)
}

/// Whether a line is one of a log, as kubectl writes them before the one that tells the reason: `E1128 05:55:38.901473 ...`.
fn is_log(line: &str) -> bool {
    let mut bytes = line.bytes();
    bytes.next().is_some_and(|level| b"EWIF".contains(&level))
        && bytes.by_ref().take(4).filter(u8::is_ascii_digit).count() == 4
        && bytes.next() == Some(b' ')
}

impl AsyncRead for ChildStream {
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

impl AsyncWrite for ChildStream {
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
            // The pipe is already broken where the program is gone; closing is all that is left to do.
            let _ = std::task::ready!(Pin::new(stdin).poll_shutdown(cx));
        }
        self.stdin = None;
        Poll::Ready(Ok(()))
    }
}
