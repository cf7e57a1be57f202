//! Writes an archive, entry by entry.

use std::io::{self, Write};

use super::header::Header;
use super::{BLOCK, padding};
use crate::sight::{Entry, EntryKind};

/// The largest numbers that fit into a header's own fields.
const LARGEST_SIZE: u64 = (1 << 33) - 1;
const LARGEST_OWNER: u32 = (1 << 21) - 1;
/// Where headers for the next entry are said to be.
const EXTENDED_NAME: &[u8] = b"PaxHeader";

/// An archive on its way.
pub struct Writer<W> {
    to: W,
    /// Bytes up to the end of the last entry's last block.
    padding: u64,
}

impl<W: Write> Writer<W> {
    /// Begins one.
    pub fn new(to: W) -> Self {
        Self { to, padding: 0 }
    }

    /// Adds an entry; for a file also where its data are, which follow. What is not kept is left out.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn entry(&mut self, entry: &Entry, parts: &[(u64, u64)]) -> io::Result<()> {
        self.pad()?;
        // Whatever comes and goes in it changes the mount's own time: it says nothing of what is there.
        let modified = if entry.path.is_empty() { (0, 0) } else { entry.modified };
        let mut name = if entry.path.is_empty() { b".".to_vec() } else { entry.path.clone() };
        let kind = match entry.kind {
            EntryKind::File => b'0',
            EntryKind::HardLink => b'1',
            EntryKind::Link => b'2',
            EntryKind::Folder => {
                name.push(b'/');
                b'5'
            }
            EntryKind::LeftOut | EntryKind::Other => return Ok(()),
        };
        let is_file = entry.kind == EntryKind::File;
        let data: u64 = parts.iter().map(|(_, length)| length).sum();
        let map = if is_file && data < entry.size { map(entry.size, parts) } else { Vec::new() };
        let size = if is_file { data + map.len() as u64 } else { 0 };
        let extended = extended(entry, modified, &name, size, !map.is_empty());
        self.extended_header(&extended)?;
        if !map.is_empty() {
            name = [b"GNUSparseFile.0/", &base(&name)[..]].concat();
        }
        let header = Header {
            name,
            mode: entry.mode,
            uid: u64::from(entry.uid),
            gid: u64::from(entry.gid),
            size,
            seconds: modified.0,
            kind,
            target: entry.target.clone(),
        };
        self.to.write_all(&header.block())?;
        self.to.write_all(&map)?;
        self.padding = padding(size);
        Ok(())
    }

    /// Data of the last entry.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn data(&mut self, data: &[u8]) -> io::Result<()> {
        self.to.write_all(data)
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// Those of the stream.
    pub fn finish(mut self) -> io::Result<W> {
        self.pad()?;
        self.to.write_all(&[0; 2 * BLOCK])?;
        Ok(self.to)
    }

    fn pad(&mut self) -> io::Result<()> {
        let padding = usize::try_from(std::mem::take(&mut self.padding)).unwrap_or(0);
        self.to.write_all(&[0; BLOCK][..padding])
    }

    fn extended_header(&mut self, records: &[u8]) -> io::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let size = records.len() as u64;
        let header = Header {
            name: EXTENDED_NAME.to_vec(),
            mode: 0o644,
            size,
            kind: b'x',
            ..Header::default()
        };
        self.to.write_all(&header.block())?;
        self.to.write_all(records)?;
        self.padding = padding(size);
        self.pad()
    }
}

/// What does not fit into the header itself, in one order.
fn extended(
    entry: &Entry,
    modified: (i64, u32),
    name: &[u8],
    size: u64,
    is_sparse: bool,
) -> Vec<u8> {
    let mut records = Vec::new();
    let has_odd_name = |text: &[u8]| std::str::from_utf8(text).is_err();
    let is_long = |text: &[u8]| text.len() > 100 || has_odd_name(text);
    if has_odd_name(name) || has_odd_name(&entry.target) {
        record(&mut records, "hdrcharset", b"BINARY");
    }
    if is_sparse {
        record(&mut records, "GNU.sparse.major", b"1");
        record(&mut records, "GNU.sparse.minor", b"0");
        record(&mut records, "GNU.sparse.name", name);
        record(&mut records, "GNU.sparse.realsize", entry.size.to_string().as_bytes());
    } else if is_long(name) {
        record(&mut records, "path", name);
    }
    if is_long(&entry.target) {
        record(&mut records, "linkpath", &entry.target);
    }
    if size > LARGEST_SIZE {
        record(&mut records, "size", size.to_string().as_bytes());
    }
    for (key, owner) in [("uid", entry.uid), ("gid", entry.gid)] {
        if owner > LARGEST_OWNER {
            record(&mut records, key, owner.to_string().as_bytes());
        }
    }
    let (seconds, nanoseconds) = modified;
    if nanoseconds != 0 || u64::try_from(seconds).map_or(true, |it| it > LARGEST_SIZE) {
        record(&mut records, "mtime", time(seconds, nanoseconds).as_bytes());
    }
    records
}

/// `LENGTH KEY=VALUE`, the length being that of all of it.
fn record(records: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(format!("{length} {key}=").as_bytes());
    records.extend_from_slice(value);
    records.push(b'\n');
}

/// A time as pax has it: what is before 1970 is negative as a whole.
fn time(seconds: i64, nanoseconds: u32) -> String {
    let (sign, whole, part) = match (seconds < 0, nanoseconds) {
        (true, 0) => ("-", seconds.unsigned_abs(), 0),
        (true, part) => ("-", (seconds + 1).unsigned_abs(), 1_000_000_000 - part),
        (false, part) => ("", seconds.unsigned_abs(), part),
    };
    let text = format!("{sign}{whole}.{part:09}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The map of a sparse file as GNU tar has it from format 1.0 on: it ends with the end of the file.
fn map(size: u64, parts: &[(u64, u64)]) -> Vec<u8> {
    let reaches_end = parts.last().is_some_and(|(start, length)| start + length == size);
    let end = (!reaches_end).then_some((size, 0));
    let parts: Vec<(u64, u64)> = parts.iter().copied().chain(end).collect();
    let mut text = format!("{}\n", parts.len());
    for (start, length) in &parts {
        text += &format!("{start}\n{length}\n");
    }
    let mut map = text.into_bytes();
    map.resize(map.len().next_multiple_of(BLOCK), 0);
    map
}

fn base(path: &[u8]) -> Vec<u8> {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default().iter().copied().take(80).collect()
}
