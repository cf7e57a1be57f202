//! A plan of which nothing is built: its build graphs are asked for, its directories looked through, and the history says
//! what of it would run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Memory, Ready, bases, builder_told, copied, listed, memory};
use crate::buildkit::{self, Definition, LinkedResult, LocalSource};
use crate::error::{CommandError, ExitKind};
use crate::explain::{self, Digests, Explanation, Premises};
use crate::history::record::TargetFacts;
use crate::history::{Entry, StepEntry};
use crate::ownership::CacheContent;
use crate::progress::outcome::{BuildFailure, TargetOutcome};
use crate::progress::{Event, Redaction, RunTrace, SolveStatus};
use crate::redact::Redactor;
use crate::solve::facts;
use crate::solve::graphs::graphs;
use crate::solve::job::Job;
use crate::solve::prepare::Preparation;
use crate::solve::site::Site;
use crate::view;

/// The build graphs of a run, by target.
type Graphs = BTreeMap<String, Arc<LinkedResult>>;

impl Ready<'_> {
    /// Tells what would run, and why: nothing of what `may_skip` finds to be up to date. Builds nothing.
    ///
    /// # Errors
    /// The engine cannot be reached, a target cannot be built as it is, or Ctrl-C came first.
    pub async fn foresee(mut self, may_skip: bool) -> Result<Explanation, CommandError> {
        if may_skip && self.up_to_date().await?.is_some() {
            return Ok(self.nothing());
        }
        let (prepared, _) = self.prepare_and_look().await?;
        tokio::select! {
            foreseen = self.look_ahead(&prepared) => foreseen,
            error = self.stopped() => Err(error),
        }
    }

    /// What is said of a build that has nothing to do.
    fn nothing(&self) -> Explanation {
        let targets = self.run.plan.steps.iter().map(|step| explain::Target {
            target: step.target.name.clone(),
            service: step.target.service.clone(),
            steps: Vec::new(),
        });
        Explanation { build: None, targets: targets.collect(), advice: Vec::new() }
    }

    async fn look_ahead(&self, prepared: &Preparation) -> Result<Explanation, CommandError> {
        let Self { redactor, site, .. } = self;
        let (graphs, (told, cache)) =
            tokio::join!(graphs(&prepared.places, &prepared.jobs), cache_of(site, prepared));
        let mut trace = self.planned();
        let graphs = match graphs {
            Ok(graphs) => graphs,
            Err((target, failure)) => return Err(failed(trace, target, failure, redactor)),
        };
        announce(&mut trace, &prepared.jobs, &graphs, redactor);
        let mut facts = facts::targets(&self.run.plan, &prepared.jobs);
        let origins = Arc::new(copied::origins(&prepared.jobs));
        let (walked, sources) = (origins.clone(), local_sources(&graphs));
        let listings = beside(move || listed::all(&walked, &sources)).await?;
        copied::add(&origins, &trace, &mut facts, |name, _| {
            listings.get(name).cloned().unwrap_or_default()
        });
        bases::add(&trace, prepared.first().surroundings.engine.as_ref(), &told, &mut facts).await;
        let ended = memory::PastRun {
            redactor,
            started: Timestamp::now(),
            told,
            trace: &trace,
            summary: &trace.summary(Duration::ZERO),
            targets: &facts,
        };
        let others = self.run.memory.as_ref().map(Memory::read).unwrap_or_default();
        let mut entry = memory::entry(self.run.memory.as_ref(), &ended);
        let read = move || {
            listed::read_contents(&mut entry, &others, &origins);
            (entry, others)
        };
        let (entry, others) = beside(read).await?;
        let uncached = definitions(&graphs).flat_map(Definition::uncached).collect();
        let digests = |earlier: &Entry| digests(&graphs, &facts, earlier);
        let is_kept = |run: &StepEntry| cache.as_ref().is_none_or(|cache| cache.has(run));
        let is_made_elsewhere = |step: &StepEntry, runs: &[&StepEntry]| {
            cache.as_ref().is_none_or(|cache| cache.has_of_another_run(step, runs))
        };
        let known = Premises {
            digests: &digests,
            uncached,
            is_kept: &is_kept,
            is_made_elsewhere: &is_made_elsewhere,
        };
        Ok(explain::forecast(entry, others, &known))
    }

    /// A run that has not begun.
    fn planned(&self) -> RunTrace {
        let mut trace = RunTrace::default();
        trace.apply(&Event::Planned { targets: self.run.plan.targets() }, Duration::ZERO);
        trace
    }
}

