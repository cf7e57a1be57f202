//! A run that knows what it asks for and where, and has not asked yet.

use std::collections::BTreeMap;
use std::time::Instant;

use jiff::Timestamp;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{Audience, Run, RunResult, RunSite, WAITING};
use super::{bases, builder_told, chain, collection, copied, largest, memory, places, resources};
use crate::app::App;
use crate::error::CommandError;
use crate::explain;
use crate::history::Entry;
use crate::history::record::TargetFacts;
use crate::progress::{self, Event, Redaction};
use crate::redact::Redactor;
use crate::signal::Cause;
use crate::solve::executor::{self, RunOutcome};
use crate::solve::opening::Sources;
use crate::solve::prepare::{self, Preparation};
use crate::solve::request::SolveRequest;
use crate::solve::sessions::{SecretFiles, Sessions};
use crate::solve::site::{Site, SolvePlace};
use crate::solve::{facts, secrets};
use crate::unreachable::silent;
use crate::up_to_date::Question;
use crate::view::{self, Reporter};

/// See the module.
pub struct Ready<'a> {
    pub(super) run: Run<'a>,
    pub(super) start: Start,
    pub(super) redactor: Redactor,
    pub(super) site: Site,
    /// For inline Dockerfiles, which stand there until the end.
    pub(super) scratch: Option<TempDir>,
    secret_files: SecretFiles,
    pub(super) requests: Vec<SolveRequest>,
    /// The pod that it goes to, if it does.
    pub(super) pod: Option<String>,
    /// What can be proved of it, if anything.
    pub(super) question: Option<Question>,
}

/// When a run began.
#[derive(Clone, Copy)]
pub(super) struct Start {
    clock: Instant,
    time: Timestamp,
}

impl<'a> Run<'a> {
    /// Makes ready for it. Asks no engine, but a cluster for the pod.
    ///
    /// # Errors
    /// A target cannot be asked for as it is, or none of the pods runs.
    pub async fn make_ready(self) -> Result<Ready<'a>, CommandError> {
        self.make_ready_without(None).await
    }

    /// The same, and the pod is not `lost` where there is another one.
    pub(super) async fn make_ready_without(
        self,
        lost: Option<&str>,
    ) -> Result<Ready<'a>, CommandError> {
        let start = Start { clock: Instant::now(), time: Timestamp::now() };
        let App { environment, interrupt, ui, .. } = self.app;
        let (secrets, secret_files) = secrets::of_plan(&self.plan, environment).await;
        let redactor = Redactor::new(&secrets);
        ui.hide(redactor.clone());
        let RunSite { site, pod, plan } = Box::pin(self.site(lost)).await?;
        let run = Run { plan: plan.unwrap_or_else(|| self.plan.clone()), ..self };
        let scratch = prepare::scratch_directory(&run.plan, &site)?;
        let folder = scratch.as_ref().map(TempDir::path);
        if let Some(folder) = folder {
            interrupt.remove_at_exit(folder);
        }
        let warn = |warning: &str| ui.warn(warning);
        let requests = prepare::requests(&run.plan, folder, environment, warn)?;
        let question = match (&site, &run.memory) {
            (Site::Engine(_) | Site::Node(_), Some(_)) => {
                Question::new(&run.plan, &requests, folder)
            }
            _ => None,
        };
        Ok(Ready { run, start, redactor, site, scratch, secret_files, requests, pod, question })
    }
}

