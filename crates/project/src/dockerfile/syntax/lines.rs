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

/// Names of the here documents that an instruction begins, and whether tabs before them are taken off (BuildKit
/// `parser.heredocsFromLine`).
fn document_names(line: &Logical) -> Vec<(String, bool)> {
    let text: String = line.chars.iter().map(|(_, char)| char).collect();
    if !text.contains("<<") {
        return Vec::new();
    }
    let mut rest = text.as_str();
    let mut keyword = first_word(&mut rest);
    if keyword.eq_ignore_ascii_case("ONBUILD") {
        keyword = first_word(&mut rest);
    }
    if !["RUN", "COPY", "ADD"].iter().any(|known| keyword.eq_ignore_ascii_case(known)) {
        return Vec::new();
    }
    let words: Vec<&str> =
        std::iter::from_fn(|| Some(first_word(&mut rest)).filter(|it| !it.is_empty())).collect();
    let list = words.iter().position(|word| !word.starts_with("--"));
    let is_list = |at: usize| {
        let list = words[at..].join(" ");
        list.starts_with('[') && serde_json::from_str::<Vec<String>>(&list).is_ok()
    };
    if list.is_some_and(is_list) {
        return Vec::new();
    }
    let mut words = words.into_iter();
    let mut names = Vec::new();
    while let Some(word) = words.next() {
        // Blanks may stand in front of the name.
        let is_alone = word.trim_start_matches(|c: char| c.is_ascii_digit()) == "<<";
        let whole = match words.as_slice().first().filter(|_| is_alone) {
            Some(name) => &format!("<<{name}"),
            None => word,
        };
        names.extend(document_name(whole));
    }
    names
}

/// `<<NAME`, `3<<-"NAME"`.
fn document_name(word: &str) -> Option<(String, bool)> {
    let word = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    let (word, has_tabs) = match word.strip_prefix('-') {
        Some(word) => (word, true),
        None => (word, false),
    };
    let (mut name, mut quote) = (String::new(), None);
    let mut chars = word.chars();
    while let Some(char) = chars.next() {
        match (quote, char) {
            (_, '<') => return None,
            (None, '\'' | '"') => quote = Some(char),
            (Some(open), char) if open == char => quote = None,
            (None | Some('"'), '\\') => name.extend(chars.next()),
            (_, char) => name.push(char),
        }
    }
    (!name.is_empty() && quote.is_none()).then_some((name, has_tabs))
}

/// Takes a word off the front: up to a blank that stands in no quotes. It keeps its quotes.
fn first_word<'a>(rest: &mut &'a str) -> &'a str {
    let text = rest.trim_start();
    let mut quote = None;
    let mut chars = text.char_indices();
    let end = loop {
        let Some((at, char)) = chars.next() else { break text.len() };
        match (quote, char) {
            (None, char) if char.is_whitespace() => break at,
            (None, '\'' | '"') => quote = Some(char),
            (Some(open), char) if open == char => quote = None,
            (None | Some('"'), '\\') => _ = chars.next(),
            _ => {}
        }
    };
    *rest = &text[end..];
    &text[..end]
}
