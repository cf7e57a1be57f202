//! What tests against real engines share: the matrix of engines, throw-away projects, the docker CLI as an
//! oracle, waiting for conditions, and private engines that a test may break.
//!
//! A missing engine is a failure, never a skip: a green run means that every engine was tested.
// Each test binary uses a part of this.
#![allow(dead_code, unreachable_pub, unused_imports, clippy::unwrap_used)]

mod altered_socket;
pub mod browser;
mod buildkit_stand_in;
mod certificates;
mod chance;
mod counted_socket;
mod engine;
mod git_server;
pub mod http;
mod native_engine;
mod private_engine;
pub mod program;
mod project;
mod registry;
mod side_by_side;
mod slow_socket;
mod tls_server;
mod wait;
mod watched_socket;

pub use altered_socket::altered_socket;
pub use buildkit_stand_in::BuildkitStandIn;
pub use certificates::Authority;
pub use chance::Chance;
pub use counted_socket::CountedSocket;
pub use engine::{
    Engine, engine, engines, install_compose, newer_python, on_engines_where_prunes_matter,
    on_every_engine, own_python, text,
};
pub use git_server::GitServer;
pub use native_engine::NativeEngine;
pub use private_engine::PrivateEngine;
pub use project::Project;
pub use registry::{PASSWORD, Registry, USER};
pub use side_by_side::{in_short, side_by_side};
pub use slow_socket::{MEASURING, SlowSocket};
pub use wait::{eventually, eventually_or_why};
pub use watched_socket::watched_socket;

/// A base image with a static busybox, imported by `scripts/engine base`: nothing is pulled.
pub const BUSYBOX: &str = "doc2md/base:busybox";
/// A base image with Python, pip, venv and the machine's CA bundle, made from Debian's packages.
pub const PYTHON: &str = "doc2md/python-base:bookworm";
