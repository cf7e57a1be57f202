//! The dialer against real engines: sockets, and ssh with Docker's own `dial-stdio` at the far end.

use std::collections::BTreeMap;

use doc2md_docker::engine::{ConnectError, ConnectErrorKind, Connector, ConnectorSettings};

use crate::support::{Engine, on_every_engine, program};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Asks for the version over `connector`, several times, so that connections are used again.
fn answers(connector: &Connector, engine: &Engine) {
    runtime().block_on(async {
        let client = doc2md_docker::engine::Engine::new(connector);
        for _ in 0..3 {
            let version = client.facts().await.unwrap().version;
            assert_eq!(
                client.version().await.unwrap().split('+').next(),
                version.split('+').next()
            );
            assert!(engine.name.starts_with(&version[..4]), "{}: {version}", engine.name);
        }
    });
}

fn resolve(host: &str, path: Option<&std::path::Path>) -> Connector {
    let mut environment = BTreeMap::from([("DOCKER_HOST".to_owned(), host.to_owned())]);
    if let Some(path) = path {
        environment.insert("PATH".to_owned(), format!("{}:/usr/bin:/bin", path.display()));
    }
    Connector::resolve(&ConnectorSettings { environment, ..ConnectorSettings::default() }).unwrap()
}

#[test]
fn every_engine_answers_on_its_socket() {
    on_every_engine(|engine| answers(&resolve(&engine.host, None), engine));
}

#[test]
fn every_engine_answers_through_dial_stdio() {
    let docker = std::env::var("DOC2MD_TEST_DOCKER").unwrap();
    on_every_engine(|engine| {
        let folder = tempfile::tempdir().unwrap();
        let ssh = folder.path().join("ssh");
        // Everything up to `-- HOST docker` is ssh's; the rest runs on "the other machine".
        let script = format!(
            "while [ \"$1\" != -- ]; do shift; done\nshift 3\nDOCKER_HOST={} exec {docker} \"$@\"",
            engine.host
        );
        program::script(&ssh, &script);
        answers(&resolve("ssh://me@build", Some(folder.path())), engine);
    });
}

#[test]
fn dial_stdio_passes_on_why_the_far_engine_does_not_answer() {
    let docker = std::env::var("DOC2MD_TEST_DOCKER").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ssh = folder.path().join("ssh");
    let script = format!("DOCKER_HOST=unix:///nowhere.sock exec {docker} system dial-stdio");
    program::script(&ssh, &script);
    let connector = resolve("ssh://me@build", Some(folder.path()));
    let error = runtime().block_on(async {
        doc2md_docker::engine::Engine::new(&connector).version().await.unwrap_err()
    });
    let error = ConnectError::find(&error).expect("the reason got lost");
    assert_eq!(error.kind, ConnectErrorKind::Ssh);
    assert!(error.message.contains("/nowhere.sock"), "{error}");
}
