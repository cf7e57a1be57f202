//! The files of the ledger: `DIRECTORY/PROJECT/ID.json`, one for each build.
//!
//! Names sort by time, so the newest builds are found without opening any file. A file is written
//! aside and renamed: readers see it whole or not at all, and several runs never write the same
//! one, so there are no locks. What another program version wrote is left alone.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::files::{partial, read};
use crate::history::{BuildId, Entry, FingerprintKey, SCHEMA, StepResult};

/// What every schema of ours begins with; a number follows.
const SCHEMA_FAMILY: &str = "doc2md-docker/ledger/v";
/// The key of fingerprints, beside the folders of projects.
const KEY: &str = ".fingerprints.key";
/// How often a folder is made that another process removes because it is empty.
const TRIES: u32 = 100;

/// How much is kept. The newest build of a project always is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Builds of one project.
    pub builds: usize,
    /// Bytes of all projects together.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { builds: 200, bytes: 64 << 20 }
    }
}

/// The ledger in one directory. Opening it touches nothing.
#[derive(Debug, Clone)]
pub struct Store {
    directory: PathBuf,
}

/// A build in the ledger, not read yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildFile {
    /// Its project.
    pub project: String,
    /// Its id.
    pub id: BuildId,
    path: PathBuf,
}

/// The ledger cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused.
    #[error("{operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A name that compose would not give a project.
    #[error("{0:?} is not a project name")]
    Project(String),
    /// An entry that has no JSON form.
    #[error("write a build as JSON")]
    Json(#[source] serde_json::Error),
}

/// One build that cannot be read; others can.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It was removed since it was listed.
    #[error("build {0} was removed")]
    Gone(BuildId),
    /// A newer version of this program wrote it.
    #[error("build {id} was written by a newer doc2md-docker ({schema}); it is left alone")]
    Newer {
        /// Its id.
        id: BuildId,
        /// Its schema.
        schema: String,
    },
    /// It is not an entry of ours, or it is damaged.
    #[error("{} is damaged: {reason}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

#[derive(Deserialize)]
struct Header {
    schema: String,
}

impl BuildFile {
    /// Reads the build.
    ///
    /// # Errors
    /// It is gone, damaged, or of a newer version.
    pub fn read(&self) -> Result<Entry, ReadError> {
        let broken = |reason: String| ReadError::Broken { path: self.path.clone(), reason };
        let bytes = match read::bytes(&self.path, read::DOCUMENT) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ReadError::Gone(self.id.clone()));
            }
            Err(error) => return Err(broken(error.to_string())),
        };
        if bytes.is_empty() {
            return Err(broken("the file is empty".to_owned()));
        }
        let problem = match serde_json::from_slice::<Entry>(&bytes) {
            Ok(entry) if entry.schema == SCHEMA => return Ok(entry),
            Ok(_) => None,
            Err(error) => Some(error),
        };
        match serde_json::from_slice::<Header>(&bytes) {
            Ok(Header { schema }) if schema != SCHEMA => Err(match version(&schema) {
                Some(_) => ReadError::Newer { id: self.id.clone(), schema },
                None => broken(format!("its schema is {schema:?}")),
            }),
            _ => Err(broken(problem.map_or_else(String::new, |error| error.to_string()))),
        }
    }

    /// Bytes of its file.
    fn size(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len())
    }
}

fn version(schema: &str) -> Option<u32> {
    schema.strip_prefix(SCHEMA_FAMILY)?.parse().ok()
}

impl Store {
    /// The ledger in `directory`, which need not exist yet.
    pub fn open(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What tells values apart that are not kept. It is made when it is first asked for; `None` where that cannot be kept.
    pub fn fingerprint_key(&self) -> Option<FingerprintKey> {
        let path = self.directory.join(KEY);
        let read = || FingerprintKey::with_key(&std::fs::read(&path).ok()?);
        read().or_else(|| {
            let made = FingerprintKey::random().ok()?;
            let mut file = unfinished(&self.directory).ok()?;
            io::Write::write_all(file.as_file_mut(), made.key()).ok()?;
            // Of two runs that make one, the second takes that of the first.
            match file.persist_noclobber(&path) {
                Ok(()) => Some(made),
                Err(_) => read(),
            }
        })
    }

    /// Builds of a project, newest first. Reads names only.
    ///
    /// # Errors
    /// The directory cannot be read. A project without builds is not an error.
    pub fn entries(&self, project: &str) -> Result<Vec<BuildFile>, StoreError> {
        let folder = self.folder(project)?;
        let mut found: Vec<BuildFile> = names(&folder)?
            .into_iter()
            .filter_map(|name| {
                let id = BuildId::parse(name.strip_suffix(".json")?)?;
                Some(BuildFile { project: project.to_owned(), id, path: folder.join(&name) })
            })
            .collect();
        found.sort_unstable_by(|a, b| b.id.cmp(&a.id));
        Ok(found)
    }

    /// Names of the projects that have a folder, in order.
    ///
    /// # Errors
    /// The directory cannot be read. That there is none is not an error.
    pub fn all_projects(&self) -> Result<Vec<String>, StoreError> {
        let mut found = names(&self.directory)?;
        found.retain(|name| is_project(name) && self.directory.join(name).is_dir());
        found.sort_unstable();
        Ok(found)
    }

    /// Builds of all projects, newest first. Reads names only.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn all_entries(&self) -> Result<Vec<BuildFile>, StoreError> {
        let mut found = Vec::new();
        for project in self.all_projects()? {
            found.append(&mut self.entries(&project)?);
        }
        found.sort_unstable_by(|a, b| b.id.cmp(&a.id).then_with(|| a.project.cmp(&b.project)));
        Ok(found)
    }

