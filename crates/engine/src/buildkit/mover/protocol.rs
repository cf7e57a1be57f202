//! What is asked of the step, and what it answers. The other side is `helpers/mover`.
//!
//! The step hears `h` when its connection has been taken, and says `d2m1`, the number of its mount and `k`, or `e` and why
//! not. Then it is told: `L` lists, `S` lists and sends contents, `P` the same with contents of some files only, `R` takes
//! entries, `Q` ends. Entries end with `z`.

use std::io;

use super::connection::{Connection, LineEnd};
use crate::sight::{Entry, EntryKind};

/// Parts of a file with holes at most.
const MOST_PARTS: u32 = 100_001;

/// Why something was not moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// The line ended.
    #[error(transparent)]
    LineEnd(#[from] LineEnd),
    /// The step said so.
    #[error("{what}{}{}", if path.is_empty() { "" } else { " " }, path)]
    Step {
        /// What it was at, and what the system said.
        what: String,
        /// The path in the mount; empty for the mount itself.
        path: String,
        /// The system's number.
        code: i32,
    },
    /// A file became shorter while it was read: a build is using the mount.
    #[error("{path} changed while it was read: a build is using the mount")]
    Changed {
        /// The file.
        path: String,
    },
    /// What the contents went to, or came from.
    #[error(transparent)]
    Local(#[from] io::Error),
}

/// What the step says of a mount whose exchange ended halfway.
const HALF_RESTORED: &str = "half restored";

impl MoveError {
    /// Whether an exchange of the mount ended halfway: whoever writes to it completes it, or takes it back.
    pub fn is_half_restored(&self) -> bool {
        matches!(self, Self::Step { what, .. } if what.starts_with(HALF_RESTORED))
    }
}

/// What takes entries with their contents.
pub trait Contents {
    /// An entry; for a file also where its data are, start and length of each part. What follows until the next one is
    /// that data.
    ///
    /// # Errors
    /// It cannot be taken.
    fn entry(&mut self, entry: &Entry, parts: &[(u64, u64)]) -> io::Result<()>;
    /// Data of the last entry.
    ///
    /// # Errors
    /// It cannot be taken.
    fn data(&mut self, data: &[u8]) -> io::Result<()>;
}

/// How a restore ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// What came takes the place of what was there.
    Replace,
    /// What came is added where nothing was.
    Merge,
    /// Nothing happens.
    Abandon,
}

impl End {
    fn word(self) -> &'static [u8] {
        match self {
            Self::Replace => b"C",
            Self::Merge => b"M",
            Self::Abandon => b"A",
        }
    }
}

impl Connection {
    /// Waits until the mount is open.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn begin(&mut self) -> Result<(), MoveError> {
        self.answer()
    }

    /// Lists what is in the mount, the mount itself first.
    ///
    /// # Errors
    /// Something cannot be read.
    pub fn list(&mut self, mut each: impl FnMut(Entry)) -> Result<(), MoveError> {
        self.put(b"L")?;
        self.flush()?;
        while let Some(entry) = self.entry()? {
            each(entry);
        }
        Ok(())
    }

    /// Sends what is in the mount, without files that nobody has read or changed since then (in seconds).
    ///
    /// # Errors
    /// Something cannot be read, or not be taken.
    pub fn send(&mut self, since: i64, to: &mut impl Contents) -> Result<(), MoveError> {
        self.put(b"S")?;
        self.put(&since.to_le_bytes())?;
        self.contents(to)
    }

    /// The same, with files as left out whose bit is not set: a bit for each file of a list, which has files of several names
    /// once.
    ///
    /// # Errors
    /// Something cannot be read, or not be taken.
    pub fn send_chosen(&mut self, files: &[u8], to: &mut impl Contents) -> Result<(), MoveError> {
        self.put(b"P")?;
        self.put_text(files)?;
        self.contents(to)
    }

    fn contents(&mut self, to: &mut impl Contents) -> Result<(), MoveError> {
        self.flush()?;
        let mut parts = Vec::new();
        let mut changed = None;
        while let Some(entry) = self.entry()? {
            parts.clear();
            if entry.kind != EntryKind::File {
                to.entry(&entry, &parts)?;
                continue;
            }
            let count = self.u32()?;
            if count > MOST_PARTS {
                return Err(LineEnd.into());
            }
            for _ in 0..count {
                parts.push((self.u64()?, self.u64()?));
            }
            to.entry(&entry, &parts)?;
            for (_, length) in &parts {
                let mut rest = *length;
                while rest > 0 {
                    let data = self.some(rest)?;
                    rest -= data.len() as u64;
                    to.data(data)?;
                }
            }
            if self.byte()? != 0 {
                changed = Some(shown(&entry.path));
            }
        }
        // To the end, so that it can be asked for again.
        changed.map_or(Ok(()), |path| Err(MoveError::Changed { path }))
    }

    /// Begins to give the mount new entries.
    ///
    /// # Errors
    /// The line ended.
    pub fn receive(&mut self) -> Result<EntryWriter<'_>, MoveError> {
        self.put(b"R")?;
        Ok(EntryWriter { connection: self })
    }

    /// Nothing more is wanted.
    pub fn quit(mut self) {
        // Whoever has gone needs not be told.
        let _ = self.put(b"Q").and_then(|()| self.flush());
        // The step ends its side.
        while self.some(u64::MAX).is_ok() {}
    }

    fn entry(&mut self) -> Result<Option<Entry>, MoveError> {
        let kind = match self.byte()? {
            b'z' => return Ok(None),
            b'e' => return Err(self.refusal()?),
            b'f' => EntryKind::File,
            b'd' => EntryKind::Folder,
            b'l' => EntryKind::Link,
            b'h' => EntryKind::HardLink,
            b't' => EntryKind::LeftOut,
            b'o' => EntryKind::Other,
            _ => return Err(LineEnd.into()),
        };
        let (mode, uid, gid, nanoseconds) = (self.u32()?, self.u32()?, self.u32()?, self.u32()?);
        let (seconds, accessed) = (self.i64()?, self.i64()?);
        let (size, blocks) = (self.u64()?, self.u64()?);
        let modified = (seconds, nanoseconds);
        let (path, target) = (self.text()?, self.text()?);
        Ok(Some(Entry {
            kind,
            mode,
            uid,
            gid,
            modified,
            accessed,
            size,
            disk_bytes: blocks.saturating_mul(512),
            path,
            target,
        }))
    }

    fn refusal(&mut self) -> Result<MoveError, LineEnd> {
        let code = i32::try_from(self.u32()?).unwrap_or(0);
        let (what, path) = (self.text()?, self.text()?);
        let what = String::from_utf8_lossy(&what);
        let system = io::Error::from_raw_os_error(code).to_string();
        let system = system.split(" (os error").next().unwrap_or_default().to_lowercase();
        Ok(MoveError::Step { what: format!("{what}: {system}"), path: shown(&path), code })
    }

    fn answer(&mut self) -> Result<(), MoveError> {
        match self.byte()? {
            b'k' => Ok(()),
            b'e' => Err(self.refusal()?),
            _ => Err(LineEnd.into()),
        }
    }
}

