//! Dialling for real: sockets, a TLS listener with certificates made here, an `ssh` made of shell.

#![allow(clippy::unwrap_used)]

use std::io;
use std::time::Duration;

use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto::ring};

use super::context::tests::write_context;
use super::*;
use crate::test_certificates::Authority;
use crate::test_program;

fn settings(home: &Path, variables: &[(&str, &str)]) -> ConnectorSettings {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    ConnectorSettings {
        environment: variables.iter().map(own).collect(),
        home: Some(home.to_owned()),
        ..Default::default()
    }
}

fn described(settings: &ConnectorSettings) -> String {
    Connector::resolve(settings).unwrap().description().to_owned()
}

#[test]
fn the_engine_is_chosen_in_the_documented_order() {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join(".docker");
    for name in ["flag", "variable", "current"] {
        write_context(&config, name, &format!(r#"{{"Host":"tcp://{name}:1"}}"#));
    }
    let mut settings = settings(home.path(), &[]);
    assert_eq!(described(&settings), "unix:///var/run/docker.sock");

    fs_err::write(config.join("config.json"), r#"{"currentContext":"current"}"#).unwrap();
    assert_eq!(
        described(&settings),
        "tcp://current:1 (docker context `current`, docker context use)"
    );

    settings.environment.insert("DOCKER_HOST".into(), "tcp://environment:1".into());
    assert_eq!(described(&settings), "tcp://environment:1 (DOCKER_HOST)");

    settings.environment.insert("DOCKER_CONTEXT".into(), "variable".into());
    assert_eq!(
        described(&settings),
        "tcp://variable:1 (docker context `variable`, DOCKER_CONTEXT)"
    );
    let notice = Connector::resolve(&settings).unwrap().notices()[0].clone();
    assert_eq!(notice, "DOCKER_CONTEXT=variable is used; DOCKER_HOST is set too and ignored");

    settings.context = Some("flag".into());
    assert_eq!(described(&settings), "tcp://flag:1 (docker context `flag`, --context)");
    assert!(Connector::resolve(&settings).unwrap().notices().is_empty());

    settings.host = Some("tcp://option:1".into());
    let both = Connector::resolve(&settings).unwrap_err();
    assert_eq!(both.kind, ConnectErrorKind::Settings);
    assert_eq!(both.message, "-H/--host and --context exclude each other");

    settings.context = None;
    assert_eq!(described(&settings), "tcp://option:1");
}

#[test]
fn the_context_named_default_means_docker_host() {
    let home = tempfile::tempdir().unwrap();
    let set = settings(home.path(), &[("DOCKER_CONTEXT", "default"), ("DOCKER_HOST", "tcp://e:1")]);
    assert_eq!(described(&set), "tcp://e:1 (DOCKER_HOST)");
    assert!(Connector::resolve(&set).unwrap().notices().is_empty());
}

#[test]
fn empty_variables_count_as_unset() {
    let home = tempfile::tempdir().unwrap();
    let set = settings(
        home.path(),
        &[("DOCKER_CONTEXT", ""), ("DOCKER_HOST", ""), ("DOCKER_TLS_VERIFY", "")],
    );
    assert_eq!(described(&set), "unix:///var/run/docker.sock");
}

#[test]
fn an_address_that_cannot_be_understood_is_a_usage_error() {
    let home = tempfile::tempdir().unwrap();
    let error =
        Connector::resolve(&settings(home.path(), &[("DOCKER_HOST", "ftp://x")])).unwrap_err();
    assert_eq!(error.message, "engine address `ftp://x` has the unknown scheme `ftp`");
    assert_eq!(crate::error::CommandError::from(error).kind, crate::error::ExitKind::Usage);
}

async fn dial_error(connector: &Connector) -> ConnectError {
    let Err(error) = connector.dial().await else { panic!("nobody should answer") };
    ConnectError::find(&error).unwrap().clone()
}

#[tokio::test]
async fn a_socket_that_is_not_there_points_at_a_rootless_one() {
    let home = tempfile::tempdir().unwrap();
    let runtime = home.path().join("run");
    fs_err::create_dir(&runtime).unwrap();
    let missing = format!("unix://{}/none.sock", home.path().display());
    let set = settings(
        home.path(),
        &[("DOCKER_HOST", &missing), ("XDG_RUNTIME_DIR", runtime.to_str().unwrap())],
    );
    let error = dial_error(&Connector::resolve(&set).unwrap()).await;
    assert_eq!(error.kind, ConnectErrorKind::NotThere);
    assert_eq!(error.hints.len(), 1, "{error:?}");

    fs_err::write(runtime.join("docker.sock"), "").unwrap();
    let error = dial_error(&Connector::resolve(&set).unwrap()).await;
    assert!(error.hints[1].contains("-H unix://"), "{error:?}");
    assert!(error.hints[1].ends_with("run/docker.sock"), "{error:?}");
    assert_eq!(
        crate::error::CommandError::from(error).kind,
        crate::error::ExitKind::EngineUnreachable
    );
}

#[tokio::test]
async fn a_socket_nobody_listens_on_says_so() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("d.sock");
    drop(UnixListener::bind(&path).unwrap());
    let error = dial_error(&Connector::unix(&path)).await;
    assert_eq!(error.kind, ConnectErrorKind::Refused);
    assert!(error.message.ends_with("the socket is there, but no engine listens on it"), "{error}");
}

#[tokio::test]
async fn a_refused_tcp_port_says_so() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let home = tempfile::tempdir().unwrap();
    let set = settings(home.path(), &[("DOCKER_HOST", &format!("tcp://{address}"))]);
    let error = dial_error(&Connector::resolve(&set).unwrap()).await;
    assert_eq!(error.kind, ConnectErrorKind::Refused);
    assert_eq!(
        error.message,
        format!("cannot reach the engine at tcp://{address} (DOCKER_HOST): connection refused")
    );
}

#[tokio::test]
async fn named_pipes_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let set = settings(home.path(), &[("DOCKER_HOST", "npipe:////./pipe/docker_engine")]);
    let error = dial_error(&Connector::resolve(&set).unwrap()).await;
    assert!(error.message.ends_with("named pipes exist on Windows only"), "{error}");
}

