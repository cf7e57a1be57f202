//! One instruction: keyword, flags, and what follows.

use std::ops::Range;

use super::Word;
use super::lines::{Char, Logical};
use super::shell::{self, ShellCommand};

const FLAGGED: [&str; 5] = ["ADD", "COPY", "FROM", "HEALTHCHECK", "RUN"];

/// An instruction.
#[derive(Debug, Clone, Default)]
pub struct Instruction {
    /// In upper case; that of the inner one behind ONBUILD.
    pub keyword: String,
    /// Whether it runs in builds that stand on this image, and not here.
    pub is_onbuild: bool,
    /// Its stage; `None` before the first FROM.
    pub stage: Option<usize>,
    /// Its first line, from 1.
    pub line: usize,
    /// Its last line.
    pub last_line: usize,
    /// Where it stands in the text.
    pub span: Range<usize>,
    /// What it says in one line, here documents left out.
    pub text: String,
    /// `--name=value`, as words.
    pub flags: Vec<Word>,
    /// What follows.
    pub body: Body,
}

/// What follows keyword and flags.
#[derive(Debug, Clone)]
pub enum Body {
    /// Words, as they are written or as a JSON list.
    Words(Vec<Word>),
    /// The commands of a RUN.
    Script(Vec<ShellCommand>),
}

impl Default for Body {
    fn default() -> Self {
        Self::Words(Vec::new())
    }
}

impl Instruction {
    pub(super) fn read(
        text: &str,
        line: &Logical,
        escape: char,
        with_commands: bool,
    ) -> Option<Self> {
        let mut rest = line.chars.as_slice();
        let mut keyword = word_of(&mut rest, escape)?;
        let is_onbuild = keyword.value.eq_ignore_ascii_case("ONBUILD");
        if is_onbuild {
            keyword = word_of(&mut rest, escape)?;
        }
        let start = line.chars.first()?.0;
        let keyword = keyword.value.to_ascii_uppercase();
        let mut flags = Vec::new();
        if FLAGGED.contains(&keyword.as_str()) {
            loop {
                let before = rest;
                match word_of(&mut rest, escape) {
                    Some(word) if word.value.starts_with("--") => flags.push(word),
                    _ => {
                        rest = trimmed(before);
                        break;
                    }
                }
            }
        }
        let list = json_list(text, rest);
        let body = match keyword.as_str() {
            "RUN" if !with_commands => Body::default(),
            "RUN" => Body::Script(match list {
                Some(words) => exec(words),
                None => script(text, rest, &line.documents),
            }),
            _ => Body::Words(list.unwrap_or_else(|| words(rest, escape))),
        };
        let span = start..line.span.end;
        let text = line.chars.iter().map(|(_, char)| char).collect();
        Some(Self { keyword, is_onbuild, span, text, flags, body, ..Self::default() })
    }

    /// Values of the flag `--name=`, and where they stand.
    pub fn flag<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, &'a Word)> {
        self.flags.iter().filter_map(move |word| {
            let value = word.value.strip_prefix("--")?.strip_prefix(name)?.strip_prefix('=')?;
            Some((value, word))
        })
    }

    /// What is no command.
    pub fn words(&self) -> &[Word] {
        match &self.body {
            Body::Words(words) => words,
            Body::Script(_) => &[],
        }
    }

    /// The commands of a RUN.
    pub fn commands(&self) -> &[ShellCommand] {
        match &self.body {
            Body::Words(_) => &[],
            Body::Script(commands) => commands,
        }
    }

    /// Names and values that an ARG or ENV sets; an ARG without a default sets none.
    pub fn settings(&self) -> Vec<(String, Option<String>, &Word)> {
        let words = self.words();
        match self.keyword.as_str() {
            "ARG" => {
                let setting = |word: &'_ Word| match word.value.split_once('=') {
                    Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                    None => (word.value.clone(), None),
                };
                words.iter().map(|word| (setting(word).0, setting(word).1, word)).collect()
            }
            // `ENV NAME some value`, the old form.
            "ENV" if words.first().is_some_and(|word| !word.value.contains('=')) => {
                let value: Vec<&str> = words[1..].iter().map(|word| word.value.as_str()).collect();
                vec![(words[0].value.clone(), Some(value.join(" ")), &words[0])]
            }
            "ENV" => {
                let setting = |word: &'_ Word| {
                    word.value
                        .split_once('=')
                        .map(|(name, value)| (name.to_owned(), value.to_owned()))
                };
                let all = words.iter().filter_map(|word| Some((setting(word)?, word)));
                all.map(|((name, value), word)| (name, Some(value), word)).collect()
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn definitions(&self) -> Vec<(String, String)> {
        let all = self.settings().into_iter().filter(|_| !self.is_onbuild);
        all.filter_map(|(name, value, _)| Some((name, value?))).collect()
    }
}

