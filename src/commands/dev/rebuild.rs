//! The process beside compose that builds again when a file changes that an image is made of.
//!
//! It is this program once more, with the same command line, as a child of the process that compose takes over: the
//! terminal, signals and the exit code stay compose's. It ends with compose.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, getppid};

use super::{build_run, plan, targets};
use crate::app::App;
use crate::compose::Project;
use crate::dev::{Changes, Inputs};
use crate::error::{CommandError, ExitKind};
use crate::explain;
use crate::run::Memory;
use crate::solve::dockerfile_source;
use crate::transfer::TransferError;
use crate::view::{self, Progress};

/// Names the process that compose has taken over.
pub(super) const BESIDE: &str = "DOC2MD_DOCKER_DEV_BESIDE";
/// How often it is looked whether compose still runs.
const LOOK: Duration = Duration::from_millis(200);

/// Starts it.
pub(super) fn start() -> std::io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(BESIDE, std::process::id().to_string())
        .stdin(Stdio::null())
        .spawn()
}

/// What is built again, and how compose is told.
pub(super) struct Rebuild<'a> {
    pub app: &'a App,
    pub project: &'a Project,
    /// Services that were asked for; all when none is.
    pub services: &'a [String],
    /// A command of compose for the project, without words.
    pub compose: &'a dyn Fn() -> Command,
}

impl Rebuild<'_> {
    /// Builds again at each change, until the process `beside` has ended or Ctrl-C.
    ///
    /// # Errors
    /// Changes cannot be told of. A failed build is none: the next change may mend it.
    pub(super) async fn run(&self, beside: &str) -> Result<(), CommandError> {
        let _orderly = self.app.interrupt.orderly_part();
        let token = self.app.interrupt.token();
        let mut changes = Changes::new()?;
        loop {
            let inputs = self.inputs()?;
            changes.look_at(inputs.directories().map_err(unreadable)?)?;
            let changed = tokio::select! {
                changed = changes.settled() => changed,
                () = token.cancelled() => return Ok(()),
                () = end_of(beside) => return Ok(()),
            };
            // What has changed may be what cannot be read.
            let concerned = match inputs.concerned(&changed) {
                Ok(concerned) if concerned.is_empty() => continue,
                Ok(concerned) => concerned,
                Err(error) => {
                    self.app.ui.error(&unreadable(error));
                    continue;
                }
            };
            let again = self.again(&concerned);
            let ended = tokio::select! {
                ended = again => ended,
                () = end_of(beside) => return Ok(()),
            };
            match ended {
                _ if token.is_cancelled() => return Ok(()),
                Ok(()) => {}
                Err(error) => self.app.ui.error(&error),
            }
        }
    }

    fn inputs(&self) -> Result<Inputs, CommandError> {
        let targets = targets(self.app, self.services, self.project)?.to_build();
        Ok(Inputs::new(self.project, targets, dockerfile_source::of_target))
    }

    /// Builds services again, and has compose start what has become another image.
    async fn again(&self, concerned: &[(String, Vec<PathBuf>)]) -> Result<(), CommandError> {
        let ui = &self.app.ui;
        let services: Vec<String> = concerned.iter().map(|(service, _)| service.clone()).collect();
        let plan = plan(self.app, &services, self.project)?;
        // Compose's lines go on meanwhile: a live view would be drawn over.
        let progress = match self.app.progress()? {
            Progress::Quiet => Progress::Quiet,
            _ => Progress::Plain,
        };
        let run = build_run(self.app, &plan, self.project, progress);
        let mut ready = run.make_ready().await?;
        let always = self.app.environment.flag("DOC2MD_DOCKER_ALWAYS_SOLVE");
        if !always && ready.up_to_date().await?.is_some() {
            return Ok(());
        }
        for (service, paths) in concerned {
            ui.remark(&format!("{service}: builds again: {} changed", self.named(paths)));
        }
        let finished = ready.carry_out().await?;
        view::run_error(&finished.summary).map_or(Ok(()), Err)?;
        let memory = Memory::new(self.project, &self.app.environment);
        if let Some((memory, entry)) = memory.zip(finished.entry) {
            let why = explain::by_history(entry, memory.newest());
            view::why::brief(&why, ui.size().0).iter().for_each(|line| ui.remark(line));
        }
        let mut command = (self.compose)();
        command.args(["up", "--detach", "--no-build", "--no-deps"]).args(&services);
        // The other compose writes meanwhile, too.
        command.env("COMPOSE_PROGRESS", "plain");
        let status = tokio::process::Command::from(command).stdin(Stdio::null()).status().await;
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => {
                let message =
                    format!("docker compose did not start {}: {status}", services.join(", "));
                Err(CommandError::new(ExitKind::Failed, message))
            }
            Err(error) => Err(CommandError::new(ExitKind::Failed, "failed to run docker compose")
                .caused_by(error)),
        }
    }

    /// The first of some paths, and how many more there are.
    fn named(&self, paths: &[PathBuf]) -> String {
        let here = &self.app.environment.working_dir;
        let first =
            paths.first().map(|path| path.strip_prefix(here).unwrap_or(path).display().to_string());
        let first = first.unwrap_or_default();
        match paths.len() {
            0 | 1 => first,
            count => format!("{first} and {} more", count - 1),
        }
    }
}

/// Returns when the process that started this one has ended.
async fn end_of(process: &str) {
    let is_there =
        || getppid().map(Pid::as_raw_nonzero).is_some_and(|pid| pid.to_string() == process);
    while is_there() {
        tokio::time::sleep(LOOK).await;
    }
}

fn unreadable(error: TransferError) -> CommandError {
    CommandError::new(ExitKind::Failed, "failed to look through a build context").caused_by(error)
}
