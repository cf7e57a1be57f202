//! Calls of the kernel.

use alloc::vec::Vec;
use core::arch::asm;

#[cfg(target_arch = "x86_64")]
mod call {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const LSEEK: usize = 8;
    pub const MMAP: usize = 9;
    pub const PREAD: usize = 17;
    pub const PWRITE: usize = 18;
    pub const SOCKET: usize = 41;
    pub const CONNECT: usize = 42;
    pub const SETSOCKOPT: usize = 54;
    pub const CLONE: usize = 56;
    pub const WAIT4: usize = 61;
    pub const FLOCK: usize = 73;
    pub const FTRUNCATE: usize = 77;
    pub const FCHMOD: usize = 91;
    pub const FCHOWN: usize = 93;
    pub const GETDENTS64: usize = 217;
    pub const EXIT_GROUP: usize = 231;
    pub const OPENAT: usize = 257;
    pub const MKDIRAT: usize = 258;
    pub const FCHOWNAT: usize = 260;
    pub const UNLINKAT: usize = 263;
    pub const LINKAT: usize = 265;
    pub const SYMLINKAT: usize = 266;
    pub const READLINKAT: usize = 267;
    pub const UTIMENSAT: usize = 280;
    pub const RENAMEAT2: usize = 316;
    pub const STATX: usize = 332;
    pub const DIRECTORY: usize = 0o200_000;
    pub const NOFOLLOW: usize = 0o400_000;
}

#[cfg(target_arch = "aarch64")]
mod call {
    pub const FLOCK: usize = 32;
    pub const MKDIRAT: usize = 34;
    pub const UNLINKAT: usize = 35;
    pub const SYMLINKAT: usize = 36;
    pub const LINKAT: usize = 37;
    pub const FTRUNCATE: usize = 46;
    pub const FCHMOD: usize = 52;
    pub const FCHOWNAT: usize = 54;
    pub const FCHOWN: usize = 55;
    pub const OPENAT: usize = 56;
    pub const CLOSE: usize = 57;
    pub const GETDENTS64: usize = 61;
    pub const LSEEK: usize = 62;
    pub const READ: usize = 63;
    pub const WRITE: usize = 64;
    pub const PREAD: usize = 67;
    pub const PWRITE: usize = 68;
    pub const READLINKAT: usize = 78;
    pub const UTIMENSAT: usize = 88;
    pub const EXIT_GROUP: usize = 94;
    pub const SOCKET: usize = 198;
    pub const CONNECT: usize = 203;
    pub const SETSOCKOPT: usize = 208;
    pub const CLONE: usize = 220;
    pub const MMAP: usize = 222;
    pub const WAIT4: usize = 260;
    pub const RENAMEAT2: usize = 276;
    pub const STATX: usize = 291;
    pub const DIRECTORY: usize = 0o40_000;
    pub const NOFOLLOW: usize = 0o100_000;
}

pub const CWD: isize = -100;
pub const DIRECTORY: usize = call::DIRECTORY;
pub const NOFOLLOW: usize = call::NOFOLLOW;
/// Reading leaves the time of the last access as it is.
pub const NOATIME: usize = 0o1_000_000;
const CLOEXEC: usize = 0o2_000_000;
const NONBLOCK: usize = 0o4000;
const CREATE_NEW: usize = 0o100 | 0o200;
const WRITE_ONLY: usize = 1;
const AT_NOFOLLOW: usize = 0x100;
const AT_EMPTY_PATH: usize = 0x1000;
const REMOVE_DIRECTORY: usize = 0x200;
const SEEK_DATA: usize = 3;
const SEEK_HOLE: usize = 4;
/// Basic fields of statx.
const WANTED: usize = 0x7ff;

pub const ENOENT: u32 = 2;
pub const EIO: u32 = 5;
pub const ENXIO: u32 = 6;
pub const EBUSY: u32 = 16;
pub const EEXIST: u32 = 17;
pub const ENOTDIR: u32 = 20;
pub const EINVAL: u32 = 22;
pub const EPERM: u32 = 1;
pub const ELOOP: u32 = 40;

pub const KIND: u16 = 0o170_000;
pub const FOLDER: u16 = 0o040_000;
pub const FILE: u16 = 0o100_000;
pub const LINK: u16 = 0o120_000;

pub type Outcome<T> = Result<T, u32>;

#[cfg(target_arch = "x86_64")]
fn system(number: usize, a: [usize; 6]) -> isize {
    let answer;
    // SAFETY: every caller passes pointers that live through the call, with their true lengths.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => answer, in("rdi") a[0], in("rsi") a[1], in("rdx") a[2],
            in("r10") a[3], in("r8") a[4], in("r9") a[5], lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    answer
}

