//! Questions that builds have answered, and the file that they are kept in.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::question::{Question, TargetQuestion};
use crate::build_context::seal::SealedWalk;
use crate::files::memory;

/// Images by reference in full.
pub type Bases = BTreeMap<String, String>;

/// Schema of the file.
const SCHEMA: &str = "doc2md-docker/proofs/v1";
/// Bytes of the file: some 70 for each thousand files of a context.
const LIMIT: u64 = 4 << 20;
/// Proofs of one directory: of different services, tags and arguments.
const KEPT: usize = 8;
/// The engine's garbage collection goes by last use, which a build that is not solved does not renew.
const FRESH: SignedDuration = SignedDuration::from_hours(24);

/// A question that a build has answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Where the engine is that has the images.
    pub engine: String,
    /// Its release.
    pub release: String,
    /// What made them, where that is not the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builder: Option<Builder>,
    /// When it was solved.
    pub solved: Timestamp,
    /// By name of the target.
    pub targets: BTreeMap<String, TargetProof>,
    /// Base images, by reference in full: their ids in the engine, or what the builder found at their registries.
    pub bases: Bases,
    /// Directories it read.
    pub walks: Vec<SealedWalk>,
}

/// BuildKit by itself, as a proof knows it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Builder {
    /// Where it is.
    pub address: String,
    /// Id of its worker, which goes with its cache.
    pub worker: String,
    /// Its release, where it tells it.
    pub version: Option<String>,
}

/// Where a question is asked: addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Of the engine that is to have the images.
    pub engine: String,
    /// Of the builder, where that is not the engine.
    pub builder: Option<String>,
}

/// One target of a proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetProof {
    /// Digest of what was asked for.
    pub request: String,
    /// Its image.
    pub image: String,
    /// What names it has.
    pub references: Vec<String>,
}

impl Proof {
    /// Whether it answers `question`, as far as that can be told without looking at files and images.
    pub fn answers(&self, question: &Question, at: &Site, now: Timestamp) -> bool {
        let is_proven = |(name, asked): (&String, &TargetQuestion)| {
            self.targets.get(name).is_some_and(|target| target.request == asked.request)
        };
        self.site() == *at
            && self.solved <= now
            && now.duration_since(self.solved) < FRESH
            && question.targets.iter().all(is_proven)
    }

    /// Where it was made.
    fn site(&self) -> Site {
        let builder = self.builder.as_ref().map(|builder| builder.address.clone());
        Site { engine: self.engine.clone(), builder }
    }

    /// What was asked for, of which targets.
    fn requests(&self) -> impl Iterator<Item = (&String, &String)> {
        self.targets.iter().map(|(name, target)| (name, &target.request))
    }

    /// The targets of `question`, in the order of their names.
    fn targets_in<'a>(&'a self, question: &'a Question) -> impl Iterator<Item = &'a TargetProof> {
        question.targets.keys().filter_map(|name| self.targets.get(name))
    }

    /// Every image that the engine has to have, by reference: what the targets of `question` are called, and bases, unless a
    /// builder has these from elsewhere.
    pub fn images<'a>(&'a self, question: &'a Question) -> BTreeMap<&'a str, &'a str> {
        let named = self.targets_in(question).flat_map(|target| {
            target.references.iter().map(|name| (name.as_str(), target.image.as_str()))
        });
        let bases = self.bases.iter().filter(|_| self.builder.is_none());
        named.chain(bases.map(|(name, id)| (name.as_str(), id.as_str()))).collect()
    }

    /// Whether all its directories are as they were. Reads them, until one differs or `is_over`.
    pub fn files_are_the_same(&self, now: SystemTime, is_over: &dyn Fn() -> bool) -> bool {
        self.walks.iter().all(|walk| walk.holds(now, is_over))
    }
}

/// The proofs of one project in one directory.
#[derive(Debug)]
pub struct Proofs {
    path: PathBuf,
    proofs: Vec<Proof>,
}

#[derive(Serialize, Deserialize)]
struct ProofFile {
    proofs: Vec<Proof>,
}

impl Proofs {
    /// Those below `folder` of `project` in `directory`.
    pub fn read(folder: &Path, project: &str, directory: &str) -> Self {
        let place = hex::encode(&Sha256::digest(directory)[..8]);
        let path = folder.join(format!("{project}-{place}.json"));
        let kept: Option<ProofFile> = memory::recall(&path, SCHEMA, LIMIT);
        Self { path, proofs: kept.map(|kept| kept.proofs).unwrap_or_default() }
    }

    /// The newest that answers `question`, see [`Proof::answers`].
    pub fn answering(&self, question: &Question, at: &Site, now: Timestamp) -> Option<&Proof> {
        self.proofs.iter().find(|proof| proof.answers(question, at, now))
    }

    /// Removes the files in `folder` that nobody wrote to while a proof could be of use.
    pub fn sweep(folder: &Path, now: Timestamp) {
        let Ok(files) = fs_err::read_dir(folder) else { return };
        for file in files.flatten() {
            let changed = file.metadata().and_then(|it| it.modified());
            let changed = changed.ok().and_then(|it| Timestamp::try_from(it).ok());
            if changed.is_some_and(|changed| now.duration_since(changed) > FRESH) {
                // The next one tries again.
                let _ = fs_err::remove_file(file.path());
            }
        }
    }

    /// Keeps `proof`, and forgets what it replaces: older ones of the same question, and the oldest where there are many.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn keep(mut self, proof: Proof) -> io::Result<()> {
        self.proofs
            .retain(|other| other.site() != proof.site() || !other.requests().eq(proof.requests()));
        self.proofs.insert(0, proof);
        self.proofs.truncate(KEPT);
        memory::keep(&self.path, SCHEMA, &ProofFile { proofs: self.proofs })
    }
}
