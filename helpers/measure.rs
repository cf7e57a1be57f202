//! Measures directories from within a step of a build: what each takes on the disk, and the disk itself.
//!
//! `measure DIR...` writes one line for the file system of the root, `disk SIZE FREE AVAILABLE`, and one for each
//! directory, `mount INDEX BYTES ENTRIES UNREAD SECONDS NANOSECONDS`: the space its entries take as `du` counts it,
//! how many there are, how many could not be read, and when the directory was made. It ends with code 9, never 0:
//! an engine keeps nothing of a step that failed.
//!
//! It runs on engines whose images need not have a shell, so it stands alone: no C library, no allocation. It only
//! reads. `scripts/helpers` compiles it for each architecture; the program carries the results
//! (`src/measure/helper.rs`).

#![no_std]
#![no_main]

mod start;

use start::{FAILED, end, system};

#[cfg(target_arch = "x86_64")]
mod call {
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const OPENAT: usize = 257;
    pub const GETDENTS64: usize = 217;
    pub const STATFS: usize = 137;
    pub const STATX: usize = 332;
    pub const O_DIRECTORY: usize = 0o200_000;
    pub const O_NOFOLLOW: usize = 0o400_000;
}

#[cfg(target_arch = "aarch64")]
mod call {
    pub const WRITE: usize = 64;
    pub const CLOSE: usize = 57;
    pub const OPENAT: usize = 56;
    pub const GETDENTS64: usize = 61;
    pub const STATFS: usize = 43;
    pub const STATX: usize = 291;
    pub const O_DIRECTORY: usize = 0o40_000;
    pub const O_NOFOLLOW: usize = 0o100_000;
}

const CWD: isize = -100;
const CLOEXEC: usize = 0o2_000_000;
/// Of statx: a link is measured itself, and an empty path means the descriptor.
const NOFOLLOW: usize = 0x100;
const EMPTY_PATH: usize = 0x1000;
/// Type, mode, links, blocks and time of birth.
const WANTED: usize = 0x1 | 0x2 | 0x4 | 0x400 | 0x800;
const KIND: u16 = 0o170_000;
const DIRECTORY: u16 = 0o040_000;
/// Directories within directories: each takes a descriptor, of which a process may have 1,024.
const DEPTH: usize = 900;
/// What the step ends with.
const MEASURED: usize = 9;

/// The part of the kernel's `struct statx` that is used, at its offsets.
#[repr(C)]
struct Status {
    _mask_to_attributes: [u64; 2],
    links: u32,
    _owner: [u32; 2],
    mode: u16,
    _spare: u16,
    _inode: u64,
    _size: u64,
    blocks: u64,
    _attributes_and_access: [u64; 3],
    born_seconds: i64,
    born_nanoseconds: u32,
    _rest: [u32; 41],
}
const _: () = assert!(size_of::<Status>() == 256);

/// The kernel's `struct statfs` on 64 bits.
#[repr(C)]
struct Disk {
    _kind: u64,
    block: u64,
    blocks: u64,
    free: u64,
    available: u64,
    _rest: [u64; 10],
}

#[derive(Default)]
struct Sum {
    bytes: u64,
    entries: u64,
    unread: u64,
}

impl Sum {
    fn add(&mut self, status: &Status) {
        self.entries += 1;
        // A file with several names counts once: each name brings its part.
        let names = if status.mode & KIND == DIRECTORY { 1 } else { status.links.max(1) };
        self.bytes += status.blocks * 512 / u64::from(names);
    }
}

fn status(directory: isize, name: *const u8, flags: usize) -> Option<Status> {
    // SAFETY: plain numbers, for which zero is a value.
    let mut found: Status = unsafe { core::mem::zeroed() };
    let to = &raw mut found as usize;
    let answer = system(call::STATX, [directory as usize, name as usize, flags, WANTED, to]);
    (answer == 0).then_some(found)
}

fn open(directory: isize, name: *const u8, flags: usize) -> Option<isize> {
    let flags = flags | call::O_DIRECTORY | CLOEXEC;
    let found = system(call::OPENAT, [directory as usize, name as usize, flags, 0, 0]);
    (found >= 0).then_some(found)
}

