//! Cache mounts that survive their engine: which there are, what they hold, and how that is kept elsewhere.
//!
//! [`mount`] finds the mounts of services in their Dockerfiles and among an engine's records, [`archive`] is the form in
//! which a mount is kept, [`manifest`] what is said of it, [`summary`] what tells whether something changed, [`value`] what
//! tells whether a mount is worth it. All of that is
//! pure. [`save`], [`restore`] and [`list`] work on one mount each, over a line to a step of the engine; [`transfer`] runs
//! that step, [`storage`] keeps archives, [`builds`] reads what recorded builds took. `docs/design/cache.md` has the rules.

pub mod archive;
mod base;
pub mod builds;
mod index;
mod layers;
mod list;
pub mod locks;
pub mod manifest;
pub mod mount;
mod parts;
pub mod report;
mod restore;
mod save;
pub mod storage;
mod stores;
pub mod summary;
pub mod transfer;
pub mod value;

pub use list::Content;
pub use manifest::{Manifest, SavedMount};
pub use mount::{CacheMount, Obstacle, Use};
pub use restore::{Existing, RestoreResult};
pub use save::{Archive, ArchiveFile, Destination, Form, SaveResult};
