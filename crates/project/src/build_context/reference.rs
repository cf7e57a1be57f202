//! Docker's ignore rules a second time, for tests: written from Docker's documentation of
//! `.dockerignore`, Go's of `filepath.Match` and moby/patternmatcher's of `**`, by plain recursion
//! over text, without a thought for speed.

#![allow(clippy::unwrap_used)]
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::filter::{Filter, FilterRequest};
use super::patterns::{MatchInfo, PatternMatcher};
use super::root::Root;
use super::{ignore_file, walk};

/// A line that says something: whether it takes back, and its pattern.
struct Line {
    exception: bool,
    pattern: String,
}

/// The lines of an ignore file; `None` if one takes nothing back. Reading the file cleans each
/// pattern, and compiling it trims and cleans the line once more, its `!` included.
fn lines(text: &str) -> Option<Vec<Line>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = Vec::new();
    for line in text.split('\n') {
        if line.starts_with('#') || line.trim().is_empty() {
            continue;
        }
        let line = line.trim();
        let (sign, pattern) = match line.strip_prefix('!') {
            Some(pattern) => ("!", pattern.trim()),
            None => ("", line),
        };
        let pattern = if pattern.is_empty() { String::new() } else { cleaned(pattern) };
        let pattern = pattern.strip_prefix('/').filter(|rest| !rest.is_empty()).unwrap_or(&pattern);
        let line = format!("{sign}{pattern}");
        if line.trim().is_empty() {
            continue;
        }
        let line = cleaned(line.trim());
        lines.push(match line.strip_prefix('!') {
            Some("") => return None,
            Some(pattern) => Line { exception: true, pattern: pattern.into() },
            None => Line { exception: false, pattern: line },
        });
    }
    Some(lines)
}

/// Without empty and `.` elements, and with `..` taken back.
fn cleaned(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    for element in path.split('/').filter(|element| !["", "."].contains(element)) {
        if element != ".." || (kept.last().is_none_or(|last| *last == "..") && !rooted) {
            kept.push(element);
        } else {
            kept.pop();
        }
    }
    let path = format!("{}{}", if rooted { "/" } else { "" }, kept.join("/"));
    if path.is_empty() { ".".into() } else { path }
}

/// Whether one pattern names this very path.
fn names(pattern: &str, path: &str) -> bool {
    // `**` in front of plain text asks only how the path ends: Docker's short cut, and visible.
    if let Some(tail) = pattern.strip_prefix("**")
        && !tail.contains(['*', '?', '[', '\\'])
    {
        return path.ends_with(tail) || tail.strip_prefix('/') == Some(path);
    }
    let chars = |text: &str| text.chars().collect::<Vec<char>>();
    recurse(&chars(pattern), &chars(path))
}

fn recurse(pattern: &[char], path: &[char]) -> bool {
    let after = |consumed: usize| recurse(&pattern[consumed..], &path[1..]);
    match pattern {
        [] => path.is_empty(),
        ['*', '*', rest @ ..] => {
            let rest = rest.strip_prefix(&['/']).unwrap_or(rest);
            rest.is_empty()
                || recurse(rest, path)
                || (0..path.len()).any(|i| path[i] == '/' && recurse(rest, &path[i + 1..]))
        }
        ['*', rest @ ..] => {
            let within = path.iter().position(|c| *c == '/').unwrap_or(path.len());
            (0..=within).any(|i| recurse(rest, &path[i..]))
        }
        _ if path.is_empty() => false,
        ['?', ..] => path[0] != '/' && after(1),
        ['\\', escaped, ..] => path[0] == *escaped && after(2),
        ['[', class @ ..] => {
            let end = class.iter().position(|c| *c == ']').unwrap();
            let (negated, members) = match &class[..end] {
                ['^', members @ ..] => (true, members),
                members => (false, members),
            };
            let listed = match members {
                [low, '-', high] => (low..=high).contains(&&path[0]),
                members => members.contains(&path[0]),
            };
            listed != negated && after(end + 2)
        }
        [literal, ..] => path[0] == *literal && after(1),
    }
}

/// `a/b/c` and the directories above it, from the top.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.match_indices('/').map(|(index, _)| index).chain([path.len()]);
    ends.map(|end| &path[..end])
}

/// The last pattern that names the path or a directory above it decides.
fn ignored(lines: &[Line], path: &str) -> bool {
    let decides = |line: &&Line| prefixes(path).any(|path| names(&line.pattern, path));
    lines.iter().rfind(decides).is_some_and(|line| !line.exception)
}

/// The same as a transfer decides it: below a directory counts what decided about it, and a pattern
/// that could change nothing there is not asked (moby/patternmatcher, `MatchesUsingParentResults`).
fn ignored_while_walking(lines: &[Line], path: &str) -> bool {
    let mut hits = vec![false; lines.len()];
    let mut ignored = false;
    for path in prefixes(path) {
        ignored = false;
        for (hit, line) in hits.iter_mut().zip(lines) {
            *hit = *hit || (line.exception == ignored && names(&line.pattern, path));
            if *hit {
                ignored = !line.exception;
            }
        }
    }
    ignored
}

