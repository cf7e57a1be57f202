//! The Docker Engine: one dialer for everything, and the Engine API as far as this tool needs it.

pub mod connector;

pub use connector::{Connector, Stream};
