//! BuildKit's gRPC: the session the engine calls back on, and the Control API.
//!
//! Wire types stay in here; the rest of the program sees plain options, statuses and errors.

mod control;
mod convert;
mod definition;
mod error_details;
mod gateway;
mod gc_policy;
mod graph;
mod image_digests;
mod linked;
pub mod measure;
pub mod mover;
mod resolve;
pub mod session;
mod solve;
mod step;
mod subrequest;
mod transport;
mod watched;
mod within;

pub use control::{
    About, CachedResult, Control, ListedBuilds, PastBuild, PastBuilds, RecordedBuild,
};
pub use convert::solve_status;
pub use definition::{Definition, vertices};
pub use error_details::SourceLocation;
pub use gc_policy::GcPolicy;
pub use graph::LocalSource;
pub use image_digests::DigestsError;
pub use linked::{LinkedResult, State};
pub use resolve::{Lookup, LookupFailure};
pub use solve::OVER_LIMIT;
pub use solve::{CacheEntry, ExporterSpec, SolveError, SolveOptions};
pub use transport::{HEADER_LIMIT, TransportError};

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// A fresh id for a session or build: 25 characters of `[a-z0-9]`, as BuildKit's `identity.NewID`.
pub fn new_ref() -> String {
    const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut id = String::with_capacity(25);
    while id.len() < 25 {
        // Each `RandomState` carries fresh keys of the standard library's seeded generator: unique
        // enough for names that only must not collide.
        let mut bits = RandomState::new().build_hasher().finish();
        for _ in 0..12 {
            if id.len() < 25 {
                id.push(ALPHABET[(bits % 36) as usize] as char);
                bits /= 36;
            }
        }
    }
    id
}
