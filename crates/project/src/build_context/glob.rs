//! Go's path rules: lexical cleaning and single-name matching.
//!
//! Docker's patterns are defined by Go's `filepath.Clean` and `filepath.Match`, so a pattern is
//! valid, and a path equal to another, exactly where those say so.

/// A pattern whose syntax is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("syntax error in pattern \"{pattern}\"")]
pub struct PatternError {
    /// The offending pattern, as given.
    pub pattern: String,
}

impl PatternError {
    pub(crate) fn new(pattern: &[u8]) -> Self {
        Self { pattern: String::from_utf8_lossy(pattern).into_owned() }
    }
}

/// The next character of `bytes` and its width. A byte that is not UTF-8 counts as one U+FFFD, as
/// in Go. `bytes` must not be empty.
pub(crate) fn next_char(bytes: &[u8]) -> (char, usize) {
    let first = bytes[0];
    let width = match first {
        0..=0x7f => return (char::from(first), 1),
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return (char::REPLACEMENT_CHARACTER, 1),
    };
    bytes
        .get(..width)
        .and_then(|bytes| std::str::from_utf8(bytes).ok())
        .and_then(|text| text.chars().next())
        .map_or((char::REPLACEMENT_CHARACTER, 1), |c| (c, width))
}

/// The shortest lexically equal path: no empty or `.` elements, `..` resolved where it can be.
/// The empty path is `.`.
pub fn clean(path: &[u8]) -> Vec<u8> {
    let rooted = path.first() == Some(&b'/');
    let mut kept: Vec<&[u8]> = Vec::new();
    for element in path.split(|&b| b == b'/') {
        match element {
            b"" | b"." => {}
            b".." => match kept.last() {
                Some(&last) if last != b".." => {
                    kept.pop();
                }
                _ if rooted => {}
                _ => kept.push(element),
            },
            _ => kept.push(element),
        }
    }
    let mut out = Vec::with_capacity(path.len().max(1));
    if rooted {
        out.push(b'/');
    }
    out.extend_from_slice(&kept.join(&b'/'));
    if out.is_empty() {
        out.push(b'.');
    }
    out
}

/// `a/b`, cleaned; an absolute `b` stays below `a`.
pub(crate) fn join(a: &[u8], b: &[u8]) -> Vec<u8> {
    match (a.is_empty(), b.is_empty()) {
        (true, true) => Vec::new(),
        (true, false) => clean(b),
        (false, true) => clean(a),
        (false, false) => clean(&[a, b].join(&b'/')),
    }
}

/// A character class: `[a-z]`, `[^x]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Class {
    negated: bool,
    ranges: Vec<(char, char)>,
}

impl Class {
    pub(crate) fn matches(&self, c: char) -> bool {
        self.ranges.iter().any(|&(low, high)| low <= c && c <= high) != self.negated
    }

    /// Whether a range runs backwards: `filepath.Match` lets it match nothing, Docker's matcher
    /// rejects it.
    pub(crate) fn has_reversed_range(&self) -> bool {
        self.ranges.iter().any(|(low, high)| low > high)
    }
}

/// Parses the class whose `[` was just consumed; answers it and the rest of the pattern.
pub(crate) fn parse_class(mut rest: &[u8]) -> Option<(Class, &[u8])> {
    let negated = rest.first() == Some(&b'^');
    if negated {
        rest = &rest[1..];
    }
    let mut ranges = Vec::new();
    loop {
        if rest.first() == Some(&b']') && !ranges.is_empty() {
            return Some((Class { negated, ranges }, &rest[1..]));
        }
        let (low, after) = parse_class_char(rest)?;
        rest = after;
        let mut high = low;
        if rest[0] == b'-' {
            (high, rest) = parse_class_char(&rest[1..])?;
        }
        ranges.push((low, high));
    }
}

/// One possibly escaped character of a class; the rest is never empty, a class must be closed.
fn parse_class_char(mut rest: &[u8]) -> Option<(char, &[u8])> {
    if rest.is_empty() || rest[0] == b'-' || rest[0] == b']' {
        return None;
    }
    if rest[0] == b'\\' {
        rest = &rest[1..];
        if rest.is_empty() {
            return None;
        }
    }
    let (c, width) = next_char(rest);
    if c == char::REPLACEMENT_CHARACTER && width == 1 {
        return None;
    }
    let rest = &rest[width..];
    (!rest.is_empty()).then_some((c, rest))
}

