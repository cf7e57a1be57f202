//! Patterns against paths: Docker's cases, and agreement of the fast ways with slow ones.

#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

fn matcher(patterns: &[&str]) -> PatternMatcher {
    PatternMatcher::new(patterns.iter().map(|p| p.as_bytes())).unwrap()
}

/// As a walk asks: directory by directory, each with its parent's result.
fn matches_walking(matcher: &PatternMatcher, path: &[u8]) -> bool {
    let mut parent: Option<MatchInfo> = None;
    let ends = path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(i, _)| i);
    let mut answer = false;
    for end in ends.chain([path.len()]) {
        let mut info = MatchInfo::default();
        answer = matcher.matches_below(&path[..end], parent.as_ref(), &mut info);
        parent = Some(info);
    }
    answer
}

fn check(patterns: &[&str], path: &str, want: bool) {
    let matcher = matcher(patterns);
    assert_eq!(matcher.matches(path.as_bytes()), want, "{patterns:?} on {path}");
    assert_eq!(matches_walking(&matcher, path.as_bytes()), want, "{patterns:?} walking to {path}");
}

#[test]
fn single_patterns() {
    for (pattern, path, want) in [
        // Literal names, and everything below a matching directory.
        ("docs", "docs", true),
        ("docs", "docs/a/b", true),
        ("docs", "docs2", false),
        ("docs", "x/docs", false),
        ("docs/", "docs/a", true),
        ("./docs/../src", "src/a", true),
        ("  docs\t", "docs", true),
        // A leading slash is the ignore file's business, not the matcher's.
        ("/docs", "docs", false),
        // One element.
        ("*", "a", true),
        ("*", "a/b", true),
        ("*.rs", "a.rs", true),
        ("*.rs", "a.rsx", false),
        ("*.rs", "src/a.rs", false),
        ("a/*.txt", "a/x.txt", true),
        ("a/*.txt", "a/b/x.txt", false),
        ("abc?def", "abcZdef", true),
        ("abc?def", "abc/def", false),
        ("?", "é", true),
        (".*", ".git", true),
        (".*", "git", false),
        // Any depth.
        ("**", "a", true),
        ("**/", "a/b", true),
        ("**/**", "a/b", true),
        ("**/dir", "dir", true),
        ("**/dir", "a/b/dir/c", true),
        ("**/dir", "a/xdir", false),
        ("**dir", "a/xdir", true),
        ("**/*.pyc", "a.pyc", true),
        ("**/*.pyc", "a/b/c.pyc", true),
        ("**/**/*.txt", "file.txt", true),
        ("**/a*/b", "x/abc/b", true),
        ("**/a*/b", "x/abc/d/b", false),
        ("a/**", "a", false),
        ("a/**", "a/b/c", true),
        ("a**", "abc/d", true),
        ("a/**/z", "a/z", true),
        ("a/**/z", "a/b/c/z", true),
        ("a/**/z", "a/bz", false),
        ("a**/b", "ab", true),
        ("a**/b", "axx/b", true),
        ("a**/b", "axxb", false),
        ("a**/b**/c", "ax/by/c", true),
        ("a**/b**/c", "abc", true),
        ("a**/b**/c", "ax/bc", true),
        ("a**/b**/c", "ax/byc", false),
        ("a/*.txt**", "a/f.txt.bak", true),
        ("**/__pycache__/**", "a/__pycache__/m.pyc", true),
        ("**/__pycache__/**", "a/__pycache__", false),
        ("***", "a/b", true),
        // Classes and escapes.
        ("a[b-d]e", "ace", true),
        ("a[b-d]e", "aae", false),
        ("a[^b-d]e", "aze", true),
        ("a[^b-d]e", "a/e", true),
        ("[\\]a]", "]", true),
        ("a\\*b", "a*b", true),
        ("a\\*b", "axb", false),
        ("a\\\\", "a\\", true),
        ("a]", "a]", true),
        // Not special, whatever a regular expression would think.
        ("abc.def", "abcXdef", false),
        ("a(b)c|$+{}", "a(b)c|$+{}", true),
        ("dist/*.whl", "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", true),
        ("a^b", "a^b", true),
        ("é*", "éa", true),
    ] {
        check(&[pattern], path, want);
    }
}

#[test]
fn exceptions_and_order() {
    check(&["docs", "!docs/README.md"], "docs/README.md", false);
    check(&["docs", "!docs/README.md"], "docs/other.md", true);
    check(&["!a.go", "*.go"], "a.go", true);
    check(&["*.go", "!a.go"], "a.go", false);
    check(&["*.go", "!a.go", "a.go"], "a.go", true);
    check(&["**", "!util/web"], "util/web/foo", false);
    check(&["**", "!util/web", "util/web/foo"], "util/web/foo", true);
    check(&["**", "!util/web"], "util/x", true);
    check(&["*", "!**/*.md"], "a/b/c.md", false);
    check(&["  !docs", "docs"], "docs", true);
    check(&[], "a", false);
    check(&["", "  "], "a", false);
}

