//! An export that is a tree: fsutil's protocol with the engine as sender.
//!
//! The tree is built in a new directory beside its place and merged when the engine has sent all
//! of it, so a failed export changes nothing. No path the engine sends is followed through a
//! symlink, neither one it sent itself nor one that was at the destination.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::Write;
use std::path::Path;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

use super::{Incoming, Messages};
use crate::build_context::glob;
use crate::build_context::root::{Root, open_child, split_parent, stat_child};
use crate::build_context::stat::go_mode;
use crate::buildkit::session::diff_copy::{Out, Outgoing};
use crate::buildkit::session::packet::{self, Packet, WireStat, kind};
use crate::files::partial::{self, PartialFolder};

/// Files asked for and not yet complete. The engine queues 128 requests and then reads no more
/// until it has sent something (fsutil `send.go`): with more than that both sides could wait for
/// each other.
const OUTSTANDING: usize = 64;

/// Receives a tree into `dest`; answers the bytes of content.
pub(super) fn receive(dest: &Path, messages: &mut Messages, out: &Out) -> Result<u64, String> {
    let result = Receiver::new(dest).and_then(|mut receiver| receiver.run(dest, messages, out));
    if let Err(reason) = &result {
        let data = reason.clone().into();
        let error = Packet { kind: kind::ERR, data, ..Packet::default() };
        // The engine may have gone; the status says the same.
        let _ = out.blocking_send(Outgoing::Frames(packet::framed(&error)));
    }
    result
}

struct Receiver {
    /// Removes what was received if it is not merged.
    staging: Option<PartialFolder>,
    root: Root,
    next_id: u32,
    /// Files still to be asked for or complete.
    files: HashMap<u32, WireStat>,
    wanted: VecDeque<u32>,
    open: HashMap<u32, Option<File>>,
    listed: bool,
    /// Given their mode and time last: writing into them needs permission and changes the time.
    dirs: Vec<WireStat>,
    bytes: u64,
}

