//! The ledger beside a build: earlier builds for estimates, this one for later.
//!
//! No build fails because of it: what goes wrong is one warning.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::buildkit;
use crate::compose::Project;
use crate::engine::Engine;
use crate::environment::Environment;
use crate::history::record::{self, TargetFacts};
use crate::history::{
    BuildId, CollectionRule, EngineInfo, Entry, Limits, Store, StoreError, cleaned, past,
};
use crate::inventory::EngineFacts;
use crate::progress::estimate::Past;
use crate::progress::{RunSummary, RunTrace};
use crate::redact::Redactor;
use crate::up_to_date::Proofs;

/// Builds read for an estimate: enough for medians of ten.
const BUILDS: usize = 12;
/// Builds read to foresee what would run: enough to find a state that somebody went back to.
const FORECAST: usize = 100;
/// How long an answer of the engine is waited for once a build is over.
const PATIENCE: Duration = Duration::from_secs(2);
/// One build in so many looks for what is too much: listing every project costs more than a build.
const RETAIN_EVERY: i64 = 16;

/// Where a project's builds are remembered.
#[derive(Debug, Clone)]
pub struct Memory {
    store: Store,
    project: String,
    directory: String,
    /// Where proofs that nothing has to be built are kept, if they are.
    proofs: Option<PathBuf>,
    /// Where it is remembered when build cache was removed, if that is.
    cleaned: Option<PathBuf>,
}

impl Memory {
    /// The memory of `project`; `None` where there is no place for it: no home, and no
    /// DOC2MD_DOCKER_STATE_DIR.
    pub fn new(project: &Project, environment: &Environment) -> Option<Self> {
        Some(Self {
            store: Store::open(environment.ledger_directory()?),
            proofs: environment.proofs_directory(),
            cleaned: environment.cleaned_file(),
            project: project.name.clone(),
            directory: project.working_dir.display().to_string(),
        })
    }

    /// A memory of builds at a place of its own, and of nothing else.
    pub fn at(store: Store, project: &str) -> Self {
        let (project, directory) = (project.to_owned(), String::new());
        Self { store, project, directory, proofs: None, cleaned: None }
    }

    /// The directory of the project.
    pub(super) fn directory(&self) -> &str {
        &self.directory
    }

    /// What proves that builds have nothing to do.
    pub(super) fn proofs(&self) -> Option<Proofs> {
        Some(Proofs::read(self.proofs.as_deref()?, &self.project, &self.directory))
    }

    /// Reads earlier builds on a thread of its own. What cannot be read is as if it was not there.
    pub(super) fn past(&self) -> JoinHandle<Past> {
        let (store, project) = (self.store.clone(), self.project.clone());
        tokio::task::spawn_blocking(move || match store.newest(&project, BUILDS) {
            Ok((entries, _)) => past::past(&entries),
            Err(_) => Past::default(),
        })
    }

    /// The newest builds, this one among them; none where they cannot be read.
    pub fn newest(&self) -> Vec<Entry> {
        self.store.newest(&self.project, BUILDS).map(|(entries, _)| entries).unwrap_or_default()
    }

    /// The builds that a forecast is made by, the newest first; none where they cannot be read.
    pub(super) fn read(&self) -> Vec<Entry> {
        self.store.newest(&self.project, FORECAST).map(|(entries, _)| entries).unwrap_or_default()
    }

    /// Keeps a run that has ended.
    ///
    /// # Errors
    /// The state directory cannot be written.
    pub(super) fn keep(&self, run: &PastRun<'_>) -> Result<Entry, StoreError> {
        let entry = entry(Some(self), run);
        self.store.append(&entry)?;
        if run.started.as_millisecond() % RETAIN_EVERY == 0 {
            self.store.retain(&self.project, Limits::default())?;
            if let Some(folder) = &self.proofs {
                Proofs::sweep(folder, run.started);
            }
        }
        Ok(entry)
    }
}

/// A run that has ended, as it is remembered.
pub(super) struct PastRun<'a> {
    /// What is secret in it.
    pub(super) redactor: &'a Redactor,
    /// When it started.
    pub(super) started: Timestamp,
    /// What the engine said, as far as it answered.
    pub(super) told: Answers,
    /// What happened.
    pub(super) trace: &'a RunTrace,
    /// How it ended.
    pub(super) summary: &'a RunSummary,
    /// What is known of its targets besides, by name.
    pub(super) targets: &'a BTreeMap<String, TargetFacts>,
}