#[cfg(target_arch = "aarch64")]
fn system(number: usize, a: [usize; 6]) -> isize {
    let answer;
    // SAFETY: every caller passes pointers that live through the call, with their true lengths.
    unsafe {
        asm!("svc #0", in("x8") number, inlateout("x0") a[0] as isize => answer, in("x1") a[1], in("x2") a[2],
            in("x3") a[3], in("x4") a[4], in("x5") a[5], options(nostack));
    }
    answer
}

fn result(answer: isize) -> Outcome<usize> {
    if answer < 0 { Err(-answer as u32) } else { Ok(answer as usize) }
}

pub fn end(code: usize) -> ! {
    loop {
        system(call::EXIT_GROUP, [code, 0, 0, 0, 0, 0]);
    }
}

pub fn fork() -> isize {
    const SIGCHLD: usize = 17;
    system(call::CLONE, [SIGCHLD, 0, 0, 0, 0, 0])
}

/// The status of a child that has ended; `None` where there is none.
pub fn wait() -> Option<u32> {
    let mut status = 0_u32;
    let child = system(call::WAIT4, [usize::MAX, &raw mut status as usize, 0, 0, 0, 0]);
    (child > 0).then_some(status)
}

pub fn map(size: usize) -> Option<usize> {
    const READ_WRITE: usize = 3;
    const PRIVATE_ANONYMOUS: usize = 0x22;
    result(system(call::MMAP, [0, size, READ_WRITE, PRIVATE_ANONYMOUS, usize::MAX, 0])).ok()
}

/// The part of the kernel's `struct statx` that is used, at its offsets.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Status {
    _mask_block_attributes: [u32; 4],
    pub links: u32,
    pub uid: u32,
    pub gid: u32,
    pub mode: u16,
    _spare: u16,
    pub inode: u64,
    pub size: u64,
    pub blocks: u64,
    _attributes: u64,
    pub accessed: i64,
    _accessed: [u32; 2],
    _born: [u64; 2],
    _changed: [u64; 2],
    pub modified: i64,
    pub modified_nanoseconds: u32,
    _modified: u32,
    _devices: [u32; 4],
    _rest: [u64; 14],
}
const _: () = assert!(size_of::<Status>() == 256);

/// A name as the kernel wants it, with a zero at its end.
pub fn terminated(name: &[u8]) -> Vec<u8> {
    let mut terminated = Vec::with_capacity(name.len() + 1);
    terminated.extend_from_slice(name);
    terminated.push(0);
    terminated
}

/// An open file or directory, closed when dropped.
pub struct Fd(pub isize);

impl Drop for Fd {
    fn drop(&mut self) {
        system(call::CLOSE, [self.0 as usize, 0, 0, 0, 0, 0]);
    }
}

impl Fd {
    /// Opens for reading. `path` ends with a zero.
    pub fn open(at: isize, path: *const u8, flags: usize) -> Outcome<Self> {
        let flags = flags | CLOEXEC | NONBLOCK;
        let opened = system(call::OPENAT, [at as usize, path as usize, flags, 0, 0, 0]);
        match result(opened) {
            // Only owners may leave the time of access alone.
            Err(EPERM) if flags & NOATIME != 0 => Self::open(at, path, flags & !NOATIME),
            opened => Ok(Self(opened? as isize)),
        }
    }

    /// A folder in this one; never through a link.
    pub fn folder(&self, name: &[u8]) -> Outcome<Self> {
        Self::open(self.0, terminated(name).as_ptr(), DIRECTORY | NOFOLLOW)
    }

    pub fn file(&self, name: &[u8]) -> Outcome<Self> {
        Self::open(self.0, terminated(name).as_ptr(), NOFOLLOW | NOATIME)
    }

    /// Makes a file that is not there and opens it for writing.
    pub fn create(&self, name: &[u8]) -> Outcome<Self> {
        let name = terminated(name);
        let flags = CREATE_NEW | WRITE_ONLY | NOFOLLOW | CLOEXEC;
        let made = system(call::OPENAT, [self.0 as usize, name.as_ptr() as usize, flags, 0o600, 0, 0]);
        Ok(Self(result(made)? as isize))
    }

    pub fn make_folder(&self, name: &[u8]) -> Outcome<()> {
        let name = terminated(name);
        result(system(call::MKDIRAT, [self.0 as usize, name.as_ptr() as usize, 0o700, 0, 0, 0])).map(drop)
    }