/// Sends `ping`, expects it back.
async fn echoes(connector: &Connector) -> io::Result<()> {
    let mut stream = connector.dial().await?;
    stream.write_all(b"ping").await?;
    stream.flush().await?;
    let mut back = [0; 4];
    stream.read_exact(&mut back).await?;
    assert_eq!(&back, b"ping");
    Ok(())
}

/// An authority, and the three files of Docker signed by it.
struct Certificates(Authority);

impl Certificates {
    fn new() -> Self {
        Self(Authority::new())
    }

    /// ca.pem, cert.pem and key.pem of a client.
    fn write_client(&self, folder: &Path) {
        fs_err::create_dir_all(folder).unwrap();
        let (certificate, key) = self.0.issue("client");
        fs_err::write(folder.join("ca.pem"), self.0.pem()).unwrap();
        fs_err::write(folder.join("cert.pem"), certificate).unwrap();
        fs_err::write(folder.join("key.pem"), key).unwrap();
    }

    /// An echo server for `name` that insists on a client certificate of this authority.
    async fn serve(&self, name: &str) -> std::net::SocketAddr {
        let (certificate, key) = self.0.issue(name);
        let provider = Arc::new(ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.0.pem().as_bytes()).unwrap()).unwrap();
        let clients =
            WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
                .build()
                .unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(tcp).await?;
                    let mut buffer = [0; 4];
                    stream.read_exact(&mut buffer).await?;
                    stream.write_all(&buffer).await?;
                    stream.flush().await
                });
            }
        });
        address
    }
}

