//! Whether a run has nothing to do, and what later ones can find that by.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tempfile::TempDir;
use tokio::time::timeout;

use super::{Memory, Ready, RunResult, bases, chain};
use crate::build_context::seal::SealedWalk;
use crate::buildkit::session::file_sync::SyncReport;
use crate::buildkit::{About, Control};
use crate::error::CommandError;
use crate::progress::outcome::TargetOutcome;
use crate::registry::logins::CredentialStore;
use crate::solve::site::{DockerEngine, NodeSite, Site};
use crate::up_to_date::{self, Builder, Origin, Proof, Question, TargetProof};

/// How long a builder may take to say that nothing has changed. A slower one is asked to solve, which takes no longer than it would
/// have, and knows what it means that nothing answers.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is there already.
pub struct UpToDate {
    /// Ids of images by the names of their targets, in the order of the plan.
    pub images: Vec<(String, String)>,
    /// When the engine last solved it.
    pub solved: Timestamp,
}

impl Ready<'_> {
    /// The images of the plan, where an earlier build proves that nothing has to be done for them.
    ///
    /// # Errors
    /// Ctrl-C or the end of `--timeout` came first.
    pub async fn up_to_date(&mut self) -> Result<Option<UpToDate>, CommandError> {
        let opened = OnceCell::new();
        let found = tokio::select! {
            found = self.find(&opened) => Ok(found),
            error = self.stopped() => Err(error),
        };
        if let (Site::Node(node), Some(opened)) = (&mut self.site, opened.into_inner()) {
            node.opened = Some(Box::new(opened));
        }
        found
    }

    /// The same. A builder that is asked is then `opened`.
    async fn find(&self, opened: &OnceCell<(Control, About)>) -> Option<UpToDate> {
        let question = self.question.as_ref()?;
        let (engine, node) = self.images_and_builder()?;
        let proofs = self.run.memory.as_ref()?.proofs()?;
        let builder = node.map(|node| node.connector.address());
        let at = up_to_date::Site { engine: engine.connector.address(), builder };
        let proof = Arc::new(proofs.answering(question, &at, Timestamp::now())?.clone());
        let over = Over::default();
        let (walked, is_over) = (proof.clone(), over.0.clone());
        let walking = tokio::task::spawn_blocking(move || {
            walked.files_are_the_same(SystemTime::now(), &|| is_over.load(Relaxed))
        });
        // The first that says no ends it.
        let walked = async { walking.await.unwrap_or(false).then_some(()).ok_or(()) };
        let images =
            async { images_are_the_same(engine, &proof, question).await.then_some(()).ok_or(()) };
        let builder = async {
            let is_same = match node {
                Some(node) => {
                    let asked = builder_is_the_same(node, &proof, self.run.app.logins(), opened);
                    timeout(PATIENCE, asked).await.unwrap_or(false)
                }
                None => true,
            };
            is_same.then_some(()).ok_or(())
        };
        tokio::try_join!(walked, images, builder).ok()?;
        let image = |name: &str| proof.targets.get(name).map(|target| target.image.clone());
        let steps = self.run.plan.steps.iter();
        let images = steps.flat_map(|step| {
            let image = image(&step.target.name).unwrap_or_default();
            let others = step.also_serves.iter().map(|other| &other.name);
            others.chain([&step.target.name]).map(move |name| (name.clone(), image.clone()))
        });
        Some(UpToDate { images: images.collect(), solved: proof.solved })
    }

    /// The engine that gets the images, and the builder that makes them, where that is another one.
    fn images_and_builder(&self) -> Option<(&DockerEngine, Option<&NodeSite>)> {
        match &self.site {
            Site::Engine(engine) => Some((engine, None)),
            Site::Node(node) => Some((&node.engine, Some(node))),
            Site::Nodes(_) => None,
        }
    }

    /// Ids of the base images that the Dockerfiles name, as they are now in the engine that builds.
    pub(super) async fn bases_now(&self) -> bases::Ids {
        match (&self.site, &self.question) {
            (Site::Engine(engine), Some(question)) => {
                bases::ids(question.bases(), &engine.engine).await
            }
            _ => bases::Ids::new(),
        }
    }

    /// Keeps what later runs can find to be as it was. `before` and `after` are the base images that the engine had at
    /// these times; a builder says itself which they were.
    pub(super) async fn prove(
        &self,
        finished: &RunResult,
        builder: Option<&About>,
        reports: &[Arc<SyncReport>],
        before: &bases::Ids,
        after: &bases::Ids,
    ) {
        let proofs = self.run.memory.as_ref().and_then(Memory::proofs);
        let (Some((engine, node)), Some(question), Some(proofs)) =
            (self.images_and_builder(), &self.question, proofs)
        else {
            return;
        };
        if !question.is_of(&self.run.plan) {
            return;
        }
        // Without an id it could not be told from another one.
        let told = builder.filter(|about| !about.worker.is_empty());
        let builder = node.zip(told).map(|(node, about)| known_by(node, about));
        let from = match (node, &builder) {
            (None, _) => Origin::Engine { before, after },
            (Some(_), Some(_)) => Origin::Builder,
            (Some(_), None) => return,
        };
        let bases = up_to_date::bases(question, &finished.trace, from);
        let (Some(bases), Some(targets)) = (bases, proven(question, finished)) else { return };
        let Some(walks) = self.walks(reports) else { return };
        let Ok(release) = engine.engine.version().await else { return };
        let proof = Proof {
            engine: engine.connector.address(),
            release,
            builder,
            solved: finished.started,
            targets,
            bases,
            walks,
        };
        if let Err(error) = proofs.keep(proof) {
            let ui = &self.run.app.ui;
            ui.warn(&format!("the next build is not spared if nothing changes: {}", chain(&error)));
        }
    }

    /// The directories that were read, but for those that inline Dockerfiles stood in.
    fn walks(&self, reports: &[Arc<SyncReport>]) -> Option<Vec<SealedWalk>> {
        let mut reports: Vec<_> = reports.iter().collect();
        reports.sort_by_key(|report| Arc::as_ptr(report));
        reports.dedup_by_key(|report| Arc::as_ptr(report));
        let mut walks = Vec::new();
        for report in reports {
            walks.extend(report.sealed(self.scratch.as_ref().map(TempDir::path))?);
        }
        Some(walks)
    }
}

