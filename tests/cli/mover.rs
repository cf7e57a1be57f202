//! The program that moves cache mounts, without an engine.
#![allow(clippy::unwrap_used)]

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longer than the program waits for anybody.
const PATIENCE: Duration = Duration::from_secs(120);

/// The program with two mounts, and the socket that it connects to.
fn start() -> (TempDir, UnixListener, Child) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let program =
        format!("{}/helpers/mover-{}", env!("CARGO_MANIFEST_DIR"), std::env::consts::ARCH);
    let mut command = Command::new(program);
    let child = command.arg(socket).arg("name").args([dir.path(), dir.path()]).spawn().unwrap();
    (dir, listener, child)
}

fn end(mut child: Child) -> i32 {
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap();
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    child.kill().unwrap();
    panic!("it waits for ever");
}

#[test]
fn whoever_is_not_heard_ends() {
    let (_dir, listener, child) = start();
    // One connection is taken, the other one waits in the queue, as it does when a session has gone.
    let (mut taken, _) = listener.accept().unwrap();
    taken.write_all(b"h").unwrap();
    let mut said = [0; 9];
    taken.read_exact(&mut said).unwrap();
    assert_eq!((&said[..4], &said[8..]), (&b"d2m1"[..], &b"k"[..]));
    taken.write_all(b"Q").unwrap();
    assert_eq!(end(child), 10);
    drop(listener);
}

#[test]
fn whoever_is_heard_may_wait() {
    let (_dir, listener, child) = start();
    let lines: Vec<_> = (0..2).map(|_| listener.accept().unwrap().0).collect();
    lines.iter().for_each(|mut line| line.write_all(b"h").unwrap());
    // Longer than it waits to be heard.
    std::thread::sleep(Duration::from_secs(25));
    lines.iter().for_each(|mut line| line.write_all(b"Q").unwrap());
    assert_eq!(end(child), 9);
}