    pub fn make_link(&self, name: &[u8], target: &[u8]) -> Outcome<()> {
        let (name, target) = (terminated(name), terminated(target));
        let link = [target.as_ptr() as usize, self.0 as usize, name.as_ptr() as usize, 0, 0, 0];
        result(system(call::SYMLINKAT, link)).map(drop)
    }

    /// Gives what is `name` in here one more name.
    pub fn hard_link(&self, name: &[u8], to: &Self, new: &[u8]) -> Outcome<()> {
        let (name, new) = (terminated(name), terminated(new));
        let link = [self.0 as usize, name.as_ptr() as usize, to.0 as usize, new.as_ptr() as usize, 0, 0];
        result(system(call::LINKAT, link)).map(drop)
    }

    pub fn rename(&self, name: &[u8], to: &Self) -> Outcome<()> {
        let name = terminated(name);
        let name = name.as_ptr() as usize;
        result(system(call::RENAMEAT2, [self.0 as usize, name, to.0 as usize, name, 0, 0])).map(drop)
    }

    pub fn remove(&self, name: &[u8], is_folder: bool) -> Outcome<()> {
        let name = terminated(name);
        let flags = if is_folder { REMOVE_DIRECTORY } else { 0 };
        result(system(call::UNLINKAT, [self.0 as usize, name.as_ptr() as usize, flags, 0, 0, 0])).map(drop)
    }

    pub fn link_target(&self, name: &[u8]) -> Outcome<Vec<u8>> {
        let name = terminated(name);
        let mut target = alloc::vec![0_u8; 4096];
        let read =
            [self.0 as usize, name.as_ptr() as usize, target.as_mut_ptr() as usize, target.len(), 0, 0];
        let length = result(system(call::READLINKAT, read))?;
        target.truncate(length);
        Ok(target)
    }

    /// Of what is called so in here; a link is not followed.
    pub fn status_of(&self, name: &[u8]) -> Outcome<Status> {
        self.statx(terminated(name).as_ptr(), AT_NOFOLLOW)
    }

    pub fn status(&self) -> Outcome<Status> {
        self.statx(c"".as_ptr().cast(), AT_EMPTY_PATH)
    }

    fn statx(&self, name: *const u8, flags: usize) -> Outcome<Status> {
        // SAFETY: plain numbers, for which zero is a value.
        let mut found: Status = unsafe { core::mem::zeroed() };
        let to = &raw mut found as usize;
        result(system(call::STATX, [self.0 as usize, name as usize, flags, WANTED, to, 0]))?;
        Ok(found)
    }

    /// Names in this directory, bytewise sorted, without the dots.
    pub fn names(&self) -> Outcome<Vec<Vec<u8>>> {
        // From the beginning, whoever has read it before.
        result(system(call::LSEEK, [self.0 as usize, 0, 0, 0, 0, 0]))?;
        let mut names = Vec::new();
        let mut buffer = alloc::vec![0_u64; 4096];
        loop {
            let (start, space) = (buffer.as_mut_ptr(), buffer.len() * 8);
            let filled = result(system(call::GETDENTS64, [self.0 as usize, start as usize, space, 0, 0, 0]))?;
            if filled == 0 {
                names.sort_unstable();
                return Ok(names);
            }
            // SAFETY: the kernel filled that much of it.
            let bytes = unsafe { core::slice::from_raw_parts(start.cast::<u8>(), filled) };
            let mut at = 0;
            // Entries are inode and offset (8 bytes each), length (2), type (1), name with a zero at its end.
            while let Some(entry) = bytes.get(at..).filter(|rest| rest.len() > 19) {
                let length = usize::from(u16::from_ne_bytes([entry[16], entry[17]]));
                let name = &entry[19..length.clamp(19, entry.len())];
                let name = &name[..name.iter().position(|byte| *byte == 0).unwrap_or(name.len())];
                if name != b"." && name != b".." {
                    names.push(name.to_vec());
                }
                at += length.max(1);
            }
        }
    }

    pub fn read(&self, to: &mut [u8]) -> Outcome<usize> {
        result(system(call::READ, [self.0 as usize, to.as_mut_ptr() as usize, to.len(), 0, 0, 0]))
    }

    pub fn read_at(&self, to: &mut [u8], at: u64) -> Outcome<usize> {
        result(system(call::PREAD, [self.0 as usize, to.as_mut_ptr() as usize, to.len(), at as usize, 0, 0]))
    }

    pub fn write(&self, from: &[u8]) -> Outcome<usize> {
        result(system(call::WRITE, [self.0 as usize, from.as_ptr() as usize, from.len(), 0, 0, 0]))
    }

