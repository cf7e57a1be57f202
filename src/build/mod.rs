//! From resolved targets to finished images: what to build (plain, printable), then building it.

pub mod as_buildx;
pub mod diagnose;
pub mod dockerfile_source;
pub mod engine_fit;
pub mod executor;
mod failure;
pub mod from_compose;
pub mod metadata;
pub mod names;
pub mod oci_layout;
pub mod overrides;
pub mod plan;
pub mod reference;
pub mod request;
mod select;
pub mod sessions;
pub mod spec;
mod starting;
pub mod stores;
pub mod target;

pub use from_compose::{
    COMPOSE_VERSION, TargetOptions, TargetSet, from_compose, image_name, print_json,
};
