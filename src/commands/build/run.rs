//! One run: opens what it needs from the engine, executes a plan and shows it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::memory::{self, Memory};
use super::{ci, copied, requests, secrets};
use crate::app::App;
use crate::buildkit::Control;
use crate::buildkit::session::auth::CredentialStore;
use crate::engine::buildx::other_builder;
use crate::engine::{Connector, Engine};
use crate::error::{CommandError, ExitKind};
use crate::history::Entry;
use crate::progress::estimate::{Past, Schedule};
use crate::progress::{self, Event, Redaction, RunSummary, RunTrace};
use crate::redact::Redactor;
use crate::signal::Cause;
use crate::solve::engine_fit::{self, FitError};
use crate::solve::executor::{self, RunOutcome, RunSettings};
use crate::solve::job::Job;
use crate::solve::plan::BuildPlan;
use crate::solve::request::SolveRequest;
use crate::solve::sessions::{Providers, SecretFiles, Sessions, SessionsError};
use crate::unreachable::{silent, unreachable};
use crate::view::{Progress, Reporter};

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
}

/// A run that came to its end, whether or not its targets were built.
pub struct Finished {
    /// What became of each target.
    pub outcome: RunOutcome,
    /// The same as it was shown.
    pub summary: RunSummary,
    /// When it started.
    pub started: jiff::Timestamp,
    /// Every step of it.
    pub trace: RunTrace,
    /// Bytes of build contexts that were sent, content and framing.
    pub sent_bytes: u64,
    /// What is secret in it: everything here has been through it.
    pub redactor: Redactor,
    /// How it is remembered, if it is.
    pub entry: Option<Entry>,
}

