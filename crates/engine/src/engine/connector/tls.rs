//! TLS to an engine: certificates in the three files Docker names, checked with rustls and ring.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error as TlsError,
    RootCertStore, SignatureScheme,
};

use super::Listener;
use super::error::{ConnectError, ConnectErrorKind};
use crate::files::read;

/// How the engine's certificate is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// ca.pem must be there and vouch for the engine (DOCKER_TLS_VERIFY).
    CaFile,
    /// ca.pem where there is one, the system's authorities otherwise (contexts, https://).
    CaFileOrSystem,
    /// Anything goes (DOCKER_TLS without verify, SkipTLSVerify of a context).
    Nothing,
}

/// Who vouches for the other side, and how this side proves who it is: PEM files. The last two come together or not at
/// all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Certificates of authorities.
    pub(crate) ca: Option<PathBuf>,
    /// This side's certificate.
    pub(crate) certificate: Option<PathBuf>,
    /// Its key.
    pub(crate) key: Option<PathBuf>,
}

/// Reads `ca.pem`, `cert.pem` and `key.pem` of `directory`, as far as they are there.
pub(crate) fn client_config(
    directory: Option<&Path>,
    trust: Trust,
) -> Result<Arc<ClientConfig>, ConnectError> {
    // What cannot be looked at is there, and told of when it is read.
    let is_there = |path: &PathBuf| path.try_exists().unwrap_or(true);
    let file = |name: &str| directory.map(|directory| directory.join(name)).filter(is_there);
    let (ca, certificate, key) = (file("ca.pem"), file("cert.pem"), file("key.pem"));
    if trust == Trust::CaFile && ca.is_none() {
        let place = directory.unwrap_or(Path::new("~/.docker")).join("ca.pem");
        return Err(broken(format!("no certificate authority at {}", place.display()))
            .hint("DOCKER_CERT_PATH names the folder with ca.pem, cert.pem and key.pem"));
    }
    let alone = |path: &Path, other: &str| {
        Err(broken(format!("{} has no {other} beside it", path.display())))
    };
    match (&certificate, &key) {
        (Some(path), None) => return alone(path, "key.pem"),
        (None, Some(path)) => return alone(path, "cert.pem"),
        _ => {}
    }
    config_of(&Identity { ca, certificate, key }, trust)
}

/// Reads the files of `identity`.
pub(crate) fn config_of(
    identity: &Identity,
    trust: Trust,
) -> Result<Arc<ClientConfig>, ConnectError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| broken(format!("cannot set up TLS: {error}")))?;
    let builder = if trust == Trust::Nothing {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAny(provider)))
    } else {
        builder.with_root_certificates(roots(identity.ca.as_deref())?)
    };
    let (certificate, key) = (identity.certificate.as_deref(), identity.key.as_deref());
    let config = match (read(certificate)?, read(key)?) {
        (Some((path, certificate)), Some((key_path, key))) => {
            let chain = certificates(path, &certificate)?;
            let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| {
                broken(format!("no usable private key in {}: {error}", key_path.display()))
                    .hint("the key must be PEM without a passphrase")
            })?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                broken(format!("{} and {} do not fit: {error}", path.display(), key_path.display()))
            })?
        }
        (None, None) => builder.with_no_client_auth(),
        (Some((path, _)), None) | (None, Some((path, _))) => {
            let message = format!("a certificate and its key belong together: {}", path.display());
            return Err(broken(message));
        }
    };
    Ok(Arc::new(config))
}

/// The same for HTTP/2. Whoever listens is told in the handshake: grpc-go ends a connection that does not name it (since 1.67,
/// `credentials/tls.go`), and Go's HTTP server speaks HTTP/1 on it.
pub(crate) fn over_http2(config: &ClientConfig) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

/// The authorities in the file, or those of the system.
fn roots(ca: Option<&Path>) -> Result<RootCertStore, ConnectError> {
    let mut roots = RootCertStore::empty();
    if let Some((path, text)) = read(ca)? {
        for certificate in certificates(path, &text)? {
            roots.add(certificate).map_err(|error| {
                broken(format!("unusable certificate in {}: {error}", path.display()))
            })?;
        }
    } else {
        for certificate in rustls_native_certs::load_native_certs().certs {
            // One authority rustls cannot read must not take the others away.
            let _ = roots.add(certificate);
        }
    }
    Ok(roots)
}

fn read(path: Option<&Path>) -> Result<Option<(&Path, Vec<u8>)>, ConnectError> {
    let Some(path) = path else { return Ok(None) };
    match read::bytes(path, read::TEXT) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) => Err(broken(format!("cannot read a TLS file: {error}"))),
    }
}

