//! `doc2md-docker clean`: options to a plan, the plan to a question, the answer to removal and report.

mod builder;
mod named;
mod settings;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use crate::app::App;
use crate::builders::Choice;
use crate::clean::execute::{self, Stop};
use crate::clean::survey::{self, Findings, Offers, Survey};
use crate::clean::{Kind, Offer, Outcome, Plan};
use crate::cli::clean::{CleanArgs, CleanFormat};
use crate::engine::{Connector, Engine, TOO_SLOW};
use crate::error::{CommandError, ExitKind};
use crate::history::cleaned::{self, Removals, RemovedMount};
use crate::inventory::{CacheKind, CacheRecord, Inventory, MountDescription};
use crate::ownership::Include;
use crate::scope::{self, Scope};
use crate::signal::{Cause, Interrupt};
use crate::terminal::{format, prompt};
use crate::unreachable::unreachable;
use crate::usage::{self, DeclaredMounts};
use crate::view::clean::{self as report, BuilderPlace, CleanResult};
pub(super) use named::remove as remove_records;

/// What it means that an engine does not answer in time.
const ENGINE: ExitKind = ExitKind::EngineUnreachable;
/// How long a stopped removal waits for the engine to say what it freed.
const STOPPED_PATIENCE: Duration = Duration::from_secs(3);

/// Runs the command.
///
/// # Errors
/// Options or files are invalid, the engine cannot be reached, nobody is there to be asked, or
/// something could not be removed.
pub async fn run(app: &App, args: &CleanArgs) -> Result<(), CommandError> {
    if let Some(choice) = app.named_builder()? {
        return builder::run(app, args, &choice).await;
    }
    let mut request = settings::request(args, Timestamp::now())?;
    let include = settings::include(args);
    let scope = scope::scope(app)?;
    let project = &scope.project;
    // What was removed by then is always told.
    let _orderly = app.interrupt.orderly_part();
    let offers = match (app.is_quiet(), args.dry_run) {
        (true, _) => Offers::Never,
        (false, true) => Offers::Always,
        (false, false) => Offers::WhereShort,
    };
    let with_cache = request.kinds.contains(&Kind::Cache);
    let findings = findings(app, &scope, &include, with_cache, offers).await?;
    settings::see_disk(&mut request, findings.disk)?;
    let mut notes: Vec<String> = scope.note.iter().cloned().collect();
    notes.extend(scope::unknown(&scope, &findings.observed.inventory));
    notes.extend(findings.notes.iter().cloned());
    notes.extend(app.other_builder().filter(|_| with_cache).map(|choice| of_builder(&choice)));
    let plan = findings.plan(&request);
    let offers = match args.only.is_empty() {
        true => settings::not_refused(args, findings.offers(&request, &plan)),
        false => Vec::new(),
    };
    if args.format == CleanFormat::Json {
        notes.extend(offers.iter().map(report::offer));
    }
    if !app.is_quiet() {
        for note in &notes {
            app.ui.note(note);
        }
    }
    let clean = Clean {
        app,
        how: How::new(args),
        project: &project.name,
        builder: None,
        plan: &plan,
        offers: &offers,
        notes: &notes,
    };
    if args.dry_run || plan.remove.is_empty() {
        clean.show_only();
        return Ok(());
    }
    clean.show_plan(false);
    let others = findings.others_hit(&request, &plan, &project.name);
    let others = others.map(|others| report::others_hit(&others, &project.name, "this engine"));
    clean.confirm(others.as_deref()).await?;
    clean.remove(&findings).await
}

/// Where cache of the project may be that stays.
fn of_builder(choice: &Choice) -> String {
    let name = &choice.builder.name;
    format!(
        "builds go to {choice}: its build cache stays, `clean --cache --builder {name}` removes the project's"
    )
}

/// What the engine has, and whose it is.
async fn findings(
    app: &App,
    scope: &Scope,
    include: &BTreeSet<Include>,
    with_cache: bool,
    offers: Offers,
) -> Result<Findings, CommandError> {
    let survey = Survey {
        connector: app.connector()?,
        project: &scope.project,
        include,
        with_cache,
        offers,
        ledger: app.environment.ledger_directory(),
    };
    let services = usage::services(scope.files.as_ref(), &app.environment.working_dir);
    let services = services.unwrap_or_default();
    let declared = DeclaredMounts::new(&services);
    let findings = survey.findings(|record| declared.asked_for(record));
    or_interrupt(&app.interrupt, ENGINE, findings).await?
}

