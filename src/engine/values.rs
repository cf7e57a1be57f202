//! How engines write sizes and times in any answer, and what stands for "unknown".

use jiff::Timestamp;

/// Engines write -1 for a size they do not know.
pub(super) fn bytes(size: i64) -> Option<u64> {
    u64::try_from(size).ok()
}

/// A time in seconds since 1970; Go's zero time lies before.
pub(super) fn seconds(seconds: i64) -> Option<Timestamp> {
    Timestamp::from_second(seconds).ok().filter(|time| *time > Timestamp::UNIX_EPOCH)
}

/// A time in RFC 3339; Go's zero time, and what is no time, are none.
pub(super) fn time(text: Option<String>) -> Option<Timestamp> {
    text?.parse().ok().filter(|time: &Timestamp| *time > Timestamp::UNIX_EPOCH)
}