/// Whether `pattern` is well-formed: classes closed and not empty, no trailing backslash.
pub(crate) fn is_valid(mut pattern: &[u8]) -> bool {
    while let Some((&first, rest)) = pattern.split_first() {
        pattern = match first {
            b'[' => match parse_class(rest) {
                Some((_, rest)) => rest,
                None => return false,
            },
            b'\\' => match rest.split_first() {
                Some((_, rest)) => rest,
                None => return false,
            },
            _ => rest,
        };
    }
    true
}

/// Whether `name` holds an unescaped wildcard.
pub(crate) fn has_wildcard(name: &[u8]) -> bool {
    let mut bytes = name.iter();
    while let Some(&b) = bytes.next() {
        match b {
            b'\\' => {
                bytes.next();
            }
            b'*' | b'?' | b'[' => return true,
            _ => {}
        }
    }
    false
}

/// Whether the single path element `name` matches `pattern`; a malformed pattern matches nothing.
pub(crate) fn match_name(pattern: &[u8], name: &[u8]) -> bool {
    if !is_valid(pattern) {
        return false;
    }
    // The last `*` seen and where it stopped: on a mismatch it takes one character more. One
    // level of backtracking is enough, a later `*` can take whatever an earlier one would.
    let (mut p, mut n) = (pattern, name);
    let mut star: Option<(&[u8], &[u8])> = None;
    loop {
        if let Some((b'*', rest)) = p.split_first() {
            p = rest;
            star = Some((p, n));
            continue;
        }
        if p.is_empty() && n.is_empty() {
            return true;
        }
        if let Some((rest_p, rest_n)) = match_one(p, n) {
            (p, n) = (rest_p, rest_n);
            continue;
        }
        match &mut star {
            Some((after, taken)) if !taken.is_empty() => {
                *taken = &taken[next_char(taken).1..];
                (p, n) = (*after, *taken);
            }
            _ => return false,
        }
    }
}

/// One pattern element that is not `*` against one character.
fn match_one<'a>(p: &'a [u8], n: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    if n.is_empty() {
        return None;
    }
    let (c, width) = next_char(n);
    let (&first, mut rest) = p.split_first()?;
    match first {
        b'?' => return Some((rest, &n[width..])),
        b'[' => {
            let (class, rest) = parse_class(rest)?;
            return class.matches(c).then_some((rest, &n[width..]));
        }
        b'\\' => {}
        _ => rest = p,
    }
    (!rest.is_empty() && rest[0] == n[0]).then(|| (&rest[1..], &n[1..]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn clean_resolves_lexically() {
        for (path, want) in [
            ("", "."),
            ("a//b/./c/", "a/b/c"),
            ("a/../b", "b"),
            ("../a/..", ".."),
            ("/../a", "/a"),
            ("/", "/"),
            ("./.", "."),
            ("../../x", "../../x"),
            ("a/b/../../..", ".."),
        ] {
            assert_eq!(clean(path.as_bytes()), want.as_bytes(), "{path}");
        }
    }

    #[test]
    fn names_match_as_in_go() {
        for (pattern, name, want) in [
            ("*.rs", "a.rs", true),
            ("*.rs", "a.rsx", false),
            ("a*b*c", "axxbyybc", true),
            ("a*b*c", "axxbyyb", false),
            ("?", "é", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[\\]]", "]", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("[", "[", false),
            ("", "", true),
            ("*", "", true),
        ] {
            assert_eq!(match_name(pattern.as_bytes(), name.as_bytes()), want, "{pattern} {name}");
        }
    }

    #[test]
    fn malformed_patterns_are_found() {
        for bad in ["[", "[]", "[a", "[]a]", "[a-]", "[-]", "[x-", "a\\", "[\\", "[^]", "a[b"] {
            assert!(!is_valid(bad.as_bytes()), "{bad}");
        }
        for good in ["", "]", "a]", "[a]", "[\\-]", "[^a-z]*", "\\[", "{}", "a**/b", "[z-a]"] {
            assert!(is_valid(good.as_bytes()), "{good}");
        }
    }
}
