//! Where caches are kept: a folder, as it is named on the command line, and its lock.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cache_mounts::manifest::{self, Manifest};
use crate::error::{CommandError, ExitKind};
use crate::files::read;
use crate::signal::Interrupt;
use crate::targets::spec::Typed;

/// How often a lock is tried that somebody else has.
const RETRY: Duration = Duration::from_millis(200);

/// Reads `DIR`, or `type=local,KEY=DIR`.
pub(super) fn parse(text: &str, key: &str) -> Result<PathBuf, String> {
    let is_typed = text.split(',').any(|field| field.starts_with("type="));
    let path = match is_typed {
        false => text.to_owned(),
        true => {
            let typed = Typed::cache(text).map_err(|error| error.to_string())?;
            if typed.kind != "local" {
                return Err(format!("caches are kept in folders: type=local,{key}=DIR"));
            }
            if let Some(other) = typed.attrs.keys().find(|it| *it != key) {
                return Err(format!("which has {other} beside {key}"));
            }
            typed.attrs.get(key).cloned().unwrap_or_default()
        }
    };
    if path.is_empty() { Err("which names no folder".to_owned()) } else { Ok(path.into()) }
}

/// The manifest in a folder; `None` where there is none.
pub(super) fn read(folder: &Path) -> Result<Option<Manifest>, CommandError> {
    let path = folder.join(manifest::FILE);
    let failed = || format!("failed to read {}", path.display());
    match read::bytes(&path, manifest::LIMIT) {
        Ok(text) => Manifest::read(&text)
            .map(Some)
            .map_err(|error| CommandError::new(ExitKind::Failed, failed()).caused_by(error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CommandError::new(ExitKind::Failed, failed()).caused_by(error)),
    }
}

/// A folder that this run alone writes to: the kernel takes the lock back when it ends, however it ends.
pub(super) struct Folder<'a> {
    pub(super) path: &'a Path,
    _lock: File,
}

impl<'a> Folder<'a> {
    /// Makes the folder where it is missing, and waits for another run that writes to it.
    pub(super) async fn for_writing(
        path: &'a Path,
        interrupt: &Interrupt,
    ) -> Result<Self, CommandError> {
        fs_err::create_dir_all(path).map_err(|error| cannot(path, error))?;
        let lock = File::open(path).map_err(|error| cannot(path, error))?;
        // File systems without locks are used without.
        while matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                () = interrupt.token().cancelled() => {
                    let message = format!("interrupted: another run is saving to {}", path.display());
                    return Err(CommandError::new(ExitKind::Interrupted, message));
                }
            }
        }
        super::sweep(path);
        Ok(Self { path, _lock: lock })
    }
}

pub(super) fn cannot(path: &Path, error: io::Error) -> CommandError {
    CommandError::new(ExitKind::Failed, format!("failed to write to {}", path.display()))
        .caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_named_in_two_ways() {
        for (text, expected) in [
            ("cache", Some("cache")),
            ("type=local,dest=a b", Some("a b")),
            ("a=b", Some("a=b")),
            ("", None),
            ("type=local", None),
            ("type=local,src=x", None),
            ("type=local,dest=x,mode=max", None),
            ("type=registry,ref=x", None),
            ("dest=x,type=gha", None),
        ] {
            let parsed = parse(text, "dest");
            assert_eq!(parsed.as_deref().ok(), expected.map(Path::new), "{text}: {parsed:?}");
        }
    }
}