#[tokio::test]
async fn docker_tls_verify_checks_both_sides() {
    let home = tempfile::tempdir().unwrap();
    let certificates = Certificates::new();
    certificates.write_client(&home.path().join("certs"));
    let address = certificates.serve("127.0.0.1").await.to_string();
    let folder = home.path().join("certs");
    let set = settings(
        home.path(),
        &[
            ("DOCKER_HOST", &address),
            ("DOCKER_TLS_VERIFY", "1"),
            ("DOCKER_CERT_PATH", folder.to_str().unwrap()),
        ],
    );
    echoes(&Connector::resolve(&set).unwrap()).await.unwrap();

    // Without our certificate the engine refuses us, after the handshake.
    fs_err::remove_file(folder.join("cert.pem")).unwrap();
    let error = Connector::resolve(&set).unwrap_err();
    assert!(error.message.ends_with("key.pem has no cert.pem beside it"), "{error}");
    fs_err::remove_file(folder.join("key.pem")).unwrap();
    let error = echoes(&Connector::resolve(&set).unwrap()).await.unwrap_err();
    let error = ConnectError::find(&error).unwrap();
    assert_eq!(error.kind, ConnectErrorKind::Tls);
    assert!(error.hints[0].contains("does not accept our certificate"), "{error:?}");

    // Without its authority we refuse the engine.
    Certificates::new().write_client(&folder);
    let error = dial_error(&Connector::resolve(&set).unwrap()).await;
    assert!(error.hints[0].contains("not the authority"), "{error:?}");

    fs_err::remove_file(folder.join("ca.pem")).unwrap();
    let error = Connector::resolve(&set).unwrap_err();
    assert!(error.message.contains("no certificate authority at"), "{error}");
}