/// Adds up what is in an open directory, and closes it.
fn walk(directory: isize, depth: usize, sum: &mut Sum) {
    let mut buffer = [0_u64; 512];
    loop {
        let space = size_of_val(&buffer);
        let filled =
            system(call::GETDENTS64, [directory as usize, buffer.as_mut_ptr() as usize, space, 0, 0]);
        if filled <= 0 {
            sum.unread += u64::from(filled < 0);
            break;
        }
        let start = buffer.as_ptr().cast::<u8>();
        let mut at = 0;
        while at < filled as usize {
            // SAFETY: the kernel wrote whole entries: inode and offset (8 bytes each), length (2), type (1), name.
            let (entry, name) = unsafe { (start.add(at), start.add(at + 19)) };
            // SAFETY: as above; lengths are multiples of 8.
            at += usize::from(unsafe { entry.add(16).cast::<u16>().read() });
            if is_dots(name) {
                continue;
            }
            let Some(found) = status(directory, name, NOFOLLOW) else {
                sum.unread += 1;
                continue;
            };
            sum.add(&found);
            if found.mode & KIND == DIRECTORY {
                match open(directory, name, call::O_NOFOLLOW) {
                    Some(inner) if depth < DEPTH => walk(inner, depth + 1, sum),
                    Some(inner) => {
                        sum.unread += 1;
                        system(call::CLOSE, [inner as usize, 0, 0, 0, 0]);
                    }
                    None => sum.unread += 1,
                }
            }
        }
    }
    system(call::CLOSE, [directory as usize, 0, 0, 0, 0]);
}

/// Whether a name is `.` or `..`.
fn is_dots(name: *const u8) -> bool {
    // SAFETY: names end with a zero, and nothing behind it is read.
    unsafe {
        *name == b'.' && (*name.add(1) == 0 || (*name.add(1) == b'.' && *name.add(2) == 0))
    }
}

/// Writes a word and numbers as a line.
fn tell(word: &[u8], numbers: &[u64]) {
    let mut line = [0_u8; 256];
    let mut length = 0;
    let mut put = |byte: u8| {
        if let Some(place) = line.get_mut(length) {
            *place = byte;
            length += 1;
        }
    };
    word.iter().for_each(|byte| put(*byte));
    for number in numbers {
        put(b' ');
        let mut unit = 10_000_000_000_000_000_000;
        while unit > 1 && *number / unit == 0 {
            unit /= 10;
        }
        while unit > 0 {
            put(b'0' + (*number / unit % 10) as u8);
            unit /= 10;
        }
    }
    put(b'\n');
    let mut rest = &line[..length];
    while !rest.is_empty() {
        let written = system(call::WRITE, [1, rest.as_ptr() as usize, rest.len(), 0, 0]);
        if written <= 0 {
            end(FAILED);
        }
        rest = rest.get(written as usize..).unwrap_or_default();
    }
}

/// `stack` is where the kernel put the number of arguments and pointers to them.
unsafe extern "C" fn main(stack: *const usize) -> ! {
    // SAFETY: that is how a process starts.
    let count = unsafe { *stack };
    // SAFETY: plain numbers, for which zero is a value.
    let mut disk: Disk = unsafe { core::mem::zeroed() };
    if system(call::STATFS, [c"/".as_ptr() as usize, &raw mut disk as usize, 0, 0, 0]) == 0 {
        let Disk { block, blocks, free, available, .. } = disk;
        tell(b"disk", &[blocks * block, free * block, available * block]);
    }
    for index in 1..count {
        // SAFETY: there are `count` pointers behind the number.
        let path = unsafe { *stack.add(1 + index) } as *const u8;
        let mut sum = Sum::default();
        let mut born = (0, 0);
        match open(CWD, path, 0) {
            Some(directory) => {
                if let Some(found) = status(directory, c"".as_ptr().cast(), EMPTY_PATH) {
                    born = (found.born_seconds.max(0) as u64, u64::from(found.born_nanoseconds));
                    sum.add(&found);
                }
                walk(directory, 0, &mut sum);
            }
            None => sum.unread += 1,
        }
        tell(b"mount", &[index as u64 - 1, sum.bytes, sum.entries, sum.unread, born.0, born.1]);
    }
    end(MEASURED)
}
