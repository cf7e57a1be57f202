//! How large the images were that recorded builds made, from the ledger: a line for each.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tokio::task::JoinHandle;

use super::past::{Place, incomparable, left_out, made, unlisted};
use crate::history::{ReadError, Store};
use crate::image_reference::familiar;
use crate::inventory::EngineFacts;

/// Builds that are read at most, the newest.
const BUILDS: usize = 500;

/// Sizes of images over builds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SizeHistory {
    /// When the builds started, the oldest first.
    pub builds: Vec<Timestamp>,
    /// An image each, by service.
    pub lines: Vec<SizeLine>,
    /// Why there are no builds, or not all.
    pub note: Option<String>,
}

/// The sizes that one image had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SizeLine {
    /// Service.
    pub service: String,
    /// Stage that was built, where not the last one.
    pub stage: Option<String>,
    /// The image's name.
    pub reference: String,
    /// Place in [`SizeHistory::builds`] and size, the oldest first.
    pub sizes: Vec<(usize, u64)>,
}

/// Reads the builds of a project whose sizes can be compared with what is on the engine now, on a thread of its own.
pub fn size_history(
    ledger: Option<&PathBuf>,
    project: &str,
    directory: Option<&Path>,
    engine: &EngineFacts,
) -> JoinHandle<SizeHistory> {
    let (ledger, project) = (ledger.cloned(), project.to_owned());
    let place = Place::new(directory, engine);
    let incomparable = incomparable(engine);
    tokio::task::spawn_blocking(move || match (ledger, incomparable) {
        (_, Some(why)) => SizeHistory { note: Some(why.to_owned()), ..SizeHistory::default() },
        (Some(directory), None) => read(&Store::open(directory), &project, &place),
        (None, None) => SizeHistory {
            note: Some("builds are not remembered here: there is no place for it".to_owned()),
            ..SizeHistory::default()
        },
    })
}

fn read(store: &Store, project: &str, place: &Place) -> SizeHistory {
    let mut builds = match store.entries(project) {
        Ok(builds) => builds,
        Err(error) => {
            return SizeHistory { note: Some(unlisted(&error)), ..SizeHistory::default() };
        }
    };
    builds.truncate(BUILDS);
    builds.reverse();
    let mut history = SizeHistory::default();
    let mut unread = Vec::new();
    for build in builds {
        match build.read() {
            Ok(entry) if place.is_of(&entry) => {
                let started = entry.started;
                let mut images = made(entry).peekable();
                if images.peek().is_some() {
                    history.builds.push(started);
                }
                for image in images {
                    history.add(image);
                }
            }
            Ok(_) | Err(ReadError::Gone(_)) => {}
            Err(error) => unread.push(error.to_string()),
        }
    }
    history.lines.sort_by(|a, b| {
        let key = |line: &SizeLine| (line.service.clone(), line.stage.clone());
        key(a).cmp(&key(b))
    });
    history.note = left_out(&unread);
    history
}

impl SizeHistory {
    /// Adds an image of the last build.
    fn add(&mut self, image: super::PastImage) {
        let build = self.builds.len() - 1;
        let is_its = |line: &&mut SizeLine| {
            line.service == image.service
                && line.stage == image.stage
                && familiar(&line.reference) == familiar(&image.reference)
        };
        match self.lines.iter_mut().find(is_its) {
            Some(line) => line.sizes.push((build, image.size_bytes)),
            None => self.lines.push(SizeLine {
                service: image.service,
                stage: image.stage,
                reference: image.reference,
                sizes: vec![(build, image.size_bytes)],
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::history::Outcome;
    use crate::test_engine::engine_facts;
    use crate::test_history::{build, epoch};

    fn at(engine: &str) -> Place {
        let engine = EngineFacts {
            id: engine.to_owned(),
            ..engine_facts(crate::inventory::Store::GraphDriver)
        };
        Place::new(Some(Path::new("/srv/p")), &engine)
    }

    #[test]
    fn builds_of_this_engine_and_directory_make_a_line_for_each_image() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path());
        for hour in 1..=9 {
            let outcome = if hour == 4 { Outcome::Failed } else { Outcome::Succeeded };
            let mut entry = build(hour, outcome, Vec::new());
            entry.engine.id = if hour == 2 { "other" } else { "E" }.to_owned();
            entry.targets[0].size_bytes = Some(u64::from(hour));
            match hour {
                3 => entry.project_directory = "/srv/q".to_owned(),
                // An image of a stage is another one.
                5 => entry.targets[0].inputs.stage = Some("test".to_owned()),
                // The same under a name in full.
                6 => entry.targets[0].image = "docker.io/library/p-api:latest".to_owned(),
                // A build whose image nobody measured.
                7 => entry.targets[0].size_bytes = None,
                _ => {}
            }
            store.append(&entry).unwrap();
        }
        let history = read(&store, "p", &at("E"));
        assert_eq!(history.note, None);
        let hour = |at: &Timestamp| at.duration_since(epoch()).as_hours();
        let hours: Vec<i64> = history.builds.iter().map(hour).collect();
        assert_eq!(hours, [1, 5, 6, 8, 9]);
        let lines: Vec<_> =
            history.lines.iter().map(|line| (line.stage.as_deref(), &line.sizes)).collect();
        let main = vec![(0, 1), (2, 6), (3, 8), (4, 9)];
        assert_eq!(lines, [(None, &main), (Some("test"), &vec![(1, 5)])]);
        assert_eq!(read(&store, "p", &at("")).builds, []);
        assert_eq!(read(&store, "nothing", &at("E")), SizeHistory::default());
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let note = read(&Store::open(file.path()), "p", &at("E")).note.unwrap();
        assert!(note.starts_with("earlier builds unknown: failed to read "), "{note}");
    }
}
