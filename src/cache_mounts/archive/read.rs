//! Reads an archive that anybody may have written. Whatever could reach out of the mount is refused.

use std::io::{self, Read};

use super::header::Header;
use super::{BLOCK, LONGEST_HEADER, MOST_PARTS, padding};
use crate::sight::{Entry, EntryKind};

/// Where a restore unpacks; no archive may bring that.
const ASIDE: &[u8] = b".doc2md-docker-restore";

/// Why an archive is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The stream.
    #[error(transparent)]
    Stream(#[from] io::Error),
    /// It is not one.
    #[error("not a tar archive, or a damaged one")]
    Damaged,
    /// It ends in the middle.
    #[error("the archive ends in the middle")]
    Short,
    /// A header that is longer than any name.
    #[error("a header of {0} bytes, more than {LONGEST_HEADER}")]
    Header(u64),
    /// An entry that could reach out of the mount, or cannot be in one.
    #[error("{path:?} {why}")]
    Entry {
        /// What the archive calls it.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// An archive that is read.
pub struct Reader<R> {
    from: R,
    /// Bytes of data of the last entry that nobody has read, and up to the end of its block.
    rest: u64,
    padding: u64,
    parts: Vec<(u64, u64)>,
}

/// What headers say of the next entry.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    modified: Option<(i64, u32)>,
    sparse: Sparse,
}

#[derive(Default)]
struct Sparse {
    major: Option<u64>,
    name: Option<Vec<u8>>,
    real_size: Option<u64>,
}

impl<R: Read> Reader<R> {
    /// Reads `from` its beginning.
    pub fn new(from: R) -> Self {
        Self { from, rest: 0, padding: 0, parts: Vec::new() }
    }

    /// The next entry; `None` at the end.
    ///
    /// # Errors
    /// The archive is not to be taken.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, Fault> {
        self.skip()?;
        let mut extended = Extension::default();
        loop {
            let mut block = [0; BLOCK];
            self.exact(&mut block)?;
            if block.iter().all(|byte| *byte == 0) {
                // Whatever follows the end is read, too: its digest counts.
                io::copy(&mut self.from, &mut io::sink())?;
                return Ok(None);
            }
            let header = Header::read(&block).ok_or(Fault::Damaged)?;
            match header.kind {
                b'x' => extended.read(&self.long(header.size)?)?,
                // What holds for all that follows: comments of programs.
                b'g' => drop(self.long(header.size)?),
                b'L' => extended.path = Some(without_zeros(self.long(header.size)?)),
                b'K' => extended.target = Some(without_zeros(self.long(header.size)?)),
                _ => return self.entry(header, extended).map(Some),
            }
        }
    }

    /// Where the data of the last entry are: start and length of each part.
    pub fn parts(&self) -> &[(u64, u64)] {
        &self.parts
    }

    /// Data of the last entry; none at its end.
    ///
    /// # Errors
    /// The stream ends.
    pub fn data(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        let most = buffer.len().min(usize::try_from(self.rest).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        match self.from.read(&mut buffer[..most])? {
            0 => Err(Fault::Short),
            read => {
                self.rest -= read as u64;
                Ok(read)
            }
        }
    }

    /// The stream, when everything has been read.
    pub fn into_inner(self) -> R {
        self.from
    }

    fn skip(&mut self) -> Result<(), Fault> {
        let left = self.rest + std::mem::take(&mut self.padding);
        self.rest = 0;
        if io::copy(&mut (&mut self.from).take(left), &mut io::sink())? < left {
            return Err(Fault::Short);
        }
        Ok(())
    }

    fn exact(&mut self, to: &mut [u8]) -> Result<(), Fault> {
        self.from.read_exact(to).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::Short,
            _ => Fault::Stream(error),
        })
    }

    fn long(&mut self, size: u64) -> Result<Vec<u8>, Fault> {
        if size > LONGEST_HEADER {
            return Err(Fault::Header(size));
        }
        let mut content = vec![0; usize::try_from(size + padding(size)).unwrap_or(0)];
        self.exact(&mut content)?;
        content.truncate(usize::try_from(size).unwrap_or(0));
        Ok(content)
    }

    fn entry(&mut self, header: Header, extended: Extension) -> Result<Entry, Fault> {
        let Extension { path, target, size, uid, gid, modified, mut sparse } = extended;
        let name = sparse.name.take().or(path).unwrap_or(header.name);
        let refuse = |why| Fault::Entry { path: String::from_utf8_lossy(&name).into_owned(), why };
        let kind = match header.kind {
            b'0' | b'7' | 0 => EntryKind::File,
            b'1' => EntryKind::HardLink,
            b'2' => EntryKind::Link,
            b'5' => EntryKind::Folder,
            b'3' | b'4' => return Err(refuse("is a device")),
            b'6' => return Err(refuse("is a pipe")),
            b'S' => {
                return Err(refuse(
                    "is sparse in GNU's old form; `tar --format=pax` writes the new one",
                ));
            }
            _ => return Err(refuse("is of a kind that nobody knows")),
        };
        let path = inner(&name).map_err(refuse)?;
        let mut target = target.unwrap_or(header.target);
        match kind {
            EntryKind::HardLink => {
                target = inner(&target).map_err(|_| refuse("is a link out of the mount"))?;
                if target.is_empty() {
                    return Err(refuse("is a link out of the mount"));
                }
            }
            EntryKind::Link if target.is_empty() || target.contains(&0) => {
                return Err(refuse("is a link to nothing"));
            }
            EntryKind::Link => {}
            _ => target.clear(),
        }
        if path.is_empty() && kind != EntryKind::Folder {
            return Err(refuse("has no name"));
        }
        let owner =
            |number: u64| u32::try_from(number).map_err(|_| refuse("has an owner that cannot be"));
        let (uid, gid) = (owner(uid.unwrap_or(header.uid))?, owner(gid.unwrap_or(header.gid))?);
        let stored = size.unwrap_or(header.size);
        let impossible = || refuse("has an impossible map of its data");
        let size = self.place(kind, stored, &sparse);
        let size = size.map_err(|fault| fault.unwrap_or_else(impossible))?;
        Ok(Entry {
            kind,
            mode: header.mode,
            uid,
            gid,
            modified: modified.unwrap_or((header.seconds, 0)),
            accessed: 0,
            size,
            disk_bytes: 0,
            path,
            target,
        })
    }

    /// Finds where the data of an entry are. Returns the size of the file; an error without a fault is that of the map.
    fn place(
        &mut self,
        kind: EntryKind,
        stored: u64,
        sparse: &Sparse,
    ) -> Result<u64, Option<Fault>> {
        self.parts.clear();
        (self.rest, self.padding) = (stored, padding(stored));
        if kind != EntryKind::File {
            return Ok(0);
        }
        let Some(size) = sparse.real_size else {
            if sparse.major.is_some() {
                return Err(None);
            }
            self.parts.extend((stored > 0).then_some((0, stored)));
            return Ok(stored);
        };
        if sparse.major != Some(1) {
            return Err(None);
        }
        let count = self.map_number()?;
        if count > MOST_PARTS as u64 + 1 {
            return Err(None);
        }
        let (mut at, mut data) = (0_u64, 0_u64);
        for _ in 0..count {
            let (start, length) = (self.map_number()?, self.map_number()?);
            let end = start.checked_add(length).filter(|end| *end <= size && start >= at);
            at = end.ok_or(None)?;
            data += length;
            if length > 0 {
                self.parts.push((start, length));
            }
        }
        // The map is filled up to whole blocks.
        let read = stored - self.rest;
        let fill = padding(read);
        if self.rest < fill {
            return Err(None);
        }
        let mut filling = [0; BLOCK];
        self.exact(&mut filling[..usize::try_from(fill).unwrap_or(0)]).map_err(Some)?;
        self.rest -= fill;
        if self.rest == data { Ok(size) } else { Err(None) }
    }

    /// A number of a map, which a line holds.
    fn map_number(&mut self) -> Result<u64, Option<Fault>> {
        let mut number = 0_u64;
        for digits in 0..21 {
            let mut byte = [0];
            if self.rest == 0 {
                return Err(None);
            }
            self.exact(&mut byte).map_err(Some)?;
            self.rest -= 1;
            match byte[0] {
                b'\n' if digits > 0 => return Ok(number),
                digit @ b'0'..=b'9' => {
                    let next = number
                        .checked_mul(10)
                        .and_then(|it| it.checked_add(u64::from(digit - b'0')));
                    number = next.ok_or(None)?;
                }
                _ => return Err(None),
            }
        }
        Err(None)
    }
}

