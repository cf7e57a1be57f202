//! What must not leave the program: values that are known to be secret, and credentials in URLs.
//!
//! One [`Redactor`] is made for a run from everything that is secret in it ([`Secrets`]) and applied where things leave:
//! to events before anybody sees them (`progress::Redaction`), to what `ui` prints, to files. Pure functions on text;
//! docs/design/security.md says what is recognized and what is not.

mod forms;
mod names;
mod urls;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Input, MatchKind};

pub use names::names_a_secret;
pub use urls::{address, urls};

/// Stands where something was left out.
pub const REDACTED: &str = "***";

/// Shorter values are parts of words that occur anywhere: leaving them out would garble, not protect. They are hidden
/// where they are all there is of an argument.
const SHORTEST: usize = 4;
/// Shorter values are left out only as words of their own.
const SHORTEST_ANYWHERE: usize = 6;
/// Words that are common in configurations: these are not secrets.
const COMMON: [&str; 5] = ["true", "false", "none", "null", "default"];

/// What is secret in a run.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    values: BTreeSet<Vec<u8>>,
}

impl Secrets {
    /// The value of a secret: as a whole, each of its lines, and what they assign to a telling name.
    pub fn add(&mut self, value: &[u8]) {
        self.values.insert(value.trim_ascii().to_owned());
        for line in value.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
            self.values.insert(line.to_owned());
            if let Some(assigned) = std::str::from_utf8(line).ok().and_then(forms::assigned) {
                self.values.insert(assigned.as_bytes().to_owned());
            }
        }
    }

    /// A build argument: its value, if it has a telling name, and passwords in URLs.
    pub fn add_argument(&mut self, name: &str, value: &str) {
        if is_secret(name, value) {
            self.add(value.as_bytes());
        }
        self.add_urls(value);
    }

    /// Passwords of URLs in `text`: without their URL they are as secret.
    pub fn add_urls(&mut self, text: &str) {
        self.values.extend(urls::passwords(text).map(|password| password.as_bytes().to_owned()));
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} redacted)", self.values.len())
    }
}

fn is_secret(name: &str, value: &str) -> bool {
    // Whether there is authentication is not a secret.
    let flag = ["", "true", "false", "0", "1"].contains(&value.to_ascii_lowercase().as_str());
    !flag && names_a_secret(name)
}

/// Leaves out what must not be written down. Clones share what they know.
#[derive(Clone, Default)]
pub struct Redactor(Arc<Secret>);

#[derive(Default)]
struct Secret {
    /// Left out wherever they stand.
    anywhere: Option<AhoCorasick>,
    /// Left out as words of their own.
    words: Option<AhoCorasick>,
    /// Every value as it is: arguments that are one of them are hidden, however short.
    values: BTreeSet<Vec<u8>>,
    /// Bytes of the longest.
    reach: usize,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} redacted)", self.0.values.len())
    }
}

impl Redactor {
    /// Leaves out these secrets, in the forms in which a log shows them, and credentials in URLs.
    pub fn new(secrets: &Secrets) -> Self {
        let known = |value: &&Vec<u8>| {
            value.len() >= SHORTEST
                && !COMMON.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes()))
        };
        let (long, short): (Vec<&Vec<u8>>, Vec<&Vec<u8>>) =
            secrets.values.iter().filter(known).partition(|value| value.len() >= SHORTEST_ANYWHERE);
        let anywhere = forms::all(&long);
        let reach = anywhere.iter().map(Vec::len).max().unwrap_or_default();
        let values = secrets.values.iter().filter(|value| !value.is_empty()).cloned().collect();
        let words: BTreeSet<Vec<u8>> = short.into_iter().cloned().collect();
        Self(Arc::new(Secret {
            anywhere: matcher(&anywhere),
            words: matcher(&words),
            values,
            reach,
        }))
    }

    /// Bytes of the longest form of a secret: one that begins within as many bytes of an end may go on after it.
    pub fn reach(&self) -> usize {
        self.0.reach
    }

    /// `text` with [`REDACTED`] for what is left out.
    pub fn text(&self, text: &str) -> String {
        match self.values_out(text.as_bytes()) {
            Cow::Borrowed(_) => urls(text),
            Cow::Owned(bytes) => urls(&String::from_utf8_lossy(&bytes)),
        }
    }

    /// The same for output of steps, which may be anything.
    pub fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let bytes = self.values_out(bytes);
        match std::str::from_utf8(&bytes) {
            Ok(text) if !text.contains("://") => bytes.into_owned(),
            Ok(text) => urls(text).into_bytes(),
            // URLs are looked for in what is text.
            Err(_) => {
                let text = |chunk: std::str::Utf8Chunk<'_>| {
                    [urls(chunk.valid()).as_bytes(), chunk.invalid()].concat()
                };
                bytes.utf8_chunks().flat_map(text).collect()
            }
        }
    }

    /// The value of the build argument `name` as it may be shown.
    pub fn argument(&self, name: &str, value: &str) -> String {
        if is_secret(name, value) || self.0.values.contains(value.trim().as_bytes()) {
            return REDACTED.to_owned();
        }
        self.text(value)
    }

    /// Without known values.
    fn values_out<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let mut out: Option<Vec<u8>> = None;
        let mut done = 0;
        for (start, end) in self.places(bytes) {
            let out = out.get_or_insert_with(|| Vec::with_capacity(bytes.len()));
            out.extend_from_slice(&bytes[done..start]);
            out.extend_from_slice(REDACTED.as_bytes());
            done = end;
        }
        match out {
            None => Cow::Borrowed(bytes),
            Some(mut out) => {
                out.extend_from_slice(&bytes[done..]);
                Cow::Owned(out)
            }
        }
    }

    /// The ranges of values, in order and apart: one that touches the one before is part of it.
    fn places(&self, bytes: &[u8]) -> Vec<(usize, usize)> {
        let mut places: Vec<(usize, usize)> = Vec::new();
        if let Some(matcher) = &self.0.anywhere {
            places.extend(matcher.find_iter(bytes).map(|found| (found.start(), found.end())));
        }
        if let Some(matcher) = &self.0.words {
            let in_word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
            let mut from = 0;
            while let Some(found) = matcher.find(Input::new(bytes).range(from..)) {
                let before = found.start().checked_sub(1).and_then(|before| bytes.get(before));
                if in_word(before) || in_word(bytes.get(found.end())) {
                    from = found.start() + 1;
                } else {
                    places.push((found.start(), found.end()));
                    from = found.end();
                }
            }
        }
        places.sort_unstable();
        let mut merged: Vec<(usize, usize)> = Vec::with_capacity(places.len());
        for (start, end) in places {
            match merged.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        merged
    }
}

fn matcher(patterns: &BTreeSet<Vec<u8>>) -> Option<AhoCorasick> {
    if patterns.is_empty() {
        return None;
    }
    AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        // The smallest: what is secret may be a long file.
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .build(patterns)
        // It fails only where there are more patterns than its numbers can count: values are bounded.
        .ok()
}

#[cfg(test)]
mod tests;
