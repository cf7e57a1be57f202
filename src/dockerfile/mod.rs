//! Dockerfiles as far as errors need them: places, excerpts, nearest names.
//!
//! The engine parses Dockerfiles; this room only finds in them what an engine's message is about.
//! Everything is a pure function on text, and a file that cannot be parsed finds nothing.

mod args;
mod copies;
mod excerpt;
mod fingerprint;
mod history;
mod locate;
mod mounts;
mod nearest;
mod parse_error;
mod uses;

pub use args::{declared_args, is_predefined_arg};
pub use copies::CopySources;
pub use excerpt::{Place, excerpt};
pub use fingerprint::context_fingerprint;
pub use history::{history_instruction, history_lines, instructions};
pub use locate::{Outline, Span, locate, stages};
pub use mounts::{Beginning, CacheMountSpec, cache_mounts};
pub use nearest::{nearest, nearest_path};
pub use parse_error::parse_error;
pub use uses::{FileUse, file_uses};
