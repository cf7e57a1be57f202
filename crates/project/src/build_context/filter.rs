//! What a transfer includes: the engine's include and exclude patterns and wanted paths.
//!
//! The rules are fsutil's, so that an entry is sent exactly where buildx would send it.

use crate::build_context::follow_links::{self, FollowError};
use crate::build_context::glob::PatternError;
use crate::build_context::patterns::{MatchInfo, PatternMatcher};
use crate::build_context::root::Root;

/// What the engine asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct FilterRequest {
    /// Only what matches is sent; empty means everything.
    pub include: Vec<Vec<u8>>,
    /// What is not sent: `.dockerignore`.
    pub exclude: Vec<Vec<u8>>,
    /// Paths that are wanted with the symlinks they lead over; empty means everything.
    pub follow: Vec<Vec<u8>>,
}

impl FilterRequest {
    /// The paths that are wanted; everything where there are none.
    pub fn wanted(&self) -> &[Vec<u8>] {
        if self.follow.is_empty() { &self.include } else { &self.follow }
    }
}

/// Why a request cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// A malformed pattern.
    #[error("invalid {which} patterns")]
    Pattern {
        /// "include" or "exclude".
        which: &'static str,
        /// The pattern.
        source: PatternError,
    },
    /// The wanted paths cannot be resolved.
    #[error(transparent)]
    Follow(#[from] FollowError),
}

/// A compiled [`FilterRequest`].
#[derive(Debug, Default)]
pub struct Filter {
    include: Option<Side>,
    exclude: Option<Side>,
}

#[derive(Debug)]
struct Side {
    matcher: PatternMatcher,
    /// The literal beginnings of the patterns that could bring an entry back into the transfer,
    /// each with a slash at the end, sorted; `None` if one of them is not literal, so that no directory
    /// can be left out unseen.
    prefixes: Option<Vec<Vec<u8>>>,
}

/// What a directory hands down to its entries.
#[derive(Debug, Clone, Default)]
pub(crate) struct ParentMatch {
    include: MatchInfo,
    exclude: MatchInfo,
}

/// What to do with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Send it.
    Send,
    /// Do not send it, but look at what is below.
    Pass,
    /// Neither it nor anything below can be part of the transfer.
    Skip,
}

impl Filter {
    /// Resolves the wanted paths against `root` and compiles all patterns.
    ///
    /// # Errors
    /// A malformed pattern, or a directory that cannot be read while resolving.
    pub fn new(root: &Root, request: &FilterRequest) -> Result<Self, FilterError> {
        let mut include = request.include.clone();
        if !request.follow.is_empty()
            && let Some(targets) = follow_links::resolve(root, &request.follow)?
        {
            include.extend(targets);
            // The root among the wanted paths lifts the filter.
            include = follow_links::without_covered(include).unwrap_or_default();
        }
        Ok(Self {
            include: Side::new("include", &include, false)?,
            exclude: Side::new("exclude", &request.exclude, true)?,
        })
    }

    /// Decides about `path`. `parent` is what this wrote for the directory above, `None` at the
    /// top; `inherited` receives what holds below `path`.
    pub(crate) fn judge(
        &self,
        path: &[u8],
        is_dir: bool,
        parent: Option<&ParentMatch>,
        inherited: &mut ParentMatch,
    ) -> Decision {
        let mut verdict = Decision::Send;
        if let Some(side) = &self.include {
            let parent = parent.map(|parent| &parent.include);
            if !side.matcher.matches_below(path, parent, &mut inherited.include) {
                if is_dir && !side.may_return_below(path) {
                    return Decision::Skip;
                }
                verdict = Decision::Pass;
            }
        }
        if let Some(side) = &self.exclude {
            let parent = parent.map(|parent| &parent.exclude);
            if side.matcher.matches_below(path, parent, &mut inherited.exclude) {
                if is_dir && !side.may_return_below(path) {
                    return Decision::Skip;
                }
                verdict = Decision::Pass;
            }
        }
        verdict
    }
}

impl Side {
    fn new(
        which: &'static str,
        patterns: &[Vec<u8>],
        exceptions: bool,
    ) -> Result<Option<Self>, FilterError> {
        if patterns.is_empty() {
            return Ok(None);
        }
        let matcher = PatternMatcher::new(patterns)
            .map_err(|source| FilterError::Pattern { which, source })?;
        let back = matcher.patterns().iter().filter(|it| it.is_exception() == exceptions);
        let mut prefixes: Option<Vec<Vec<u8>>> =
            back.map(|pattern| literal_prefix(pattern.text())).collect();
        if let Some(prefixes) = &mut prefixes {
            prefixes.sort_unstable();
        }
        Ok(Some(Self { matcher, prefixes }))
    }

    fn may_return_below(&self, dir: &[u8]) -> bool {
        let Some(prefixes) = &self.prefixes else { return true };
        let below = [dir, b"/"].concat();
        let first = prefixes.partition_point(|prefix| *prefix < below);
        prefixes.get(first).is_some_and(|prefix| prefix.starts_with(&below))
    }
}

/// The pattern without a glob at its end, with a slash; `None` if a wildcard is left in it.
fn literal_prefix(pattern: &[u8]) -> Option<Vec<u8>> {
    let pattern = pattern.strip_suffix(b"/**").unwrap_or(pattern);
    let pattern = pattern.strip_suffix(b"/*").unwrap_or(pattern);
    if pattern.iter().any(|b| b"*[]?^\\".contains(b)) {
        return None;
    }
    Some([pattern, b"/"].concat())
}
