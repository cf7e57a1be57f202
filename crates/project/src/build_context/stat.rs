//! Metadata of one entry, in the terms the engine takes them.

use rustix::fd::BorrowedFd;
use rustix::io::Errno;

/// Go's `FileMode` bits: permissions as in Unix, the kind in the high bits.
pub mod go_mode {
    /// A directory.
    pub const DIR: u32 = 1 << 31;
    /// A symlink.
    pub const SYMLINK: u32 = 1 << 27;
    /// A device node, block unless [`CHAR_DEVICE`] is set too.
    pub const DEVICE: u32 = 1 << 26;
    /// A FIFO.
    pub const NAMED_PIPE: u32 = 1 << 25;
    /// A Unix socket; never sent.
    pub const SOCKET: u32 = 1 << 24;
    /// setuid.
    pub const SETUID: u32 = 1 << 23;
    /// setgid.
    pub const SETGID: u32 = 1 << 22;
    /// A character device.
    pub const CHAR_DEVICE: u32 = 1 << 21;
    /// The sticky bit.
    pub const STICKY: u32 = 1 << 20;
    /// Of no known kind.
    pub const IRREGULAR: u32 = 1 << 19;
    /// All bits that say "not a regular file".
    pub const TYPE: u32 = DIR | SYMLINK | DEVICE | NAMED_PIPE | SOCKET | CHAR_DEVICE | IRREGULAR;
}

/// What kind of thing an entry is, as far as the walk cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symlink.
    Symlink,
    /// A socket, FIFO or device node.
    Special,
}

/// Names and values of extended attributes.
pub type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// The metadata of an entry. Owners are left out: every transfer sends 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Its kind on disk.
    pub kind: Kind,
    /// Go `FileMode`; the socket bit is cleared, as buildx does: a socket becomes an empty file.
    pub mode: u32,
    /// Bytes; 0 for directories.
    pub size: u64,
    /// Modification time, nanoseconds since the epoch.
    pub mtime: i64,
    /// When the inode changed last, nanoseconds since the epoch: nobody can set it.
    pub ctime: i64,
    /// Major number of a device node.
    pub devmajor: i64,
    /// Minor number of a device node.
    pub devminor: i64,
    /// Extended attributes, all but Apple's own.
    pub xattrs: Xattrs,
    /// Its device and inode.
    pub id: (u64, u64),
    /// Whether the file has other names.
    pub has_links: bool,
}

impl Stat {
    /// From what the system says, without extended attributes.
    // The integer types of the fields differ between systems.
    #[allow(clippy::unnecessary_cast)]
    pub fn new(stat: &rustix::fs::Stat) -> Self {
        use rustix::fs::FileType;
        let raw = stat.st_mode as u32;
        let mut mode = raw & 0o777;
        let file_type = FileType::from_raw_mode(stat.st_mode);
        let kind = match file_type {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Dir,
            FileType::Symlink => Kind::Symlink,
            _ => Kind::Special,
        };
        mode |= match file_type {
            FileType::RegularFile | FileType::Socket => 0,
            FileType::Directory => go_mode::DIR,
            FileType::Symlink => go_mode::SYMLINK,
            FileType::Fifo => go_mode::NAMED_PIPE,
            FileType::BlockDevice => go_mode::DEVICE,
            FileType::CharacterDevice => go_mode::DEVICE | go_mode::CHAR_DEVICE,
            _ => go_mode::IRREGULAR,
        };
        for (unix, go) in
            [(0o4000, go_mode::SETUID), (0o2000, go_mode::SETGID), (0o1000, go_mode::STICKY)]
        {
            if raw & unix != 0 {
                mode |= go;
            }
        }
        let is_device = matches!(file_type, FileType::BlockDevice | FileType::CharacterDevice);
        let rdev = if is_device { stat.st_rdev as u64 } else { 0 };
        Self {
            kind,
            mode,
            size: if kind == Kind::Dir { 0 } else { stat.st_size as u64 },
            mtime: mtime(stat),
            ctime: nanoseconds(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
            devmajor: ((rdev >> 8) & 0xfff) as i64,
            devminor: ((rdev & 0xff) | ((rdev >> 12) & 0xf_ff00)) as i64,
            xattrs: Vec::new(),
            id: (stat.st_dev as u64, stat.st_ino as u64),
            has_links: kind != Kind::Dir && stat.st_nlink as u64 > 1,
        }
    }
}

/// Modification time in nanoseconds since the epoch.
#[allow(clippy::unnecessary_cast)]
pub(crate) fn mtime(stat: &rustix::fs::Stat) -> i64 {
    nanoseconds(stat.st_mtime as i64, stat.st_mtime_nsec as i64)
}

fn nanoseconds(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

/// Lists names into the buffer, or reads a value into it; answers the length.
type Fill<'a> = &'a mut dyn FnMut(&mut [u8]) -> rustix::io::Result<usize>;

/// Reads the value of a name.
type Get<'a> = &'a mut dyn FnMut(&[u8], &mut [u8]) -> rustix::io::Result<usize>;

/// Extended attributes of an open directory.
pub(crate) fn xattrs_of_fd(fd: BorrowedFd<'_>) -> rustix::io::Result<Xattrs> {
    collect(&mut |buf| rustix::fs::flistxattr(fd, buf), &mut |name, buf| {
        rustix::fs::fgetxattr(fd, name, buf)
    })
}

/// Extended attributes of `path`, of the link itself if it is one.
pub(crate) fn xattrs_of_path(path: &[u8]) -> rustix::io::Result<Xattrs> {
    collect(&mut |buf| rustix::fs::llistxattr(path, buf), &mut |name, buf| {
        rustix::fs::lgetxattr(path, name, buf)
    })
}

fn collect(list: Fill<'_>, get: Get<'_>) -> rustix::io::Result<Xattrs> {
    let names = match read_growing(list) {
        Ok(names) => names,
        // A file system without extended attributes.
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut out = Vec::new();
    for name in names.split(|&b| b == 0).filter(|name| !name.is_empty()) {
        if name.starts_with(b"com.apple.") {
            continue;
        }
        // An attribute that cannot be read is left out, as buildx does.
        if let Ok(value) = read_growing(&mut |buf| get(name, buf)) {
            out.push((name.to_vec(), value));
        }
    }
    Ok(out)
}

/// Asks with a small buffer first: almost every file has no attributes at all.
fn read_growing(fill: Fill<'_>) -> rustix::io::Result<Vec<u8>> {
    let mut small = [0_u8; 256];
    match fill(&mut small) {
        Ok(n) => return Ok(small[..n.min(small.len())].to_vec()),
        Err(Errno::RANGE) => {}
        Err(e) => return Err(e),
    }
    // 64 KiB is the kernel's limit for both lists and values.
    let mut large = vec![0_u8; 64 * 1024];
    let n = fill(&mut large)?;
    large.truncate(n);
    Ok(large)
}
