//! Bytes of something that is under way: counted by whoever moves them, read by whoever tells of it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How far a transfer is.
#[derive(Debug, Default)]
pub struct TransferProgress {
    done: AtomicU64,
    total: AtomicU64,
}

impl TransferProgress {
    /// There will be `bytes` more.
    pub fn expect(&self, bytes: u64) {
        self.total.fetch_add(bytes, Relaxed);
    }

    /// `bytes` more are through.
    pub fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Relaxed);
    }

    /// Bytes that are through, and all that are expected.
    pub fn read(&self) -> (u64, u64) {
        (self.done.load(Relaxed), self.total.load(Relaxed))
    }
}
