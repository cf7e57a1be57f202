//! One run of a plan as its user sees it: the engine carries it out, a reporter shows it, the history keeps it.
//!
//! What the engine is asked for is in [`crate::solve`], how it looks in [`crate::view`]. `build`, `dev`, `lock` and `bench`
//! run their plans here.

mod bases;
mod copied;
mod forecast;
mod largest;
mod listed;
mod memory;
mod replay;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::builders::Destination;
use crate::buildkit::About;
use crate::engine::Connector;
use crate::error::CommandError;
use crate::history::record::TargetFacts;
use crate::history::{EngineInfo, Entry};
use crate::progress::estimate::{Past, Schedule};
use crate::progress::{self, Event, Redaction, RunSummary, RunTrace};
use crate::redact::Redactor;
use crate::signal::Cause;
use crate::solve::executor::{self, RunOutcome, RunSettings};
use crate::solve::plan::BuildPlan;
use crate::solve::prepare::{self, Prepared, Sources};
use crate::solve::sessions::SecretFiles;
use crate::solve::site::{DockerEngine, Load, NodeSite, Site};
use crate::solve::{facts, secrets};
use crate::transfer::SentPath;
use crate::unreachable::silent;
use crate::view::{Progress, Reporter};

pub use memory::Memory;
pub use replay::replay;

/// Events that may wait to be shown: a status may have 16 MiB.
const WAITING: usize = 32;
/// How often the reporter gets to redraw.
const TICK: Duration = Duration::from_millis(100);

/// A run of a plan: where, how, and how it is shown.
pub struct Run<'a> {
    /// Which engine, what stops it, where it is shown.
    pub app: &'a App,
    /// What is built.
    pub plan: &'a BuildPlan,
    /// How many at once, and when to stop.
    pub settings: RunSettings,
    /// How it is shown.
    pub progress: Progress,
    /// Where builds are remembered, if they are.
    pub memory: Option<Memory>,
    /// Where it goes.
    pub place: Place,
}

/// Where a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// To the builder that is chosen; its images are loaded into the user's engine.
    Builder(Load),
    /// To the user's engine, whichever builder is chosen.
    Engine,
}

/// A run that came to its end, whether or not its targets were built.
pub struct Finished {
    /// What became of each target.
    pub outcome: RunOutcome,
    /// The same as it was shown.
    pub summary: RunSummary,
    /// When it started.
    pub started: Timestamp,
    /// Every step of it.
    pub trace: RunTrace,
    /// Bytes of build contexts that were sent, content and framing.
    pub sent_bytes: u64,
    /// What took most of that, the largest first; empty where it was little.
    pub largest_sent: Vec<SentPath>,
    /// What is secret in it: everything here has been through it.
    pub redactor: Redactor,
    /// How it is remembered, if it is.
    pub entry: Option<Entry>,
}

/// When a run began.
#[derive(Clone, Copy)]
struct Start {
    clock: Instant,
    time: Timestamp,
}