    /// The newest builds of a project, at most `most`, and what could not be read on the way.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn newest(
        &self,
        project: &str,
        most: usize,
    ) -> Result<(Vec<Entry>, Vec<ReadError>), StoreError> {
        Ok(read_all(&self.entries(project)?, most))
    }

    /// Adds a build, and removes what killed processes left of theirs. When this returns, readers see it whole; after a crash of the machine it may
    /// be missing or damaged, since waiting for the disk would cost more than the build it tells of.
    ///
    /// # Errors
    /// The directory cannot be made or written.
    pub fn append(&self, entry: &Entry) -> Result<(), StoreError> {
        let folder = self.folder(&entry.project)?;
        let path = folder.join(format!("{}.json", entry.id));
        let mut text = serde_json::to_vec(entry).map_err(StoreError::Json)?;
        text.push(b'\n');
        partial::sweep(&folder);
        let write = || -> io::Result<()> {
            let mut file = unfinished(&folder)?;
            io::Write::write_all(file.as_file_mut(), &text)?;
            file.persist_noclobber(&path)?;
            Ok(())
        };
        write().map_err(failed("write", &path))
    }

    /// Removes a build; whether it was there. The folder goes with its last build.
    ///
    /// # Errors
    /// The file system refused.
    pub fn remove(&self, build: &BuildFile) -> Result<bool, StoreError> {
        let existed = match std::fs::remove_file(&build.path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(failed("remove", &build.path)(error)),
        };
        // A folder that is not empty stays; so does one that another run writes into.
        let _ = std::fs::remove_dir(self.folder(&build.project)?);
        Ok(existed)
    }

    /// Removes the oldest builds of `project` beyond the limits, and the oldest of all projects where
    /// together they take too much. Of the builds beyond the number
    /// the newest in which a step ran stays: it tells whose the step's cache record is, and what the
    /// step costs, however often it came from the cache since.
    ///
    /// # Errors
    /// The first thing that could not be listed or removed.
    pub fn retain(&self, project: &str, limits: Limits) -> Result<(), StoreError> {
        let builds = self.entries(project)?;
        if builds.len() > limits.builds.max(1) {
            let mut ran: HashSet<(String, String)> = HashSet::new();
            for (place, build) in builds.iter().enumerate() {
                let steps = build.read().map(|entry| steps_that_ran(&entry)).unwrap_or_default();
                let tells = steps.iter().any(|step| !ran.contains(step));
                ran.extend(steps);
                let beyond = place >= limits.builds.max(1);
                if beyond && (!tells || place >= 2 * limits.builds) {
                    self.remove(build)?;
                }
            }
        }
        let mut total = 0;
        let mut newest_of: Vec<String> = Vec::new();
        for build in self.all_entries()? {
            total += build.size();
            let first = !newest_of.contains(&build.project);
            if first {
                newest_of.push(build.project.clone());
            }
            if total > limits.bytes && !first {
                self.remove(&build)?;
            }
        }
        Ok(())
    }

    fn folder(&self, project: &str) -> Result<PathBuf, StoreError> {
        if is_project(project) {
            Ok(self.directory.join(project))
        } else {
            Err(StoreError::Project(project.to_owned()))
        }
    }
}

/// Target and name of the instructions that an entry saw run.
fn steps_that_ran(entry: &Entry) -> Vec<(String, String)> {
    let steps = entry
        .targets
        .iter()
        .flat_map(|target| target.steps.iter().map(|step| (target.name.clone(), step)));
    steps
        .filter(|(_, step)| step.result == StepResult::Ran && step.is_instruction())
        .map(|(target, step)| (target, step.name.clone()))
        .collect()
}

/// Reads builds in order until `most` were read; also answers what could not be read. What was
/// removed meanwhile is neither.
pub fn read_all(builds: &[BuildFile], most: usize) -> (Vec<Entry>, Vec<ReadError>) {
    let (mut entries, mut skipped) = (Vec::new(), Vec::new());
    for build in builds {
        if entries.len() == most {
            break;
        }
        match build.read() {
            Ok(entry) => entries.push(entry),
            Err(ReadError::Gone(_)) => {}
            Err(error) => skipped.push(error),
        }
    }
    (entries, skipped)
}

/// Names as compose normalises them, which also keeps a name from leading elsewhere.
fn is_project(name: &str) -> bool {
    let is_first = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= 255
        && name.bytes().next().is_some_and(is_first)
        && name.bytes().all(|byte| is_first(byte) || byte == b'-' || byte == b'_')
}

fn names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let read = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    };
    match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        answer => answer.map_err(failed("read", folder)),
    }
}

/// A file to write in `folder`, which is made where it is missing: again if another process that
/// removed the last build of it is faster.
fn unfinished(folder: &Path) -> io::Result<partial::PartialFile> {
    // Builds hold paths and arguments of the project: for the user's eyes only.
    let create = || partial::file(folder, 0o600);
    let mut tries = 0;
    loop {
        match create() {
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < TRIES => {
                tries += 1;
                let mut builder = std::fs::DirBuilder::new();
                builder.recursive(true);
                std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
                match builder.create(folder) {
                    // It was there and was removed before it could be looked at.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    made => made?,
                }
            }
            file => return file,
        }
    }
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { operation, path, source }
}

#[cfg(test)]
mod tests;
