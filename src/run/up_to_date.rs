//! Whether a run has nothing to do, and what later ones can find that by.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::SystemTime;

use jiff::Timestamp;
use tempfile::TempDir;

use super::{Memory, Ready, RunResult, bases, chain};
use crate::build_context::seal::SealedWalk;
use crate::buildkit::session::file_sync::SyncReport;
use crate::error::CommandError;
use crate::progress::outcome::TargetOutcome;
use crate::solve::site::{DockerEngine, Site};
use crate::up_to_date::{self, Proof, Question, TargetProof};

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
    pub async fn up_to_date(&self) -> Result<Option<UpToDate>, CommandError> {
        tokio::select! {
            found = self.find() => Ok(found),
            error = self.stopped() => Err(error),
        }
    }

    async fn find(&self) -> Option<UpToDate> {
        let (Site::Engine(engine), Some(question)) = (&self.site, &self.question) else {
            return None;
        };
        let proofs = self.run.memory.as_ref()?.proofs()?;
        let address = engine.connector.address();
        let proof = Arc::new(proofs.answering(question, &address, Timestamp::now())?.clone());
        let over = Over::default();
        let (walked, is_over) = (proof.clone(), over.0.clone());
        let walking = tokio::task::spawn_blocking(move || {
            walked.files_are_the_same(SystemTime::now(), &|| is_over.load(Relaxed))
        });
        // The first of the two that says no ends it.
        let walked = async { walking.await.unwrap_or(false).then_some(()).ok_or(()) };
        let images =
            async { images_are_the_same(engine, &proof, question).await.then_some(()).ok_or(()) };
        tokio::try_join!(walked, images).ok()?;
        let image = |name: &str| proof.targets.get(name).map(|target| target.image.clone());
        let steps = self.run.plan.steps.iter();
        let images = steps.flat_map(|step| {
            let image = image(&step.target.name).unwrap_or_default();
            let others = step.also_serves.iter().map(|other| &other.name);
            others.chain([&step.target.name]).map(move |name| (name.clone(), image.clone()))
        });
        Some(UpToDate { images: images.collect(), solved: proof.solved })
    }

    /// Ids of the base images that the Dockerfiles name, as they are now.
    pub(super) async fn bases_now(&self) -> bases::Ids {
        match (&self.site, &self.question) {
            (Site::Engine(engine), Some(question)) => {
                bases::ids(question.bases(), &engine.engine).await
            }
            _ => bases::Ids::new(),
        }
    }

    /// Keeps what later runs can find to be as it was. `before` and `after` are the base images that the engine had at
    /// these times.
    pub(super) async fn prove(
        &self,
        finished: &RunResult,
        reports: &[Arc<SyncReport>],
        before: &bases::Ids,
        after: &bases::Ids,
    ) {
        let proofs = self.run.memory.as_ref().and_then(Memory::proofs);
        let (Site::Engine(engine), Some(question), Some(proofs)) =
            (&self.site, &self.question, proofs)
        else {
            return;
        };
        if !question.is_of(&self.run.plan) {
            return;
        }
        let bases = up_to_date::bases(question, &finished.trace, before, after);
        let (Some(bases), Some(targets)) = (bases, proven(question, finished)) else { return };
        let Some(walks) = self.walks(reports) else { return };
        let Ok(release) = engine.engine.version().await else { return };
        let proof = Proof {
            engine: engine.connector.address(),
            release,
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
