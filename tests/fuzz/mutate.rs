//! Inputs from seeds: a function of the seed and a number.

/// Longest input in bytes.
const LONGEST: usize = 64 << 10;
/// Most changes of one seed.
const CHANGES: usize = 8;

/// Bytes that mean something to one of the parsers.
const PIECES: [&[u8]; 44] = [
    b"\n",
    b"\r\n",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xc3",
    b" ",
    b"\t",
    b"\"",
    b"'",
    b"\\",
    b"\\\n",
    b"${",
    b"$A",
    b"${A:-",
    b"}",
    b"{",
    b"[",
    b"]",
    b"&a ",
    b"*a",
    b"<<: ",
    b"!reset ",
    b": ",
    b"- ",
    b"#",
    b"=",
    b"**/",
    b"*",
    b"?",
    b"!",
    b"<<EOF\n",
    b"FROM ",
    b"--from=",
    b"(",
    b"\xe6\x97\xa5",
    b"://u:p@",
    b"\x1b[",
    b"null",
    b"-1",
    b"18446744073709551616",
    b"1e999",
    b"\"\\ud800\"",
    b",",
];

/// SplitMix64.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number.wrapping_mul(0xd1b5_4a32_d192_ed03))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Below `end`; 0 where that is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % (end.max(1) as u64)) as usize
    }
}

/// A seed with some changes.
pub(crate) fn input(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut bytes = seeds[random.below(seeds.len())].clone();
    bytes.truncate(LONGEST);
    for _ in 0..=random.below(CHANGES) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(64)).min(bytes.len());
        match random.below(8) {
            0 => drop(bytes.drain(at..end)),
            1 => drop(bytes.splice(at..at, PIECES[random.below(PIECES.len())].iter().copied())),
            2 => drop(bytes.splice(at..end, PIECES[random.below(PIECES.len())].iter().copied())),
            3 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
            // A part again, many times: what is square or worse shows.
            4 | 5 => {
                let part = bytes[at..end].to_vec();
                let times = 1 << random.below(13);
                let times = times.min(LONGEST.saturating_sub(bytes.len()) / part.len().max(1));
                drop(bytes.splice(at..at, part.repeat(times)));
            }
            6 => {
                let piece = PIECES[random.below(PIECES.len())];
                let times = 1 << random.below(14);
                let times = times.min(LONGEST.saturating_sub(bytes.len()) / piece.len());
                drop(bytes.splice(at..at, piece.repeat(times)));
            }
            _ => {
                let other = &seeds[random.below(seeds.len())];
                let from = random.below(other.len() + 1);
                let part = &other[from..(from + random.below(2048)).min(other.len())];
                drop(bytes.splice(at..end, part.iter().copied()));
            }
        }
        bytes.truncate(LONGEST);
    }
    bytes
}
