//! How fast something is transferred, from how much there was when.

use std::collections::VecDeque;
use std::time::Duration;

/// Only what happened this recently counts.
const WINDOW: Duration = Duration::from_secs(4);

/// Looking closer than this only shows the sizes of chunks.
const SHORTEST: Duration = Duration::from_millis(500);

/// Time between two samples that are kept.
const STEP: Duration = Duration::from_millis(100);

/// Follows a number of bytes that grows.
#[derive(Debug, Clone, Default)]
pub struct Meter {
    /// When and how many, oldest first.
    samples: VecDeque<(Duration, u64)>,
}

impl Meter {
    /// There were `bytes` in all at `at`, by the caller's clock.
    pub fn push(&mut self, at: Duration, bytes: u64) {
        // The newest sample moves on until it is far enough from the one before it.
        let before = self.samples.len().checked_sub(2).map(|place| self.samples[place].0);
        if before.is_some_and(|before| at < before + STEP) {
            self.samples.pop_back();
        }
        self.samples.push_back((at, bytes));
        // The newest one outside of the window is where the window's growth begins.
        while self.samples.len() > 2 && self.samples[1].0 + WINDOW <= at {
            self.samples.pop_front();
        }
    }

    /// Bytes per second over the last seconds before `at`; `None` while there is too little to
    /// tell from, and where nothing moves.
    pub fn rate(&self, at: Duration) -> Option<u64> {
        let (_, newest) = *self.samples.back()?;
        let begin = at.saturating_sub(WINDOW);
        // A sample from before the window tells what was there when it began.
        let (from, bytes) = match self.samples.iter().rev().find(|(when, _)| *when <= begin) {
            Some((when, bytes)) => (begin.max(*when), *bytes),
            None => *self.samples.front()?,
        };
        let time = at.saturating_sub(from);
        let moved = newest.saturating_sub(bytes);
        (time >= SHORTEST && moved > 0).then(|| (moved as f64 / time.as_secs_f64()) as u64)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn millis(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_steady_stream_has_its_rate_and_a_stalled_one_none() {
        let mut meter = Meter::default();
        assert_eq!(meter.rate(millis(10)), None);
        for n in 0..=100 {
            meter.push(millis(n * 50), n * 50_000);
        }
        let rate = meter.rate(millis(5000)).unwrap();
        assert!((900_000..=1_100_000).contains(&rate), "{rate}");
        assert_eq!(meter.rate(millis(10_000)), None);
    }

    #[test]
    fn it_follows_a_change_within_seconds_and_keeps_few_samples() {
        let mut meter = Meter::default();
        for n in 0..=1000 {
            meter.push(millis(n * 10), n * 10);
        }
        for n in 1..=500_u64 {
            meter.push(millis(10_000 + n * 10), 10_000 + n * 10_000);
        }
        let rate = meter.rate(millis(15_000)).unwrap();
        assert!((900_000..=1_100_000).contains(&rate), "{rate}");
        assert!(meter.samples.len() < 60, "{}", meter.samples.len());
    }

    #[test]
    fn one_sample_is_no_rate() {
        let mut meter = Meter::default();
        meter.push(millis(1), 5_000_000);
        assert_eq!(meter.rate(millis(2000)), None);
    }
}
