//! Restores a mount from an archive: nothing gets near the mount before the digest of a file is right, and nothing into its
//! place before all of it has come and the digest of what was in it is right, too.

use std::io::{self, BufReader, Read};

use zstd::stream::read::Decoder;

use super::archive::Fault;
use super::layers::{CHUNK, Layers, Outcome};
use super::list::{Content, list};
use super::manifest::{SavedMount, StoredFile};
use super::storage::{OpenError, Storage};
use crate::buildkit::mover::{Connection, End, MoveError};
use crate::sight::EntryKind;

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
pub enum RestoreResult {
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
) -> Result<RestoreResult, RestoreError> {
    let now = list(line)?;
    if now.summary == saved.summary {
        return Ok(RestoreResult::Same(now));
    }
    if !now.is_empty && existing == Existing::Keep {
        return Ok(RestoreResult::Occupied(now));
    }
    let archive = || saved.archive.clone();
    let archives: Vec<StoredFile<'_>> = saved.archives().collect();
    let mut from = Vec::new();
    // The oldest is by far the largest: it is opened last, and then read without a pause.
    for (number, stored) in archives.into_iter().enumerate().rev() {
        let opened = if number == 0 { storage.open(stored) } else { storage.open_copy(stored) };
        let opened = opened.map_err(|why| match why {
            OpenError::Digest => RestoreError::Digest { archive: stored.name.to_owned() },
            OpenError::File(error) => MoveError::from(error).into(),
        })?;
        from.push(decoder(opened, WINDOW).map_err(MoveError::from)?);
    }
    from.reverse();
    let layers = match saved.below.is_empty() {
        true => Layers::new(from, None),
        false => {
            let index = storage.index(saved).map_err(MoveError::from)?;
            let index = index.ok_or_else(|| RestoreError::Digest { archive: archive() })?;
            Layers::new(from, Some(index))
        }
    };
    let is_right = |outcome: &Outcome| {
        let is_whole = saved.below.is_empty() || outcome.summary == saved.summary;
        is_whole && saved.digests().eq(&outcome.digests)
    };
    unpack(line, layers, is_right, existing).map_err(|error| error.into_error(archive()))
}

/// Fills the mount at the other end from an archive of anybody's, compressed or not.
pub(super) fn import(
    line: &mut Connection,
    name: String,
    mut from: impl Read,
    existing: Existing,
) -> Result<RestoreResult, RestoreError> {
    let now = list(line)?;
    if !now.is_empty && existing == Existing::Keep {
        return Ok(RestoreResult::Occupied(now));
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
        unpack(line, Layers::one(tar), |_| true, existing)
    } else {
        unpack(line, Layers::one(from), |_| true, existing)
    };
    done.map_err(|error| error.into_error(name))
}

fn decoder<R: Read>(from: R, window: u32) -> io::Result<Decoder<'static, BufReader<R>>> {
    let mut decoder = Decoder::new(from)?;
    decoder.window_log_max(window)?;
    Ok(decoder)
}

/// Why an archive was not unpacked.
pub(super) enum UnpackError {
    Move(MoveError),
    Digest,
    Fault(Fault),
}

impl UnpackError {
    fn into_error(self, archive: String) -> RestoreError {
        match self {
            Self::Move(error) => RestoreError::Move(error),
            Self::Digest => RestoreError::Digest { archive },
            Self::Fault(fault) => RestoreError::Archive { archive, fault },
        }
    }
}

impl From<MoveError> for UnpackError {
    fn from(error: MoveError) -> Self {
        Self::Move(error)
    }
}

impl From<Fault> for UnpackError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Unpacks archives into the mount at the other end. They take its place where `is_right` says so of them.
pub(super) fn unpack(
    line: &mut Connection,
    mut from: Layers<impl Read>,
    is_right: impl FnOnce(&Outcome) -> bool,
    existing: Existing,
) -> Result<RestoreResult, UnpackError> {
    let mut to = line.receive()?;
    let (mut files, mut bytes) = (0, 0);
    let mut buffer = vec![0; CHUNK];
    while let Some(entry) = from.next_entry()? {
        if entry.kind == EntryKind::File {
            files += 1;
            bytes += entry.size;
        }
        to.entry(&entry, from.parts())?;
        loop {
            match from.data(&mut buffer)? {
                0 => break,
                read => to.data(&buffer[..read])?,
            }
        }
    }
    let right = is_right(&from.finish());
    to.finish(|| match existing {
        _ if !right => End::Abandon,
        Existing::Merge => End::Merge,
        Existing::Replace | Existing::Keep => End::Replace,
    })?;
    if right { Ok(RestoreResult::Written { files, bytes }) } else { Err(UnpackError::Digest) }
}
