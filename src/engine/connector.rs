//! One dialer for every connection to the engine: bollard's requests and BuildKit's streams.

use std::io;
use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;

/// A byte stream to the engine.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// How to reach an engine. Cheap to clone; every call of [`Connector::dial`] opens a new stream.
#[derive(Debug, Clone)]
pub struct Connector {
    endpoint: Endpoint,
}

#[derive(Debug, Clone)]
enum Endpoint {
    Unix(PathBuf),
}

impl Connector {
    /// A connector to a unix socket.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self { endpoint: Endpoint::Unix(path.into()) }
    }

    /// Opens a stream to the engine's HTTP API.
    ///
    /// # Errors
    /// What the operating system answered to the connection attempt.
    pub async fn dial(&self) -> io::Result<Box<dyn Stream>> {
        match &self.endpoint {
            Endpoint::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
        }
    }
}
