//! Waiting for a condition instead of sleeping.

use std::time::{Duration, Instant};

/// Asks `check` until it answers `Some`, at most for `timeout`; panics with `what` after that.
#[track_caller]
pub fn eventually<T>(what: &str, timeout: Duration, mut check: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(start.elapsed() < timeout, "not within {timeout:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
