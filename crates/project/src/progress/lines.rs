//! From chunks of a step's output to lines, and the last of them in bounded memory.

use std::collections::VecDeque;

/// Bytes after which a line without an end is cut, so that a stream that never ends its line
/// cannot grow without bound.
const MAX_LINE_BYTES: usize = 16 * 1024;

/// Lines kept while a step runs, for the moment it fails.
const MAX_TAIL_LINES: usize = 20_000;

/// Bytes kept while a step runs: as much as the engine gives before it clips a log.
const MAX_TAIL_BYTES: usize = 2 * 1024 * 1024;

/// Lines kept of a step that ended well.
const MAX_KEPT_LINES: usize = 50;

/// Splits a stream of chunks into lines.
///
/// A carriage return starts its line over, as on a terminal: of a progress bar only the last
/// state before the line feed is left. Bytes that are not UTF-8 become U+FFFD.
#[derive(Debug, Clone, Default)]
pub struct LineSplitter {
    line: Vec<u8>,
    /// A carriage return came last; whether it starts the line over is known at the next byte.
    returned: bool,
}

impl LineSplitter {
    /// Takes the next chunk and hands every line that is complete with it to `each`.
    pub fn push(&mut self, chunk: &[u8], mut each: impl FnMut(String)) {
        for &byte in chunk {
            match byte {
                b'\n' => {
                    self.returned = false;
                    each(self.take());
                }
                b'\r' => self.returned = true,
                _ => {
                    if std::mem::take(&mut self.returned) {
                        self.line.clear();
                    }
                    self.line.push(byte);
                    // Not inside of a character: the cut must not make invalid text of valid.
                    if self.line.len() >= MAX_LINE_BYTES && !(0x80..0xc0).contains(&byte) {
                        let next = if byte >= 0xc0 { self.line.pop() } else { None };
                        each(self.take());
                        self.line.extend(next);
                    }
                }
            }
        }
    }

    /// The line that was begun and has no end yet, if any.
    pub fn flush(&mut self) -> Option<String> {
        self.returned = false;
        (!self.line.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        text
    }
}

/// Which of its outputs a step wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Where it was written.
    pub stream: Stream,
    /// The line without its end; it may hold control characters.
    pub text: String,
}

/// The last lines of an output, bounded in lines and bytes.
#[derive(Debug, Clone, Default)]
pub struct LogTail {
    lines: VecDeque<LogLine>,
    bytes: usize,
    dropped: u64,
}

impl LogTail {
    /// Adds a line and forgets the oldest ones that no longer fit.
    pub fn push(&mut self, line: LogLine) {
        self.bytes += line.text.len();
        self.lines.push_back(line);
        while self.lines.len() > MAX_TAIL_LINES
            || (self.bytes > MAX_TAIL_BYTES && self.lines.len() > 1)
        {
            if let Some(old) = self.lines.pop_front() {
                self.bytes -= old.text.len();
                self.dropped += 1;
            }
        }
    }

    /// Bytes that are kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.dropped += self.lines.len() as u64;
        self.lines = VecDeque::new();
        self.bytes = 0;
    }

    /// Forgets all but the last lines: the step ended well, nobody will ask for its whole output.
    pub fn shrink(&mut self) {
        while self.lines.len() > MAX_KEPT_LINES {
            if let Some(old) = self.lines.pop_front() {
                self.bytes -= old.text.len();
                self.dropped += 1;
            }
        }
        self.lines.shrink_to_fit();
    }

    /// The lines kept, oldest first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &LogLine> + ExactSizeIterator {
        self.lines.iter()
    }

    /// How many lines came in all.
    pub fn total(&self) -> u64 {
        self.dropped + self.lines.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<String> {
        let mut splitter = LineSplitter::default();
        let mut lines = Vec::new();
        for chunk in chunks {
            splitter.push(chunk, |line| lines.push(line));
        }
        lines.extend(splitter.flush());
        lines
    }

    #[test]
    fn chunks_join_to_lines() {
        assert_eq!(split(&[b"one\ntw", b"o\n\nthree"]), ["one", "two", "", "three"]);
    }

    #[test]
    fn a_carriage_return_starts_the_line_over() {
        assert_eq!(
            split(&[b"10%\r", b"20%\r100%\nok\r\n", b"a\r", b"\nb"]),
            ["100%", "ok", "a", "b"]
        );
    }

    #[test]
    fn a_character_split_over_chunks_stays_whole_and_invalid_bytes_are_marked() {
        assert_eq!(split(&[b"\xc3", b"\xa9\n\xff!\n"]), ["é", "\u{fffd}!"]);
    }

    #[test]
    fn an_endless_line_is_cut_between_characters() {
        let text = "é".repeat(MAX_LINE_BYTES);
        let lines = split(&[text.as_bytes()]);
        assert_eq!(lines.concat(), text);
        assert!(lines.len() >= 2);
        assert!(lines.iter().all(|line| line.len() <= MAX_LINE_BYTES));
    }

    #[test]
    fn the_tail_is_bounded_in_lines_and_bytes() {
        let mut tail = LogTail::default();
        let line = |text| LogLine { stream: Stream::Stdout, text };
        for n in 0..30_000 {
            tail.push(line(n.to_string()));
        }
        assert_eq!(tail.lines().len(), MAX_TAIL_LINES);
        assert_eq!(tail.lines().next_back(), Some(&line("29999".into())));
        for _ in 0..200 {
            tail.push(line("x".repeat(MAX_LINE_BYTES)));
        }
        assert_eq!(tail.lines().len(), MAX_TAIL_BYTES / MAX_LINE_BYTES);
        assert_eq!(tail.total(), 30_200);
        tail.shrink();
        assert_eq!(tail.lines().len(), MAX_KEPT_LINES);
        assert_eq!(tail.total(), 30_200);
    }
}
