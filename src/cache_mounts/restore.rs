//! Restores a mount from an archive: nothing gets near the mount before the digest of a file is right, and nothing into its
//! place before all of it has come and the digest of what was in it is right, too.

use std::io::{self, BufReader, Read};

use sha2::{Digest as _, Sha256};
use zstd::stream::read::Decoder;

use super::archive::{Fault, Reader};
use super::list::{Content, list};
use super::manifest::SavedMount;
use super::storage::{Opening, Storage};
use crate::buildkit::mover::{Connection, End, MoveError};
use crate::sight::EntryKind;

/// Bytes that are read at a time.
const CHUNK: usize = 256 << 10;
/// The window of an archive of ours is far smaller: whoever asks for more than 16 MiB (2^24) has not written it with this
/// program.
const WINDOW: u32 = 24;

/// How a file begins that is compressed with zstd, and others.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const MAGIC: [(&[u8], &str); 3] =
    [(&[0x1f, 0x8b], "gzip"), (b"BZh", "bzip2"), (&[0xfd, b'7', b'z', b'X', b'Z', 0], "xz")];

/// What happens to what is in a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// The mount is left alone.
    Keep,
    /// It goes.
    Replace,
    /// It stays, and what is missing is added.
    Merge,
}

/// What became of a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restored {
    /// It holds that already.
    Same(Content),
    /// It holds something else, and was left alone.
    Occupied(Content),
    /// It was written.
    Written {
        /// Files that came.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
}

/// Why a mount was not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The line to the engine, or the engine's step.
    #[error(transparent)]
    Move(#[from] MoveError),
    /// The archive is not what was saved.
    #[error("{archive} is damaged: its digest is not that of the manifest")]
    Digest {
        /// Its name.
        archive: String,
    },
    /// It is compressed in another way.
    #[error("the archive is compressed with {0}; zstd and plain tar are taken")]
    Compression(&'static str),
    /// The archive is not to be taken.
    #[error("{archive}: {fault}")]
    Archive {
        /// Its name.
        archive: String,
        /// Why not.
        fault: Fault,
    },
}

/// Restores the mount at the other end from the archive of `saved`.
pub(super) fn restore(
    line: &mut Connection,
    storage: &Storage,
    saved: &SavedMount,
    existing: Existing,
) -> Result<Restored, RestoreError> {
    let now = list(line)?;
    if now.summary == saved.summary {
        return Ok(Restored::Same(now));
    }
    if !now.is_empty && existing == Existing::Keep {
        return Ok(Restored::Occupied(now));
    }
    let archive = || saved.archive.clone();
    let from = storage.open(saved).map_err(|why| match why {
        Opening::Digest => RestoreError::Digest { archive: archive() },
        Opening::File(error) => MoveError::from(error).into(),
    })?;
    let is_right = |digest: &str| digest == saved.digest;
    let tar = decoder(from, WINDOW).map_err(MoveError::from)?;
    unpack(line, tar, is_right, existing).map_err(|error| error.of(archive()))
}

/// Fills the mount at the other end from an archive of anybody's, compressed or not.
pub(super) fn import(
    line: &mut Connection,
    name: String,
    mut from: impl Read,
    existing: Existing,
) -> Result<Restored, RestoreError> {
    let now = list(line)?;
    if !now.is_empty && existing == Existing::Keep {
        return Ok(Restored::Occupied(now));
    }
    let mut head = Vec::new();
    (&mut from).take(6).read_to_end(&mut head).map_err(MoveError::from)?;
    let other = MAGIC.iter().find(|(magic, _)| head.starts_with(magic));
    if let Some((_, how)) = other {
        return Err(RestoreError::Compression(how));
    }
    let from = head.as_slice().chain(from);
    let done = if head.starts_with(&ZSTD) {
        let tar = decoder(from, WINDOW).map_err(MoveError::from)?;
        unpack(line, tar, |_| true, existing)
    } else {
        unpack(line, from, |_| true, existing)
    };
    done.map_err(|error| error.of(name))
}

fn decoder<R: Read>(from: R, window: u32) -> io::Result<Decoder<'static, BufReader<R>>> {
    let mut decoder = Decoder::new(from)?;
    decoder.window_log_max(window)?;
    Ok(decoder)
}

/// Why an archive was not unpacked.
pub(super) enum Unpacking {
    Move(MoveError),
    Digest,
    Fault(Fault),
}

impl Unpacking {
    fn of(self, archive: String) -> RestoreError {
        match self {
            Self::Move(error) => RestoreError::Move(error),
            Self::Digest => RestoreError::Digest { archive },
            Self::Fault(fault) => RestoreError::Archive { archive, fault },
        }
    }
}

impl From<MoveError> for Unpacking {
    fn from(error: MoveError) -> Self {
        Self::Move(error)
    }
}

impl From<Fault> for Unpacking {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Reads, and calculates the digest of what is read.
struct Hashing<R> {
    from: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(to)?;
        self.hash.update(&to[..read]);
        Ok(read)
    }
}

/// Unpacks a tar archive into the mount at the other end. It takes its place where `is_right` says so of its digest.
pub(super) fn unpack(
    line: &mut Connection,
    from: impl Read,
    is_right: impl FnOnce(&str) -> bool,
    existing: Existing,
) -> Result<Restored, Unpacking> {
    let tar = BufReader::with_capacity(CHUNK, from);
    let mut archive = Reader::new(Hashing { from: tar, hash: Sha256::new() });
    let mut to = line.receive()?;
    let (mut files, mut bytes) = (0, 0);
    let mut buffer = vec![0; CHUNK];
    while let Some(entry) = archive.next_entry()? {
        if entry.kind == EntryKind::File {
            files += 1;
            bytes += entry.size;
        }
        to.entry(&entry, archive.parts())?;
        loop {
            match archive.data(&mut buffer)? {
                0 => break,
                read => to.data(&buffer[..read])?,
            }
        }
    }
    let digest = archive.into_inner().hash.finalize();
    let right = is_right(&format!("sha256:{}", hex::encode(digest)));
    to.finish(|| match existing {
        _ if !right => End::Abandon,
        Existing::Merge => End::Merge,
        Existing::Replace | Existing::Keep => End::Replace,
    })?;
    if right { Ok(Restored::Written { files, bytes }) } else { Err(Unpacking::Digest) }
}
