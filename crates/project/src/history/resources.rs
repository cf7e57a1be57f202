//! What a step took of the machine that it ran on.

use serde::{Deserialize, Serialize};

/// What the processes of a step used, as the engine sampled it. BuildKit samples where control groups are of version 2,
/// and of these what the machine lets it see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// Processor time of all processes, in user and system mode.
    pub cpu_seconds: f64,
    /// The most memory at a time, files that the kernel keeps in it included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// Read from disks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<u64>,
    /// Written to disks until it ended; what the kernel writes later is not in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_bytes: Option<u64>,
}
