//! Reading `.dockerignore`, and which ignore file holds for a Dockerfile.

use std::io;
use std::path::{Path, PathBuf};

use crate::build_context::glob;
use crate::build_context::patterns::trim_space;
use crate::files::read;

/// The ignore file that holds for a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoreFile {
    /// Where it was read.
    pub path: PathBuf,
    /// Its patterns in order, for [`super::patterns::PatternMatcher::new`].
    pub patterns: Vec<Vec<u8>>,
    /// The line of each of them, from 1.
    pub lines: Vec<usize>,
}

impl IgnoreFile {
    fn new(path: PathBuf, text: &[u8]) -> Self {
        let (lines, patterns) = numbered(text).unzip();
        Self { path, patterns, lines }
    }
}

/// The ignore file for the context at `context`: `<dockerfile>.dockerignore` where it exists,
/// even if empty, otherwise `.dockerignore` at the top of the context. `dockerfile` is `None` for
/// an inline Dockerfile.
///
/// # Errors
/// A file that is there and cannot be read.
pub fn find(context: &Path, dockerfile: Option<&Path>) -> io::Result<Option<IgnoreFile>> {
    let beside = dockerfile.map(|dockerfile| {
        let mut name = dockerfile.as_os_str().to_owned();
        name.push(".dockerignore");
        PathBuf::from(name)
    });
    for path in beside.into_iter().chain([context.join(".dockerignore")]) {
        match read::bytes(&path, read::TEXT) {
            Ok(text) => return Ok(Some(IgnoreFile::new(path, &text))),
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(None)
}

/// The patterns of an ignore file: one a line, `#` at the very start comments a line out, white
/// space around a pattern and a leading slash do not count, a byte order mark is skipped.
pub fn parse(text: &[u8]) -> Vec<Vec<u8>> {
    numbered(text).map(|(_, pattern)| pattern).collect()
}

/// The same, each with its line.
fn numbered(text: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    (1..).zip(text.split(|&b| b == b'\n')).filter(|(_, line)| !line.starts_with(b"#")).filter_map(
        |(number, line)| {
            let line = trim_space(line);
            if line.is_empty() {
                return None;
            }
            let (sign, pattern) = match line.strip_prefix(b"!") {
                Some(rest) => (b"!".as_slice(), trim_space(rest)),
                None => (b"".as_slice(), line),
            };
            let mut out = sign.to_vec();
            if !pattern.is_empty() {
                let cleaned = glob::clean(pattern);
                let relative = match cleaned.as_slice() {
                    [b'/', rest @ ..] if !rest.is_empty() => rest,
                    whole => whole,
                };
                out.extend_from_slice(relative);
            }
            Some((number, out))
        },
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_become_patterns() {
        let text = b"\xef\xbb\xbf# comment\n  # not a comment\n\n /abs/path \r\n!  keep/./me/\n!\n/\n../up\na/../b\n\t*.md\n";
        let got: Vec<_> = parse(text).into_iter().map(|p| String::from_utf8(p).unwrap()).collect();
        assert_eq!(
            got,
            ["# not a comment", "abs/path", "!keep/me", "!", "/", "../up", "b", "*.md"]
        );
    }

    #[test]
    fn the_ignore_file_beside_the_dockerfile_wins_even_if_empty() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(find(dir.path(), None).unwrap(), None);
        std::fs::write(dir.path().join(".dockerignore"), "a\n").unwrap();
        let dockerfile = dir.path().join("api.Dockerfile");
        assert_eq!(find(dir.path(), Some(&dockerfile)).unwrap().unwrap().patterns, [b"a"]);
        std::fs::write(dir.path().join("api.Dockerfile.dockerignore"), "").unwrap();
        assert_eq!(find(dir.path(), Some(&dockerfile)).unwrap().unwrap().patterns.len(), 0);
        assert_eq!(find(dir.path(), None).unwrap().unwrap().patterns, [b"a"]);
    }
}
