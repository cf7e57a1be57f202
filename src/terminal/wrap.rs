//! Sentences in lines of a terminal: broken between words, never inside of what somebody may copy.

use super::UNLIMITED;
use crate::terminal::format;

/// Text in lines of at most `columns`; `indent` spaces before all but the first. What stands between backticks stays
/// in one piece: copied from two lines it would be two commands. A word that is longer than a line has one of its
/// own, which the terminal folds.
pub fn words(text: &str, columns: usize, indent: usize) -> String {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in pieces(text) {
        let width = width(word);
        let line = lines.last_mut().expect("there is a first line");
        if line.is_empty() {
            line.push_str(word);
            used += width;
        } else if used + 1 + width <= columns {
            line.push(' ');
            line.push_str(word);
            used += 1 + width;
        } else {
            lines.push(word.to_owned());
            used = indent + width;
        }
    }
    lines.join(&format!("\n{}", " ".repeat(indent)))
}

/// Lines of a text that are longer than `columns` broken as [`words`] are; what begins with spaces goes on below them.
pub fn lines(text: &str, columns: usize) -> String {
    let line = |line: &str| {
        if width(line) <= columns {
            return line.to_owned();
        }
        let rest = line.trim_start_matches(' ');
        let lead = &line[..line.len() - rest.len()];
        let room = columns.saturating_sub(lead.len());
        format!("{lead}{}", words(rest, room, 2).replace('\n', &format!("\n{lead}")))
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// A message that is safe to show, with its lines broken between words: `lead` before the first of them, and two columns
/// more before those that continue one. Lines of an excerpt are cut at the edge: folded, the carets would not stand below
/// what they mean. Other lines that begin with a space, and what is not for a terminal, stay.
pub fn message(text: &str, lead: &str, columns: usize) -> String {
    let lines = text.split('\n').enumerate().map(|(number, line)| {
        let lead = if number == 0 { lead } else { "" };
        match excerpted(line) {
            _ if columns == UNLIMITED => format!("{lead}{line}"),
            Some(source) if source.chars().all(|char| matches!(char, ' ' | '^')) => {
                line.chars().take(columns).collect::<String>().trim_end().to_owned()
            }
            Some(_) => format::cut(line, columns),
            None if line.starts_with(' ') => line.to_owned(),
            None => {
                let room = columns.saturating_sub(lead.len());
                let wrapped = words(line, room, 2);
                format!("{lead}{}", wrapped.replace('\n', &format!("\n{lead}")))
            }
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What stands right of the gutter, if this is a line of an excerpt: `12 | RUN make`.
fn excerpted(line: &str) -> Option<&str> {
    line.trim_start()
        .trim_start_matches(|char: char| char.is_ascii_digit())
        .trim_start()
        .strip_prefix('|')
}

/// Columns of a word that may have colours.
fn width(word: &str) -> usize {
    match word.contains('\x1b') {
        true => format::width(&anstream::adapter::strip_str(word).to_string()),
        false => format::width(word),
    }
}

/// The words of a text; whatever stands between two backticks belongs to one, and a figure to what it counts.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let mut end = end_of_word(rest);
        let counts = rest[..end].bytes().all(|it| it.is_ascii_digit() || it == b'.');
        if let Some(next) = rest[end..].strip_prefix(' ')
            && counts
            && !next.starts_with(char::is_whitespace)
        {
            end += 1 + end_of_word(next);
        }
        pieces.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    pieces
}

/// Where the first word of a text ends.
fn end_of_word(text: &str) -> usize {
    let mut from = 0;
    loop {
        let rest = &text[from..];
        let Some(space) = rest.find(char::is_whitespace) else { return text.len() };
        let quoted = rest[..space].find('`').and_then(|open| {
            let close = rest[open + 1..].find('`')?;
            Some(from + open + 1 + close + 1)
        });
        match quoted {
            Some(after) => from = after,
            None => return from + space,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        assert_eq!(words("note: one two three", 11, 2), "note: one\n  two three");
        assert_eq!(words("unbreakable-word x", 5, 2), "unbreakable-word\n  x");
        assert_eq!(words("日本 語の 名前", 9, 0), "日本 語の\n名前");
        assert_eq!(words("", 9, 0), "");
        assert_eq!(words("a  b\nc", usize::MAX, 2), "a b c");
    }

    #[test]
    fn only_lines_that_are_too_long_are_broken() {
        let text = "  a  b\n  see the file there\nnext:  x";
        assert_eq!(lines(text, 12), "  a  b\n  see the\n    file\n    there\nnext:  x");
        assert_eq!(lines(text, usize::MAX), text);
    }

    #[test]
    fn what_may_be_copied_stays_in_one_piece() {
        let text = "no such service: run `docker compose ls` (or `ls`), then build";
        let wrapped = "no such service: run\n  `docker compose ls` (or\n  `ls`), then build";
        assert_eq!(words(text, 25, 2), wrapped);
        // Longer than a line: the terminal folds it, and it is copied as one.
        let wrapped = "run\n  `docker compose ls --all`,\n  then build";
        assert_eq!(words("run `docker compose ls --all`, then build", 20, 2), wrapped);
        assert_eq!(words("a `b c", 4, 0), "a `b\nc");
        assert_eq!(words("it's `a b``c d` e", 12, 0), "it's\n`a b``c d` e");
    }

    #[test]
    fn figures_stay_with_what_they_count() {
        assert_eq!(
            words("it takes 40.0 MB in 10 files", 13, 2),
            "it takes\n  40.0 MB in\n  10 files"
        );
        assert_eq!(words("a 3  b 7", 4, 0), "a 3\nb 7");
    }

    #[test]
    fn colours_take_no_columns() {
        assert_eq!(words("\x1b[31mred:\x1b[0m a b", 8, 0), "\x1b[31mred:\x1b[0m a b");
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost_and_only_words_are_longer(
            text in "[ab日` ]{0,60}", columns in 1_usize..20, indent in 0_usize..4,
        ) {
            let wrapped = words(&text, columns, indent);
            let all = |text: &str| text.chars().filter(|char| !char.is_whitespace()).collect::<String>();
            proptest::prop_assert_eq!(all(&text), all(&wrapped));
            for line in wrapped.split('\n') {
                let line = line.trim_start();
                let fits = indent + format::width(line) <= columns || format::width(line) <= columns;
                proptest::prop_assert!(fits || pieces(line).len() == 1, "{line:?}");
            }
        }
    }
}