impl Run<'_> {
    /// Carries it out.
    ///
    /// # Errors
    /// The engine cannot be reached or cannot do what a target asks, or Ctrl-C came before the
    /// first solve. A target that fails is no error here: the outcome tells.
    pub async fn go(self) -> Result<Finished, CommandError> {
        let App { environment, interrupt, ui, .. } = self.app;
        let (started, started_at) = (Instant::now(), jiff::Timestamp::now());
        let (secrets, secret_files) = secrets::of_plan(self.plan, environment).await;
        let redactor = Redactor::new(&secrets);
        ui.hide(redactor.clone());
        let ci = ci::detect(environment);
        let mut reporter = Reporter::new(self.progress, ui.clone(), ci)?;
        // Read beside the build: no build waits for what earlier ones took.
        let wanted = self.memory.as_ref().filter(|_| reporter.wants_past());
        let past = wanted.map(Memory::past);
        let connector = self.app.connector()?;
        let home = environment.home.as_deref();
        if let Some(notice) = other_builder(&environment.variables, home, connector) {
            ui.warn(&notice);
        }
        let scratch = requests::scratch_directory(self.plan)?;
        if let Some(scratch) = &scratch {
            interrupt.remove_at_exit(scratch.path());
        }
        let scratch = scratch.as_ref().map(tempfile::TempDir::path);
        let requests = requests::requests(self.plan, scratch, environment, ui)?;
        let engine = Engine::new(connector);
        let asked = self.memory.as_ref().map(|_| memory::ask(&engine));
        let (control, jobs, sessions) = tokio::select! {
            prepared = self.prepare(connector, &engine, requests, secret_files) => prepared?,
            error = self.stopped(connector, started) => return Err(error),
        };
        // From here on steps may run, which have to be cancelled.
        let _orderly = interrupt.orderly_part();
        let token = interrupt.token().clone();
        let mut facts = memory::target_facts(self.plan, &jobs);
        let origins = copied::origins(&jobs);
        let (events, incoming) = mpsc::channel::<Event>(WAITING);
        let _ = events.send(Event::Planned { targets: self.plan.targets() }).await;
        let run = async {
            let outcome =
                executor::run(&control, &engine, jobs, &self.settings, &events, token).await;
            drop(events);
            outcome
        };
        let expected = past.map(|past| (past, memory::schedule(self.plan, &self.settings)));
        let door = Redaction::new(redactor.clone());
        let shown = show(&mut reporter, incoming, door, started, expected);
        let (mut outcome, ()) = tokio::join!(run, shown);
        for target in outcome.targets.values_mut() {
            progress::redaction::outcome_out(&redactor, target);
        }
        let summary = reporter.summary(started.elapsed());
        reporter.finish(&summary);
        if let Some((page, outputs)) = reporter.github_files(&summary) {
            ci::write_github_files(environment, ui, &page, &outputs);
        }
        let trace = reporter.into_run();
        let mut entry = None;
        if let (Some(memory), Some(asked)) = (&self.memory, asked) {
            copied::add(&origins, &trace, &mut facts);
            let ended = memory::Ended {
                redactor: &redactor,
                started: started_at,
                engine: memory::engine_info(asked).await,
                trace: &trace,
                summary: &summary,
                targets: &facts,
            };
            match memory.keep(&ended) {
                Ok(kept) => entry = Some(kept),
                Err(error) => {
                    ui.warn(&format!("this build is not remembered: {}", chain(&error)));
                }
            }
        }
        let sent_bytes = sessions.wire_bytes();
        Ok(Finished { outcome, summary, started: started_at, trace, sent_bytes, redactor, entry })
    }

    /// Ends when the run is to stop before anything is built.
    async fn stopped(&self, connector: &Connector, started: Instant) -> CommandError {
        let late = async {
            match self.settings.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let is_late = tokio::select! {
            () = late => true,
            () = self.app.interrupt.token().cancelled() => self.app.interrupt.cause() != Some(Cause::Signal),
        };
        if is_late { silent(connector, started.elapsed()) } else { Cause::Signal.error() }
    }

    /// Opens connection and sessions, and turns requests to what this engine understands.
    async fn prepare(
        &self,
        connector: &Connector,
        engine: &Engine,
        mut requests: Vec<SolveRequest>,
        secret_files: SecretFiles,
    ) -> Result<(Control, Vec<Job>, Sessions), CommandError> {
        let docker_config = self.app.docker_config().clone();
        let variables = &self.app.environment.variables;
        let logins = Arc::new(CredentialStore::new(docker_config.clone(), variables.clone()));
        let providers = Providers {
            secret_files,
            docker_config,
            environment: variables.clone(),
            stdout: Some(self.app.ui.stdout_stream()),
        };
        let (control, sessions) = open(connector, &requests, providers).await?;
        let mut pairs: Vec<_> =
            self.plan.steps.iter().map(|step| &step.target).zip(&mut requests).collect();
        engine_fit::fit(engine, &control, &mut pairs).await.map_err(|error| match error {
            FitError::Engine(error) => unreachable(connector, &error),
            error => CommandError::new(ExitKind::Invalid, error.to_string()),
        })?;
        requests::prepare_stores(self.plan, &requests)?;
        let jobs = requests::jobs(self.plan, requests, &sessions, &logins);
        Ok((control, jobs, sessions))
    }
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

/// Hands every event to the reporter, through the door, and lets it redraw, until the last sender has gone. Tells it
/// of earlier builds as soon as they are read.
async fn show(
    reporter: &mut Reporter,
    mut incoming: mpsc::Receiver<Event>,
    mut door: Redaction,
    started: Instant,
    mut expected: Option<(JoinHandle<Past>, Schedule)>,
) {
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            event = incoming.recv() => match event {
                Some(event) => {
                    for event in door.pass(event) {
                        reporter.handle(&event, started.elapsed());
                    }
                }
                None => break,
            },
            Some((past, schedule)) = read(&mut expected) => reporter.expect(past, schedule),
            _ = tick.tick() => reporter.tick(started.elapsed()),
        }
    }
}

/// The earlier builds, once; `None` where there is nothing (more) to read.
async fn read(expected: &mut Option<(JoinHandle<Past>, Schedule)>) -> Option<(Past, Schedule)> {
    let past = (&mut expected.as_mut()?.0).await.unwrap_or_default();
    expected.take().map(|(_, schedule)| (past, schedule))
}

/// Opens everything the run needs from the engine, at the same time.
async fn open(
    connector: &Connector,
    requests: &[SolveRequest],
    providers: Providers,
) -> Result<(Control, Sessions), CommandError> {
    let (control, sessions) =
        tokio::join!(Control::connect(connector), Sessions::open(connector, requests, providers),);
    let control = control.map_err(|error| unreachable(connector, &error))?;
    let sessions = sessions.map_err(|error| match error {
        SessionsError::Transport(error) => unreachable(connector, &error),
        error => CommandError::new(ExitKind::Usage, error.to_string()),
    })?;
    Ok((control, sessions))
}
