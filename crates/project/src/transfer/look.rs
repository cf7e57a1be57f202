//! Walks the directories of a target as a build of it would.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::model::{Amount, Part, Reader, Transfer};
use crate::build_context::coverage::Coverage;
use crate::build_context::filter::{Filter, FilterError, FilterRequest};
use crate::build_context::glob::PatternError;
use crate::build_context::ignore_file::{self, IgnoreFile};
use crate::build_context::patterns::PatternMatcher;
use crate::build_context::root::Root;
use crate::build_context::stat::Kind;
use crate::build_context::walk::{WalkError, walk};
use crate::dockerfile::{FileUse, file_uses};
use crate::targets::Target;

/// Why nobody can tell what would be sent.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The context or its ignore file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A pattern of an ignore file is malformed.
    #[error("{}:{line}", file.display())]
    Pattern {
        /// The ignore file.
        file: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What is wrong.
        source: PatternError,
    },
    /// A wanted path cannot be resolved.
    #[error("cannot tell what of {} is sent", directory.display())]
    Filter {
        /// The context.
        directory: PathBuf,
        /// Why.
        source: FilterError,
    },
    /// An entry cannot be read.
    #[error("cannot look through {}", directory.display())]
    Walk {
        /// The context.
        directory: PathBuf,
        /// Why.
        source: WalkError,
    },
}

/// A directory that a target reads, and what holds for it.
pub(super) struct Source {
    /// Empty for the build context.
    pub(super) name: String,
    pub(super) directory: PathBuf,
    pub(super) ignore_file: Option<IgnoreFile>,
    /// What reads it, with what is excluded there.
    pub(super) uses: Vec<(Reader, Vec<String>)>,
}

/// A Dockerfile: the name to show and its text.
pub(super) type Dockerfile<'a> = (&'a str, &'a str);

/// The directories of this machine that a build of `target` reads. A context that the engine fetches is none.
pub(super) fn sources(
    target: &Target,
    (file, text): Dockerfile<'_>,
) -> Result<Vec<Source>, TransferError> {
    let uses = file_uses(text, target.target.as_deref(), &target.args);
    let of_context = |name: &str| {
        let reads = |it: &FileUse| match it {
            FileUse::Reads { from, paths, exclude, line }
                if from.as_deref().unwrap_or_default() == name =>
            {
                let (file, paths) = (file.to_owned(), paths.clone());
                Some((Reader { file, line: *line, paths }, exclude.clone()))
            }
            _ => None,
        };
        uses.iter().filter_map(reads).collect::<Vec<_>>()
    };
    let mut contexts = vec![(String::new(), target.context.as_str())];
    contexts.extend(target.contexts.iter().map(|(name, source)| (name.clone(), source.as_str())));
    contexts.retain(|(_, source)| Path::new(source).is_absolute());
    let source = |(name, directory): (String, &str)| {
        let directory = PathBuf::from(directory);
        let dockerfile = (name.is_empty() && target.dockerfile_inline.is_none())
            .then(|| directory.join(target.dockerfile.as_deref().unwrap_or("Dockerfile")));
        let ignore_file = ignore_file::find(&directory, dockerfile.as_deref())
            .map_err(|source| TransferError::Unreadable { path: directory.clone(), source })?;
        ignore_file.as_ref().map_or(Ok(()), well_formed)?;
        Ok(Source { uses: of_context(&name), name, directory, ignore_file })
    };
    contexts.into_iter().map(source).collect()
}

/// Finds the line that is not a pattern.
fn well_formed(file: &IgnoreFile) -> Result<(), TransferError> {
    for (pattern, line) in file.patterns.iter().zip(&file.lines) {
        PatternMatcher::new([pattern]).map_err(|source| {
            let file = file.path.clone();
            TransferError::Pattern { file, line: *line, source }
        })?;
    }
    Ok(())
}

impl Source {
    fn root(&self) -> Result<Root, TransferError> {
        Root::open(&self.directory)
            .map_err(|source| TransferError::Unreadable { path: self.directory.clone(), source })
    }

    /// What the engine asks for: of what the ignore file lets through the paths that are read.
    fn request(&self, only_wanted: bool) -> FilterRequest {
        let wanted = self.uses.iter().flat_map(|(reader, _)| &reader.paths);
        FilterRequest {
            exclude: self.patterns().to_vec(),
            follow: match only_wanted {
                true => wanted.map(|path| path.clone().into_bytes()).collect(),
                false => Vec::new(),
            },
            ..FilterRequest::default()
        }
    }

    pub(super) fn patterns(&self) -> &[Vec<u8>] {
        self.ignore_file.as_ref().map_or(&[], |file| &file.patterns)
    }

    /// Calls `see` with the path of each entry that `request` lets through, and with the size of those that are not
    /// directories.
    fn walk(
        &self,
        request: &FilterRequest,
        mut see: impl FnMut(&[u8], Option<u64>),
    ) -> Result<(), TransferError> {
        let root = self.root()?;
        let directory = || self.directory.clone();
        let filter = Filter::new(&root, request)
            .map_err(|source| TransferError::Filter { directory: directory(), source })?;
        let walked = walk(&root, &filter, &mut |entry| {
            // A further name of a file is sent as a link to it.
            let is_content = entry.stat.kind == Kind::File && entry.link.is_empty();
            let size = if is_content { entry.stat.size } else { 0 };
            see(entry.path, (entry.stat.kind != Kind::Dir).then_some(size));
            Ok(())
        });
        walked.map_err(|source| TransferError::Walk { directory: directory(), source })
    }