impl Ready<'_> {
    /// Carries it out, once.
    pub(super) async fn carry_out_once(mut self) -> Result<RunResult, CommandError> {
        let App { interrupt, ui, .. } = self.run.app;
        let mut reporter = Reporter::new(self.run.progress, ui.clone(), self.run.app.ci())?;
        if self.run.app.is_verbose() {
            reporter.tell_all();
        }
        // Read beside the build: no build waits for what earlier ones took.
        let wanted = self.run.memory.as_ref().filter(|_| reporter.wants_past());
        let past = wanted.map(memory::Memory::past);
        let asked = match &self.site {
            Site::Engine(engine) if self.run.memory.is_some() => Some(memory::ask(&engine.engine)),
            _ => None,
        };
        let (prepared, bases) = self.prepare_and_look().await?;
        let SolvePlace { control, surroundings, about } = prepared.first().clone();
        let engine = surroundings.engine;
        // From here on steps may run, which have to be cancelled.
        let _orderly = interrupt.orderly_part();
        let mut facts = facts::targets(&self.run.plan, &prepared.jobs);
        let origins = copied::origins(&prepared.jobs);
        let reports: Vec<_> = prepared.jobs.iter().map(|job| job.sync.clone()).collect();
        let expected = past.map(|past| (past, facts::schedule(&self.run.plan, &self.run.settings)));
        let door = Redaction::new(self.redactor.clone());
        let directory = self.run.memory.as_ref().map_or("", memory::Memory::directory);
        let places = Some(places::of_targets(&facts, directory));
        let start = self.start.clock;
        let shown = Audience { reporter: &mut reporter, door, start, expected, places };
        let (mut outcome, sent_bytes) = self.execute(prepared, shown).await;
        for target in outcome.targets.values_mut() {
            progress::redaction::outcome_out(&self.redactor, target);
        }
        let summary = reporter.summary(self.start.clock.elapsed());
        reporter.finish(&summary);
        let github_files = reporter.github_files(&summary);
        let trace = reporter.into_run();
        let mut finished = RunResult {
            outcome,
            summary,
            started: self.start.time,
            trace,
            sent_bytes,
            largest_sent: largest::of_run(sent_bytes, &reports),
            redactor: self.redactor.clone(),
            entry: None,
        };
        if self.run.memory.is_some() {
            let mut told = match asked {
                Some(asked) => memory::told(asked).await,
                None => builder_told(about.clone().unwrap_or_default(), &self.site),
            };
            let after = bases::add(&finished.trace, engine.as_ref(), &told, &mut facts).await;
            let samples = async {
                if told.samples_resources {
                    resources::add(&control, &finished.trace, &mut facts).await;
                }
            };
            let rules = collection::rules(&control, &finished.trace);
            (told.collection, ()) = tokio::join!(rules, samples);
            finished.entry = self.remember(&finished, facts, &origins, told);
            // A builder's images may have stayed there, where nobody looks for them.
            if finished.entry.is_some() && engine.is_some() {
                self.prove(&finished, about.as_ref(), &reports, &bases, &after).await;
            }
        }
        self.tell_github(github_files, finished.entry.as_ref());
        Ok(finished)
    }

    /// Writes the summary and the outputs for GitHub Actions, and into the summary why steps ran.
    fn tell_github(&self, files: Option<(String, String)>, entry: Option<&Entry>) {
        let Some((mut page, outputs)) = files else { return };
        if let Some((memory, entry)) = self.run.memory.as_ref().zip(entry) {
            page += &view::github::causes(&explain::by_history(entry.clone(), memory.newest()));
        }
        self.run.app.write_github_files(&page, &outputs);
    }

    /// Makes everything ready for the executor, and looks at base images before they are used.
    pub(super) async fn prepare_and_look(
        &mut self,
    ) -> Result<(Preparation, bases::Ids), CommandError> {
        let requests = std::mem::take(&mut self.requests);
        let secret_files = std::mem::take(&mut self.secret_files);
        let both = async { tokio::join!(self.prepare(requests, secret_files), self.bases_now()) };
        tokio::select! {
            (prepared, bases) = both => Ok((prepared?, bases)),
            error = self.stopped() => Err(error),
        }
    }

    async fn prepare(
        &self,
        requests: Vec<SolveRequest>,
        secret_files: SecretFiles,
    ) -> Result<Preparation, CommandError> {
        let App { environment, ui, .. } = self.run.app;
        let warn = |warning: &str| ui.warn(warning);
        let tell = |text: &str| {
            if self.run.app.is_verbose() {
                ui.note(text);
            }
        };
        let sources = Sources {
            environment,
            docker_config: self.run.app.docker_config(),
            secret_files,
            stdout: Some(ui.stdout_stream()),
            scratch: self.scratch.as_ref().map(TempDir::path),
            warn: &warn,
            tell: &tell,
        };
        prepare::prepare(&self.run.plan, requests, &self.site, sources).await
    }

    /// Ends when the run is to stop before anything is built.
    pub(super) async fn stopped(&self) -> CommandError {
        let late = async {
            match self.run.settings.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let interrupt = &self.run.app.interrupt;
        let is_late = tokio::select! {
            () = late => true,
            () = interrupt.token().cancelled() => interrupt.cause() != Some(Cause::Signal),
        };
        let connector = self.site.connector();
        if is_late { silent(connector, self.start.clock.elapsed()) } else { Cause::Signal.error() }
    }

    /// Runs the jobs while they are shown. Returns how they ended and how many bytes of build contexts were sent.
    async fn execute(&self, prepared: Preparation, shown: Audience<'_>) -> (RunOutcome, u64) {
        let Preparation { places, jobs, sessions } = prepared;
        let token = self.run.app.interrupt.token().clone();
        let (events, incoming) = mpsc::channel::<Event>(WAITING);
        let _ = events.send(Event::Planned { targets: self.run.plan.targets() }).await;
        let run = async {
            let outcome = executor::run(&places, jobs, &self.run.settings, &events, token).await;
            drop(events);
            outcome
        };
        let (outcome, ()) = tokio::join!(run, shown.until_the_end(incoming));
        (outcome, sessions.iter().map(Sessions::wire_bytes).sum())
    }

    /// Keeps the run in the history; that it cannot be kept is a warning.
    fn remember(
        &self,
        finished: &RunResult,
        mut facts: BTreeMap<String, TargetFacts>,
        origins: &BTreeMap<String, copied::Origin>,
        told: memory::Answers,
    ) -> Option<Entry> {
        copied::add(origins, &finished.trace, &mut facts, |_, origin| origin.sent());
        let ended = memory::PastRun {
            redactor: &finished.redactor,
            started: finished.started,
            told,
            trace: &finished.trace,
            summary: &finished.summary,
            targets: &facts,
        };
        match self.run.memory.as_ref()?.keep(&ended) {
            Ok(entry) => Some(entry),
            Err(error) => {
                self.run.app.ui.warn(&format!("this build is not remembered: {}", chain(&error)));
                None
            }
        }
    }
}
