//! What `--caches` means for a request, until its engine is known.

use crate::buildkit::CacheEntry;
use crate::solve::stores::IndexUpdate;
use crate::targets::target::CacheValue;

/// The layer cache of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerCacheRequest {
    /// Where it is, as messages call it.
    pub place: String,
    /// What is written, or why nothing is.
    pub export: Result<CacheEntry, String>,
    /// What decides whether `mode=max` is worth it, where its user does not.
    pub value: Option<CacheValue>,
    /// What to enter into the index of a folder that was written.
    pub index_update: Option<IndexUpdate>,
}

impl LayerCacheRequest {
    /// It is only read. A reason that is known already stays.
    pub fn refuse(&mut self, why: &str) {
        if self.export.is_ok() {
            self.export = Err(why.to_owned());
        }
    }
}
