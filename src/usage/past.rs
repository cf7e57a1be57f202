//! What the project's images were before, from the ledger.

use std::path::{Path, PathBuf};

use tokio::task::JoinHandle;

use super::facts::{CurrentImage, PastImage};
use crate::history::{Entry, Outcome, ReadError, Store, StoreError};
use crate::inventory::{ApiVersion, EngineFacts, Store as ImageStore};

/// Builds that are read at most: an image that never changed has no other before it.
const BUILDS: usize = 100;
/// From this on the containerd store tells a build how much its image takes on disk.
const SIZES_ON_DISK: ApiVersion = ApiVersion::v1(48);

/// Why earlier sizes cannot be compared there.
const ONLY_COMPRESSED: &str =
    "sizes of earlier builds unknown: this engine tells a build the compressed size alone";

/// Earlier images.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    /// Newest first.
    pub(super) images: Vec<PastImage>,
    /// What could not be read.
    pub(super) note: Option<String>,
}

/// Reads earlier builds on a thread of its own, until each image has another one before it.
pub(super) fn read_beside(
    ledger: Option<PathBuf>,
    project: &str,
    directory: Option<&Path>,
    current: Vec<CurrentImage>,
    engine: &EngineFacts,
) -> JoinHandle<Earlier> {
    let project = project.to_owned();
    let place = Place::new(directory, engine);
    let incomparable = incomparable(engine);
    tokio::task::spawn_blocking(move || match ledger {
        Some(_) if incomparable.is_some() => {
            Earlier { note: incomparable.map(str::to_owned), ..Earlier::default() }
        }
        Some(directory) => read(&Store::open(directory), &project, &place, &current),
        None => Earlier::default(),
    })
}

/// Why the sizes that builds noted on this engine are not sizes on its disk; `None` where they are.
pub(super) fn incomparable(engine: &EngineFacts) -> Option<&'static str> {
    let are_on_disk = engine.store != ImageStore::Containerd || engine.api_version >= SIZES_ON_DISK;
    (!are_on_disk).then_some(ONLY_COMPRESSED)
}

/// Where sizes can be compared.
pub(super) struct Place {
    /// Image ids and sizes differ between stores; the ids of engines tell them apart.
    engine: String,
    /// Two checkouts of a project are two projects of one name; `None` where the files are gone.
    directory: Option<PathBuf>,
}

impl Place {
    pub(super) fn new(directory: Option<&Path>, engine: &EngineFacts) -> Self {
        Self { engine: engine.id.clone(), directory: directory.map(canonical) }
    }

    pub(super) fn is_of(&self, entry: &Entry) -> bool {
        !self.engine.is_empty()
            && entry.engine.id == self.engine
            && !entry.project_directory.is_empty()
            && self.directory == Some(canonical(Path::new(&entry.project_directory)))
    }
}

/// The directory without links; as it is where it is gone.
fn canonical(directory: &Path) -> PathBuf {
    fs_err::canonicalize(directory).unwrap_or_else(|_| directory.to_owned())
}

fn read(store: &Store, project: &str, place: &Place, current: &[CurrentImage]) -> Earlier {
    let builds = match store.entries(project) {
        Ok(builds) => builds,
        Err(error) => return Earlier { note: Some(unlisted(&error)), ..Earlier::default() },
    };
    let mut images: Vec<PastImage> = Vec::new();
    let mut unread = Vec::new();
    for build in builds.iter().take(BUILDS) {
        let has_past = |now: &CurrentImage| images.iter().any(|past| now.follows(past));
        if current.iter().all(has_past) {
            break;
        }
        match build.read() {
            Ok(entry) if place.is_of(&entry) => images.extend(made(entry)),
            Ok(_) | Err(ReadError::Gone(_)) => {}
            Err(error) => unread.push(error.to_string()),
        }
    }
    Earlier { images, note: left_out(&unread) }
}

/// Why nothing can be read.
pub(super) fn unlisted(error: &StoreError) -> String {
    let why = std::error::Error::source(error).map(|why| format!(": {why}"));
    format!("earlier builds unknown: failed to {error}{}", why.unwrap_or_default())
}

