//! The engine's disk, where this machine has it.

use std::io::ErrorKind;
use std::path::Path;

use crate::engine::Connector;
use crate::inventory::EngineFacts;
use crate::sight::Disk;

/// Whether the engine's socket is on this machine, whatever is behind it: a look of its own is quick then.
pub fn is_near(connector: &Connector) -> bool {
    connector.address().starts_with("unix://")
}

/// The engine's disk, where that is this machine's. A socket can lead to another machine, or into a virtual one, and a
/// folder of that name can be here, too: so the engine has to name this machine and its kernel.
pub fn disk(connector: &Connector, engine: &EngineFacts) -> Option<Disk> {
    if !is_near(connector) || engine.data_root.is_empty() {
        return None;
    }
    // In a mount namespace of its own the engine sees another disk there. Without the right to look into the folder,
    // it is the engine's, which nobody else may look into.
    let part = Path::new(&engine.data_root).join("buildkit").symlink_metadata();
    if part.is_err_and(|error| error.kind() != ErrorKind::PermissionDenied) {
        return None;
    }
    let here = rustix::system::uname();
    let is_here = here.nodename().to_str() == Ok(engine.host.as_str())
        && here.release().to_str() == Ok(engine.kernel.as_str());
    let disk = rustix::fs::statvfs(engine.data_root.as_str()).ok().filter(|_| is_here)?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    Some(Disk {
        size_bytes: bytes(disk.f_blocks),
        free_bytes: bytes(disk.f_bfree),
        available_bytes: bytes(disk.f_bavail),
    })
}
