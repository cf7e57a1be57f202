//! An export that is one stream of bytes: into a file or a stream.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bollard_buildkit_proto::moby::filesync::v1::BytesMessage;
use prost::Message;

use super::{Incoming, Messages};
use crate::files::partial::PartialFile;
use crate::files::write::{self, Sink};

/// A file whose stream has ended, without its name so far.
#[derive(Debug)]
pub(super) struct NamelessFile {
    file: PartialFile,
    target: PathBuf,
}

impl NamelessFile {
    pub(super) fn name(self) -> Result<(), String> {
        let Self { file, target } = self;
        let named = write::name(file, &target);
        named.map_err(|e| format!("cannot write {}: {e}", target.display()))
    }
}

/// Writes the stream beside `path`, whose name the file takes later; a device or FIFO is written to directly.
/// Returns the number of bytes written, and the file.
pub(super) fn write_file(
    path: &Path,
    messages: &mut Messages,
) -> Result<(u64, Option<NamelessFile>), String> {
    let failed = |e: io::Error| format!("cannot write {}: {e}", path.display());
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs_err::create_dir_all(folder).map_err(failed)?;
    }
    let mut stream = match Sink::find(path).map_err(failed)? {
        Sink::File(target) => {
            let mut file = write::beside(&target).map_err(failed)?;
            let bytes = copy(file.as_file_mut(), messages, path)?;
            return Ok((bytes, Some(NamelessFile { file, target })));
        }
        Sink::Fixed(target) => OpenOptions::new().write(true).truncate(true).open(target),
        Sink::Stdout | Sink::Stream(_) => OpenOptions::new().append(true).open(path),
    }
    .map_err(failed)?;
    Ok((copy(&mut stream, messages, path)?, None))
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
