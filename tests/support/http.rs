//! A client for the web services that tests start, and for engines: one request per connection, HTTP/1.0, so nothing is
//! chunked.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::wait::PATIENCE;

/// An answer: status and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status, as 200.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// `GET path` of the service at `address` (`127.0.0.1:8000`). `None` while nobody answers.
pub fn get(address: &str, path: &str) -> Option<Answer> {
    exchange(address, format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).ok()
}

/// `GET path` of a registry, whatever kind of manifest is there. `None` while nobody answers.
pub fn get_manifest(address: &str, path: &str) -> Option<Answer> {
    let kinds = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                 application/vnd.docker.distribution.manifest.list.v2+json, \
                 application/vnd.docker.distribution.manifest.v2+json";
    exchange(address, format!("GET {path} HTTP/1.0\r\nAccept: {kinds}\r\n\r\n").as_bytes()).ok()
}

/// Uploads a file as a browser's form would, in the field `file`. `None` while nobody answers.
pub fn post_file(address: &str, path: &str, name: &str, content: &[u8]) -> Option<Answer> {
    const BOUNDARY: &str = "end-of-this-part";
    let mut body = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    )
    .into_bytes();
    body.extend_from_slice(content);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    let mut request = format!(
        "POST {path} HTTP/1.0\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(&body);
    exchange(address, &request).ok()
}

/// Asks the service on a unix socket, with a JSON body or none.
pub(super) fn ask(socket: &Path, method: &str, path: &str, body: &str) -> io::Result<Answer> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    send(stream, request.as_bytes())
}

fn exchange(address: &str, request: &[u8]) -> io::Result<Answer> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    send(stream, request)
}

fn send(mut stream: impl Read + Write, request: &[u8]) -> io::Result<Answer> {
    stream.write_all(request)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    match (status, body) {
        (Some(status), Some(body)) => Ok(Answer { status, body }),
        // The port is published before anybody listens behind it.
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