/// Whether the engine is of the same release and has every image under the same name.
async fn images_are_the_same(engine: &DockerEngine, proof: &Proof, question: &Question) -> bool {
    let images = proof.images(question);
    let ids = bases::ids(images.keys().copied(), &engine.engine);
    let (release, ids) = tokio::join!(engine.engine.version(), ids);
    release.is_ok_and(|release| release == proof.release)
        && images.iter().all(|(name, id)| ids.get(*name).is_some_and(|found| found == id))
}

/// Whether the builder is still the same, and finds the same base images. It is then `opened`.
async fn builder_is_the_same(
    node: &NodeSite,
    proof: &Proof,
    logins: CredentialStore,
    opened: &OnceCell<(Control, About)>,
) -> bool {
    let Ok((control, about)) = node.introduce().await else { return false };
    let is_same = proof.builder.as_ref() == Some(&known_by(node, &about));
    let _ = opened.set((control.clone(), about));
    let bases = proof.bases.keys().map(String::as_str);
    is_same && control.image_digests(bases, logins).await.is_ok_and(|found| found == proof.bases)
}

/// How the builder is known again.
fn known_by(node: &NodeSite, about: &About) -> Builder {
    let About { version, worker, .. } = about.clone();
    Builder { address: node.connector.address(), worker, version }
}

/// What became of each target; `None` where one is not an image.
fn proven(question: &Question, finished: &RunResult) -> Option<BTreeMap<String, TargetProof>> {
    let proven = |(name, request): (&str, &str)| {
        let TargetOutcome::Built(image) = finished.outcome.targets.get(name)? else { return None };
        if image.id.is_empty() || image.references.is_empty() {
            return None;
        }
        let references = image.references.clone();
        let proven =
            TargetProof { request: request.to_owned(), image: image.id.clone(), references };
        Some((name.to_owned(), proven))
    };
    question.requests().map(proven).collect()
}

/// Ends a walk that nobody waits for any more.
#[derive(Default)]
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
