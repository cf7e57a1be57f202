//! Runs a plan: solves in order, at most N at once, cancels what a failure or the user stops.
//!
//! It decides nothing that the plan or the settings leave open, and reports everything as events.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::buildkit::LinkedResult;
use crate::diagnose::{self, OutputHints};
use crate::progress::outcome::{BuiltImage, TargetOutcome};
use crate::progress::{CancelReason, Event, SolveStatus};
use crate::solve::failure;
use crate::solve::finishing;
use crate::solve::image_index;
use crate::solve::job::Job;
use crate::solve::layer_cache;
use crate::solve::request::IndexNames;
use crate::solve::site::{SolvePlace, Surroundings};
use crate::solve::solving::Solve;
use crate::solve::starting::NextSteps;
use crate::solve::telling::{Clock, Listeners, RECEIVING};

/// How long statuses of an ended solve may still come in, and the engine may take to let go of its results.
const DRAIN: Duration = Duration::from_secs(2);
/// The same after a cancel: the terminal is wanted back.
const DRAIN_CANCELLED: Duration = Duration::from_millis(400);

/// Statuses that may wait to be shown: each may have 16 MiB.
const WAITING: usize = 16;

/// How often it is looked whether steps that were starting are up.
const LOOK: Duration = Duration::from_millis(20);

/// How a run is carried out.
#[derive(Debug, Clone, Default)]
pub struct RunSettings {
    /// How many solves may run at once; unlimited when `None`.
    pub parallel: Option<NonZeroUsize>,
    /// Go on with independent targets after a failure.
    pub keep_going: bool,
    /// Stop the run then.
    pub deadline: Option<Instant>,
}

/// How a run ended.
#[derive(Debug, Clone, Default)]
pub struct RunOutcome {
    /// Outcome of every target, by name.
    pub targets: BTreeMap<String, TargetOutcome>,
    /// Why the run was stopped, if it was.
    pub cancelled: Option<CancelReason>,
}

/// Runs `jobs` at `places`. `interrupt` cancels the run.
pub async fn run(
    places: &[SolvePlace],
    jobs: Vec<Job>,
    settings: &RunSettings,
    events: &mpsc::Sender<Event>,
    interrupt: CancellationToken,
) -> RunOutcome {
    let needed = jobs.iter().flat_map(|job| &job.contexts).map(|(_, index)| *index).collect();
    let (built, published) = mpsc::unbounded_channel();
    let mut run = Run {
        places,
        settings,
        events,
        cancel: CancellationToken::new(),
        waiting: jobs.into_iter().map(Some).collect(),
        succeeded: Vec::new(),
        needed,
        results: BTreeMap::new(),
        parts: BTreeMap::new(),
        built,
        published,
        running: JoinSet::new(),
        outcome: RunOutcome::default(),
    };
    run.succeeded.resize(run.waiting.len(), false);
    run.drive(interrupt).await;
    run.outcome
}

struct Run<'a> {
    places: &'a [SolvePlace],
    settings: &'a RunSettings,
    events: &'a mpsc::Sender<Event>,
    cancel: CancellationToken,
    /// Jobs by index; `None` once started or given up.
    waiting: Vec<Option<Job>>,
    succeeded: Vec<bool>,
    /// Jobs whose result is a named context of others.
    needed: BTreeSet<usize>,
    /// These results, in use until the run ends.
    results: BTreeMap<usize, Arc<LinkedResult>>,
    /// What exporters answered of parts that are built, exports included.
    parts: BTreeMap<usize, BTreeMap<String, String>>,
    /// How they get here: what is built on them need not wait until their layer cache is written.
    built: mpsc::UnboundedSender<(usize, Arc<LinkedResult>)>,
    published: mpsc::UnboundedReceiver<(usize, Arc<LinkedResult>)>,
    running: JoinSet<(usize, Job, TargetOutcome)>,
    outcome: RunOutcome,
}

