//! A real engine behind a socket that counts what the client sends, and remembers what it asked for.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;

#[derive(Default)]
struct Heard {
    bytes: u64,
    requests: Vec<String>,
}

/// A unix socket in front of an engine.
pub struct CountedSocket {
    folder: TempDir,
    heard: Arc<Mutex<Heard>>,
}

impl CountedSocket {
    /// In front of the engine at `engine`.
    pub fn new(engine: &Path) -> Self {
        let folder = TempDir::with_prefix("d2m-counted-").unwrap();
        let listener = UnixListener::bind(folder.path().join("s")).unwrap();
        let (engine, heard) = (engine.to_owned(), Arc::<Mutex<Heard>>::default());
        let counts = heard.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = UnixStream::connect(&engine) else { return };
                let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || pass(from, to, &Mutex::default()));
                let counts = counts.clone();
                thread::spawn(move || pass(client, server, &counts));
            }
        });
        Self { folder, heard }
    }

    /// Where to connect.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    /// The bytes that clients have sent since this was asked last, and how often they asked for something with `word`.
    pub fn since(&self, word: &str) -> (u64, usize) {
        let heard = std::mem::take(&mut *self.heard.lock().unwrap());
        (heard.bytes, heard.requests.iter().filter(|line| line.contains(word)).count())
    }
}

fn pass(mut from: UnixStream, mut to: UnixStream, heard: &Mutex<Heard>) {
    let mut buffer = [0; 65536];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let read = &buffer[..count];
        {
            let mut heard = heard.lock().unwrap();
            heard.bytes += count as u64;
            let line = read.split(|byte| *byte == b'\r').next().unwrap_or_default();
            if line.ends_with(b" HTTP/1.1") {
                heard.requests.push(String::from_utf8_lossy(line).into_owned());
            }
        }
        if to.write_all(read).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
