//! Docker's path patterns: `**`, `!`, order, and a match of a parent directory counts.
//!
//! The language is moby/patternmatcher's, which the engine and buildx use for `.dockerignore` and
//! for the include patterns of a transfer. The last pattern that decides wins; `!` takes back.
//! Inside brackets and after a backslash `filepath.Match` is the rule here; Docker's detour over
//! regular expressions reads `*`, `?` and POSIX classes in brackets, and `\b` or `\d`, differently.

use std::collections::HashMap;

use crate::build_context::glob::{self, Class, PatternError, next_char};

/// Patterns in order, compiled once.
#[derive(Debug, Clone)]
pub struct PatternMatcher {
    patterns: Vec<Pattern>,
    has_exceptions: bool,
    /// Places of the patterns that only name a path, by that path: a COPY may name a hundred thousand of them.
    exact: HashMap<Vec<u8>, Vec<usize>>,
    /// Places of all others.
    others: Vec<usize>,
}

/// One compiled pattern.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// Cleaned, without the `!`.
    text: Vec<u8>,
    exception: bool,
    kind: Kind,
}

/// Most patterns of real ignore files need no more than a comparison.
#[derive(Debug, Clone)]
enum Kind {
    Exact,
    /// `text` ends with `**`.
    Prefix,
    /// `text` begins with `**`.
    Suffix,
    Program(Program),
}

/// What the literal head and tail of a pattern leave over.
#[derive(Debug, Clone)]
struct Program {
    head: Vec<u8>,
    tail: Vec<u8>,
    tokens: Vec<Token>,
    /// The longest literal among the tokens: a path without it cannot match.
    needle: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `?`
    NotSlash,
    /// `*`
    Star,
    /// `**` in front of more: nothing, or anything up to and including a slash. Always followed
    /// by `GapLoop`.
    Gap,
    GapLoop,
    /// `**` at the end.
    Anything,
    Class(Class),
    /// A `^` in the middle: an anchor in Docker's translation, which cannot hold there.
    Never,
}

/// Places of the patterns that matched a directory, in order: what its children inherit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MatchInfo(Vec<usize>);

impl PatternMatcher {
    /// Compiles `patterns`. Blank ones are dropped.
    ///
    /// # Errors
    /// The first malformed pattern.
    pub fn new<P: AsRef<[u8]>>(
        patterns: impl IntoIterator<Item = P>,
    ) -> Result<Self, PatternError> {
        let mut compiled = Vec::new();
        for pattern in patterns {
            let given = trim_space(pattern.as_ref());
            if given.is_empty() {
                continue;
            }
            let cleaned = glob::clean(given);
            let (exception, text) = match cleaned.strip_prefix(b"!") {
                Some(b"") => return Err(PatternError::new(given)),
                Some(rest) => (true, rest.to_vec()),
                None => (false, cleaned),
            };
            if !glob::is_valid(&text) {
                return Err(PatternError::new(given));
            }
            let kind = compile(&text).ok_or_else(|| PatternError::new(given))?;
            compiled.push(Pattern { text, exception, kind });
        }
        let has_exceptions = compiled.iter().any(|pattern| pattern.exception);
        let (mut exact, mut others) = (HashMap::<Vec<u8>, Vec<usize>>::new(), Vec::new());
        for (place, pattern) in compiled.iter().enumerate() {
            match pattern.kind {
                Kind::Exact => exact.entry(pattern.text.clone()).or_default().push(place),
                _ => others.push(place),
            }
        }
        Ok(Self { patterns: compiled, has_exceptions, exact, others })
    }

    /// The patterns in order.
    pub fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// Whether a pattern begins with `!`.
    pub fn has_exceptions(&self) -> bool {
        self.has_exceptions
    }

    /// Whether `path` or one of its parent directories matches, exceptions considered.
    pub fn matches(&self, path: &[u8]) -> bool {
        self.decide(path, None, &mut Vec::new())
    }

    /// As [`Self::matches`] while walking: `parent` is what this wrote into `info` for the
    /// directory above, `None` at the top.
    pub fn matches_below(
        &self,
        path: &[u8],
        parent: Option<&MatchInfo>,
        info: &mut MatchInfo,
    ) -> bool {
        self.decide(path, parent, &mut info.0)
    }

