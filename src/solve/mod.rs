//! Targets to finished images: the plan and the requests (plain values), then sessions, the executor and its outcomes.

pub mod dockerfile_source;
pub mod engine_fit;
pub mod executor;
mod failure;
pub mod job;
pub mod metadata;
pub mod names;
pub mod oci_layout;
pub mod plan;
pub mod request;
pub mod sessions;
mod starting;
pub mod stores;