impl Run<'_> {
    async fn drive(&mut self, interrupt: CancellationToken) {
        let deadline = self.settings.deadline;
        loop {
            if interrupt.is_cancelled() && self.outcome.cancelled.is_none() {
                self.stop(self.reason()).await;
            }
            if self.outcome.cancelled.is_none() {
                self.start_ready().await;
            }
            if self.running.is_empty() {
                break;
            }
            let cancelled = self.outcome.cancelled.is_some();
            tokio::select! {
                Some((index, result)) = self.published.recv() => self.publish(index, result),
                Some(ended) = self.running.join_next() => {
                    while let Ok((index, result)) = self.published.try_recv() {
                        self.publish(index, result);
                    }
                    // A panic in a job is a bug that must not be swallowed.
                    match ended {
                        Ok((index, job, outcome)) => self.ended(index, &job, outcome).await,
                        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
                    }
                }
                () = interrupt.cancelled(), if !cancelled => self.stop(self.reason()).await,
                () = at(deadline), if !cancelled => self.stop(CancelReason::TimedOut).await,
            }
        }
        if self.outcome.cancelled.is_none() {
            self.release().await;
        }
        // What never started was waiting for something that did not succeed.
        for job in std::mem::take(&mut self.waiting).into_iter().flatten() {
            self.finish(&job, TargetOutcome::Cancelled).await;
        }
    }

    /// Lets go of the results that others stood on.
    async fn release(&mut self) {
        let results = std::mem::take(&mut self.results).into_values();
        let releasing = results.filter_map(Arc::into_inner).map(LinkedResult::release);
        let _ = timeout(DRAIN, join_all(releasing)).await;
    }

    fn publish(&mut self, index: usize, result: Arc<LinkedResult>) {
        self.results.insert(index, result);
        self.succeeded[index] = true;
    }

    async fn start_ready(&mut self) {
        let limit = self.settings.parallel.map_or(usize::MAX, NonZeroUsize::get);
        for index in 0..self.waiting.len() {
            if self.running.len() >= limit {
                return;
            }
            if !self.waiting[index].as_ref().is_some_and(|job| self.is_ready(job)) {
                continue;
            }
            let Some(job) = self.waiting[index].take() else { continue };
            let _ = self.events.send(Event::TargetStarted { target: job.name.clone() }).await;
            if let Some(names) = job.index.clone() {
                self.put_together(index, job, names);
                continue;
            }
            let SolvePlace { control, surroundings: around, .. } = self.places[job.node].clone();
            let (events, cancel) = (self.events.clone(), self.cancel.clone());
            let given = |(name, needed): &(String, usize)| {
                Some((name.clone(), Arc::clone(self.results.get(needed)?)))
            };
            let contexts: Vec<_> = job.contexts.iter().filter_map(given).collect();
            let is_needed = self.needed.contains(&index);
            let built = self.built.clone();
            self.running.spawn(async move {
                let solve = Solve { control: &control, job: &job, contexts, is_needed };
                let publish = |result| drop(built.send((index, result)));
                let outcome = build(&solve, &around, &events, &cancel, publish).await;
                (index, job, outcome)
            });
        }
    }

    /// Whether nothing that it needs is missing. A part may have been published that is not yet pushed.
    fn is_ready(&self, job: &Job) -> bool {
        job.after.iter().all(|needed| match job.index {
            Some(_) => self.parts.contains_key(needed),
            None => self.succeeded[*needed],
        })
    }

    /// Starts what puts the parts of a target together.
    fn put_together(&mut self, index: usize, job: Job, names: IndexNames) {
        let parts = job.after.iter().filter_map(|part| self.parts.get(part).cloned());
        let parts: Vec<_> = parts.collect();
        let (events, cancel) = (self.events.clone(), self.cancel.clone());
        self.running.spawn(async move {
            let telling = Listeners { events, target: job.name.clone(), clock: Clock::default() };
            let outcome = image_index::push(&job, &names, &parts, telling, &cancel).await;
            (index, job, outcome)
        });
    }

    async fn ended(&mut self, index: usize, job: &Job, outcome: TargetOutcome) {
        let failed = matches!(outcome, TargetOutcome::Failed(_));
        self.succeeded[index] = matches!(outcome, TargetOutcome::Built(_));
        if let (true, TargetOutcome::Built(image)) = (job.is_part, &outcome) {
            self.parts.insert(index, image.exporter_response.clone());
        }
        self.finish(job, outcome).await;
        let others = !self.running.is_empty() || self.waiting.iter().any(Option::is_some);
        if failed && others && !self.settings.keep_going && self.outcome.cancelled.is_none() {
            self.stop(CancelReason::TargetFailed).await;
        }
    }

    /// Why the run is stopped from outside.
    fn reason(&self) -> CancelReason {
        match self.settings.deadline {
            Some(deadline) if deadline <= Instant::now() => CancelReason::TimedOut,
            _ => CancelReason::Interrupted,
        }
    }

    async fn stop(&mut self, reason: CancelReason) {
        self.outcome.cancelled = Some(reason);
        self.cancel.cancel();
        let _ = self.events.send(Event::Cancelling { reason }).await;
    }

    async fn finish(&mut self, job: &Job, outcome: TargetOutcome) {
        for name in std::iter::once(&job.name).chain(&job.also_serves) {
            let event = Event::TargetFinished { target: name.clone(), outcome: outcome.clone() };
            let _ = self.events.send(event).await;
            // The target is what was asked for.
            if !(job.is_part && matches!(outcome, TargetOutcome::Built(_))) {
                self.outcome.targets.insert(name.clone(), outcome.clone());
            }
        }
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Solves one job and forwards its statuses. Its result is published as soon as it is there, where others build on it.
async fn build(
    solve: &Solve<'_>,
    around: &Surroundings,
    events: &mpsc::Sender<Event>,
    cancel: &CancellationToken,
    publish: impl Fn(Arc<LinkedResult>),
) -> TargetOutcome {
    let job = solve.job;
    let (sender, statuses) = mpsc::channel::<SolveStatus>(WAITING);
    let refused = CancellationToken::new();
    let follower = {
        let (control, build_ref) = (solve.control.clone(), job.options.build_ref.clone());
        let refused = refused.clone();
        tokio::spawn(async move { control.follow(build_ref, sender, refused).await })
    };
    let steps = Arc::new(Mutex::new(NextSteps::new(Instant::now())));
    let telling =
        Listeners { events: events.clone(), target: job.name.clone(), clock: Clock::default() };
    let mut forwarder = tokio::spawn(forward(
        statuses,
        telling.clone(),
        job.clone(),
        Arc::clone(&steps),
        solve.steps_of_others(),
    ));
    // Dropping the solve makes the engine kill its running steps; dropping the session would not.
    let solved = tokio::select! {
        solved = received(&telling, job, solve.carry_out()) => Some(solved),
        () = cancelled(cancel, around, &steps) => None,
    };
    if matches!(solved, Some(Err(_))) {
        refused.cancel();
    }
    let drain = if solved.is_some() { DRAIN } else { DRAIN_CANCELLED };
    let (failed, output, caches) = match timeout(drain, &mut forwarder).await {
        Ok(failed) => failed,
        Err(_) => {
            follower.abort();
            forwarder.await
        }
    }
    .unwrap_or_default();
    let mut solved = match solved {
        None => return TargetOutcome::Cancelled,
        Some(Err(error)) => {
            let failure = failure::explain(job, &error, failed, &output);
            return TargetOutcome::Failed(around.name_lost(failure));
        }
        Some(Ok(solved)) => solved,
    };
    let result = solved.result.take().map(Arc::new);
    // A push can take minutes; dropping it ends it.
    let outcome = tokio::select! {
        outcome = finishing::finish(solve, around, solved, &telling) => outcome,
        () = cancel.cancelled() => TargetOutcome::Cancelled,
    };
    let TargetOutcome::Built(image) = outcome else { return outcome };
    if let Some(result) = result.as_ref().filter(|_| solve.is_needed) {
        publish(Arc::clone(result));
    }
    let cache = layer_cache::write(solve, result.as_deref(), &caches, &telling, cancel).await;
    TargetOutcome::Built(BuiltImage { cache, ..image })
}

/// Tells of what the solve sends blob by blob, where the image is loaded by its layers.
async fn received<T>(telling: &Listeners, job: &Job, solve: impl Future<Output = T>) -> T {
    match job.kept {
        Some(_) => telling.during(RECEIVING, &job.received, solve, |_| None).await,
        None => solve.await,
    }
}

/// Makes events of the statuses of a solve, but for the steps of `others`. Returns the step that failed first, by its
/// digest and name, what the output of the steps hints at, and what became of caches.
async fn forward(
    mut statuses: mpsc::Receiver<SolveStatus>,
    telling: Listeners,
    job: Job,
    steps: Arc<Mutex<NextSteps>>,
    others: BTreeSet<String>,
) -> (Option<(String, String)>, OutputHints, layer_cache::Facts) {
    let mut failed = None;
    let mut caches = layer_cache::Facts::default();
    let mut output = OutputHints::default();
    while let Some(mut status) = statuses.recv().await {
        steps.lock().unwrap_or_else(PoisonError::into_inner).note(&status, Instant::now());
        telling.clock.note(&status, Instant::now());
        status.leave_out(&others);
        caches.note(&status);
        if let Some(cache) = &job.layer_cache {
            layer_cache::forgive_missing(&mut status, &cache.place);
        }
        for vertex in &mut status.vertexes {
            if let Some(error) = diagnose::unknown_cache(&vertex.error) {
                vertex.error = error;
            }
            // It is tried again; if that fails too, the outcome says so.
            if diagnose::lost_a_race(&vertex.error) || job.could_not_keep(&vertex.error) {
                vertex.error.clear();
            }
        }
        // Siblings that were cancelled carry errors too, but come after the cause.
        let error = status.vertexes.iter().find(|vertex| !vertex.error.is_empty());
        if let (None, Some(vertex)) = (&failed, error) {
            failed = Some((vertex.digest.clone(), vertex.name.clone()));
        }
        for log in &status.logs {
            output.note(&log.vertex, &log.data);
        }
        let _ = telling.events.send(Event::Status { target: job.name.clone(), status }).await;
    }
    (failed, output, caches)
}

/// Ends when the run is cancelled and the engine can be trusted to end every step of the solve.
async fn cancelled(cancel: &CancellationToken, around: &Surroundings, steps: &Mutex<NextSteps>) {
    cancel.cancelled().await;
    // Until the engine has said which release it is, it is one that loses cancels.
    tokio::select! {
        () = around.keep_cancels() => {}
        () = nothing_starts(steps) => {}
    }
}

/// Ends when no step of the solve is starting, or has been waited for long enough.
async fn nothing_starts(steps: &Mutex<NextSteps>) {
    let wanted = Instant::now();
    loop {
        let at = steps.lock().unwrap_or_else(PoisonError::into_inner).cancel_at(wanted);
        let now = Instant::now();
        if at <= now {
            return;
        }
        // What the engine tells meanwhile may bring it forward, or put it off.
        sleep_until(at.min(now + LOOK)).await;
    }
}
