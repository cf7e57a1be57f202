//! From resolved targets to finished images: what to build (plain, printable), then building it.

pub mod outcome;
pub mod plan;
pub mod request;
pub mod spec;
pub mod target;