impl Run<'_> {
    /// Carries it out.
    ///
    /// # Errors
    /// The engine cannot be reached or cannot do what a target asks, or Ctrl-C came before the
    /// first solve. A target that fails is not an error here: the outcome tells.
    pub async fn carry_out(self) -> Result<Finished, CommandError> {
        let start = Start { clock: Instant::now(), time: Timestamp::now() };
        let App { environment, interrupt, ui, .. } = self.app;
        let (secrets, secret_files) = secrets::of_plan(self.plan, environment).await;
        let redactor = Redactor::new(&secrets);
        ui.hide(redactor.clone());
        let mut reporter = Reporter::new(self.progress, ui.clone(), self.app.ci())?;
        // Read beside the build: no build waits for what earlier ones took.
        let wanted = self.memory.as_ref().filter(|_| reporter.wants_past());
        let past = wanted.map(Memory::past);
        let site = self.site()?;
        // Inline Dockerfiles stand there until the end.
        let scratch = prepare::scratch_directory(self.plan, &site)?;
        let asked = match &site {
            Site::Engine(engine) if self.memory.is_some() => Some(memory::ask(&engine.engine)),
            _ => None,
        };
        let prepared = tokio::select! {
            prepared = self.prepare(&site, scratch.as_ref(), secret_files) => prepared?,
            error = self.stopped(site.connector(), start.clock) => return Err(error),
        };
        let about = prepared.about.clone();
        let engine = prepared.surroundings.engine.clone();
        // From here on steps may run, which have to be cancelled.
        let _orderly = interrupt.orderly_part();
        let mut facts = facts::targets(self.plan, &prepared.jobs);
        let origins = copied::origins(&prepared.jobs);
        let reports: Vec<_> = prepared.jobs.iter().map(|job| job.sync.clone()).collect();
        let expected = past.map(|past| (past, facts::schedule(self.plan, &self.settings)));
        let door = Redaction::new(redactor.clone());
        let shown = Shown { reporter: &mut reporter, door, start: start.clock, expected };
        let (mut outcome, sent_bytes) = self.execute(prepared, shown).await;
        for target in outcome.targets.values_mut() {
            progress::redaction::outcome_out(&redactor, target);
        }
        let summary = reporter.summary(start.clock.elapsed());
        reporter.finish(&summary);
        if let Some((page, outputs)) = reporter.github_files(&summary) {
            self.app.write_github_files(&page, &outputs);
        }
        let trace = reporter.into_run();
        let mut finished = Finished {
            outcome,
            summary,
            started: start.time,
            trace,
            sent_bytes,
            largest_sent: largest::of_run(sent_bytes, reports),
            redactor,
            entry: None,
        };
        if self.memory.is_some() {
            let builder = match (asked, about) {
                (Some(asked), _) => memory::engine_info(asked).await,
                (None, about) => builder_info(about.unwrap_or_default()),
            };
            bases::look_up(&finished.trace, engine.as_ref(), &mut facts).await;
            finished.entry = self.remember(&finished, facts, &origins, builder);
        }
        Ok(finished)
    }

    /// Where it goes. Says so, where that is not the user's engine.
    fn site(&self) -> Result<Site, CommandError> {
        let engine = self.app.connector()?;
        let Place::Builder(load) = self.place else {
            self.app.warn_of_other_builder()?;
            return Ok(Site::Engine(DockerEngine::new(engine)));
        };
        let mut platforms: Vec<String> = Vec::new();
        for platform in self.plan.steps.iter().flat_map(|step| &step.target.platforms) {
            if !platforms.contains(platform) {
                platforms.push(platform.clone());
            }
        }
        let (destination, choice) = self.app.destination(&platforms)?;
        let site = match destination {
            Destination::OwnEngine => return Ok(Site::Engine(DockerEngine::new(engine))),
            Destination::Engine(other) => Site::Engine(DockerEngine::new(&other)),
            Destination::Buildkit { connector, name } => {
                let engine = DockerEngine::new(engine);
                Site::Node(NodeSite { connector, name, engine, load })
            }
        };
        if !matches!(self.progress, Progress::Quiet | Progress::RawJson) {
            let by = choice.map(|choice| choice.by.clause()).unwrap_or_default();
            self.app.ui.say(&format!("building on {}{by}", site.connector().peer()));
        }
        Ok(site)
    }

    /// Ends when the run is to stop before anything is built.
    async fn stopped(&self, connector: &Connector, start: Instant) -> CommandError {
        let late = async {
            match self.settings.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let interrupt = &self.app.interrupt;
        let is_late = tokio::select! {
            () = late => true,
            () = interrupt.token().cancelled() => interrupt.cause() != Some(Cause::Signal),
        };
        if is_late { silent(connector, start.elapsed()) } else { Cause::Signal.error() }
    }

    /// Makes everything ready for the executor.
    async fn prepare(
        &self,
        site: &Site,
        scratch: Option<&TempDir>,
        secret_files: SecretFiles,
    ) -> Result<Prepared, CommandError> {
        let App { environment, interrupt, ui, .. } = self.app;
        let scratch = scratch.map(TempDir::path);
        if let Some(scratch) = scratch {
            interrupt.remove_at_exit(scratch);
        }
        let warn = |warning: &str| ui.warn(warning);
        let requests = prepare::requests(self.plan, scratch, environment, warn)?;
        let sources = Sources {
            environment,
            docker_config: self.app.docker_config(),
            secret_files,
            stdout: ui.stdout_stream(),
            scratch,
            warn: &warn,
        };
        prepare::prepare(self.plan, requests, site, sources).await
    }

    /// Runs the jobs while they are shown. Returns how they ended and how many bytes of build contexts were sent.
    async fn execute(&self, prepared: Prepared, shown: Shown<'_>) -> (RunOutcome, u64) {
        let Prepared { control, surroundings, jobs, sessions, .. } = prepared;
        let token = self.app.interrupt.token().clone();
        let (events, incoming) = mpsc::channel::<Event>(WAITING);
        let _ = events.send(Event::Planned { targets: self.plan.targets() }).await;
        let run = async {
            let outcome =
                executor::run(&control, &surroundings, jobs, &self.settings, &events, token).await;
            drop(events);
            outcome
        };
        let (outcome, ()) = tokio::join!(run, shown.until_the_end(incoming));
        (outcome, sessions.wire_bytes())
    }

    /// Keeps the run in the history; that it cannot be kept is a warning.
    fn remember(
        &self,
        finished: &Finished,
        mut facts: BTreeMap<String, TargetFacts>,
        origins: &BTreeMap<String, copied::Origin>,
        engine: EngineInfo,
    ) -> Option<Entry> {
        copied::add(origins, &finished.trace, &mut facts, |_, origin| origin.sent());
        let ended = memory::Ended {
            redactor: &finished.redactor,
            started: finished.started,
            engine,
            trace: &finished.trace,
            summary: &finished.summary,
            targets: &facts,
        };
        match self.memory.as_ref()?.keep(&ended) {
            Ok(entry) => Some(entry),
            Err(error) => {
                self.app.ui.warn(&format!("this build is not remembered: {}", chain(&error)));
                None
            }
        }
    }
}

