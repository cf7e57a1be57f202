//! A few lines of a file with a caret under what is meant.

use std::fmt::Write as _;

use crate::counted::counted;
use crate::files::read::without_mark;

/// Lines shown before and after the ones that are meant.
const CONTEXT: usize = 2;
/// Of a long instruction only this many lines are shown.
const MOST: usize = 8;
/// Longer lines are cut, in characters.
const WIDTH: usize = 160;

/// A place in a file; lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// First line.
    pub line_start: usize,
    /// Last line, at least `line_start`.
    pub line_end: usize,
    /// Where the caret goes on the first line, if one word is meant.
    pub column: Option<usize>,
}

/// Shows `place` of `source` with its neighbours. `file` is the name to show. The result has no
/// trailing newline, and is empty when the place is not in the file.
pub fn excerpt(source: &str, file: &str, place: Place) -> String {
    let lines: Vec<&str> = without_mark(source).lines().collect();
    let start = place.line_start;
    if start == 0 || start > lines.len() {
        return String::new();
    }
    let end = place.line_end.clamp(start, lines.len());
    let shown_end = end.min(start + MOST - 1);
    let first = start.saturating_sub(CONTEXT).max(1);
    let last = if shown_end < end { shown_end } else { (end + CONTEXT).min(lines.len()) };
    let gutter = last.to_string().len();

    let mut text = format!("{:gutter$}--> {file}:{start}", "");
    if let Some(column) = place.column {
        let _ = write!(text, ":{column}");
    }
    let _ = write!(text, "\n{:gutter$} |", "");
    for number in first..=last {
        let line = shown(lines[number - 1]);
        let _ = write!(text, "\n{number:gutter$} | {line}");
        text.truncate(text.trim_end().len());
        if number == start {
            let (from, length) = underline(lines[number - 1], place.column);
            let _ = write!(text, "\n{:gutter$} | {:from$}{}", "", "", "^".repeat(length));
        }
    }
    if shown_end < end {
        let _ = write!(text, "\n{:gutter$} | ... {}", "", counted(end - shown_end, "more line"));
    }
    text
}

/// The line with tabs as four blanks, without control characters, cut at [`WIDTH`].
fn shown(line: &str) -> String {
    let line = line.replace('\t', "    ");
    let mut chars = line.chars().filter(|c| !c.is_control());
    let mut text: String = chars.by_ref().take(WIDTH).collect();
    if chars.next().is_some() {
        text.push('…');
    }
    text
}

/// Blanks before the carets, and how many carets: the word at `column`, or else the whole line.
fn underline(line: &str, column: Option<usize>) -> (usize, usize) {
    let width = |text: &str| shown(text).chars().filter(|c| *c != '…').count();
    let start = match column {
        Some(column) => {
            line.char_indices().nth(column.saturating_sub(1)).map_or(line.len(), |(at, _)| at)
        }
        None => line.len() - line.trim_start().len(),
    };
    let rest = &line[start..];
    let meant = match column {
        Some(_) => rest.split(char::is_whitespace).next().unwrap_or(rest),
        None => rest.trim_end(),
    };
    let from = width(&line[..start]);
    (from, width(meant).clamp(1, WIDTH.saturating_sub(from).max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "FROM base\nWORKDIR /w\n\nCOPY presnt.txt /x\nRUN a && \\\n    b\n";

    fn place(line_start: usize, line_end: usize, column: Option<usize>) -> Place {
        Place { line_start, line_end, column }
    }

    #[test]
    fn a_word_gets_carets_under_it() {
        insta::assert_snapshot!(excerpt(SOURCE, "Dockerfile", place(4, 4, Some(6))), @r"
         --> Dockerfile:4:6
          |
        2 | WORKDIR /w
        3 |
        4 | COPY presnt.txt /x
          |      ^^^^^^^^^^
        5 | RUN a && \
        6 |     b
        ");
    }

    #[test]
    fn an_instruction_is_underlined_on_its_first_line() {
        insta::assert_snapshot!(excerpt(SOURCE, "docker/Dockerfile.api", place(5, 6, None)), @r"
         --> docker/Dockerfile.api:5
          |
        3 |
        4 | COPY presnt.txt /x
        5 | RUN a && \
          | ^^^^^^^^^^
        6 |     b
        ");
    }

    #[test]
    fn a_long_instruction_is_cut() {
        let source = format!("FROM x\nRUN a{}\n", " && \\\n  b".repeat(20));
        insta::assert_snapshot!(excerpt(&source, "Dockerfile", place(2, 22, None)), @r"
         --> Dockerfile:2
          |
        1 | FROM x
        2 | RUN a && \
          | ^^^^^^^^^^
        3 |   b && \
        4 |   b && \
        5 |   b && \
        6 |   b && \
        7 |   b && \
        8 |   b && \
        9 |   b && \
          | ... 13 more lines
        ");
    }

    #[test]
    fn tabs_and_terminal_controls_do_not_shift_the_caret() {
        insta::assert_snapshot!(excerpt("RUN\tx \u{1b}[31my", "D", place(1, 1, Some(5))), @r"
         --> D:1:5
          |
        1 | RUN    x [31my
          |        ^
        ");
    }

    #[test]
    fn places_outside_the_file_show_nothing() {
        assert_eq!(excerpt(SOURCE, "Dockerfile", place(0, 0, None)), "");
        assert_eq!(excerpt(SOURCE, "Dockerfile", place(7, 7, None)), "");
        assert!(excerpt(SOURCE, "Dockerfile", place(6, 99, Some(99))).contains("6 |     b"));
        assert_eq!(excerpt("", "Dockerfile", place(1, 1, None)), "");
    }

    proptest::proptest! {
        #[test]
        fn never_panics(source: String, line_start in 0..9_usize, line_end in 0..9_usize, column in 0..40_usize) {
            let column = (column > 0).then_some(column);
            let _ = excerpt(&source, "D", place(line_start, line_end, column));
        }
    }
}
