//! Round seconds for the axis.

/// Distances between ticks in seconds: each is easy to add up.
const STEPS: [f64; 24] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0,
    120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 21600.0,
];

/// Ticks besides the one at 0, at most.
const MAX: f64 = 10.0;

/// Ticks of an axis from 0 to `seconds`: where, and what stands there.
pub(super) fn ticks(seconds: f64) -> Vec<(f64, String)> {
    let fits = |step: &&f64| seconds / **step <= MAX;
    // A build of days gets as many hours as it takes.
    let step = STEPS
        .iter()
        .find(fits)
        .copied()
        .unwrap_or_else(|| (seconds / MAX / 3600.0).ceil() * 3600.0);
    let count = (seconds / step + 1e-9).floor() as u32;
    (0..=count).map(|n| (f64::from(n) * step, label(f64::from(n) * step, step))).collect()
}

fn label(at: f64, step: f64) -> String {
    if at == 0.0 {
        return "0".to_owned();
    }
    if step < 0.1 {
        return format!("{:.0} ms", at * 1000.0);
    }
    if step < 1.0 {
        return format!("{at:.1}s");
    }
    let whole = at.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, 0) => format!("{m}m"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, 0, 0) => format!("{h}h"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(seconds: f64) -> String {
        ticks(seconds).into_iter().map(|(_, label)| label).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn seconds_are_round() {
        assert_eq!(labels(0.0), "0");
        assert_eq!(labels(0.043), "0 5 ms 10 ms 15 ms 20 ms 25 ms 30 ms 35 ms 40 ms");
        assert_eq!(labels(1.5), "0 0.2s 0.4s 0.6s 0.8s 1.0s 1.2s 1.4s");
        assert_eq!(labels(3.0), "0 0.5s 1.0s 1.5s 2.0s 2.5s 3.0s");
        assert_eq!(labels(130.0), "0 15s 30s 45s 1m 1m15s 1m30s 1m45s 2m");
        assert_eq!(labels(4000.0), "0 10m 20m 30m 40m 50m 1h");
        assert_eq!(labels(1_000_000.0), "0 28h 56h 84h 112h 140h 168h 196h 224h 252h");
    }

    proptest::proptest! {
        #[test]
        fn ticks_are_few_and_inside(seconds in 0.0..1e7_f64) {
            let ticks = ticks(seconds);
            proptest::prop_assert!(ticks.len() <= 11);
            proptest::prop_assert!(ticks.iter().all(|(at, _)| *at <= seconds + 1e-6));
        }
    }
}