fn trimmed(chars: &[Char]) -> &[Char] {
    let blank = chars.iter().take_while(|(_, char)| char.is_whitespace()).count();
    &chars[blank..]
}

/// Takes a word off the front: up to a blank that stands in no quotes.
fn word_of(rest: &mut &[Char], escape: char) -> Option<Word> {
    let chars = trimmed(rest);
    let mut kept = Vec::new();
    let mut quote = None;
    let mut at = 0;
    while let Some((_, char)) = chars.get(at) {
        match (quote, *char) {
            (None, char) if char.is_whitespace() => break,
            (None, '\'' | '"') => quote = Some(*char),
            (Some(open), char) if open == char => quote = None,
            (None | Some('"'), char) if char == escape && at + 1 < chars.len() => {
                at += 1;
                kept.push(chars[at]);
            }
            _ => kept.push(chars[at]),
        }
        at += 1;
    }
    *rest = &chars[at..];
    let (first, (last, char)) = (chars.first()?.0, chars[at.checked_sub(1)?]);
    Some(Word::new(kept, first..last + char.len_utf8()))
}

fn words(mut rest: &[Char], escape: char) -> Vec<Word> {
    std::iter::from_fn(|| word_of(&mut rest, escape)).collect()
}

/// The words of a JSON list. What is no list of strings is text.
fn json_list(text: &str, rest: &[Char]) -> Option<Vec<Word>> {
    let rest = trimmed(rest);
    if rest.first()?.1 != '[' {
        return None;
    }
    let joined: String = rest.iter().map(|(_, char)| char).collect();
    let values: Vec<String> = serde_json::from_str(joined.trim()).ok()?;
    let mut at = 0;
    let mut next = |value: String| {
        let open = at + rest[at..].iter().position(|(_, char)| *char == '"')?;
        let mut close = open + 1;
        while rest.get(close)?.1 != '"' {
            close += if rest[close].1 == '\\' { 2 } else { 1 };
        }
        at = close + 1;
        let span = rest[open].0..rest[close].0 + 1;
        let inside = &rest[open + 1..close];
        let chars = if inside.iter().any(|(_, char)| *char == '\\') {
            // Escapes: what stands where can no longer be told.
            value.chars().map(|char| (span.start, char)).collect()
        } else {
            inside.to_vec()
        };
        debug_assert!(text.get(span.clone()).is_some());
        Some(Word::new(chars, span))
    };
    values.into_iter().map(&mut next).collect()
}

fn exec(words: Vec<Word>) -> Vec<ShellCommand> {
    let is_shell = words.first().is_some_and(|it| it.value.ends_with("sh"));
    match words.iter().position(|word| word.value.starts_with('-') && word.value.ends_with('c')) {
        Some(at) if is_shell && at + 1 < words.len() => shell::commands(&words[at + 1].chars, true),
        _ => vec![ShellCommand { words, ..ShellCommand::default() }],
    }
}

/// What a shell runs: the line, or the here document that is handed to a shell.
fn script(text: &str, rest: &[Char], documents: &[Range<usize>]) -> Vec<ShellCommand> {
    let mut commands = shell::commands(rest, false);
    let is_document =
        |word: &Word| word.value.trim_start_matches(char::is_numeric).starts_with("<<");
    let only = |command: &ShellCommand| command.words.iter().all(is_document);
    let is_shell = |command: &ShellCommand| {
        let words: Vec<&Word> = command.words.iter().filter(|word| !is_document(word)).collect();
        words.first().is_some_and(|word| {
            matches!(word.value.rsplit('/').next(), Some("sh" | "bash" | "ash" | "dash"))
        }) && words.iter().skip(1).all(|word| word.value.starts_with('-'))
    };
    let runs = commands.len() == 1 && (only(&commands[0]) || is_shell(&commands[0]));
    let Some(document) = documents.first().filter(|_| runs) else {
        return commands;
    };
    let body = &text[document.clone()];
    // Another program's script.
    if body
        .strip_prefix("#!")
        .is_some_and(|line| !line.lines().next().unwrap_or_default().trim_end().ends_with("sh"))
    {
        return Vec::new();
    }
    commands.clear();
    commands.extend(shell::commands(&document_chars(body, document.start), true));
    commands
}

/// The characters of a script whose lines may go on below.
fn document_chars(body: &str, start: usize) -> Vec<Char> {
    let mut chars = Vec::new();
    let mut all = body.char_indices().peekable();
    while let Some((at, char)) = all.next() {
        if char == '\\' {
            let rest = &body[at + 1..];
            let line_end =
                if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with('\n')) };
            if line_end > 0 {
                all.nth(line_end - 1);
                continue;
            }
        }
        if char != '\r' {
            chars.push((start + at, char));
        }
    }
    chars
}
