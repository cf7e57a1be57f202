//! Files that change, as the operating system tells.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::error::{CommandError, ExitKind};

/// How long nothing may change before it counts as done: an editor writes more than once, a checkout many files.
const SETTLED: Duration = Duration::from_millis(300);

/// Tells of changes in some directories.
pub struct Changes {
    watcher: RecommendedWatcher,
    paths: mpsc::UnboundedReceiver<PathBuf>,
    directories: BTreeSet<PathBuf>,
}

impl Changes {
    /// Looks at nothing yet.
    ///
    /// # Errors
    /// The operating system does not tell of changes.
    pub fn new() -> Result<Self, CommandError> {
        let (sender, paths) = mpsc::unbounded_channel();
        let tell = move |event: notify::Result<notify::Event>| {
            // One that is lost is told of by the next; nobody listens any more where it cannot be sent.
            let Ok(event) = event else { return };
            if is_change(&event.kind) {
                event.paths.into_iter().for_each(|path| _ = sender.send(path));
            }
        };
        let watcher = notify::recommended_watcher(tell).map_err(failed)?;
        Ok(Self { watcher, paths, directories: BTreeSet::new() })
    }

    /// Looks at these directories, not at those in them, and at no others.
    ///
    /// # Errors
    /// There are more than the operating system looks at.
    pub fn look_at(&mut self, directories: BTreeSet<PathBuf>) -> Result<(), CommandError> {
        for gone in self.directories.difference(&directories) {
            // It may not be there any more.
            let _ = self.watcher.unwatch(gone);
        }
        for new in directories.difference(&self.directories) {
            match self.watcher.watch(new, RecursiveMode::NonRecursive) {
                Err(error) if new.is_dir() => return Err(failed(error)),
                _ => {}
            }
        }
        self.directories = directories;
        Ok(())
    }

    /// The paths that have changed, once nothing has for a moment.
    pub async fn settled(&mut self) -> BTreeSet<PathBuf> {
        let mut changed = BTreeSet::new();
        match self.paths.recv().await {
            Some(path) => _ = changed.insert(path),
            None => std::future::pending().await,
        }
        while let Ok(Some(path)) = timeout(SETTLED, self.paths.recv()).await {
            changed.insert(path);
        }
        changed
    }
}

/// Whether an image could become another one; that somebody reads a file is told, too.
fn is_change(kind: &EventKind) -> bool {
    match kind {
        EventKind::Create(_) | EventKind::Remove(_) => true,
        EventKind::Modify(what) => !matches!(what, ModifyKind::Other),
        EventKind::Any | EventKind::Access(_) | EventKind::Other => false,
    }
}

fn failed(error: notify::Error) -> CommandError {
    let is_full = matches!(error.kind, notify::ErrorKind::MaxFilesWatch);
    let error =
        CommandError::new(ExitKind::Failed, "failed to look for changed files").caused_by(error);
    match is_full {
        true => {
            error.hint("sysctl fs.inotify.max_user_watches says how many folders may be looked at")
        }
        false => error,
    }
}