/// BuildKit by itself, as it is remembered: by its worker, which keeps its id and its cache.
fn builder_info(about: About) -> EngineInfo {
    let version = about.version.unwrap_or_default();
    EngineInfo { id: about.worker, version, store: "buildkit".to_owned() }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Who is shown a run, and through which door.
struct Shown<'a> {
    reporter: &'a mut Reporter,
    door: Redaction,
    start: Instant,
    /// Earlier builds that are still being read.
    expected: Option<(JoinHandle<Past>, Schedule)>,
}

impl Shown<'_> {
    /// Hands every event to the reporter, through the door, and lets it redraw, until the last sender has gone. Tells it
    /// of earlier builds as soon as they are read.
    async fn until_the_end(mut self, mut incoming: mpsc::Receiver<Event>) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                event = incoming.recv() => match event {
                    Some(event) => {
                        for event in self.door.pass(event) {
                            self.reporter.handle(&event, self.start.elapsed());
                        }
                    }
                    None => break,
                },
                Some((past, schedule)) = read(&mut self.expected) => {
                    self.reporter.expect(past, schedule);
                }
                _ = tick.tick() => self.reporter.tick(self.start.elapsed()),
            }
        }
    }
}

/// The earlier builds, once; `None` where there is nothing (more) to read.
async fn read(expected: &mut Option<(JoinHandle<Past>, Schedule)>) -> Option<(Past, Schedule)> {
    let past = (&mut expected.as_mut()?.0).await.unwrap_or_default();
    expected.take().map(|(_, schedule)| (past, schedule))
}
