//! A real engine behind a socket that has it say something else.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

/// Opens a socket at `at` for `engine`. Of what the engine says, the bytes behind `word` are those of `instead`, each time:
/// an answer stays as long as it says that it is.
pub fn altered_socket(engine: &Path, at: &Path, word: &'static str, instead: &'static str) {
    let listener = UnixListener::bind(at).unwrap();
    let engine = engine.to_owned();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = UnixStream::connect(&engine) else { return };
            let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || pass(from, to, |_| {}));
            let (mut heard, mut left) = (0, "".bytes());
            thread::spawn(move || {
                pass(server, client, |bytes| {
                    for byte in bytes {
                        if let Some(other) = left.next() {
                            *byte = other;
                            continue;
                        }
                        // No word here begins anew within itself but with its first byte.
                        let is_next = *byte == word.as_bytes()[heard];
                        heard = if is_next {
                            heard + 1
                        } else {
                            usize::from(*byte == word.as_bytes()[0])
                        };
                        if heard == word.len() {
                            (heard, left) = (0, instead.bytes());
                        }
                    }
                });
            });
        }
    });
}

fn pass(mut from: UnixStream, mut to: UnixStream, alter: impl FnMut(&mut [u8])) {
    let mut alter = alter;
    let mut buffer = [0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        alter(&mut buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    drop(to.shutdown(std::net::Shutdown::Write));
}
