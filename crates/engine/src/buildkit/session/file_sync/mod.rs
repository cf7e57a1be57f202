//! FileSync: serves declared directories to the engine, as buildx would.
//!
//! The engine names a directory and patterns in the call's metadata and gets a list of entries,
//! asks for the files it does not have yet, and ends the transfer. Only directories declared when
//! the session was opened are served. A file that vanishes, changes or cannot be read while it is
//! sent fails the build with its name; the reason is also in the [`SyncReport`].
//! Protocol: BuildKit `session/filesync`, fsutil `send.go`.

mod report;
mod sender;
mod sent;

use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderMap;
use tonic::Status;
use tonic::body::Body;

pub use report::{SyncFailure, SyncReport, Transfer};
pub use sent::{SentEntry, SentList};

use super::diff_copy::{self, DiffCopy};
use crate::build_context::filter::FilterRequest;

/// A directory the engine may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalDir {
    /// What the engine calls it: `context`, `dockerfile`, or the name given to the solve.
    pub name: String,
    /// Where it is; may be a symlink to a directory.
    pub path: PathBuf,
}

/// The service.
#[derive(Debug, Clone)]
pub struct FileSync {
    dirs: Arc<[LocalDir]>,
    report: Arc<SyncReport>,
}

impl FileSync {
    /// Serves `dirs` and nothing else.
    pub fn new(dirs: Vec<LocalDir>) -> Self {
        let report = Arc::new(SyncReport::new(dirs.clone()));
        Self::reporting_to(dirs, report)
    }

    /// The same, with a report that several sessions share.
    pub fn reporting_to(dirs: Vec<LocalDir>, report: Arc<SyncReport>) -> Self {
        Self { dirs: dirs.into(), report }
    }

    /// What was and is being sent.
    pub fn report(&self) -> Arc<SyncReport> {
        self.report.clone()
    }

    fn dir(&self, headers: &HeaderMap) -> Result<LocalDir, Status> {
        let name = values(headers, "dir-name").into_iter().next().unwrap_or_default();
        let name = String::from_utf8_lossy(&name).into_owned();
        let found = self.dirs.iter().find(|dir| dir.name == name).cloned();
        found.ok_or_else(|| {
            Status::not_found(format!("the directory \"{name}\" is not part of this build"))
        })
    }
}

impl DiffCopy for FileSync {
    const NAME: &'static str = "moby.filesync.v1.FileSync";

    fn diff_copy(&self, request: http::Request<Body>) -> Result<http::Response<Body>, Status> {
        let dir = self.dir(request.headers())?;
        let report = self.report.clone();
        Ok(diff_copy::stream(request, |headers, incoming, out| {
            let request = FilterRequest {
                include: values(&headers, "include-patterns"),
                exclude: values(&headers, "exclude-patterns"),
                follow: values(&headers, "followpaths"),
            };
            sender::send(dir, request, incoming, out, report)
        }))
    }
}

/// The values of `key`, in order. They are query-escaped where the engine says so, which it does
/// when one of them is not ASCII.
fn values(headers: &HeaderMap, key: &str) -> Vec<Vec<u8>> {
    let escaped = headers.get(format!("{key}-encoded")).is_some_and(|value| {
        [&b"1"[..], b"t", b"T", b"true", b"TRUE", b"True"].contains(&value.as_bytes())
    });
    let values = headers.get_all(key).into_iter().map(|value| value.as_bytes());
    if escaped { values.map(unescape).collect() } else { values.map(<[u8]>::to_vec).collect() }
}

/// Query unescaping; a malformed escape makes the value empty, as in BuildKit.
fn unescape(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'+' => out.push(b' '),
            b'%' => {
                let digits = after.get(..2).map(|pair| {
                    (char::from(pair[0]).to_digit(16), char::from(pair[1]).to_digit(16))
                });
                let Some((Some(high), Some(low))) = digits else { return Vec::new() };
                out.push((high * 16 + low) as u8);
                rest = &after[2..];
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod any_packets;
#[cfg(test)]
mod tests;
