//! A real engine behind a socket that holds some requests back.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;

/// What the paths of requests contain that have an engine measure.
pub const MEASURING: &[&str] = &["/system/df", "size=true"];

/// A unix socket in front of an engine. Requests whose path contains one of some words wait before they are passed on,
/// until the time is over or the socket is dropped.
pub struct SlowSocket {
    path: PathBuf,
    _release: Sender<()>,
    _folder: TempDir,
}

impl SlowSocket {
    /// In front of the engine at `engine`: requests with one of `words` in their first line wait for `delay`.
    pub fn new(engine: &Path, words: &'static [&'static str], delay: Duration) -> Self {
        let folder = TempDir::with_prefix("d2m-slow-").unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let (release, released) = channel();
        let released = Arc::new(Mutex::new(released));
        let engine = engine.to_owned();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (engine, released) = (engine.clone(), released.clone());
                std::thread::spawn(move || pass_on(client, &engine, words, delay, &released));
            }
        });
        Self { path, _release: release, _folder: folder }
    }

    /// Where to connect.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A request that is looked for begins what is sent at once; everything else passes as it comes.
fn pass_on(
    mut client: UnixStream,
    engine: &Path,
    words: &[&str],
    delay: Duration,
    released: &Mutex<Receiver<()>>,
) {
    let Ok(mut to_engine) = UnixStream::connect(engine) else { return };
    let (Ok(mut from_engine), Ok(mut to_client)) = (to_engine.try_clone(), client.try_clone())
    else {
        return;
    };
    std::thread::spawn(move || {
        let mut buffer = [0; 65536];
        while let Ok(count @ 1..) = from_engine.read(&mut buffer) {
            if to_client.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
    });
    let mut buffer = [0; 65536];
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        let sent = &buffer[..count];
        let line = sent.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        if line.starts_with("GET ") && words.iter().any(|word| line.contains(word)) {
            // Ends at once when the test drops the socket.
            let _ = released.lock().unwrap().recv_timeout(delay);
        }
        if to_engine.write_all(sent).is_err() {
            break;
        }
    }
    let _ = to_engine.shutdown(std::net::Shutdown::Both);
}
