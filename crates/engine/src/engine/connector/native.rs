//! HTTP/2 without an upgrade, and what is known of an engine's upgrades: engines from API 1.53 on call `/grpc` and `/session`
//! deprecated and take gRPC on the same socket (moby `daemon/command/httphandler.go`).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Connector, tls};

/// Routes that the other side does not have. Clones of a connector share it.
pub(super) type MissingRoutes = Arc<Mutex<BTreeSet<&'static str>>>;

impl Connector {
    /// The same address for HTTP/2 from the first byte on: over TLS the handshake has to name it.
    #[must_use]
    pub fn over_http2(&self) -> Self {
        let mut inner = (*self.inner).clone();
        inner.tls = inner.tls.map(|config| tls::over_http2(&config));
        Self { inner: Arc::new(inner) }
    }

    /// Whether [`Connector::note_missing`] was called for `path`.
    pub fn lacks(&self, path: &str) -> bool {
        self.inner.missing.lock().unwrap_or_else(PoisonError::into_inner).contains(path)
    }

    /// Remembers for this process that the engine has no route `path`, and does without.
    pub fn note_missing(&self, path: &'static str) {
        self.inner.missing.lock().unwrap_or_else(PoisonError::into_inner).insert(path);
    }
}