impl Extension {
    fn read(&mut self, mut records: &[u8]) -> Result<(), Fault> {
        while !records.is_empty() {
            let blank = records.iter().position(|byte| *byte == b' ').ok_or(Fault::Damaged)?;
            let length = number(&records[..blank]).and_then(|it| usize::try_from(it).ok());
            let length = length.filter(|it| *it > blank + 1 && *it <= records.len());
            let (record, rest) = records.split_at(length.ok_or(Fault::Damaged)?);
            records = rest;
            let record = record[blank + 1..].strip_suffix(b"\n").ok_or(Fault::Damaged)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or(Fault::Damaged)?;
            let value = &record[equals + 1..];
            let counted = || number(value).map(Some).ok_or(Fault::Damaged);
            match &record[..equals] {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.target = Some(value.to_vec()),
                b"size" => self.size = counted()?,
                b"uid" => self.uid = counted()?,
                b"gid" => self.gid = counted()?,
                b"mtime" => self.modified = Some(time(value).ok_or(Fault::Damaged)?),
                b"GNU.sparse.major" => self.sparse.major = counted()?,
                b"GNU.sparse.name" => self.sparse.name = Some(value.to_vec()),
                b"GNU.sparse.realsize" => self.sparse.real_size = counted()?,
                // The forms before 1.0, whose map is here.
                b"GNU.sparse.size" | b"GNU.sparse.map" => self.sparse.major = Some(0),
                _ => {}
            }
        }
        Ok(())
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A time as pax has it, with any number of digits behind the point.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (is_negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = whole.parse().ok().filter(|seconds| *seconds >= 0)?;
    let nanoseconds: u32 = format!("{part:0<9}")[..9].parse().ok()?;
    Some(match (is_negative, nanoseconds) {
        (false, _) => (seconds, nanoseconds),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanoseconds),
    })
}

fn without_zeros(mut text: Vec<u8>) -> Vec<u8> {
    text.truncate(text.iter().position(|byte| *byte == 0).unwrap_or(text.len()));
    text
}

/// The path within the mount, without dots and slashes that mean nothing.
fn inner(path: &[u8]) -> Result<Vec<u8>, &'static str> {
    if path.first() == Some(&b'/') {
        return Err("is an absolute path");
    }
    if path.contains(&0) {
        return Err("has a zero in its name");
    }
    let parts: Vec<&[u8]> =
        path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".").collect();
    if parts.contains(&&b".."[..]) {
        return Err("leads out of the mount");
    }
    if parts.first() == Some(&ASIDE) {
        return Err("has the name of a restore");
    }
    Ok(parts.join(&b'/'))
}