/// Waits for `work`, unless the run is to stop. `late` is how it ends where that takes too long.
async fn or_interrupt<T>(
    interrupt: &Interrupt,
    late: ExitKind,
    work: impl Future<Output = T>,
) -> Result<T, CommandError> {
    tokio::select! {
        done = work => Ok(done),
        () = interrupt.token().cancelled() => {
            let cause = interrupt.cause().unwrap_or(Cause::Signal);
            let mut error = cause.error();
            error.message += ": nothing was removed";
            if cause != Cause::Signal {
                error.kind = late;
            }
            Err(error)
        }
    }
}

/// How a plan is shown and carried out.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// Nobody is asked.
    pub(super) force: bool,
    /// Nothing is removed.
    pub(super) dry_run: bool,
    /// The plan and the result are one JSON document.
    pub(super) as_json: bool,
    /// Volumes go without a question.
    pub(super) takes_volumes: bool,
    /// What to type again.
    pub(super) command: &'static str,
}

impl How {
    fn new(args: &CleanArgs) -> Self {
        Self {
            force: args.force,
            dry_run: args.dry_run,
            as_json: args.format == CleanFormat::Json,
            takes_volumes: settings::names_volumes(args),
            command: "clean",
        }
    }
}

/// How carrying a plan out ended.
enum End {
    /// All of it had its turn.
    Complete,
    /// Somebody stopped it.
    Interrupted,
    /// Who was to remove something went, or was not there.
    Lost(CommandError),
}

struct Clean<'a> {
    app: &'a App,
    how: How,
    project: &'a str,
    /// The builder that it is about, if not about the engine.
    builder: Option<&'a BuilderPlace>,
    plan: &'a Plan,
    offers: &'a [Offer],
    notes: &'a [String],
}

