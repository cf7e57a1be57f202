//! Takes entries and exchanges them for what a directory holds.
//!
//! Everything is unpacked into `ASIDE/new`, in the directory itself: only there a rename is one step. Whoever is killed before
//! the exchange leaves nothing but that folder, and the next one removes it. The exchange is renames in the directory alone:
//! what was there goes to `ASIDE/old`, then what came goes to its place. Two marks say how far it came: with the first one
//! the next run takes it back, with the second one it completes it.

use alloc::vec::Vec;

use super::system::{EBUSY, EEXIST, EINVAL, ELOOP, ENOENT, ENOTDIR, FOLDER, Fd, KIND, Outcome};
use super::wire::Wire;

pub const ASIDE: &[u8] = b".doc2md-docker-restore";
const NEW: &[u8] = b"new";
const OLD: &[u8] = b"old";
const LEAVING: &[u8] = b"leaving";
const COMING: &[u8] = b"coming";

struct Attributes {
    mode: u32,
    uid: u32,
    gid: u32,
    modified: (i64, u32),
}

impl Attributes {
    fn set(&self, of: &Fd) -> Outcome<()> {
        of.set(self.uid, self.gid, self.mode & 0o7777, self.modified)
    }
}

/// Whether an exchange ended halfway.
pub fn is_interrupted(root: &Fd) -> bool {
    root.folder(ASIDE).is_ok_and(|aside| {
        // Whoever holds it is at work.
        aside.lock().is_ok() && [LEAVING, COMING].iter().any(|mark| aside.status_of(mark).is_ok())
    })
}

/// Takes entries, and puts them in the place of what is there when it is told to. The answer is `k`, twice, or why not.
pub fn receive(root: &Fd, wire: &mut Wire) -> Option<()> {
    let before = root.status();
    let put_back = || {
        discard(root);
        if let Ok(before) = &before {
            let _ = root.set_modified((before.modified, before.modified_nanoseconds));
        }
    };
    let aside = match prepare(root) {
        Ok(aside) => aside,
        Err(EBUSY) => return refuse(wire, "restored by somebody else", b"", EBUSY),
        Err(error) => return refuse(wire, "make room", b"", error),
    };
    let taken = take(&aside, wire);
    let outcome = match taken {
        None => None,
        Some(Err((what, path, error))) => {
            put_back();
            return refuse(wire, what, &path, error);
        }
        Some(Ok(attributes)) => {
            wire.put(b"k");
            let told = wire.flush();
            told.and_then(|()| wire.byte()).map(|what| (what, attributes))
        }
    };
    let done = match outcome {
        Some((b'C', attributes)) => exchange(root, &aside, attributes.as_ref()),
        Some((b'M', _)) => aside.folder(NEW).and_then(|new| merge(&new, root)),
        Some((b'A', _)) => {
            put_back();
            wire.put(b"k");
            return wire.flush();
        }
        _ => {
            put_back();
            return None;
        }
    };
    match done {
        Ok(()) => {
            discard(root);
            wire.put(b"k");
            wire.flush()
        }
        Err(error) => {
            // Back to what was there, if that can be done.
            let _ = recover(root, &aside);
            put_back();
            wire.fail("exchange", b"", error)
        }
    }
}

/// Says why not; whatever still comes is not read.
fn refuse(wire: &mut Wire, what: &str, path: &[u8], error: u32) -> Option<()> {
    wire.fail(what, path, error)?;
    // The other side is sending; it stops when it has read that.
    loop {
        match wire.some(u64::MAX) {
            Some(_) => {}
            None => return None,
        }
    }
}

/// An empty folder aside, locked; what a killed run left is completed or taken back first.
fn prepare(root: &Fd) -> Outcome<Fd> {
    if let Ok(left) = root.folder(ASIDE) {
        left.lock().map_err(|_| EBUSY)?;
        recover(root, &left)?;
        drop(left);
        remove_all(root, ASIDE)?;
    }
    root.make_folder(ASIDE).map_err(|error| if error == EEXIST { EBUSY } else { error })?;
    let aside = root.folder(ASIDE)?;
    aside.lock().map_err(|_| EBUSY)?;
    aside.make_folder(NEW)?;
    aside.make_folder(OLD)?;
    Ok(aside)
}

