//! A project and the flags of a build, as targets: what to build, in plain values that can be printed.

pub mod as_buildx;
pub mod caches;
pub mod from_compose;
pub mod overrides;
pub mod print;
pub mod reference;
mod select;
pub mod spec;
pub mod target;

pub use from_compose::{COMPOSE_VERSION, TargetOptions, from_compose, image_name};
pub use print::print_json;
pub use target::{Compression, Target, TargetSet};
