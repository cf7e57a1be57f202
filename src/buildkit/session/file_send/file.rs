//! An export that is one stream of bytes: into a file or a stream.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bollard_buildkit_proto::moby::filesync::v1::BytesMessage;
use prost::Message;
use tempfile::NamedTempFile;

use super::{Incoming, Messages};

/// A file whose stream has ended, without its name so far.
#[derive(Debug)]
pub(super) struct Unnamed {
    file: NamedTempFile,
    target: PathBuf,
}

impl Unnamed {
    pub(super) fn name(self) -> Result<(), String> {
        let Self { file, target } = self;
        let named = file.persist(&target).map_err(|e| e.error);
        named.map(drop).map_err(|e| format!("cannot write {}: {e}", target.display()))
    }
}

/// Writes the stream beside `path`, whose name the file takes later; a device or FIFO is written to directly.
/// Answers the bytes written, and the file.
pub(super) fn write_file(
    path: &Path,
    messages: &mut Messages,
) -> Result<(u64, Option<Unnamed>), String> {
    let failed = |e: io::Error| format!("cannot write {}: {e}", path.display());
    // What a symlink leads to is replaced, not the link.
    let target = fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if let Ok(metadata) = fs_err::metadata(&target)
        && !metadata.is_file()
    {
        let mut file = fs_err::OpenOptions::new().write(true).open(&target).map_err(failed)?;
        return Ok((copy(&mut file, messages, path)?, None));
    }
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    fs_err::create_dir_all(parent).map_err(failed)?;
    let mut file = tempfile::Builder::new()
        .prefix(".doc2md-docker-")
        .suffix(".partial")
        // Lowered by the umask, as for any new file.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(parent)
        .map_err(failed)?;
    let bytes = copy(file.as_file_mut(), messages, path)?;
    Ok((bytes, Some(Unnamed { file, target })))
}

/// Writes to a stream; answers the bytes written.
pub(super) fn write_stream(stream: &mut dyn Write, messages: &mut Messages) -> Result<u64, String> {
    copy(stream, messages, Path::new("the output stream"))
}

fn copy(to: &mut dyn Write, messages: &mut Messages, path: &Path) -> Result<u64, String> {
    let failed = |e: io::Error| format!("cannot write {}: {e}", path.display());
    let mut total = 0;
    loop {
        match messages.blocking_recv() {
            Some(Incoming::Message(message)) => {
                let message = BytesMessage::decode(message)
                    .map_err(|e| format!("malformed export for {}: {e}", path.display()))?;
                to.write_all(&message.data).map_err(failed)?;
                total += message.data.len() as u64;
            }
            Some(Incoming::End) => {
                to.flush().map_err(failed)?;
                return Ok(total);
            }
            None => return Err(format!("the export to {} was cut off", path.display())),
        }
    }
}
