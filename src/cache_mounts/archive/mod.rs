//! What a cache mount holds, as a tar archive: pax, as POSIX has it, with the sparse files of GNU tar.
//!
//! The same contents give the same bytes: entries come in one order, and nothing stands in a header but what belongs to
//! the file. Kept are names to the byte, owners by number, permissions, links, holes, and the time of the last change to
//! the nanosecond; not kept are the mount's own time, the times of access, extended attributes, devices, pipes and sockets.

mod header;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use read::{Fault, Reader};
pub use write::Writer;

/// The unit of a tar archive.
const BLOCK: usize = 512;
/// Bytes of a header for names and the like at most: no system has longer ones.
const LONGEST_HEADER: u64 = 1 << 20;
/// Parts of a file with holes at most.
const MOST_PARTS: usize = 100_000;

/// How many bytes follow `size` bytes up to the end of their last block.
fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64) - size
}