#[tokio::test]
async fn certificates_default_to_the_docker_directory_and_must_name_the_host() {
    let home = tempfile::tempdir().unwrap();
    let certificates = Certificates::new();
    certificates.write_client(&home.path().join(".docker"));
    let address = certificates.serve("engine.example").await.to_string();
    let mut set = settings(home.path(), &[("DOCKER_HOST", &address), ("DOCKER_TLS_VERIFY", "1")]);
    let error = dial_error(&Connector::resolve(&set).unwrap()).await;
    assert!(error.hints[0].contains("for another name"), "{error:?}");

    // DOCKER_TLS alone does not ask who the engine is.
    set.environment.remove("DOCKER_TLS_VERIFY");
    set.environment.insert("DOCKER_TLS".into(), "1".into());
    echoes(&Connector::resolve(&set).unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_context_brings_its_own_certificates() {
    let home = tempfile::tempdir().unwrap();
    let certificates = Certificates::new();
    let address = certificates.serve("127.0.0.1").await;
    let folder = write_context(
        &home.path().join(".docker"),
        "build",
        &format!(r#"{{"Host":"tcp://{address}","SkipTLSVerify":false}}"#),
    );
    certificates.write_client(&folder);
    let mut set = settings(home.path(), &[]);
    set.context = Some("build".into());
    echoes(&Connector::resolve(&set).unwrap()).await.unwrap();

    // Another authority's certificates: refused, unless the context says not to look.
    fs_err::write(folder.join("ca.pem"), Authority::new().pem()).unwrap();
    assert_eq!(dial_error(&Connector::resolve(&set).unwrap()).await.kind, ConnectErrorKind::Tls);
    write_context(
        &home.path().join(".docker"),
        "build",
        &format!(r#"{{"Host":"tcp://{address}","SkipTLSVerify":true}}"#),
    );
    echoes(&Connector::resolve(&set).unwrap()).await.unwrap();
}

#[tokio::test]
async fn tls_to_a_plain_engine_says_that_it_is_plain() {
    let home = tempfile::tempdir().unwrap();
    Certificates::new().write_client(&home.path().join(".docker"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let mut rest = Vec::new();
        let _ = tcp.read_to_end(&mut rest).await;
    });
    let set = settings(home.path(), &[("DOCKER_HOST", &address), ("DOCKER_TLS_VERIFY", "1")]);
    let error = dial_error(&Connector::resolve(&set).unwrap()).await;
    assert!(error.hints[0].contains("does not speak TLS"), "{error:?}");
}

/// A connector over an `ssh` that is a shell script.
fn with_ssh(home: &Path, script: &str) -> Connector {
    let program = home.join("ssh");
    test_program::script(&program, script);
    let path = format!("{}:/usr/bin:/bin", home.display());
    let set = settings(home, &[("DOCKER_HOST", "ssh://me@build:22"), ("PATH", &path)]);
    Connector::resolve(&set).unwrap()
}

#[tokio::test]
async fn ssh_carries_the_stream_and_dies_with_it() {
    let home = tempfile::tempdir().unwrap();
    let script = r#"echo "$@" > "${0%/*}/args"; echo $$ > "${0%/*}/pid"; exec cat"#;
    let connector = with_ssh(home.path(), script);
    let mut stream = connector.dial().await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    let mut back = [0; 4];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"ping");
    let arguments = fs_err::read_to_string(home.path().join("args")).unwrap();
    assert_eq!(
        arguments.trim(),
        "-l me -p 22 -o ConnectTimeout=30 -o BatchMode=yes -T -- build docker system dial-stdio"
    );

    let pid = fs_err::read_to_string(home.path().join("pid")).unwrap();
    let process = PathBuf::from(format!("/proc/{}/exe", pid.trim()));
    assert!(fs_err::read_link(&process).is_ok());
    drop(stream);
    tokio::time::timeout(Duration::from_secs(10), async {
        while fs_err::read_link(&process).is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("ssh outlived its stream");
}

#[tokio::test]
async fn an_end_of_a_working_ssh_stream_is_just_its_end() {
    let home = tempfile::tempdir().unwrap();
    let connector = with_ssh(home.path(), "printf done");
    let mut all = Vec::new();
    connector.dial().await.unwrap().read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"done");
}

#[tokio::test]
async fn what_ssh_complains_about_is_in_the_error() {
    let home = tempfile::tempdir().unwrap();
    for (script, kind, words) in [
        (
            "echo 'me@build: Permission denied (publickey).' >&2; exit 255",
            ConnectErrorKind::PermissionDenied,
            "ssh ended with status 255: me@build: Permission denied (publickey).",
        ),
        (
            "echo 'sh: 1: docker: not found' >&2; exit 127",
            ConnectErrorKind::NotThere,
            "ssh ended with status 127: sh: 1: docker: not found",
        ),
        ("exit 3", ConnectErrorKind::Ssh, "ssh ended with status 3"),
    ] {
        let connector = with_ssh(home.path(), script);
        let error = echoes(&connector).await.unwrap_err();
        let error = ConnectError::find(&error).unwrap();
        assert_eq!(error.kind, kind, "{error:?}");
        assert_eq!(
            error.message,
            format!("cannot reach the engine at ssh://me@build:22 (DOCKER_HOST): {words}")
        );
        assert_eq!(error.hints.len(), 1);
    }
}

/// Whatever ssh writes and whoever holds its error stream: the message comes, with the last of it.
#[tokio::test]
async fn an_ssh_that_complains_without_an_end_is_not_waited_for() {
    let home = tempfile::tempdir().unwrap();
    for (script, words) in [
        (
            "exec >&- <&-; (yes no | head -c 3000000; echo the last word) >&2; exit 1",
            "ssh ended with status 1: ",
        ),
        (
            "exec >&- <&-; echo the last word >&2; exec yes '' >&2",
            "it closed its output and did not end",
        ),
        ("exec >&- <&-; echo the last word >&2; (sleep 30) & exit 2", "ssh ended with status 2: "),
    ] {
        let connector = with_ssh(home.path(), script);
        let error = echoes(&connector).await.unwrap_err();
        let error = ConnectError::find(&error).unwrap().to_string();
        assert!(error.contains(words), "{script}: {error:.300}");
        assert!(
            error.len() < 20_000 && (words.contains("did not") || error.contains("the last word"))
        );
    }
}

#[tokio::test]
async fn no_ssh_program_is_named() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().to_str().unwrap();
    let set = settings(home.path(), &[("DOCKER_HOST", "ssh://build"), ("PATH", path)]);
    let error = dial_error(&Connector::resolve(&set).unwrap()).await;
    assert!(error.message.ends_with("no `ssh` program on PATH"), "{error}");
}

/// Serves `{}` to every request, and keeps each connection's requests.
async fn serve_http(listener: UnixListener, connections: Arc<Mutex<Vec<Vec<String>>>>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let connections = Arc::clone(&connections);
        let number = {
            let mut all = connections.lock().unwrap();
            all.push(Vec::new());
            all.len() - 1
        };
        tokio::spawn(async move {
            let mut seen = Vec::new();
            let mut buffer = [0; 1024];
            while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                seen.extend_from_slice(&buffer[..read]);
                if seen.ends_with(b"\r\n\r\n") {
                    let head = String::from_utf8(std::mem::take(&mut seen)).unwrap();
                    assert!(head.contains("host: docker\r\n"), "{head}");
                    let line = head.lines().next().unwrap().to_owned();
                    connections.lock().unwrap()[number].push(line);
                    let answer =
                        "HTTP/1.1 200 OK\r\napi-version: 1.44\r\ncontent-length: 2\r\n\r\n{}";
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
    }
}

#[tokio::test]
async fn bollards_requests_and_plain_ones_share_a_connection_and_a_version() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("d.sock");
    let connections = Arc::<Mutex<Vec<Vec<String>>>>::default();
    tokio::spawn(serve_http(UnixListener::bind(&path).unwrap(), Arc::clone(&connections)));
    let engine = crate::engine::Engine::new(&Connector::unix(&path));
    engine.facts().await.unwrap();
    engine.image("h:5000/a/b:c d?e#f/../g").await.unwrap();
    engine.remove_volume("../x?y").await.unwrap();
    assert_eq!(
        *connections.lock().unwrap(),
        [[
            "GET /_ping HTTP/1.1",
            "GET /v1.44/info HTTP/1.1",
            "GET /v1.44/images/h%3A5000%2Fa%2Fb%3Ac%20d%3Fe%23f%2F..%2Fg/json?manifests=1 HTTP/1.1",
            "DELETE /v1.44/volumes/..%2Fx%3Fy HTTP/1.1",
        ]]
    );
}

/// A peer that answers `status` and goes on and on, but for the first question.
async fn serve_without_end(listener: UnixListener, status: &'static str) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut request = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut request).await {
                if request[..read].starts_with(b"GET /_ping ") {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                    continue;
                }
                let head = format!("HTTP/1.1 {status}\r\n\r\n{{\"Version\": \"");
                let _ = stream.write_all(head.as_bytes()).await;
                while stream.write_all(&[b'x'; 64 << 10]).await.is_ok() {}
            }
        });
    }
}

