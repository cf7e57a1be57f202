//! Restores a mount from an archive: nothing gets near the mount before the digest of the file is right, and nothing into its
//! place before all of it has come and the digest of what was in it is right, too.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use zstd::stream::read::Decoder;

use super::archive::{Fault, Reader};
use super::list::{Content, list};
use super::manifest::SavedMount;
use crate::buildkit::mover::{Connection, End, MoveError};
use crate::files::read;
use crate::sight::EntryKind;

/// Bytes that are read at a time.
const CHUNK: usize = 256 << 10;
/// The window of an archive of ours is far smaller: whoever asks for more than 16 MiB (2^24) has not written it with this
/// program.
const WINDOW: u32 = 24;

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
    /// The archive is not to be taken.
    #[error("{archive}: {fault}")]
    Archive {
        /// Its name.
        archive: String,
        /// Why not.
        fault: Fault,
    },
}

/// Restores the mount at the other end from the archive of `saved` in `folder`.
pub(super) fn restore(
    line: &mut Connection,
    folder: &Path,
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
    let file = read::open(&folder.join(&saved.archive)).map_err(MoveError::from)?;
    if file_digest(&file).map_err(MoveError::from)? != saved.archive_digest {
        return Err(RestoreError::Digest { archive: archive() });
    }
    let is_right = |digest: &str| digest == saved.digest;
    unpack(line, file, WINDOW, is_right, existing).map_err(|error| match error {
        Unpacking::Move(error) => RestoreError::Move(error),
        Unpacking::Digest => RestoreError::Digest { archive: archive() },
        Unpacking::Fault(fault) => RestoreError::Archive { archive: archive(), fault },
    })
}

/// Why an archive was not unpacked.
pub(super) enum Unpacking {
    Move(MoveError),
    Digest,
    Fault(Fault),
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

/// Unpacks a compressed archive into the mount at the other end. It takes its place where `is_right` says so of its digest.
pub(super) fn unpack(
    line: &mut Connection,
    from: impl Read,
    window: u32,
    is_right: impl FnOnce(&str) -> bool,
    existing: Existing,
) -> Result<Restored, Unpacking> {
    let mut decoder = Decoder::new(from).map_err(MoveError::from)?;
    decoder.window_log_max(window).map_err(MoveError::from)?;
    let tar = BufReader::with_capacity(CHUNK, decoder);
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

/// The digest of a file, which is read from its beginning and then stands there again.
fn file_digest(mut file: &File) -> io::Result<String> {
    use std::io::Seek as _;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hash.update(&buffer[..read]),
        }
    }
    file.rewind()?;
    Ok(format!("sha256:{}", hex::encode(hash.finalize())))
}
