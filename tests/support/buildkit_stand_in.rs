//! A real engine that looks like BuildKit itself: behind the upgrade of `/grpc` stands BuildKit's own server, so a proxy
//! that upgrades each connection and passes bytes on is a BuildKit with an address. Its connections can be cut, and they
//! can freeze.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::{oneshot, watch};
use tokio_rustls::TlsAcceptor;

use super::{Authority, tls_server};

/// What happens to bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Passing,
    /// Nothing passes, and nobody is told.
    Frozen,
    /// Connections that are open end.
    Cut,
}

/// Bytes that BuildKit has sent.
type Sent = Arc<AtomicU64>;

/// BuildKit at an address, as long as the test runs.
pub struct BuildkitStandIn {
    address: String,
    line: watch::Sender<Line>,
    sent: Sent,
    _end: oneshot::Sender<()>,
    _folder: Option<TempDir>,
}

impl BuildkitStandIn {
    /// At a port, in front of the engine at `socket`.
    pub fn start(socket: &Path) -> Self {
        Self::at_port(socket, None)
    }

    /// The same for clients with a certificate of `authority`, which vouches for the name `name` here.
    pub fn with_tls(socket: &Path, authority: &Authority, name: &str) -> Self {
        Self::at_port(socket, Some(tls_server::acceptor(authority, name, &["h2"])))
    }

    /// At a unix socket.
    pub fn on_socket(socket: &Path) -> Self {
        let folder = TempDir::with_prefix("d2m-buildkit-").unwrap();
        let path = folder.path().join("s");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let engine = socket.to_owned();
        let sent = Sent::default();
        let counted = sent.clone();
        let (line, end) = run(async move |line| {
            let listener = UnixListener::from_std(listener).unwrap();
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass_on(client, engine.clone(), line.clone(), counted.clone()));
            }
        });
        let address = format!("unix://{}", path.display());
        Self { address, line, sent, _end: end, _folder: Some(folder) }
    }

    fn at_port(socket: &Path, tls: Option<TlsAcceptor>) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        let engine = socket.to_owned();
        let sent = Sent::default();
        let counted = sent.clone();
        let (line, end) = run(async move |line| {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((client, _)) = listener.accept().await {
                client.set_nodelay(true).unwrap();
                let (engine, line, tls) = (engine.clone(), line.clone(), tls.clone());
                let sent = counted.clone();
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            let client = tls.accept(client).await?;
                            // grpc-go ends what does not name HTTP/2 (since 1.67, `credentials/tls.go`).
                            match client.get_ref().1.alpn_protocol() {
                                Some(b"h2") => pass_on(client, engine, line, sent).await,
                                _ => Ok(()),
                            }
                        }
                        None => pass_on(client, engine, line, sent).await,
                    }
                });
            }
        });
        Self { address, line, sent, _end: end, _folder: None }
    }

    /// Its address.
    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// The bytes that it has sent since this was asked last.
    pub fn sent(&self) -> u64 {
        self.sent.swap(0, Ordering::Relaxed)
    }

    /// Ends every connection; new ones end at once.
    pub fn cut(&self) {
        self.line.send_replace(Line::Cut);
    }

    /// From now on nothing passes, and connections stay open.
    pub fn freeze(&self) {
        self.line.send_replace(Line::Frozen);
    }
}

/// Runs `serve` on a thread of its own, until the sender is dropped.
fn run(
    serve: impl AsyncFnOnce(watch::Receiver<Line>) + Send + 'static,
) -> (watch::Sender<Line>, oneshot::Sender<()>) {
    let (line, watched) = watch::channel(Line::Passing);
    let (end, ended) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::select! {
                () = serve(watched) => {}
                _ = ended => {}
            }
        });
    });
    (line, end)
}

async fn pass_on(
    client: impl AsyncRead + AsyncWrite,
    engine: PathBuf,
    line: watch::Receiver<Line>,
    sent: Sent,
) -> io::Result<()> {
    let engine = upgraded(&engine).await?;
    let (from_client, to_client) = tokio::io::split(client);
    let (from_engine, to_engine) = engine.into_split();
    tokio::select! {
        () = copy(from_client, to_engine, line.clone(), Sent::default()) => {}
        () = copy(from_engine, to_client, line, sent) => {}
    }
    Ok(())
}

/// A connection to BuildKit's own server within the engine at `engine`.
pub(super) async fn upgraded(engine: &Path) -> io::Result<UnixStream> {
    let mut engine = UnixStream::connect(engine).await?;
    engine
        .write_all(
            b"POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        )
        .await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(engine.read_u8().await?);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
    Ok(engine)
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut line: watch::Receiver<Line>,
    passed: Sent,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let state = *line.borrow_and_update();
        match state {
            Line::Cut => return,
            Line::Frozen => drop(line.changed().await),
            Line::Passing => tokio::select! {
                _ = line.changed() => {}
                read = from.read(&mut buffer) => match read {
                    Ok(count @ 1..) => {
                        passed.fetch_add(count as u64, Ordering::Relaxed);
                        if to.write_all(&buffer[..count]).await.is_err() || to.flush().await.is_err() {
                            return;
                        }
                    }
                    _ => return,
                },
            },
        }
    }
}