#[tokio::test]
async fn answers_without_an_end_are_ended() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("d.sock");
    tokio::spawn(serve_without_end(UnixListener::bind(&path).unwrap(), "200 OK"));
    let engine = crate::engine::Engine::new(&Connector::unix(&path));
    // By bollard, plainly, and in pieces.
    let (facts, list, push) =
        tokio::join!(engine.facts(), engine.cache_records(), engine.push("a", Default::default()));
    for (limit, error) in
        [(256, facts.unwrap_err()), (256, list.unwrap_err()), (1, push.unwrap_err())]
    {
        let cause = std::error::Error::source(&error).unwrap().to_string();
        let expected = format!("the answer is longer than {limit} MiB: is this a Docker Engine?");
        assert_eq!(cause, expected, "{error}");
    }
}

/// The same with refusals, of which less is read.
#[tokio::test]
async fn refusals_without_an_end_are_ended() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("d.sock");
    tokio::spawn(serve_without_end(
        UnixListener::bind(&path).unwrap(),
        "500 Internal Server Error",
    ));
    let engine = crate::engine::Engine::new(&Connector::unix(&path));
    let (facts, list, push) =
        tokio::join!(engine.facts(), engine.cache_records(), engine.push("a", Default::default()));
    for error in [facts.unwrap_err(), list.unwrap_err(), push.unwrap_err()] {
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(cause, "the answer is longer than 1 MiB: is this a Docker Engine?", "{error}");
    }
}

#[tokio::test]
async fn the_engine_passes_on_why_it_was_not_reached() {
    let home = tempfile::tempdir().unwrap();
    let engine = crate::engine::Engine::new(&Connector::unix(home.path().join("none.sock")));
    for error in [engine.facts().await.unwrap_err(), engine.cache_records().await.unwrap_err()] {
        let found = ConnectError::find(&error).expect("the dialer's error got lost");
        assert_eq!(found.kind, ConnectErrorKind::NotThere);
    }
}
