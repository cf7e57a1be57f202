//! What is known of a project without asking an engine: its files, what they make of it, and what is remembered of its
//! builds. Nothing here waits for anybody, and nothing prints.

pub mod build_context;
pub mod check;
pub mod compose;
pub mod counted;
pub mod dockerfile;
pub mod error;
pub mod files;
pub mod history;
pub mod image_reference;
pub mod init;
pub mod labels;
pub mod lock;
pub mod nearest;
pub mod package_name;
pub mod progress;
pub mod redact;
pub mod remote;
pub mod size;
pub mod targets;
pub mod transfer;