impl Clean<'_> {
    fn is_json(&self) -> bool {
        self.how.as_json
    }

    fn show_plan(&self, is_result: bool) {
        if self.is_json() || (self.app.is_quiet() && !is_result) {
            return;
        }
        let ui = &self.app.ui;
        let text = report::table(self.plan, self.offers, ui.data_columns(), self.app.is_verbose());
        ui.data(&ui.foreign(&text));
    }

    /// Shows a plan that is not carried out, or that has nothing to remove.
    fn show_only(&self) {
        self.show_plan(true);
        if self.is_json() {
            let nothing = CleanResult::default();
            let result = (!self.how.dry_run).then_some(&nothing);
            self.app.ui.data(&self.document(result));
        }
    }

    fn document(&self, result: Option<&CleanResult>) -> String {
        report::json(self.project, self.builder, self.plan, result, self.notes)
    }

    /// Goes on only where somebody agrees, now or by an option.
    async fn confirm(&self, others: Option<&str>) -> Result<(), CommandError> {
        let App { environment, interrupt, ui, .. } = self.app;
        let volumes = self.plan.removes(Kind::Volume).next().is_some() && !self.how.takes_volumes;
        let in_ci = environment.flag("CI");
        if self.how.force || (in_ci && !volumes) {
            if let Some(others) = others {
                ui.warn(others);
            }
            return Ok(());
        }
        if !ui.can_ask() && in_ci {
            let message = "nothing was removed: CI is no consent to removing volumes";
            return Err(CommandError::new(ExitKind::Usage, message)
                .hint("--volumes removes them, too, --volumes=false keeps them"));
        }
        if !ui.can_ask() {
            let message = "nothing was removed: there is no terminal to ask on";
            return Err(CommandError::new(ExitKind::Usage, message)
                .hint("--force removes without asking, --dry-run only shows the plan"));
        }
        ui.ask(&report::question(self.plan, others));
        let answer = tokio::task::spawn_blocking(prompt::answer);
        let answered = or_interrupt(interrupt, ExitKind::Failed, answer).await;
        if matches!(answered, Err(_) | Ok(Ok(Ok(None)))) {
            // Nobody ended the line of the question.
            ui.say("");
        }
        let unread = || CommandError::new(ExitKind::Failed, "failed to read the answer");
        match answered? {
            Ok(Ok(Some(true))) => Ok(()),
            Ok(Ok(_)) => Err(CommandError::new(ExitKind::Failed, "nothing was removed")),
            Ok(Err(error)) => Err(unread().caused_by(error)),
            Err(error) => Err(unread().caused_by(error)),
        }
    }

    /// Carries the plan out, and measures what that freed.
    async fn remove(&self, findings: &Findings) -> Result<(), CommandError> {
        let App { interrupt, ui, .. } = self.app;
        let connector = self.app.connector()?;
        let engine = Engine::new(connector);
        let mut outcome = execute::execute(&engine, self.plan, interrupt.token(), |item| {
            if self.app.is_verbose() && item.kind != Kind::Cache {
                ui.say(&ui.foreign(&format!("removing {} {}", item.kind, item.name)));
            }
        })
        .await;
        let Inventory { engine, cache, .. } = &findings.observed.inventory;
        self.remember(&outcome, self.plan, &engine.id, cache);
        let end = match outcome.stopped.take() {
            Some(Stop::Engine(error)) => End::Lost(unreachable(connector, error)),
            Some(Stop::Interrupted) => End::Interrupted,
            None => End::Complete,
        };
        let freed = match end {
            End::Lost(_) => None,
            End::Interrupted => Some(self.freed(connector, findings, true).await),
            End::Complete => Some(self.freed(connector, findings, false).await),
        };
        let freed = freed.map(|freed| {
            freed.unwrap_or_else(|error| {
                ui.warn(&format!("what that freed is not known: {}", error.message));
                0
            })
        });
        self.finish(&outcome, freed, end)
    }

    /// Lets the builds after this one know that build cache went, of which engine, or worker of BuildKit.
    fn remember(&self, outcome: &Outcome, plan: &Plan, engine: &str, cache: &[CacheRecord]) {
        let remains = |id: &str| outcome.remains.iter().any(|it| it.item.id == id);
        let gone = plan.removes(Kind::Cache).filter(|item| !remains(&item.id));
        let gone: BTreeSet<&str> = gone.map(|item| item.id.as_str()).collect();
        let at = Timestamp::now();
        let mut removals = Removals::default();
        for record in cache.iter().filter(|record| gone.contains(record.id.as_str())) {
            // What cache mounts hold is not the result of a step.
            match MountDescription::parse(&record.description) {
                Some(it) if record.kind == CacheKind::CacheMount => {
                    let target = it.target().to_owned();
                    removals.mounts.push(RemovedMount { id: it.id, target, at });
                }
                _ => removals.results = Some(at),
            }
        }
        if let Some(path) = self.app.environment.cleaned_file()
            && let Err(error) = cleaned::mark(&path, engine, removals)
        {
            self.app.ui.warn(&format!("this removal is not remembered: {error}"));
        }
    }

    async fn freed(
        &self,
        connector: &Connector,
        findings: &Findings,
        is_stopped: bool,
    ) -> Result<u64, CommandError> {
        let ledger = self.app.environment.ledger_directory();
        let freed = survey::freed(connector, &findings.observed, ledger);
        let late = || Err(CommandError::new(ExitKind::Failed, TOO_SLOW));
        if is_stopped {
            // Whoever stopped it does not wait for a sum.
            return timeout(STOPPED_PATIENCE, freed).await.unwrap_or_else(|_| late());
        }
        tokio::select! {
            freed = freed => freed,
            () = self.app.interrupt.token().cancelled() => late(),
        }
    }

    /// Tells what became of the plan. `freed_bytes` are not known where somebody went.
    fn finish(
        &self,
        outcome: &Outcome,
        freed_bytes: Option<u64>,
        end: End,
    ) -> Result<(), CommandError> {
        let ui = &self.app.ui;
        if self.is_json() {
            let freed_bytes = freed_bytes.unwrap_or_default();
            let result = CleanResult { remains: &outcome.remains, freed_bytes };
            ui.data(&self.document(Some(&result)));
        } else if !self.app.is_quiet() || !matches!(end, End::Complete) {
            let removed = report::things(outcome.removed);
            let freed = freed_bytes.map(|it| format!(", freed {}", format::bytes(it)));
            ui.remark(&format!("removed {removed}{}", freed.unwrap_or_default()));
        }
        if outcome.bystanders > 0 {
            ui.warn(&format!(
                "{} cache records that are not in the plan went meanwhile: another prune or the engine's \
                 garbage collection ran",
                outcome.bystanders
            ));
        }
        if !matches!(end, End::Interrupted) {
            for remaining in outcome.remains.iter().filter(|it| it.was_reached) {
                let (kind, name) = (remaining.item.kind, &remaining.item.shown.name);
                ui.warn(&format!("kept {kind} {name}: {}", remaining.why));
            }
        }
        let left = outcome.remains.len();
        let error = match end {
            End::Complete if left == 0 => return Ok(()),
            End::Complete => {
                let message =
                    format!("{} of {} remain", left, report::things(self.plan.remove.len()));
                CommandError::new(ExitKind::Failed, message)
            }
            End::Interrupted => {
                let mut error = self.app.interrupt.cause().unwrap_or(Cause::Signal).error();
                error.message += &format!(": {} remain", report::things(left));
                error
            }
            End::Lost(error) => error,
        };
        let command = self.how.command;
        Err(error.hint(format!("run {command} again to remove what remains")))
    }
}
