//! What builds would send of the directories on this machine, without a build: which files, why them, and who reads them.
//!
//! An ignore file decides what may be sent, and the Dockerfile's COPYs, ADDs and bind mounts what of it is wanted: the
//! engine asks for that alone. The rules are those of `build_context`; this room applies them as the engine would.

mod directories;
mod explain;
mod look;
mod model;
#[cfg(test)]
mod tests;

pub use directories::directories;
pub use explain::{Decision, PathAnswer, explain};
pub use look::{TransferError, files, look};
pub use model::{Amount, Part, Reader, SentPath, Transfer};
