//! Reads a mount from its archives: the oldest has everything, each later one what was new then. Of an entry that several
//! have the newest counts that the index names, and what it does not name has gone.
//!
//! Archives have parents before what is in them, and names in the order of their bytes: so they are read side by side, and
//! what comes out has that order, too.

use std::cmp::Ordering;
use std::io::{self, BufReader, Read};

use sha2::{Digest as _, Sha256};

use super::archive::{Fault, Reader};
use super::index::Index;
use super::summary::Summary;
use crate::sight::Entry;

/// Bytes that are read at a time.
pub(super) const CHUNK: usize = 256 << 10;

/// Archives, the oldest first.
pub(super) struct Layers<R> {
    layers: Vec<Layer<R>>,
    /// What there is; all of it where nothing is said.
    index: Option<Index>,
    summary: Summary,
    /// Whose entry came last.
    current: usize,
}

struct Layer<R> {
    reader: Reader<HashReader<R>>,
    next: Option<Entry>,
    is_read: bool,
}

/// What was read, to its end.
pub(super) struct Outcome {
    /// Of each archive.
    pub(super) digests: Vec<String>,
    /// Of all entries that came out.
    pub(super) summary: String,
}

impl<R: Read> Layers<R> {
    /// One archive.
    pub(super) fn one(from: R) -> Self {
        Self::new(vec![from], None)
    }

    /// The archives of one mount, the oldest first, and what there is where they are several.
    pub(super) fn new(from: Vec<R>, index: Option<Index>) -> Self {
        let layer = |from| {
            let from = BufReader::with_capacity(CHUNK, from);
            let reader = Reader::new(HashReader { from, hash: Sha256::new() });
            Layer { reader, next: None, is_read: false }
        };
        let layers = from.into_iter().map(layer).collect();
        Self { layers, index, summary: Summary::default(), current: 0 }
    }

    /// The next entry; `None` when all archives have ended.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>, Fault> {
        loop {
            for layer in self.layers.iter_mut().filter(|layer| !layer.is_read) {
                layer.next = layer.reader.next_entry()?;
                layer.is_read = true;
            }
            let heads = self.layers.iter().filter_map(|layer| layer.next.as_ref());
            let Some(first) = heads.map(|entry| &entry.path).min_by(|one, other| order(one, other))
            else {
                return Ok(None);
            };
            let first = first.clone();
            let mut found = None;
            // The newest comes first.
            for (at, layer) in self.layers.iter_mut().enumerate().rev() {
                let Some(entry) = layer.next.take_if(|entry| entry.path == first) else { continue };
                layer.is_read = false;
                let is_there = self.index.as_ref().is_none_or(|index| index.has_entry(&entry));
                if found.is_none() && is_there {
                    self.current = at;
                    found = Some(entry);
                }
            }
            if let Some(entry) = found {
                self.summary.add(&entry);
                return Ok(Some(entry));
            }
        }
    }

    /// Where the data of the last entry are.
    pub(super) fn parts(&self) -> &[(u64, u64)] {
        self.layers[self.current].reader.parts()
    }

    /// Data of the last entry; none at its end.
    pub(super) fn data(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        self.layers[self.current].reader.data(buffer)
    }

    /// What was read, when all of it has been.
    pub(super) fn finish(self) -> Outcome {
        let digest = |layer: Layer<R>| {
            format!("sha256:{}", hex::encode(layer.reader.into_inner().hash.finalize()))
        };
        Outcome {
            digests: self.layers.into_iter().map(digest).collect(),
            summary: self.summary.digest(),
        }
    }
}

/// Reads, and calculates the digest of what is read.
struct HashReader<R> {
    from: BufReader<R>,
    hash: Sha256,
}

impl<R: Read> Read for HashReader<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(to)?;
        self.hash.update(&to[..read]);
        Ok(read)
    }
}

/// The order in which a mount is walked through: a folder's own entries come before names that only begin like it.
fn order(one: &[u8], other: &[u8]) -> Ordering {
    one.split(|byte| *byte == b'/').cmp(other.split(|byte| *byte == b'/'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::archive::Writer;
    use super::super::summary::fingerprint;
    use super::*;
    use crate::sight::EntryKind;

    fn entry(kind: EntryKind, path: &str, text: &str) -> (Entry, String) {
        let entry = Entry {
            kind,
            mode: 0o755,
            uid: 0,
            gid: 0,
            modified: (text.len() as i64, 0),
            accessed: 0,
            size: if kind == EntryKind::File { text.len() as u64 } else { 0 },
            disk_bytes: 0,
            path: path.into(),
            target: Vec::new(),
        };
        (entry, text.to_owned())
    }

    fn file(path: &str, text: &str) -> (Entry, String) {
        entry(EntryKind::File, path, text)
    }

    fn folder(path: &str) -> (Entry, String) {
        entry(EntryKind::Folder, path, "")
    }

    fn archive(entries: &[&(Entry, String)]) -> Vec<u8> {
        let mut to = Writer::new(Vec::new());
        for (entry, text) in entries {
            to.entry(entry, &[(0, entry.size)][..usize::from(entry.size > 0)]).unwrap();
            to.data(text.as_bytes()).unwrap();
        }
        to.finish().unwrap()
    }

    fn contents(archives: &[Vec<u8>], now: &[&(Entry, String)]) -> Vec<String> {
        let index = Index::new(now.iter().filter_map(|(entry, _)| fingerprint(entry)).collect());
        let from = archives.iter().map(Vec::as_slice).collect();
        let (mut layers, mut all) = (Layers::new(from, Some(index)), Vec::new());
        let mut buffer = [0; 100];
        while let Some(entry) = layers.next_entry().unwrap() {
            let mut text = Vec::new();
            while let read @ 1.. = layers.data(&mut buffer).unwrap() {
                text.extend_from_slice(&buffer[..read]);
            }
            let path = String::from_utf8(entry.path).unwrap();
            all.push(format!("{path}={}", String::from_utf8(text).unwrap()));
        }
        let outcome = layers.finish();
        let mut summary = Summary::default();
        now.iter().for_each(|(entry, _)| summary.add(entry));
        assert_eq!(outcome.summary, summary.digest());
        let digest = |archive: &Vec<u8>| format!("sha256:{}", hex::encode(Sha256::digest(archive)));
        assert_eq!(outcome.digests, archives.iter().map(digest).collect::<Vec<_>>());
        all
    }

    #[test]
    fn what_is_newest_counts_and_what_has_gone_does_not_come() {
        let (root, a, old, new) =
            (folder(""), folder("a"), file("a/x", "old"), file("a/x", "newer"));
        let (beside, gone, more) =
            (file("a-b", "beside"), file("a/gone", "gone"), file("b", "more"));
        let first = archive(&[&root, &a, &gone, &old, &beside]);
        let second = archive(&[&new, &more]);
        let now = [&root, &a, &new, &beside, &more];
        let both = [first.clone(), second.clone()];
        assert_eq!(contents(&both, &now), ["=", "a=", "a/x=newer", "a-b=beside", "b=more"]);
        // A third time: a folder becomes a file, and what was in it has gone.
        let a = file("a", "file");
        let third = archive(&[&a]);
        let now = [&root, &a, &beside, &more];
        let all = [first.clone(), second, third];
        assert_eq!(contents(&all, &now), ["=", "a=file", "a-b=beside", "b=more"]);
        assert_eq!(contents(&[first, archive(&[])], &[&root, &beside]), ["=", "a-b=beside"]);
    }
}
