//! Which entries of a directory the sources of a COPY or ADD cover, by BuildKit's rules: a source is
//! a path below the directory, its elements may hold Go's wildcards, a directory stands for all
//! that is in it, and a symlink for what it leads to (fsutil `copy`).

use std::collections::HashSet;
use std::path::Path;

use crate::build_context::follow_links;
use crate::build_context::glob;
use crate::build_context::patterns::PatternMatcher;
use crate::build_context::root::{Root, split_parent};

/// Sources with wildcards that are looked at: each is compared with every entry.
const MOST_WILDCARDS: usize = 1000;

/// Compiled sources.
#[derive(Debug)]
pub struct Coverage {
    /// `None`: everything.
    sources: Option<Paths>,
    exclude: PatternMatcher,
}

/// Paths from the top of the directory, looked up by what lies below them.
#[derive(Debug, Default)]
pub struct Paths {
    /// Those that are names and nothing else.
    literal: HashSet<Vec<u8>>,
    /// Those that hold wildcards or escapes.
    patterns: Vec<Vec<u8>>,
}

impl Paths {
    /// Of what the engine wanted for a transfer; `None` where that is everything.
    pub fn wanted(paths: &[Vec<u8>]) -> Option<Self> {
        let mut wanted = Self::default();
        for path in paths {
            let path = absolute(path);
            match &path[1..] {
                b"" => return None,
                path => wanted.add(path.to_vec()),
            }
        }
        (!paths.is_empty()).then_some(wanted)
    }

    fn add(&mut self, path: Vec<u8>) {
        if glob::has_wildcard(&path) || path.contains(&b'\\') {
            self.patterns.push(path);
        } else {
            self.literal.insert(path);
        }
    }

    fn all(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.literal.iter().chain(&self.patterns)
    }

    /// For each of the paths that `path` is or lies below, what is left of it.
    fn below<'a>(&'a self, path: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let ends = (0..=path.len()).filter(|end| path.get(*end).is_none_or(|byte| *byte == b'/'));
        let literal = ends.filter(|end| self.literal.contains(&path[..*end]));
        let patterns = self.patterns.iter().filter_map(|pattern| below(pattern, path));
        literal.map(|end| path.get(end + 1..).unwrap_or_default()).chain(patterns)
    }
}

impl Coverage {
    /// What `sources` without `exclude` cover of the directory at `root`. `None` where that cannot be
    /// told: the directory cannot be read, a pattern is malformed, or there are too many patterns.
    pub fn new(root: &Path, sources: &[String], exclude: &[String]) -> Option<Self> {
        let root = Root::open(root).ok()?;
        let mut found = Paths::default();
        let mut has_all = false;
        for source in sources {
            let source = absolute(source.as_bytes());
            // Directories that a wildcard matches are not looked for behind links.
            if glob::has_wildcard(split_parent(&source).0) {
                found.add(source[1..].to_vec());
                continue;
            }
            match follow_links::resolve(&root, &[source]).ok()? {
                Some(parts) => parts.into_iter().for_each(|part| found.add(part)),
                None => has_all = true,
            }
        }
        let sources = (!has_all).then_some(found);
        if sources.as_ref().is_some_and(|sources| sources.patterns.len() > MOST_WILDCARDS) {
            return None;
        }
        Some(Self { sources, exclude: PatternMatcher::new(exclude).ok()? })
    }

    /// Whether `path` is covered.
    pub fn covers(&self, path: &[u8]) -> bool {
        let Some(sources) = &self.sources else { return !self.exclude.matches(path) };
        // What is excluded is named from the source on, and a file that is a source by its name.
        sources.below(path).any(|below| {
            let name = if below.is_empty() { split_parent(path).1 } else { below };
            !self.exclude.matches(name)
        })
    }

    /// Whether a transfer of what the engine `wanted` (everything for `None`) holds what the sources cover.
    pub fn is_part_of(&self, wanted: Option<&Paths>) -> bool {
        let Some(wanted) = wanted else { return true };
        let sent = |source: &Vec<u8>| wanted.below(source).next().is_some();
        self.sources.as_ref().is_some_and(|sources| sources.all().any(sent))
    }
}

