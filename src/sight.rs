//! What a look into an engine's cache mounts sees, as plain types: the mounts, what they hold, the disk.

use jiff::Timestamp;

use crate::dockerfile::Beginning;

/// How builds share a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sharing {
    /// Several at once.
    Shared,
    /// Each its own.
    Private,
    /// One after the other.
    Locked,
}

/// A mount, as builds ask for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mount {
    /// `NAMESPACE/ID`.
    pub id: String,
    /// How it is shared.
    pub sharing: Sharing,
    /// What it begins with.
    pub beginning: Beginning,
}

/// What a look into mounts saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    /// The disk that the engine builds on.
    pub disk: Option<Disk>,
    /// The mounts in the order in which they were asked for; `None` for one that was not seen as a whole.
    pub mounts: Vec<Option<Content>>,
}

/// A file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// Bytes.
    pub size_bytes: u64,
    /// Bytes that nothing takes.
    pub free_bytes: u64,
    /// Of these, bytes that everybody may take.
    pub available_bytes: u64,
}

impl Disk {
    /// Free bytes above which no disk is short.
    const PLENTY: u64 = 50_000_000_000;

    /// Bytes that something takes.
    pub fn used_bytes(&self) -> u64 {
        self.size_bytes.saturating_sub(self.free_bytes)
    }

    /// Whether four fifths are taken of what everybody may take, and little is left.
    pub fn is_short(&self) -> bool {
        let all = self.used_bytes().saturating_add(self.available_bytes);
        self.available_bytes < Self::PLENTY && self.available_bytes <= all / 5
    }
}

/// What a mount holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Bytes on the disk, as `du` counts them.
    pub bytes: u64,
    /// When its directory was made, where the file system knows.
    pub born: Option<Timestamp>,
}