#[test]
fn malformed_patterns_are_named() {
    for bad in ["!", "[", "a/[]", "x\\", "![a-", "[z-a]"] {
        let error = PatternMatcher::new([bad.as_bytes()]).unwrap_err();
        assert_eq!(error.to_string(), format!("syntax error in pattern \"{bad}\""));
    }
}

#[test]
fn bytes_that_are_not_utf8_count_as_one_character() {
    let matcher = PatternMatcher::new([b"a?b".as_slice()]).unwrap();
    assert!(matcher.matches(b"a\xffb"));
    assert!(!matcher.matches(b"a\xff\xffb"));
}

/// Recursion instead of position sets: slow, and written independently of the program.
fn naive(tokens: &[Token], text: &[u8]) -> bool {
    let Some((first, rest)) = tokens.split_first() else { return text.is_empty() };
    let ends = |f: &dyn Fn(&[u8]) -> bool| {
        (0..=text.len())
            .filter(|&i| std::str::from_utf8(&text[..i]).is_ok())
            .any(|i| f(&text[..i]) && naive(rest, &text[i..]))
    };
    match first {
        Token::Star => ends(&|taken| !taken.contains(&b'/')),
        Token::Anything => ends(&|_| true),
        Token::Gap => {
            naive(&rest[1..], text)
                || (1..=text.len()).any(|i| text[i - 1] == b'/' && naive(&rest[1..], &text[i..]))
        }
        Token::GapLoop | Token::Never => false,
        one => {
            let Some(c) = std::str::from_utf8(text).unwrap().chars().next() else { return false };
            let hit = match one {
                Token::Char(want) => *want == c,
                Token::NotSlash => c != '/',
                Token::Class(class) => class.matches(c),
                _ => unreachable!(),
            };
            hit && naive(rest, &text[c.len_utf8()..])
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_compile_or_fail_without_panic(
        pattern in proptest::collection::vec(any::<u8>(), 0..40),
        path in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        if let Ok(matcher) = PatternMatcher::new([pattern.as_slice()]) {
            let _ = matcher.matches(&path);
        }
    }

    #[test]
    fn walking_agrees_with_asking_directly(
        patterns in proptest::collection::vec("!?[a-c*/?]{1,8}", 0..4),
        path in "[a-c]{1,2}(/[a-c]{1,2}){0,3}",
    ) {
        if let Ok(matcher) = PatternMatcher::new(patterns.iter().map(|p| p.as_bytes())) {
            // A pattern that could not change the answer for a directory is not recorded, so the
            // two may differ where an exception is followed by more patterns; without exceptions
            // they must not.
            if !matcher.has_exceptions() {
                prop_assert_eq!(
                    matcher.matches(path.as_bytes()),
                    matches_walking(&matcher, path.as_bytes())
                );
            }
        }
    }

    #[test]
    fn programs_agree_with_plain_recursion(
        pattern in "[ab*?/é]{1,9}",
        path in "[ab/é]{0,9}",
    ) {
        let cleaned = glob::clean(pattern.as_bytes());
        if let Some(Kind::Program(program)) = compile(&cleaned) {
            let text = |s: &[u8]| -> Vec<Token> {
                String::from_utf8(s.to_vec()).unwrap().chars().map(Token::Char).collect()
            };
            let tokens = [text(&program.head), program.tokens.clone(), text(&program.tail)].concat();
            prop_assert_eq!(program.matches(path.as_bytes()), naive(&tokens, path.as_bytes()));
        }
    }
}

/// Linear in the places of a pattern: with a search through those at hand, this takes minutes.
#[test]
fn thousands_of_gaps_and_stars_are_matched_at_once() {
    let gaps = "**/".repeat(2000) + "[y]";
    let stars = format!("**/{}", "*x".repeat(2000));
    let matcher = PatternMatcher::new([gaps, stars]).unwrap();
    for number in 0..100 {
        assert!(matcher.matches(format!("a/b/c/{number}/y").as_bytes()));
        assert!(!matcher.matches(format!("a/b/c/{number}/z").as_bytes()));
    }
    for (length, matches) in [(1999, false), (2000, true), (2500, true)] {
        assert_eq!(matcher.matches(format!("a/b/{}", "x".repeat(length)).as_bytes()), matches);
    }
}