    /// Calls `see` with the path of each entry that a build sends, and whether it is a directory.
    pub(super) fn see_wanted(&self, mut see: impl FnMut(&[u8], bool)) -> Result<(), TransferError> {
        if self.uses.is_empty() {
            return Ok(());
        }
        self.walk(&self.request(true), |path, bytes| see(path, bytes.is_none()))
    }

    /// Whether a build sends `path`, or something below it.
    pub(super) fn sends(&self, path: &[u8]) -> Result<bool, TransferError> {
        let mut is_sent = false;
        if !self.uses.is_empty() {
            self.walk(&self.request(true), |sent, _| {
                let below = sent.strip_prefix(path);
                is_sent |= path.is_empty()
                    || below.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"));
            })?;
        }
        Ok(is_sent)
    }

    /// What each reader covers; nothing of one that cannot be told.
    pub(super) fn coverages(&self) -> Vec<(&Reader, Option<Coverage>)> {
        let coverage = |(reader, exclude): &'_ (Reader, Vec<String>)| {
            Coverage::new(&self.directory, &reader.paths, exclude)
        };
        self.uses.iter().map(|it| (&it.0, coverage(it))).collect()
    }
}

/// What a build of `target` would send of each directory, by paths of at most `depth` elements. A directory that nothing
/// reads sends nothing.
///
/// # Errors
/// A context cannot be read, or a pattern is malformed.
pub fn look(
    target: &Target,
    dockerfile: (&str, &str),
    depth: usize,
) -> Result<Vec<Transfer>, TransferError> {
    let sources = sources(target, dockerfile)?;
    sources.iter().map(|source| transfer(target, source, depth)).collect()
}

/// Calls `see` with every file of the build context that a build of `target` sends: its path, its size, and the lines of the
/// instructions that read it. Returns the lines of all that read something of the context.
///
/// # Errors
/// Those of [`look`].
pub fn files(
    target: &Target,
    dockerfile: (&str, &str),
    mut see: impl FnMut(&[u8], u64, &[usize]),
) -> Result<Vec<usize>, TransferError> {
    let sources = sources(target, dockerfile)?;
    let Some(source) =
        sources.iter().find(|source| source.name.is_empty() && !source.uses.is_empty())
    else {
        return Ok(Vec::new());
    };
    let coverages = source.coverages();
    source.walk(&source.request(true), |path, bytes| {
        let Some(bytes) = bytes else { return };
        let covering = coverages.iter().filter(|(_, coverage)| {
            coverage.as_ref().is_some_and(|coverage| coverage.covers(path))
        });
        let lines: Vec<usize> = covering.map(|(reader, _)| reader.line).collect();
        see(path, bytes, &lines);
    })?;
    Ok(coverages.iter().map(|(reader, _)| reader.line).collect())
}

fn transfer(target: &Target, source: &Source, depth: usize) -> Result<Transfer, TransferError> {
    let mut let_through = Amount::default();
    source.walk(&source.request(false), |_, bytes| {
        bytes.into_iter().for_each(|bytes| let_through.add(bytes));
    })?;
    let coverages = source.coverages();
    let mut sent = Amount::default();
    let mut parts: BTreeMap<Vec<u8>, (Amount, BTreeSet<&Reader>)> = BTreeMap::new();
    if !coverages.is_empty() {
        source.walk(&source.request(true), |path, bytes| {
            let Some(bytes) = bytes else { return };
            sent.add(bytes);
            let (amount, readers) = parts.entry(part(path, depth)).or_default();
            amount.add(bytes);
            for (reader, coverage) in &coverages {
                if !readers.contains(reader)
                    && coverage.as_ref().is_some_and(|coverage| coverage.covers(path))
                {
                    readers.insert(reader);
                }
            }
        })?;
    }
    let mut parts: Vec<Part> = parts
        .into_iter()
        .map(|(path, (amount, readers))| {
            let mut readers: Vec<Reader> = readers.into_iter().cloned().collect();
            readers.sort_by_key(|reader| reader.line);
            Part { path: String::from_utf8_lossy(&path).into_owned(), amount, readers }
        })
        .collect();
    parts.sort_by(|a, b| (b.amount.bytes, &a.path).cmp(&(a.amount.bytes, &b.path)));
    Ok(Transfer {
        service: target.service.clone(),
        name: source.name.clone(),
        directory: source.directory.clone(),
        ignore_file: source.ignore_file.as_ref().map(|file| file.path.clone()),
        sent,
        let_through,
        parts,
    })
}

/// The first `depth` elements of a path, with a slash where there are more.
fn part(path: &[u8], depth: usize) -> Vec<u8> {
    let mut slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    let end = slashes.nth(depth.max(1) - 1).map_or(path.len(), |(at, _)| at + 1);
    path[..end].to_vec()
}
