//! A stream to BuildKit in a container of a docker engine: the engine runs `buildctl dial-stdio` there, and its input and
//! output are the stream. A container of buildx that is not running is started, as buildx does; another one is not, as buildctl
//! does not.
//!
//! Source: buildx `driver/docker-container/driver.go`, moby `pkg/stdcopy`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{ConnectError, ConnectErrorKind, Connector, Stream};
use crate::engine::error::message_in;
use crate::engine::http::{LONGEST_REFUSAL, encoded};

/// What connects its input and output with BuildKit.
const DIAL: [&str; 2] = ["buildctl", "dial-stdio"];
/// What succeeds once BuildKit answers.
const IS_UP: [&str; 3] = ["buildctl", "debug", "workers"];
/// How often BuildKit is asked whether it is up after its container was started, and how much longer it gets each time.
const TRIES: u32 = 12;
const STEP: Duration = Duration::from_millis(100);
/// How much is kept of what the command says of its failure.
const SAID: usize = 4 << 10;

/// A container with BuildKit in it.
#[derive(Debug, Clone)]
pub(super) struct BuildkitContainer {
    pub(super) name: String,
    pub(super) when_stopped: WhenStopped,
}

/// What is done with one that does not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WhenStopped {
    /// It is buildx's, and is started.
    Start,
    /// It is somebody's, and the user is told.
    Fail,
}

/// Opens a stream to BuildKit in `container`, which messages call `peer`.
pub(super) async fn open(
    engine: &Connector,
    container: &BuildkitContainer,
    peer: &str,
) -> Result<Box<dyn Stream>, ConnectError> {
    let place = Place { engine, container, peer };
    let id = match place.prepare(&DIAL).await? {
        Some(id) => id,
        None => {
            place.start().await?;
            place
                .prepare(&DIAL)
                .await?
                .ok_or_else(|| place.failed("its container does not stay up"))?
        }
    };
    let answer = place.ask(Method::POST, &format!("/exec/{id}/start"), &start_options()).await?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(place.refused(answer).await);
    }
    let upgraded = hyper::upgrade::on(answer).await.map_err(|error| place.failed(error))?;
    Ok(Box::new(Output {
        stream: TokioIo::new(upgraded),
        peer: peer.to_owned(),
        header: [0; 8],
        known: 0,
        left: 0,
        said: Vec::new(),
    }))
}

fn start_options() -> Value {
    json!({"Detach": false, "Tty": false})
}

/// A container of an engine.
struct Place<'a> {
    engine: &'a Connector,
    container: &'a BuildkitContainer,
    peer: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ExecId {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ExecEnd {
    exit_code: Option<i64>,
}

impl Place<'_> {
    /// Prepares a command. Returns its id; `None` where the container is not running and may be started.
    async fn prepare(&self, command: &[&str]) -> Result<Option<String>, ConnectError> {
        let options = json!({
            "AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Cmd": command
        });
        let path = format!("/containers/{}/exec", encoded(&self.container.name));
        let answer = self.ask(Method::POST, &path, &options).await?;
        let name = &self.container.name;
        match (answer.status(), self.container.when_stopped) {
            (StatusCode::CREATED, _) => self.read::<ExecId>(answer).await.map(|it| Some(it.id)),
            (StatusCode::CONFLICT, WhenStopped::Start) => Ok(None),
            // It may be paused, too: the engine says which.
            (StatusCode::CONFLICT, WhenStopped::Fail) => {
                let hint =
                    format!("`docker ps --all` shows its state, `docker start {name}` starts it");
                Err(self.refused(answer).await.hint(hint))
            }
            (StatusCode::NOT_FOUND, when_stopped) => Err(self
                .failed(format!("there is no container `{name}`"))
                .hint(match when_stopped {
                    WhenStopped::Start => "`docker buildx inspect --bootstrap NAME` makes it",
                    WhenStopped::Fail => {
                        "`docker ps --all` lists containers; ?context=NAME names another engine's"
                    }
                })),
            _ => Err(self.refused(answer).await),
        }
    }

    /// Starts the container, and waits until BuildKit in it answers.
    async fn start(&self) -> Result<(), ConnectError> {
        let path = format!("/containers/{}/start", encoded(&self.container.name));
        let answer = self.ask(Method::POST, &path, &Value::Null).await?;
        if !answer.status().is_success() && answer.status() != StatusCode::NOT_MODIFIED {
            return Err(self.refused(answer).await);
        }
        for tried in 0..TRIES {
            let Some(id) = self.prepare(&IS_UP).await? else {
                return Err(self.failed("its container ends as soon as it is started"));
            };
            let path = format!("/exec/{id}/start");
            let answer = self.ask(Method::POST, &path, &start_options()).await?;
            if let Ok(upgraded) = hyper::upgrade::on(answer).await {
                // Until it has ended; a container says little before that.
                let mut output = TokioIo::new(upgraded);
                let _ = tokio::io::copy(&mut output, &mut tokio::io::sink()).await;
            }
            let answer = self.ask(Method::GET, &format!("/exec/{id}/json"), &Value::Null).await?;
            if self.read::<ExecEnd>(answer).await?.exit_code == Some(0) {
                return Ok(());
            }
            tokio::time::sleep(STEP * tried).await;
        }
        Err(self.failed("its container was started, but BuildKit in it does not answer"))
    }

    /// A request on a connection of its own, which may be upgraded.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Response<Incoming>, ConnectError> {
        let failed = |error: hyper::Error| self.failed(error);
        let stream = Box::pin(self.engine.open()).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        tokio::spawn(connection.with_upgrades());
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().map_err(|error| self.failed(error))?;
        let headers = request.headers_mut();
        headers.insert(header::HOST, header::HeaderValue::from_static("docker"));
        if path.starts_with("/exec/") && path.ends_with("/start") {
            headers.insert(header::CONNECTION, header::HeaderValue::from_static("Upgrade"));
            headers.insert(header::UPGRADE, header::HeaderValue::from_static("tcp"));
        }
        let json = header::HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        sender.send_request(request).await.map_err(failed)
    }

    async fn read<T: for<'a> Deserialize<'a>>(
        &self,
        answer: Response<Incoming>,
    ) -> Result<T, ConnectError> {
        let body = Limited::new(answer.into_body(), LONGEST_REFUSAL).collect().await;
        let body = body.map_err(|error| self.failed(error))?.to_bytes();
        serde_json::from_slice(&body).map_err(|error| self.failed(error))
    }

    async fn refused(&self, answer: Response<Incoming>) -> ConnectError {
        let body = Limited::new(answer.into_body(), LONGEST_REFUSAL).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        self.failed(message_in(&body))
    }

    fn failed(&self, why: impl std::fmt::Display) -> ConnectError {
        let message = format!("cannot reach {}: {why}", self.peer);
        ConnectError::new(ConnectErrorKind::Other, message)
    }
}