/// Does what reads many files on a thread of its own, so that Ctrl-C counts meanwhile.
async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CommandError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        let message = "failed to look through the build contexts";
        CommandError::new(ExitKind::Failed, message).caused_by(error)
    })
}

/// The error of a target whose build graph cannot be had: that of a build of it.
fn failed(
    mut trace: RunTrace,
    target: String,
    failure: BuildFailure,
    redactor: &Redactor,
) -> CommandError {
    let outcome = TargetOutcome::Failed(failure);
    let mut door = Redaction::new(redactor.clone());
    for event in door.pass(Event::TargetFinished { target, outcome }) {
        trace.apply(&event, Duration::ZERO);
    }
    let summary = trace.summary(Duration::ZERO);
    view::run_error(&summary).unwrap_or_else(|| CommandError::new(ExitKind::Failed, "failed"))
}

/// What the engine says of itself, and what is in its build cache where it tells that.
async fn cache_of(site: &Site, prepared: &Preparation) -> (memory::Answers, Option<CacheContent>) {
    let Site::Engine(engine) = site else {
        return (builder_told(prepared.first().about.clone().unwrap_or_default(), site), None);
    };
    let (told, records) =
        tokio::join!(memory::Answers::by(&engine.engine), engine.engine.cache_records());
    (told, records.ok().map(|it| CacheContent::new(&it)))
}

/// Has `trace` know the steps of each target, without those that belong to another one.
fn announce(trace: &mut RunTrace, jobs: &[Job], graphs: &Graphs, redactor: &Redactor) {
    let mut door = Redaction::new(redactor.clone());
    for job in jobs {
        let Some(graph) = graphs.get(&job.name) else { continue };
        let vertexes = graph.definitions().flat_map(Definition::announced).collect();
        let mut status = SolveStatus { vertexes, ..SolveStatus::default() };
        let below = job.contexts.iter().filter_map(|(_, index)| graphs.get(&jobs[*index].name));
        status.leave_out(&buildkit::vertices(below.flat_map(|it| it.definitions())));
        let target = job.name.clone();
        let events =
            [Event::TargetStarted { target: target.clone() }, Event::Status { target, status }];
        for event in events.into_iter().flat_map(|event| door.pass(event).collect::<Vec<_>>()) {
            trace.apply(&event, Duration::ZERO);
        }
    }
}

fn definitions(graphs: &Graphs) -> impl Iterator<Item = &Definition> {
    graphs.values().flat_map(|graph| graph.definitions())
}

fn local_sources(graphs: &Graphs) -> BTreeMap<String, Vec<LocalSource>> {
    let of =
        |graph: &LinkedResult| graph.definitions().flat_map(Definition::local_sources).collect();
    graphs.iter().map(|(name, graph)| (name.clone(), of(graph))).collect()
}

/// The digests that the steps of `graphs` had in the sessions of an earlier build. A directory was served by a session of its
/// own where the engine knows how to ask for one.
fn digests(graphs: &Graphs, now: &BTreeMap<String, TargetFacts>, earlier: &Entry) -> Digests {
    let before = |target: &str| earlier.targets.iter().find(|it| it.name == target);
    let mut digests = Digests::new();
    for asks_by_name in [true, false] {
        let session = |source: &LocalSource| {
            let is_there =
                |facts: &TargetFacts| facts.sessions.values().any(|id| *id == source.session);
            let served = now.iter().filter(|(_, facts)| is_there(facts));
            let mut sessions = served.filter_map(|(target, _)| Some(&before(target)?.sessions));
            let sessions = sessions.find(|sessions| !sessions.is_empty())?;
            let named = sessions.get(&source.name).filter(|_| asks_by_name);
            named.or_else(|| sessions.get("")).cloned()
        };
        for definition in definitions(graphs) {
            for (digest, other) in definition.with_sessions(&session) {
                let known = digests.entry(digest).or_default();
                if !known.contains(&other) {
                    known.push(other);
                }
            }
        }
    }
    digests
}