/// What could not be read of the rest.
pub(super) fn left_out(unread: &[String]) -> Option<String> {
    unread.first().map(|first| match unread.len() - 1 {
        0 => format!("an earlier build is left out: {first}"),
        more => format!("earlier builds are left out: {first}, and {more} more"),
    })
}

/// Images that a build left in the engine.
pub(super) fn made(entry: Entry) -> impl Iterator<Item = PastImage> {
    let built = entry.targets.into_iter().filter(|target| target.outcome == Outcome::Succeeded);
    built.filter_map(|target| {
        let (id, size_bytes) = target.image_id.zip(target.size_bytes)?;
        Some(PastImage {
            service: target.service,
            reference: target.image,
            stage: target.inputs.stage,
            id,
            size_bytes,
        })
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use jiff::SignedDuration;

    use super::*;
    use crate::history::BuildId;
    use crate::test_history::{build, epoch};

    /// A ledger with a build for each (hour, engine, image id), of which none has the size of another.
    fn ledger(builds: &[(u32, &str, &str)]) -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path());
        for (hour, engine, image) in builds {
            let mut entry = build(*hour, Outcome::Succeeded, Vec::new());
            entry.engine.id = (*engine).to_owned();
            entry.targets[0].image_id = Some((*image).to_owned());
            entry.targets[0].size_bytes = Some(u64::from(*hour));
            store.append(&entry).unwrap();
        }
        (directory, store)
    }

    fn at(engine: &str) -> Place {
        Place { engine: engine.to_owned(), directory: Some("/srv/p".into()) }
    }

    fn now() -> [CurrentImage; 1] {
        let [service, reference, id] = ["api", "p-api", "now"].map(str::to_owned);
        [CurrentImage { service, reference, stage: None, id }]
    }

    fn sizes(earlier: &Earlier) -> Vec<u64> {
        earlier.images.iter().map(|image| image.size_bytes).collect()
    }

    #[test]
    fn reading_ends_at_another_image_of_the_same_engine() {
        let (_directory, store) = ledger(&[
            (1, "E", "a"),
            (2, "E", "b"),
            (3, "other", "c"),
            (4, "", "d"),
            (5, "E", "now"),
        ]);
        let earlier = read(&store, "p", &at("E"), &now());
        assert_eq!((sizes(&earlier), earlier.note), (vec![5, 2], None));
        assert!(read(&store, "p", &at(""), &now()).images.is_empty());
        assert!(read(&store, "elsewhere", &at("E"), &now()).images.is_empty());
        for directory in [Some("/srv/other".into()), None] {
            let elsewhere = Place { directory, ..at("E") };
            assert!(read(&store, "p", &elsewhere, &now()).images.is_empty());
        }
    }

    #[test]
    fn reading_ends_where_nothing_ever_changed() {
        let same: Vec<(u32, &str, &str)> =
            (1..=BUILDS as u32 + 1).map(|hour| (hour, "E", "now")).collect();
        let (_directory, store) = ledger(&same);
        assert_eq!(read(&store, "p", &at("E"), &now()).images.len(), BUILDS);
        assert!(read(&store, "p", &at("E"), &[]).images.is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let (directory, store) = ledger(&[(1, "E", "before")]);
        for hour in [2, 3] {
            let id = BuildId::new(epoch() + SignedDuration::from_hours(hour), "0000");
            std::fs::write(directory.path().join(format!("p/{id}.json")), "{").unwrap();
        }
        let earlier = read(&store, "p", &at("E"), &now());
        assert_eq!(sizes(&earlier), [1]);
        let note = earlier.note.unwrap();
        assert!(note.starts_with("earlier builds are left out: "), "{note}");
        assert!(note.ends_with(", and 1 more"), "{note}");
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        let note = read(&Store::open(file), "p", &at("E"), &[]).note.unwrap();
        assert!(note.starts_with("earlier builds unknown: failed to read "), "{note}");
    }
}
