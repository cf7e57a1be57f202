//! Saves a mount: what is in it to an archive, compressed, with its digests.
//!
//! Level 1 of zstd takes a fifth of the time of level 3 for a few per cent more, and whoever uploads archives compresses
//! nothing any more. The memory that it takes does not depend on the size: a window of half a megabyte, and buffers.

use std::io::{self, BufWriter, Write};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use zstd::stream::write::Encoder;

use super::CacheMount;
use super::archive::Writer;
use super::base::{Base, Listing};
use super::index::Index;
use super::list::Content;
use super::manifest::{IndexFile, Lower, SavedMount, StoredFile, archive_name, index_name};
use super::parts::{Parts, Retention};
use super::storage::Storage;
use super::summary::{Summary, fingerprint};
use crate::buildkit::mover::{Connection, Contents, MoveError};
use crate::files::partial;
use crate::sight::{Entry, EntryKind};

const LEVEL: i32 = 1;
/// How often a mount is read that changes meanwhile.
const ATTEMPTS: usize = 3;
/// Bytes of files from which on what is new is worth an archive of its own some day.
const WORTH_AN_INDEX: u64 = 1 << 20;

/// What became of a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaveResult {
    /// There is nothing in it.
    Empty,
    /// It is as it was saved.
    Unchanged(Content),
    /// Whatever goes by itself has more bytes than may be saved.
    TooLarge(Content),
    /// It was written.
    Written(Box<Archive>),
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
    /// Files that were left out, and their bytes.
    pub left_out: (u64, u64),
    /// Archives that this one adds to, the oldest first.
    pub below: Vec<Lower>,
    /// What tells which entries the mount has.
    pub index: Option<IndexFile>,
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
pub type ArchiveFile = (Archive, Option<partial::PartialFile>);

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

/// What is read of a mount.
#[derive(Clone, Copy)]
enum Extent<'a> {
    /// Everything, of which something may be left out here.
    All(Option<&'a Retention>),
    /// What stays of a list.
    Kept(&'a Retention),
    /// What earlier archives do not have.
    New(&'a Base),
}

/// Takes what is sent into an archive.
struct Sink<'a, W: Write> {
    tar: Writer<HashWriter<W>>,
    summary: Summary,
    fingerprints: Vec<u64>,
    below: Option<&'a Index>,
    kept: Option<&'a Retention>,
    /// The data that come belong to what earlier archives have, or to what is left out.
    is_skipped: bool,
    /// A file was not sent, although it is new.
    missed: Option<Vec<u8>>,
}

impl<W: Write> Contents for Sink<'_, W> {
    fn entry(&mut self, entry: &Entry, parts: &[(u64, u64)]) -> io::Result<()> {
        self.is_skipped = self.kept.is_some_and(|kept| !kept.has(entry));
        if self.is_skipped {
            return Ok(());
        }
        self.summary.add(entry);
        let Some(fingerprint) = fingerprint(entry) else { return Ok(()) };
        self.fingerprints.push(fingerprint);
        self.is_skipped = self.below.is_some_and(|below| below.has(fingerprint));
        if self.is_skipped {
            return Ok(());
        }
        if entry.kind == EntryKind::LeftOut {
            self.missed.get_or_insert_with(|| entry.path.clone());
            return Ok(());
        }
        self.tar.entry(entry, parts)
    }

    fn data(&mut self, data: &[u8]) -> io::Result<()> {
        if self.is_skipped { Ok(()) } else { self.tar.data(data) }
    }
}

/// Writes, and calculates the digest of what is written.
pub(super) struct HashWriter<W> {
    to: W,
    hash: Sha256,
    bytes: u64,
}

impl<W> HashWriter<W> {
    pub(super) fn new(to: W) -> Self {
        Self { to, hash: Sha256::new(), bytes: 0 }
    }

    fn digest(self) -> (W, String, u64) {
        (self.to, format!("sha256:{}", hex::encode(self.hash.finalize())), self.bytes)
    }
}

