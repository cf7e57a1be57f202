//! From resolved targets to finished images: what to build (plain, printable), then building it.

pub mod executor;
mod failure;
pub mod metadata;
pub mod outcome;
pub mod plan;
pub mod request;
pub mod sessions;
pub mod spec;
pub mod target;