/// The path from the top of the directory, which `..` does not leave.
fn absolute(path: &[u8]) -> Vec<u8> {
    glob::clean(&[b"/", path].concat())
}

/// The rest of `path` below the source, which may hold wildcards; empty for the source itself.
fn below<'a>(source: &[u8], path: &'a [u8]) -> Option<&'a [u8]> {
    let mut rest = path;
    for pattern in source.split(|&b| b == b'/') {
        if rest.is_empty() {
            return None;
        }
        let end = rest.iter().position(|&b| b == b'/').unwrap_or(rest.len());
        if !glob::match_name(pattern, &rest[..end]) {
            return None;
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::symlink;

    const ALL: [&str; 7] =
        ["api", "api/a.py", "api/sub", "api/sub/b.py", "link", "note.md", "top.py"];

    fn own(list: &[&str]) -> Vec<String> {
        list.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn sources_cover_what_the_engine_copies() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("api/sub")).unwrap();
        symlink("api/sub", dir.path().join("link")).unwrap();
        let check = |sources: &[&str], exclude: &[&str], want: &[&str]| {
            let coverage = Coverage::new(dir.path(), &own(sources), &own(exclude)).unwrap();
            let covered: Vec<&str> =
                ALL.into_iter().filter(|path| coverage.covers(path.as_bytes())).collect();
            assert_eq!(covered, want, "{sources:?} {exclude:?}");
        };
        let api = ["api", "api/a.py", "api/sub", "api/sub/b.py"];
        check(&["api/"], &[], &api);
        check(&["./api", "/top.py"], &[], &[&api[..], &["top.py"]].concat());
        check(&["../api/../top.py"], &[], &["top.py"]);
        check(&["*.py"], &[], &["top.py"]);
        check(&["*/*.py"], &[], &["api/a.py"]);
        check(&["a*"], &[], &api);
        check(&["link"], &[], &["api/sub", "api/sub/b.py", "link"]);
        check(&["missing", "ap"], &[], &[]);
        for everything in [".", "./", "/"] {
            check(&[everything], &[], &ALL);
        }
        check(&["."], &["*.md", "api/sub"], &["api", "api/a.py", "link", "top.py"]);
        check(&["api"], &["*.py"], &["api", "api/sub", "api/sub/b.py"]);
        check(&["*.*"], &["*.md"], &["top.py"]);
    }

    #[test]
    fn a_transfer_of_other_paths_tells_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let part = |source: &str, wanted: &[&str]| {
            let wanted: Vec<Vec<u8>> = wanted.iter().map(|it| it.as_bytes().to_vec()).collect();
            let wanted = Paths::wanted(&wanted);
            Coverage::new(dir.path(), &own(&[source]), &[]).unwrap().is_part_of(wanted.as_ref())
        };
        for (source, wanted) in [
            ("api", &["api/", "top.py"][..]),
            ("api/a.py", &["/api"]),
            (".", &[]),
            (".", &["./"]),
            ("*.py", &["*.py", "x"]),
        ] {
            assert!(part(source, wanted), "{source} {wanted:?}");
        }
        assert!(!part("api", &["worker"]) && !part(".", &["api"]));
    }

    /// As many names as a Dockerfile of the longest kind has, and as many files.
    #[test]
    fn hundred_thousand_names_are_looked_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = |number: usize| format!("directory-{}/file-{number:060}.txt", number % 10);
        let sources: Vec<String> = (0..100_000).map(path).collect();
        let coverage = Coverage::new(dir.path(), &sources, &[]).unwrap();
        let covered = |number: &usize| coverage.covers(path(*number).as_bytes());
        assert_eq!((50_000..150_000).filter(covered).count(), 50_000);
        let wanted: Vec<Vec<u8>> = sources.iter().rev().map(|it| it.clone().into()).collect();
        assert!(coverage.is_part_of(Paths::wanted(&wanted).as_ref()));
        let patterns: Vec<String> = (0..2000).map(|number| format!("*-{number}/x")).collect();
        assert!(Coverage::new(dir.path(), &patterns, &[]).is_none());
    }
}
