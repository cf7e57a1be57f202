//! Names of builds: short, unique, and in the order of time.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Digits of the time, which last until the year 2059.
const TIME_DIGITS: usize = 8;
/// Digits that tell builds of one millisecond apart.
const NOISE_DIGITS: usize = 4;
/// The longest name of a build in an engine's history that is taken: buildx makes 25 letters and digits.
const MOST_REF: usize = 64;

/// The name of a build: eight base-36 digits of its start in milliseconds since the epoch, then four
/// that are random. Sorted as text, ids are in the order of time; the ids of builds more than
/// half an hour apart differ in their first four digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BuildId(String);

impl BuildId {
    /// The id of a build that started at `started`. `noise` is random text of letters and digits.
    pub fn new(started: Timestamp, noise: &str) -> Self {
        let mut rest = u64::try_from(started.as_millisecond()).unwrap_or(0);
        let mut digits = [b'0'; TIME_DIGITS];
        for digit in digits.iter_mut().rev() {
            *digit = b"0123456789abcdefghijklmnopqrstuvwxyz"[(rest % 36) as usize];
            rest /= 36;
        }
        let noise = noise.chars().filter(char::is_ascii_alphanumeric).chain(std::iter::repeat('0'));
        let digits = digits.iter().map(|digit| char::from(*digit));
        Self(digits.chain(noise.take(NOISE_DIGITS)).collect::<String>().to_ascii_lowercase())
    }

    /// The id that `text` spells, if it has the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let right = text.len() == TIME_DIGITS + NOISE_DIGITS
            && text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase());
        right.then(|| Self(text.to_owned()))
    }

    /// What an engine calls a build in its own history, as the name of it; `None` where that is not in the form in which
    /// clients of BuildKit name builds. Such names are in no order.
    pub fn of_engine(build_ref: &str) -> Option<Self> {
        let right = (1..=MOST_REF).contains(&build_ref.len())
            && build_ref.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        right.then(|| Self(build_ref.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    proptest::proptest! {
        #[test]
        fn ids_sort_by_time(a in 0_i64..2_800_000_000_000, b in 0_i64..2_800_000_000_000, noise: String) {
            let id = |ms| BuildId::new(Timestamp::from_millisecond(ms).unwrap(), &noise);
            proptest::prop_assert_eq!(a.cmp(&b), id(a).cmp(&id(b)));
            proptest::prop_assert_eq!(BuildId::parse(id(a).as_str()), Some(id(a)));
        }
    }

    #[test]
    fn other_texts_are_no_ids() {
        for text in ["", "../../etc/pa", "mhx3k2p9a7f", "MHX3K2P9A7F2", "mhx3k2p9a7fé"] {
            assert_eq!(BuildId::parse(text), None, "{text}");
        }
        for text in ["", "../x", "a b", "\u{1b}[2J", &"a".repeat(65)] {
            assert_eq!(BuildId::of_engine(text), None, "{text}");
        }
        let build_ref = "pgx9xg0mz1sq34dxf3raaw8p1";
        assert_eq!(BuildId::of_engine(build_ref).unwrap().as_str(), build_ref);
    }
}
