//! A real engine as those will be that take gRPC on their own socket alone: what upgrades `/grpc` and `/session` is not there,
//! and a connection that begins as HTTP/2 ends at BuildKit's server. All else is the engine's.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::oneshot;

use super::buildkit_stand_in::upgraded;
use super::{Authority, tls_server};

/// How a connection with HTTP/2 begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";
/// What moby answers for a route that it does not have (`daemon/server/server.go`).
const NOT_FOUND: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 29\r\n\r\n{\"message\":\"page not found\"}\n";

/// Whether a connection that begins as HTTP/2 is one of gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Http2 {
    Grpc,
    /// The engine gets it as it is.
    None,
}

#[derive(Default)]
struct Counts {
    refused: AtomicUsize,
    grpc: AtomicUsize,
}

/// Such an engine, as long as the test runs.
pub struct NativeEngine {
    host: String,
    counts: Arc<Counts>,
    _end: oneshot::Sender<()>,
    _folder: Option<TempDir>,
}

impl NativeEngine {
    /// At a unix socket, in front of the engine at `socket`.
    pub fn on_socket(socket: &Path) -> Self {
        Self::at_socket(socket, Http2::Grpc)
    }

    /// One that has no gRPC either.
    pub fn without_grpc(socket: &Path) -> Self {
        Self::at_socket(socket, Http2::None)
    }

    fn at_socket(engine: &Path, http2: Http2) -> Self {
        let folder = TempDir::with_prefix("d2m-native-").unwrap();
        let path = folder.path().join("s");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (engine, counts) = (engine.to_owned(), Arc::<Counts>::default());
        let counted = counts.clone();
        let end = run(async move || {
            let listener = UnixListener::from_std(listener).unwrap();
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, engine.clone(), http2, counted.clone()));
            }
        });
        let host = format!("unix://{}", path.display());
        Self { host, counts, _end: end, _folder: Some(folder) }
    }

    /// At a port, for clients with a certificate of `authority`, which vouches for 127.0.0.1 here. Go's server takes HTTP/2 from
    /// those alone who name it in the handshake.
    pub fn with_tls(socket: &Path, authority: &Authority) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let tls = tls_server::acceptor(authority, "127.0.0.1", &["h2", "http/1.1"]);
        let (engine, counts) = (socket.to_owned(), Arc::<Counts>::default());
        let counted = counts.clone();
        let end = run(async move || {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((client, _)) = listener.accept().await {
                let (engine, tls, counts) = (engine.clone(), tls.clone(), counted.clone());
                tokio::spawn(async move {
                    let client = tls.accept(client).await?;
                    let http2 = match client.get_ref().1.alpn_protocol() {
                        Some(b"h2") => Http2::Grpc,
                        _ => Http2::None,
                    };
                    serve(client, engine, http2, counts).await
                });
            }
        });
        Self { host: format!("tcp://127.0.0.1:{port}"), counts, _end: end, _folder: None }
    }

    /// Its address, as in `DOCKER_HOST`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// How many upgrades were refused, and how many connections with gRPC were made, since this was asked last.
    pub fn since(&self) -> (usize, usize) {
        let count = |number: &AtomicUsize| number.swap(0, Ordering::Relaxed);
        (count(&self.counts.refused), count(&self.counts.grpc))
    }
}

/// Runs `serve` on a thread of its own, until the sender is dropped.
fn run(serve: impl AsyncFnOnce() + Send + 'static) -> oneshot::Sender<()> {
    let (end, ended) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::select! {
                () = serve() => {}
                _ = ended => {}
            }
        });
    });
    end
}

async fn serve(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    engine: PathBuf,
    http2: Http2,
    counts: Arc<Counts>,
) -> io::Result<()> {
    let mut begin = Vec::new();
    while !begin.ends_with(b"\r\n") {
        begin.push(client.read_u8().await?);
    }
    let line = String::from_utf8_lossy(&begin).into_owned();
    let mut engine = match http2 {
        Http2::Grpc if begin == PREFACE => {
            counts.grpc.fetch_add(1, Ordering::Relaxed);
            upgraded(&engine).await?
        }
        _ if ["/grpc HTTP/1.1\r\n", "/session HTTP/1.1\r\n"]
            .iter()
            .any(|it| line.ends_with(it)) =>
        {
            counts.refused.fetch_add(1, Ordering::Relaxed);
            client.write_all(NOT_FOUND).await?;
            return client.shutdown().await;
        }
        _ => UnixStream::connect(engine).await?,
    };
    engine.write_all(&begin).await?;
    copy_bidirectional(&mut client, &mut engine).await.map(|_| ())
}
