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

/// Reads a time in RFC 3339; `None` for Go's zero time and for what is not a time.
pub(super) fn time(text: Option<String>) -> Option<Timestamp> {
    text?.parse().ok().filter(|time: &Timestamp| *time > Timestamp::UNIX_EPOCH)
}