/// A run as it is kept in `memory`; in none it has no project.
pub(super) fn entry(memory: Option<&Memory>, run: &PastRun<'_>) -> Entry {
    let file = memory.and_then(|it| it.cleaned.as_deref());
    let removals = file.map(|file| cleaned::of_engine(file, &run.told.engine.id));
    let removals = removals.unwrap_or_default().before(run.started);
    let hides = run.targets.values().any(|facts| facts.hides(run.redactor));
    let key = memory.filter(|_| hides).and_then(|it| it.store.fingerprint_key());
    record::record(&record::Run {
        id: &BuildId::new(run.started, &buildkit::new_ref()),
        project: memory.map_or("", |it| &it.project),
        project_directory: memory.map_or("", |it| &it.directory),
        engine: &run.told.engine,
        started: run.started,
        removals: &removals,
        // Removals of ours are prunes, too.
        pruned: run.told.pruned.filter(|at| removals.last().is_none_or(|own| *at > own)),
        collection: &run.told.collection,
        trace: run.trace,
        summary: run.summary,
        targets: run.targets,
        redactor: run.redactor,
        fingerprint_key: key.as_ref(),
    })
}

/// What an engine says of itself and of its past.
#[derive(Debug, Clone, Default)]
pub(super) struct Answers {
    /// What it is.
    pub(super) engine: EngineInfo,
    /// When anybody last pruned its build cache.
    pub(super) pruned: Option<Timestamp>,
    /// What its garbage collection takes of the layer cache.
    pub(super) collection: Vec<CollectionRule>,
    /// Whether it may have taken samples of what steps use.
    pub(super) samples_resources: bool,
}

impl Answers {
    /// Asks `engine`, however long it takes to say what it is.
    pub(super) async fn by(engine: &Engine) -> Self {
        let mut asked = ask(engine);
        // One that says nothing at all has ended.
        let _ = asked.told.changed().await;
        told(asked).await
    }
}

/// Questions that an engine answers while it builds.
pub(super) struct Inquiry {
    /// What it has said so far.
    told: watch::Receiver<Answers>,
    asking: JoinHandle<()>,
}

/// Asks the engine while it builds.
pub(super) fn ask(engine: &Engine) -> Inquiry {
    let engine = engine.clone();
    let (said, told) = watch::channel(Answers::default());
    let asking = tokio::spawn(async move {
        let Ok((facts, time)) = engine.facts_and_time().await else { return };
        let samples_resources = facts.cgroup_version == "2";
        let known = Answers { engine: info(facts), samples_resources, ..Answers::default() };
        said.send_replace(known.clone());
        let Some(now) = time else { return };
        if let Ok(pruned) = engine.last_prune(now).await {
            said.send_replace(Answers { pruned, ..known });
        }
    });
    Inquiry { told, asking }
}

/// What it said; what it still has not answered some time after the end of the build is not known.
///
/// It is worth a moment: only with the engine's id is it proven later whose the images are that
/// this build made. A busy engine can build from its cache before it has answered.
pub(super) async fn told(mut asked: Inquiry) -> Answers {
    // An end in time or not: what was said counts.
    let _ = timeout(PATIENCE, &mut asked.asking).await;
    asked.asking.abort();
    asked.told.borrow().clone()
}

/// The engine as it is remembered.
fn info(facts: EngineFacts) -> EngineInfo {
    let store = facts.store.name(&facts.driver).to_owned();
    EngineInfo { id: facts.id, version: facts.version, store, builder: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An engine that says what it is after `facts`, and when it was pruned so much later.
    fn answer(facts: Duration, pruned: Duration) -> Inquiry {
        let (said, told) = watch::channel(Answers::default());
        let asking = tokio::spawn(async move {
            tokio::time::sleep(facts).await;
            said.send_modify(|told| told.engine.id = "GHK2".to_owned());
            tokio::time::sleep(pruned).await;
            said.send_modify(|told| told.pruned = Some(Timestamp::UNIX_EPOCH));
        });
        Inquiry { told, asking }
    }

    const NEVER: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_answers_after_a_short_build_is_known() {
        for after in [Duration::ZERO, Duration::from_millis(1200)] {
            let told = told(answer(after, after / 2)).await;
            assert_eq!(told.engine.id, "GHK2");
            assert_eq!(told.pruned, Some(Timestamp::UNIX_EPOCH));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_never_answers_holds_nobody_up() {
        let start = tokio::time::Instant::now();
        assert_eq!(told(answer(NEVER, NEVER)).await.engine.id, "");
        assert_eq!(start.elapsed(), PATIENCE);
        let known = told(answer(Duration::ZERO, NEVER)).await;
        assert_eq!((known.engine.id.as_str(), known.pruned), ("GHK2", None));
        assert_eq!(start.elapsed(), PATIENCE * 2);
    }

    /// The time of the build is time to answer.
    #[tokio::test(start_paused = true)]
    async fn what_was_said_during_a_long_build_is_known() {
        let asked = answer(Duration::from_secs(1), Duration::from_secs(20));
        tokio::time::sleep(Duration::from_secs(60)).await;
        let start = tokio::time::Instant::now();
        assert_eq!(told(asked).await.pruned, Some(Timestamp::UNIX_EPOCH));
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