/// Input and output of a command. What it says on the two streams comes in pieces, each with a header of eight bytes: the
/// number of the stream first, the length last.
struct Output<S> {
    stream: S,
    peer: String,
    header: [u8; 8],
    /// Bytes of the header that have come.
    known: usize,
    /// Bytes of the piece that are still to come.
    left: usize,
    /// The end of what the command says on its standard error.
    said: Vec<u8>,
}

impl<S: AsyncRead + Unpin> Output<S> {
    /// What the end of the output means.
    fn end(&self) -> io::Result<()> {
        let said = String::from_utf8_lossy(&self.said);
        let said = said.trim().trim_start_matches("error: ");
        if said.is_empty() {
            return Ok(());
        }
        let message = format!("cannot reach {}: {said}", self.peer);
        let error = ConnectError::new(ConnectErrorKind::Other, message);
        Err(error
            .hint("is BuildKit running there? `docker logs` of the container says more")
            .into())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Output<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if this.left == 0 {
                let mut header = ReadBuf::new(&mut this.header[this.known..]);
                ready!(Pin::new(&mut this.stream).poll_read(cx, &mut header))?;
                let count = header.filled().len();
                if count == 0 {
                    return Poll::Ready(this.end());
                }
                this.known += count;
                if this.known == this.header.len() {
                    this.known = 0;
                    let [_, _, _, _, length @ ..] = this.header;
                    this.left = u32::from_be_bytes(length) as usize;
                }
                continue;
            }
            if this.header[0] == 1 {
                let wanted = this.left.min(buf.remaining());
                let mut part = ReadBuf::new(buf.initialize_unfilled_to(wanted));
                ready!(Pin::new(&mut this.stream).poll_read(cx, &mut part))?;
                let count = part.filled().len();
                if count == 0 {
                    return Poll::Ready(this.end());
                }
                buf.advance(count);
                this.left -= count;
                return Poll::Ready(Ok(()));
            }
            let mut bytes = [0; 1024];
            let wanted = this.left.min(bytes.len());
            let mut part = ReadBuf::new(&mut bytes[..wanted]);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut part))?;
            let said = part.filled();
            if said.is_empty() {
                return Poll::Ready(this.end());
            }
            this.left -= said.len();
            this.said.extend_from_slice(said);
            let over = this.said.len().saturating_sub(SAID);
            this.said.drain(..over);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Output<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn piece(stream: u8, text: &[u8]) -> Vec<u8> {
        let length = u32::try_from(text.len()).unwrap().to_be_bytes();
        [&[stream, 0, 0, 0], &length[..], text].concat()
    }

    fn output(stream: tokio::io::DuplexStream) -> Output<tokio::io::DuplexStream> {
        let peer = "it".to_owned();
        Output { stream, peer, header: [0; 8], known: 0, left: 0, said: Vec::new() }
    }

    #[tokio::test]
    async fn pieces_become_one_stream_however_they_are_cut() {
        let long = vec![b'x'; 70_000];
        let sent = [piece(1, b"ab"), piece(2, b"noise"), piece(1, b""), piece(1, &long)].concat();
        for size in [1, 3, 8, 9000] {
            let (mut far, near) = tokio::io::duplex(size);
            let sent = sent.clone();
            let writing = tokio::spawn(async move {
                for part in sent.chunks(size) {
                    far.write_all(part).await.unwrap();
                }
                far
            });
            let mut output = output(near);
            let mut read = vec![0; 2 + long.len()];
            output.read_exact(&mut read).await.unwrap();
            assert_eq!(&read[..3], b"abx");
            assert!(read[2..] == long[..]);
            output.write_all(b"w").await.unwrap();
            let mut far = writing.await.unwrap();
            assert_eq!(far.read_u8().await.unwrap(), b'w');
        }
    }

    #[tokio::test]
    async fn what_the_command_says_is_why_it_ended() {
        for (sent, expected) in [
            (piece(2, b"error: no such file\n"), Some("cannot reach it: no such file")),
            (piece(1, b""), None),
            // Cut off, and with a length that nothing can have.
            (vec![1, 0, 0, 0, 255, 255, 255, 255, b'a'], None),
            (vec![1, 0], None),
        ] {
            let (mut far, near) = tokio::io::duplex(100);
            far.write_all(&sent).await.unwrap();
            drop(far);
            let ended = output(near).read_to_end(&mut Vec::new()).await;
            let error = ended.err().map(|error| error.to_string());
            assert_eq!(error.as_deref(), expected);
        }
    }
}
