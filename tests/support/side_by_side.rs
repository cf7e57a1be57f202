//! The same test on several engines at once. What failed is said once more at the end, in short: the end of a log is
//! what everybody has.

use std::any::Any;

/// How much of a message is repeated: lines of its beginning and of its end.
const LINES: (usize, usize) = (3, 5);
/// Longest line that is repeated, in characters.
const WIDTH: usize = 300;

/// Runs all of them at the same time; panics with the names of those that failed, and why.
#[track_caller]
pub fn side_by_side<T: FnOnce() + Send>(runs: Vec<(String, T)>) {
    let failed: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = runs.into_iter().map(|(name, run)| (name, scope.spawn(run))).collect();
        let failures = runs.into_iter().filter_map(|(name, run)| Some((name, run.join().err()?)));
        failures.map(|(name, payload)| format!("{name}: {}", in_short(&*payload))).collect()
    });
    assert!(failed.is_empty(), "failed on {}", failed.join("\n"));
}

/// What a panic said, its long middle left out.
pub fn in_short(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("?");
    let lines: Vec<String> = text.lines().map(|line| line.chars().take(WIDTH).collect()).collect();
    let (first, last) = LINES;
    if lines.len() <= first + last {
        return lines.join("\n");
    }
    let (head, tail) = (&lines[..first], &lines[lines.len() - last..]);
    [head, &["...".to_owned()], tail].concat().join("\n")
}
