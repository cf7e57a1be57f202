//! What a saved mount holds, in eight bytes for each entry: what tells which entries are new, and which of a lower archive
//! are still there.

use super::summary::fingerprint;
use crate::sight::Entry;

/// Larger than any: four million entries.
pub(super) const LIMIT: u64 = 32 << 20;

/// Fingerprints, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Index(Vec<u64>);

impl Index {
    pub(super) fn new(mut fingerprints: Vec<u64>) -> Self {
        fingerprints.sort_unstable();
        Self(fingerprints)
    }

    /// Reads what [`Self::bytes`] wrote; `None` where it is something else.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = bytes.as_chunks();
        let numbers: Vec<u64> = numbers.iter().map(|it| u64::from_le_bytes(*it)).collect();
        (rest.is_empty() && numbers.is_sorted()).then_some(Self(numbers))
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    pub(super) fn has(&self, fingerprint: u64) -> bool {
        self.0.binary_search(&fingerprint).is_ok()
    }

    /// Whether this very entry is there.
    pub(super) fn has_entry(&self, entry: &Entry) -> bool {
        fingerprint(entry).is_some_and(|it| self.has(it))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let index = Index::new(vec![9, 1, u64::MAX, 4]);
        assert_eq!(Index::read(&index.bytes()).unwrap(), index);
        assert!(index.has(4) && !index.has(5));
        assert_eq!(Index::read(&index.bytes()[1..]), None);
        assert_eq!(Index::read(&[[1_u8; 8], [0; 8]].concat()), None);
        assert_eq!(Index::read(&[]), Some(Index::default()));
    }
}