    /// Writes the places of the patterns that match into `hits`. Those that only name a path are looked up.
    fn decide(&self, path: &[u8], parent: Option<&MatchInfo>, hits: &mut Vec<usize>) -> bool {
        hits.clear();
        let mut exact = Vec::new();
        if !self.exact.is_empty() {
            let own = self.exact.get(path).into_iter();
            let above = parents(path).filter(|_| parent.is_none());
            exact.extend(own.chain(above.filter_map(|above| self.exact.get(above))).flatten());
            exact.sort_unstable();
        }
        let inherited = parent.map_or(&[][..], |parent| &parent.0);
        let mut queues = [inherited, &exact, &self.others].map(|queue| queue.iter().peekable());
        let mut matched = false;
        loop {
            let heads = queues.each_mut().map(|queue| queue.peek().copied().copied());
            let Some(place) = heads.into_iter().flatten().min() else { return matched };
            let [is_inherited, is_exact, is_other] = heads.map(|head| head == Some(place));
            for (queue, is_head) in queues.iter_mut().zip([is_inherited, is_exact, is_other]) {
                if is_head {
                    queue.next();
                }
            }
            let pattern = &self.patterns[place];
            // A pattern that could not change the answer is not recorded either: that is
            // Docker's rule, and children inherit it.
            let hit = is_inherited
                || (pattern.exception == matched
                    && (is_exact
                        || match parent {
                            Some(_) => pattern.matches_path(path),
                            None => pattern.matches_path_or_parent(path),
                        }));
            if hit {
                hits.push(place);
                matched = !pattern.exception;
                // Without exceptions nothing takes it back, and one is as good to inherit as all.
                if !self.has_exceptions {
                    return true;
                }
            }
        }
    }
}

/// The directories that `path` lies in.
fn parents(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| &path[..end])
}

impl Pattern {
    /// The cleaned pattern, without a leading `!`.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// Whether the pattern began with `!`.
    pub fn is_exception(&self) -> bool {
        self.exception
    }

    fn matches_path_or_parent(&self, path: &[u8]) -> bool {
        self.matches_path(path) || parents(path).any(|parent| self.matches_path(parent))
    }

    fn matches_path(&self, path: &[u8]) -> bool {
        match &self.kind {
            Kind::Exact => path == self.text,
            Kind::Prefix => path.starts_with(&self.text[..self.text.len() - 2]),
            Kind::Suffix => {
                let tail = &self.text[2..];
                path.ends_with(tail) || tail.strip_prefix(b"/") == Some(path)
            }
            Kind::Program(program) => program.matches(path),
        }
    }
}

impl Program {
    fn matches(&self, path: &[u8]) -> bool {
        let Some(middle) = path
            .strip_prefix(self.head.as_slice())
            .and_then(|rest| rest.strip_suffix(self.tail.as_slice()))
        else {
            return false;
        };
        contains(middle, &self.needle) && self.run(middle)
    }

    /// Follows all possible positions at once, so that no pattern takes exponential time.
    fn run(&self, mut text: &[u8]) -> bool {
        let mut now = States::new(self.tokens.len());
        let mut next = States::new(self.tokens.len());
        self.enter(&mut now, 0);
        while !text.is_empty() {
            let (c, width) = next_char(text);
            text = &text[width..];
            next.clear();
            for &at in &now.list {
                let Some(token) = self.tokens.get(at) else { continue };
                match token {
                    Token::Char(want) if *want == c => self.enter(&mut next, at + 1),
                    Token::NotSlash if c != '/' => self.enter(&mut next, at + 1),
                    Token::Class(class) if class.matches(c) => self.enter(&mut next, at + 1),
                    Token::Star if c != '/' => self.enter(&mut next, at),
                    Token::Anything if c != '\n' => self.enter(&mut next, at),
                    Token::GapLoop => {
                        if c != '\n' {
                            self.enter(&mut next, at);
                        }
                        if c == '/' {
                            self.enter(&mut next, at + 1);
                        }
                    }
                    _ => {}
                }
            }
            std::mem::swap(&mut now, &mut next);
            if now.list.is_empty() {
                return false;
            }
        }
        now.contains(self.tokens.len())
    }

    /// Adds `at` and whatever can be reached from it without a character.
    fn enter(&self, set: &mut States, mut at: usize) {
        loop {
            if !set.insert(at) {
                return;
            }
            match self.tokens.get(at) {
                Some(Token::Star | Token::Anything) => at += 1,
                Some(Token::Gap) => {
                    set.insert(at + 1);
                    at += 2;
                }
                _ => return,
            }
        }
    }
}

