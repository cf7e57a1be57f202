//! An image as an archive for an engine, without the layers that it has: the format of `docker save` for engines with graph
//! drivers, an image layout for the containerd store, and the same blobs for both.
//!
//! Blobs are read on a thread of their own while the engine reads the archive. Their digests are computed on the way: where
//! one is wrong the archive ends before its end.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::image::{Blob, StoredImage};
use crate::buildkit::session::content::Digest;
use crate::files::read;
use crate::image_reference::familiar;
use crate::progress::TransferProgress;
use crate::solve::oci_layout::{Index, Name};

/// Bytes of a block of a tar.
const BLOCK: usize = 512;
/// Bytes read at a time.
const PIECE: usize = 256 << 10;
/// Pieces that may wait for the engine.
const WAITING: usize = 4;
/// Longest name of a file that is written.
const LONGEST_NAME: usize = 100;

/// Pieces of an archive.
pub(super) type Pieces = ReceiverStream<io::Result<Bytes>>;

/// What is in an archive, in its order.
pub(super) struct Archive {
    texts: Vec<(&'static str, Vec<u8>)>,
    blobs: Vec<Blob>,
}

/// Why an archive came to no end, if it did not.
#[derive(Clone, Default)]
pub(super) struct Fault(Arc<Mutex<Option<(Digest, String)>>>);

impl Fault {
    /// The blob that could not be used, and why.
    pub(super) fn take(&self) -> Option<(Digest, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, blob: &Blob, why: String) {
        let mut fault = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *fault = Some((blob.digest.clone(), why));
    }
}

impl Archive {
    /// Of `image` under `names`, with those of its layers whose digests are in `layers`.
    pub(super) fn new(image: &StoredImage, names: &[String], layers: &BTreeSet<Digest>) -> Self {
        let mut index = Index::default();
        for name in names {
            index.put(&image.descriptor, &Name::Image(name.clone()));
        }
        let path = |blob: &Blob| path(&blob.digest).display().to_string();
        let manifest = json!([{
            "Config": path(&image.config),
            "RepoTags": names.iter().map(|name| familiar(name)).collect::<Vec<_>>(),
            "Layers": image.layers.iter().map(path).collect::<Vec<_>>(),
        }]);
        let texts = vec![
            ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
            ("index.json", index.to_json().into_bytes()),
            ("manifest.json", manifest.to_string().into_bytes()),
        ];
        let mut blobs: Vec<Blob> = Vec::new();
        let wanted = image.layers.iter().filter(|layer| layers.contains(&layer.digest));
        for blob in [&image.manifest, &image.config].into_iter().chain(wanted) {
            if !blobs.iter().any(|other| other.digest == blob.digest) {
                blobs.push(blob.clone());
            }
        }
        Self { texts, blobs }
    }

    /// The bytes of its blobs.
    pub(super) fn bytes(&self) -> u64 {
        self.blobs.iter().map(|blob| blob.bytes).sum()
    }

    /// Its pieces, read from `layout` as they are taken.
    pub(super) fn pieces(self, layout: &Path, sent: Arc<TransferProgress>) -> (Pieces, Fault) {
        let (out, pieces) = mpsc::channel(WAITING);
        let (layout, fault) = (layout.to_owned(), Fault::default());
        let noted = fault.clone();
        tokio::task::spawn_blocking(move || self.write(&layout, &out, &sent, &noted));
        (ReceiverStream::new(pieces), fault)
    }

    /// Ends early when nobody takes the pieces any more.
    fn write(
        &self,
        layout: &Path,
        out: &mpsc::Sender<io::Result<Bytes>>,
        sent: &TransferProgress,
        fault: &Fault,
    ) {
        let send = |piece: Vec<u8>| out.blocking_send(Ok(piece.into())).is_ok();
        let send_blob = |piece: Vec<u8>| {
            sent.add(piece.len() as u64);
            send(piece)
        };
        for (name, text) in &self.texts {
            let mut entry = header(name, text.len() as u64).to_vec();
            entry.extend_from_slice(text);
            entry.extend(padding(text.len() as u64));
            if !send(entry) {
                return;
            }
        }
        for blob in &self.blobs {
            match write_blob(layout, blob, &send, &send_blob) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    fault.put(blob, error.to_string());
                    let _ = out.blocking_send(Err(error));
                    return;
                }
            }
        }
        send(vec![0; 2 * BLOCK]);
    }
}

/// Returns whether somebody still takes pieces.
fn write_blob(
    layout: &Path,
    blob: &Blob,
    send: &impl Fn(Vec<u8>) -> bool,
    send_content: &impl Fn(Vec<u8>) -> bool,
) -> io::Result<bool> {
    let name = path(&blob.digest).display().to_string();
    if name.len() > LONGEST_NAME {
        return Err(io::Error::other(format!("{name} is too long a name")));
    }
    let damaged = || io::Error::other(format!("{} is damaged", blob.digest));
    let mut file = open(layout, blob)?;
    if file.metadata()?.len() != blob.bytes {
        return Err(damaged());
    }
    if !send(header(&name, blob.bytes).to_vec()) {
        return Ok(false);
    }
    let mut hasher = blob.digest.hasher();
    let mut left = blob.bytes;
    while left > 0 {
        let length = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        let mut piece = vec![0; length];
        file.read_exact(&mut piece)?;
        hasher.update(&piece);
        left -= length as u64;
        if left == 0 && hasher.finish() != blob.digest {
            return Err(damaged());
        }
        if !send_content(piece) {
            return Ok(false);
        }
    }
    if blob.bytes == 0 && hasher.finish() != blob.digest {
        return Err(damaged());
    }
    Ok(send(padding(blob.bytes).collect()))
}

fn open(layout: &Path, blob: &Blob) -> io::Result<File> {
    read::open(&blob.digest.path_in(layout))
}

/// Where an archive has a blob.
fn path(digest: &Digest) -> PathBuf {
    digest.path_in(Path::new(""))
}

fn padding(bytes: u64) -> impl Iterator<Item = u8> {
    let rest = usize::try_from(bytes % BLOCK as u64).unwrap_or_default();
    std::iter::repeat_n(0, (BLOCK - rest) % BLOCK)
}

/// The header of a file of root's, from 1970, that anybody may read (POSIX ustar; the size in GNU's binary form where octal
/// digits do not hold it).
fn header(name: &str, bytes: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000444\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    if bytes < 1 << 33 {
        put(124, format!("{bytes:011o}\0").as_bytes());
    } else {
        put(124, &[0x80]);
        put(128, &bytes.to_be_bytes());
    }
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[cfg(test)]
mod tests;
