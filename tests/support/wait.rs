//! Waiting for a condition instead of sleeping.

use std::time::{Duration, Instant};

/// How long anything is waited for: a machine that does much else takes minutes for what takes a second.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Asks `check` until it answers `Some`; panics with `what` where that takes longer than anybody waits.
#[track_caller]
pub fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    eventually_or_why(what, || check().ok_or_else(String::new))
}

/// The same, of what is worth telling when it is in vain: what was seen last.
#[track_caller]
pub fn eventually_or_why<T>(what: &str, mut check: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        let seen = match check() {
            Ok(value) => return value,
            Err(seen) => seen,
        };
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}; {seen}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
