//! The ledger beside a build: earlier builds for estimates, this one for later.
//!
//! No build fails because of it: what goes wrong is one warning.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
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
    pub(super) fn keep(&self, run: &Ended<'_>) -> Result<Entry, StoreError> {
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
pub(super) struct Ended<'a> {
    /// What is secret in it.
    pub(super) redactor: &'a Redactor,
    /// When it started.
    pub(super) started: Timestamp,
    /// What the engine said, as far as it answered.
    pub(super) told: Told,
    /// What happened.
    pub(super) trace: &'a RunTrace,
    /// How it ended.
    pub(super) summary: &'a RunSummary,
    /// What is known of its targets besides, by name.
    pub(super) targets: &'a BTreeMap<String, TargetFacts>,
}

/// A run as it is kept in `memory`; in none it has no project.
pub(super) fn entry(memory: Option<&Memory>, run: &Ended<'_>) -> Entry {
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
#[derive(Debug, Default)]
pub(super) struct Told {
    /// What it is.
    pub(super) engine: EngineInfo,
    /// When anybody last pruned its build cache.
    pub(super) pruned: Option<Timestamp>,
    /// What its garbage collection takes of the layer cache.
    pub(super) collection: Vec<CollectionRule>,
    /// Whether it may have taken samples of what steps use.
    pub(super) samples_resources: bool,
}

impl Told {
    /// Asks `engine`. What it does not tell is not known.
    pub(super) async fn by(engine: &Engine) -> Self {
        let Ok((facts, time)) = engine.facts_and_time().await else { return Self::default() };
        let pruned = match time {
            Some(now) => timeout(PATIENCE / 2, engine.last_prune(now)).await,
            None => Ok(Ok(None)),
        };
        let pruned = pruned.ok().and_then(Result::ok).flatten();
        let samples_resources = facts.cgroup_version == "2";
        Self { engine: info(facts), pruned, samples_resources, ..Self::default() }
    }
}

/// Asks the engine while it builds.
pub(super) fn ask(engine: &Engine) -> JoinHandle<Told> {
    let engine = engine.clone();
    tokio::spawn(async move { Told::by(&engine).await })
}

/// What it said; nothing where it still has not answered some time after the end of the build.
///
/// It is worth a moment: only with the engine's id is it proven later whose the images are that
/// this build made. A busy engine can build from its cache before it has answered.
pub(super) async fn told(asked: JoinHandle<Told>) -> Told {
    let stop = asked.abort_handle();
    let said = timeout(PATIENCE, asked).await;
    stop.abort();
    said.ok().and_then(Result::ok).unwrap_or_default()
}

/// The engine as it is remembered.
fn info(facts: EngineFacts) -> EngineInfo {
    let store = facts.store.name(&facts.driver).to_owned();
    EngineInfo { id: facts.id, version: facts.version, store, builder: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(after: Duration) -> JoinHandle<Told> {
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let engine = EngineInfo { id: "GHK2".to_owned(), ..EngineInfo::default() };
            Told { engine, ..Told::default() }
        })
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_answers_after_a_short_build_is_known() {
        assert_eq!(told(answer(Duration::ZERO)).await.engine.id, "GHK2");
        assert_eq!(told(answer(Duration::from_millis(1500))).await.engine.id, "GHK2");
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_that_never_answers_holds_nobody_up() {
        let start = tokio::time::Instant::now();
        assert_eq!(told(answer(Duration::from_secs(3600))).await.engine.id, "");
        assert_eq!(start.elapsed(), PATIENCE);
    }
}
