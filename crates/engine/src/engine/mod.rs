//! The Docker Engine: one dialer for everything, and the Engine API as far as this tool needs it.

pub mod api;
mod build_cache;
pub mod connector;
mod containers;
mod disk_usage;
pub mod docker_config;
mod error;
mod events;
mod http;
mod images;
mod info;
mod load;
mod networks;
mod observe;
mod patience;
mod push;
pub mod removal;
mod transport;
mod values;
mod volumes;

pub use api::{Engine, ImageFacts, ImageLayers, RegistryCredentials, registry_of};
pub use connector::{
    ConnectError, ConnectErrorKind, Connector, ConnectorSettings, Kubectl, Stream, TlsFiles,
};
pub use disk_usage::DiskUsage;
pub(crate) use error::message_in;
pub use error::{EngineError, HttpError, TooLong};
pub(crate) use http::LONGEST_REFUSAL;
pub use images::chain_ids;
pub use info::Machine;
pub use patience::{TOO_SLOW, in_time};

/// How many requests run at a time: enough to hide a network's delay, and far from what an engine
/// or an ssh server's limit on new sessions (OpenSSH `MaxStartups` 10) would refuse.
const CONCURRENT_REQUESTS: usize = 6;