fn recover(root: &Fd, aside: &Fd) -> Outcome<()> {
    if aside.status_of(COMING).is_ok() {
        return aside.folder(NEW).and_then(|new| merge(&new, root));
    }
    if aside.status_of(LEAVING).is_ok() {
        return aside.folder(OLD).and_then(|old| merge(&old, root));
    }
    Ok(())
}

fn discard(root: &Fd) {
    // What stays is removed by the next one.
    let _ = remove_all(root, ASIDE);
}

fn exchange(root: &Fd, aside: &Fd, attributes: Option<&Attributes>) -> Outcome<()> {
    let (new, old) = (aside.folder(NEW)?, aside.folder(OLD)?);
    aside.create(LEAVING)?;
    for name in root.names()?.iter().filter(|name| *name != ASIDE) {
        root.rename(name, &old)?;
    }
    aside.create(COMING)?;
    merge(&new, root)?;
    // In this order: the first mark alone would have what is here for what was to leave.
    aside.remove(LEAVING, false)?;
    aside.remove(COMING, false)?;
    remove_all(root, ASIDE)?;
    // Its own time is that of the exchange: nobody keeps it.
    attributes.map_or(Ok(()), |it| root.set_owner(it.uid, it.gid, it.mode & 0o7777))
}

/// Moves what `to` does not have; what it has stays. In an exchange it has nothing but what a build has made meanwhile.
fn merge(from: &Fd, to: &Fd) -> Outcome<()> {
    for name in from.names()? {
        match to.status_of(&name) {
            Err(ENOENT) => from.rename(&name, to)?,
            Err(error) => return Err(error),
            Ok(there) => {
                let is_folder = from.status_of(&name)?.mode & KIND == FOLDER;
                if is_folder && there.mode & KIND == FOLDER {
                    merge(&from.folder(&name)?, &to.folder(&name)?)?;
                }
            }
        }
    }
    Ok(())
}

fn remove_all(at: &Fd, name: &[u8]) -> Outcome<()> {
    match at.folder(name) {
        Ok(folder) => {
            for inner in folder.names()? {
                match folder.status_of(&inner) {
                    Ok(status) if status.mode & KIND == FOLDER => remove_all(&folder, &inner)?,
                    _ => folder.remove(&inner, false)?,
                }
            }
            at.remove(name, true)
        }
        Err(ENOENT) => Ok(()),
        Err(ENOTDIR | ELOOP) => at.remove(name, false),
        Err(error) => Err(error),
    }
}

type Refusal = (&'static str, Vec<u8>, u32);

/// Takes entries up to `z`. Returns the attributes of the directory itself, where they came; `None` where the other side
/// has gone.
fn take(aside: &Fd, wire: &mut Wire) -> Option<Result<Option<Attributes>, Refusal>> {
    let new = match aside.folder(NEW) {
        Ok(new) => new,
        Err(error) => return Some(Err(("open", Vec::new(), error))),
    };
    let mut parents = Parents { root: &new, last: None };
    let mut folders: Vec<(Vec<u8>, Attributes)> = Vec::new();
    let mut own = None;
    loop {
        let kind = match wire.byte()? {
            b'z' => break,
            // The other side gave up.
            b'A' => return None,
            kind => kind,
        };
        let (mode, uid, gid, nanoseconds) = (wire.u32()?, wire.u32()?, wire.u32()?, wire.u32()?);
        let attributes = Attributes { mode, uid, gid, modified: (wire.i64()?, nanoseconds) };
        let (path, target) = (wire.text()?, wire.text()?);
        if path.is_empty() {
            own = Some(attributes);
            continue;
        }
        let made = match kind {
            b'f' => take_file(&mut parents, &path, &attributes, wire)?,
            b'd' => parents.make(&path),
            b'l' => parents.link(&path, &target, &attributes),
            b'h' => parents.hard_link(&path, &target),
            _ => Err(("kind", EINVAL)),
        };
        if let Err((what, error)) = made {
            return Some(Err((what, path, error)));
        }
        if kind == b'd' {
            folders.push((path, attributes));
        }
    }
    // What is put into a folder changes its time, and its mode may forbid to.
    for (path, attributes) in folders.iter().rev() {
        let set = parents.open(path).and_then(|folder| attributes.set(&folder));
        if let Err(error) = set {
            return Some(Err(("set", path.clone(), error)));
        }
    }
    Some(Ok(own))
}

fn take_file(
    parents: &mut Parents,
    path: &[u8],
    attributes: &Attributes,
    wire: &mut Wire,
) -> Option<Result<(), (&'static str, u32)>> {
    let (size, count) = (wire.u64()?, wire.u32()?);
    let mut parts = Vec::new();
    for _ in 0..count {
        parts.push((wire.u64()?, wire.u64()?));
    }
    let file = match parents.of(path).and_then(|(parent, name)| parent.create(name)) {
        Ok(file) => file,
        Err(error) => return Some(Err(("make", error))),
    };
    for (start, length) in parts {
        let mut taken = 0;
        while taken < length {
            let content = wire.some(length - taken)?;
            if let Err(error) = file.write_all_at(content, start + taken) {
                return Some(Err(("write", error)));
            }
            taken += content.len() as u64;
        }
    }
    let set = file.truncate(size).and_then(|()| attributes.set(&file));
    Some(set.map_err(|error| ("set", error)))
}

/// Folders that things are put into; none is ever reached through a link.
struct Parents<'a> {
    root: &'a Fd,
    last: Option<(Vec<u8>, Fd)>,
}

