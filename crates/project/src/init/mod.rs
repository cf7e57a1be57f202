//! Docker files for a project that has none: looks at a folder, decides what to write, writes it.
//!
//! Detection, rendering and the plan are pure; only [`tree::Tree::read`] and [`mod@write`] touch the disk.

pub mod apps;
#[cfg(test)]
mod corpus;
pub mod detect;
pub mod dockerfile;
pub mod files;
pub mod interpreter;
pub mod plan;
pub mod python;
pub mod requirements;
pub mod skeleton;
pub mod source;
pub mod template;
pub mod tree;
pub mod write;
