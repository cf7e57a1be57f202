//! Saves a mount: what is in it to an archive, compressed, with its digests.
//!
//! Level 1 of zstd takes a fifth of the time of level 3 for a few per cent more, and whoever uploads archives compresses
//! nothing any more. The memory that it takes does not depend on the size: a window of half a megabyte, and buffers.

use std::io::{self, BufWriter, Write};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use zstd::stream::write::Encoder;

use super::archive::Writer;
use super::list::Content;
use super::manifest::{SavedMount, archive_name};
use super::storage::{Complete, Storage};
use super::summary::Summary;
use crate::buildkit::mover::{Connection, Contents, MoveError};
use crate::files::partial;
use crate::sight::Entry;

const LEVEL: i32 = 1;
/// How often a mount is read that changes meanwhile.
const ATTEMPTS: usize = 3;

/// What became of a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Saved {
    /// There is nothing in it.
    Empty,
    /// It is as it was saved.
    Unchanged(Content),
    /// It was written.
    Written(Archive),
}

/// An archive that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Its name.
    pub name: String,
    /// The digest of the file.
    pub file_digest: String,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// The digest of the tar archive.
    pub digest: String,
    /// What is in it.
    pub content: Content,
    /// The summary of the mount, where files were left out.
    pub untrimmed_summary: Option<String>,
    /// Files that were left out, being used the longest ago, and their bytes.
    pub left_out: (u64, u64),
    /// How long that took.
    pub took: Duration,
}

/// How an archive is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Compressed with zstd.
    Zstd,
    /// As it is.
    Tar,
}

/// Where an archive goes.
pub enum Destination {
    /// A file, which is written again from its beginning where the mount changes meanwhile.
    File(partial::PartialFile),
    /// What cannot be taken back.
    Stream(Box<dyn Write + Send>),
}

/// An archive that was written, and its file where it went to one.
pub type Exported = (Archive, Option<partial::PartialFile>);

/// Compresses, or does not.
enum Packer<W: Write> {
    Zstd(Encoder<'static, W>),
    Tar(W),
}

impl<W: Write> Packer<W> {
    fn new(form: Form, to: W) -> io::Result<Self> {
        Ok(match form {
            Form::Zstd => Self::Zstd(Encoder::new(to, LEVEL)?),
            Form::Tar => Self::Tar(to),
        })
    }

    fn finish(self) -> io::Result<W> {
        match self {
            Self::Zstd(encoder) => encoder.finish(),
            Self::Tar(to) => Ok(to),
        }
    }
}

impl<W: Write> Write for Packer<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::Zstd(encoder) => encoder.write(data),
            Self::Tar(to) => to.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Zstd(encoder) => encoder.flush(),
            Self::Tar(to) => to.flush(),
        }
    }
}

/// Takes what is sent into an archive.
struct Sink<W: Write> {
    tar: Writer<Hashing<W>>,
    summary: Summary,
}

impl<W: Write> Contents for Sink<W> {
    fn entry(&mut self, entry: &Entry, parts: &[(u64, u64)]) -> io::Result<()> {
        use crate::sight::EntryKind::LeftOut;
        if entry.kind != LeftOut {
            self.summary.add(entry);
        }
        self.tar.entry(entry, parts)
    }

    fn data(&mut self, data: &[u8]) -> io::Result<()> {
        self.tar.data(data)
    }
}

/// Writes, and calculates the digest of what is written.
pub(super) struct Hashing<W> {
    to: W,
    hash: Sha256,
    bytes: u64,
}

impl<W> Hashing<W> {
    pub(super) fn new(to: W) -> Self {
        Self { to, hash: Sha256::new(), bytes: 0 }
    }

    fn digest(self) -> (W, String, u64) {
        (self.to, format!("sha256:{}", hex::encode(self.hash.finalize())), self.bytes)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let written = self.to.write(data)?;
        self.hash.update(&data[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Saves the mount at the other end, unless it is as it was saved before. Files that were used the longest ago are left out
/// where all of them have more than `max_bytes`.
pub(super) fn save(
    line: &mut Connection,
    storage: &Storage,
    slug: &str,
    known: Option<&SavedMount>,
    max_bytes: Option<u64>,
) -> Result<Saved, MoveError> {
    let mut summary = if max_bytes.is_some() { Summary::with_ages() } else { Summary::default() };
    line.list(|entry| summary.add(&entry))?;
    let before = Content::from(&summary);
    if before.is_empty {
        return Ok(Saved::Empty);
    }
    if let Some(known) = known.filter(|known| known.is_of(&before.summary, max_bytes))
        && storage.has(known)?
    {
        return Ok(Saved::Unchanged(before));
    }
    let since = max_bytes.map_or(i64::MIN, |most| summary.since(most));
    let file = partial::file(storage.folder(), 0o644)?;
    let since_when = Instant::now();
    let (archive, file) = write(line, since, file, Form::Zstd)?;
    let is_trimmed = since != i64::MIN;
    let left_out = (
        before.counts.files.saturating_sub(archive.content.counts.files),
        before.counts.bytes.saturating_sub(archive.content.counts.bytes),
    );
    let archive = Archive {
        name: archive_name(slug, &archive.digest),
        untrimmed_summary: is_trimmed.then_some(before.summary),
        left_out: if is_trimmed { left_out } else { (0, 0) },
        ..archive
    };
    let (name, digest, bytes) = (&archive.name, &archive.file_digest, archive.file_bytes);
    storage.put(file, Complete { name, digest, bytes })?;
    Ok(Saved::Written(Archive { took: since_when.elapsed(), ..archive }))
}

/// Writes everything in the mount at the other end to one archive.
pub(super) fn export(
    line: &mut Connection,
    form: Form,
    to: Destination,
) -> Result<Exported, MoveError> {
    match to {
        Destination::File(file) => {
            write(line, i64::MIN, file, form).map(|(archive, file)| (archive, Some(file)))
        }
        Destination::Stream(to) => pack(line, i64::MIN, to, form).map(|archive| (archive, None)),
    }
}

/// Writes everything to `file`, from its beginning, as often as the mount changes meanwhile.
fn write(
    line: &mut Connection,
    since: i64,
    mut file: partial::PartialFile,
    form: Form,
) -> Result<(Archive, partial::PartialFile), MoveError> {
    use std::io::Seek as _;
    for attempt in 1.. {
        file.as_file_mut().set_len(0)?;
        file.as_file_mut().rewind()?;
        match pack(line, since, file.as_file_mut(), form) {
            Err(MoveError::Changed { .. }) if attempt < ATTEMPTS => {}
            packed => return packed.map(|archive| (archive, file)),
        }
    }
    Err(io::Error::other("no attempt was made").into())
}

/// Writes everything to `to`, compressed.
pub(super) fn pack(
    line: &mut Connection,
    since: i64,
    to: impl Write,
    form: Form,
) -> Result<Archive, MoveError> {
    let to = Hashing::new(BufWriter::with_capacity(1 << 18, to));
    let tar = Writer::new(Hashing::new(Packer::new(form, to)?));
    let mut sink = Sink { tar, summary: Summary::default() };
    line.send(since, &mut sink)?;
    let (packer, digest, _) = sink.tar.finish()?.digest();
    let mut file = packer.finish()?;
    file.flush()?;
    let (_, file_digest, file_bytes) = file.digest();
    let content = Content::from(&sink.summary);
    Ok(Archive {
        name: String::new(),
        file_digest,
        file_bytes,
        digest,
        content,
        untrimmed_summary: None,
        left_out: (0, 0),
        took: Duration::ZERO,
    })
}