/// New entries on their way to a mount: parents before what is in them.
pub struct EntryWriter<'a> {
    connection: &'a mut Connection,
}

impl EntryWriter<'_> {
    /// Adds an entry; for a file also where its data are, which follow.
    ///
    /// # Errors
    /// The step refused something, or the line ended.
    pub fn entry(&mut self, entry: &Entry, parts: &[(u64, u64)]) -> Result<(), MoveError> {
        let line = &mut *self.connection;
        if line.has_answer()? {
            line.answer()?;
            return Err(LineEnd.into());
        }
        let kind = match entry.kind {
            EntryKind::File => b"f",
            EntryKind::Folder => b"d",
            EntryKind::Link => b"l",
            EntryKind::HardLink => b"h",
            EntryKind::LeftOut | EntryKind::Other => return Ok(()),
        };
        self.put(kind)?;
        for number in [entry.mode, entry.uid, entry.gid, entry.modified.1] {
            self.put(&number.to_le_bytes())?;
        }
        self.put(&entry.modified.0.to_le_bytes())?;
        self.put_text(&entry.path)?;
        self.put_text(&entry.target)?;
        if entry.kind == EntryKind::File {
            self.put(&entry.size.to_le_bytes())?;
            self.put(&u32::try_from(parts.len()).map_err(|_| LineEnd)?.to_le_bytes())?;
            for (start, length) in parts {
                self.put(&start.to_le_bytes())?;
                self.put(&length.to_le_bytes())?;
            }
        }
        Ok(())
    }

    /// Data of the last entry.
    ///
    /// # Errors
    /// The step refused something, or the line ended.
    pub fn data(&mut self, data: &[u8]) -> Result<(), MoveError> {
        self.put(data)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), MoveError> {
        self.connection.put(bytes).map_err(|broken| self.why(broken))
    }

    fn put_text(&mut self, text: &[u8]) -> Result<(), MoveError> {
        self.connection.put_text(text).map_err(|broken| self.why(broken))
    }

    /// Why the line ended, where the step said it before.
    fn why(&mut self, broken: LineEnd) -> MoveError {
        match self.connection.answer() {
            Err(error @ MoveError::Step { .. }) => error,
            _ => broken.into(),
        }
    }

    /// All has come. Waits until the step has it, asks `end` how to go on, and waits until that is done.
    ///
    /// # Errors
    /// The step refused something, or the line ended. The mount is as it was then.
    pub fn finish(mut self, end: impl FnOnce() -> End) -> Result<(), MoveError> {
        self.put(b"z")?;
        if let Err(broken) = self.connection.flush() {
            return Err(self.why(broken));
        }
        self.connection.answer()?;
        self.connection.put(end().word())?;
        self.connection.flush()?;
        self.connection.answer()
    }
}

fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
