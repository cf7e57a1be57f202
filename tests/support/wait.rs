//! Waiting for a condition instead of sleeping.

use std::time::{Duration, Instant};

/// How long anything is waited for: a machine that does much else takes minutes for what takes a second.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Asks `check` until it answers `Some`; panics with `what` where that takes longer than anybody waits.
#[track_caller]
pub fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