impl Receiver {
    fn new(dest: &Path) -> Result<Self, String> {
        let failed = |e: std::io::Error| format!("cannot write to {}: {e}", dest.display());
        if !dest.is_dir() {
            // As buildx makes it.
            use std::os::unix::fs::DirBuilderExt;
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dest).map_err(failed)?;
        }
        partial::sweep(dest);
        let staging = partial::folder_in(dest).map_err(failed)?;
        let root = Root::open(staging.path()).map_err(failed)?;
        Ok(Self {
            staging: Some(staging),
            root,
            next_id: 0,
            files: HashMap::new(),
            wanted: VecDeque::new(),
            open: HashMap::new(),
            listed: false,
            dirs: Vec::new(),
            bytes: 0,
        })
    }

    fn run(&mut self, dest: &Path, messages: &mut Messages, out: &Out) -> Result<u64, String> {
        let cut_off = || format!("the export to {} was cut off", dest.display());
        let mut finished = false;
        loop {
            let Some(Incoming::Message(message)) = messages.blocking_recv() else {
                return if finished { Ok(self.bytes) } else { Err(cut_off()) };
            };
            let packet = packet::decode(message).map_err(|e| e.message().to_owned())?;
            match packet.kind {
                kind::STAT if !finished => match packet.stat {
                    Some(stat) => self.entry(stat)?,
                    None => self.listed = true,
                },
                kind::DATA => self.data(packet.id, &packet.data)?,
                kind::FIN if finished => break,
                kind::ERR => {
                    let reason = String::from_utf8_lossy(&packet.data);
                    return Err(format!("the engine failed to export: {reason}"));
                }
                other => return Err(format!("the export sent an unexpected packet {other}")),
            }
            while self.open.len() < OUTSTANDING
                && let Some(id) = self.wanted.pop_front()
            {
                self.open.insert(id, None);
                let request = Packet { kind: kind::REQ, id, ..Packet::default() };
                send(out, &request).ok_or_else(cut_off)?;
            }
            if self.listed && self.files.is_empty() && !finished {
                finished = true;
                // For the engine FIN is the end of the export: the build may be over, and this
                // process with it, before its answer is read.
                self.merge_into(dest)?;
                send(out, &Packet { kind: kind::FIN, ..Packet::default() }).ok_or_else(cut_off)?;
            }
        }
        Ok(self.bytes)
    }

    /// Makes an entry; a regular file is only made, its content is asked for.
    fn entry(&mut self, stat: WireStat) -> Result<(), String> {
        let id = self.next_id;
        self.next_id = id.checked_add(1).ok_or("the export has too many entries")?;
        let path = stat.path.as_slice();
        check_path(path)?;
        let (parent, name) = split_parent(path);
        let parent = self.root.open_dir(parent).map_err(|e| failed(path, e))?;
        let is_file = stat.mode & go_mode::TYPE == 0 && stat.link.is_empty();
        if stat.mode & go_mode::DIR != 0 {
            rustix::fs::mkdirat(&parent, name, Mode::RWXU).map_err(|e| failed(path, e))?;
            self.dirs.push(stat);
        } else if is_file {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY;
            create(&parent, name, flags).map_err(|e| failed(path, e))?;
            self.files.insert(id, stat);
            self.wanted.push_back(id);
        } else {
            self.other(&parent, name, &stat).map_err(|e| failed(path, e))?;
        }
        Ok(())
    }

    fn other(&self, parent: &OwnedFd, name: &[u8], stat: &WireStat) -> rustix::io::Result<()> {
        if stat.mode & go_mode::SYMLINK != 0 {
            rustix::fs::symlinkat(stat.link.as_slice(), parent, name)?;
        } else if stat.mode & go_mode::TYPE == 0 {
            // Another name of a file sent before.
            if check_path(&stat.link).is_err() {
                return Err(Errno::INVAL);
            }
            let (first_parent, first) = split_parent(&stat.link);
            let first_parent = self.root.open_dir(first_parent)?;
            return rustix::fs::linkat(&first_parent, first, parent, name, AtFlags::empty());
        } else {
            make_special(parent, name, stat)?;
        }
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::utimensat(parent, name, &times(stat), flags)
    }

    fn data(&mut self, id: u32, data: &[u8]) -> Result<(), String> {
        let (Some(open), Some(stat)) = (self.open.get_mut(&id), self.files.get(&id)) else {
            return Err(format!("the export sent content of the unknown file {id}"));
        };
        let path = stat.path.as_slice();
        let file = match open {
            Some(file) => file,
            None => {
                let (parent, name) = split_parent(path);
                let file = self
                    .root
                    .open_dir(parent)
                    .and_then(|parent| open_child(&parent, name, OFlags::WRONLY))
                    .map_err(|e| failed(path, e))?;
                open.insert(File::from(file))
            }
        };
        if data.is_empty() {
            set_metadata(file, stat).map_err(|e| failed(path, e))?;
            self.open.remove(&id);
            self.files.remove(&id);
            return Ok(());
        }
        self.bytes += data.len() as u64;
        file.write_all(data).map_err(|e| format!("cannot write {}: {e}", display(path)))
    }

    /// Moves everything to its place, then settles the directories from the leaves up.
    fn merge_into(&mut self, dest: &Path) -> Result<(), String> {
        let explain = |e: std::io::Error| format!("cannot write to {}: {e}", dest.display());
        let to = Root::open(dest).map_err(explain)?;
        let from = self.root.open_dir(b"").map_err(|e| explain(e.into()))?;
        let top = to.open_dir(b"").map_err(|e| explain(e.into()))?;
        merge(&from, &top, dest).map_err(explain)?;
        for stat in self.dirs.iter().rev() {
            let path = stat.path.as_slice();
            let dir = to.open_dir(path).map_err(|e| failed(path, e))?;
            set_metadata(&dir, stat).map_err(|e| failed(path, e))?;
        }
        self.staging.take().map_or(Ok(()), PartialFolder::close).map_err(explain)
    }
}

fn send(out: &Out, packet: &Packet) -> Option<()> {
    out.blocking_send(Outgoing::Frames(packet::framed(packet))).ok()
}

