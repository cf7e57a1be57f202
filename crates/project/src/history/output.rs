//! What a step wrote last, as it is remembered of one that made its build fail: bounded, and without what is secret.

use serde::{Deserialize, Serialize};

use crate::progress::lines::LogTail;
use crate::redact::Redactor;

/// Lines that are kept of a step.
const MOST_LINES: usize = 50;
/// Bytes that they may take in the file.
const MOST_BYTES: usize = 8 << 10;

/// The last lines of a step's output.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastOutput {
    /// The lines without their ends, the oldest first. They may hold control characters.
    pub lines: Vec<String>,
    /// How many came before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
}

impl LastOutput {
    /// The end of `tail`, as far as there is `room` for it, which it takes. `None` where nothing was written.
    pub fn read(tail: &LogTail, redactor: &Redactor, room: &mut usize) -> Option<Self> {
        let mut lines = Vec::new();
        let mut left = MOST_BYTES.min(*room);
        for line in tail.lines().rev().take(MOST_LINES) {
            // Secrets go before anything is cut: half of one would not be known.
            let text = redactor.text(&line.text);
            match written(&text) {
                bytes if bytes <= left => left -= bytes,
                _ if lines.is_empty() && left > 0 => {
                    lines.push(end_of(&text, left).to_owned());
                    left = 0;
                    break;
                }
                _ => break,
            }
            lines.push(text);
        }
        *room -= MOST_BYTES.min(*room) - left;
        lines.reverse();
        let left_out = tail.total() - lines.len() as u64;
        (!lines.is_empty()).then_some(Self { lines, left_out })
    }
}

/// Bytes that `text` takes as a JSON string.
fn written(text: &str) -> usize {
    3 + text.chars().map(written_char).sum::<usize>()
}

fn written_char(char: char) -> usize {
    match char {
        '"' | '\\' => 2,
        _ if char.is_control() => 6,
        _ => char.len_utf8(),
    }
}

/// As much of the end of `text` as takes at most `bytes`.
fn end_of(text: &str, bytes: usize) -> &str {
    let mut left = bytes.saturating_sub(3);
    let mut start = text.len();
    for (at, char) in text.char_indices().rev() {
        match left.checked_sub(written_char(char)) {
            Some(rest) => (left, start) = (rest, at),
            None => break,
        }
    }
    &text[start..]
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::progress::lines::{LogLine, Stream};
    use crate::redact::Secrets;

    fn tail(lines: impl IntoIterator<Item = String>) -> LogTail {
        let mut tail = LogTail::default();
        for text in lines {
            tail.push(LogLine { stream: Stream::Stdout, text });
        }
        tail
    }

    fn kept(tail: &LogTail, room: &mut usize) -> Option<LastOutput> {
        let mut secrets = Secrets::default();
        secrets.add(b"hunter2-of-the-test");
        LastOutput::read(tail, &Redactor::new(&secrets), room)
    }

    #[test]
    fn the_last_lines_are_kept_and_the_others_counted() {
        let room = &mut { usize::MAX };
        assert_eq!(kept(&tail([]), room), None);
        let output = kept(&tail((0..80).map(|n| format!("line {n}"))), room).unwrap();
        assert_eq!((output.lines.len(), output.left_out), (MOST_LINES, 30));
        assert_eq!((output.lines[0].as_str(), output.lines[49].as_str()), ("line 30", "line 79"));
        let long = kept(&tail((0..80).map(|_| "x".repeat(1000))), room).unwrap();
        assert_eq!((long.lines.len(), long.left_out), (8, 72));
    }

    #[test]
    fn whatever_a_step_writes_takes_no_more_than_its_room() {
        for text in ["\u{1b}[2J\u{0}", "\"\\", "é", "🦀", "x"] {
            let output = kept(&tail([text.repeat(9000)]), &mut { usize::MAX }).unwrap();
            let json = serde_json::to_string(&output.lines).unwrap();
            assert!((MOST_BYTES - 16..=MOST_BYTES + 2).contains(&json.len()), "{}", json.len());
            assert!(text.repeat(9000).ends_with(&output.lines[0]));
        }
        let room = &mut 100;
        assert_eq!(kept(&tail(["y".repeat(200)]), room).unwrap().lines, ["y".repeat(97)]);
        assert_eq!((kept(&tail(["y".to_owned()]), room), *room), (None, 0));
    }

    #[test]
    fn secrets_go_before_the_cut() {
        let line = format!("{}hunter2-of-the-test{}", "a".repeat(500), "b".repeat(MOST_BYTES - 10));
        let output = kept(&tail([line]), &mut { usize::MAX }).unwrap();
        assert!(
            !output.lines[0].contains("test") && output.lines[0].contains("*bbb"),
            "{output:?}"
        );
    }
}
