//! The Docker Engine: one dialer for everything, and the Engine API as far as this tool needs it.

pub mod api;
pub mod connector;
pub mod docker_config;
mod transport;

pub use api::{Engine, EngineError, ImageFacts, RegistryCredentials, registry_of};
pub use connector::{ConnectError, ConnectErrorKind, Connector, ConnectorSettings, Stream};