/// Moves the entries of `from` into `to`; directories that are on both sides become one.
fn merge(from: &OwnedFd, to: &OwnedFd, to_path: &Path) -> std::io::Result<()> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let kind_in = |dir: &OwnedFd| match stat_child(dir, name) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(e),
        };
        let path = to_path.join(OsStr::from_bytes(name));
        match (kind_in(from)?, kind_in(to)?) {
            (Some(true), Some(true)) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY;
                let (from, to) = (open_child(from, name, flags)?, open_child(to, name, flags)?);
                merge(&from, &to, &path)?;
                continue;
            }
            // A file takes the place of a directory, or a directory that of a file.
            (Some(false), Some(true)) => fs_err::remove_dir_all(&path)?,
            (Some(true), Some(false)) => rustix::fs::unlinkat(to, name, AtFlags::empty())?,
            _ => {}
        }
        rustix::fs::renameat(from, name, to, name)?;
    }
    Ok(())
}

fn create(parent: &OwnedFd, name: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR)
}

#[cfg(target_os = "linux")]
fn make_special(parent: &OwnedFd, name: &[u8], stat: &WireStat) -> rustix::io::Result<()> {
    let file_type = if stat.mode & go_mode::NAMED_PIPE != 0 {
        FileType::Fifo
    } else if stat.mode & go_mode::CHAR_DEVICE != 0 {
        FileType::CharacterDevice
    } else if stat.mode & go_mode::DEVICE != 0 {
        FileType::BlockDevice
    } else {
        return Err(Errno::INVAL);
    };
    let part = |n: i64| u32::try_from(n).map_err(|_| Errno::INVAL);
    let device = rustix::fs::makedev(part(stat.devmajor)?, part(stat.devminor)?);
    rustix::fs::mknodat(parent, name, file_type, unix_mode(stat.mode), device)
}

#[cfg(not(target_os = "linux"))]
fn make_special(_: &OwnedFd, _: &[u8], _: &WireStat) -> rustix::io::Result<()> {
    Err(Errno::NOTSUP)
}

fn set_metadata(file: &impl AsFd, stat: &WireStat) -> rustix::io::Result<()> {
    for xattr in &stat.xattrs {
        // Many attributes are not for everyone to set, or not for this file system; as in buildx
        // that is not a failure.
        let flags = rustix::fs::XattrFlags::empty();
        let _ = rustix::fs::fsetxattr(file, xattr.name.as_slice(), &xattr.value, flags);
    }
    rustix::fs::fchmod(file, unix_mode(stat.mode))?;
    rustix::fs::futimens(file, &times(stat))
}

fn unix_mode(mode: u32) -> Mode {
    // 32 bits on Linux, 16 on macOS.
    let mut unix = (mode & 0o777) as rustix::fs::RawMode;
    for (go, bit) in
        [(go_mode::SETUID, 0o4000), (go_mode::SETGID, 0o2000), (go_mode::STICKY, 0o1000)]
    {
        if mode & go != 0 {
            unix |= bit;
        }
    }
    Mode::from_raw_mode(unix)
}

fn times(stat: &WireStat) -> Timestamps {
    let time = Timespec {
        tv_sec: stat.mtime.div_euclid(1_000_000_000),
        tv_nsec: stat.mtime.rem_euclid(1_000_000_000),
    };
    Timestamps { last_access: time, last_modification: time }
}

/// Only clean relative paths below the top.
fn check_path(path: &[u8]) -> Result<(), String> {
    let clean = glob::clean(path) == path && !path.contains(&0);
    if !clean || path == b"." || path == b".." || path.starts_with(b"../") || path[0] == b'/' {
        return Err(format!("the export has the invalid path {}", display(path)));
    }
    Ok(())
}

fn failed(path: &[u8], e: Errno) -> String {
    format!("cannot write {}: {}", display(path), std::io::Error::from(e))
}

fn display(path: &[u8]) -> String {
    format!("\"{}\"", String::from_utf8_lossy(path))
}
