//! FileSend: takes what exporters write on this machine.
//!
//! `tar`, `oci` and `docker` send one stream of bytes, `local` sends a tree with fsutil's
//! protocol, over the same method. Nothing appears at the destination before it is known to be all: a
//! tree is merged when the engine says so in its protocol. A stream of bytes ends in good order also where
//! the engine breaks it off, so a file takes its name when its build has succeeded.
//! Protocol: BuildKit `session/filesync` (`SyncTarget`), fsutil `receive.go`.

mod file;
mod tree;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::mpsc;
use tonic::Status;
use tonic::body::Body;
use tonic::codec::Streaming;

use super::diff_copy::{self, DiffCopy, Out};

/// Where the output of an exporter goes.
pub enum Destination {
    /// One file, replaced when the build has succeeded ([`ExportReport::name_files`]).
    File(PathBuf),
    /// A directory, made if missing; the exported tree is merged into it.
    Directory(PathBuf),
    /// A stream, such as standard output; usable once.
    Stream(Box<dyn Write + Send>),
}

/// The service.
#[derive(Clone, Default)]
pub struct FileSend {
    destinations: Arc<Mutex<BTreeMap<String, Destination>>>,
    report: Arc<ExportReport>,
}

/// What arrived, and why an export failed.
#[derive(Debug, Default)]
pub struct ExportReport {
    finished: Mutex<Vec<ExportResult>>,
    failures: Mutex<Vec<String>>,
    /// Removed with the report.
    unnamed: Mutex<Vec<file::NamelessFile>>,
}

/// A finished export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportResult {
    /// The exporter's number in the solve.
    pub id: String,
    /// Bytes of content.
    pub bytes: u64,
}

impl ExportReport {
    /// Exports that are complete.
    pub fn finished(&self) -> Vec<ExportResult> {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives the files their names: the build has succeeded.
    ///
    /// # Errors
    /// One cannot be put in its place.
    pub fn name_files(&self) -> Result<(), String> {
        let files =
            std::mem::take(&mut *self.unnamed.lock().unwrap_or_else(PoisonError::into_inner));
        files.into_iter().try_for_each(file::NamelessFile::name)
    }

    /// Why exports failed, one lowercase sentence each.
    pub fn failures(&self) -> Vec<String> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl FileSend {
    /// Takes the output of the exporters whose numbers in the solve are the keys of
    /// `destinations`.
    pub fn new(destinations: BTreeMap<String, Destination>) -> Self {
        Self { destinations: Arc::new(Mutex::new(destinations)), report: Arc::default() }
    }

    /// What has arrived so far.
    pub fn report(&self) -> Arc<ExportReport> {
        self.report.clone()
    }

    /// The destination a call is for. Engines before BuildKit 0.13 know one exporter and do not
    /// number it.
    fn choose(&self, headers: &HeaderMap) -> Result<(String, Destination), Status> {
        let mut destinations = self.destinations.lock().unwrap_or_else(PoisonError::into_inner);
        let id = match headers.get("buildkit-attachable-exporter-id") {
            Some(id) => String::from_utf8_lossy(id.as_bytes()).into_owned(),
            None if destinations.len() == 1 => {
                destinations.keys().next().cloned().unwrap_or_default()
            }
            None => "0".to_owned(),
        };
        let destination = match destinations.get(&id) {
            // The engine may send a directory in several calls, one for each platform, and an export may be
            // repeated.
            Some(Destination::Directory(path)) => Some(Destination::Directory(path.clone())),
            Some(Destination::File(path)) => Some(Destination::File(path.clone())),
            _ => destinations.remove(&id),
        };
        destination
            .map(|destination| (id.clone(), destination))
            .ok_or_else(|| Status::not_found(format!("exporter {id} has no destination")))
    }
}

impl DiffCopy for FileSend {
    const NAME: &'static str = "moby.filesync.v1.FileSend";

    fn diff_copy(&self, request: http::Request<Body>) -> Result<http::Response<Body>, Status> {
        let (id, destination) = self.choose(request.headers())?;
        let report = self.report.clone();
        Ok(diff_copy::stream(request, |_, incoming, out| {
            receive(id, destination, incoming, out, report)
        }))
    }
}

/// What the thread that writes is told.
enum Incoming {
    Message(Bytes),
    /// The engine ended its side in good order.
    End,
}

/// What the thread that writes reads from: it ends without [`Incoming::End`] when the call was
/// cut off.
type Messages = mpsc::Receiver<Incoming>;

/// How many messages may wait to be written.
const WAITING_MESSAGES: usize = 8;

/// Serves one call and answers its final status.
async fn receive(
    id: String,
    destination: Destination,
    mut incoming: Streaming<Bytes>,
    out: Out,
    report: Arc<ExportReport>,
) -> Status {
    let (forward, mut messages) = mpsc::channel(WAITING_MESSAGES);
    let mut writing = tokio::task::spawn_blocking(move || match destination {
        Destination::File(path) => file::write_file(&path, &mut messages),
        Destination::Stream(mut stream) => {
            file::write_stream(&mut stream, &mut messages).map(|bytes| (bytes, None))
        }
        Destination::Directory(path) => {
            tree::receive(&path, &mut messages, &out).map(|bytes| (bytes, None))
        }
    });
    let mut pump = std::pin::pin!(async move {
        loop {
            let message = match incoming.message().await {
                Ok(Some(message)) => Incoming::Message(message),
                Ok(None) => Incoming::End,
                Err(_) => break,
            };
            let end = matches!(message, Incoming::End);
            if forward.send(message).await.is_err() || end {
                break;
            }
        }
        drop(forward);
    });
    let written = tokio::select! {
        written = &mut writing => written,
        () = &mut pump => writing.await,
    };
    let failed = match written {
        Ok(Ok((bytes, file))) => {
            report.unnamed.lock().unwrap_or_else(PoisonError::into_inner).extend(file);
            let mut finished = report.finished.lock().unwrap_or_else(PoisonError::into_inner);
            finished.push(ExportResult { id, bytes });
            return diff_copy::ok();
        }
        Ok(Err(reason)) => reason,
        Err(e) => e.to_string(),
    };
    report.failures.lock().unwrap_or_else(PoisonError::into_inner).push(failed.clone());
    Status::aborted(failed)
}

#[cfg(test)]
mod tests;
