//! Which entries of a directory the sources of a COPY or ADD cover, by BuildKit's rules: a source is
//! a path below the directory, its elements may hold Go's wildcards, a directory stands for all
//! that is in it, and a symlink for what it leads to (fsutil `copy`).

use std::path::Path;

use crate::build_context::follow_links;
use crate::build_context::glob;
use crate::build_context::patterns::PatternMatcher;
use crate::build_context::root::{Root, split_parent};

/// Compiled sources.
#[derive(Debug)]
pub struct Coverage {
    /// `None`: everything.
    sources: Option<Vec<Vec<u8>>>,
    exclude: PatternMatcher,
}

impl Coverage {
    /// What `sources` without `exclude` cover of the directory at `root`. `None` where that cannot be
    /// told: the directory cannot be read, or a pattern is malformed.
    pub fn new(root: &Path, sources: &[String], exclude: &[String]) -> Option<Self> {
        let root = Root::open(root).ok()?;
        let mut found = Some(Vec::new());
        for source in sources {
            let source = absolute(source.as_bytes());
            // Directories that a wildcard matches are not looked for behind links.
            let parts = if glob::has_wildcard(split_parent(&source).0) {
                Some(vec![source[1..].to_vec()])
            } else {
                follow_links::resolve(&root, &[source]).ok()?
            };
            found = found.zip(parts).map(|(found, parts)| [found, parts].concat());
        }
        Some(Self { sources: found, exclude: PatternMatcher::new(exclude).ok()? })
    }

    /// Whether `path` is covered.
    pub fn covers(&self, path: &[u8]) -> bool {
        let Some(sources) = &self.sources else { return !self.exclude.matches(path) };
        // What is excluded is named from the source on, and a file that is a source by its name.
        sources.iter().filter_map(|source| below(source, path)).any(|below| {
            let name = if below.is_empty() { split_parent(path).1 } else { below };
            !self.exclude.matches(name)
        })
    }

    /// Whether a transfer of what the engine `wanted` (everything where that is empty) holds
    /// what the sources cover.
    pub fn is_part_of(&self, wanted: &[Vec<u8>]) -> bool {
        let wanted: Vec<Vec<u8>> = wanted.iter().map(|path| absolute(path)).collect();
        if wanted.iter().any(|path| path == b"/") || wanted.is_empty() {
            return true;
        }
        let sent = |source: &Vec<u8>| wanted.iter().any(|path| below(&path[1..], source).is_some());
        self.sources.as_ref().is_some_and(|sources| sources.iter().any(sent))
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
            Coverage::new(dir.path(), &own(&[source]), &[]).unwrap().is_part_of(&wanted)
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
}