impl Parents<'_> {
    /// The folder of a path, made where it is missing, and the name in it.
    fn of<'p>(&mut self, path: &'p [u8]) -> Outcome<(&Fd, &'p [u8])> {
        let (folder, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(at) => (&path[..at], &path[at + 1..]),
            None => (&path[..0], path),
        };
        if name.is_empty() || name == b"." || name == b".." {
            return Err(EINVAL);
        }
        if folder.is_empty() {
            return Ok((self.root, name));
        }
        if self.last.as_ref().is_none_or(|(path, _)| path != folder) {
            self.last = Some((folder.to_vec(), self.open(folder)?));
        }
        Ok((self.last.as_ref().map_or(self.root, |(_, folder)| folder), name))
    }

    fn open(&self, path: &[u8]) -> Outcome<Fd> {
        let mut at: Option<Fd> = None;
        for part in path.split(|byte| *byte == b'/') {
            if part.is_empty() || part == b"." || part == b".." {
                return Err(EINVAL);
            }
            let folder = at.as_ref().unwrap_or(self.root);
            let next = match folder.folder(part) {
                Err(ENOENT) => {
                    folder.make_folder(part)?;
                    let made = folder.folder(part)?;
                    made.set(0, 0, 0o755, (0, 0))?;
                    made
                }
                opened => opened?,
            };
            at = Some(next);
        }
        at.ok_or(EINVAL)
    }

    fn make(&mut self, path: &[u8]) -> Result<(), (&'static str, u32)> {
        let (parent, name) = self.of(path).map_err(|error| ("make", error))?;
        match parent.make_folder(name) {
            Err(EEXIST) => parent.folder(name).map(drop).map_err(|_| ("make", EEXIST)),
            made => made.map_err(|error| ("make", error)),
        }
    }

    fn link(&mut self, path: &[u8], target: &[u8], it: &Attributes) -> Result<(), (&'static str, u32)> {
        let (parent, name) = self.of(path).map_err(|error| ("make", error))?;
        parent.make_link(name, target).map_err(|error| ("make", error))?;
        parent.set_link(name, it.uid, it.gid, it.modified).map_err(|error| ("set", error))
    }

    fn hard_link(&mut self, path: &[u8], target: &[u8]) -> Result<(), (&'static str, u32)> {
        let linked = (|| {
            let (folder, first) = match target.iter().rposition(|byte| *byte == b'/') {
                Some(at) => (Some(self.open(&target[..at])?), &target[at + 1..]),
                None => (None, target),
            };
            if first.is_empty() || first == b"." || first == b".." {
                return Err(EINVAL);
            }
            let root = self.root;
            let (parent, name) = self.of(path)?;
            folder.as_ref().unwrap_or(root).hard_link(first, parent, name)
        })();
        linked.map_err(|error| ("link", error))
    }
}
