//! What a transfer listed, kept after it for whoever wants to know what a build read.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::{Buf, Bytes};
use prost::Message;
use sha2::{Digest as _, Sha256};

use crate::build_context::filter::FilterRequest;
use crate::build_context::seal::Seal;
use crate::buildkit::session::packet::{FRAME_HEADER, Packet};

/// Larger files are not digested while they are sent.
const DIGESTED_SIZE: u64 = 1 << 20;
/// Bytes digested in a transfer: a small part of what sending them costs.
const DIGESTED_BYTES: u64 = 16 << 20;

/// The entries of one complete transfer, as they were sent.
#[derive(Debug)]
pub struct SentList {
    /// The name the engine asked for.
    pub dir_name: String,
    /// What it wanted of it.
    pub request: FilterRequest,
    /// By which the same list is known again, if it can be.
    pub seal: Option<Seal>,
    pub(super) batches: Vec<Bytes>,
    pub(super) digests: HashMap<u32, [u8; 32]>,
    pub(super) asked: HashSet<u32>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentEntry {
    /// From the top of the directory.
    pub path: Vec<u8>,
    /// Go `FileMode`.
    pub mode: u32,
    /// Bytes; 0 for directories.
    pub size: u64,
    /// Modification time, nanoseconds since the epoch.
    pub mtime: i64,
    /// SHA-256 of the content, where it was sent and is small.
    pub digest: Option<[u8; 32]>,
    /// Whether its content was sent: the engine did not have it.
    pub is_content_sent: bool,
}

impl SentList {
    /// The entries in the order they were sent: a directory before what is in it, names of one
    /// directory sorted bytewise.
    pub fn entries(&self) -> impl Iterator<Item = SentEntry> {
        let packets = self.batches.iter().cloned().flat_map(|mut batch| {
            std::iter::from_fn(move || {
                let header = batch.get(1..FRAME_HEADER)?;
                let len = u32::from_be_bytes(header.try_into().ok()?) as usize;
                batch.advance(FRAME_HEADER);
                (len <= batch.len()).then(|| Packet::decode(batch.split_to(len)).ok())?
            })
        });
        // The list ends with an empty STAT.
        packets.map_while(|packet| packet.stat).zip(0..).map(|(stat, id)| SentEntry {
            digest: self.digests.get(&id).copied(),
            is_content_sent: self.asked.contains(&id),
            path: stat.path,
            mode: stat.mode,
            size: stat.size.cast_unsigned(),
            mtime: stat.mtime,
        })
    }
}

/// Digests the content of a file while it is sent, if it is small enough to cost nothing.
pub(super) struct ContentDigest(Option<Sha256>);

impl ContentDigest {
    /// `digested` counts the bytes that the transfer has digested so far.
    pub(super) fn of_size(size: u64, digested: &AtomicU64) -> Self {
        let wanted =
            size <= DIGESTED_SIZE && digested.fetch_add(size, Relaxed) + size <= DIGESTED_BYTES;
        Self(wanted.then(Sha256::new))
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        if let Some(hash) = &mut self.0 {
            hash.update(bytes);
        }
    }

    pub(super) fn finish(self) -> Option<[u8; 32]> {
        self.0.map(|hash| hash.finalize().into())
    }
}