    pub fn write_all_at(&self, mut from: &[u8], mut at: u64) -> Outcome<()> {
        while !from.is_empty() {
            let write = [self.0 as usize, from.as_ptr() as usize, from.len(), at as usize, 0, 0];
            let written = result(system(call::PWRITE, write))?;
            if written == 0 {
                return Err(EIO);
            }
            from = &from[written..];
            at += written as u64;
        }
        Ok(())
    }

    pub fn truncate(&self, size: u64) -> Outcome<()> {
        result(system(call::FTRUNCATE, [self.0 as usize, size as usize, 0, 0, 0, 0])).map(drop)
    }

    /// Where data begins at or after `at`, and where that ends.
    pub fn next_data(&self, at: u64) -> Outcome<Option<(u64, u64)>> {
        let seek = |at: u64, what| result(system(call::LSEEK, [self.0 as usize, at as usize, what, 0, 0, 0]));
        match seek(at, SEEK_DATA) {
            Ok(start) => Ok(Some((start as u64, seek(start as u64, SEEK_HOLE)? as u64))),
            Err(ENXIO) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Owner, permissions and times of an open file or directory. A mode after the owner: a new owner takes bits away.
    pub fn set(&self, uid: u32, gid: u32, mode: u32, modified: (i64, u32)) -> Outcome<()> {
        self.set_owner(uid, gid, mode)?;
        self.set_time(0, modified, 0)
    }

    pub fn set_owner(&self, uid: u32, gid: u32, mode: u32) -> Outcome<()> {
        result(system(call::FCHOWN, [self.0 as usize, uid as usize, gid as usize, 0, 0, 0]))?;
        result(system(call::FCHMOD, [self.0 as usize, mode as usize, 0, 0, 0, 0])).map(drop)
    }

    /// The time of its last change.
    pub fn set_modified(&self, modified: (i64, u32)) -> Outcome<()> {
        self.set_time(0, modified, 0)
    }

    /// Owner and time of a link in here.
    pub fn set_link(&self, name: &[u8], uid: u32, gid: u32, modified: (i64, u32)) -> Outcome<()> {
        let name = terminated(name);
        let place = name.as_ptr() as usize;
        let owner = [self.0 as usize, place, uid as usize, gid as usize, AT_NOFOLLOW, 0];
        result(system(call::FCHOWNAT, owner))?;
        self.set_time(place, modified, AT_NOFOLLOW)
    }

    /// Access and change at the same time: whoever mounts with `relatime` then sees what is read from here on.
    fn set_time(&self, name: usize, (seconds, nanoseconds): (i64, u32), flags: usize) -> Outcome<()> {
        let time = [seconds, i64::from(nanoseconds), seconds, i64::from(nanoseconds)];
        result(system(call::UTIMENSAT, [self.0 as usize, name, time.as_ptr() as usize, flags, 0, 0])).map(drop)
    }

    /// Locks it for this process; the kernel unlocks it when that ends.
    pub fn lock(&self) -> Outcome<()> {
        const EXCLUSIVE_AT_ONCE: usize = 2 | 4;
        result(system(call::FLOCK, [self.0 as usize, EXCLUSIVE_AT_ONCE, 0, 0, 0, 0])).map(drop)
    }

    /// A connection to the unix socket at `path`, which ends with a zero.
    pub fn connect(path: *const u8) -> Outcome<Self> {
        const UNIX: usize = 1;
        const STREAM: usize = 1;
        let mut address = [0_u8; 110];
        address[0] = UNIX as u8;
        for (index, place) in address[2..109].iter_mut().enumerate() {
            // SAFETY: the path ends with a zero, and nothing behind it is read.
            *place = unsafe { *path.add(index) };
            if *place == 0 {
                break;
            }
        }
        let socket = Self(result(system(call::SOCKET, [UNIX, STREAM | CLOEXEC, 0, 0, 0, 0]))? as isize);
        result(system(call::CONNECT, [socket.0 as usize, address.as_ptr() as usize, address.len(), 0, 0, 0]))?;
        Ok(socket)
    }

    /// How long a read of the socket waits; for ever with 0.
    pub fn set_patience(&self, seconds: i64) -> Outcome<()> {
        const SOCKET_LEVEL: usize = 1;
        const RECEIVE_TIMEOUT: usize = 20;
        let time = [seconds, 0_i64];
        let (at, length) = (time.as_ptr() as usize, size_of_val(&time));
        let answer = system(call::SETSOCKOPT, [self.0 as usize, SOCKET_LEVEL, RECEIVE_TIMEOUT, at, length, 0]);
        result(answer).map(drop)
    }
}
