//! What some engine says of itself, for tests of rooms that are given it.

use crate::inventory::{ApiVersion, EngineFacts, Store};

/// Some engine, on amd64.
pub(crate) fn engine_facts(store: Store) -> EngineFacts {
    EngineFacts {
        id: "e".into(),
        version: "28.5.2".into(),
        api_version: ApiVersion::v1(51),
        store,
        driver: "overlay2".into(),
        os: "linux".into(),
        architecture: "x86_64".into(),
        data_root: String::new(),
        host: String::new(),
        kernel: String::new(),
        cgroup_version: String::new(),
    }
}