impl<W: Write> Write for HashWriter<W> {
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

/// Saves the mount at the other end, unless it is as it was saved before. Parts of it are left out where all of it has more than
/// `max_bytes`.
pub(super) fn save(
    line: &mut Connection,
    storage: &Storage,
    mount: &CacheMount,
    known: Option<&SavedMount>,
    max_bytes: Option<u64>,
) -> Result<SaveResult, MoveError> {
    let mut summary = Summary::default();
    let mut parts = max_bytes.map(|_| Parts::new(&mount.target));
    // Only an index tells what is new.
    let mut listing = known.filter(|known| known.index.is_some()).map(|_| Listing::default());
    line.list(|entry| {
        summary.add(&entry);
        listing.iter_mut().for_each(|listing| listing.add(&entry));
        parts.iter_mut().for_each(|parts| parts.add(&entry));
    })?;
    let (slug, before) = (mount.slug(), Content::from(&summary));
    if before.is_empty {
        return Ok(SaveResult::Empty);
    }
    if let Some(known) = known.filter(|known| known.is_of(&before.summary, max_bytes))
        && storage.has(known)?
    {
        return Ok(SaveResult::Unchanged(before));
    }
    let kept = parts.zip(max_bytes).and_then(|(parts, most)| parts.within(most));
    let is_trimmed = kept.is_some();
    if kept.as_ref().is_some_and(Retention::is_empty) {
        return Ok(SaveResult::TooLarge(before));
    }
    let mut base = match (known, &listing) {
        (Some(known), Some(listing)) if !is_trimmed => Base::find(known, storage, listing)?,
        _ => None,
    };
    let since_when = Instant::now();
    let (packed, file) = write_archive(line, storage, kept.as_ref(), &mut base)?;
    let left_out = (
        before.counts.files.saturating_sub(packed.archive.content.counts.files),
        before.counts.bytes.saturating_sub(packed.archive.content.counts.bytes),
    );
    let mut archive = Archive {
        name: archive_name(&slug, &packed.archive.digest),
        untrimmed_summary: is_trimmed.then_some(before.summary),
        left_out: if is_trimmed { left_out } else { (0, 0) },
        below: base.map(|base| base.archives).unwrap_or_default(),
        ..packed.archive
    };
    let (name, digest, bytes) = (&archive.name, &archive.file_digest, archive.file_bytes);
    storage.put(file, StoredFile { name, digest, bytes })?;
    if archive.content.counts.bytes >= WORTH_AN_INDEX && !is_trimmed {
        archive.index = Some(put_index(storage, &slug, &packed.index)?);
    }
    archive.took = since_when.elapsed();
    Ok(SaveResult::Written(Box::new(archive)))
}

/// Writes what `base` does not have, or what of the mount is kept; all of that where the mount changed since it was listed,
/// and then there is no base any more.
fn write_archive(
    line: &mut Connection,
    storage: &Storage,
    kept: Option<&Retention>,
    base: &mut Option<Base>,
) -> Result<(Package, partial::PartialFile), MoveError> {
    let file = || partial::file(storage.folder(), 0o644);
    if let Some(chosen) = base.as_ref().map(Extent::New).or(kept.map(Extent::Kept)) {
        match write(line, chosen, file()?, Form::Zstd) {
            Err(MoveError::Changed { .. }) => {}
            written => return written,
        }
    }
    *base = None;
    write(line, Extent::All(kept), file()?, Form::Zstd)
}

fn put_index(storage: &Storage, slug: &str, index: &Index) -> io::Result<IndexFile> {
    let text = index.bytes();
    let digest = format!("sha256:{}", hex::encode(Sha256::digest(&text)));
    let (name, bytes) = (index_name(slug, &digest), text.len() as u64);
    let mut file = partial::file(storage.folder(), 0o644)?;
    file.as_file_mut().write_all(&text)?;
    storage.put(file, StoredFile { name: &name, digest: &digest, bytes })?;
    Ok(IndexFile { file: name, digest, bytes })
}

/// Writes everything in the mount at the other end to one archive.
pub(super) fn export(
    line: &mut Connection,
    form: Form,
    to: Destination,
) -> Result<ArchiveFile, MoveError> {
    let all = Extent::All(None);
    match to {
        Destination::File(file) => {
            write(line, all, file, form).map(|(packed, file)| (packed.archive, Some(file)))
        }
        Destination::Stream(to) => pack(line, all, to, form).map(|packed| (packed.archive, None)),
    }
}

/// Writes to `file`, from its beginning, as often as the mount changes meanwhile.
fn write(
    line: &mut Connection,
    extent: Extent<'_>,
    mut file: partial::PartialFile,
    form: Form,
) -> Result<(Package, partial::PartialFile), MoveError> {
    use std::io::Seek as _;
    for attempt in 1.. {
        file.as_file_mut().set_len(0)?;
        file.as_file_mut().rewind()?;
        match pack(line, extent, file.as_file_mut(), form) {
            Err(MoveError::Changed { .. }) if attempt < ATTEMPTS => {}
            packed => return packed.map(|packed| (packed, file)),
        }
    }
    Err(io::Error::other("no attempt was made").into())
}

/// An archive that was written, and the entries of the mount.
struct Package {
    archive: Archive,
    index: Index,
}

/// Writes what is read to `to`, compressed.
fn pack(
    line: &mut Connection,
    extent: Extent<'_>,
    to: impl Write,
    form: Form,
) -> Result<Package, MoveError> {
    let to = HashWriter::new(BufWriter::with_capacity(1 << 18, to));
    let tar = Writer::new(HashWriter::new(Packer::new(form, to)?));
    let mut sink = Sink {
        tar,
        summary: Summary::default(),
        fingerprints: Vec::new(),
        below: None,
        kept: None,
        is_skipped: false,
        missed: None,
    };
    match extent {
        Extent::All(kept) => {
            sink.kept = kept;
            line.send(i64::MIN, &mut sink)?;
        }
        Extent::Kept(kept) => {
            sink.kept = Some(kept);
            line.send_chosen(&kept.files, &mut sink)?;
        }
        Extent::New(base) => {
            sink.below = Some(&base.index);
            line.send_chosen(&base.new_files, &mut sink)?;
        }
    }
    if let Some(path) = sink.missed {
        return Err(MoveError::Changed { path: String::from_utf8_lossy(&path).into_owned() });
    }
    let (packer, digest, _) = sink.tar.finish()?.digest();
    let mut file = packer.finish()?;
    file.flush()?;
    let (_, file_digest, file_bytes) = file.digest();
    let archive = Archive {
        name: String::new(),
        file_digest,
        file_bytes,
        digest,
        content: Content::from(&sink.summary),
        untrimmed_summary: None,
        left_out: (0, 0),
        below: Vec::new(),
        index: None,
        took: Duration::ZERO,
    };
    Ok(Package { archive, index: Index::new(sink.fingerprints) })
}