fn certificates(path: &Path, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, ConnectError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(broken(format!("no certificate in {}", path.display()))),
        Err(error) => Err(broken(format!("no usable certificate in {}: {error}", path.display()))),
    }
}

fn broken(message: String) -> ConnectError {
    ConnectError::new(ConnectErrorKind::Tls, message)
}

/// Who is at the other end, for messages.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// As a message calls it.
    pub(crate) name: Arc<str>,
    /// Whose settings are named.
    pub(crate) listener: Listener,
}

/// Shakes hands over `tcp`.
pub(crate) async fn handshake(
    tcp: TcpStream,
    name: &str,
    config: Arc<ClientConfig>,
    peer: Peer,
) -> Result<TlsIo, ConnectError> {
    let server_name = ServerName::try_from(name.to_owned())
        .map_err(|_| broken(format!("`{name}` cannot stand in a certificate")))?;
    match TlsConnector::from(config).connect(server_name, tcp).await {
        Ok(stream) => Ok(TlsIo { stream, peer, is_shut: false }),
        Err(error) => Err(explain(&error, &peer)),
    }
}

/// What a failed handshake means.
fn explain(error: &io::Error, peer: &Peer) -> ConnectError {
    let reason = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    let failed = broken(format!("cannot reach {}: TLS: {error}", peer.name));
    let hint = match reason {
        Some(TlsError::InvalidMessage(_)) => [
            "the other side does not speak TLS: unset DOCKER_TLS_VERIFY, or check the port (2376 with TLS)",
            "the other side does not speak TLS: check the port, or make the builder without `cacert`, `cert` and `key`",
        ],
        Some(TlsError::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        )) => [
            "ca.pem is not the authority that signed the engine's certificate",
            "`cacert` of the builder is not the authority that signed the certificate of this address",
        ],
        Some(TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => [
            "the engine's certificate is for another name: its subject alternative names must hold this host or address",
            "the certificate is for another name: `servername` of the builder says which one to expect",
        ],
        Some(TlsError::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        )) => [
            "renew the engine's certificate, or set this machine's clock right",
            "renew its certificate, or set this machine's clock right",
        ],
        Some(TlsError::AlertReceived(AlertDescription::NoApplicationProtocol)) => [
            "it speaks TLS, but not HTTP/2",
            "it speaks TLS, but not HTTP/2 as BuildKit does: check the port",
        ],
        Some(TlsError::AlertReceived(_)) => [
            "the engine does not accept our certificate: check cert.pem and key.pem",
            "it does not accept our certificate: check `cert` and `key` of the builder",
        ],
        _ => return failed,
    };
    let [engine, buildkit] = hint;
    failed.hint(match peer.listener {
        Listener::Engine => engine,
        Listener::Buildkit => buildkit,
    })
}

/// A TLS stream whose late refusals are explained: with TLS 1.3 the engine judges our certificate
/// only after the handshake, so its refusal arrives with the first read.
pub(crate) struct TlsIo {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    /// Whether we have ended it ourselves.
    is_shut: bool,
}

impl TlsIo {
    fn late(&self, error: io::Error) -> io::Error {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) {
            Some(TlsError::AlertReceived(_)) => explain(&error, &self.peer).into(),
            _ => error,
        }
    }
}

impl TlsIo {
    /// Whoever refuses us closes the connection, and that may show in a write before anybody reads why: the reason has come
    /// by then, but the runtime may not have heard of it. Of a connection that is closed something can always be read.
    fn refused(&mut self, cx: &mut Context<'_>, error: io::Error) -> Poll<io::Error> {
        let is_closed =
            matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset);
        let mut bytes = [0; 512];
        loop {
            let mut read = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(cx, &mut read) {
                Poll::Ready(Err(reason)) => return Poll::Ready(self.late(reason)),
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {}
                Poll::Pending if is_closed && !self.is_shut => return Poll::Pending,
                Poll::Ready(Ok(())) | Poll::Pending => return Poll::Ready(error),
            }
        }
    }

    /// What a write came to, with the reason where it failed.
    fn explained<T>(
        &mut self,
        cx: &mut Context<'_>,
        ended: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match ended {
            Poll::Ready(Err(error)) => self.refused(cx, error).map(Err),
            ended => ended,
        }
    }
}

impl AsyncRead for TlsIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        read.map_err(|error| self.late(error))
    }
}

impl AsyncWrite for TlsIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.explained(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.explained(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_shut = true;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Accepts every certificate, as DOCKER_TLS and SkipTLSVerify ask for. Signatures are still
/// checked, so the engine at least owns the key it shows.
#[derive(Debug)]
struct AcceptAny(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAny {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