fn line() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        8 => "[abc]".prop_map(String::from),
        4 => Just("/".into()),
        2 => Just("*".into()),
        2 => Just("**".into()),
        1 => Just("?".into()),
        1 => prop::sample::select(vec!["é", ".", "..", "./", "../", "-", "#", "!", " ", "//"])
            .prop_map(String::from),
        1 => prop::sample::select(vec!["[a-b]", "[^a]", "[ac]", "\\*", "\\!", "\\a", "\\#"])
            .prop_map(String::from),
    ];
    let pattern = prop::collection::vec(atom, 1..7).prop_map(|atoms| atoms.concat());
    let before = prop::sample::select(vec![
        "", "", "", "", "!", "!", "! ", " ", "/", "!/", "**/", "./", "#",
    ]);
    let after = prop::sample::select(vec!["", "", "", "", "/", "/**", "/*", " ", "\t", "\r", "/."]);
    (before, pattern, after).prop_map(|(before, pattern, after)| [before, &pattern, after].concat())
}

fn text() -> impl Strategy<Value = String> {
    let start = prop::sample::select(vec!["", "", "", "\u{feff}", "\n"]);
    (start, prop::collection::vec(line(), 0..6))
        .prop_map(|(s, lines)| s.to_owned() + &lines.join("\n"))
}

fn path() -> impl Strategy<Value = String> {
    "[abc]{1,2}(/[abcé*!#.-]?[abc]){0,3}"
}

/// What the program makes of the file's text, and what the reference does; both or none.
fn both(text: &str) -> Option<(PatternMatcher, Vec<Line>)> {
    let (matcher, lines) = (PatternMatcher::new(ignore_file::parse(text.as_bytes())), lines(text));
    assert_eq!(matcher.is_ok(), lines.is_some(), "{text:?}");
    matcher.ok().zip(lines)
}

#[test]
fn the_reference_knows_the_examples_of_the_documentation() {
    for (text, path, want) in [
        ("*/temp*", "dir/temporary.txt", true),
        ("*/temp*", "a/b/temporary.txt", false),
        ("*/*/temp*", "a/b/temporary.txt", true),
        ("temp?", "tempa", true),
        ("**/*.go", "a/b/c.go", true),
        ("**/*.go", "c.go", true),
        ("*.md\n!README.md", "README.md", false),
        ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true),
        ("*.md\nREADME-secret.md\n!README*.md", "README-secret.md", false),
        ("/foo/bar", "foo/bar", true),
        ("foo/bar", "x/foo/bar", false),
        ("# comment", "# comment", false),
    ] {
        assert_eq!(ignored(&lines(text).unwrap(), path), want, "{text:?} on {path}");
    }
}

proptest! {
    #[test]
    fn the_matcher_agrees(text in text(), paths in prop::collection::vec(path(), 1..6)) {
        if let Some((matcher, lines)) = both(&text) {
            for path in paths {
                prop_assert_eq!(matcher.matches(path.as_bytes()), ignored(&lines, &path), "{}", path);
                let mut parent: Option<MatchInfo> = None;
                let mut answer = false;
                for part in prefixes(&path) {
                    let mut info = MatchInfo::default();
                    answer = matcher.matches_below(part.as_bytes(), parent.as_ref(), &mut info);
                    parent = Some(info);
                }
                prop_assert_eq!(answer, ignored_while_walking(&lines, &path), "walking {}", path);
            }
        }
    }

    /// Every file that is not ignored is sent, no other, and each with the directories above it.
    #[test]
    fn the_walk_agrees(text in text(), files in prop::collection::vec(path(), 1..8)) {
        let dir = tempfile::tempdir().unwrap();
        let mut entries: BTreeSet<String> = BTreeSet::new();
        for file in &files {
            let (above, _) = file.rsplit_once('/').unwrap_or_default();
            // A name that is a file already, or a directory, stays what it is.
            if fs::create_dir_all(dir.path().join(above)).is_ok()
                && fs::write(dir.path().join(file), "").is_ok()
            {
                entries.extend(prefixes(file).map(str::to_owned));
            }
        }
        if let Some((_, lines)) = both(&text) {
            let kept = entries.iter().filter(|entry| !ignored_while_walking(&lines, entry));
            let expected: BTreeSet<&str> = kept.flat_map(|entry| prefixes(entry)).collect();
            let sent = sent(dir.path(), &text);
            prop_assert_eq!(sent.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected);
        }
    }
}

fn sent(dir: &Path, text: &str) -> Vec<String> {
    let root = Root::open(dir).unwrap();
    let exclude = ignore_file::parse(text.as_bytes());
    let filter =
        Filter::new(&root, &FilterRequest { exclude, ..FilterRequest::default() }).unwrap();
    let mut sent = Vec::new();
    walk::walk(&root, &filter, &mut |entry| {
        sent.push(String::from_utf8(entry.path.to_vec()).unwrap());
        Ok(())
    })
    .unwrap();
    sent
}
