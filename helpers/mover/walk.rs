//! Lists a directory, and sends what is in it. Parents come before what is in them, names in the order of their bytes: the
//! same contents give the same bytes.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::system::{EBUSY, EINVAL, ENOENT, FILE, FOLDER, Fd, KIND, LINK, Outcome, Status};
use super::unpack::{ASIDE, is_interrupted};
use super::wire::Wire;

/// Directories within directories: each takes a descriptor, of which a process may have 1,024.
const DEPTH: usize = 900;
/// Parts of a file with holes at most; what is behind them counts as data.
const MOST_PARTS: usize = 100_000;

/// What is sent of a file.
#[derive(Clone, Copy)]
pub enum Extent<'a> {
    Entries,
    /// Contents, too, of what was read or changed at or after that second.
    Contents { since: i64 },
    /// Contents, too, of files by their numbers in a list of them, a bit each.
    Chosen { files: &'a [u8] },
}

struct Walk<'a> {
    wire: &'a mut Wire,
    extent: Extent<'a>,
    /// Files so far, each once.
    files: usize,
    /// The first name of files that have several.
    names: BTreeMap<u64, Vec<u8>>,
}

/// Sends what is in `root`, an `x` behind it, or why that cannot be done.
pub fn walk(root: &Fd, wire: &mut Wire, extent: Extent<'_>) -> Option<()> {
    if is_interrupted(root) {
        return wire.fail("half restored", b"", EBUSY);
    }
    let mut walk = Walk { wire, extent, files: 0, names: BTreeMap::new() };
    let status = match root.status() {
        Ok(status) => status,
        Err(error) => return walk.wire.fail("stat", b"", error),
    };
    walk.entry(b'd', &status, b"", b"");
    let mut path = Vec::new();
    match walk.folder(root, &mut path, 0) {
        Ok(()) => wire.put(b"z"),
        Err((what, error)) => return wire.fail(what, &path, error),
    }
    wire.flush()
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Fd, path: &mut Vec<u8>, depth: usize) -> Result<(), (&'static str, u32)> {
        let names = folder.names().map_err(|error| ("list", error))?;
        for name in names {
            if depth == 0 && name == ASIDE {
                continue;
            }
            let length = path.len();
            if length > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(&name);
            match self.thing(folder, &name, path, depth) {
                // Somebody removed it meanwhile.
                Err((_, ENOENT)) | Ok(()) => path.truncate(length),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn thing(
        &mut self,
        folder: &Fd,
        name: &[u8],
        path: &mut Vec<u8>,
        depth: usize,
    ) -> Result<(), (&'static str, u32)> {
        let status = folder.status_of(name).map_err(|error| ("stat", error))?;
        match status.mode & KIND {
            FOLDER => {
                if depth == DEPTH {
                    return Err(("too deep", EINVAL));
                }
                let inner = folder.folder(name).map_err(|error| ("open", error))?;
                self.entry(b'd', &status, path, b"");
                self.folder(&inner, path, depth + 1)
            }
            LINK => {
                let target = folder.link_target(name).map_err(|error| ("read link", error))?;
                self.entry(b'l', &status, path, &target);
                Ok(())
            }
            FILE => self.file(folder, name, path, &status),
            _ => {
                self.entry(b'o', &status, path, b"");
                Ok(())
            }
        }
    }

    fn file(
        &mut self,
        folder: &Fd,
        name: &[u8],
        path: &[u8],
        status: &Status,
    ) -> Result<(), (&'static str, u32)> {
        if status.links > 1 {
            if let Some(first) = self.names.get(&status.inode) {
                let first = first.clone();
                let is_wanted = match self.extent {
                    // Another name is cheap.
                    Extent::Chosen { .. } => true,
                    _ => self.is_wanted(status),
                };
                self.entry(if is_wanted { b'h' } else { b't' }, status, path, &first);
                return Ok(());
            }
            self.names.insert(status.inode, path.to_vec());
        }
        let is_wanted = self.is_wanted(status);
        self.files += 1;
        if !is_wanted {
            self.entry(b't', status, path, b"");
            return Ok(());
        }
        if let Extent::Entries = self.extent {
            self.entry(b'f', status, path, b"");
            return Ok(());
        }
        let file = folder.file(name).map_err(|error| ("open", error))?;
        let status = file.status().map_err(|error| ("stat", error))?;
        if status.mode & KIND != FILE {
            return Err(("stat", ENOENT));
        }
        let parts = parts(&file, &status).map_err(|error| ("read", error))?;
        self.entry(b'f', &status, path, b"");
        self.wire.put(&(parts.len() as u32).to_le_bytes());
        for (start, length) in &parts {
            self.wire.put(&start.to_le_bytes());
            self.wire.put(&length.to_le_bytes());
        }
        let mut is_changed = false;
        for (start, length) in parts {
            is_changed |= self.content(&file, start, length).ok_or(("send", EINVAL))?;
        }
        self.wire.put(&[u8::from(is_changed)]);
        Ok(())
    }

    /// Sends a part of a file; whether it had become shorter. What is missing is zeros then.
    fn content(&mut self, file: &Fd, start: u64, length: u64) -> Option<bool> {
        let mut sent = 0;
        let mut is_changed = false;
        while sent < length {
            let filled = self.wire.fill(length - sent, |to| {
                let read = if is_changed { Ok(0) } else { file.read_at(to, start + sent) };
                match read {
                    Ok(read) if read > 0 => Outcome::Ok(read),
                    _ => {
                        is_changed = true;
                        to.fill(0);
                        Ok(to.len())
                    }
                }
            })?;
            sent += filled.unwrap_or(0) as u64;
        }
        Some(is_changed)
    }

    fn is_wanted(&self, status: &Status) -> bool {
        match self.extent {
            Extent::Entries => true,
            Extent::Contents { since } => status.accessed.max(status.modified) >= since,
            Extent::Chosen { files } => {
                files.get(self.files / 8).is_some_and(|bits| bits & (1 << (self.files % 8)) != 0)
            }
        }
    }

    fn entry(&mut self, kind: u8, status: &Status, path: &[u8], target: &[u8]) {
        self.wire.put(&[kind]);
        for number in [u32::from(status.mode & 0o7777), status.uid, status.gid, status.modified_nanoseconds] {
            self.wire.put(&number.to_le_bytes());
        }
        for number in [status.modified, status.accessed] {
            self.wire.put(&number.to_le_bytes());
        }
        for number in [status.size, status.blocks] {
            self.wire.put(&number.to_le_bytes());
        }
        self.wire.put_text(path);
        self.wire.put_text(target);
    }
}

/// Where a file has data: start and length.
fn parts(file: &Fd, status: &Status) -> Outcome<Vec<(u64, u64)>> {
    let size = status.size;
    let mut parts = Vec::new();
    if status.blocks.saturating_mul(512) >= size {
        if size > 0 {
            parts.push((0, size));
        }
        return Ok(parts);
    }
    let mut at = 0;
    while at < size {
        if parts.len() == MOST_PARTS {
            parts.push((at, size - at));
            break;
        }
        let (start, end) = match file.next_data(at) {
            Ok(Some(part)) => part,
            Ok(None) => break,
            // A file system that does not tell.
            Err(EINVAL) => (at, size),
            Err(error) => return Err(error),
        };
        let (start, end) = (start.min(size), end.min(size));
        if start >= end {
            break;
        }
        parts.push((start, end - start));
        at = end;
    }
    Ok(parts)
}
