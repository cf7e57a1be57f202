//! The logical lines of a Dockerfile: what BuildKit's parser joins, skips and sets apart (`frontend/dockerfile/parser`).
//!
//! Every character keeps its place in the text, whatever stood in between.

use std::ops::Range;

/// A character, and where it stands in the text.
pub(super) type Char = (usize, char);

/// An instruction as it is joined from its lines.
#[derive(Debug, Default)]
pub(super) struct Logical {
    /// Without the line ends that a continuation hides, and without comments in between.
    pub(super) chars: Vec<Char>,
    /// From the first character up to the end of the last line, here documents included.
    pub(super) span: Range<usize>,
    /// Bodies of its here documents, without the line that ends them.
    pub(super) documents: Vec<Range<usize>>,
}

/// The lines of `text`, which has no byte order mark, and the character that hides the end of a line.
pub(super) fn logical(text: &str) -> (Vec<Logical>, char) {
    let escape = escape(text);
    let mut lines = physical(text).into_iter().peekable();
    let mut all = Vec::new();
    while let Some(line) = lines.next() {
        if is_skipped(&text[line.clone()]) {
            continue;
        }
        let mut one = Logical { span: line.clone(), ..Logical::default() };
        let mut goes_on = one.add(text, line, escape);
        while goes_on {
            let Some(next) = lines.next() else { break };
            if is_skipped(&text[next.clone()]) {
                continue;
            }
            goes_on = one.add(text, next, escape);
        }
        for (name, has_tabs) in document_names(&one) {
            let start = lines.peek().map_or(text.len(), |line| line.start);
            let mut body = start..start;
            for line in lines.by_ref() {
                one.span.end = line.end;
                let end = &text[line.clone()];
                let end = if has_tabs { end.trim_start_matches('\t') } else { end };
                if end == name {
                    break;
                }
                body.end = line.end;
            }
            one.documents.push(body);
        }
        all.push(one);
    }
    (all, escape)
}

/// Lines without what ends them.
fn physical(text: &str) -> Vec<Range<usize>> {
    let mut start = 0;
    let line = |line: &str| {
        let at = start;
        start += line.len();
        at..at + line.trim_end_matches(['\n', '\r']).len()
    };
    text.split_inclusive('\n').map(line).collect()
}

/// Comments and blank lines, which count nowhere, also not between the lines of one instruction.
fn is_skipped(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

/// What the directive `escape` says; directives stand before everything else.
fn escape(text: &str) -> char {
    for line in text.lines() {
        let Some((key, value)) =
            line.trim().strip_prefix('#').and_then(|directive| directive.split_once('='))
        else {
            break;
        };
        match key.trim().to_ascii_lowercase().as_str() {
            "escape" if value.trim() == "`" => return '`',
            "escape" => break,
            "syntax" | "check" => {}
            _ => break,
        }
    }
    '\\'
}

impl Logical {
    /// Adds a line. Returns whether the next one belongs to it, too.
    fn add(&mut self, text: &str, line: Range<usize>, escape: char) -> bool {
        self.span.end = line.end;
        let content = &text[line.clone()];
        let trimmed = content.trim_end_matches([' ', '\t']);
        let hidden = trimmed.strip_suffix(escape).filter(|before| !before.ends_with(escape));
        let kept = hidden.unwrap_or(content);
        // The first line may be indented.
        let skipped = if self.chars.is_empty() { kept.len() - kept.trim_start().len() } else { 0 };
        let chars = kept[skipped..].char_indices();
        self.chars.extend(chars.map(|(at, char)| (line.start + skipped + at, char)));
        hidden.is_some()
    }
}

/// Names of the here documents that an instruction begins, and whether tabs before them are taken off.
fn document_names(line: &Logical) -> Vec<(String, bool)> {
    let text: String = line.chars.iter().map(|(_, char)| char).collect();
    let mut words = text.split_whitespace();
    let mut keyword = words.next().unwrap_or_default();
    if keyword.eq_ignore_ascii_case("ONBUILD") {
        keyword = words.next().unwrap_or_default();
    }
    if !["RUN", "COPY", "ADD"].iter().any(|known| keyword.eq_ignore_ascii_case(known)) {
        return Vec::new();
    }
    let name = |word: &str| {
        let word = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
        let (word, has_tabs) = match word.strip_prefix('-') {
            Some(word) => (word, true),
            None => (word, false),
        };
        let name = word.trim_matches(['"', '\'']);
        let is_name = !name.is_empty() && !name.contains(['<', '"', '\'', '$', '(']);
        is_name.then(|| (name.to_owned(), has_tabs))
    };
    words.filter_map(name).collect()
}
