//! The build context on disk: `.dockerignore` patterns with Docker's semantics and the walk.
//!
//! Paths and patterns are bytes, slash-separated and relative to the context: file names on Unix
//! need not be UTF-8. The room knows the file system and nothing of the engine, the session or
//! the runtime: callers run the walk on a thread that may block.
//!
//! - [`patterns`]: `.dockerignore` and include patterns, compiled once; [`glob`]: Go's path rules
//!   they build on; [`ignore_file`]: reading and choosing the ignore file.
//! - [`root`]: opening things below a directory without ever following a symlink out of it.
//! - [`filter`]: what a transfer includes; [`follow_links`]: symlinks among the wanted paths.
//! - [`coverage`]: which entries a COPY or ADD covers.
//! - [`walk`]: the entries themselves, in the order the engine expects; [`stat`]: their metadata.
//! - [`seal`]: all of a walk in one digest, by which the next one is found to be the same.

pub mod coverage;
pub mod filter;
pub mod follow_links;
pub mod glob;
pub mod ignore_file;
pub mod patterns;
#[cfg(test)]
mod reference;
pub mod root;
pub mod seal;
pub mod stat;
pub mod walk;
