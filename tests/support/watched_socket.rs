//! A real engine behind a socket that acts when the client says a certain thing.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

/// What to do, once.
type Action = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// Opens a socket at `at` for `engine`. `action` runs once, before the engine gets the first bytes that complete
/// `word`: whatever it changes, the client has said `word` before and the engine has not heard it yet.
pub fn watched_socket(
    engine: &Path,
    at: &Path,
    word: &str,
    action: impl FnOnce() + Send + 'static,
) {
    let listener = UnixListener::bind(at).unwrap();
    let (engine, word) = (engine.to_owned(), word.to_owned());
    let action: Action = Arc::new(Mutex::new(Some(Box::new(action))));
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = UnixStream::connect(&engine) else { return };
            let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || pass(from, to, |_| {}));
            let (word, action) = (word.clone(), action.clone());
            let mut heard = Vec::new();
            thread::spawn(move || {
                pass(client, server, |bytes| {
                    heard.extend_from_slice(bytes);
                    if heard.windows(word.len()).any(|window| window == word.as_bytes())
                        && let Some(action) = action.lock().unwrap().take()
                    {
                        action();
                    }
                    // Only what may be the beginning of the word is kept.
                    heard.drain(..heard.len().saturating_sub(word.len()));
                })
            });
        }
    });
}

fn pass(mut from: UnixStream, mut to: UnixStream, mut look: impl FnMut(&[u8])) {
    let mut buffer = [0; 65536];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        look(&buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // The other side may have closed already.
    drop(to.shutdown(Shutdown::Write));
}
