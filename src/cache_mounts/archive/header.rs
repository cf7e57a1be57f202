//! One block of a header: fields at fixed places.

use super::BLOCK;

const NAME: usize = 100;
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// The fields that are used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) name: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: u64,
    pub(super) gid: u64,
    pub(super) size: u64,
    pub(super) seconds: i64,
    pub(super) kind: u8,
    pub(super) target: Vec<u8>,
}

impl Header {
    /// The block. What does not fit is cut: a header with the whole value stands before it.
    pub(super) fn block(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        let octal = |number: u64, digits: usize| {
            let most = (1_u64 << (3 * digits)) - 1;
            format!("{:0digits$o}\0", number.min(most)).into_bytes()
        };
        put(0, &self.name[..self.name.len().min(NAME)]);
        put(100, &octal(u64::from(self.mode), 7));
        put(108, &octal(self.uid, 7));
        put(116, &octal(self.gid, 7));
        put(124, &octal(self.size, 11));
        put(136, &octal(u64::try_from(self.seconds).unwrap_or(0), 11));
        put(156, &[self.kind]);
        put(157, &self.target[..self.target.len().min(NAME)]);
        put(257, b"ustar\x0000");
        put(329, &octal(0, 7));
        put(337, &octal(0, 7));
        let sum = format!("{:06o}\0 ", checksum(&block));
        block[CHECKSUM].copy_from_slice(sum.as_bytes());
        block
    }

    /// Reads a block; `None` where it is not a header.
    pub(super) fn read(block: &[u8; BLOCK]) -> Option<Self> {
        if number(&block[CHECKSUM])? != checksum(block) {
            return None;
        }
        let mut name = text(&block[..NAME]);
        // GNU's old format keeps other things there.
        if &block[257..263] == b"ustar\0" {
            let prefix = text(&block[345..500]);
            if !prefix.is_empty() {
                name = [&prefix[..], b"/", &name].concat();
            }
        }
        Some(Self {
            name,
            mode: u32::try_from(number(&block[100..108])? & 0o7777).ok()?,
            uid: number(&block[108..116])?,
            gid: number(&block[116..124])?,
            size: number(&block[124..136])?,
            seconds: seconds(&block[136..148])?,
            kind: block[156],
            target: text(&block[157..257]),
        })
    }
}

/// The sum of the block's bytes, the place of the sum itself counted as blanks.
fn checksum(block: &[u8; BLOCK]) -> u64 {
    let byte =
        |(at, byte): (usize, &u8)| u64::from(if CHECKSUM.contains(&at) { b' ' } else { *byte });
    block.iter().enumerate().map(byte).sum()
}

/// Up to the first zero.
fn text(field: &[u8]) -> Vec<u8> {
    field.iter().copied().take_while(|byte| *byte != 0).collect()
}

/// A time; GNU tar writes one before 1970 in binary.
fn seconds(field: &[u8]) -> Option<i64> {
    if field.first() == Some(&0xff) {
        let last = field.get(field.len().checked_sub(8)?..)?;
        return Some(i64::from_be_bytes(last.try_into().ok()?)).filter(|it| *it < 0);
    }
    i64::try_from(number(field)?).ok()
}

/// A number in octal digits, or in binary, as GNU tar writes large ones.
fn number(field: &[u8]) -> Option<u64> {
    if field.first().is_some_and(|first| *first == 0x80) {
        let mut number = 0_u64;
        for byte in &field[1..] {
            number = number.checked_mul(256)?.checked_add(u64::from(*byte))?;
        }
        return Some(number);
    }
    let digits: Vec<u8> = field.iter().copied().filter(|byte| !matches!(byte, 0 | b' ')).collect();
    let digits = std::str::from_utf8(&digits).ok()?;
    if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, 8).ok() }
}
