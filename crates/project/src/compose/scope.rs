//! What the files of one model share. Knows no file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What the files of one model share: the directory of relative paths and the variables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) directory: &'a Path,
    pub(super) environment: &'a BTreeMap<String, String>,
    /// What a leading `~` of a path stands for.
    pub(super) home: Option<&'a str>,
    /// Names of variables that are set and not UTF-8.
    pub(super) not_utf8: &'a BTreeSet<String>,
}
