//! What became of each mount, for whoever shows it.

use jiff::Timestamp;
use serde::Serialize;

use super::list::Content;
use super::transfer::MountError;
use super::{CacheMount, RestoreResult, SavedMount, Use};
use crate::counted::{agreed, counted};

/// Name and version of the document.
pub const SCHEMA: &str = "doc2md-docker/cache-mounts/v1";

/// What to say of things that are neither files nor folders.
pub fn not_kept(things: u64) -> String {
    let (are, files) = (agreed(&things, "is", "are"), agreed(&things, "file", "files"));
    format!("{} that {are} no {files} {are} not kept", counted(things, "thing"))
}

/// What became of a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It holds something.
    Present,
    /// It holds nothing.
    Empty,
    /// The engine has no such mount.
    Absent,
    /// It was used, and nothing else.
    Kept,
    /// It was written.
    Saved,
    /// It is what is saved, or what is to be restored.
    Unchanged,
    /// It was filled.
    Restored,
    /// It holds something, and was left alone.
    Occupied,
    /// Moving it takes longer than it saves.
    NotWorth,
    /// Nothing of it is saved.
    Unsaved,
    /// It was left alone.
    Skipped,
    /// Something went wrong.
    Failed,
}

/// A mount, and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct MountReport {
    /// As it stands in Dockerfiles, with a namespace before it where there is one.
    pub id: String,
    /// Where steps see it.
    pub target: String,
    /// What became of it.
    pub status: Status,
    /// Why.
    pub reason: Option<String>,
    /// How many files it has, or came.
    pub files: Option<u64>,
    /// Their bytes.
    pub bytes: Option<u64>,
    /// Bytes that it takes on the disk.
    pub disk_bytes: Option<u64>,
    /// When something in it was last read or changed.
    pub last_used_at: Option<Timestamp>,
    /// Bytes of its archive.
    pub archive_bytes: Option<u64>,
    /// The digest of its contents.
    pub digest: Option<String>,
    /// Seconds that builds take longer without it, or that at most.
    pub saves_seconds: Option<f64>,
    /// Seconds that moving it takes, there and back.
    pub moving_seconds: Option<f64>,
    /// Who uses it.
    pub users: Vec<Use>,
}

impl MountReport {
    /// A mount of which nothing is known yet.
    pub fn new(mount: &CacheMount, status: Status) -> Self {
        Self {
            id: mount.id.clone(),
            target: mount.target.clone(),
            status,
            reason: None,
            files: None,
            bytes: None,
            disk_bytes: None,
            last_used_at: None,
            archive_bytes: None,
            digest: None,
            saves_seconds: None,
            moving_seconds: None,
            users: mount.users.clone(),
        }
    }

    /// The same with a reason.
    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// The same with one more thing to say.
    #[must_use]
    pub fn also(mut self, more: &str) -> Self {
        self.reason = Some(match self.reason {
            Some(reason) => format!("{reason}; {more}"),
            None => more.to_owned(),
        });
        self
    }

    /// The same with what it holds.
    #[must_use]
    pub fn holding(mut self, content: &Content) -> Self {
        let counts = content.counts;
        self.files = Some(counts.files);
        self.bytes = Some(counts.bytes);
        self.disk_bytes = Some(counts.disk_bytes);
        self.last_used_at = counts.last_used.and_then(|it| Timestamp::from_second(it).ok());
        if counts.others > 0 && self.reason.is_none() {
            self.reason = Some(not_kept(counts.others));
        }
        self
    }

    /// The same with what is saved of it.
    #[must_use]
    pub fn saved_as(mut self, saved: &SavedMount) -> Self {
        self.archive_bytes = Some(saved.archives_bytes());
        self.digest = Some(saved.digest.clone());
        self
    }

    /// What looking into a mount told.
    pub fn of_list(mount: &CacheMount, listed: Result<Content, MountError>) -> Self {
        match listed {
            Ok(content) if content.is_empty => Self::new(mount, Status::Empty).holding(&content),
            Ok(content) => Self::new(mount, Status::Present).holding(&content),
            Err(error) => Self::new(mount, Status::Failed).because(error.to_string()),
        }
    }

    /// What became of a restore.
    pub fn of_restore(mount: &CacheMount, restored: Result<RestoreResult, MountError>) -> Self {
        match restored {
            Ok(RestoreResult::Same(content)) => {
                Self::new(mount, Status::Unchanged).holding(&content)
            }
            Ok(RestoreResult::Occupied(content)) => {
                let why = "it holds something else; --force replaces that, --merge keeps it and adds the rest";
                Self::new(mount, Status::Occupied).because(why).holding(&content)
            }
            Ok(RestoreResult::Written { files, bytes }) => {
                let (files, bytes) = (Some(files), Some(bytes));
                Self { files, bytes, ..Self::new(mount, Status::Restored) }
            }
            Err(error) => Self::new(mount, Status::Failed).because(error.to_string()),
        }
    }
}