/// Places in a program, each once: looking one up takes the same time however many there are.
struct States {
    list: Vec<usize>,
    /// By place: the round in which it was inserted last.
    inserted: Vec<usize>,
    round: usize,
}

impl States {
    fn new(tokens: usize) -> Self {
        Self { list: Vec::with_capacity(8), inserted: vec![0; tokens + 1], round: 1 }
    }

    fn clear(&mut self) {
        self.list.clear();
        self.round += 1;
    }

    fn contains(&self, at: usize) -> bool {
        self.inserted.get(at) == Some(&self.round)
    }

    /// Whether it was not in there.
    fn insert(&mut self, at: usize) -> bool {
        let Some(round) = self.inserted.get_mut(at) else { return false };
        let new = *round != self.round;
        if new {
            *round = self.round;
            self.list.push(at);
        }
        new
    }
}

/// Chooses how to match `text`; `None` for a class Docker rejects.
fn compile(text: &[u8]) -> Option<Kind> {
    let mut tokens: Vec<Token> = Vec::new();
    // What the pattern is so far: `Exact` until something special comes, then Docker's order of
    // precedence: a leading `**` makes a suffix, anything after it a program.
    let mut kind = Some(Kind::Exact);
    let mut rest = text;
    let mut first = true;
    while let Some(&byte) = rest.first() {
        match byte {
            b'*' if rest.get(1) == Some(&b'*') => {
                rest = &rest[2..];
                rest = rest.strip_prefix(b"/").unwrap_or(rest);
                if rest.is_empty() {
                    kind = matches!(kind, Some(Kind::Exact)).then_some(Kind::Prefix);
                    tokens.push(Token::Anything);
                } else {
                    // Two in a row are one: each is nothing, or ends with a slash.
                    if tokens.last() != Some(&Token::GapLoop) {
                        tokens.extend([Token::Gap, Token::GapLoop]);
                    }
                    kind = None;
                }
                if first {
                    kind = Some(Kind::Suffix);
                }
            }
            b'*' | b'?' => {
                tokens.push(if byte == b'*' { Token::Star } else { Token::NotSlash });
                rest = &rest[1..];
                kind = None;
            }
            b'[' => {
                let (class, after) = glob::parse_class(&rest[1..])?;
                if class.has_reversed_range() {
                    return None;
                }
                tokens.push(Token::Class(class));
                rest = after;
                kind = None;
            }
            b']' => {
                tokens.push(Token::Char(']'));
                rest = &rest[1..];
                kind = None;
            }
            b'^' => {
                if !first {
                    tokens.push(Token::Never);
                }
                rest = &rest[1..];
            }
            _ => {
                if byte == b'\\' && rest.len() > 1 {
                    rest = &rest[1..];
                    kind = None;
                }
                let (c, width) = next_char(rest);
                tokens.push(Token::Char(c));
                rest = &rest[width..];
            }
        }
        first = false;
    }
    Some(kind.unwrap_or_else(|| Kind::Program(program(tokens))))
}

/// Takes the literal head and tail off: they reject most paths by one comparison.
fn program(mut tokens: Vec<Token>) -> Program {
    let literal = |token: &Token| match token {
        Token::Char(c) if *c != char::REPLACEMENT_CHARACTER => Some(*c),
        _ => None,
    };
    let tail_len = tokens.iter().rev().map_while(literal).count();
    let tail = tokens.split_off(tokens.len() - tail_len);
    let head_len = tokens.iter().map_while(literal).count();
    let rest = tokens.split_off(head_len);
    let text = |tokens: &[Token]| tokens.iter().filter_map(literal).collect::<String>().into();
    let literals = rest.split(|token| literal(token).is_none());
    let needle = literals.max_by_key(|run| run.len()).map(text).unwrap_or_default();
    Program { head: text(&tokens), tail: text(&tail), tokens: rest, needle }
}

fn contains(text: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else { return true };
    text.iter().enumerate().any(|(i, b)| b == first && text[i + 1..].starts_with(rest))
}

/// Without the white space around it; what is not UTF-8 counts as text.
pub(crate) fn trim_space(bytes: &[u8]) -> &[u8] {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.trim().as_bytes(),
        Err(_) => bytes.trim_ascii(),
    }
}

#[cfg(test)]
mod tests;
