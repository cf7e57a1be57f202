//! What a look into an engine's cache mounts sees, as plain types: the mounts, what they hold, the disk.

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

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

impl Mount {
    /// Where a step that moves it sees it. Engines that tell of no ids (Docker 20.10) tell of this.
    pub fn place(&self) -> String {
        let digest = Sha256::digest(format!("{}\n{:?}", self.id, self.beginning));
        format!("/mounts/{}", &hex::encode(digest)[..16])
    }

    /// Has the engine wait for whoever holds the mount, rather than make another one. Builds that come meanwhile get another
    /// one, so this is for mounts in which there is nothing. The name of a mount does not say how it is shared.
    pub fn wait_for_it(&mut self) {
        if self.sharing == Sharing::Shared {
            self.sharing = Sharing::Locked;
        }
    }
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

/// What an entry of a mount is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Link,
    /// One more name of a file that came before.
    HardLink,
    /// A file that was not sent.
    LeftOut,
    /// A device, a socket or a pipe.
    Other,
}

/// A file, folder or link in a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// Permissions, with those for other users and groups.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// When it was changed: seconds and nanoseconds since 1970.
    pub modified: (i64, u32),
    /// When it was read: seconds since 1970.
    pub accessed: i64,
    /// Bytes of content.
    pub size: u64,
    /// Bytes on the disk.
    pub disk_bytes: u64,
    /// Where it is in the mount: names with slashes between; empty for the mount itself.
    pub path: Vec<u8>,
    /// What a link says; the first name of a hard link.
    pub target: Vec<u8>,
}
