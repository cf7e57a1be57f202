//! A real engine that looks like BuildKit itself: behind the upgrade of `/grpc` stands BuildKit's own server, so a proxy
//! that upgrades each connection and passes bytes on is a BuildKit with an address.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// BuildKit at a TCP port, as long as the test runs.
pub struct BuildkitStandIn {
    port: u16,
}

impl BuildkitStandIn {
    /// In front of the engine at `socket`.
    pub fn start(socket: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let socket: PathBuf = socket.to_owned();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let socket = socket.clone();
                std::thread::spawn(move || drop(pass_on(client, &socket)));
            }
        });
        Self { port }
    }

    /// Its address.
    pub fn address(&self) -> String {
        format!("tcp://127.0.0.1:{}", self.port)
    }
}

fn pass_on(mut client: TcpStream, socket: &Path) -> std::io::Result<()> {
    let mut engine = UnixStream::connect(socket)?;
    engine.write_all(
        b"POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    )?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        engine.read_exact(&mut byte)?;
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
    let (mut from_engine, mut to_client) = (engine.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_engine, &mut to_client);
        let _ = to_client.shutdown(std::net::Shutdown::Both);
    });
    let copied = std::io::copy(&mut client, &mut engine);
    let _ = engine.shutdown(std::net::Shutdown::Both);
    copied.map(drop)
}
